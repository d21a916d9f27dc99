//! Which contents are worth their place on a disk (`spec/incentive.md` §15.3).
//!
//! A node that stores beside what placement assigned to it speculates: it pays for the disk and
//! for getting the columns, and earns if they are asked for. The planner weighs what each further
//! column would earn, given how many others there are, against what it costs, and fills the disk
//! with what earns most. It decides nothing about safety: what placement assigned stays.
//!
//! ```
//! use pop_incentive::planner::{Candidate, NodeBudget, plan};
//! use pop_incentive::rate::{Rate, Tariff, Tier};
//! use pop_incentive::scarcity::Supply;
//! use pop_incentive::storage_cost::{MONTH_S, StorageCost};
//! use pop_wire::{Amount, ContentId};
//!
//! // Two films of 4.5 GB that are seen 100 times a month. Amounts are in 10^-9 dollars: bytes
//! // cost $2 per TB, which is 250 a megabit.
//! let base = Tariff {
//!     rate: Rate::new(Amount::from_base_units(250)).unwrap(),
//!     tier: Tier::of_kbps(100).unwrap(),
//! };
//! let film = |id, live| Candidate {
//!     content: ContentId([id; 32]),
//!     supply: Supply::new(live, 30, 80).unwrap(),
//!     copies: u32::from(live),
//!     held: 0,
//!     column_bytes: 150_000_000,
//!     demand_bytes: 100 * 4_500_000_000,
//!     base,
//!     acquire: base.price(150_000_000).unwrap(),
//! };
//! let budget = NodeBudget {
//!     quota_bytes: 150_000_000,
//!     upload_bytes: 1 << 50,
//!     horizon_s: MONTH_S,
//!     storage: StorageCost::per_gigabyte_month(Amount::from_base_units(4_000_000)),
//! };
//! // There is room for one column: of the film that others let go.
//! let plan = plan(&[film(1, 80), film(2, 34)], &budget).unwrap();
//! assert_eq!(plan.picks.len(), 1);
//! assert_eq!(plan.picks[0].content, ContentId([2; 32]));
//! assert_eq!(plan.bytes, 150_000_000);
//! ```

mod forecast;
mod greedy;

use pop_wire::{Amount, ContentId};

use crate::limits::PLAN_CANDIDATES_MAX;
use crate::rate::Tariff;
use crate::scarcity::Supply;
use crate::storage_cost::StorageCost;

pub use forecast::{Assignment, Forecast, forecast};

/// A content that the node could hold columns of, as it knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// Which.
    pub content: ContentId,
    /// Different columns that others hold.
    pub supply: Supply,
    /// Columns that others hold, each holder's counted: among these the demand is shared.
    pub copies: u32,
    /// Columns that this node holds already and needn't get.
    pub held: u16,
    /// Bytes of a column on the disk.
    pub column_bytes: u64,
    /// Bytes that all viewers together will take from all holders until the horizon. A guess:
    /// what was asked for in as long a time is the usual one.
    pub demand_bytes: u64,
    /// What is asked for bytes while all columns live.
    pub base: Tariff,
    /// What it costs to get one more column: that of its bytes from who has it, or of k columns
    /// to rebuild it from.
    pub acquire: Amount,
}

/// What a node has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NodeBudget {
    /// Bytes of disk for all of this.
    pub quota_bytes: u64,
    /// Bytes that it can send until the horizon.
    pub upload_bytes: u64,
    /// Seconds that are planned for.
    pub horizon_s: u64,
    /// What its disk costs.
    pub storage: StorageCost,
}

/// What to hold of one content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pick {
    /// Which.
    pub content: ContentId,
    /// How many columns in all, those that are held already included. Fewer than k.
    pub columns: u16,
    /// Bytes that they will serve until the horizon.
    pub served_bytes: u64,
    /// What these are worth.
    pub revenue: Amount,
    /// What they cost: disk, and getting those that are not held.
    pub cost: Amount,
}

/// What to hold of all. What isn't in it isn't worth its place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoragePlan {
    /// By content.
    pub picks: Vec<Pick>,
    /// Bytes on the disk.
    pub bytes: u64,
    /// Bytes that will be served.
    pub served_bytes: u64,
    /// What these are worth.
    pub revenue: Amount,
    /// What all of it costs.
    pub cost: Amount,
}

impl StoragePlan {
    /// What is left. Never negative: what would lose isn't picked.
    pub fn profit(&self) -> Amount {
        self.revenue.checked_sub(self.cost).unwrap_or(Amount::ZERO)
    }
}

/// Why there is no plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// More contents than are looked at: a limit. Pass those with the most demand.
    #[error("candidates: expected at most {max}, got {got}")]
    TooMany {
        /// Limit.
        max: usize,
        /// How many there are.
        got: usize,
    },
    /// A sum is more than an amount can be: a rate or a cost of the caller's is to blame.
    #[error("plan: more than an amount can be")]
    Overflow,
}

/// Choose what to hold. The same input gives the same plan, whatever its order.
///
/// Columns are taken one by one, the most profitable first: per byte of disk, per byte of upload,
/// and per both; the best of the three plans is returned. Among equals, the content of which fewer
/// columns can be lost comes first. With upload to spare, the best plan there is earns at most what one
/// column earns more.
///
/// # Errors
/// [`PlanError`].
pub fn plan(candidates: &[Candidate], budget: &NodeBudget) -> Result<StoragePlan, PlanError> {
    let (max, got) = (PLAN_CANDIDATES_MAX, candidates.len());
    if got > max {
        return Err(PlanError::TooMany { max, got });
    }
    let mut best = StoragePlan::default();
    for scarce in greedy::Scarce::ALL {
        let found = greedy::fill(candidates, budget, scarce)?;
        if found.profit() > best.profit() {
            best = found;
        }
    }
    Ok(best)
}

/// What so many columns of a content serve and earn until the horizon, if viewers choose among all
/// that live without preference. `None` on overflow.
fn earnings(candidate: &Candidate, columns: u16) -> Option<(u64, Amount)> {
    let supply = candidate.supply.with_more(columns);
    if columns == 0 || supply.is_lost() {
        return Some((0, Amount::ZERO));
    }
    let own = u128::from(columns);
    let all = u128::from(candidate.copies.max(candidate.supply.live().into())) + own;
    let served = u128::from(candidate.demand_bytes) * own / all;
    let served = u64::try_from(served).ok()?;
    let rate = supply.asked(candidate.base.rate)?;
    Some((served, Tariff { rate, ..candidate.base }.price(served)?))
}
