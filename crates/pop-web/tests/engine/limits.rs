//! Bounds hold, and what is beyond them is refused with a reason.

use std::collections::BTreeSet;
use std::rc::Rc;

use pop_web::engine::limits::{
    ASKERS_MAX, ENTRIES_MAX, FILMS_MAX, HOT_BYTES_MAX, MESSAGES_BURST, PLAIN_SEGMENTS_MAX,
    READS_MAX, VIEWERS_MAX,
};
use pop_web::engine::{Engine, EngineConfig, EngineError, Event, FilmId, Input, Output, ReadId};
use pop_wire::Instant;

use crate::masternode::{Published, WALL};
use crate::viewer::FILM;
use crate::world::{World, seed};

fn film() -> Rc<Published> {
    Published::new(5, 800_123, (6, 9), 4_096)
}

#[test]
fn films_and_reads_beyond_the_limit_are_refused_and_the_others_go_on() {
    let film = film();
    let mut world = World::new(seed(), 9, &film);
    let viewer = world.viewer(|_| {});
    for number in 0..=u64::try_from(FILMS_MAX).unwrap() {
        let input = Input::Open { film: FilmId(number), link: film.link() };
        world.viewers[viewer].tell(0, input);
    }
    let first = |world: &mut World| world.viewers[viewer].engine.poll();
    let refused = core::iter::from_fn(|| first(&mut world)).find_map(|output| match output {
        Output::Failed { film, error } => Some((film, error)),
        _ => None,
    });
    let (number, error) = refused.unwrap();
    assert_eq!(number, FilmId(u64::try_from(FILMS_MAX).unwrap()));
    assert_eq!(error.code(), "too_many");
    for number in 0..=u64::try_from(READS_MAX).unwrap() {
        let input = Input::Read { read: ReadId(number), film: FilmId(0), range: 0..1 };
        world.viewers[viewer].tell(0, input);
    }
    let refused = core::iter::from_fn(|| first(&mut world)).find_map(|output| match output {
        Output::ReadFailed { read, error } => Some((read, error)),
        _ => None,
    });
    let (number, error) = refused.unwrap();
    assert_eq!(number, ReadId(u64::try_from(READS_MAX).unwrap()));
    assert_eq!(error, EngineError::TooMany { what: "reads", max: READS_MAX });
}

#[test]
fn the_cache_stays_below_its_quota() {
    let film = film();
    let mut world = World::new(seed(), 9, &film);
    let quota = 200_000;
    let viewer = world.viewer(|config| config.cache_bytes_max = quota);
    world.viewers[viewer].open(0, &film);
    let read = world.viewers[viewer].read(0, &film, 0..u64::MAX, None);
    let size = |world: &World| {
        let sizes = world.viewers[viewer].stored.values().map(bytes::Bytes::len);
        u64::try_from(sizes.sum::<usize>()).unwrap()
    };
    assert!(world.run(60_000, |world| {
        // One entry is stored before the oldest is deleted.
        assert!(size(world) <= quota + 30_000);
        world.viewers[viewer].reads[&read].is_over
    }));
    assert!(size(&world) > quota / 2);
    let stats = world.viewers[viewer].engine.stats();
    assert_eq!(stats.cached_bytes, size(&world));
    assert!(stats.cached_bytes <= quota);
}

#[test]
fn a_browser_that_refuses_to_store_is_told_of_once_and_plays_all_the_same() {
    let film = film();
    let mut world = World::new(seed(), 9, &film);
    let viewer = world.viewer(|_| {});
    world.viewers[viewer].refuses_to_store = true;
    world.viewers[viewer].open(0, &film);
    let read = world.viewers[viewer].read(0, &film, 0..u64::MAX, None);
    assert!(world.run(60_000, |world| world.viewers[viewer].reads[&read].is_over));
    let told =
        |event: &&Event| matches!(event, Event::Problem { error: EngineError::StorageBlocked });
    assert_eq!(world.viewers[viewer].events.iter().filter(told).count(), 1);
}

#[test]
fn nothing_that_is_sent_twice_or_out_of_nowhere_disturbs() {
    let film = film();
    let mut world = World::new(seed(), 9, &film);
    let viewer = world.viewer(|_| {});
    world.viewers[viewer].open(0, &film);
    let read = world.viewers[viewer].read(0, &film, 0..u64::MAX, None);
    world.run(500, |_| false);
    let now = world.now;
    let unknown = pop_web::engine::LinkId(9_999);
    let token = pop_web::engine::Token(9_999);
    for input in [
        Input::LinkUp { link: unknown, fingerprints: None },
        Input::LinkBytes { link: unknown, bytes: bytes::Bytes::from_static(b"x") },
        Input::LinkFlushed { link: unknown, bytes: u64::MAX },
        Input::LinkDown { link: unknown },
        Input::CacheLoaded { token, bytes: None },
        Input::CacheStored { token, is_stored: false },
        Input::Persisted { token, is_safe: false },
        Input::Close { film: FilmId(77) },
        Input::Pull { read: ReadId(77), bytes: u64::MAX },
        Input::Stop { read: ReadId(77) },
        Input::Redeem,
        Input::LookAtWallet,
        Input::Tick,
    ] {
        world.viewers[viewer].tell(now, input);
    }
    assert!(world.run(60_000, |world| world.viewers[viewer].reads[&read].is_over));
}

#[test]
fn entries_beyond_the_limit_are_not_dialled_and_a_few_are_asked_at_once() {
    let mut config = EngineConfig::new([1; 32], [2; 32]);
    let entry = |number: usize| format!("/ip4/10.1.0.{number}/tcp/4782/ws").parse().unwrap();
    config.entries = (0..ENTRIES_MAX + 4).map(entry).collect();
    let mut engine = Engine::new(config).unwrap();
    let film = film();
    engine.handle(Instant(0), WALL, Input::Open { film: FilmId(1), link: film.link() });
    let (mut dialled, mut open) = (BTreeSet::new(), Vec::new());
    for second in 1..60 {
        while let Some(output) = engine.poll() {
            if let Output::Dial { link, address, .. } = output {
                dialled.insert(address.to_string());
                open.push(link);
            }
        }
        assert!(open.len() <= ASKERS_MAX, "{open:?}");
        for link in open.drain(..) {
            engine.handle(Instant(second * 1_000), WALL, Input::LinkDown { link });
        }
    }
    assert_eq!(dialled.len(), ENTRIES_MAX);
}

#[test]
fn a_masternode_that_floods_is_named_and_cut_off() {
    let film = film();
    let mut world = World::new(seed(), 9, &film);
    let viewer = world.viewer(|_| {});
    world.viewers[viewer].open(0, &film);
    assert!(world.run(20_000, |world| world.viewers[viewer].opened_at.is_some()));
    world.run(1_000, |_| false);
    let sources = world.viewers[viewer].engine.film_stats(FILM).unwrap().sources;
    assert!(!sources.is_empty());
    // Messages that are allowed, and too many of them, over whichever link takes them.
    let mut frame = bytes::BytesMut::new();
    pop_wire::Message::Credit(pop_wire::message::Credit { bytes: 1 })
        .encode_frame(&mut frame)
        .unwrap();
    let count = usize::try_from(MESSAGES_BURST).unwrap() + 1;
    let flood = bytes::Bytes::from(frame.repeat(count));
    let links: Vec<_> = world.viewers[viewer].connections.keys().copied().collect();
    let now = world.now;
    for link in links {
        let bytes = flood.clone();
        world.viewers[viewer].tell(now, Input::LinkBytes { link, bytes });
    }
    world.run(100, |_| false);
    let named = |event: &&Event| match event {
        Event::PeerFault { rule, .. } => rule.contains("messages"),
        _ => false,
    };
    assert!(world.viewers[viewer].events.iter().filter(named).count() > 0);
}

#[test]
fn what_is_in_memory_for_others_is_bounded() {
    // Half as much again as may be in memory, and nothing can be stored.
    let film = Published::new(9, 24 << 20, (6, 9), 64 * 1024);
    let mut world = World::new(seed(), 9, &film);
    let viewer = world.viewer(|config| {
        config.cache_bytes_max = 0;
        config.window_bytes = 4 << 20;
        config.webrtc = false;
    });
    world.viewers[viewer].open(0, &film);
    let read = world.viewers[viewer].read(0, &film, 0..u64::MAX, None);
    assert!(world.run(120_000, |world| world.viewers[viewer].reads[&read].is_over));
    let held = world.viewers[viewer].engine.film_stats(FILM).unwrap().held;
    let held: u64 = held.iter().map(|range| range.end - range.start).sum();
    let segment = 6 * 64 * 1024;
    assert!(held > HOT_BYTES_MAX - 2 * segment, "{held}");
    let plain = u64::try_from(PLAIN_SEGMENTS_MAX).unwrap() * segment;
    assert!(held <= HOT_BYTES_MAX + plain, "{held}");
}

#[test]
fn no_more_viewers_are_linked_to_than_the_limit_says() {
    let film = Published::new(5, 60_000, (2, 3), 4_096);
    let mut world = World::new(seed(), 3, &film);
    let count = VIEWERS_MAX + 4;
    for _ in 0..count {
        let viewer = world.viewer(|_| {});
        let now = world.now;
        world.viewers[viewer].open(now, &film);
    }
    let linked = |world: &World, viewer: usize| world.viewers[viewer].engine.stats().viewers_up;
    let mut most = 0;
    world.run(120_000, |world| {
        most = (0..count).map(|viewer| linked(world, viewer)).max().unwrap().max(most);
        assert!(most <= VIEWERS_MAX, "{most}");
        most == VIEWERS_MAX
    });
    assert_eq!(most, VIEWERS_MAX);
    world.run(20_000, |world| {
        assert!((0..count).all(|viewer| linked(world, viewer) <= VIEWERS_MAX));
        false
    });
}
