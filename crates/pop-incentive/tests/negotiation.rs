//! The cheapest sources that meet the deadline, against every assignment there is.

#![expect(clippy::unwrap_used, reason = "a test panics where it fails")]

use pop_incentive::negotiate::{Need, NegotiateError, Source, cheapest};
use pop_wire::{Amount, ColumnIndex, ColumnSet};

fn units(units: u128) -> Amount {
    Amount::from_base_units(units)
}

fn columns(indices: impl IntoIterator<Item = u16>) -> ColumnSet {
    let mut set = ColumnSet::new();
    for index in indices {
        set.insert(ColumnIndex::new(index).unwrap());
    }
    set
}

fn source(columns: ColumnSet, bytes_per_second: u64, price: u128) -> Source {
    Source { columns, bytes_per_second, latency_ms: 10, shard_price: units(price) }
}

/// The least price of any assignment of `shards` columns to sources, by trying all.
fn brute_force(sources: &[Source], room: &mut [u64], column: u16, shards: u16) -> Option<u128> {
    if shards == 0 {
        return Some(0);
    }
    if column == 6 {
        return None;
    }
    let mut best = brute_force(sources, room, column + 1, shards);
    for (index, source) in sources.iter().enumerate() {
        if room[index] > 0 && source.columns.contains(ColumnIndex::new(column).unwrap()) {
            room[index] -= 1;
            let rest = brute_force(sources, room, column + 1, shards - 1);
            room[index] += 1;
            let price = rest.map(|rest| rest + source.shard_price.base_units());
            best = [best, price].into_iter().flatten().min();
        }
    }
    best
}

#[test]
fn the_plan_is_the_cheapest_of_all_assignments() {
    let mut state = 3_u64;
    let mut random = |bound: u64| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % bound
    };
    let (mut planned, mut too_slow) = (0, 0);
    for _ in 0..4000 {
        let sources: Vec<Source> = (0..1 + random(5))
            .map(|_| {
                let held: Vec<u16> = (0..6).filter(|_| random(2) == 0).collect();
                source(columns(held), random(4) * 1000, random(20).into())
            })
            .collect();
        let shards = u16::try_from(1 + random(5)).unwrap();
        // A source of n * 1000 bytes per second delivers n shards in time.
        let need = Need { shards, shard_bytes: 1000, deadline_ms: 1010 };
        let mut room: Vec<u64> =
            sources.iter().map(|source| source.bytes_per_second / 1000).collect();
        let expected = brute_force(&sources, &mut room, 0, shards);
        match cheapest(&sources, &need) {
            Ok(plan) => {
                assert_eq!(Some(plan.price.base_units()), expected);
                check(&sources, &need, &plan.requests);
                assert_eq!(cheapest(&sources, &need).unwrap(), plan, "not deterministic");
                planned += 1;
            }
            Err(NegotiateError::TooSlow { needed, possible }) => {
                assert_eq!((expected, needed), (None, shards));
                assert!(possible < shards);
                too_slow += 1;
            }
            Err(error) => panic!("{error}"),
        }
    }
    assert!(planned > 500 && too_slow > 500, "{planned} {too_slow}");
}

fn check(sources: &[Source], need: &Need, requests: &[(usize, ColumnIndex)]) {
    assert_eq!(requests.len(), usize::from(need.shards));
    let mut seen = ColumnSet::new();
    for (source, column) in requests {
        assert!(sources[*source].columns.contains(*column), "asked for what it hasn't");
        assert!(seen.insert(*column), "a column asked for twice");
    }
    for (index, source) in sources.iter().enumerate() {
        let asked = requests.iter().filter(|(asked, _)| *asked == index).count();
        assert!(u64::try_from(asked).unwrap() <= source.bytes_per_second / 1000, "too slow");
    }
}

#[test]
fn a_cheap_source_gives_way_where_only_it_can_help() {
    // The cheapest holds both columns, the dear one only the first.
    let sources = [source(columns([0, 1]), 1000, 1), source(columns([0]), 1000, 9)];
    let need = Need { shards: 2, shard_bytes: 1000, deadline_ms: 1010 };
    let plan = cheapest(&sources, &need).unwrap();
    let column = |index| ColumnIndex::new(index).unwrap();
    assert_eq!(plan.requests, [(0, column(1)), (1, column(0))]);
    assert_eq!(plan.price, units(10));
}

#[test]
fn a_nearer_deadline_costs_more_and_one_too_near_is_refused() {
    let sources = [source(columns(0..20), 10_000, 1), source(columns(20..40), 100_000, 5)];
    let need = |deadline_ms| Need { shards: 20, shard_bytes: 1000, deadline_ms };
    assert_eq!(cheapest(&sources, &need(2010)).unwrap().price, units(20));
    assert_eq!(cheapest(&sources, &need(1010)).unwrap().price, units(10 + 50));
    assert_eq!(
        cheapest(&sources, &need(110)),
        Err(NegotiateError::TooSlow { needed: 20, possible: 11 })
    );
    assert!(cheapest(&sources, &need(0)).is_err());
}

#[test]
fn numbers_at_the_end_of_their_range_are_no_trouble() {
    let most = Source {
        columns: ColumnSet::all(255),
        bytes_per_second: u64::MAX,
        latency_ms: 0,
        shard_price: units(u128::MAX),
    };
    let need = Need { shards: 2, shard_bytes: 0, deadline_ms: u64::MAX };
    assert_eq!(cheapest(std::slice::from_ref(&most), &need), Err(NegotiateError::Overflow));
    let one = Need { shards: 1, ..need };
    assert_eq!(cheapest(std::slice::from_ref(&most), &one).unwrap().price, units(u128::MAX));
    assert_eq!(
        cheapest(&vec![most; 257], &one),
        Err(NegotiateError::TooManySources { max: 256, got: 257 })
    );
}

#[test]
fn the_largest_negotiation_is_quick() {
    let sources: Vec<Source> = (0..256_u16)
        .map(|index| {
            let held = (0..255).filter(|column| (column * 7 + index) % 3 != 0);
            source(columns(held), 1000, u128::from(index % 17))
        })
        .collect();
    let need = Need { shards: 254, shard_bytes: 1000, deadline_ms: 1010 };
    assert_eq!(cheapest(&sources, &need).unwrap().requests.len(), 254);
}
