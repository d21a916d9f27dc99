//! A node that plans against nodes that don't, in the same world: one disk, one upload, the same
//! prices, the same guesses of demand.
//!
//! 200 films, asked for by a Zipf law whose order shifts; columns die every week and are repaired
//! late. Every four weeks a node revises what it holds, and pays for what it gets: 30 columns'
//! bytes, to rebuild one. What it earns is what viewers really ask of it, column by column.

use std::collections::BTreeMap;

use pop_incentive::planner::{Candidate, NodeBudget, StoragePlan, plan};
use pop_incentive::rate::{Rate, Tariff, Tier};
use pop_incentive::scarcity::Supply;
use pop_incentive::storage_cost::StorageCost;
use pop_wire::{Amount, ContentId};

use crate::random::{Random, seeds};

const CONTENTS: usize = 200;
const WEEKS: u64 = 52;
const WEEK_S: u64 = 7 * 86_400;
const REVISE_WEEKS: u64 = 4;
const HORIZON_WEEKS: u64 = 8;
const K: u16 = 30;
const N: u16 = 80;
const GB: u64 = 1_000_000_000;
const QUOTA_BYTES: u64 = 12 * GB;

/// In 10^-9 dollars: $2 per TB is 250 a megabit, $0.004 per GB-month is 4,000,000.
fn base() -> Tariff {
    let rate = Rate::new(Amount::from_base_units(250)).unwrap();
    Tariff { rate, tier: Tier::of_kbps(100).unwrap() }
}

fn storage() -> StorageCost {
    StorageCost::per_gigabyte_month(Amount::from_base_units(4_000_000))
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Strategy {
    /// What the planner says.
    Planner,
    /// One column of each of the most wanted contents.
    Popular,
    /// The same, once and for all.
    PopularOnce,
    /// One column each of contents as they come, once and for all.
    Random,
}

/// How busy it is, per week.
#[derive(Clone, Copy)]
struct Market {
    views: u64,
    upload_bytes: u64,
}

/// All that happens whatever one node does.
struct World {
    market: Market,
    seed: u64,
    column_bytes: Vec<u64>,
    /// Which content is at each place of the Zipf law.
    order: Vec<usize>,
    live: Vec<u16>,
}

impl World {
    fn new(market: Market, seed: u64) -> Self {
        let mut random = Random::of(seed, &[1]);
        // Films of half an hour to four hours.
        let column_bytes = (0..CONTENTS).map(|_| (38 + random.below(262)) * 1_000_000).collect();
        let live = (0..CONTENTS).map(|_| K + 4 + random.draw(N - K - 3)).collect();
        let mut order: Vec<_> = (0..CONTENTS).collect();
        for place in (1..CONTENTS).rev() {
            order.swap(place, random.index(place + 1));
        }
        Self { market, seed, column_bytes, order, live }
    }

    /// Holders leave, some contents are repaired, tastes change.
    fn pass_week(&mut self, week: u64) {
        for (content, live) in self.live.iter_mut().enumerate() {
            let mut random = Random::of(self.seed, &[2, week, content.try_into().unwrap()]);
            *live -= u16::try_from((0..*live).filter(|_| random.below(100) < 3).count()).unwrap();
            // Late, and not to the full: from a quarter of the spare columns on, one week in three.
            if *live < K + 12 && random.below(3) == 0 {
                *live = 65;
            }
            // A network that lets a content die is another simulation.
            *live = (*live).max(K + 1);
        }
        let mut random = Random::of(self.seed, &[3, week]);
        for _ in 0..CONTENTS / 40 {
            let (one, other) = (random.index(CONTENTS), random.index(CONTENTS));
            self.order.swap(one, other);
        }
    }

    /// The contents that are watched in a week, view by view.
    fn views(&self, week: u64) -> Vec<usize> {
        let weights: Vec<u64> = (1..).map(|place: u64| 1_000_000 / place).take(CONTENTS).collect();
        let mut random = Random::of(self.seed, &[4, week]);
        let all: u64 = weights.iter().sum();
        let view = |_| {
            let mut left = random.below(all);
            let place = weights.iter().position(|weight| {
                let here = left < *weight;
                left = left.saturating_sub(*weight);
                here
            });
            self.order[place.unwrap()]
        };
        (0..self.market.views).map(view).collect()
    }
}

struct Node {
    strategy: Strategy,
    held: BTreeMap<usize, u16>,
    /// Views per week, in 2^-16, as they were seen by everybody.
    demand: Vec<u64>,
    earned: u128,
    spent: u128,
}

impl Node {
    fn new(strategy: Strategy) -> Self {
        let (held, demand) = (BTreeMap::new(), vec![0; CONTENTS]);
        Self { strategy, held, demand, earned: 0, spent: 0 }
    }

    fn observe(&mut self, views: &[usize]) {
        let mut seen = vec![0_u64; CONTENTS];
        views.iter().for_each(|content| seen[*content] += 1 << 16);
        for (demand, seen) in self.demand.iter_mut().zip(seen) {
            *demand = (3 * *demand + seen) / 4;
        }
    }

    fn revise(&mut self, world: &World) {
        let wanted = match self.strategy {
            Strategy::Planner => self.planned(world),
            // What they took once they keep.
            Strategy::PopularOnce | Strategy::Random if !self.held.is_empty() => self.held.clone(),
            Strategy::Popular | Strategy::PopularOnce => {
                let mut contents: Vec<_> = (0..CONTENTS).collect();
                contents.sort_by_key(|content| (u64::MAX - self.demand[*content], *content));
                fill(world, contents)
            }
            Strategy::Random => fill(world, (0..CONTENTS).collect()),
        };
        for (content, columns) in &wanted {
            let new = columns.saturating_sub(self.held.get(content).copied().unwrap_or(0));
            self.spent += acquire(world, *content).base_units() * u128::from(new);
        }
        self.held = wanted;
        let disk: u64 = self
            .held
            .iter()
            .map(|(content, columns)| world.column_bytes[*content] * u64::from(*columns))
            .sum();
        assert!(disk <= QUOTA_BYTES);
    }

    fn planned(&self, world: &World) -> BTreeMap<usize, u16> {
        let average = self.demand.iter().sum::<u64>() / u64::try_from(CONTENTS).unwrap();
        let candidate = |content: usize| {
            let film_bytes = world.column_bytes[content] * u64::from(K);
            // Who was wanted most was also lucky: halfway back to the average.
            let views = (self.demand[content] + average) / 2 * HORIZON_WEEKS;
            Candidate {
                content: name(content),
                supply: Supply::new(world.live[content], K, N).unwrap(),
                copies: world.live[content].into(),
                held: self.held.get(&content).copied().unwrap_or(0),
                column_bytes: world.column_bytes[content],
                demand_bytes: (views * (film_bytes >> 10)) >> 6,
                base: base(),
                acquire: acquire(world, content),
            }
        };
        let candidates: Vec<_> = (0..CONTENTS).map(candidate).collect();
        let budget = NodeBudget {
            quota_bytes: QUOTA_BYTES,
            upload_bytes: world.market.upload_bytes * HORIZON_WEEKS,
            horizon_s: HORIZON_WEEKS * WEEK_S,
            storage: storage(),
        };
        let StoragePlan { picks, .. } = plan(&candidates, &budget).unwrap();
        let index = |content: ContentId| usize::from(content.0[0]);
        picks.iter().map(|pick| (index(pick.content), pick.columns)).collect()
    }

    fn live_week(&mut self, world: &World, week: u64, views: &[usize]) {
        for (content, columns) in &self.held {
            let bytes = world.column_bytes[*content] * u64::from(*columns);
            self.spent += storage().of(bytes, WEEK_S).unwrap().base_units();
        }
        let mut upload_left = world.market.upload_bytes;
        for (view, content) in views.iter().enumerate() {
            let Some(columns) = self.held.get(content).copied() else { continue };
            let supply = Supply::new(world.live[*content], K, N).unwrap().with_more(columns);
            let all = u64::from(world.live[*content]) + u64::from(columns);
            let mut random = Random::of(world.seed, &[5, week, view.try_into().unwrap()]);
            // A viewer takes k of all that live, whichever.
            let asked = (0..columns).filter(|_| random.below(all) < K.into()).count();
            let bytes = world.column_bytes[*content] * u64::try_from(asked).unwrap();
            let bytes = bytes.min(upload_left);
            upload_left -= bytes;
            let rate = supply.asked(base().rate).unwrap();
            self.earned += Tariff { rate, ..base() }.price(bytes).unwrap().base_units();
        }
    }

    fn profit(&self) -> i128 {
        i128::try_from(self.earned).unwrap() - i128::try_from(self.spent).unwrap()
    }
}

fn name(content: usize) -> ContentId {
    let mut name = [0; 32];
    name[0] = content.try_into().unwrap();
    ContentId(name)
}

fn acquire(world: &World, content: usize) -> Amount {
    base().price(world.column_bytes[content] * u64::from(K)).unwrap()
}

fn fill(world: &World, contents: Vec<usize>) -> BTreeMap<usize, u16> {
    let mut left = QUOTA_BYTES;
    let fits = |content: &usize| {
        let fits = world.column_bytes[*content] <= left;
        left -= if fits { world.column_bytes[*content] } else { 0 };
        fits
    };
    contents.into_iter().filter(fits).map(|content| (content, 1)).collect()
}

fn live(market: Market, seed: u64, strategy: Strategy) -> Node {
    let (mut world, mut node) = (World::new(market, seed), Node::new(strategy));
    // Before it decides for the first time, it has watched for four weeks.
    for week in 0..REVISE_WEEKS + WEEKS {
        let views = world.views(week);
        if week >= REVISE_WEEKS {
            if week.is_multiple_of(REVISE_WEEKS) {
                node.revise(&world);
            }
            node.live_week(&world, week, &views);
        }
        node.observe(&views);
        world.pass_week(week);
    }
    node
}

#[expect(clippy::cast_precision_loss, reason = "printed only")]
fn dollars(units: i128) -> f64 {
    units as f64 / 1e9
}

/// Profit of the planner and of the naive ones, in order.
fn profits(market: Market, seed: u64) -> (i128, [i128; 3]) {
    use Strategy::{Planner, Popular, PopularOnce, Random};
    let profit = |strategy| live(market, seed, strategy).profit();
    (profit(Planner), [Popular, PopularOnce, Random].map(profit))
}

fn describe(market: Market, seeds: u64) {
    println!(
        "{CONTENTS} films, {} views a week, {WEEKS} weeks; disk {} GB, upload {} GB a week; {seeds} \
         seeds from 0; profit in dollars",
        market.views,
        QUOTA_BYTES / GB,
        market.upload_bytes / GB
    );
}

#[test]
fn a_node_that_plans_earns_more_than_naive_ones_with_every_seed() {
    let (market, seeds) = (Market { views: 300, upload_bytes: 40 * GB }, seeds(8));
    describe(market, seeds);
    println!("seed | planner | popular | popular once | random | margin over the best of these, %");
    let mut margins = vec![];
    for seed in 0..seeds {
        let (planner, naive) = profits(market, seed);
        let best = naive.into_iter().max().unwrap();
        let margin = dollars(planner - best) / dollars(best.abs().max(1)) * 100.0;
        margins.push(margin);
        let [popular, once, random] = naive.map(dollars);
        let mine = dollars(planner);
        println!("{seed:>4} | {mine:.3} | {popular:.3} | {once:.3} | {random:.3} | {margin:.1}");
        assert!(planner > best, "seed {seed}: {planner} <= {best}");
    }
    margins.sort_by(f64::total_cmp);
    println!("margin: least {:.1} %, median {:.1} %", margins[0], margins[margins.len() / 2]);
}

#[test]
fn where_anything_fills_the_upload_planning_gains_nothing_and_loses_little() {
    let (market, seeds) = (Market { views: 1_000, upload_bytes: 60 * GB }, seeds(8));
    describe(market, seeds);
    let (mut planner, mut naive) = (0, [0; 3]);
    for seed in 0..seeds {
        let (mine, others) = profits(market, seed);
        planner += mine;
        naive.iter_mut().zip(others).for_each(|(sum, profit)| *sum += profit);
    }
    let [popular, once, random] = naive.map(dollars);
    let mine = dollars(planner);
    println!("sums: planner {mine:.3}, popular {popular:.3}, once {once:.3}, random {random:.3}");
    assert!(planner * 10 > naive.into_iter().max().unwrap() * 8);
}
