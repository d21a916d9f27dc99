//! What holders ask when columns die: bounded, monotone, and whom it pays to feign scarcity.

#![expect(clippy::unwrap_used, reason = "a test panics where it fails")]

use pop_incentive::limits::SCARCITY_FACTOR_MAX;
use pop_incentive::rate::{Rate, Tariff, Tier};
use pop_incentive::scarcity::Supply;
use pop_wire::Amount;
use proptest::prelude::*;

fn rate(units: u128) -> Rate {
    Rate::new(Amount::from_base_units(units)).unwrap()
}

fn asked(base: u128, live: u16, (k, n): (u16, u16)) -> u128 {
    Supply::new(live, k, n).unwrap().asked(rate(base)).unwrap().amount().base_units()
}

proptest! {
    #[test]
    fn a_rate_rises_as_columns_die_and_never_over_four_times(
        base in 1_u128..1 << 100,
        n in 1_u16..=255,
        part in 0_u16..=255,
        live in 0_u16..=300,
    ) {
        let k = 1 + part % n;
        let ask = asked(base, live, (k, n));
        prop_assert!((base..=base * u128::from(SCARCITY_FACTOR_MAX)).contains(&ask));
        prop_assert!(asked(base, live + 1, (k, n)) <= ask, "never dearer with one more");
        prop_assert!(asked(base + 1, live, (k, n)) >= ask, "never cheaper at a higher base");
        prop_assert_eq!(asked(base, n, (k, n)), base, "the base rate while all live");
        if live <= k && k < n {
            prop_assert_eq!(ask, 4 * base, "the most when the next loss is the last");
        }
    }
}

#[test]
fn a_film_never_costs_more_than_four_times_its_base_price() {
    let tier = Tier::of_kbps(5_000).unwrap();
    let film = |rate| Tariff { rate, tier }.price(4_500_000_000).unwrap().base_units();
    let base = rate(1_000_000_007);
    for live in 0..=80 {
        let ask = Supply::new(live, 30, 80).unwrap().asked(base).unwrap();
        assert!(film(ask) <= 4 * film(base), "{live} columns");
    }
}

/// Income of a holder of `own` columns of `live`, which shows all but `hidden` of them; the
/// demand is shared among those that are shown.
fn income(own: u16, live: u16, hidden: u16, geometry: (u16, u16)) -> f64 {
    let shown = live - hidden;
    let ask = asked(1_000_000_000, shown, geometry);
    #[expect(clippy::cast_precision_loss, reason = "compared with a margin only")]
    let ask = ask as f64;
    ask * f64::from(own - hidden) / f64::from(shown)
}

/// The fewest columns of whose holder hiding some pays, at any count of live ones.
fn fewest_that_gain((k, n): (u16, u16)) -> Option<u16> {
    (1..=n).find(|own| {
        (k.max(*own)..=n).any(|live| {
            let honest = income(*own, live, 0, (k, n));
            (1..*own)
                .filter(|hidden| live - hidden >= k)
                .any(|hidden| income(*own, live, hidden, (k, n)) > honest * 1.000_001)
        })
    })
}

#[test]
fn hiding_columns_to_raise_the_rate_pays_only_who_holds_many() {
    let mut worst = (u16::MAX, (0, 0));
    for (k, n) in [(30, 80), (40, 80), (22, 64), (19, 27), (10, 14), (4, 8), (2, 3)] {
        let fewest = fewest_that_gain((k, n));
        println!("({k}, {n}): hiding pays from {fewest:?} columns of one content on");
        worst = worst.min((fewest.unwrap_or(u16::MAX), (k, n)));
    }
    assert_eq!(fewest_that_gain((30, 80)), Some(15));
    for n in 2..=48 {
        for k in 1..n {
            // With one column there is nothing to sell after hiding it.
            assert!(fewest_that_gain((k, n)).is_none_or(|own| own > 1), "({k}, {n})");
        }
    }
    println!("fewest of all: {worst:?}");
}

#[test]
fn what_does_not_fit_is_none_and_what_is_no_geometry_too() {
    assert_eq!(Supply::new(1, 0, 3), None);
    assert_eq!(Supply::new(1, 4, 3), None);
    let most = rate(u128::MAX);
    assert_eq!(Supply::new(30, 30, 80).unwrap().asked(most), None);
    assert_eq!(Supply::new(80, 30, 80).unwrap().asked(most), Some(most));
    assert_eq!(Supply::new(5, 6, 6).unwrap().asked(rate(7)), Some(rate(28)));
    assert_eq!(Supply::new(6, 6, 6).unwrap().asked(rate(7)), Some(rate(7)));
    let supply = Supply::new(u16::MAX, 30, 80).unwrap();
    assert_eq!((supply.live(), supply.spare(), supply.is_lost()), (80, 50, false));
}
