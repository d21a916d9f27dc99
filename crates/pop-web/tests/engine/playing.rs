//! Playing from masternodes.

use std::rc::Rc;

use pop_web::engine::limits::{
    DIAL_TIMEOUT_MS, DIALS_FRESH_MAX, DIALS_MAX, START_MS, START_SPARE_PART,
};
use pop_web::engine::{EngineError, Event, Input, SourceKind};
use proptest::prelude::*;

use crate::masternode::Published;
use crate::viewer::FILM;
use crate::world::{World, seed};

const NODES: u8 = 27;

/// 44 segments of 18 KiB at (9, 27) and a bit.
fn film() -> Rc<Published> {
    Published::new(5, 800_123, (19, 27), 1_024)
}

fn length(film: &Published) -> u64 {
    u64::try_from(film.plaintext.len()).unwrap()
}

#[test]
fn a_film_is_opened_and_read_to_its_end() {
    let film = film();
    let mut world = World::new(seed(), NODES, &film);
    let viewer = world.viewer(|_| {});
    world.viewers[viewer].open(0, &film);
    let read = world.viewers[viewer].read(0, &film, 0..u64::MAX, None);
    assert!(world.run(60_000, |world| world.viewers[viewer].reads[&read].is_over));
    let stats = world.viewers[viewer].engine.film_stats(FILM).unwrap();
    assert_eq!(stats.read_bytes, length(&film));
    assert!(stats.from_masternodes_bytes >= length(&film));
    assert_eq!(stats.from_viewers_bytes, 0);
}

/// Round trips from the link to the first bytes: two to be linked to an entry node (transport and
/// handshake), hello, and the answer that names the holders; as many to a holder, and the shards.
/// A browser is asked for no more than 10 transports at once, so 22 take two round trips more; and
/// it delays them by a few of its own.
const ROUND_TRIPS: u64 = 11;

#[test]
fn the_first_bytes_take_few_round_trips_and_no_read_is_waited_for() {
    let film = film();
    let latency_ms = 100;
    let mut world = World::new(seed(), NODES, &film);
    world.link = Some((latency_ms, 1 << 20));
    let viewer = world.viewer(|_| {});
    world.viewers[viewer].open(0, &film);
    let read = world.viewers[viewer].read(0, &film, 0..u64::MAX, Some(125_000));
    let has_begun = |world: &World| world.viewers[viewer].reads[&read].first_byte_at.is_some();
    assert!(world.run(20_000, has_begun));
    let round_trips = world.now.div_ceil(2 * latency_ms);
    assert!(round_trips <= ROUND_TRIPS, "{round_trips}");

    // A player that waits, and whose request is still on its way.
    let mut world = World::new(seed(), NODES, &film);
    world.link = Some((latency_ms, 1 << 20));
    let viewer = world.viewer(|_| {});
    world.viewers[viewer].open(0, &film);
    assert!(world.run(20_000, |world| world.viewers[viewer].opened_at.is_some()));
    let (film_id, position_bytes, bytes_per_s, is_waiting) = (FILM, 0, 0, true);
    let play = Input::Play { film: film_id, position_bytes, bytes_per_s, is_waiting };
    let now = world.now;
    world.viewers[viewer].tell(now, play);
    world.run(2 * latency_ms * ROUND_TRIPS, |_| false);
    let now = world.now;
    let read = world.viewers[viewer].read(now, &film, 0..1_000, None);
    assert!(world.run(60, |world| world.viewers[viewer].reads[&read].is_over), "it is here");
}

/// Columns that a start links to: k, an eighth of that, and one.
const AT_START: usize = 19 + 19 / START_SPARE_PART + 1;

#[test]
fn a_film_starts_with_no_more_links_than_it_needs_and_dials_few_at_once() {
    let film = film();
    let mut world = World::new(seed(), NODES, &film);
    let viewer = world.viewer(|_| {});
    world.viewers[viewer].open(0, &film);
    let read = world.viewers[viewer].read(0, &film, 0..u64::MAX, Some(125_000));
    let mut pending = 0;
    let has_begun = world.run(20_000, |world| {
        pending = world.pending(viewer).max(pending);
        world.viewers[viewer].reads[&read].first_byte_at.is_some()
    });
    assert!(has_begun);
    assert_eq!((world.dialed(viewer), pending), (AT_START, DIALS_FRESH_MAX));
    assert!(world.run(START_MS + 500, |world| world.dialed(viewer) == usize::from(NODES)));
}

/// When the first byte is here if so many of `count` nodes are dead, and don't even say so.
fn start_ms(film: &Rc<Published>, seed: u64, (count, dead): (u8, usize)) -> u64 {
    let mut world = World::new(seed, count, film);
    world.dead_are_silent = true;
    let mut others: Vec<usize> = (3..usize::from(count)).collect();
    for _ in 0..dead {
        let at = usize::try_from(world.random() % 1_000).unwrap() % others.len();
        world.kill(others.swap_remove(at));
    }
    let viewer = world.viewer(|_| {});
    world.viewers[viewer].open(0, film);
    let read = world.viewers[viewer].read(0, film, 0..u64::MAX, Some(125_000));
    let mut pending = 0;
    assert!(world.run(DIAL_TIMEOUT_MS, |world| {
        pending = world.pending(viewer).max(pending);
        world.viewers[viewer].reads[&read].first_byte_at.is_some()
    }));
    assert!(pending <= DIALS_MAX);
    let begun_ms = world.now;
    assert!(world.run(60_000, |world| world.viewers[viewer].reads[&read].is_over));
    begun_ms
}

#[test]
fn a_start_does_not_wait_for_nodes_that_say_nothing() {
    // 29.57 % of a small network, and of a large one: more than are dialled at once.
    let (small, large) = (film(), Published::new(5, 800_123, (30, 80), 1_024));
    let starts = (seed()..seed() + 6)
        .map(|seed| (start_ms(&small, seed, (27, 7)), start_ms(&large, seed, (80, 23))));
    let starts: Vec<_> = starts.collect();
    println!("first bytes after, in ms: {starts:?}");
    assert!(starts.iter().all(|(small, large)| small.max(large) < &4_000), "{starts:?}");
}

#[test]
fn nodes_die_while_it_plays_and_nothing_stalls() {
    let film = film();
    let mut world = World::new(seed(), NODES, &film);
    let viewer = world.viewer(|_| {});
    world.viewers[viewer].open(0, &film);
    // A megabit a second.
    let read = world.viewers[viewer].read(0, &film, 0..u64::MAX, Some(125_000));
    assert!(world.run(20_000, |world| world.viewers[viewer].reads[&read].got > 200_000));
    // 29.57 % of 27, the entries among them.
    (0..8).for_each(|node| world.kill(node));
    assert!(world.run(60_000, |world| world.viewers[viewer].reads[&read].is_over));
    assert_eq!(world.viewers[viewer].reads[&read].stalled_ms, 0);
}

#[test]
fn too_few_nodes_starve_a_reader_until_one_comes_back() {
    let film = film();
    let mut world = World::new(seed(), NODES, &film);
    let viewer = world.viewer(|_| {});
    world.viewers[viewer].open(0, &film);
    let read = world.viewers[viewer].read(0, &film, 0..u64::MAX, Some(125_000));
    assert!(world.run(20_000, |world| world.viewers[viewer].reads[&read].got > 100_000));
    (0..9).for_each(|node| world.kill(node));
    assert!(!world.run(60_000, |world| world.viewers[viewer].reads[&read].is_over));
    let events = &world.viewers[viewer].events;
    let gone = |event: &Event| {
        matches!(
            event,
            Event::Problem { error: EngineError::SourcesGone { reachable: 18, needed: 19 } }
        )
    };
    assert!(events.iter().any(|event| matches!(event, Event::Starving { .. })));
    assert!(events.iter().any(gone), "{events:?}");
    assert_eq!(world.viewers[viewer].failed, None);
    world.revive(3);
    assert!(world.run(90_000, |world| world.viewers[viewer].reads[&read].is_over));
    let recovered = |event: &Event| matches!(event, Event::Recovered { .. });
    assert!(world.viewers[viewer].events.iter().any(recovered));
}

#[test]
fn a_holder_that_lies_is_named_and_asked_no_more() {
    let film = film();
    let mut world = World::new(seed(), NODES, &film);
    world.nodes[4].lies = true;
    let liar = world.nodes[4].peer();
    let viewer = world.viewer(|_| {});
    world.viewers[viewer].open(0, &film);
    let read = world.viewers[viewer].read(0, &film, 0..u64::MAX, None);
    assert!(world.run(60_000, |world| world.viewers[viewer].reads[&read].is_over));
    let named = world.viewers[viewer].events.iter().filter(|event| match event {
        Event::PeerFault { peer, kind, rule } => {
            assert_eq!((*peer, *kind), (liar, SourceKind::Masternode));
            assert!(rule.contains("does not fit the manifest"), "{rule}");
            true
        }
        _ => false,
    });
    assert_eq!(named.count(), 1);
    let sources = world.viewers[viewer].engine.film_stats(FILM).unwrap().sources;
    assert!(sources.iter().all(|source| source.peer != liar));
}

#[test]
fn overlapping_reads_and_seeks_all_get_their_bytes() {
    let film = film();
    let mut world = World::new(seed(), NODES, &film);
    let viewer = world.viewer(|_| {});
    world.viewers[viewer].open(0, &film);
    let end = length(&film);
    // What a browser does: from the start, then the tail, then on from the start, then a seek.
    let whole = world.viewers[viewer].read(0, &film, 0..u64::MAX, Some(125_000));
    world.run(1_000, |_| false);
    let now = world.now;
    let tail = world.viewers[viewer].read(now, &film, end - 3_000..end, None);
    assert!(world.run(20_000, |world| world.viewers[viewer].reads[&tail].is_over));
    let now = world.now;
    let middle = world.viewers[viewer].read(now, &film, 400_000..u64::MAX, Some(125_000));
    let abandoned = world.viewers[viewer].read(now, &film, 0..100_000, None);
    world.viewers[viewer].stop(now, abandoned);
    let again = world.viewers[viewer].read(now, &film, 10..20_000, None);
    let over = |world: &World| {
        [whole, middle, again].iter().all(|read| world.viewers[viewer].reads[read].is_over)
    };
    assert!(world.run(60_000, over));
}

#[test]
fn a_wrong_key_an_unknown_content_and_no_entry_are_told_apart() {
    let film = film();
    let mut world = World::new(seed(), 3, &film);
    let viewer = world.viewer(|_| {});
    let wrong = film.link().replace("?k=a", "?k=b");
    assert_ne!(wrong, film.link());
    let other = film.link().replace("pop:a", "pop:b").replace("pop:c", "pop:d");
    let open = |world: &mut World, link: String| {
        let input = pop_web::engine::Input::Open { film: FILM, link };
        world.viewers[viewer].failed = None;
        let now = world.now;
        world.viewers[viewer].tell(now, input);
        assert!(world.run(30_000, |world| world.viewers[viewer].failed.is_some()));
        world.viewers[viewer].failed.clone().unwrap().code()
    };
    assert_eq!(open(&mut world, "https://example".to_owned()), "bad_link");
    assert_eq!(open(&mut world, wrong), "wrong_key");
    if other != film.link() {
        assert_eq!(open(&mut world, other), "unknown_content");
    }
    let keyless = film.link().split('?').next().unwrap().to_owned();
    assert_eq!(open(&mut world, keyless), "key_missing");
    let mut world = World::new(seed(), 3, &film);
    (0..3).for_each(|node| world.kill(node));
    let viewer = world.viewer(|_| {});
    world.viewers[viewer].open(0, &film);
    let lost = |event: &Event| {
        matches!(event, Event::Problem { error: EngineError::NoEntry { entries: 2 } })
    };
    assert!(world.run(30_000, |world| world.viewers[viewer].events.iter().any(lost)));
    // It opens as soon as one answers.
    (0..3).for_each(|node| world.revive(node));
    assert!(world.run(60_000, |world| world.viewers[viewer].opened_at.is_some()));
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    let run = |seed| {
        let film = film();
        let mut world = World::new(seed, NODES, &film);
        let viewer = world.viewer(|_| {});
        world.viewers[viewer].open(0, &film);
        let read = world.viewers[viewer].read(0, &film, 0..u64::MAX, Some(125_000));
        assert!(world.run(60_000, |world| world.viewers[viewer].reads[&read].is_over));
        (world.fingerprint(), world.now)
    };
    assert_eq!(run(7), run(7));
    assert_ne!(run(7).0, run(8).0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn any_range_is_what_was_published(
        ranges in prop::collection::vec((0_u64..800_123, 0_u64..100_000), 1..4),
        seed in any::<u64>(),
    ) {
        let film = film();
        let mut world = World::new(seed, NODES, &film);
        let viewer = world.viewer(|_| {});
        world.viewers[viewer].open(0, &film);
        let end = length(&film);
        let reads: Vec<u64> = ranges
            .into_iter()
            .map(|(start, bytes)| {
                let range = start..(start + bytes).min(end);
                world.viewers[viewer].read(0, &film, range, None)
            })
            .collect();
        let over = |world: &World| {
            reads.iter().all(|read| world.viewers[viewer].reads[read].is_over)
        };
        prop_assert!(world.run(60_000, over));
    }
}
