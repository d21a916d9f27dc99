//! What the viewer of the page does with its money: look, deposit, cash in. One operation at a time,
//! each with the next number of the wallet.

use std::collections::VecDeque;

use pop_incentive::ids::VaultId;
use pop_incentive::ledger::limits::REDEEM_MAX;
use pop_incentive::ledger::names::vault_id;
use pop_incentive::ledger::protocol::LedgerReply;
use pop_incentive::ledger::{Operation, Refusal, SignedOperation};
use pop_incentive::typed_data::LedgerDomain;
use pop_incentive::voucher::{SignedVoucher, VaultInfo};
use pop_wire::Amount;

use super::counter::{Ask, Counter};
use crate::engine::hub::Hub;
use crate::engine::limits::{NONCES_MAX, WALLET_WORK_MAX};
use crate::engine::{EngineError, Event};

/// An operation that is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Work {
    Deposit(Amount),
    Redeem(Vec<SignedVoucher>),
}

#[derive(Debug, Default)]
pub(super) struct Wallet {
    work: VecDeque<Work>,
    /// The first is under way; its number was taken by others so often.
    nonces: Option<u32>,
    /// Whether the vault is there, as far as the ledger said.
    vault: Option<Option<VaultInfo>>,
    balance: Option<Amount>,
    /// Somebody waits to be told.
    is_asked: bool,
    /// Vaults of which vouchers were paid, with their epochs.
    paid: Vec<(VaultId, u64)>,
}

impl Wallet {
    pub(super) fn look(&mut self, counter: &mut Counter) {
        (self.is_asked, self.balance, self.vault) = (true, None, None);
        counter.ask(Ask::OwnBalance);
        counter.ask(Ask::OwnVault);
    }

    pub(super) fn deposit(&mut self, counter: &mut Counter, amount: Amount) {
        self.begin(counter, Work::Deposit(amount));
    }

    pub(super) fn redeem(&mut self, counter: &mut Counter, mut vouchers: Vec<SignedVoucher>) {
        vouchers.truncate(REDEEM_MAX);
        let is_new = !self.work.iter().any(|work| matches!(work, Work::Redeem(_)));
        if vouchers.is_empty() || !is_new {
            return self.look(counter);
        }
        self.begin(counter, Work::Redeem(vouchers));
    }

    fn begin(&mut self, counter: &mut Counter, work: Work) {
        if self.work.len() < WALLET_WORK_MAX {
            self.work.push_back(work);
        }
        if self.nonces.is_none() {
            self.next(counter);
        }
    }

    /// Begin the first operation that waits: it depends on what the vault is now.
    fn next(&mut self, counter: &mut Counter) {
        self.nonces = None;
        if self.work.is_empty() {
            return self.look(counter);
        }
        self.nonces = Some(0);
        counter.ask(Ask::OwnVault);
        counter.ask(Ask::Nonce);
    }

    /// What the ledger says of the vault.
    pub(super) fn vault(&mut self, hub: &mut Hub, info: Option<VaultInfo>) {
        self.vault = Some(info);
        self.tell(hub);
    }

    fn tell(&mut self, hub: &mut Hub) {
        if let (true, Some(balance), Some(vault)) = (self.is_asked, self.balance, self.vault) {
            self.is_asked = false;
            let vault = vault.map_or(Amount::ZERO, |vault| vault.balance());
            hub.event(Event::Wallet { balance, vault });
        }
    }

    pub(super) fn answered(
        &mut self,
        hub: &mut Hub,
        counter: &mut Counter,
        (ask, reply): (Ask, LedgerReply),
        domain: Option<LedgerDomain>,
    ) {
        match (ask, reply) {
            (Ask::OwnBalance, LedgerReply::Balance(balance)) => {
                self.balance = Some(balance);
                self.tell(hub);
            }
            (Ask::Nonce, LedgerReply::Nonce(nonce)) => self.submit(hub, counter, domain, nonce),
            (Ask::Submit(_), LedgerReply::Submitted(results)) => {
                let result = results.into_iter().next();
                match result {
                    Some(Ok(_)) => self.done(counter),
                    // This one never takes effect any more: its number is another operation's.
                    Some(Err(Refusal::Nonce { expected, got }))
                        if expected > got && self.nonces.is_some_and(|it| it < NONCES_MAX) =>
                    {
                        self.nonces = self.nonces.map(|nonces| nonces + 1);
                        self.submit(hub, counter, domain, expected);
                    }
                    Some(Err(refusal)) => self.fail(hub, counter, refusal.to_string()),
                    None => self.fail(hub, counter, "no result".to_owned()),
                }
            }
            _ => self.fail(hub, counter, "not the answer to what was asked".to_owned()),
        }
    }

    fn submit(
        &mut self,
        hub: &Hub,
        counter: &mut Counter,
        domain: Option<LedgerDomain>,
        nonce: u64,
    ) {
        let (Some(domain), Some(work)) = (domain, self.work.front()) else { return };
        let vault = vault_id(&domain, hub.own_peer().wallet_address(), 0);
        let penalty = Amount::ZERO;
        let operation = match work {
            Work::Deposit(deposit) if matches!(self.vault, Some(Some(_))) => {
                Operation::FundVault { vault, deposit: *deposit, penalty }
            }
            Work::Deposit(deposit) => Operation::OpenVault { index: 0, deposit: *deposit, penalty },
            Work::Redeem(vouchers) => Operation::Redeem { vouchers: vouchers.clone() },
        };
        let signed = SignedOperation::sign(operation, nonce, &hub.keypair, &domain);
        counter.ask(Ask::Submit(Box::new(signed)));
    }

    fn done(&mut self, counter: &mut Counter) {
        if let Some(Work::Redeem(vouchers)) = self.work.pop_front() {
            let paid = vouchers.iter().map(|it| (it.voucher.vault, it.voucher.epoch));
            self.paid.extend(paid);
        }
        self.next(counter);
    }

    fn fail(&mut self, hub: &mut Hub, counter: &mut Counter, reason: String) {
        self.work.pop_front();
        hub.event(Event::WalletFailed { error: EngineError::Ledger { reason } });
        self.next(counter);
    }

    /// Vaults of which vouchers were paid since the last call.
    pub(super) fn take_paid(&mut self) -> Vec<(VaultId, u64)> {
        core::mem::take(&mut self.paid)
    }
}
