//! Viewers among the sources: they come with a part of the content, leave without a word, lie, and
//! together with what masternodes are left they are enough.

use std::collections::BTreeSet;
use std::rc::Rc;

use pop_exchange::fetcher::{Event, FetcherConfig, SourceKind};
use pop_exchange::{Fault, LinkId};

use crate::film::{Film, column, peer};
use crate::world::{Manner, World};

/// Segments of a second each, 6 of 10, shards of a kibibyte.
fn film(segments: u64) -> Rc<Film> {
    Rc::new(Film::new(6, 10, 1024, segments, 1))
}

fn world(film: &Rc<Film>, seed: u64) -> World {
    World::new(Rc::clone(film), FetcherConfig::default(), seed)
}

fn assert_no_segment_was_late(world: &World) {
    let late = world.events.iter().find(|(_, event)| matches!(event, Event::Overdue { .. }));
    assert_eq!(late, None);
}

#[test]
fn viewers_who_hold_it_together_are_enough() {
    for seed in 1..=5 {
        let film = film(60);
        let mut world = world(&film, seed);
        world.add_viewer(&[0..10, 40..50], Manner::Honest, 20, 100_000);
        world.add_viewer(&[10..30], Manner::Honest, 30, 60_000);
        world.add_viewer(&[25..42, 50..60], Manner::Honest, 10, 80_000);
        world.connect_all();
        world.download();
        world.run_to_the_end(60_000);
        world.assert_deliveries_are_right();
        assert_eq!(world.faults(), []);
    }
}

#[test]
fn a_viewer_that_announces_more_later_is_asked_for_it() {
    let film = film(20);
    let mut world = world(&film, 1);
    let viewer = world.add_viewer(&[0..5], Manner::Honest, 20, 100_000);
    world.connect_all();
    world.download();
    world.run(5_000);
    assert_eq!(world.deliveries.keys().copied().collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
    assert!(world.events.iter().any(|(_, event)| matches!(event, Event::Starving { .. })));
    world.announce(viewer, &[0..20]);
    world.run_to_the_end(30_000);
    assert!(world.events.iter().any(|(_, event)| matches!(event, Event::Recovered)));
}

#[test]
fn what_lies_behind_a_gap_is_fetched_and_the_gap_when_it_is_closed() {
    let film = film(40);
    let mut world = world(&film, 1);
    let viewer = world.add_viewer(&[3..20, 30..40], Manner::Honest, 20, 200_000);
    // Too few masternodes to close the gaps alone.
    for index in 0..3 {
        let columns = [column(index)].into_iter().collect();
        world.add_holder(columns, Manner::Honest, 10, 100_000, SourceKind::Masternode);
    }
    world.connect_all();
    world.download();
    world.run(20_000);
    let expected: BTreeSet<u64> = (3..20).chain(30..40).collect();
    assert_eq!(world.deliveries.keys().copied().collect::<BTreeSet<_>>(), expected);
    world.announce(viewer, &[0..40]);
    world.run_to_the_end(40_000);
    world.assert_deliveries_are_right();
}

#[test]
fn what_cannot_go_on_gives_way_to_what_is_needed_earlier() {
    let film = film(20);
    let mut config = FetcherConfig::default();
    // Two segments, and room for hedging.
    config.window_bytes_max = 3 * 6 * 1024;
    let mut world = World::new(Rc::clone(&film), config, 1);
    let gone = world.add_viewer(&[1..20], Manner::Honest, 5, 20_000);
    let later = world.add_viewer(&[0..1], Manner::Honest, 5, 20_000);
    world.connect(gone);
    world.download();
    // It is in the middle of a segment, and the next one is begun.
    world.kill_at(150, gone, true);
    world.run(1_000);
    assert!(world.fetcher.charged_bytes() > 0 && world.deliveries.is_empty());
    world.connect(later);
    world.run(5_000);
    assert_eq!(world.deliveries.keys().copied().collect::<Vec<_>>(), [0]);
    assert!(world.charged_max <= 3 * 6 * 1024);
}

/// A viewer and four masternodes, of six columns that are needed; the viewer is gone when it has
/// sent half of what it was asked for.
#[test]
fn a_viewer_and_too_few_masternodes_complete_a_segment_together() {
    let film = film(1);
    let mut world = world(&film, 1);
    for index in 0..4 {
        let columns = [column(index)].into_iter().collect();
        world.add_holder(columns, Manner::Honest, 200, 100_000, SourceKind::Masternode);
    }
    let viewer = world.add_viewer(&[0..1], Manner::Honest, 5, 20_000);
    world.connect_all();
    world.download();
    // Two shards take it 110 ms; three would take it 160.
    world.kill_at(150, viewer, true);
    world.run_to_the_end(20_000);
    let shards = &world.deliveries[&0].shards;
    assert!(shards.iter().filter(|shard| shard.column() >= column(4)).count() >= 2);
}

/// Play with ten masternodes, of which those in `dead` die after ten seconds, and viewers that
/// come and go.
fn play(seed: u64, dead: std::ops::Range<usize>) -> World {
    let film = film(90);
    let mut world = world(&film, seed).with_a_holder_a_column(30_000);
    // Together they hold everything from 20 on, whoever of the last two leaves first.
    let early = world.add_viewer(&[0..90], Manner::Honest, 25, 40_000);
    let steady = world.add_viewer(&[15..90], Manner::Honest, 30, 40_000);
    let half = world.add_viewer(&[0..30, 50..90], Manner::Honest, 15, 60_000);
    let short = world.add_viewer(&[40..90], Manner::Honest, 40, 30_000);
    (0..10).for_each(|holder| world.connect(holder));
    world.connect_at(500, early);
    world.connect_at(3_000, steady);
    world.connect_at(8_000, half);
    world.connect_at(15_000, short);
    dead.for_each(|holder| world.kill_at(10_000, holder, holder % 2 == 0));
    world.kill_at(20_000 + seed * 300, early, false);
    world.kill_at(30_000 + seed * 100, half, true);
    world.play(0, 2_000, 1_000, 45);
    world.run_to_the_end(120_000);
    world.assert_deliveries_are_right();
    assert_no_segment_was_late(&world);
    assert_eq!(world.faults(), []);
    world
}

#[test]
fn viewers_come_and_go_without_a_word_and_nothing_stalls() {
    for seed in 1..=8 {
        let world = play(seed, 0..0);
        assert!(world.received_of(SourceKind::Viewer) > 0, "seed {seed}");
    }
}

#[test]
fn all_masternodes_die_and_viewers_go_on() {
    for seed in 1..=8 {
        let world = play(seed, 0..10);
        let of_viewers = world.received_of(SourceKind::Viewer);
        // Masternodes could give what lay within the window in their ten seconds, no more.
        assert!(of_viewers >= 30 * 6 * 1024, "{of_viewers}, seed {seed}");
    }
}

#[test]
fn too_many_masternodes_die_and_the_rest_helps_the_viewers() {
    (1..=8).for_each(|seed| drop(play(seed, 2..9)));
}

/// Play with one viewer of `manner` among ten masternodes and an honest one; what the liar is
/// named for.
fn lied_to_by(manner: Manner, seed: u64) -> Vec<(pop_wire::PeerId, Fault)> {
    let film = film(60);
    let mut world = world(&film, seed).with_a_holder_a_column(30_000);
    let liar = world.add_viewer(&[0..60], manner, 5, 200_000);
    world.add_viewer(&[0..60], Manner::Honest, 20, 60_000);
    world.connect_all();
    world.play(0, 2_000, 1_000, 45);
    world.run_to_the_end(80_000);
    world.assert_deliveries_are_right();
    assert_no_segment_was_late(&world);
    let faults = world.faults();
    let who = peer(u64::try_from(liar).unwrap());
    assert!(faults.iter().all(|(peer, _)| *peer == who), "{faults:?}");
    let link = world.holders[liar].link;
    assert_eq!(world.closed.contains(&link), !faults.is_empty());
    faults
}

#[test]
fn a_lying_viewer_is_named_and_dropped_and_nothing_stalls() {
    let liars = [Manner::FlipsBits, Manner::WrongColumn, Manner::WrongProof, Manner::Replays];
    for (seed, manner) in (1..).zip(liars) {
        let faults = lied_to_by(manner, seed);
        assert!(matches!(faults[..], [(_, Fault::BadShard { .. })]), "{manner:?}: {faults:?}");
    }
    for (seed, manner) in (1..).zip([Manner::InventsAnswers, Manner::Absurd]) {
        assert_eq!(lied_to_by(manner, seed).len(), 1, "{manner:?}");
    }
}

#[test]
fn a_viewer_that_has_not_what_it_announced_or_dawdles_stalls_nothing_and_is_no_liar() {
    for (seed, manner) in (1..).zip([Manner::Empty, Manner::Busy, Manner::Silent]) {
        assert_eq!(lied_to_by(manner, seed), [], "{manner:?}");
    }
}

/// What was asked of masternodes more than `far_ms` before playback needs it, in twenty seconds
/// from the third second on, and the world then.
fn far_requests(seed: u64, far_ms: u64, viewers: usize) -> (BTreeSet<u64>, World) {
    let film = film(400);
    let mut config = FetcherConfig::default();
    config.far_window_ms = far_ms;
    let mut world = World::new(Rc::clone(&film), config, seed).with_a_holder_a_column(100_000);
    let added: Vec<usize> =
        (0..viewers).map(|_| world.add_viewer(&[0..1], Manner::Honest, 20, 50_000)).collect();
    let links: BTreeSet<usize> = added.into_iter().collect();
    world.connect_all();
    world.run(1_000);
    world.play(0, 2_000, 1_000, 300);
    world.run(23_000);
    let of_viewers: BTreeSet<LinkId> = links.iter().map(|it| world.holders[*it].link).collect();
    let far = world.asked.iter().filter(|(at_ms, link, segment)| {
        let deadline_ms = 3_000 + segment * 1_000;
        !of_viewers.contains(link) && deadline_ms > at_ms + far_ms.min(30_000) + 1_000
    });
    let far = far.map(|(_, _, segment)| *segment).collect();
    (far, world)
}

#[test]
fn what_is_far_is_left_to_chance_while_there_are_viewers() {
    let mut total = 0;
    for seed in 1..=10 {
        let (far, mut world) = far_requests(seed, 30_000, 1);
        // One in two of twenty seconds or so.
        total += far.len();
        assert!((3..=20).contains(&far.len()), "{}, seed {seed}", far.len());
        let spread = far.last().unwrap() - far.first().unwrap();
        assert!(spread > 100, "anywhere in the window: {far:?}");
        assert_eq!(far_requests(seed, 30_000, 1).0, far, "the seed decides");
        // The viewer leaves: nothing is left to chance any more.
        let viewer = world.holders.len() - 1;
        world.kill_at(24_000, viewer, true);
        world.run(40_000);
        assert!(world.deliveries.len() > 250, "{}", world.deliveries.len());
    }
    assert!((80..=135).contains(&total), "{total}");
}

#[test]
fn with_more_viewers_each_takes_less_to_itself() {
    let of = |viewers| (1..=10).map(|seed| far_requests(seed, 30_000, viewers).0.len()).sum();
    let (one, four): (usize, usize) = (of(1), of(4));
    // One in two against one in five.
    assert!(four * 3 / 2 < one, "{four} against {one}");
    assert!((20..=65).contains(&four), "{four}");
}

#[test]
fn without_viewers_or_with_the_rule_switched_off_everything_is_asked_in_order() {
    for (far_ms, viewers) in [(30_000, 0), (u64::MAX, 1)] {
        let (_, world) = far_requests(1, far_ms, viewers);
        assert!(world.deliveries.len() > 250, "{}", world.deliveries.len());
    }
}
