//! What a holder asks when columns become rare (`spec/incentive.md` §15.2).
//!
//! The rate rises in a straight line from the base rate, while all n columns live, to
//! [`SCARCITY_FACTOR_MAX`] times the base rate, when only the k are left without which the content
//! is lost. So who holds what others let go earns more, and a viewer never pays more than that
//! many times the base rate, however few are left.
//!
//! A viewer who counts the columns itself can reckon what is asked, and refuse more.
//!
//! ```
//! use pop_incentive::rate::Rate;
//! use pop_incentive::scarcity::Supply;
//! use pop_wire::Amount;
//!
//! let base = Rate::new(Amount::from_base_units(100)).unwrap();
//! let asked = |live| Supply::new(live, 30, 80).unwrap().asked(base).unwrap();
//! assert_eq!(asked(80).amount().base_units(), 100);
//! assert_eq!(asked(55).amount().base_units(), 250);
//! assert_eq!(asked(30).amount().base_units(), 400);
//! assert_eq!(asked(0), asked(30), "never more");
//! ```

use crate::ledger::portion;
use crate::limits::SCARCITY_FACTOR_MAX;
use crate::rate::Rate;

/// How many columns of a content live, of how many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Supply {
    live: u16,
    k: u16,
    n: u16,
}

impl Supply {
    /// `live` different columns somewhere, of `n`, of which `k` rebuild the content. More than n
    /// counts as n. `None` unless `0 < k <= n`.
    ///
    /// Pass the greatest count of the last day, not that of the moment: a column that blinks
    /// would move the rate.
    pub fn new(live: u16, k: u16, n: u16) -> Option<Self> {
        (0 < k && k <= n).then_some(Self { live: live.min(n), k, n })
    }

    /// Different columns that live.
    pub fn live(&self) -> u16 {
        self.live
    }

    /// Columns that rebuild the content.
    pub fn k(&self) -> u16 {
        self.k
    }

    /// Columns in all.
    pub fn n(&self) -> u16 {
        self.n
    }

    /// The same content with so many columns more.
    pub fn with_more(&self, columns: u16) -> Self {
        Self { live: self.live.saturating_add(columns).min(self.n), ..*self }
    }

    /// Columns that can still be lost before the content is.
    pub fn spare(&self) -> u16 {
        self.live.saturating_sub(self.k)
    }

    /// Whether too few live to rebuild the content.
    pub fn is_lost(&self) -> bool {
        self.live < self.k
    }

    /// What a holder asks, given what it asks while all columns live: from once to
    /// [`SCARCITY_FACTOR_MAX`] times the base rate, never falling as columns die. Rounded down.
    /// `None` if it doesn't fit.
    pub fn asked(&self, base: Rate) -> Option<Rate> {
        let span = u128::from(self.n - self.k);
        let missing = u128::from(self.n - self.live.max(self.k));
        let more = u128::from(SCARCITY_FACTOR_MAX - 1);
        let (part, whole) = match span {
            // There is nothing between all and lost.
            0 if self.is_lost() => (1 + more, 1),
            0 => (1, 1),
            _ => (span + more * missing, span),
        };
        portion(base.amount(), part, whole).and_then(Rate::new)
    }
}
