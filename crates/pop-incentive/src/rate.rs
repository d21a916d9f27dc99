//! What bytes cost (`spec/incentive.md` §3).
//!
//! Prices are of cumulative counts and are rounded up once, in the total: whoever splits a
//! download into pieces pays exactly what it costs in one.

use pop_wire::Amount;

use crate::limits::TIERS_MAX;

/// Units of bits times tiers that one rate is the price of.
const UNITS_PER_MEGABIT: u128 = 1_000_000;

/// Bytes of 10^6 bits.
const MEGABIT_BYTES: u64 = 125_000;

/// Base units per megabit (10^6 bits) and tier of 100 kbit/s. Never zero: what is free needs no
/// voucher.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rate(Amount);

impl Rate {
    /// `None` for zero.
    pub fn new(per_megabit_and_tier: Amount) -> Option<Self> {
        (per_megabit_and_tier > Amount::ZERO).then_some(Self(per_megabit_and_tier))
    }

    /// Base units per megabit and tier.
    pub fn amount(self) -> Amount {
        self.0
    }
}

/// How fast a delivery is: its bitrate in steps of 100 kbit/s, a started one counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tier(u32);

impl Tier {
    /// Of a bitrate in kbit/s. `None` for zero and above 100 Gbit/s.
    pub fn of_kbps(kbps: u32) -> Option<Self> {
        let tiers = kbps.div_ceil(100);
        (1..=TIERS_MAX).contains(&tiers).then_some(Self(tiers))
    }

    /// Number of steps of 100 kbit/s.
    pub fn count(self) -> u32 {
        self.0
    }
}

/// A rate at a tier: what a byte costs.
///
/// ```
/// use pop_incentive::rate::{Rate, Tariff, Tier};
/// use pop_wire::Amount;
///
/// let tariff = Tariff {
///     rate: Rate::new(Amount::ONE_POP).unwrap(),
///     tier: Tier::of_kbps(500).unwrap(),
/// };
/// // 50 megabits at 500 kbit/s and a rate of 1 POP cost 50 * 5 = 250 POP.
/// let bytes = 50 * 1_000_000 / 8;
/// assert_eq!(tariff.price(bytes), Amount::ONE_POP.checked_mul(250));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tariff {
    /// Per megabit and tier.
    pub rate: Rate,
    /// Steps of 100 kbit/s.
    pub tier: Tier,
}

impl Tariff {
    /// Price of so many bytes in all, rounded up to a base unit. `None` if it doesn't fit.
    pub fn price(&self, bytes: u64) -> Option<Amount> {
        let units = u128::from(bytes) * self.units_per_byte();
        let rate = self.rate.0.base_units();
        let whole = rate.checked_mul(units / UNITS_PER_MEGABIT)?;
        let rest = rate.checked_mul(units % UNITS_PER_MEGABIT)?.div_ceil(UNITS_PER_MEGABIT);
        whole.checked_add(rest).map(Amount::from_base_units)
    }

    /// What a megabit costs, in base units, to choose among sources by: more than fits is as dear as
    /// can be.
    pub fn rank(&self) -> u64 {
        let price = self.price(MEGABIT_BYTES).map_or(u128::MAX, Amount::base_units);
        u64::try_from(price).unwrap_or(u64::MAX)
    }

    /// The most bytes that an amount pays for: the inverse of [`price`](Self::price), rounded down.
    pub fn bytes_for(&self, amount: Amount) -> u64 {
        let units = amount.base_units();
        let product = units.checked_mul(UNITS_PER_MEGABIT);
        let per_byte = self.rate.0.base_units().checked_mul(self.units_per_byte());
        match (product, per_byte) {
            (Some(product), Some(per_byte)) => {
                u64::try_from(product / per_byte).unwrap_or(u64::MAX)
            }
            _ => self.search_bytes_for(amount),
        }
    }

    /// The same where the division doesn't fit 128 bits.
    fn search_bytes_for(&self, amount: Amount) -> u64 {
        let (mut affordable, mut too_many) = (0, u64::MAX);
        let pays = |bytes| self.price(bytes).is_some_and(|price| price <= amount);
        if pays(too_many) {
            return too_many;
        }
        while too_many - affordable > 1 {
            let middle = affordable + (too_many - affordable) / 2;
            if pays(middle) { affordable = middle } else { too_many = middle }
        }
        affordable
    }

    /// Fits: at most 8 bits in 10^6 tiers.
    fn units_per_byte(&self) -> u128 {
        8 * u128::from(self.tier.0)
    }
}

/// What bytes cost when the tariff changes on the way: constant state for any number of changes.
///
/// Payer and payee change it at the same point, the greatest amount promised so far: what that
/// pays for is at the old tariff, what comes after is at the new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meter {
    pub(crate) tariff: Tariff,
    pub(crate) from_bytes: u64,
    pub(crate) from_amount: Amount,
}

impl Meter {
    /// From the first byte on.
    pub fn new(tariff: Tariff) -> Self {
        Self { tariff, from_bytes: 0, from_amount: Amount::ZERO }
    }

    /// The tariff of the next byte.
    pub fn tariff(&self) -> Tariff {
        self.tariff
    }

    /// What so many bytes in all cost; at least what was promised before the last change. `None`
    /// if it doesn't fit.
    pub fn price(&self, bytes: u64) -> Option<Amount> {
        let since = bytes.saturating_sub(self.from_bytes);
        self.from_amount.checked_add(self.tariff.price(since)?)
    }

    /// How many bytes in all an amount pays for. Of less than was promised at the last change,
    /// nothing is known: zero.
    pub fn bytes_for(&self, amount: Amount) -> u64 {
        match amount.checked_sub(self.from_amount) {
            Some(since) => self.from_bytes.saturating_add(self.tariff.bytes_for(since)),
            None => 0,
        }
    }

    /// Change the tariff once `promised` is spent. The part of it that pays for no whole byte is
    /// the payee's, so that changing often gains a payer nothing.
    pub fn change(&mut self, tariff: Tariff, promised: Amount) {
        if tariff == self.tariff {
            return;
        }
        let from_bytes = self.bytes_for(promised);
        *self = Self { tariff, from_bytes, from_amount: promised.max(self.from_amount) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tariff(rate: u128, kbps: u32) -> Tariff {
        let rate = Rate::new(Amount::from_base_units(rate)).unwrap();
        Tariff { rate, tier: Tier::of_kbps(kbps).unwrap() }
    }

    #[test]
    fn fifty_megabits_at_500_kbps_and_rate_one_cost_exactly_250() {
        let pop = Amount::ONE_POP.base_units();
        assert_eq!(tariff(pop, 500).price(6_250_000), Amount::ONE_POP.checked_mul(250));
        assert_eq!(tariff(1, 500).price(6_250_000), Some(Amount::from_base_units(250)));
        assert_eq!(tariff(1, 500).bytes_for(Amount::from_base_units(250)), 6_250_000);
    }

    #[test]
    fn a_started_tier_counts_and_none_is_no_tier() {
        for (kbps, tiers) in [(1, 1), (100, 1), (101, 2), (500, 5), (100_000_000, 1_000_000)] {
            assert_eq!(Tier::of_kbps(kbps).unwrap().count(), tiers);
        }
        assert_eq!(Tier::of_kbps(0), None);
        assert_eq!(Tier::of_kbps(100_000_001), None);
        assert_eq!(Tier::of_kbps(u32::MAX), None);
        assert_eq!(Rate::new(Amount::ZERO), None);
    }

    #[test]
    fn a_price_is_rounded_up_once_however_a_download_is_split() {
        for (rate, kbps) in [(1, 100), (7, 500), (999_999, 1234), (10_u128.pow(18) + 1, 2500)] {
            let meter = Meter::new(tariff(rate, kbps));
            for piece in [1, 3, 1000, 65_536, 77_777] {
                let (mut bytes, mut paid) = (0_u64, 0);
                for _ in 0..100 {
                    bytes += piece;
                    paid += meter.price(bytes).unwrap().base_units() - paid;
                }
                assert_eq!(Amount::from_base_units(paid), tariff(rate, kbps).price(bytes).unwrap());
                let exact = rate * 8 * u128::from(kbps.div_ceil(100)) * u128::from(bytes);
                assert_eq!(paid, exact.div_ceil(1_000_000));
            }
        }
    }

    #[test]
    fn what_an_amount_pays_for_is_the_inverse_of_the_price() {
        let mut state = 7_u64;
        let mut random = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            state >> 20
        };
        for _ in 0..20_000 {
            let tariff = tariff(
                (u128::from(random()) << (random() % 80)).max(1),
                u32::try_from(1 + random() % 1_000_000).unwrap(),
            );
            let amount = Amount::from_base_units(u128::from(random()) << (random() % 84));
            let bytes = tariff.bytes_for(amount);
            assert_eq!(bytes, tariff.search_bytes_for(amount), "{tariff:?} {amount:?}");
            assert!(bytes == 0 || tariff.price(bytes).unwrap() <= amount);
            assert!(
                bytes == u64::MAX || tariff.price(bytes + 1).is_none_or(|price| price > amount)
            );
        }
    }

    #[test]
    fn a_price_that_does_not_fit_is_none() {
        assert_eq!(tariff(u128::MAX, 100).price(u64::MAX), None);
        assert_eq!(tariff(u128::MAX, 100).price(1), None);
        assert_eq!(
            tariff(u128::MAX / 8, 100).price(125_000),
            Some(Amount::from_base_units(u128::MAX / 8))
        );
        assert_eq!(tariff(u128::MAX / 8, 100).price(2_000_000), None);
        assert_eq!(tariff(1, 100).bytes_for(Amount::from_base_units(u128::MAX)), u64::MAX);
        let mut meter = Meter::new(tariff(1, 100));
        meter.change(tariff(2, 100), Amount::from_base_units(u128::MAX));
        assert_eq!(meter.price(u64::MAX), Some(Amount::from_base_units(u128::MAX)));
        assert_eq!(meter.bytes_for(Amount::from_base_units(u128::MAX)), u64::MAX);
    }

    #[test]
    fn changing_the_tariff_never_makes_bytes_cheaper_than_both() {
        let (cheap, dear) = (tariff(3, 100), tariff(10, 100));
        let mut meter = Meter::new(dear);
        let mut promised = Amount::ZERO;
        for turn in 1..200_u64 {
            promised = meter.price(turn * 1000).unwrap().max(promised);
            assert!(meter.bytes_for(promised) >= turn * 1000);
            assert!(promised >= cheap.price(turn * 1000).unwrap());
            meter.change(if turn % 2 == 0 { dear } else { cheap }, promised);
            assert_eq!(meter.price(meter.from_bytes), Some(promised));
        }
    }
}
