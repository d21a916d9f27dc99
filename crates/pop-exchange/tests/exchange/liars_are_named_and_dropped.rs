use std::rc::Rc;

use pop_exchange::fetcher::{Event, Fetcher, FetcherConfig, Input, Output, SourceKind};
use pop_exchange::{Fault, LinkId};
use pop_wire::message::Shard;
use pop_wire::{Instant, Message};

use crate::film::{Film, column, peer};
use crate::pair::hello;
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

#[test]
fn who_sends_more_than_it_has_credit_for() {
    let film = Film::new(2, 3, 1024, 2, 1);
    let config = FetcherConfig::default();
    let mut fetcher = Fetcher::new(film.content.clone(), config, [1; 32]).unwrap();
    let (now, link) = (Instant(0), LinkId(1));
    let columns = [column(0)].into_iter().collect();
    let kind = SourceKind::Masternode;
    fetcher.handle(now, Input::LinkUp { link, peer: peer(2), columns, kind }).unwrap();
    fetcher.handle(now, Input::Message { link, message: hello() }).unwrap();
    let want = Input::Want { segments: 0..1, first_deadline: None, segment_duration_ms: 0 };
    fetcher.handle(now, want).unwrap();
    let mut asked = None;
    while let Some(output) = fetcher.poll() {
        if let Output::Send { message: Message::GetShard(get), .. } = output {
            asked = Some(get.id);
        }
    }
    let id = asked.expect("a request");
    let payload = vec![0; 1025].into();
    let shard = Shard { id, segment_path: Vec::new(), content_path: Vec::new(), payload };
    fetcher.handle(now, Input::Message { link, message: Message::Shard(shard) }).unwrap();
    let exceeded = Fault::CreditExceeded { credit_bytes: 1024, got: 1025 };
    let named = |output| match output {
        Output::Event(Event::PeerFault { fault, .. }) => Some(fault),
        _ => None,
    };
    assert_eq!(std::iter::from_fn(|| fetcher.poll()).find_map(named), Some(exceeded));
}
