//! What a plan never does, how near it comes to the best, and what a forecast says.

#![expect(clippy::unwrap_used, reason = "a test panics where it fails")]

use pop_incentive::ledger::LedgerParameters;
use pop_incentive::limits::PLAN_CANDIDATES_MAX;
use pop_incentive::planner::{Assignment, Candidate, NodeBudget, PlanError, forecast, plan};
use pop_incentive::rate::{Rate, Tariff, Tier};
use pop_incentive::rewards::RewardPolicy;
use pop_incentive::scarcity::Supply;
use pop_incentive::storage_cost::{MONTH_S, StorageCost};
use pop_wire::{Amount, ContentId, WalletAddress};
use proptest::prelude::*;

const GB: u64 = 1_000_000_000;

fn base() -> Tariff {
    let rate = Rate::new(Amount::from_base_units(250)).unwrap();
    Tariff { rate, tier: Tier::of_kbps(100).unwrap() }
}

fn budget(quota_bytes: u64, upload_bytes: u64) -> NodeBudget {
    let storage = StorageCost::per_gigabyte_month(Amount::from_base_units(4_000_000));
    NodeBudget { quota_bytes, upload_bytes, horizon_s: MONTH_S, storage }
}

fn film(id: u8, live: u16, held: u16, column_bytes: u64, views: u64) -> Candidate {
    Candidate {
        content: ContentId([id; 32]),
        supply: Supply::new(live, 5, 12).unwrap(),
        copies: live.into(),
        held,
        column_bytes,
        demand_bytes: views * column_bytes * 5,
        base: base(),
        acquire: base().price(column_bytes).unwrap(),
    }
}

fn films() -> impl proptest::strategy::Strategy<Value = Vec<Candidate>> {
    let one = (0_u16..=12, 0_u16..3, 1_u64..300, 0_u64..500);
    proptest::collection::vec(one, 1..40).prop_map(|films| {
        let film = |(id, (live, held, megabytes, views))| {
            film(id, live, held, megabytes * 1_000_000, views)
        };
        (0..).zip(films).map(film).collect()
    })
}

proptest! {
    #[test]
    fn a_plan_keeps_to_disk_upload_and_fewer_than_k_columns(
        films in films(),
        quota in 0..20 * GB,
        upload in 0..500 * GB,
    ) {
        let budget = budget(quota, upload);
        let made = plan(&films, &budget).unwrap();
        prop_assert!(made.bytes <= quota && made.served_bytes <= upload);
        prop_assert!(made.revenue >= made.cost, "nothing is held at a loss");
        let (mut bytes, mut served, mut revenue) = (0, 0, 0);
        for pick in &made.picks {
            let film = films.iter().find(|film| film.content == pick.content).unwrap();
            prop_assert!((1..5).contains(&pick.columns));
            prop_assert!(film.supply.live() >= 5 || pick.columns <= film.held, "can't be got");
            bytes += film.column_bytes * u64::from(pick.columns);
            served += pick.served_bytes;
            revenue += pick.revenue.base_units();
        }
        prop_assert_eq!((bytes, served), (made.bytes, made.served_bytes));
        prop_assert_eq!(revenue, made.revenue.base_units());
        let backwards: Vec<_> = films.iter().rev().copied().collect();
        prop_assert_eq!(plan(&backwards, &budget).unwrap(), made, "whatever the order");
    }
}

/// What holding so many columns earns less what it costs, reckoned apart from the planner.
fn profit(film: &Candidate, columns: u16, budget: &NodeBudget) -> Option<u128> {
    let supply = film.supply.with_more(columns);
    if columns == 0 || supply.is_lost() || (film.supply.is_lost() && columns > film.held) {
        return (columns == 0).then_some(0);
    }
    let own = u64::from(columns);
    let served = film.demand_bytes * own / (u64::from(film.copies) + own);
    let rate = supply.asked(base().rate).unwrap();
    let revenue = Tariff { rate, ..base() }.price(served).unwrap().base_units();
    let disk = budget.storage.of(film.column_bytes * own, budget.horizon_s).unwrap();
    let new = u128::from(columns.saturating_sub(film.held));
    revenue.checked_sub(disk.base_units() + film.acquire.base_units() * new)
}

fn best(films: &[Candidate], disk_left: u64, budget: &NodeBudget) -> u128 {
    let Some((film, rest)) = films.split_first() else { return 0 };
    let mut most = 0;
    for columns in 0..5 {
        let bytes = film.column_bytes * u64::from(columns);
        if let (Some(profit), true) = (profit(film, columns, budget), bytes <= disk_left) {
            most = most.max(profit + best(rest, disk_left - bytes, budget));
        }
    }
    most
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]
    #[test]
    fn with_upload_to_spare_a_plan_is_within_one_column_of_the_best(
        films in films().prop_map(|films| films.into_iter().take(5).collect::<Vec<_>>()),
        quota in 0..3 * GB,
    ) {
        let budget = budget(quota, u64::MAX);
        let made = plan(&films, &budget).unwrap().profit().base_units();
        let best = best(&films, quota, &budget);
        let one = films.iter().flat_map(|film| (1..5).map(move |columns| (film, columns)));
        let one = one.filter_map(|(film, columns)| profit(film, columns, &budget)).max();
        // The bases of what was rounded: a unit for each column.
        prop_assert!(made <= best + 20);
        prop_assert!(made + one.unwrap_or(0) + 20 >= best, "{made} of {best}");
    }
}

#[test]
fn the_last_holder_of_a_column_keeps_it_and_nobody_takes_what_is_lost() {
    let budget = budget(GB, u64::MAX);
    // Four of five columns elsewhere: with the one that is held the film lives.
    let last = film(1, 4, 1, 100_000_000, 10);
    let made = plan(&[last], &budget).unwrap();
    assert_eq!((made.picks[0].columns, made.picks[0].cost.base_units()), (1, 400_000));
    // All five columns' bytes are asked of five columns, at four times the base rate.
    let price = base().price(10 * 100_000_000).unwrap().base_units();
    assert_eq!(made.revenue.base_units(), 4 * price);
    assert_eq!(plan(&[Candidate { held: 0, ..last }], &budget).unwrap().picks, []);
    // Two are held of two that are missing: one alone would be worth nothing.
    let made = plan(&[film(2, 3, 2, 100_000_000, 10)], &budget).unwrap();
    assert_eq!(made.picks[0].columns, 2);
    assert_eq!(plan(&[film(3, 2, 2, 100_000_000, 10)], &budget).unwrap().picks, []);
}

#[test]
fn of_equal_films_the_scarcer_comes_first_and_without_demand_none() {
    let budget = budget(100_000_000, u64::MAX);
    let pick = |films: &[Candidate]| plan(films, &budget).unwrap().picks[0].content.0[0];
    assert_eq!(pick(&[film(1, 12, 0, 100_000_000, 50), film(2, 7, 0, 100_000_000, 50)]), 2);
    assert_eq!(pick(&[film(2, 12, 0, 100_000_000, 50), film(1, 12, 0, 100_000_000, 50)]), 1);
    assert_eq!(plan(&[film(1, 7, 0, 100_000_000, 0)], &budget).unwrap().picks, []);
    assert_eq!(plan(&[], &budget).unwrap().picks, []);
}

#[test]
fn what_does_not_fit_or_is_too_much_is_refused() {
    let budget = budget(GB, u64::MAX);
    let rate = Rate::new(Amount::from_base_units(u128::MAX)).unwrap();
    let dear = Candidate { base: Tariff { rate, ..base() }, ..film(1, 9, 0, 1_000_000, 5) };
    assert_eq!(plan(&[dear], &budget), Err(PlanError::Overflow));
    let vast = Candidate { column_bytes: u64::MAX, ..film(1, 9, 0, 1_000_000, 5) };
    assert_eq!(plan(&[vast], &budget).unwrap().picks, []);
    let got = PLAN_CANDIDATES_MAX + 1;
    let many = vec![film(1, 9, 0, 1_000_000, 5); got];
    let refused = PlanError::TooMany { max: PLAN_CANDIDATES_MAX, got };
    assert_eq!(plan(&many, &budget), Err(refused));
}

#[test]
fn a_forecast_adds_up_what_is_served_emitted_and_spent() {
    let parameters = LedgerParameters::new(WalletAddress([1; 20]));
    let assignment = Assignment {
        stake: parameters.collateral_min,
        assigned_bytes: 500 * GB,
        served_bytes: 300 * GB,
        tariff: base(),
        policy: RewardPolicy::new(&parameters),
        epoch: 0,
        epochs: 4,
        others_weight: 100_000 * u128::from(500 * GB),
    };
    let films = [film(1, 7, 0, 100_000_000, 500)];
    let budget = budget(600 * GB, 1000 * GB);
    let seen = forecast(&films, &budget, Some(&assignment)).unwrap();
    // One of 100,001 equal parts of a million POP, four times.
    assert_eq!(seen.emission.base_units() / 10_u128.pow(13), 3_999_960);
    assert_eq!(seen.assigned_revenue, base().price(300 * GB).unwrap());
    let disk = budget.storage.of(500 * GB, MONTH_S).unwrap();
    assert_eq!(seen.cost, disk.checked_add(seen.speculation.cost).unwrap());
    assert!(seen.speculation.bytes <= 100 * GB && !seen.speculation.picks.is_empty());
    let earned = seen.earned().unwrap();
    assert_eq!(seen.net(), Some(Ok(earned.checked_sub(seen.cost).unwrap())));

    let lone = Assignment { others_weight: 0, ..assignment };
    let most = forecast(&films, &budget, Some(&lone)).unwrap().emission;
    assert_eq!(most, Amount::ONE_POP.checked_mul(400).unwrap(), "0.2 % of the stake an epoch");
    let short = Assignment { stake: Amount::ONE_POP, ..assignment };
    assert_eq!(forecast(&films, &budget, Some(&short)).unwrap().emission, Amount::ZERO);

    // Without a stake there is speculation alone; a disk that nobody asks for costs.
    let free = forecast(&films, &budget, None).unwrap();
    assert_eq!((free.emission, free.stake), (Amount::ZERO, Amount::ZERO));
    let idle = Assignment { served_bytes: 0, ..short };
    let idle = forecast(&[], &budget, Some(&idle)).unwrap();
    assert_eq!(idle.net(), Some(Err(disk)));
}
