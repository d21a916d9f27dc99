use std::rc::Rc;

use pop_exchange::fetcher::FetcherConfig;

use crate::film::Film;
use crate::trace::Trace;
use crate::world::{Manner, World};

fn run(film: &Rc<Film>, seed: u64) -> Trace {
    let mut world =
        World::new(Rc::clone(film), FetcherConfig::default(), seed).with_a_holder_a_column(60_000);
    world.holders[3].manner = Manner::FlipsBits;
    world.holders[5].manner = Manner::Silent;
    world.holders[6].manner = Manner::Busy;
    world.connect_all();
    world.kill_at(700, 1, true);
    world.kill_at(900, 8, false);
    world.revive_at(5_000, 8);
    world.play(0, 1_000, 300, 8);
    world.run_to_the_end(60_000);
    world.assert_deliveries_are_right();
    world.trace
}

#[test]
fn the_same_seed_gives_the_same_trace_twice_and_another_seed_another() {
    let film = Rc::new(Film::new(6, 12, 1024, 30, 1));
    assert_eq!(run(&film, 1), run(&film, 1));
    assert_ne!(run(&film, 1), run(&film, 2));
}
