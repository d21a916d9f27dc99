//! Relays and viewers in virtual time: with loss, with relays that lose links, with viewers that
//! come and go. The seed is printed; `POP_SIGNAL_SEED` sets another.

#![expect(clippy::unwrap_used, reason = "a test panics where it fails")]

mod world;

use std::collections::BTreeSet;

use pop_signal::limits::{
    FRAME_CONTROL_BYTES, FRAME_LARGE_BYTES, FRAME_MEDIUM_BYTES, FRAME_SMALL_BYTES,
};

use world::{Setting, World};

fn seeds(count: u64) -> Vec<u64> {
    match std::env::var("POP_SIGNAL_SEED") {
        Ok(seed) => vec![seed.parse().unwrap()],
        Err(_) => (1..=count).collect(),
    }
}

#[test]
fn two_viewers_on_different_relays_meet_and_agree() {
    for seed in seeds(20) {
        let setting = Setting { relays: 2, viewers: 2, ..Setting::default() };
        let mut world = World::new(seed, setting);
        world.run_until(30_000);
        let agreed = world.agreed();
        assert_eq!(agreed.len(), 1, "seed {seed}: pairs that agreed");
        assert_ne!(world.relay_of(0), world.relay_of(1), "seed {seed}");
    }
}

#[test]
fn viewers_of_one_content_find_several_others_wherever_they_hang() {
    for seed in seeds(3) {
        let setting = Setting { relays: 5, viewers: 12, ..Setting::default() };
        let mut world = World::new(seed, setting);
        world.run_until(60_000);
        let partners = world.partners();
        let fewest = partners.iter().min().unwrap();
        println!("seed {seed}: partners of each viewer after 60 s: {partners:?}");
        assert!(*fewest >= 2, "seed {seed}: {partners:?}");
    }
}

#[test]
fn with_loss_and_churn_viewers_still_agree_and_never_on_different_things() {
    for seed in seeds(3) {
        let setting =
            Setting { relays: 4, viewers: 10, loss_percent: 10, churn: true, ..Setting::default() };
        let mut world = World::new(seed, setting);
        world.run_until(180_000);
        let pairs = world.agreed().len();
        println!("seed {seed}: {pairs} pairs with a tenth lost, {} links broken", world.broken());
        assert!(pairs >= 10, "seed {seed}: {pairs} pairs agreed");
        assert!(world.broken() > 20, "seed {seed}");
    }
}

#[test]
fn no_relay_ever_sends_more_than_it_got_and_in_no_more_than_four_lengths() {
    for seed in seeds(3) {
        let setting =
            Setting { relays: 4, viewers: 10, loss_percent: 5, churn: true, ..Setting::default() };
        let mut world = World::new(seed, setting);
        // It is compared after every single step; this is what it comes to in the end.
        world.run_until(120_000);
        let amplification = world.amplification();
        println!("seed {seed}: bytes sent by byte received, each relay: {amplification:.2?}");
        assert!(amplification.iter().all(|factor| *factor <= 1.0), "seed {seed}");
        let four = [FRAME_CONTROL_BYTES, FRAME_SMALL_BYTES, FRAME_MEDIUM_BYTES, FRAME_LARGE_BYTES];
        let four = BTreeSet::from(four);
        assert!(world.lengths().is_subset(&four), "seed {seed}: {:?}", world.lengths());
    }
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    let trace = |seed| {
        let setting =
            Setting { relays: 3, viewers: 6, loss_percent: 5, churn: true, ..Setting::default() };
        let mut world = World::new(seed, setting);
        world.run_until(60_000);
        world.trace()
    };
    assert_eq!(trace(1), trace(1));
    assert_ne!(trace(1), trace(2));
}

#[test]
fn who_watches_something_else_is_never_met() {
    for seed in seeds(3) {
        let setting = Setting { relays: 3, viewers: 9, contents: 3, ..Setting::default() };
        let mut world = World::new(seed, setting);
        world.run_until(60_000);
        assert!(!world.agreed().is_empty());
        for (one, other) in world.agreed() {
            assert_eq!(one % 3, other % 3, "seed {seed}: viewers {one} and {other}");
        }
    }
}
