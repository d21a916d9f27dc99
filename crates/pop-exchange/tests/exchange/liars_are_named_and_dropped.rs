use std::rc::Rc;

use pop_exchange::Fault;
use pop_exchange::fetcher::FetcherConfig;

use crate::film::{Film, peer};
use crate::world::{Manner, World};

/// Download with one holder of `manner`; everything arrives, and the one fault is its.
fn fault_of(manner: Manner) -> Fault {
    let film = Rc::new(Film::new(6, 10, 1024, 40, 1));
    let mut world =
        World::new(Rc::clone(&film), FetcherConfig::default(), 1).with_a_holder_a_column(100_000);
    world.holders[2].manner = manner;
    world.connect_all();
    world.download();
    world.run_to_the_end(60_000);
    world.assert_deliveries_are_right();
    let faults = world.faults();
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert_eq!(faults[0].0, peer(2), "the right one is named");
    assert_eq!(world.closed.len(), 1, "its link is closed");
    // It comes back under a new link, and is turned away.
    world.connect(2);
    world.run(61_000);
    assert_eq!(world.closed.len(), 2);
    assert_eq!(world.fetcher.sources().count(), 9);
    faults[0].1.clone()
}

#[test]
fn who_flips_bits() {
    assert!(matches!(fault_of(Manner::FlipsBits), Fault::BadShard { .. }));
}

#[test]
fn who_sends_another_column() {
    assert!(matches!(fault_of(Manner::WrongColumn), Fault::BadShard { .. }));
}

#[test]
fn who_sends_a_wrong_proof() {
    assert!(matches!(fault_of(Manner::WrongProof), Fault::BadShard { .. }));
}

#[test]
fn who_replays_a_shard() {
    assert!(matches!(fault_of(Manner::Replays), Fault::BadShard { .. }));
}

#[test]
fn who_answers_twice() {
    let fault = fault_of(Manner::AnswersTwice);
    let named = matches!(fault, Fault::UnaskedAnswer { .. } | Fault::CreditExceeded { .. });
    assert!(named, "{fault:?}");
}

#[test]
fn who_answers_what_nobody_asked() {
    assert!(matches!(fault_of(Manner::InventsAnswers), Fault::UnaskedAnswer { .. }));
}

#[test]
fn who_says_what_no_holder_says() {
    assert!(matches!(fault_of(Manner::Absurd), Fault::Unexpected { .. }));
}
