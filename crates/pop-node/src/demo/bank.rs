//! The demo's money: a ledger that the first masternode keeps, collateral for every masternode,
//! and a vault for the viewer; in the end, whether it all adds up.

use std::path::{Path, PathBuf};
use std::time::Duration;

use pop_incentive::ids::VaultId;
use pop_incentive::ledger::names::vault_id;
use pop_incentive::ledger::{Account, LedgerParameters, Operation, SignedOperation};
use pop_incentive::typed_data::LedgerDomain;
use pop_incentive::voucher::SignedVoucher;
use pop_wire::{Amount, Keypair, PeerId, WalletAddress};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{DemoReport, faucet};
use crate::clock::{self, monotonic_now};
use crate::disk::{StoreError, create_identity};
use crate::error::NodeError;
use crate::ledger::{self, LedgerClient};
use crate::money;
use crate::node::Node;

/// POP that the viewer may spend: a film of hours at the default price costs less than one.
const VAULT_POP: u128 = 1_000;

/// POP that the viewer loses if it promises more than that.
const PENALTY_POP: u128 = 100;

/// How long the living may take to hand in their last vouchers, which they do every second.
const REDEMPTION_PATIENCE: Duration = Duration::from_secs(20);

/// Who has money in the demo.
#[derive(Debug)]
pub(super) struct Bank {
    pub(super) viewer: Keypair,
    /// Of the ledger, who mints; it is the first masternode, too.
    pub(super) operator: Keypair,
    vault: VaultId,
    collateral: Amount,
    masternodes: Vec<PeerId>,
}

/// Where a masternode's files are.
pub(super) fn place(directory: &Path, index: u32) -> PathBuf {
    directory.join(format!("node-{index:03}"))
}

impl Bank {
    /// Make the identities of all masternodes, and a ledger beside the first's on which each has
    /// its collateral and the viewer its vault.
    pub(super) async fn found(directory: &Path, nodes: u32) -> Result<Self, NodeError> {
        let secret = clock::random_bytes().map_err(StoreError::from)?;
        let viewer = Keypair::from_secret_bytes(&secret)?;
        let create = |index| create_identity(&place(directory, index));
        let keys = (0..nodes).map(create).collect::<Result<Vec<_>, _>>()?;
        let operator = keys.first().ok_or_else(|| NodeError::Demo("no nodes".to_owned()))?;
        let data_dir = place(directory, 0);
        let parameters = LedgerParameters::new(operator.peer_id().wallet_address());
        let collateral = parameters.collateral_min;
        let genesis = ledger::create(&data_dir, operator, parameters)?;
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let client = ledger::open_here(&data_dir, (&tasks, &stop)).await?;
        let (domain, owner) = (genesis.domain, viewer.peer_id().wallet_address());
        let done = endow(&client, &domain, (&keys, &viewer), collateral).await;
        drop(client);
        stop.cancel();
        tasks.close();
        tasks.wait().await;
        done?;
        let masternodes = keys.iter().map(Keypair::peer_id).collect();
        let operator = operator.clone();
        Ok(Self { viewer, operator, vault: vault_id(&domain, owner, 0), collateral, masternodes })
    }

    /// Wait until everybody has been paid, hand in what the dead can't, and add it all up. `guests`
    /// are viewers on the page: they pay, too, and may earn.
    pub(super) async fn settle(
        &self,
        client: &Node,
        (dead, guests): (&[PathBuf], &[WalletAddress]),
        report: &mut DemoReport,
    ) -> Result<(), NodeError> {
        let ledger = client.ledger().ok_or_else(|| NodeError::Demo("no ledger".to_owned()))?;
        client.settle().await;
        let promised = client.promises().await;
        report.promised = sum(promised.iter().map(|(_, amount)| *amount)).base_units();
        self.redeem_for(&ledger, dead).await?;
        let started = monotonic_now();
        let earned = loop {
            let earned = self.earned(&ledger).await?;
            let total = sum(earned.iter().map(|(_, amount)| *amount));
            // What was promised to the dead and never reached them stays the viewer's.
            let is_paid = |(payee, amount): &(WalletAddress, Amount)| {
                earned.iter().any(|(wallet, earned)| wallet == payee && earned >= amount)
            };
            let living = promised.iter().filter(|(payee, _)| !self.is_dead(payee, dead));
            let all_paid = living.clone().all(is_paid);
            let vault = ledger.vault(self.vault).await?;
            report.paid = vault.map_or(0, |vault| vault.redeemed.base_units());
            report.earned_total = total.base_units();
            let (paid, earned_by_guests) = self.of_guests(&ledger, guests).await?;
            report.browser_paid = paid.base_units();
            report.browser_earned = earned_by_guests.base_units();
            // What a guest pays may arrive between two of these questions.
            let adds_up = guests.is_empty() || report.money_adds_up();
            if all_paid && adds_up || started.elapsed() > REDEMPTION_PATIENCE {
                break earned;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        };
        let amounts = || earned.iter().map(|(_, amount)| amount.base_units());
        report.earned_min = amounts().min().unwrap_or(0);
        report.earned_max = amounts().max().unwrap_or(0);
        report.slashed = self.slashed(&ledger).await?.base_units();
        let stats = client.stats();
        report.vouchers = stats.vouchers_given();
        let payload = super::figures::float(stats.fetched_bytes()).max(1.0);
        report.voucher_bytes_overhead = super::figures::float(stats.payment_bytes()) / payload;
        Ok(())
    }

    /// What each masternode has on its wallet: it began with nothing beside its collateral.
    async fn earned(
        &self,
        ledger: &LedgerClient,
    ) -> Result<Vec<(WalletAddress, Amount)>, NodeError> {
        let mut earned = Vec::with_capacity(self.masternodes.len());
        for peer in &self.masternodes {
            let wallet = peer.wallet_address();
            earned.push((wallet, ledger.balance(Account::Wallet(wallet)).await?));
        }
        Ok(earned)
    }

    /// What left the vaults of viewers whom the faucet funded, and what they earned: they have
    /// more than their gift, and what left the vault, together.
    async fn of_guests(
        &self,
        ledger: &LedgerClient,
        guests: &[WalletAddress],
    ) -> Result<(Amount, Amount), NodeError> {
        let (mut paid, mut earned) = (Vec::new(), Vec::new());
        let domain = ledger.domain().await?;
        for guest in guests {
            let mut has = vec![ledger.balance(Account::Wallet(*guest)).await?];
            if let Some(vault) = ledger.vault(vault_id(&domain, *guest, 0)).await? {
                has.extend([vault.funded, vault.penalty]);
                paid.push(vault.redeemed);
            }
            earned.push(sum(has).checked_sub(faucet::gift()).unwrap_or(Amount::ZERO));
        }
        Ok((sum(paid), sum(earned)))
    }

    /// Collateral that is gone.
    async fn slashed(&self, ledger: &LedgerClient) -> Result<Amount, NodeError> {
        let mut slashed = Vec::new();
        for peer in &self.masternodes {
            let found = ledger.registration(peer.wallet_address(), *peer).await?;
            let left = found.map_or(Amount::ZERO, |found| found.collateral);
            slashed.push(self.collateral.checked_sub(left).unwrap_or(Amount::ZERO));
        }
        Ok(sum(slashed))
    }

    /// A dead node's disk has its vouchers, and anybody may hand them in for it.
    async fn redeem_for(&self, ledger: &LedgerClient, dead: &[PathBuf]) -> Result<(), NodeError> {
        let mut vouchers: Vec<SignedVoucher> = Vec::new();
        for place in dead {
            vouchers.extend(money::stored_vouchers(place)?);
        }
        for batch in vouchers.chunks(pop_incentive::ledger::limits::REDEEM_MAX) {
            let operation = Operation::Redeem { vouchers: batch.to_vec() };
            ledger.perform(&self.viewer, operation).await?;
        }
        Ok(())
    }

    fn is_dead(&self, payee: &WalletAddress, dead: &[PathBuf]) -> bool {
        let index = self.masternodes.iter().position(|peer| peer.wallet_address() == *payee);
        let name = index.map(|index| format!("node-{index:03}"));
        dead.iter().any(|place| name.as_ref().is_some_and(|name| place.ends_with(name)))
    }
}

fn sum(amounts: impl IntoIterator<Item = Amount>) -> Amount {
    // The ledger's supply fits, so does a part of it.
    amounts.into_iter().fold(Amount::ZERO, |sum, it| sum.checked_add(it).unwrap_or(sum))
}

fn pop(count: u128) -> Amount {
    Amount::ONE_POP.checked_mul(count).unwrap_or(Amount::ZERO)
}

/// Mint for everybody, lock the collateral of each masternode, fund the viewer's vault.
async fn endow(
    ledger: &LedgerClient,
    domain: &LedgerDomain,
    (masternodes, viewer): (&[Keypair], &Keypair),
    collateral: Amount,
) -> Result<(), NodeError> {
    let Some(operator) = masternodes.first() else { return Ok(()) };
    let (deposit, penalty) = (pop(VAULT_POP), pop(PENALTY_POP));
    let gifts = masternodes.iter().map(|key| (key, collateral));
    let gifts = gifts.chain([(viewer, sum([deposit, penalty]))]);
    let mut operations = Vec::new();
    for (nonce, (key, amount)) in (0..).zip(gifts) {
        let mint = Operation::Mint { to: key.peer_id().wallet_address(), amount };
        operations.push(SignedOperation::sign(mint, nonce, operator, domain));
    }
    // The first masternode has signed all the mints.
    let mut nonce = u64::try_from(operations.len()).unwrap_or(u64::MAX);
    for key in masternodes {
        let register =
            Operation::RegisterCollateral { operator: key.peer_id(), amount: collateral };
        operations.push(SignedOperation::sign(register, nonce, key, domain));
        nonce = 0;
    }
    let open = Operation::OpenVault { index: 0, deposit, penalty };
    operations.push(SignedOperation::sign(open, 0, viewer, domain));
    for result in ledger.submit_batch(operations).await? {
        result.map_err(|refusal| NodeError::Demo(format!("the ledger refuses: {refusal}")))?;
    }
    Ok(())
}
