//! What it costs to keep bytes on a disk (`spec/incentive.md` §15.1).

use pop_wire::Amount;

use crate::ledger::portion;

/// Seconds of a month: a twelfth of 365 days, so that ten years are 120 months exactly.
pub const MONTH_S: u64 = 365 * 86_400 / 12;

const GIGABYTE: u64 = 1_000_000_000;

/// What a node pays for its disk: base units per gigabyte (10^9 bytes) and month ([`MONTH_S`]).
///
/// What a dollar is worth in POP nobody here knows. Costs in dollars are reckoned the same way,
/// with another unit, and then converted by [`at_exchange_rate`].
///
/// The standard film: two hours at 5,000 kbit/s are 4.5 GB. With 30 data shards of 80 the network
/// keeps 12 GB of it. At $0.004 per GB-month, ten years of it cost $5.76, and ten years of one of
/// its 80 columns cost 7.2 cents:
///
/// ```
/// use pop_incentive::storage_cost::{MONTH_S, StorageCost, at_exchange_rate};
/// use pop_wire::Amount;
///
/// let film_bytes: u64 = 2 * 3600 * 5_000_000 / 8;
/// assert_eq!(film_bytes, 4_500_000_000);
/// let (k, n) = (30, 80);
/// let column_bytes = film_bytes / k;
/// let ten_years_s = 120 * MONTH_S;
///
/// // In millionths of a dollar: $0.004 are 4,000.
/// let cost = StorageCost::per_gigabyte_month(Amount::from_base_units(4_000));
/// let film = cost.of(column_bytes * n, ten_years_s).unwrap();
/// assert_eq!(film.base_units(), 5_760_000);
/// let column = cost.of(column_bytes, ten_years_s).unwrap();
/// assert_eq!(column.base_units(), 72_000);
///
/// // At, say, 20 POP a dollar, the film costs 115.2 POP.
/// let pop_per_dollar = Amount::ONE_POP.checked_mul(20).unwrap();
/// let in_pop = at_exchange_rate(film.base_units(), pop_per_dollar).unwrap();
/// assert_eq!(in_pop.to_string(), "115.2 POP");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StorageCost(Amount);

impl StorageCost {
    /// Of a price per gigabyte and month.
    pub fn per_gigabyte_month(amount: Amount) -> Self {
        Self(amount)
    }

    /// What so many bytes cost for so many seconds, rounded up. `None` if it doesn't fit.
    pub fn of(&self, bytes: u64, seconds: u64) -> Option<Amount> {
        let byte_seconds = u128::from(bytes) * u128::from(seconds);
        portion_up(self.0, byte_seconds, GIGABYTE * MONTH_S)
    }
}

/// Millionths of a dollar at so many base units per dollar, rounded up. The rate is the caller's.
/// `None` if it doesn't fit.
pub fn at_exchange_rate(micro_dollars: u128, per_dollar: Amount) -> Option<Amount> {
    portion_up(per_dollar, micro_dollars, 1_000_000)
}

/// `amount * part / whole`, rounded up.
fn portion_up(amount: Amount, part: u128, whole: u64) -> Option<Amount> {
    let whole = u128::from(whole);
    let down = portion(amount, part, whole)?;
    // Both residues are below 2^64: their product fits.
    let rest = (amount.base_units() % whole) * (part % whole) % whole;
    if rest == 0 { Some(down) } else { down.checked_add(Amount::from_base_units(1)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn costs_round_up_and_what_does_not_fit_is_none() {
        let cost = |units| StorageCost::per_gigabyte_month(Amount::from_base_units(units));
        assert_eq!(cost(7).of(0, u64::MAX), Some(Amount::ZERO));
        assert_eq!(cost(7).of(1, 1), Some(Amount::from_base_units(1)));
        assert_eq!(cost(7).of(GIGABYTE, MONTH_S), Some(Amount::from_base_units(7)));
        assert_eq!(cost(7).of(GIGABYTE + 1, MONTH_S), Some(Amount::from_base_units(8)));
        assert_eq!(cost(u128::MAX).of(u64::MAX, u64::MAX), None);
        assert_eq!(cost(u128::MAX).of(GIGABYTE, MONTH_S + 1), None);
        assert_eq!(at_exchange_rate(u128::MAX, Amount::ONE_POP), None);
        assert_eq!(
            at_exchange_rate(1, Amount::from_base_units(1)),
            Some(Amount::from_base_units(1))
        );
    }
}
