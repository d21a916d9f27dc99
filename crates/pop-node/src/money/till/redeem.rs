//! Vouchers to the ledger: in batches, now and then, and whenever the payee asks for it.

use std::time::Duration;

use pop_incentive::ids::VaultId;
use pop_incentive::ledger::Operation;
use pop_incentive::ledger::limits::REDEEM_MAX;
use pop_incentive::till::TillInput;
use pop_incentive::voucher::{SignedVoucher, VaultInfo, Voucher};
use pop_wire::Amount;
use tokio::sync::mpsc;

use super::{News, Till};
use crate::ledger::LedgerClientError;
use crate::money::Bank;

/// Ticks between two times that those who left owing are forgiven: an hour.
const FORGIVE_TICKS: u64 = 3_600;

/// Whether a redemption is under way, and what the next one needs.
#[derive(Debug, Default)]
pub(super) struct Redemption {
    running: bool,
    again: bool,
}

impl Redemption {
    pub(super) fn ended(&mut self) {
        self.running = false;
    }
}

/// What the ledger paid of a vault's vouchers, in an epoch in all.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Paid {
    pub(super) vault: VaultId,
    pub(super) epoch: u64,
    pub(super) amount: Amount,
}

/// Have a tick every second.
pub(super) fn start_ticking(bank: &Bank, news: mpsc::UnboundedSender<News>) {
    bank.spawn(async move {
        let mut ticks = tokio::time::interval(Duration::from_secs(1));
        loop {
            ticks.tick().await;
            if news.send(News::Tick).is_err() {
                return;
            }
        }
    });
}

impl Till {
    pub(super) fn tick(&mut self) {
        self.ticks += 1;
        self.tell(TillInput::Second);
        let every = self.bank.settings.redeem_interval_s.max(1);
        if self.redemption.again || self.ticks.is_multiple_of(every) {
            self.redeem();
        }
        if self.ticks.is_multiple_of(every) {
            self.look_after_loans();
        }
        self.store_credits();
        if self.ticks.is_multiple_of(FORGIVE_TICKS) {
            self.tell(TillInput::Forgive);
        }
    }

    /// Redeem every voucher that is worth more than what was redeemed of it.
    pub(super) fn redeem(&mut self) {
        if self.redemption.running {
            self.redemption.again = true;
            return;
        }
        let due: Vec<_> = self.machine.unredeemed().collect();
        self.redemption = Redemption { running: !due.is_empty(), again: false };
        if due.is_empty() {
            return;
        }
        let (bank, news) = (self.bank.clone(), self.news.clone());
        self.bank.spawn(async move {
            let redeemed = redeem_all(&bank, &due).await;
            let _stopped = news.send(News::Redeemed(redeemed));
        });
    }
}

/// What the ledger says of a vault, and how much it paid us of it in its epoch.
pub(super) async fn vault_and_redeemed(
    bank: &Bank,
    vault: VaultId,
) -> Result<Option<(VaultInfo, Amount)>, LedgerClientError> {
    let Some(info) = bank.ledger.vault(vault).await? else { return Ok(None) };
    let redeemed = bank.ledger.redeemed(vault, bank.address(), info.epoch).await?;
    Ok(Some((info, redeemed)))
}

/// Hand in vouchers; what the ledger has paid by then for each vault.
async fn redeem_all(bank: &Bank, due: &[SignedVoucher]) -> Vec<Paid> {
    let mut redeemed = Vec::new();
    for batch in due.chunks(REDEEM_MAX) {
        let operation = Operation::Redeem { vouchers: batch.to_vec() };
        if let Err(error) = bank.ledger.perform(&bank.keypair, operation).await {
            tracing::warn!(%error, vouchers = batch.len(), "not redeemed; tried again later");
            continue;
        }
        for signed in batch {
            let Voucher { vault, payee, epoch, .. } = signed.voucher;
            match bank.ledger.redeemed(vault, payee, epoch).await {
                Ok(amount) => redeemed.push(Paid { vault, epoch, amount }),
                Err(error) => tracing::warn!(%error, "not known how much was redeemed"),
            }
        }
    }
    redeemed
}
