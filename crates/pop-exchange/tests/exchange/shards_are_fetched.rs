use std::rc::Rc;

use pop_exchange::fetcher::{FetcherConfig, Input, SourceKind};
use pop_wire::{ColumnSet, SegmentIndex};

use crate::film::{Film, column};
use crate::world::{Manner, World};

#[test]
fn a_download_delivers_every_segment_once_and_mostly_from_data_columns() {
    let film = Rc::new(Film::new(6, 10, 1024, 40, 1));
    let mut world =
        World::new(Rc::clone(&film), FetcherConfig::default(), 1).with_a_holder_a_column(200_000);
    world.connect_all();
    world.download();
    world.run_to_the_end(60_000);
    world.assert_deliveries_are_right();
    let shards = world.deliveries.values().flat_map(|delivery| &delivery.shards);
    let data = shards.filter(|shard| shard.column().get() < 6).count();
    assert!(data >= 40 * 6 / 2, "{data} data shards");
}

#[test]
fn one_holder_of_everything_is_enough() {
    let film = Rc::new(Film::new(6, 10, 1024, 40, 1));
    let mut world = World::new(Rc::clone(&film), FetcherConfig::default(), 1);
    world.add_holder(ColumnSet::all(10), Manner::Honest, 20, 1 << 20, SourceKind::Masternode);
    world.connect_all();
    world.download();
    let end_ms = world.run_to_the_end(60_000);
    // 240 KiB at 1 MiB/s, and some round trips.
    assert!(end_ms < 600, "{end_ms} ms");
}

#[test]
fn a_download_uses_all_of_its_sources_when_data_columns_are_slow() {
    let film = Rc::new(Film::new(6, 12, 1024, 200, 1));
    let mut world =
        World::new(Rc::clone(&film), FetcherConfig::default(), 1).with_a_holder_a_column(50_000);
    world.connect_all();
    world.download();
    let end_ms = world.run_to_the_end(120_000);
    // 1,200 KiB: 24.6 s of one holder's throughput. Twelve at a third more or less, fully used,
    // take 2.2 s or so; six take 4.1.
    assert!(end_ms < 3_600, "{end_ms} ms");
}

#[test]
fn what_a_jump_leaves_behind_is_counted_as_that() {
    let film = Rc::new(Film::new(6, 10, 1024, 40, 1));
    let mut world =
        World::new(Rc::clone(&film), FetcherConfig::default(), 1).with_a_holder_a_column(20_000);
    world.connect_all();
    world.download();
    world.run(400);
    world.view(Input::Want { segments: 30..40, first_deadline: None, segment_duration_ms: 0 });
    world.run(2_000);
    let totals = world.fetcher.totals();
    assert!(totals.dropped_bytes > 0 && totals.dropped_bytes.is_multiple_of(1024), "{totals:?}");
    assert!(totals.unwanted_bytes > 0, "{totals:?}");
    assert_eq!(totals.unwanted_bytes, totals.wasted_bytes, "nothing was asked for twice");
    assert_eq!((totals.hedges, totals.extras), (0, 0));
}

#[test]
fn memory_stays_within_the_window() {
    let film = Rc::new(Film::new(6, 10, 1024, 60, 1));
    let mut config = FetcherConfig::default();
    config.window_bytes_max = 3 * 6 * 1024;
    let mut world = World::new(Rc::clone(&film), config, 1).with_a_holder_a_column(100_000);
    world.decode_ms = 20;
    world.connect_all();
    world.download();
    world.run_to_the_end(120_000);
    assert!(world.charged_max <= 3 * 6 * 1024, "{}", world.charged_max);
    assert_eq!(world.fetcher.charged_bytes(), world.fetcher.charged_bytes().min(3 * 6 * 1024));
}

#[test]
fn a_shell_that_releases_nothing_is_sent_nothing_beyond_the_window() {
    let film = Rc::new(Film::new(6, 10, 1024, 60, 1));
    let mut config = FetcherConfig::default();
    config.window_bytes_max = 4 * 6 * 1024;
    let mut world = World::new(Rc::clone(&film), config, 1).with_a_holder_a_column(1_000_000);
    world.decode_ms = 1_000_000;
    world.connect_all();
    world.download();
    world.run(20_000);
    assert!((3..=4).contains(&world.deliveries.len()), "{}", world.deliveries.len());
    let segment = SegmentIndex(0);
    world.view(Input::Release { segment });
    world.view(Input::Release { segment: SegmentIndex(1) });
    world.run(21_000);
    assert!(world.deliveries.len() > 4);
}

#[test]
fn a_seek_cancels_what_is_no_longer_wanted_and_delivers_what_is() {
    let film = Rc::new(Film::new(6, 10, 1024, 100, 1));
    let mut config = FetcherConfig::default();
    config.window_bytes_max = 20 * 6 * 1024;
    let mut world = World::new(Rc::clone(&film), config, 1).with_a_holder_a_column(20_000);
    world.connect_all();
    world.play(0, 2_000, 1_000, 15);
    world.run(900);
    let before = world.now_ms();
    world.play(80, 1_000, 1_000, 15);
    world.run(5_000);
    let first = world.deliveries.get(&80).expect("the segment that was sought");
    assert!(first.at_ms - before < 1_000, "{} ms", first.at_ms - before);
    assert!(world.faults().is_empty());
    let beyond = world.deliveries.range(40..80).count();
    assert_eq!(beyond, 0, "segments nobody wanted");
}

#[test]
fn a_segment_can_be_wanted_again() {
    let film = Rc::new(Film::new(2, 3, 1024, 4, 1));
    let mut world =
        World::new(Rc::clone(&film), FetcherConfig::default(), 1).with_a_holder_a_column(100_000);
    world.connect_all();
    world.download();
    world.run_to_the_end(10_000);
    world.run(11_000);
    world.deliveries.clear();
    world.download();
    world.run(12_000);
    assert!(world.deliveries.is_empty(), "what was delivered and stays wanted comes once");
    world.view(Input::Again { segment: SegmentIndex(2) });
    world.run(13_000);
    assert_eq!(world.deliveries.keys().copied().collect::<Vec<_>>(), [2]);
}

#[test]
fn a_seek_back_to_what_the_shell_still_holds_delivers_it_after_its_release() {
    let film = Rc::new(Film::new(2, 3, 1024, 20, 1));
    let mut world =
        World::new(Rc::clone(&film), FetcherConfig::default(), 1).with_a_holder_a_column(100_000);
    world.decode_ms = 1_000;
    world.connect_all();
    let want = |segments| Input::Want { segments, first_deadline: None, segment_duration_ms: 0 };
    world.view(want(0..4));
    world.run(500);
    assert_eq!(world.deliveries.len(), 4);
    world.view(want(10..12));
    world.run(600);
    world.deliveries.clear();
    world.view(want(0..4));
    world.run(700);
    assert!(world.deliveries.is_empty(), "the shell still has them");
    world.run(3_000);
    assert_eq!(world.deliveries.len(), 4);
}

#[test]
fn a_column_that_is_not_there_is_not_asked_for_again() {
    let film = Rc::new(Film::new(2, 4, 1024, 20, 1));
    let mut world =
        World::new(Rc::clone(&film), FetcherConfig::default(), 1).with_a_holder_a_column(100_000);
    world.holders[0].manner = Manner::Empty;
    world.connect_all();
    world.download();
    world.run_to_the_end(10_000);
    assert!(world.faults().is_empty());
    let refused = |(_, event): &&(u64, pop_exchange::fetcher::Event)| {
        matches!(event, pop_exchange::fetcher::Event::Refused { .. })
    };
    let refusals = world.events.iter().filter(refused).count();
    assert!((1..=20).contains(&refusals), "{refusals}");
    assert!(world.deliveries.values().all(|d| d.shards.iter().all(|s| s.column() != column(0))));
}

#[test]
fn too_few_sources_are_reported_and_fetching_goes_on_when_one_comes_back() {
    use pop_exchange::fetcher::Event;
    let film = Rc::new(Film::new(6, 10, 1024, 40, 1));
    let mut config = FetcherConfig::default();
    config.window_bytes_max = 3 * 6 * 1024;
    let mut world = World::new(Rc::clone(&film), config, 1).with_a_holder_a_column(30_000);
    world.connect_all();
    (0..5).for_each(|holder| world.kill_at(300, holder, true));
    world.revive_at(20_000, 2);
    world.download();
    world.run(19_000);
    let starving = world.events.iter().find_map(|(at, event)| match event {
        Event::Starving { reachable, needed, live_sources, .. } => {
            Some((*at, *reachable, *needed, *live_sources))
        }
        _ => None,
    });
    let (at, reachable, needed, live) = starving.expect("an event");
    assert!((1_300..2_500).contains(&at), "{at}");
    assert!(reachable < needed && needed == 6 && live == 5, "{reachable} {needed} {live}");
    world.run_to_the_end(60_000);
    assert!(world.events.iter().any(|(_, event)| *event == Event::Recovered));
}
