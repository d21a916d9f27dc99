//! Every limit of a provider, hit.

use std::rc::Rc;

use pop_exchange::limits::{
    CREDIT_OUTSTANDING_BYTES_MAX, HELLO_TIMEOUT_MS, QUESTIONS_PER_LINK_MAX, READING_TIMEOUT_MS,
    REQUESTS_PER_LINK_MAX, UNREAD_MESSAGES_MAX,
};
use pop_exchange::provider::{Event, Input, ProviderConfig};
use pop_exchange::{Fault, LinkId};
use pop_wire::limits::CREDIT_BYTES_MAX;
use pop_wire::message::{
    Cancel, Credit, GetHoldings, GetManifest, GetPeers, GetShard, RefusalReason, Shard,
};
use pop_wire::{ContentId, Instant, Message, RequestId, SegmentIndex};

use crate::film::{Film, column, peer};
use crate::pair::{Host, LINK, hello};

fn film() -> Rc<Film> {
    Rc::new(Film::new(2, 3, 16 * 1024, 8, 1))
}

fn get(film: &Film, id: u64, segment: u64, deadline_ms: u32) -> Message {
    Message::GetShard(GetShard {
        id: RequestId(id),
        content: film.content.id(),
        segment: SegmentIndex(segment % film.segments()),
        column: column(u16::try_from(id % 3).unwrap()),
        deadline_ms,
    })
}

fn credit(bytes: u64) -> Message {
    Message::Credit(Credit { bytes })
}

fn ids(messages: &[Message]) -> Vec<u64> {
    let id = |message: &Message| match message {
        Message::Shard(shard) => Some(shard.id.0),
        _ => None,
    };
    messages.iter().filter_map(id).collect()
}

fn refusals(messages: &[Message]) -> Vec<(u64, RefusalReason)> {
    let refusal = |message: &Message| match message {
        Message::Refusal(refusal) => Some((refusal.id.0, refusal.reason)),
        _ => None,
    };
    messages.iter().filter_map(refusal).collect()
}

fn fault(host: &Host) -> Option<Fault> {
    let fault = |event: &Event| match event {
        Event::PeerFault { fault, .. } => Some(fault.clone()),
        _ => None,
    };
    host.events.iter().find_map(fault)
}

#[test]
fn a_thousand_peers_at_once_stay_within_the_payload_bound_and_all_are_served() {
    let film = film();
    let mut config = ProviderConfig::default();
    config.payload_bytes_max = 1024 * 1024;
    let bound = config.payload_bytes_max;
    let mut host = Host::new(&film, config);
    host.flushes = false;
    for link in 0..1_000 {
        host.greeted(LinkId(link), link);
        host.receive(LinkId(link), credit(8 * 16 * 1024));
    }
    for id in 0..8 {
        (0..1_000).for_each(|link| host.receive(LinkId(link), get(&film, id, id, 0)));
    }
    assert_eq!(host.provider.links(), 1_000);
    let mut rounds = 0;
    while host.provider.payload_bytes() > 0 {
        assert!(host.provider.payload_bytes() <= bound);
        let waiting: Vec<LinkId> = host.unflushed.keys().copied().collect();
        waiting.into_iter().for_each(|link| {
            host.flush(link);
            host.drain();
        });
        rounds += 1;
        assert!(rounds < 10_000);
    }
    assert!(host.payload_max <= bound && host.payload_max > bound / 2, "{}", host.payload_max);
    for link in 0..1_000 {
        assert_eq!(ids(&host.take_sent(LinkId(link))).len(), 8, "link {link}");
    }
}

#[test]
fn peers_that_never_read_are_cut_off_and_leave_their_memory() {
    let film = film();
    let mut config = ProviderConfig::default();
    config.payload_bytes_max = 512 * 1024;
    let mut host = Host::new(&film, config);
    host.flushes = false;
    for link in 0..100 {
        host.greeted(LinkId(link), link);
        host.flush(LinkId(link));
        host.receive(LinkId(link), credit(1 << 20));
        (0..8).for_each(|id| host.receive(LinkId(link), get(&film, id, id, 0)));
    }
    assert!(host.provider.payload_bytes() > 0);
    host.now = Instant(host.now.0 + READING_TIMEOUT_MS + 1_000);
    host.handle(Input::Tick);
    assert_eq!(fault(&host), Some(Fault::NotReading { limit_ms: READING_TIMEOUT_MS }));
    assert_eq!(host.provider.links(), 100 - host.closed.len());
    // Whoever still waits for its turn gets it, and is cut off in turn.
    while host.provider.links() > 0 {
        host.now = Instant(host.now.0 + READING_TIMEOUT_MS + 1_000);
        host.handle(Input::Tick);
    }
    assert_eq!(host.provider.payload_bytes(), 0);
    assert_eq!(host.provider.queued_requests(), 0);
}

#[test]
fn nothing_is_sent_beyond_the_credit() {
    let film = film();
    let mut host = Host::new(&film, ProviderConfig::default());
    host.greeted(LINK, 1);
    (0..4).for_each(|id| host.receive(LINK, get(&film, id, id, 0)));
    assert!(ids(&host.take_sent(LINK)).is_empty(), "no credit, no payload");
    host.receive(LINK, credit(16 * 1024 - 1));
    assert!(ids(&host.take_sent(LINK)).is_empty(), "not enough for one");
    host.receive(LINK, credit(1));
    assert_eq!(ids(&host.take_sent(LINK)), [0]);
    host.receive(LINK, credit(3 * 16 * 1024));
    assert_eq!(ids(&host.take_sent(LINK)), [1, 2, 3]);
}

#[test]
fn the_earliest_deadline_is_served_first_and_peers_take_turns() {
    let film = film();
    let mut host = Host::new(&film, ProviderConfig::default());
    let other = LinkId(2);
    host.greeted(LINK, 1);
    host.greeted(other, 2);
    [(1, 0), (2, 9_000), (3, 500), (4, 4_000)]
        .into_iter()
        .for_each(|(id, deadline)| host.receive(LINK, get(&film, id, id, deadline)));
    (5..9).for_each(|id| host.receive(other, get(&film, id, id, 0)));
    host.sent.clear();
    host.provider
        .handle(host.now, Input::Message { link: LINK, message: credit(1 << 20) })
        .unwrap();
    host.drain();
    assert_eq!(ids(&host.take_sent(LINK)), [3, 4, 2, 1]);
    host.receive(other, credit(1 << 20));
    assert_eq!(ids(&host.take_sent(other)), [5, 6, 7, 8]);
}

#[test]
fn a_greedy_peer_leaves_room_for_a_modest_one() {
    let film = film();
    let mut config = ProviderConfig::default();
    config.payload_bytes_max = 256 * 1024;
    let mut host = Host::new(&film, config);
    host.flushes = false;
    for link in 1..=2 {
        host.greeted(LinkId(link), link);
        host.flush(LinkId(link));
        host.receive(LinkId(link), credit(1 << 24));
    }
    host.answers = false;
    (0..100).for_each(|id| host.receive(LinkId(1), get(&film, id, id, 1)));
    host.receive(LinkId(2), get(&film, 7, 0, 0));
    host.answer_all();
    (0..6).for_each(|_| {
        host.flush(LinkId(1));
        host.drain();
    });
    assert_eq!(ids(&host.take_sent(LinkId(2))), [7]);
    assert!(ids(&host.take_sent(LinkId(1))).len() < 20);
}

#[test]
fn requests_beyond_a_links_limit_are_refused_as_busy() {
    let film = film();
    let mut host = Host::new(&film, ProviderConfig::default());
    host.greeted(LINK, 1);
    let limit = u64::try_from(REQUESTS_PER_LINK_MAX).unwrap();
    (0..=limit).for_each(|id| host.receive(LINK, get(&film, id, id, 0)));
    assert_eq!(refusals(&host.take_sent(LINK)), [(limit, RefusalReason::Busy)]);
    assert!(fault(&host).is_none());
}

#[test]
fn requests_beyond_the_total_limit_are_refused_as_busy() {
    let film = film();
    let mut config = ProviderConfig::default();
    config.requests_max = 10;
    let mut host = Host::new(&film, config);
    host.greeted(LINK, 1);
    host.greeted(LinkId(2), 2);
    (0..8).for_each(|id| host.receive(LINK, get(&film, id, id, 0)));
    (0..4).for_each(|id| host.receive(LinkId(2), get(&film, id, id, 0)));
    assert_eq!(host.provider.queued_requests(), 10);
    let refused = refusals(&host.take_sent(LinkId(2)));
    assert_eq!(refused, [(2, RefusalReason::Busy), (3, RefusalReason::Busy)]);
}

#[test]
fn a_cancelled_request_is_answered_once_and_its_place_is_free() {
    let film = film();
    let mut host = Host::new(&film, ProviderConfig::default());
    host.greeted(LINK, 1);
    host.answers = false;
    host.receive(LINK, get(&film, 1, 0, 0));
    host.receive(LINK, credit(16 * 1024));
    host.receive(LINK, get(&film, 2, 1, 0));
    host.take_sent(LINK);
    let cancel = |id| Message::Cancel(Cancel { id: RequestId(id) });
    host.receive(LINK, cancel(2));
    host.receive(LINK, cancel(1));
    let answers = refusals(&host.take_sent(LINK));
    assert_eq!(answers, [(2, RefusalReason::Cancelled), (1, RefusalReason::Cancelled)]);
    host.answer_all();
    assert!(host.take_sent(LINK).is_empty(), "what was read for it is dropped");
    assert_eq!(host.provider.payload_bytes(), 0);
    host.receive(LINK, cancel(1));
    host.receive(LINK, cancel(99));
    assert!(host.take_sent(LINK).is_empty(), "a cancel may cross its answer");
    host.receive(LINK, get(&film, 1, 0, 0));
    assert_eq!(ids(&host.take_sent(LINK)), [1]);
}

#[test]
fn what_is_not_held_is_refused_as_not_found() {
    let film = film();
    let mut host = Host::new(&film, ProviderConfig::default());
    host.held.remove(column(1));
    host.greeted(LINK, 1);
    host.receive(LINK, credit(1 << 20));
    host.receive(LINK, get(&film, 1, 0, 0));
    assert_eq!(refusals(&host.take_sent(LINK)), [(1, RefusalReason::NotFound)]);
}

#[test]
fn links_beyond_the_limits_are_closed() {
    let film = film();
    let mut config = ProviderConfig::default();
    config.links_max = 3;
    config.links_per_peer_max = 2;
    let mut host = Host::new(&film, config);
    [(1, 1), (2, 1), (3, 1), (4, 2), (5, 3)].into_iter().for_each(|(link, number)| {
        host.handle(Input::LinkUp { link: LinkId(link), peer: peer(number) })
    });
    assert_eq!(host.closed, [LinkId(3), LinkId(5)]);
    assert_eq!(host.provider.links(), 3);
    host.handle(Input::LinkDown { link: LinkId(1) });
    host.handle(Input::LinkUp { link: LinkId(6), peer: peer(3) });
    assert_eq!(host.provider.links(), 3);
}

#[test]
fn questions_are_answered_and_bounded() {
    let film = film();
    let mut host = Host::new(&film, ProviderConfig::default());
    host.greeted(LINK, 1);
    host.answers = false;
    host.take_sent(LINK);
    let limit = u64::try_from(QUESTIONS_PER_LINK_MAX).unwrap();
    let content = film.content.id();
    for id in 0..limit {
        let id = RequestId(id);
        host.receive(LINK, Message::GetHoldings(GetHoldings { id, content }));
    }
    let id = RequestId(limit);
    host.receive(LINK, Message::GetManifest(GetManifest { id, content }));
    assert_eq!(refusals(&host.take_sent(LINK)), [(limit, RefusalReason::Busy)]);
    host.answer_all();
    let answers = host.take_sent(LINK);
    assert_eq!(answers.len(), QUESTIONS_PER_LINK_MAX);
    assert!(answers.iter().all(|m| matches!(m, Message::Holdings(h) if h.columns.len() == 3)));
    host.receive(LINK, Message::GetManifest(GetManifest { id, content }));
    let answer = host.take_sent(LINK);
    assert!(matches!(&answer[..], [Message::ManifestReply(_)]));
    let content = ContentId([9; 32]);
    host.receive(LINK, Message::GetManifest(GetManifest { id, content }));
    assert_eq!(refusals(&host.take_sent(LINK)), [(limit, RefusalReason::NotFound)]);
    host.receive(LINK, Message::GetPeers(GetPeers { id }));
    assert!(matches!(&host.take_sent(LINK)[..], [Message::Peers(p)] if p.masternodes.is_empty()));
}

/// What becomes of a peer that greets and then sends `messages`.
fn fault_after(messages: impl IntoIterator<Item = Message>) -> Option<Fault> {
    let film = film();
    let mut host = Host::new(&film, ProviderConfig::default());
    host.answers = false;
    host.greeted(LINK, 1);
    messages.into_iter().for_each(|message| host.receive(LINK, message));
    if fault(&host).is_some() {
        assert_eq!(host.closed, [LINK]);
        assert_eq!(host.provider.links(), 0);
    }
    fault(&host)
}

#[test]
fn peers_that_break_a_rule_are_named_and_dropped() {
    let film = film();
    assert_eq!(fault_after([hello()]), Some(Fault::HelloTwice));
    let twice = [get(&film, 1, 0, 0), get(&film, 1, 1, 0)];
    assert_eq!(fault_after(twice), Some(Fault::DuplicateRequest { id: RequestId(1) }));
    let shard = Shard {
        id: RequestId(1),
        segment_path: Vec::new(),
        content_path: Vec::new(),
        payload: vec![1].into(),
    };
    assert_eq!(fault_after([Message::Shard(shard)]), Some(Fault::Unexpected { got: "shard" }));
    let endless = (0..5).map(|_| credit(CREDIT_BYTES_MAX));
    let overflow = Fault::CreditOverflow { max: CREDIT_OUTSTANDING_BYTES_MAX };
    assert_eq!(fault_after(endless), Some(overflow));
    assert_eq!(fault_after([get(&film, 1, 0, u32::MAX)]), None);
}

#[test]
fn who_says_nothing_or_something_else_first_is_dropped() {
    let film = film();
    let mut host = Host::new(&film, ProviderConfig::default());
    host.handle(Input::LinkUp { link: LINK, peer: peer(1) });
    host.receive(LINK, credit(1));
    assert_eq!(fault(&host), Some(Fault::NoHello { got: "credit" }));
    let mut host = Host::new(&film, ProviderConfig::default());
    host.handle(Input::LinkUp { link: LINK, peer: peer(1) });
    let at = host.provider.next_timeout().expect("a timer for the hello");
    assert!(at.since_ms(host.now) <= HELLO_TIMEOUT_MS);
    host.now = host.now.after_ms(HELLO_TIMEOUT_MS);
    host.handle(Input::Tick);
    assert_eq!(fault(&host), Some(Fault::HelloLate { limit_ms: HELLO_TIMEOUT_MS }));
}

#[test]
fn who_asks_on_without_reading_is_cut_off() {
    let film = film();
    let mut host = Host::new(&film, ProviderConfig::default());
    host.flushes = false;
    host.greeted(LINK, 1);
    let mut asked = 0;
    while fault(&host).is_none() {
        asked += 1;
        host.receive(LINK, Message::GetPeers(GetPeers { id: RequestId(asked) }));
        assert!(asked < 100_000);
    }
    assert_eq!(fault(&host), Some(Fault::Flood { max: UNREAD_MESSAGES_MAX }));
}

#[test]
fn a_read_for_a_link_that_is_gone_frees_its_memory_even_if_the_number_is_used_again() {
    let film = film();
    let mut host = Host::new(&film, ProviderConfig::default());
    host.greeted(LINK, 1);
    host.answers = false;
    host.receive(LINK, credit(1 << 20));
    host.receive(LINK, get(&film, 1, 0, 0));
    let content = film.content.id();
    host.receive(LINK, Message::GetHoldings(GetHoldings { id: RequestId(2), content }));
    assert!(host.provider.payload_bytes() > 0);
    host.handle(Input::LinkDown { link: LINK });
    host.greeted(LINK, 1);
    host.take_sent(LINK);
    host.answer_all();
    assert_eq!(host.provider.payload_bytes(), 0);
    assert!(host.take_sent(LINK).is_empty(), "the new link asked nothing");
}
