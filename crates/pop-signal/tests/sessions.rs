//! How two peers agree on a connection, and what a session refuses.

#![expect(clippy::unwrap_used, reason = "a test panics where it fails")]

use pop_signal::envelope::Letter;
use pop_signal::limits::{
    ANNOUNCE_MS, ANSWER_TIMEOUT_MS, CANDIDATE_BYTES_MAX, CANDIDATES_HELD_MAX,
    CANDIDATES_PER_LETTER_MAX, CONTENTS_MAX, ENDED_MS, JOIN_AGAIN_MS, NOTES_REMEMBERED_MAX,
    RESEND_MS, RESENDS_MAX, SDP_BYTES_MAX, SESSION_BYTES_MAX, SESSION_LETTERS_MAX,
    SESSION_TIMEOUT_MS, SESSIONS_PER_PEER_MAX, TOPIC_EPOCH_S,
};
use pop_signal::message::{Attachment, Destination, RefusedReason};
use pop_signal::session::{
    Candidate, EndReason, Event, Now, Output, Refusal, SessionError, Sessions, SessionsConfig,
};
use pop_signal::topic::{Contact, Meeting};
use pop_signal::{
    Address, DtlsFingerprint, Envelope, FingerprintError, RelayMessage, Rendezvous, SealKeypair,
    SessionId,
};
use pop_wire::{ContentId, Instant, Keypair, PeerId, UnixTime};
use proptest::prelude::*;

fn keypair(byte: u8) -> Keypair {
    Keypair::from_secret_bytes(&[byte; 32]).unwrap()
}

fn seal(byte: u8) -> SealKeypair {
    SealKeypair::from_secret_bytes([byte + 100; 32])
}

fn relay() -> PeerId {
    keypair(99).peer_id()
}

fn at(ms: u64) -> Now {
    Now { instant: Instant(ms), unix: UnixTime(1_800_000_200 + ms / 1_000) }
}

const START: u64 = 50_000;

fn sessions(byte: u8) -> Sessions {
    sessions_with(byte, SessionsConfig::default())
}

fn sessions_with(byte: u8, config: SessionsConfig) -> Sessions {
    let mut sessions = Sessions::new(&keypair(byte), seal(byte), config, [byte; 32]);
    sessions.relay_up(at(START), relay());
    sessions
}

fn contact(byte: u8) -> Contact {
    let address = Address { relay: relay(), rendezvous: Rendezvous([byte; 32]) };
    Contact { peer: keypair(byte).peer_id(), seal_key: seal(byte).public(), address }
}

fn fingerprint(byte: u8) -> DtlsFingerprint {
    DtlsFingerprint([byte; 32])
}

fn sdp(byte: u8) -> String {
    format!("v=0\r\nm=application 9\r\na=fingerprint:sha-256 {}\r\n", fingerprint(byte))
}

fn candidates(count: usize) -> Vec<Candidate> {
    (0..count)
        .map(|n| Candidate {
            candidate: format!("candidate:{n} 1 udp 1 192.0.2.1 9 typ host"),
            sdp_mid: Some("0".into()),
            sdp_m_line_index: Some(0),
        })
        .collect()
}

fn drain(sessions: &mut Sessions) -> (Vec<RelayMessage>, Vec<Event>) {
    let (mut messages, mut events) = (Vec::new(), Vec::new());
    while let Some(output) = sessions.poll() {
        match output {
            Output::Send(message) => messages.push(message),
            Output::Event(event) => events.push(event),
            other => panic!("{other:?}"),
        }
    }
    (messages, events)
}

fn letters(messages: &[RelayMessage]) -> Vec<(Address, Envelope)> {
    let letter = |message: &RelayMessage| match message {
        RelayMessage::Send { to, envelope } => Some((*to, envelope.clone())),
        _ => None,
    };
    messages.iter().filter_map(letter).collect()
}

/// Hand letters over; what happened.
fn deliver(to: &mut Sessions, now: Now, letters: Vec<(Address, Envelope)>) -> Vec<Event> {
    for (address, envelope) in letters {
        let to_rendezvous = Destination::Rendezvous(address.rendezvous);
        to.receive(now, RelayMessage::Deliver { to: to_rendezvous, envelope });
    }
    let mut events = Vec::new();
    let mut rest = Vec::new();
    while let Some(output) = to.poll() {
        match output {
            Output::Event(event) => events.push(event),
            Output::Send(message) => rest.push(message),
            other => panic!("{other:?}"),
        }
    }
    // What it sends at once is not of interest to those who call this.
    drop(rest);
    events
}

fn refused(events: &[Event]) -> &Refusal {
    match events {
        [Event::Refused(refusal)] => refusal,
        other => panic!("expected a refusal, got {other:?}"),
    }
}

/// Both, and the letters of an offer on their way.
fn offered() -> (Sessions, Sessions, SessionId, Vec<(Address, Envelope)>) {
    let (mut alice, bob) = (sessions(1), sessions(2));
    let session = alice.offer(at(START), &contact(2), sdp(1)).unwrap();
    let offer = letters(&drain(&mut alice).0);
    (alice, bob, session, offer)
}

/// Both with offer and answer exchanged.
fn settled() -> (Sessions, Sessions, SessionId) {
    let (mut alice, mut bob, session, offer) = offered();
    deliver(&mut bob, at(START), offer);
    bob.answer(at(START), session, sdp(2)).unwrap();
    let answer = letters(&drain(&mut bob).0);
    deliver(&mut alice, at(START), answer);
    (alice, bob, session)
}

/// A letter as somebody makes it who knows how.
fn forged(by: u8, to: u8, session: SessionId, sequence: u32, body: &[u8]) -> (Address, Envelope) {
    let letter = Letter {
        seal_key: seal(by).public(),
        reply_to: contact(by).address,
        expires_at: at(START).unix.after_s(60),
        session,
        sequence,
        body: body.to_vec(),
    };
    let envelope = Envelope::seal(&letter, &keypair(by), &seal(to).public(), [77; 32]).unwrap();
    (contact(to).address, envelope)
}

fn offer_body(sdp: &str) -> Vec<u8> {
    [&[1], sdp.as_bytes()].concat()
}

#[test]
fn an_offer_is_answered_and_both_know_whose_certificate_it_is() {
    let (mut alice, mut bob) = (sessions(1), sessions(2));
    let session = alice.offer(at(START), &contact(2), sdp(1)).unwrap();
    let (messages, events) = drain(&mut alice);
    assert_eq!(events, []);
    let [
        RelayMessage::Attach { rendezvous, attachment: Attachment::Session },
        RelayMessage::Send { to, .. },
    ] = &messages[..]
    else {
        panic!("{messages:?}");
    };
    assert_eq!(*to, contact(2).address);
    let events = deliver(&mut bob, at(START), letters(&messages));
    let peer = keypair(1).peer_id();
    let (sdp_of, of_sdp) = (sdp(1), fingerprint(1));
    let offered = Event::Offered { session, peer, sdp: sdp_of, fingerprint: of_sdp, content: None };
    assert_eq!(events, [offered]);

    let bobs = bob.answer(at(START), session, sdp(2)).unwrap();
    let answer = letters(&drain(&mut bob).0);
    assert_eq!(answer[0].0, Address { relay: relay(), rendezvous: *rendezvous });
    let events = deliver(&mut alice, at(START), answer);
    let answered = Event::Answered {
        session,
        peer: keypair(2).peer_id(),
        sdp: sdp(2),
        fingerprint: fingerprint(2),
        binding: bobs,
    };
    assert_eq!(events, [answered]);

    bob.connected(at(START), session);
    alice.connected(at(START), session);
    assert!(alice.is_empty() && bob.is_empty());
    let detached = drain(&mut alice).0;
    assert_eq!(detached, [RelayMessage::Detach { rendezvous: *rendezvous }]);
}

#[test]
fn candidates_wait_until_they_can_be_taken() {
    let (mut alice, mut bob, session, offer) = offered();
    alice.candidates(at(START), session, candidates(20)).unwrap();
    assert_eq!(drain(&mut alice).0, [], "the peer's rendezvous takes one letter, and had it");
    deliver(&mut bob, at(START), offer);
    bob.candidates(at(START), session, candidates(3)).unwrap();
    assert_eq!(drain(&mut bob).0, [], "before there is an answer to go with");
    bob.answer(at(START), session, sdp(2)).unwrap();
    let mut from_bob = letters(&drain(&mut bob).0);
    assert_eq!(from_bob.len(), 2, "the answer and the candidates");

    // They come in the wrong order.
    from_bob.reverse();
    let mut from_alice = Vec::new();
    for (address, envelope) in from_bob {
        let to = Destination::Rendezvous(address.rendezvous);
        alice.receive(at(START), RelayMessage::Deliver { to, envelope });
    }
    let (messages, events) = drain(&mut alice);
    from_alice.extend(letters(&messages));
    assert!(matches!(events[0], Event::Answered { .. }));
    assert_eq!(events[1], Event::Candidates { session, candidates: candidates(3) });
    assert_eq!(from_alice.len(), 20_usize.div_ceil(CANDIDATES_PER_LETTER_MAX));
    let events = deliver(&mut bob, at(START), from_alice);
    let all: Vec<Candidate> = events
        .into_iter()
        .flat_map(|event| match event {
            Event::Candidates { candidates, .. } => candidates,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(all, candidates(20));
}

#[test]
fn candidates_that_wait_are_limited() {
    let (mut alice, mut bob, session, offer) = offered();
    alice.candidates(at(START), session, candidates(CANDIDATES_HELD_MAX + 10)).unwrap();
    deliver(&mut bob, at(START), offer);
    bob.answer(at(START), session, sdp(2)).unwrap();
    let answer = letters(&drain(&mut bob).0);
    for (address, envelope) in answer {
        let to = Destination::Rendezvous(address.rendezvous);
        alice.receive(at(START), RelayMessage::Deliver { to, envelope });
    }
    let sent = letters(&drain(&mut alice).0);
    assert_eq!(sent.len(), CANDIDATES_HELD_MAX / CANDIDATES_PER_LETTER_MAX);
    let long = Candidate {
        candidate: "c".repeat(CANDIDATE_BYTES_MAX + 1),
        sdp_mid: None,
        sdp_m_line_index: None,
    };
    let error = alice.candidates(at(START), session, vec![long]);
    assert!(matches!(error, Err(SessionError::Candidate(_))));
}

#[test]
fn if_both_offer_the_lower_peer_id_holds() {
    let (low, high) = if keypair(1).peer_id() < keypair(2).peer_id() { (1, 2) } else { (2, 1) };
    let (mut lower, mut higher) = (sessions(low), sessions(high));
    let holds = lower.offer(at(START), &contact(high), sdp(low)).unwrap();
    let yields = higher.offer(at(START), &contact(low), sdp(high)).unwrap();
    let from_lower = letters(&drain(&mut lower).0);
    let from_higher = letters(&drain(&mut higher).0);
    let events = deliver(&mut lower, at(START), from_higher);
    assert_eq!(refused(&events), &Refusal::Glare);
    let events = deliver(&mut higher, at(START), from_lower);
    let peer = keypair(low).peer_id();
    assert_eq!(events[0], Event::Ended { session: yields, peer, reason: EndReason::Glare });
    let Event::Offered { session, .. } = events[1] else { panic!("{events:?}") };
    assert_eq!(session, holds);
    higher.answer(at(START), holds, sdp(high)).unwrap();
    let answer = letters(&drain(&mut higher).0);
    let events = deliver(&mut lower, at(START), answer);
    assert!(matches!(events[0], Event::Answered { .. }));
}

/// Each hears the other's note about its content, and offers; both with the lower id first.
fn crossing_offers(contents: [u8; 2]) -> [Vec<Event>; 2] {
    let (low, high) = if keypair(1).peer_id() < keypair(2).peer_id() { (1, 2) } else { (2, 1) };
    let mut both = [sessions(low), sessions(high)];
    for sessions in &mut both {
        for content in [1, 2] {
            sessions.attend(at(START), ContentId([content; 32]), &[7; 32], true).unwrap();
        }
    }
    let notes = both.each_mut().map(|sessions| drain(sessions).0);
    let [of_lower, of_higher] = notes.map(|messages| {
        let note = |message| match message {
            RelayMessage::Announce { topic, envelope } => Some((topic, envelope)),
            _ => None,
        };
        messages.into_iter().filter_map(note).collect::<Vec<_>>()
    });
    let mut offers = Vec::new();
    for (at_index, notes) in [of_higher, of_lower].into_iter().enumerate() {
        let content = ContentId([contents[at_index]; 32]);
        let sessions = &mut both[at_index];
        for (topic, envelope) in notes {
            let to = Destination::Topic(topic);
            sessions.receive(at(START), RelayMessage::Deliver { to, envelope });
        }
        let met = drain(sessions).1.into_iter().find_map(|event| match event {
            Event::Met { content: about, contact } if about == content => Some(contact),
            _ => None,
        });
        sessions.offer(at(START), &met.unwrap(), sdp(1)).unwrap();
        offers.push(letters(&drain(sessions).0));
    }
    let to_higher = offers.remove(0);
    let [lower, higher] = &mut both;
    [deliver(lower, at(START), offers.remove(0)), deliver(higher, at(START), to_higher)]
}

#[test]
fn offers_about_two_contents_that_cross_both_hold_and_about_one_the_lower() {
    let offered = |events: &[Event]| matches!(events, [Event::Offered { .. }]);
    assert!(crossing_offers([1, 2]).iter().all(|events| offered(events)));
    let [at_lower, at_higher] = crossing_offers([1, 1]);
    assert_eq!(refused(&at_lower), &Refusal::Glare);
    assert!(matches!(at_higher[..], [Event::Ended { .. }, Event::Offered { .. }]));
}

#[test]
fn nobody_answers_for_ever() {
    let (mut alice, mut bob, session, offer) = offered();
    deliver(&mut bob, at(START), offer);
    let no_answer = |peer| Event::Ended { session, peer, reason: EndReason::NoAnswer };
    for (sessions, peer) in [(&mut alice, 2), (&mut bob, 1)] {
        sessions.tick(at(START + ANSWER_TIMEOUT_MS - 1));
        assert_eq!(drain(sessions).1, []);
        assert_eq!(sessions.next_timeout(), Some(Instant(START + ANSWER_TIMEOUT_MS)));
        sessions.tick(at(START + ANSWER_TIMEOUT_MS));
        assert_eq!(drain(sessions).1, [no_answer(keypair(peer).peer_id())]);
    }
    let late = bob.answer(at(START + ANSWER_TIMEOUT_MS), session, sdp(2));
    assert_eq!(late, Err(SessionError::NoSession { session }));
}

#[test]
fn a_session_that_is_never_connected_ends() {
    let (mut alice, _, session) = settled();
    alice.tick(at(START + SESSION_TIMEOUT_MS - 1));
    assert_eq!(drain(&mut alice).1, []);
    alice.tick(at(START + SESSION_TIMEOUT_MS));
    let peer = keypair(2).peer_id();
    let ended = Event::Ended { session, peer, reason: EndReason::TimedOut };
    assert_eq!(drain(&mut alice).1, [ended]);
    assert_eq!(alice.next_timeout(), Some(Instant(START + SESSION_TIMEOUT_MS + ENDED_MS)));
    alice.tick(at(START + SESSION_TIMEOUT_MS + ENDED_MS));
    assert_eq!(alice.next_timeout(), None);
}

#[test]
fn who_closes_says_so() {
    let (mut alice, mut bob, session) = settled();
    alice.close(at(START), session);
    let bye = letters(&drain(&mut alice).0);
    let events = deliver(&mut bob, at(START), bye);
    let peer = keypair(1).peer_id();
    assert_eq!(events, [Event::Ended { session, peer, reason: EndReason::Bye }]);
    assert!(alice.is_empty() && bob.is_empty());
}

#[test]
fn what_is_lost_is_sent_again_and_changes_nothing_twice() {
    let (mut alice, mut bob, session, lost) = offered();
    let mut offers = vec![lost];
    for n in 1..=RESENDS_MAX {
        alice.tick(at(START + u64::from(n) * RESEND_MS));
        offers.push(letters(&drain(&mut alice).0));
        assert_eq!(offers.last().unwrap().len(), 1);
    }
    alice.tick(at(START + 3 * RESEND_MS));
    assert_eq!(drain(&mut alice).0, [], "no more than that");
    let later = at(START + 3 * RESEND_MS);
    let first = deliver(&mut bob, later, offers.pop().unwrap());
    assert!(matches!(first[..], [Event::Offered { .. }]));
    assert_eq!(deliver(&mut bob, later, offers.pop().unwrap()), [], "once is enough");
    bob.answer(later, session, sdp(2)).unwrap();
    let _lost = drain(&mut bob);
    // The first offer comes at last: it says that no answer has arrived.
    for (address, envelope) in offers.pop().unwrap() {
        let to = Destination::Rendezvous(address.rendezvous);
        bob.receive(later, RelayMessage::Deliver { to, envelope });
    }
    let answer = letters(&drain(&mut bob).0);
    let events = deliver(&mut alice, later, answer);
    assert!(matches!(events[..], [Event::Answered { .. }]));
    bob.tick(at(START + 4 * RESEND_MS));
    let again = letters(&drain(&mut bob).0);
    assert_eq!(again.len(), 1);
    assert_eq!(deliver(&mut alice, later, again), [], "nothing twice");
}

#[test]
fn a_letter_counts_once() {
    let (mut alice, mut bob, session, offer) = offered();
    deliver(&mut bob, at(START), offer.clone());
    assert_eq!(refused(&deliver(&mut bob, at(START), offer.clone())), &Refusal::Replay);
    bob.answer(at(START), session, sdp(2)).unwrap();
    let answer = letters(&drain(&mut bob).0);
    deliver(&mut alice, at(START), answer.clone());
    assert_eq!(refused(&deliver(&mut alice, at(START), answer)), &Refusal::Replay);
    // Nor when the session is over, for as long as it could be taken for valid.
    bob.connected(at(START), session);
    drain(&mut bob);
    assert_eq!(refused(&deliver(&mut bob, at(START), offer.clone())), &Refusal::Replay);
    let events = deliver(&mut bob, at(START + ENDED_MS), offer);
    assert!(matches!(refused(&events), Refusal::Envelope(_)));
}

#[test]
fn letters_of_others_and_of_no_session_are_refused() {
    let (mut alice, _, session) = settled();
    let bye = forged(3, 1, session, 5, &[4]);
    let expected = Refusal::Foreign { expected: keypair(2).peer_id(), got: keypair(3).peer_id() };
    assert_eq!(refused(&deliver(&mut alice, at(START), vec![bye])), &expected);
    let bye = forged(2, 1, SessionId([9; 16]), 0, &[4]);
    assert_eq!(refused(&deliver(&mut alice, at(START), vec![bye])), &Refusal::NoSession);
    let ours = forged(1, 1, SessionId([9; 16]), 0, &offer_body(&sdp(1)));
    assert_eq!(refused(&deliver(&mut alice, at(START), vec![ours])), &Refusal::Ourselves);
    let wrong = forged(2, 1, session, 5, &[9]);
    assert!(matches!(refused(&deliver(&mut alice, at(START), vec![wrong])), Refusal::Letter(_)));
    assert_eq!(alice.len(), 1, "the session goes on");
}

#[test]
fn a_letter_that_is_not_expected_changes_nothing() {
    let (mut alice, mut bob, session, offer) = offered();
    let mirrored = forged(2, 1, session, 0, &offer_body(&sdp(2)));
    assert_eq!(refused(&deliver(&mut alice, at(START), vec![mirrored])), &Refusal::Unexpected);
    deliver(&mut bob, at(START), offer);
    let answer = forged(1, 2, session, 5, &[&[2], sdp(1).as_bytes()].concat());
    assert_eq!(refused(&deliver(&mut bob, at(START), vec![answer])), &Refusal::Unexpected);
    assert_eq!(alice.answer(at(START), session, sdp(1)), Err(SessionError::Unexpected { session }));
    bob.answer(at(START), session, sdp(2)).unwrap();
    assert_eq!(bob.answer(at(START), session, sdp(2)), Err(SessionError::Unexpected { session }));
}

#[test]
fn a_description_without_one_certificate_is_refused_on_both_sides() {
    let two = sdp(1) + &sdp(2);
    let mut alice = sessions(1);
    let error = alice.offer(at(START), &contact(2), two.clone());
    assert_eq!(error, Err(SessionError::Fingerprint(FingerprintError::Ambiguous)));
    let offer = forged(2, 1, SessionId([9; 16]), 0, &offer_body(&two));
    let expected = Refusal::Fingerprint(FingerprintError::Ambiguous);
    assert_eq!(refused(&deliver(&mut alice, at(START), vec![offer])), &expected);

    let (mut alice, _, session, _) = offered();
    let answer = forged(2, 1, session, 0, &[&[2], two.as_bytes()].concat());
    assert_eq!(refused(&deliver(&mut alice, at(START), vec![answer])), &expected);
    let good = forged(2, 1, session, 0, &[&[2], sdp(2).as_bytes()].concat());
    let events = deliver(&mut alice, at(START), vec![good]);
    assert!(matches!(events[..], [Event::Answered { .. }]), "it was not used up");
}

#[test]
fn a_session_has_64_letters_and_128_kib_each_way() {
    let (mut alice, mut bob, session) = settled();
    let mut sent = 1;
    let error = loop {
        match alice.candidates(at(START), session, candidates(1)) {
            Ok(()) => sent += 1,
            Err(error) => break error,
        }
    };
    assert_eq!((sent, error), (SESSION_LETTERS_MAX, SessionError::TooMuch { session }));
    let all = letters(&drain(&mut alice).0);
    assert_eq!(deliver(&mut bob, at(START), all).len(), 63);
    let beyond = forged(1, 2, session, SESSION_LETTERS_MAX, &[4]);
    assert_eq!(refused(&deliver(&mut bob, at(START), vec![beyond])), &Refusal::TooMuch);

    let (mut alice, _, session) = settled();
    let large = offer_body(&(sdp(2) + &"a".repeat(SDP_BYTES_MAX - 500)));
    // The answer was a small one, so that one large one less fits.
    let fit = SESSION_BYTES_MAX / (16 * 1024);
    for sequence in 1..=fit {
        let letter = forged(2, 1, session, u32::try_from(sequence).unwrap(), &large);
        assert_eq!(deliver(&mut alice, at(START), vec![letter]), [], "{sequence}");
    }
    let beyond = forged(2, 1, session, 60, &large);
    assert_eq!(refused(&deliver(&mut alice, at(START), vec![beyond])), &Refusal::TooMuch);
}

#[test]
fn sessions_are_limited_with_one_peer_in_all_and_in_memory() {
    let mut config = SessionsConfig::default();
    config.sessions_max = 6;
    config.ended_max = 8;
    let mut alice = sessions_with(1, config);
    for _ in 0..SESSIONS_PER_PEER_MAX {
        alice.offer(at(START), &contact(2), sdp(1)).unwrap();
    }
    let full = Err(SessionError::Full { max: SESSIONS_PER_PEER_MAX });
    assert_eq!(alice.offer(at(START), &contact(2), sdp(1)), full);
    for n in 0..2 {
        alice.offer(at(START), &contact(3 + n), sdp(1)).unwrap();
    }
    assert_eq!(alice.offer(at(START), &contact(9), sdp(1)), Err(SessionError::Full { max: 6 }));
    drain(&mut alice);
    let offer = forged(9, 1, SessionId([9; 16]), 0, &offer_body(&sdp(9)));
    assert_eq!(refused(&deliver(&mut alice, at(START), vec![offer])), &Refusal::Full);
    alice.tick(at(START + ANSWER_TIMEOUT_MS));
    let now = at(START + ANSWER_TIMEOUT_MS);
    for n in 0..2 {
        alice.offer(now, &contact(3 + n), sdp(1)).unwrap();
    }
    assert_eq!(alice.offer(now, &contact(9), sdp(1)), Err(SessionError::Full { max: 8 }));
}

#[test]
fn nothing_is_offered_to_oneself_or_without_a_relay() {
    let mut alice = sessions(1);
    assert_eq!(alice.offer(at(START), &contact(1), sdp(1)), Err(SessionError::Ourselves));
    alice.relay_down();
    assert_eq!(alice.offer(at(START), &contact(2), sdp(1)), Err(SessionError::NoRelay));
}

#[test]
fn a_session_goes_on_at_another_relay() {
    let (mut alice, mut bob, session) = settled();
    alice.relay_down();
    let other = keypair(98).peer_id();
    alice.relay_up(at(START), other);
    alice.candidates(at(START), session, candidates(1)).unwrap();
    let (messages, _) = drain(&mut alice);
    let [RelayMessage::Attach { rendezvous, .. }, RelayMessage::Send { .. }] = &messages[..] else {
        panic!("{messages:?}");
    };
    deliver(&mut bob, at(START), letters(&messages));
    bob.candidates(at(START), session, candidates(1)).unwrap();
    let answer = letters(&drain(&mut bob).0);
    assert_eq!(answer[0].0, Address { relay: other, rendezvous: *rendezvous });
}

#[test]
fn an_offer_names_the_content_whose_note_it_answers_while_that_is_remembered() {
    let contents = [1, 2].map(|byte| (ContentId([byte; 32]), [byte + 10; 32]));
    let mut alice = sessions(1);
    for (content, key) in contents {
        alice.attend(at(START), content, &key, true).unwrap();
    }
    let attached = |message: RelayMessage| match message {
        RelayMessage::Attach { rendezvous, attachment: Attachment::Once } => Some(rendezvous),
        _ => None,
    };
    let notes: Vec<_> = drain(&mut alice).0.into_iter().filter_map(attached).collect();
    assert_eq!(notes.len(), 2);
    let offer_at = |alice: &mut Sessions, now: u64, by: u8, rendezvous| {
        let address = Address { relay: relay(), rendezvous };
        let mut other = sessions(by);
        let to_alice = Contact { address, ..contact(1) };
        other.offer(at(now), &to_alice, sdp(by)).unwrap();
        let offer = letters(&drain(&mut other).0);
        match &deliver(alice, at(now), offer)[..] {
            [Event::Offered { content, .. }] => *content,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(offer_at(&mut alice, START, 2, notes[1]), Some(contents[1].0));
    assert_eq!(offer_at(&mut alice, START, 3, notes[0]), Some(contents[0].0));
    // As many notes later nothing is remembered of the first ones.
    let mut now = START;
    for _ in 0..NOTES_REMEMBERED_MAX / 2 {
        now += ANNOUNCE_MS;
        alice.tick(at(now));
        drain(&mut alice);
    }
    assert_eq!(offer_at(&mut alice, now, 4, notes[0]), None);
}

#[test]
fn viewers_of_one_content_meet() {
    let (content, key) = (ContentId([7; 32]), [8; 32]);
    let (mut alice, mut bob) = (sessions(1), sessions(2));
    alice.attend(at(START), content, &key, true).unwrap();
    bob.attend(at(START), content, &key, false).unwrap();
    let topic = Meeting::at(&key, &content, at(START).unix)[0].topic();
    let join = RelayMessage::Join { topic };
    assert_eq!(drain(&mut bob).0, [join.clone(), join.clone()]);
    let (messages, _) = drain(&mut alice);
    let [
        first,
        second,
        RelayMessage::Attach { rendezvous, attachment: Attachment::Once },
        RelayMessage::Announce { topic: at_topic, envelope },
    ] = &messages[..]
    else {
        panic!("{messages:?}");
    };
    assert_eq!([first, second], [&join, &join]);
    assert_eq!(*at_topic, topic);
    let announced =
        RelayMessage::Deliver { to: Destination::Topic(topic), envelope: envelope.clone() };
    bob.receive(at(START), announced.clone());
    let (_, events) = drain(&mut bob);
    let [Event::Met { content: met, contact }] = &events[..] else { panic!("{events:?}") };
    assert_eq!((*met, contact.peer), (content, keypair(1).peer_id()));
    assert_eq!(contact.address, Address { relay: relay(), rendezvous: *rendezvous });
    bob.offer(at(START), contact, sdp(2)).unwrap();

    alice.receive(at(START), announced.clone());
    assert_eq!(drain(&mut alice).1, [Event::Refused(Refusal::Ourselves)]);
    let mut stranger = sessions(3);
    stranger.receive(at(START), announced);
    assert_eq!(drain(&mut stranger).1, [Event::Refused(Refusal::NotJoined)]);
}

#[test]
fn a_viewer_joins_again_and_announces_itself_while_it_seeks() {
    let (content, key) = (ContentId([7; 32]), [8; 32]);
    let mut alice = sessions(1);
    let mut counts = |until: u64, seeking| {
        alice.attend(at(until), content, &key, seeking).unwrap();
        let (mut joins, mut announces) = (0, 0);
        while let Some(due) = alice.next_timeout().filter(|due| due.0 < until + 60_000) {
            alice.tick(at(due.0));
            for message in drain(&mut alice).0 {
                joins += u32::from(matches!(message, RelayMessage::Join { .. }));
                announces += u32::from(matches!(message, RelayMessage::Announce { .. }));
            }
        }
        (joins, announces)
    };
    assert_eq!(counts(START, true), (2 + 2, 12));
    assert_eq!(counts(START + 60_000, false), (3, 0));
    assert_eq!((60_000 / JOIN_AGAIN_MS, 60_000 / ANNOUNCE_MS), (3, 12));
}

#[test]
fn around_the_change_of_an_epoch_both_topics_are_joined() {
    let (content, key) = (ContentId([7; 32]), [8; 32]);
    let mut alice = sessions(1);
    alice.attend(at(START), content, &key, false).unwrap();
    let mut joined = std::collections::BTreeSet::new();
    let (mut most, mut topics) = (0, std::collections::BTreeSet::new());
    let mut now = START;
    while now < START + 2 * TOPIC_EPOCH_S * 1_000 {
        for message in drain(&mut alice).0 {
            match message {
                RelayMessage::Join { topic } => {
                    joined.insert(topic);
                    topics.insert(topic);
                }
                RelayMessage::Leave { topic } => assert!(joined.remove(&topic)),
                other => panic!("{other:?}"),
            }
        }
        let current = Meeting::at(&key, &content, at(now).unix)[0].topic();
        assert!(joined.contains(&current) || now % JOIN_AGAIN_MS != START % JOIN_AGAIN_MS);
        most = most.max(joined.len());
        now = alice.next_timeout().unwrap().0;
        alice.tick(at(now));
    }
    assert_eq!((most, topics.len()), (2, 3));
}

#[test]
fn contents_are_limited() {
    let mut alice = sessions(1);
    for n in 0..CONTENTS_MAX {
        let content = ContentId([u8::try_from(n).unwrap(); 32]);
        alice.attend(at(START), content, &[8; 32], false).unwrap();
    }
    let full = Err(SessionError::Contents { max: CONTENTS_MAX });
    assert_eq!(alice.attend(at(START), ContentId([99; 32]), &[8; 32], false), full);
    alice.leave(&ContentId([0; 32]));
    alice.attend(at(START), ContentId([99; 32]), &[8; 32], false).unwrap();
}

#[test]
fn what_a_relay_refuses_is_passed_on_and_what_it_never_sends_is_refused() {
    let mut alice = sessions(1);
    let reason = RefusedReason::Rate;
    alice.receive(at(START), RelayMessage::Refused { reason, retry_after_ms: 7 });
    let event = Event::RelayRefused { reason, retry_after_ms: 7 };
    assert_eq!(drain(&mut alice).1, [event]);
    alice.receive(
        at(START),
        RelayMessage::Attach { rendezvous: Rendezvous([1; 32]), attachment: Attachment::Once },
    );
    assert_eq!(drain(&mut alice).1, [Event::Refused(Refusal::Unexpected)]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whoever may write letters can't make the machine panic, nor open a session without an offer.
    #[test]
    fn any_letter_is_taken_without_a_panic(
        bodies in prop::collection::vec((0_u8..6, prop::collection::vec(any::<u8>(), 0..40), 0_u32..70), 1..12),
    ) {
        let (mut alice, _, session) = settled();
        for (kind, bytes, sequence) in bodies {
            let body = [&[kind], &bytes[..]].concat();
            let events = deliver(&mut alice, at(START), vec![forged(2, 1, session, sequence, &body)]);
            for event in events {
                let answered = matches!(event, Event::Answered { .. } | Event::Offered { .. });
                prop_assert!(!answered);
            }
        }
        prop_assert!(alice.len() <= 1);
    }
}
