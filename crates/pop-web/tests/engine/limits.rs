//! Bounds hold, and what is beyond them is refused with a reason.

use std::rc::Rc;

use pop_web::engine::limits::{FILMS_MAX, READS_MAX};
use pop_web::engine::{EngineError, Event, FilmId, Input, Output, ReadId};

use crate::masternode::Published;
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
