use std::rc::Rc;

use pop_exchange::fetcher::{Event, ExtraShards, FetcherConfig};

use crate::film::Film;
use crate::world::World;

/// A film of 60 segments of a second each, played from 27 holders with 5 s ahead; eight of them
/// vanish ten seconds in, without a word or with their links.
fn play(film: &Rc<Film>, extra: ExtraShards, noticed: bool, seed: u64) {
    let mut config = FetcherConfig::default();
    config.extra_shards = extra;
    let mut world = World::new(Rc::clone(film), config, seed).with_a_holder_a_column(40_000);
    world.connect_all();
    let first = usize::try_from(seed % 19).unwrap();
    (first..first + 8).for_each(|holder| world.kill_at(10_000, holder, noticed));
    world.play(0, 2_000, 1_000, 5);
    world.run_to_the_end(90_000);
    world.assert_deliveries_are_right();
    for (index, delivery) in &world.deliveries {
        let deadline_ms = 2_000 + index * 1_000;
        let at_ms = delivery.at_ms;
        assert!(at_ms <= deadline_ms, "segment {index} came at {at_ms}, seed {seed}");
    }
    let stalled = world.events.iter().any(|(_, event)| matches!(event, Event::Overdue { .. }));
    assert!(!stalled, "seed {seed}");
}

#[test]
fn without_a_word_and_no_segment_misses_its_deadline() {
    let film = Rc::new(Film::new(19, 27, 1024, 60, 1));
    (1..=10).for_each(|seed| play(&film, ExtraShards::Auto, false, seed));
}

#[test]
fn with_their_links_and_no_segment_misses_its_deadline() {
    let film = Rc::new(Film::new(19, 27, 1024, 60, 1));
    (1..=10).for_each(|seed| play(&film, ExtraShards::Auto, true, seed));
}

#[test]
fn hedging_alone_is_enough() {
    let film = Rc::new(Film::new(19, 27, 1024, 60, 1));
    (1..=10).for_each(|seed| play(&film, ExtraShards::Fixed(0), false, seed));
}
