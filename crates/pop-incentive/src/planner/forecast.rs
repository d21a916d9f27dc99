//! What a node may expect to earn, before it stakes anything: [`forecast`].

use pop_wire::Amount;

use crate::planner::{Candidate, NodeBudget, PlanError, StoragePlan, plan};
use crate::rate::Tariff;
use crate::rewards::RewardPolicy;

/// What a masternode is given to hold, and the emission that it shares in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Assignment {
    /// The node's collateral.
    pub stake: Amount,
    /// Bytes that placement will assign to it: as much as to others of its kind.
    pub assigned_bytes: u64,
    /// Bytes that others took from a node of its kind in as long a time.
    pub served_bytes: u64,
    /// What it asks for them.
    pub tariff: Tariff,
    /// How rewards are shared.
    pub policy: RewardPolicy,
    /// The first epoch that counts.
    pub epoch: u64,
    /// Epochs that end before the horizon.
    pub epochs: u64,
    /// Weight of all other nodes together, by [`RewardPolicy::weight`].
    pub others_weight: u128,
}

/// What a node may expect until the horizon. It is a guess under these assumptions:
///
/// - demand, prices, and what others hold and stake stay as they are;
/// - viewers choose among holders without preference, and pay; every audit passes;
/// - the node is up all the time, and what it can send is the only limit on what it serves;
/// - disk costs for what is used of it, as long as it is used.
///
/// A node that is slower, dearer or less reachable than others earns less than it says.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Forecast {
    /// What to hold beside what is assigned.
    pub speculation: StoragePlan,
    /// Bytes served of what is assigned.
    pub assigned_served_bytes: u64,
    /// What these are worth.
    pub assigned_revenue: Amount,
    /// The node's part of the emission.
    pub emission: Amount,
    /// What the disk costs, and getting what is speculated with.
    pub cost: Amount,
    /// What is put up, and comes back.
    pub stake: Amount,
}

impl Forecast {
    /// All that comes in. `None` if it is more than an amount can be.
    pub fn earned(&self) -> Option<Amount> {
        self.speculation.revenue.checked_add(self.assigned_revenue)?.checked_add(self.emission)
    }

    /// What is left: `Ok`, or by how much it loses: `Err`. `None` on overflow.
    pub fn net(&self) -> Option<Result<Amount, Amount>> {
        let earned = self.earned()?;
        Some(earned.checked_sub(self.cost).ok_or_else(|| {
            self.cost.checked_sub(earned).expect("one of the two differences is there")
        }))
    }
}

/// What a node with this budget may expect, with an assignment if it is to be a masternode, and
/// with what it could speculate with. Assigned columns have their place on the disk and their
/// upload first.
///
/// # Errors
/// [`PlanError`].
pub fn forecast(
    candidates: &[Candidate],
    budget: &NodeBudget,
    assignment: Option<&Assignment>,
) -> Result<Forecast, PlanError> {
    let Some(assignment) = assignment else {
        let speculation = plan(candidates, budget)?;
        let cost = speculation.cost;
        return Ok(Forecast {
            speculation,
            assigned_served_bytes: 0,
            assigned_revenue: Amount::ZERO,
            emission: Amount::ZERO,
            cost,
            stake: Amount::ZERO,
        });
    };
    let assigned = assignment.assigned_bytes.min(budget.quota_bytes);
    let served = assignment.served_bytes.min(budget.upload_bytes);
    let rest = NodeBudget {
        quota_bytes: budget.quota_bytes - assigned,
        upload_bytes: budget.upload_bytes - served,
        ..*budget
    };
    let speculation = plan(candidates, &rest)?;
    let disk = budget.storage.of(assigned, budget.horizon_s).ok_or(PlanError::Overflow)?;
    Ok(Forecast {
        assigned_served_bytes: served,
        assigned_revenue: assignment.tariff.price(served).ok_or(PlanError::Overflow)?,
        emission: emission(assignment, assigned)?,
        cost: speculation.cost.checked_add(disk).ok_or(PlanError::Overflow)?,
        stake: assignment.stake,
        speculation,
    })
}

fn emission(assignment: &Assignment, assigned_bytes: u64) -> Result<Amount, PlanError> {
    let Assignment { stake, policy, others_weight, .. } = *assignment;
    let weight = policy.covered(assigned_bytes.into(), stake);
    let total = others_weight.checked_add(weight).ok_or(PlanError::Overflow)?;
    let mut sum = Amount::ZERO;
    for epoch in 0..assignment.epochs.min(EPOCHS_MAX) {
        let epoch = assignment.epoch.saturating_add(epoch);
        let payment = policy.payment(epoch, (weight, total), stake);
        sum = payment.and_then(|payment| sum.checked_add(payment)).ok_or(PlanError::Overflow)?;
    }
    Ok(sum)
}

/// Epochs of a forecast: ten years of weeks. Further than that is no forecast.
const EPOCHS_MAX: u64 = 522;
