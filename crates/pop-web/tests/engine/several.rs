//! Several films at once, and films that were closed.

use std::rc::Rc;

use pop_web::engine::{FilmId, Input, Upload};

use crate::masternode::Published;
use crate::viewer::FILM;
use crate::world::{World, seed};

const NODES: u8 = 9;

/// The second film of a viewer.
const OTHER: FilmId = FilmId(2);

/// 16 s of film, a megabit a second.
fn film(number: u8) -> Rc<Published> {
    Published::new(number, 2_000_000, (6, 9), 8 * 1024)
}

/// A network that has both films, and somebody who has all of one of them.
fn network(films: [&Rc<Published>; 2]) -> World {
    let mut world = World::new(seed(), NODES, films[0]);
    world.publish(films[1]);
    world
}

fn watch(world: &mut World, viewer: usize, id: FilmId, film: &Rc<Published>) -> u64 {
    let now = world.now;
    world.viewers[viewer].open_as(now, id, film);
    world.viewers[viewer].read_of(now, (id, film), 0..u64::MAX, None)
}

fn is_over(world: &World, viewer: usize, read: u64) -> bool {
    world.viewers[viewer].reads[&read].is_over
}

fn from_viewers(world: &World, viewer: usize, film: FilmId) -> u64 {
    world.viewers[viewer].engine.film_stats(film).unwrap().from_viewers_bytes
}

/// Somebody with all of a film, and the number by which he knows it.
fn owner(world: &mut World, film: &Rc<Published>) -> usize {
    let viewer = world.viewer(|_| {});
    let read = watch(world, viewer, FILM, film);
    assert!(world.run(60_000, |world| is_over(world, viewer, read)));
    viewer
}

#[test]
fn two_films_at_once_are_given_by_the_viewers_of_each() {
    let (one, two) = (film(11), film(12));
    let mut world = network([&one, &two]);
    let owners = [owner(&mut world, &one), owner(&mut world, &two)];
    // As many masternodes as hold enough of neither.
    (1..5).for_each(|node| world.kill(node));
    world.run(3_000, |_| false);
    let both = world.viewer(|_| {});
    let reads = [watch(&mut world, both, FILM, &one), watch(&mut world, both, OTHER, &two)];
    let over = world.run(120_000, |world| reads.iter().all(|read| is_over(world, both, *read)));
    assert!(over, "{:?}", world.viewers[both].engine.film_stats(OTHER));
    assert!(from_viewers(&world, both, FILM) > 0 && from_viewers(&world, both, OTHER) > 0);
    // Those who have one film each know nothing of the other.
    let viewers = |viewer: usize| world.viewers[viewer].engine.stats().viewers_up;
    assert_eq!(owners.map(viewers), [1, 1]);
    assert_eq!(viewers(both), 2);
}

#[test]
fn two_who_watch_the_same_two_films_give_each_other_both() {
    let (one, two) = (film(11), film(12));
    let mut world = network([&one, &two]);
    let first = owner(&mut world, &one);
    let read = watch(&mut world, first, OTHER, &two);
    assert!(world.run(60_000, |world| is_over(world, first, read)));
    (1..5).for_each(|node| world.kill(node));
    world.run(3_000, |_| false);
    let second = world.viewer(|_| {});
    let reads = [watch(&mut world, second, FILM, &one), watch(&mut world, second, OTHER, &two)];
    assert!(world.run(120_000, |world| reads.iter().all(|read| is_over(world, second, *read))));
}

#[test]
fn two_who_seek_what_the_other_has_are_linked_for_both_though_their_offers_cross() {
    let films = [film(11), film(12)];
    let mut world = network([&films[0], &films[1]]);
    // Each has the other film, closed: it is found by who seeks it, and says nothing by itself.
    let viewers = [owner(&mut world, &films[0]), owner(&mut world, &films[1])];
    let now = world.now;
    for viewer in viewers {
        world.viewers[viewer].tell(now, Input::Close { film: FILM });
    }
    world.run(3_000, |_| false);
    let from = world.now;
    for (viewer, sought) in viewers.into_iter().zip(films.iter().rev()) {
        world.viewers[viewer].open_as(from, OTHER, sought);
    }
    let linked = |world: &World| {
        viewers.map(|viewer| world.viewers[viewer].engine.stats().viewers_up) == [2, 2]
    };
    assert!(world.run(20_000, linked));
    let took_ms = world.now - from;
    // Before the next notes of presence.
    assert!(took_ms < 4_000, "{took_ms} ms");
}

#[test]
fn a_film_that_was_closed_is_served_on_until_re_streaming_is_switched_off() {
    let (one, two) = (film(11), film(12));
    let mut world = network([&one, &two]);
    let first = owner(&mut world, &one);
    let now = world.now;
    world.viewers[first].tell(now, Input::Close { film: FILM });
    let read = watch(&mut world, first, OTHER, &two);
    assert!(world.run(60_000, |world| is_over(world, first, read)));
    assert_eq!(world.viewers[first].engine.film_stats(FILM), None, "it is closed for the page");
    (1..5).for_each(|node| world.kill(node));
    world.run(3_000, |_| false);
    let second = world.viewer(|_| {});
    let read = watch(&mut world, second, FILM, &one);
    assert!(world.run(120_000, |world| is_over(world, second, read)));
    assert!(world.viewers[first].engine.stats().up_bytes > 0);
    let upload = Upload { is_on: false, ..Upload::default() };
    let now = world.now;
    world.viewers[first].tell(now, Input::Upload(upload));
    let alone = |world: &World| world.viewers[second].engine.stats().viewers_up == 0;
    assert!(world.run(20_000, alone));
}

#[test]
fn of_the_films_that_were_closed_the_last_few_are_served_on() {
    let films: Vec<_> = (11..16).map(film).collect();
    let mut world = World::new(seed(), NODES, &films[0]);
    films[1..].iter().for_each(|film| world.publish(film));
    let viewer = world.viewer(|_| {});
    for (id, film) in (1..).map(FilmId).zip(&films) {
        let read = watch(&mut world, viewer, id, film);
        assert!(world.run(60_000, |world| is_over(world, viewer, read)));
        let now = world.now;
        world.viewers[viewer].tell(now, Input::Close { film: id });
    }
    // Whoever comes for the last one finds it, and for the first one nobody.
    (1..5).for_each(|node| world.kill(node));
    world.run(3_000, |_| false);
    let late = world.viewer(|_| {});
    let read = watch(&mut world, late, FILM, &films[films.len() - 1]);
    assert!(world.run(120_000, |world| is_over(world, late, read)));
    let vain = watch(&mut world, late, OTHER, &films[0]);
    assert!(!world.run(30_000, |world| is_over(world, late, vain)));
}
