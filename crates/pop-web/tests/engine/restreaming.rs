//! Viewers give each other what they have.

use std::rc::Rc;

use pop_web::engine::{Event, Input, SourceKind, Upload};

use crate::masternode::Published;
use crate::viewer::FILM;
use crate::world::{World, seed};

const NODES: u8 = 27;

/// A megabit a second.
const PACE: u64 = 125_000;

/// 32 s of film in 103 segments.
fn film() -> Rc<Published> {
    Published::new(6, 4_000_000, (19, 27), 2_048)
}

/// Open and play from the start.
fn play(world: &mut World, film: &Rc<Published>) -> (usize, u64) {
    let viewer = world.viewer(|config| config.window_bytes = 8 << 20);
    let now = world.now;
    world.viewers[viewer].open(now, film);
    let read = world.viewers[viewer].read(now, film, 0..u64::MAX, Some(PACE));
    (viewer, read)
}

fn is_over(world: &World, (viewer, read): (usize, u64)) -> bool {
    world.viewers[viewer].reads[&read].is_over
}

fn stalled_ms(world: &World, (viewer, read): (usize, u64)) -> u64 {
    world.viewers[viewer].reads[&read].stalled_ms
}

/// Bytes from viewers, of all, in per cent.
fn from_viewers(world: &World, viewer: usize) -> u64 {
    let stats = world.viewers[viewer].engine.film_stats(FILM).unwrap();
    let all = stats.from_viewers_bytes + stats.from_masternodes_bytes;
    stats.from_viewers_bytes * 100 / all
}

#[test]
fn the_second_and_third_viewer_get_most_from_viewers_and_one_that_leaves_stalls_nobody() {
    let film = film();
    let mut world = World::new(seed(), NODES, &film);
    let first = play(&mut world, &film);
    world.run(12_000, |_| false);
    let second = play(&mut world, &film);
    world.run(4_000, |_| false);
    let third = play(&mut world, &film);
    world.run(8_000, |_| false);
    world.leave(first.0);
    assert!(world.run(60_000, |world| is_over(world, second) && is_over(world, third)));
    for viewer in [second, third] {
        let percent = from_viewers(&world, viewer.0);
        println!("viewer {}: {percent} % from viewers", viewer.0);
        assert!(percent > 50, "{percent}");
        assert_eq!(stalled_ms(&world, viewer), 0);
    }
    let up = world.viewers[second.0].engine.film_stats(FILM).unwrap().up_bytes;
    assert!(up > 0);
}

#[test]
fn viewers_alone_play_on_when_all_masternodes_but_the_relay_are_gone() {
    let film = film();
    let mut world = World::new(seed(), NODES, &film);
    let first = play(&mut world, &film);
    assert!(world.run(90_000, |world| is_over(world, first)));
    (1..usize::from(NODES)).for_each(|node| world.kill(node));
    world.run(3_000, |_| false);
    let second = play(&mut world, &film);
    let over = world.run(120_000, |world| is_over(world, second));
    let stats = world.viewers[second.0].engine.film_stats(FILM);
    assert!(over, "{stats:?} {:?}", world.viewers[second.0].events);
}

#[test]
fn a_viewer_that_lies_is_named_and_dropped_and_playing_goes_on() {
    let film = film();
    let mut world = World::new(seed(), NODES, &film);
    let first = play(&mut world, &film);
    assert!(world.run(90_000, |world| is_over(world, first)));
    world.viewers[first.0].lies = true;
    let liar = world.viewers[first.0].engine.peer_id();
    let second = play(&mut world, &film);
    assert!(world.run(120_000, |world| is_over(world, second)));
    assert_eq!(stalled_ms(&world, second), 0);
    let named = |event: &&Event| match event {
        Event::PeerFault { peer, kind, .. } => (*peer, *kind) == (liar, SourceKind::Viewer),
        _ => false,
    };
    assert_eq!(world.viewers[second.0].events.iter().filter(named).count(), 1);
    assert_eq!(world.viewers[second.0].engine.stats().viewers_up, 0);
}

#[test]
fn nothing_is_given_when_it_is_switched_off_and_no_more_than_the_cap_otherwise() {
    let film = film();
    let mut world = World::new(seed(), NODES, &film);
    let first = play(&mut world, &film);
    assert!(world.run(90_000, |world| is_over(world, first)));
    let upload = Upload { is_on: false, ..Upload::default() };
    let now = world.now;
    world.viewers[first.0].tell(now, Input::Upload(upload));
    let second = play(&mut world, &film);
    assert!(world.run(90_000, |world| is_over(world, second)));
    assert_eq!(world.viewers[first.0].engine.stats().up_bytes, 0);
    assert_eq!(world.viewers[second.0].engine.stats().viewers_up, 1);
    world.leave(second.0);
    let cap = 20_000;
    let upload = Upload { bytes_per_s_max: cap, ..Upload::default() };
    let now = world.now;
    world.viewers[first.0].tell(now, Input::Upload(upload));
    let third = play(&mut world, &film);
    assert!(world.run(90_000, |world| is_over(world, third)));
    assert_eq!(stalled_ms(&world, third), 0);
    let up = world.viewers[first.0].engine.stats().up_bytes;
    let seconds = (world.now - now) / 1000;
    assert!(up > 0 && up <= cap * (seconds + 2), "{up} bytes in {seconds} s");
}

#[test]
fn what_was_cached_is_read_and_served_after_a_restart() {
    let film = film();
    let mut world = World::new(seed(), NODES, &film);
    let first = play(&mut world, &film);
    assert!(world.run(90_000, |world| is_over(world, first)));
    let stored = world.viewers[first.0].stored.clone();
    assert_eq!(stored.len(), film.segments.len());
    world.leave(first.0);
    let again = world.viewer(|config| {
        config.window_bytes = 1 << 20;
        let size = |bytes: &bytes::Bytes| u64::try_from(bytes.len()).unwrap();
        config.cached = stored.iter().map(|(key, bytes)| (*key, size(bytes))).collect();
    });
    world.viewers[again].stored = stored;
    // One entry was damaged on the disk.
    let damaged = world.viewers[again].stored.iter().nth(40).map(|(key, _)| *key).unwrap();
    world.viewers[again].stored.insert(damaged, bytes::Bytes::from_static(b"rot"));
    let now = world.now;
    world.viewers[again].open(now, &film);
    let read = world.viewers[again].read(now, &film, 0..u64::MAX, None);
    assert!(world.run(60_000, |world| is_over(world, (again, read))));
    let stats = world.viewers[again].engine.film_stats(FILM).unwrap();
    assert!(stats.from_cache_bytes > 3_900_000, "{stats:?}");
    assert!(stats.from_masternodes_bytes < 200_000, "{stats:?}");
}
