use std::rc::Rc;

use pop_exchange::fetcher::{Event, FetcherConfig};

use crate::film::{Film, peer};
use crate::world::{Manner, World};

fn play_with(manners: &[(usize, Manner)], slow: &[(usize, u64)]) -> World {
    let film = Rc::new(Film::new(6, 10, 1024, 40, 1));
    let mut world =
        World::new(Rc::clone(&film), FetcherConfig::default(), 1).with_a_holder_a_column(60_000);
    manners.iter().for_each(|(holder, manner)| world.holders[*holder].manner = *manner);
    slow.iter().for_each(|(holder, rate)| world.holders[*holder].bytes_per_s = *rate);
    world.connect_all();
    world.play(0, 2_000, 1_000, 5);
    world.run_to_the_end(90_000);
    world.assert_deliveries_are_right();
    for (index, delivery) in &world.deliveries {
        assert!(delivery.at_ms <= 2_000 + index * 1_000, "segment {index}: {}", delivery.at_ms);
    }
    world
}

fn rested(world: &World, holder: u64) -> bool {
    let named =
        |event: &Event| matches!(event, Event::SourceResting { peer: p, .. } if *p == peer(holder));
    world.events.iter().any(|(_, event)| named(event))
}

#[test]
fn holders_that_never_answer_cost_no_deadline() {
    let world = play_with(&[(0, Manner::Silent), (4, Manner::Silent)], &[]);
    assert!(rested(&world, 0) && rested(&world, 4));
}

#[test]
fn holders_that_send_one_byte_a_second_cost_no_deadline_and_are_left_alone() {
    let world = play_with(&[], &[(0, 1), (3, 1)]);
    assert!(world.faults().len() <= 2);
}

#[test]
fn a_holder_that_falls_silent_is_left_alone_for_a_minute() {
    let film = Rc::new(Film::new(6, 10, 1024, 150, 1));
    let mut world =
        World::new(Rc::clone(&film), FetcherConfig::default(), 1).with_a_holder_a_column(60_000);
    world.connect_all();
    world.kill_at(5_000, 1, false);
    world.play(0, 2_000, 1_000, 5);
    world.run_to_the_end(200_000);
    assert!(rested(&world, 1));
    let rests =
        |(at, event): &(u64, Event)| matches!(event, Event::SourceResting { .. }).then_some(*at);
    let rests: Vec<u64> = world.events.iter().filter_map(rests).collect();
    assert!((13_000..16_000).contains(&rests[0]), "{rests:?}");
    assert!(rests.len() <= 3, "{rests:?}");
    assert!(rests.windows(2).all(|pair| pair[1] - pair[0] >= 60_000), "{rests:?}");
}

#[test]
fn busy_holders_are_asked_again_later() {
    let world = play_with(&[(0, Manner::Busy), (1, Manner::Busy), (2, Manner::Busy)], &[]);
    assert!(world.faults().is_empty());
}

#[test]
fn slow_holders_give_what_they_can() {
    let world = play_with(&[], &[(1, 3_000), (2, 3_000)]);
    assert!(world.faults().is_empty());
    assert!(!rested(&world, 1) && !rested(&world, 2));
}
