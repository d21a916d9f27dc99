//! Who holds a content, looked up by a node for those who can't.

use std::rc::Rc;

use bytes::Bytes;
use pop_exchange::asker::{Answer, Asker, Failure, Input, Output, Question};
use pop_exchange::limits::{LOOKUP_TIMEOUT_MS, LOOKUPS_PER_LINK_MAX, QUESTION_TIMEOUT_MS};
use pop_exchange::provider::{self, Event, ProviderConfig, StoreOperation};
use pop_exchange::{Fault, LinkId};
use pop_wire::message::{GetHolders, Holders, RefusalReason};
use pop_wire::{
    ColumnSet, ContentId, Instant, Keypair, MasternodeRecord, Message, ProviderRecord, RequestId,
    Signed, UnixTime, Verified, WalletAddress, limits,
};

use crate::film::{Film, peer};
use crate::pair::{Found, Host, LINK, hello};
use crate::questions::drain;

const CONTENT: ContentId = ContentId([5; 32]);

fn keypair(i: u8) -> Keypair {
    Keypair::from_secret_bytes(&[i; 32]).unwrap()
}

fn providers(count: u8) -> Vec<Signed<ProviderRecord>> {
    let record = |i| ProviderRecord {
        peer: keypair(i).peer_id(),
        content: CONTENT,
        columns: ColumnSet::all(2),
        addresses: vec![Bytes::from_static(b"address")],
        issued_at: UnixTime(1_000),
        expires_at: UnixTime(2_000),
    };
    let sign = |i| Verified::sign(record(i), &keypair(i)).unwrap().signed().clone();
    (1..=count).map(sign).collect()
}

fn masternodes(count: u8) -> Vec<Signed<MasternodeRecord>> {
    let record = |i| MasternodeRecord {
        peer: keypair(i).peer_id(),
        addresses: vec![Bytes::from_static(b"address")],
        seal_key: None,
        collateral: Bytes::new(),
        operator: WalletAddress([1; 20]),
        capacity_bytes: 1,
        issued_at: UnixTime(1_000),
        expires_at: UnixTime(2_000),
    };
    let sign = |i| Verified::sign(record(i), &keypair(i)).unwrap().signed().clone();
    (1..=count).map(sign).collect()
}

fn host(config: ProviderConfig) -> Host {
    Host::new(&Rc::new(Film::new(2, 3, 1024, 2, 1)), config)
}

/// What an asker hears from a host that finds `holders`.
fn asked(holders: Option<Found>) -> Result<Answer, Failure> {
    let mut host = host(ProviderConfig::default());
    host.holders = holders;
    host.handle(provider::Input::LinkUp { link: LINK, peer: peer(1) });
    let mut asker = Asker::new(Default::default()).unwrap();
    asker.handle(host.now, Input::LinkUp { link: LINK, peer: peer(9) }).unwrap();
    let question = Question::Holders(CONTENT);
    asker.handle(host.now, Input::Ask { link: LINK, question }).unwrap();
    for message in host.take_sent(LINK) {
        asker.handle(host.now, Input::Message { link: LINK, message }).unwrap();
    }
    let (mut answers, closed) = drain(&mut asker, Some(&mut host));
    assert!(!closed && answers.len() == 1, "{answers:?}");
    answers.remove(0)
}

#[test]
fn the_lists_come_as_they_were_found_and_cut_at_64() {
    let found = asked(Some((providers(3), masternodes(70))));
    let masternodes = masternodes(70)[..limits::HOLDERS_MAX].to_vec();
    assert_eq!(found, Ok(Answer::Holders { providers: providers(3), masternodes }));
    let nobody = Answer::Holders { providers: Vec::new(), masternodes: Vec::new() };
    assert_eq!(asked(Some((Vec::new(), Vec::new()))), Ok(nobody));
}

#[test]
fn a_node_that_looks_nobody_up_says_so() {
    let reason = RefusalReason::NotAccepted;
    assert_eq!(asked(None), Err(Failure::Refused { reason }));
}

fn lookup(id: u64) -> Message {
    Message::GetHolders(GetHolders { id: RequestId(id), content: CONTENT })
}

/// Requests that were refused as busy on a link.
fn busy(host: &mut Host, link: LinkId) -> Vec<u64> {
    let refused = |message| match message {
        Message::Refusal(refusal) if refusal.reason == RefusalReason::Busy => {
            assert!(refusal.retry_after_ms > 0);
            Some(refusal.id.0)
        }
        _ => None,
    };
    host.take_sent(link).into_iter().filter_map(refused).collect()
}

#[test]
fn a_third_lookup_on_a_link_is_refused_as_busy() {
    let mut host = host(ProviderConfig::default());
    host.holders = Some((providers(1), Vec::new()));
    host.answers = false;
    host.greeted(LINK, 1);
    (1..=3).for_each(|id| host.receive(LINK, lookup(id)));
    assert_eq!(host.unanswered.len(), LOOKUPS_PER_LINK_MAX);
    let [(_, StoreOperation::FindHolders { link, peer: who, content }), _] = &host.unanswered[..]
    else {
        panic!("expected two lookups")
    };
    assert_eq!((*link, *who, *content), (LINK, peer(1), CONTENT));
    assert_eq!(busy(&mut host, LINK), [3]);
    // Another peer is not held back, and answers make room.
    host.greeted(LinkId(2), 2);
    host.receive(LinkId(2), lookup(1));
    assert_eq!(busy(&mut host, LinkId(2)), [0_u64; 0]);
    host.answer_all();
    host.receive(LINK, lookup(4));
    let sent = host.take_sent(LINK);
    assert!(sent.iter().any(|m| matches!(m, Message::Holders(h) if h.id == RequestId(4))));
}

#[test]
fn lookups_in_all_are_limited_and_count_until_they_end() {
    let mut config = ProviderConfig::default();
    config.lookups_max = 3;
    let mut host = host(config);
    host.holders = Some((Vec::new(), Vec::new()));
    host.answers = false;
    for link in 1..=2 {
        host.greeted(LinkId(link), link);
        (1..=2).for_each(|id| host.receive(LinkId(link), lookup(id)));
    }
    assert_eq!(busy(&mut host, LinkId(2)), [2]);
    // Its links are gone, its lookups are not.
    host.handle(provider::Input::LinkDown { link: LinkId(1) });
    host.greeted(LinkId(3), 3);
    host.receive(LinkId(3), lookup(1));
    assert_eq!(busy(&mut host, LinkId(3)), [1]);
    host.answer_all();
    host.receive(LinkId(3), lookup(2));
    assert_eq!(busy(&mut host, LinkId(3)), [0_u64; 0]);
    assert!(host.take_sent(LinkId(1)).iter().all(|m| !matches!(m, Message::Holders(_))));
}

#[test]
fn an_open_lookup_is_not_cancelled_and_its_number_not_used_again() {
    let mut host = host(ProviderConfig::default());
    host.answers = false;
    host.greeted(LINK, 1);
    host.receive(LINK, lookup(7));
    let cancel = Message::Cancel(pop_wire::message::Cancel { id: RequestId(7) });
    host.receive(LINK, cancel);
    assert!(host.closed.is_empty());
    host.receive(LINK, lookup(7));
    let duplicate = Fault::DuplicateRequest { id: RequestId(7) };
    assert!(
        host.events
            .iter()
            .any(|event| matches!(event, Event::PeerFault { fault, .. } if *fault == duplicate))
    );
}

#[test]
fn an_asker_keeps_to_two_lookups_and_asks_the_rest_meanwhile() {
    let mut asker = Asker::new(Default::default()).unwrap();
    asker.handle(Instant(0), Input::LinkUp { link: LINK, peer: peer(9) }).unwrap();
    asker.handle(Instant(0), Input::Message { link: LINK, message: hello() }).unwrap();
    for i in 0..3 {
        let question = Question::Holders(ContentId([i; 32]));
        asker.handle(Instant(0), Input::Ask { link: LINK, question }).unwrap();
    }
    let question = Question::Peers;
    asker.handle(Instant(0), Input::Ask { link: LINK, question }).unwrap();
    let sent = |asker: &mut Asker| {
        let of = |output| match output {
            Output::Send { message: Message::GetHolders(get), .. } => Some(Some(get.id)),
            Output::Send { message: Message::GetPeers(_), .. } => Some(None),
            _ => None,
        };
        std::iter::from_fn(|| asker.poll()).filter_map(of).collect::<Vec<_>>()
    };
    assert_eq!(sent(&mut asker), [Some(RequestId(1)), Some(RequestId(2)), None]);
    let (id, providers, masternodes) = (RequestId(2), Vec::new(), Vec::new());
    let message = Message::Holders(Holders { id, providers, masternodes });
    asker.handle(Instant(1), Input::Message { link: LINK, message }).unwrap();
    assert_eq!(sent(&mut asker), [Some(RequestId(4))]);
}

#[test]
fn a_lookup_may_take_longer_than_other_questions() {
    let mut asker = Asker::new(Default::default()).unwrap();
    asker.handle(Instant(0), Input::LinkUp { link: LINK, peer: peer(9) }).unwrap();
    asker.handle(Instant(0), Input::Message { link: LINK, message: hello() }).unwrap();
    let question = Question::Holders(CONTENT);
    asker.handle(Instant(0), Input::Ask { link: LINK, question }).unwrap();
    asker.handle(Instant(QUESTION_TIMEOUT_MS), Input::Tick).unwrap();
    assert_eq!(drain(&mut asker, None), (Vec::new(), false));
    assert_eq!(asker.next_timeout(), Some(Instant(LOOKUP_TIMEOUT_MS)));
    asker.handle(Instant(LOOKUP_TIMEOUT_MS), Input::Tick).unwrap();
    let limit_ms = LOOKUP_TIMEOUT_MS;
    assert_eq!(drain(&mut asker, None), (vec![Err(Failure::TimedOut { limit_ms })], true));
}
