//! Emission: new money for audited storage and stake, never for bytes that were moved
//! (`spec/incentive.md` §14).
//!
//! Who serves bytes is paid by who got them. If the network paid for bytes too, everybody would
//! download from itself. What it pays for is what nobody can make alone: columns that placement
//! assigned to a node, which answered for them when it was asked at random, up to what its
//! collateral stands for. Without any of the three the reward is nothing.
//!
//! ```
//! use pop_incentive::ledger::LedgerParameters;
//! use pop_incentive::rewards::{RewardPolicy, StorageAudit, emissions, rewards};
//! use pop_wire::{Amount, Keypair};
//!
//! let node = Keypair::from_secret_bytes(&[7; 32]).unwrap().peer_id();
//! let parameters = LedgerParameters::new(node.wallet_address());
//! let policy = RewardPolicy::new(&parameters);
//! let audit = StorageAudit {
//!     operator: node,
//!     owner: node.wallet_address(),
//!     stake: parameters.collateral_min,
//!     assigned_bytes: 500_000_000_000,
//!     asked: 200,
//!     passed: 200,
//!     proven_wrong: false,
//! };
//! let paid = rewards(&[audit], 0, &policy).unwrap();
//! // Alone it would get the whole budget, but for the greatest yield: 0.2 % of 50,000 POP.
//! assert_eq!(paid[0].amount, Amount::ONE_POP.checked_mul(100).unwrap());
//! assert_eq!(emissions(0, &paid).len(), 1);
//! ```

use std::collections::BTreeMap;

use pop_wire::{Amount, PeerId, WalletAddress};

use crate::ledger::limits::{LIST_LEN_MAX, WHOLE_BPS};
use crate::ledger::{LedgerParameters, Operation, portion};
use crate::limits::REWARD_NODES_MAX;
use crate::rate::Tariff;
use crate::storage_cost::StorageCost;

/// How much may be emitted in which epoch: constant, then half, then a quarter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EmissionSchedule {
    /// Base units of epoch 0.
    pub first: Amount,
    /// Epochs from one halving to the next; zero for never.
    pub halving_epochs: u64,
}

impl EmissionSchedule {
    /// The most that epoch `epoch` may emit.
    pub fn budget(&self, epoch: u64) -> Amount {
        let halvings = epoch.checked_div(self.halving_epochs).unwrap_or(0);
        let halvings = u32::try_from(halvings).unwrap_or(u32::MAX);
        Amount::from_base_units(self.first.base_units().checked_shr(halvings).unwrap_or(0))
    }

    /// What is emitted in all eternity, at most: twice what comes before the first halving.
    /// `None` if it never halves or doesn't fit.
    pub fn total_max(&self) -> Option<Amount> {
        let halving = (self.halving_epochs > 0).then_some(u128::from(self.halving_epochs))?;
        self.first.checked_mul(halving.checked_mul(2)?)
    }
}

/// What the users of a ledger agree on about rewards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct RewardPolicy {
    /// How much in all.
    pub schedule: EmissionSchedule,
    /// Least stake that counts: the least collateral of the ledger.
    pub stake_min: Amount,
    /// Bytes that a staked POP stands for. 20 MB: 50,000 POP stand for a terabyte.
    pub bytes_per_pop: u64,
    /// Most that a stake earns in one epoch, in 10,000. 20: about 10 % a year. Whatever is stored
    /// or pretended, nobody gets more.
    pub yield_max_bps: u64,
    /// Least part of the audits that must pass, in 10,000. 9,600, as Storj has it.
    pub pass_min_bps: u64,
    /// Audits below which nothing is known, and nothing paid. With 100, a node that lacks a tenth
    /// of its bytes is not paid in 97.6 % of the epochs.
    pub asked_min: u64,
}

impl RewardPolicy {
    /// The defaults, within a ledger's own limits. Halving every 208 epochs: of a week, 4 years.
    pub fn new(parameters: &LedgerParameters) -> Self {
        let first = parameters.emission_per_epoch;
        Self {
            schedule: EmissionSchedule { first, halving_epochs: 208 },
            stake_min: parameters.collateral_min,
            bytes_per_pop: 20_000_000,
            yield_max_bps: 20,
            pass_min_bps: 9_600,
            asked_min: 100,
        }
    }

    /// What a node counts for, in bytes: what it holds as audited, up to what it staked for.
    /// A sum of two nodes never counts for more than one node with the sum of their bytes and
    /// stakes would: splitting gains nothing.
    pub fn weight(&self, audit: &StorageAudit) -> u128 {
        let StorageAudit { asked, passed, .. } = *audit;
        let least = u128::from(asked) * u128::from(self.pass_min_bps);
        let enough = u128::from(passed) * u128::from(WHOLE_BPS) >= least;
        let sound = asked >= self.asked_min.max(1) && passed <= asked && enough;
        if !sound || audit.proven_wrong {
            return 0;
        }
        let held = u128::from(audit.assigned_bytes) * u128::from(passed) / u128::from(asked);
        self.covered(held, audit.stake)
    }

    /// Of so many bytes, those that a stake stands for.
    pub(crate) fn covered(&self, bytes: u128, stake: Amount) -> u128 {
        if stake < self.stake_min {
            return 0;
        }
        match portion(stake, self.bytes_per_pop.into(), Amount::ONE_POP.base_units()) {
            Some(staked) => bytes.min(staked.base_units()),
            None => bytes,
        }
    }

    /// What a weight among all weights gets in an epoch. `None` if it doesn't fit.
    pub(crate) fn payment(
        &self,
        epoch: u64,
        (weight, total): (u128, u128),
        stake: Amount,
    ) -> Option<Amount> {
        let Some(share) = portion(self.schedule.budget(epoch), weight, total) else {
            return Some(Amount::ZERO);
        };
        Some(share.min(portion(stake, self.yield_max_bps.into(), WHOLE_BPS.into())?))
    }
}

/// What auditors found about one masternode in an epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StorageAudit {
    /// The node.
    pub operator: PeerId,
    /// Who put up its collateral, and is paid.
    pub owner: WalletAddress,
    /// Its collateral, not leaving, at the end of the epoch.
    pub stake: Amount,
    /// Bytes of the columns that placement assigned to it, of contents that were there before
    /// the epoch began. Not what it holds besides: for that, who wants it pays.
    pub assigned_bytes: u64,
    /// Challenges that were sent to it, whether it was reached or not.
    pub asked: u64,
    /// Challenges that it answered rightly and in time.
    pub passed: u64,
    /// Whether it signed a wrong answer.
    pub proven_wrong: bool,
}

/// What somebody gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Payment {
    /// Who.
    pub payee: WalletAddress,
    /// More than zero.
    pub amount: Amount,
}

/// Why rewards can't be computed: the caller's fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RewardError {
    /// A node stands there twice, or the list isn't ascending by node.
    #[error("audits: expected ascending by node, without doubles")]
    Order,
    /// More nodes than are looked at.
    #[error("audits: expected at most {max}, got {got}")]
    TooMany {
        /// Limit.
        max: usize,
        /// How many there are.
        got: usize,
    },
    /// A sum is more than an amount can be.
    #[error("rewards: more than an amount can be")]
    Overflow,
}

/// Who gets what of an epoch's budget, ascending by payee. In proportion to
/// [`RewardPolicy::weight`], and never more than [`RewardPolicy::yield_max_bps`] of a stake. All
/// is rounded down; what is left is not emitted.
///
/// # Errors
/// [`RewardError`]: the caller's fault.
pub fn rewards(
    audits: &[StorageAudit],
    epoch: u64,
    policy: &RewardPolicy,
) -> Result<Vec<Payment>, RewardError> {
    let (max, got) = (REWARD_NODES_MAX, audits.len());
    if got > max {
        return Err(RewardError::TooMany { max, got });
    }
    if !audits.is_sorted_by(|one, next| one.operator < next.operator) {
        return Err(RewardError::Order);
    }
    // At most 2^16 weights below 2^64 each.
    let total: u128 = audits.iter().map(|audit| policy.weight(audit)).sum();
    let mut payments = BTreeMap::<WalletAddress, Amount>::new();
    for audit in audits {
        let share = policy.payment(epoch, (policy.weight(audit), total), audit.stake);
        let share = share.ok_or(RewardError::Overflow)?;
        let sum = payments.entry(audit.owner).or_default();
        *sum = sum.checked_add(share).ok_or(RewardError::Overflow)?;
    }
    let payments = payments.into_iter().map(|(payee, amount)| Payment { payee, amount });
    Ok(payments.filter(|payment| payment.amount > Amount::ZERO).collect())
}

/// The operations that pay for an epoch, for the ledger's operator to sign. The same payments
/// give the same operations.
pub fn emissions(epoch: u64, payments: &[Payment]) -> Vec<Operation> {
    let emit = |payments: &[Payment]| Operation::Emit {
        epoch,
        payees: payments.iter().map(|payment| payment.payee).collect(),
        amounts: payments.iter().map(|payment| payment.amount).collect(),
    };
    payments.chunks(LIST_LEN_MAX).map(emit).collect()
}

/// How often a column must be asked for in an epoch so that not storing it, and downloading k
/// shards of other holders for each answer instead, costs as much as storing it. `None` if a
/// shard costs nothing or a sum doesn't fit.
///
/// Who gets those shards for nothing, because it holds k other columns itself, isn't stopped by
/// any number of audits (`spec/incentive.md` §14.3).
pub fn audits_needed(
    (column_bytes, shard_bytes, k): (u64, u64, u16),
    (storage, epoch_s): (StorageCost, u64),
    download: Tariff,
) -> Option<u64> {
    let saved = storage.of(column_bytes, epoch_s)?.base_units();
    let answer = download.price(shard_bytes.checked_mul(k.into())?)?.base_units();
    if answer == 0 { None } else { u64::try_from(saved.div_ceil(answer)).ok() }
}
