//! Who is asked for what: masternodes for what is near, viewers for the rest, as long as that is
//! safe.

use std::rc::Rc;

use pop_web::engine::EngineConfig;

use crate::masternode::Published;
use crate::viewer::FILM;
use crate::world::{World, seed};

const NODES: u8 = 9;

/// A megabit a second, as the films' length says.
const PACE: u64 = 125_000;

/// What a browser's player reads ahead of what it shows.
const GREEDY_BYTES: u64 = 2 << 20;

/// As large as the clip of the demo, in 30 segments of 192 KiB.
fn clip() -> Rc<Published> {
    Published::new(7, 5_730_000, (6, 9), 32 * 1024)
}

/// Somebody who watches, and reads as far ahead as a browser does.
#[derive(Clone, Copy)]
struct Watching {
    viewer: usize,
    read: u64,
    opened_at: u64,
}

impl Watching {
    fn begin(world: &mut World, film: &Rc<Published>) -> Self {
        Self::begin_as(world, film, |_| {})
    }

    fn begin_as(
        world: &mut World,
        film: &Rc<Published>,
        change: impl FnOnce(&mut EngineConfig),
    ) -> Self {
        let viewer = world.viewer(|config| {
            config.window_bytes = 32 << 20;
            change(config);
        });
        let opened_at = world.now;
        world.viewers[viewer].ahead_bytes = GREEDY_BYTES;
        world.viewers[viewer].open(opened_at, film);
        let read = world.viewers[viewer].read(opened_at, film, 0..u64::MAX, Some(PACE));
        Self { viewer, read, opened_at }
    }

    fn is_over(self, world: &World) -> bool {
        world.viewers[self.viewer].reads[&self.read].is_over
    }

    fn stalled_ms(self, world: &World) -> u64 {
        world.viewers[self.viewer].reads[&self.read].stalled_ms
    }

    fn first_frame_ms(self, world: &World) -> u64 {
        let first = world.viewers[self.viewer].reads[&self.read].first_byte_at;
        first.unwrap() - self.opened_at
    }

    /// Bytes from viewers, of all, in per cent.
    fn viewers_percent(self, world: &World) -> u64 {
        let stats = world.viewers[self.viewer].engine.film_stats(FILM).unwrap();
        let all = stats.from_viewers_bytes + stats.from_masternodes_bytes;
        stats.from_viewers_bytes * 100 / all.max(1)
    }
}

/// Three watch one after the other, and the first leaves while the others play. Per cent from
/// viewers of the second and the third.
fn three(seed: u64, film: &Rc<Published>, rtc_ms: u64) -> [u64; 2] {
    let mut world = World::new(seed, NODES, film);
    world.rtc_ms = rtc_ms;
    let first = Watching::begin(&mut world, film);
    world.run(14_000, |_| false);
    let second = Watching::begin(&mut world, film);
    world.run(5_000, |_| false);
    let third = Watching::begin(&mut world, film);
    world.run(16_000, |_| false);
    world.leave(first.viewer);
    let over = |world: &World| second.is_over(world) && third.is_over(world);
    assert!(world.run(200_000, over), "seed {seed}");
    for watching in [second, third] {
        assert_eq!(watching.stalled_ms(&world), 0, "seed {seed}");
    }
    let frames = [first, second, third].map(|it| it.first_frame_ms(&world));
    let shares = [second, third].map(|it| it.viewers_percent(&world));
    println!("seed {seed}, {rtc_ms} ms to connect: {shares:?} % from viewers, {frames:?} ms");
    shares
}

#[test]
fn most_of_a_small_clip_comes_from_viewers_also_when_browsers_take_long_to_connect() {
    let clip = clip();
    for (run, rtc_ms) in [60, 2_000, 6_000].into_iter().enumerate() {
        let seed = seed() + u64::try_from(run).unwrap();
        let shares = three(seed, &clip, rtc_ms);
        assert!(shares.iter().all(|share| *share > 50), "seed {seed}, {rtc_ms} ms: {shares:?}");
    }
}

/// Somebody has the whole clip and does as `change` says; then a second one watches it.
fn beside(
    film: &Rc<Published>,
    (seed, link): (u64, Option<(u64, u64)>),
    change: impl FnOnce(&mut World, Watching),
) -> (World, Watching, Watching) {
    let mut world = World::new(seed, NODES, film);
    world.link = link;
    let first = Watching::begin(&mut world, film);
    assert!(world.run(200_000, |world| first.is_over(world)));
    change(&mut world, first);
    let second = Watching::begin(&mut world, film);
    (world, first, second)
}

#[track_caller]
fn assert_plays_on(world: &mut World, watching: Watching) {
    let over = world.run(200_000, |world| watching.is_over(world));
    let stats = || world.viewers[watching.viewer].engine.film_stats(FILM);
    assert!(over, "{:?}", stats());
    assert_eq!(watching.stalled_ms(world), 0, "{:?}", stats());
}

#[test]
fn viewers_that_promise_or_are_slow_or_vanish_stall_nobody() {
    let clip = clip();
    let withholds = |world: &mut World, first: Watching| {
        world.viewers[first.viewer].withholds = true;
    };
    // An eighth of what the film takes.
    let slow = |world: &mut World, first: Watching| {
        world.viewers[first.viewer].uplink_bytes_per_ms = Some(16);
    };
    for (seed, change) in [(seed(), &withholds as &dyn Fn(&mut World, Watching)), (seed(), &slow)] {
        let (mut world, _, second) = beside(&clip, (seed, None), change);
        assert_plays_on(&mut world, second);
    }
    for after_ms in [1_000, 3_000, 9_000] {
        let (mut world, first, second) = beside(&clip, (seed(), None), |_, _| {});
        let is_linked = |world: &World| world.viewers[second.viewer].engine.stats().viewers_up > 0;
        assert!(world.run(20_000, is_linked));
        world.run(after_ms, |_| false);
        world.leave(first.viewer);
        assert_plays_on(&mut world, second);
    }
}

#[test]
fn slow_masternodes_are_asked_further_ahead_and_nobody_waits_for_viewers_in_vain() {
    let clip = clip();
    // Nine of them bring 1.7 times what the film takes, or just that.
    for link in [(120, 24), (500, 40), (120, 20)] {
        let stalls = |webrtc: bool| {
            let mut world = World::new(seed(), NODES, &clip);
            world.link = Some(link);
            let watching = Watching::begin_as(&mut world, &clip, |config| config.webrtc = webrtc);
            assert!(world.run(200_000, |world| watching.is_over(world)));
            watching.stalled_ms(&world)
        };
        let (alone, hopeful) = (stalls(false), stalls(true));
        assert!(hopeful <= alone, "{link:?}: {hopeful} ms, {alone} ms without other viewers");
    }
    let withholds = |world: &mut World, first: Watching| {
        world.viewers[first.viewer].withholds = true;
    };
    // There must be something over to make up for what never comes.
    let (mut world, _, second) = beside(&clip, (seed(), Some((120, 36))), withholds);
    assert_plays_on(&mut world, second);
}

#[test]
fn the_first_frame_waits_for_nobody() {
    let clip = clip();
    for link in [(20, 500), (150, 40)] {
        let frame = |webrtc: bool| {
            let mut world = World::new(seed(), NODES, &clip);
            world.link = Some(link);
            let watching = Watching::begin_as(&mut world, &clip, |config| config.webrtc = webrtc);
            assert_plays_on(&mut world, watching);
            watching.first_frame_ms(&world)
        };
        let (alone, hopeful) = (frame(false), frame(true));
        println!("{link:?}: {hopeful} ms, {alone} ms without other viewers");
        assert!(hopeful <= alone, "{link:?}: {hopeful} ms, {alone} ms without other viewers");
    }
}

#[test]
fn a_download_takes_what_viewers_have_and_the_rest_from_masternodes_at_once() {
    let clip = clip();
    let mut world = World::new(seed(), NODES, &clip);
    // Of nine masternodes together half a megabyte a second; as much of the viewer.
    world.link = Some((30, 60));
    let first = Watching::begin(&mut world, &clip);
    assert!(world.run(200_000, |world| first.is_over(world)));
    world.viewers[first.viewer].uplink_bytes_per_ms = Some(500);
    let time = |world: &mut World, webrtc: bool| {
        let viewer = world.viewer(|config| {
            config.window_bytes = 32 << 20;
            config.webrtc = webrtc;
        });
        let from = world.now;
        world.viewers[viewer].open(from, &clip);
        let read = world.viewers[viewer].read(from, &clip, 0..u64::MAX, None);
        assert!(world.run(60_000, |world| world.viewers[viewer].reads[&read].is_over));
        let stats = world.viewers[viewer].engine.film_stats(FILM).unwrap();
        let all = stats.from_viewers_bytes + stats.from_masternodes_bytes;
        (world.now - from, stats.from_viewers_bytes * 100 / all)
    };
    let (alone_ms, _) = time(&mut world, false);
    let (with_viewer_ms, percent) = time(&mut world, true);
    println!("{with_viewer_ms} ms, {percent} % from viewers; {alone_ms} ms without");
    assert!(percent > 20, "{percent}");
    assert!(with_viewer_ms < alone_ms, "{with_viewer_ms} ms, {alone_ms} ms without");
}

#[test]
fn little_comes_in_vain_in_a_cold_start_however_slow_the_links_are() {
    let clip = clip();
    for link in [None, Some((20, 500)), Some((150, 40)), Some((120, 24)), Some((500, 40))] {
        let mut world = World::new(seed(), NODES, &clip);
        world.link = link;
        let watching = Watching::begin(&mut world, &clip);
        assert!(world.run(200_000, |world| watching.is_over(world)));
        let stats = world.viewers[watching.viewer].engine.film_stats(FILM).unwrap();
        println!("{link:?}: {} bytes in vain", stats.wasted_bytes);
        // A sixteenth, a segment, and what was on its way when that was reached.
        let bound = stats.from_masternodes_bytes / 16 + 2 * 6 * 32 * 1024;
        assert!(stats.wasted_bytes <= bound, "{link:?}: {} of {bound}", stats.wasted_bytes);
    }
}

#[test]
fn most_of_a_long_film_comes_from_viewers() {
    // A minute and a half, of which a window holds one minute. Once the first has left, the second
    // is ahead of everybody, and the third has it from there.
    let film = Published::new(8, 11_250_000, (6, 9), 32 * 1024);
    let shares = three(seed(), &film, 2_000);
    assert!(shares.iter().sum::<u64>() > 100, "{shares:?}");
}

/// The clip as the demo cuts it: every masternode holds one of 27 columns.
fn wide_clip() -> Rc<Published> {
    Published::new(7, 5_730_000, (19, 27), 32 * 1024)
}

/// A cold start from 27 masternodes near by: what a browser takes in, in bytes a millisecond, and by
/// how much pieces are late, in milliseconds; `mute` of them say nothing.
fn cold_start(seed: u64, (intake, jitter_ms): (u64, u64), mute: usize) -> (World, Watching) {
    let clip = wide_clip();
    let mut world = World::new(seed, 27, &clip);
    world.link = Some((2, 20_000));
    world.intake_bytes_per_ms = Some(intake);
    world.jitter_ms = jitter_ms;
    (0..mute).for_each(|node| world.nodes[5 + 3 * node].is_mute = true);
    let watching = Watching::begin_as(&mut world, &clip, |config| config.webrtc = false);
    assert_plays_on(&mut world, watching);
    (world, watching)
}

#[test]
fn a_busy_browser_asks_for_little_twice_and_does_not_wait_for_who_says_nothing() {
    // What three silent ones of 27 may cost where one after the other is asked, in milliseconds.
    let ms = 1_200;
    // Shards that may come in vain.
    for (browser, shards) in [((20_000, 10), 2), ((5_000, 50), 6), ((2_000, 200), 12)] {
        for run in 0..2 {
            let seed = seed() + run;
            let (world, watching) = cold_start(seed, browser, 0);
            let stats = world.viewers[watching.viewer].engine.film_stats(FILM).unwrap();
            let frame_ms = watching.first_frame_ms(&world);
            let (world, watching) = cold_start(seed, browser, 3);
            let later_ms = watching.first_frame_ms(&world).saturating_sub(frame_ms);
            let wasted = stats.wasted_bytes / (32 * 1024);
            println!("{browser:?}: {wasted} shards in vain, {frame_ms} ms; silent: +{later_ms} ms");
            assert!(wasted <= shards, "seed {seed}, {browser:?}: {wasted} of {shards}");
            assert!(later_ms <= ms, "seed {seed}, {browser:?}: {later_ms} of {ms} ms");
        }
    }
}

#[test]
fn a_download_beside_a_player_of_the_same_film_neither_stalls_it_nor_waits_with_it() {
    let clip = clip();
    let mut world = World::new(seed(), NODES, &clip);
    // Of nine masternodes 360 KB a second, three times what is played.
    world.link = Some((30, 40));
    let viewer = world.viewer(|config| config.window_bytes = 32 << 20);
    world.viewers[viewer].ahead_bytes = 512 * 1024;
    world.viewers[viewer].open(0, &clip);
    // Somebody plays the second half, and then all of it is saved.
    let played = world.viewers[viewer].read(0, &clip, 3_000_000..u64::MAX, Some(PACE));
    world.run(3_000, |_| false);
    let from = world.now;
    let saved = world.viewers[viewer].read(from, &clip, 0..u64::MAX, None);
    assert!(world.run(60_000, |world| world.viewers[viewer].reads[&saved].is_over));
    let took_ms = world.now - from;
    assert!(world.run(60_000, |world| world.viewers[viewer].reads[&played].is_over));
    let stats = world.viewers[viewer].engine.film_stats(FILM).unwrap();
    let stalled_ms = world.viewers[viewer].reads[&played].stalled_ms;
    println!("{took_ms} ms, stalled {stalled_ms} ms, {} bytes in vain", stats.wasted_bytes);
    assert_eq!(stalled_ms, 0);
    assert!(took_ms < 25_000, "{took_ms} ms");
    assert!(stats.wasted_bytes < 500_000, "{} bytes in vain", stats.wasted_bytes);
}
