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

/// A film from ten holders that all end at once and come back.
fn all_fall_silent(noticed: bool) -> World {
    let film = Rc::new(Film::new(6, 10, 1024, 60, 1));
    let mut world =
        World::new(Rc::clone(&film), FetcherConfig::default(), 1).with_a_holder_a_column(60_000);
    world.connect_all();
    for holder in 0..10 {
        world.kill_at(10_000, holder, noticed);
        world.revive_at(40_000, holder);
    }
    world.play(0, 2_000, 1_000, 5);
    world.run(60_000);
    world.assert_deliveries_are_right();
    world
}

#[test]
fn when_everybody_falls_silent_it_starves_as_when_everybody_is_gone() {
    let starved = |world: &World| {
        let told = |(at, event): &(u64, Event)| match event {
            Event::Starving { reachable, .. } => Some((*at, *reachable)),
            Event::Recovered => Some((*at, 10)),
            _ => None,
        };
        world.events.iter().filter_map(told).collect::<Vec<_>>()
    };
    let (gone, silent) = (starved(&all_fall_silent(true)), starved(&all_fall_silent(false)));
    assert!(matches!(gone[..], [(11_000..12_000, 0), (40_000..41_000, 10)]), "{gone:?}");
    // Three times three seconds, and the second that being out of reach lasts before it is told.
    assert!(matches!(silent[..], [(19_000..22_000, 0..6), (40_000..41_000, 10)]), "{silent:?}");
}

#[test]
fn after_a_silence_of_all_nobody_is_left_alone_for_being_the_second_to_speak() {
    let film = Rc::new(Film::new(6, 10, 1024, 60, 1));
    let mut world =
        World::new(Rc::clone(&film), FetcherConfig::default(), 1).with_a_holder_a_column(60_000);
    world.connect_all();
    (0..10).for_each(|holder| {
        world.hang(10_000..40_000 + 250 * holder, usize::try_from(holder).unwrap())
    });
    world.play(0, 2_000, 1_000, 5);
    world.run(60_000);
    world.assert_deliveries_are_right();
    assert!((0..10).all(|holder| !rested(&world, holder)), "{:?}", world.events);
    assert!(world.deliveries.contains_key(&50));
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
