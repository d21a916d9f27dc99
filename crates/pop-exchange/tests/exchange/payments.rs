//! Allowances and payment messages at a provider, and at a fetcher.

use std::rc::Rc;

use bytes::Bytes;
use pop_exchange::asker::{self, Asker};
use pop_exchange::fetcher::{self, Fetcher, FetcherConfig, SourceKind};
use pop_exchange::limits::{
    PAYMENT_EARNING_BYTES, PAYMENT_MESSAGES_BURST, READING_TIMEOUT_MS, REQUESTS_PER_LINK_MAX,
};
use pop_exchange::provider::{Event, Input, ProviderConfig};
use pop_exchange::uploader::{self, Uploader, UploaderConfig};
use pop_exchange::{Error, Fault, Introduction, LinkId, ShardWithProof};
use pop_wire::message::{Cancel, Credit, GetShard, Payment, Refusal, RefusalReason, Shard};
use pop_wire::{ColumnSet, Instant, Message, RequestId, SegmentIndex};

use crate::film::{Film, column, peer};
use crate::pair::{Host, LINK, hello};

const SHARD: u64 = 16 * 1024;
const WAIT_MS: u64 = 2_000;

fn film() -> Rc<Film> {
    Rc::new(Film::new(2, 3, 16 * 1024, 8, 1))
}

/// A host where nobody may take anything but `allowance_bytes` unpaid.
fn shop(film: &Rc<Film>, allowance_bytes: u64) -> Host {
    let mut config = ProviderConfig::default();
    config.allowance_bytes = allowance_bytes;
    assert_eq!(config.payment_wait_ms_max, WAIT_MS);
    Host::new(film, config)
}

fn customer(host: &mut Host, link: LinkId, number: u64) {
    host.greeted(link, number);
    host.receive(link, Message::Credit(Credit { bytes: 1 << 24 }));
    host.take_sent(link);
}

fn get(film: &Film, id: u64) -> Message {
    Message::GetShard(GetShard {
        id: RequestId(id),
        content: film.content.id(),
        // The last segment may be shorter.
        segment: SegmentIndex(id % (film.segments() - 1)),
        column: column(u16::try_from(id % 3).unwrap()),
        deadline_ms: 0,
    })
}

fn payment(length: usize) -> Message {
    Message::Payment(Payment { body: Bytes::from(vec![7; length]) })
}

fn shards(messages: &[Message]) -> Vec<u64> {
    let id = |message: &Message| match message {
        Message::Shard(shard) => Some(shard.id.0),
        _ => None,
    };
    messages.iter().filter_map(id).collect()
}

/// Requests refused as payment due, and when to come again.
fn due(messages: &[Message]) -> Vec<(u64, u32)> {
    let due = |message: &Message| match message {
        Message::Refusal(refusal) => {
            assert_eq!(refusal.reason, RefusalReason::PaymentDue);
            Some((refusal.id.0, refusal.retry_after_ms))
        }
        _ => None,
    };
    messages.iter().filter_map(due).collect()
}

fn fault(host: &Host) -> Option<Fault> {
    let fault = |event: &Event| match event {
        Event::PeerFault { fault, .. } => Some(fault.clone()),
        _ => None,
    };
    host.events.iter().find_map(fault)
}

fn allow(host: &mut Host, number: u64, bytes: u64) {
    host.handle(Input::Allowance { peer: peer(number), bytes });
}

fn pass(host: &mut Host, ms: u64) {
    host.now = host.now.after_ms(ms);
    host.handle(Input::Tick);
}

#[test]
fn a_request_over_the_allowance_waits_and_is_served_when_more_is_allowed() {
    let film = film();
    let mut host = shop(&film, 20 * 1024);
    customer(&mut host, LINK, 1);
    (0..4).for_each(|id| host.receive(LINK, get(&film, id)));
    let sent = host.take_sent(LINK);
    assert_eq!((shards(&sent), due(&sent)), (vec![0], vec![]));
    pass(&mut host, WAIT_MS - 1);
    assert!(host.take_sent(LINK).is_empty());
    allow(&mut host, 1, SHARD);
    assert_eq!(shards(&host.take_sent(LINK)), [1]);
    allow(&mut host, 1, u64::MAX);
    assert_eq!(shards(&host.take_sent(LINK)), [2, 3]);
    assert_eq!(host.provider.queued_requests(), 0);
}

#[test]
fn a_peer_that_does_not_pay_in_time_is_asked_to_and_may_come_again() {
    let film = film();
    let mut host = shop(&film, SHARD);
    customer(&mut host, LINK, 1);
    host.greeted(LinkId(2), 1);
    host.receive(LinkId(2), Message::Credit(Credit { bytes: 1 << 20 }));
    (0..3).for_each(|id| host.receive(LINK, get(&film, id)));
    host.receive(LinkId(2), get(&film, 7));
    assert_eq!(shards(&host.take_sent(LINK)), [0]);
    host.take_sent(LinkId(2));
    let at = host.provider.next_timeout().expect("a timer");
    assert!(at.since_ms(host.now) <= 1_000);
    host.now = host.now.after_ms(WAIT_MS);
    assert!(host.provider.next_timeout().is_some_and(|at| at <= host.now));
    host.handle(Input::Tick);
    assert_eq!(due(&host.take_sent(LINK)), [(1, 2_000), (2, 2_000)]);
    assert_eq!(due(&host.take_sent(LinkId(2))), [(7, 2_000)], "its other link too");
    assert_eq!(host.provider.queued_requests(), 0);
    // Its ids are free again, and so is its time.
    host.receive(LINK, get(&film, 1));
    pass(&mut host, WAIT_MS - 1);
    assert!(host.take_sent(LINK).is_empty());
    allow(&mut host, 1, SHARD);
    assert_eq!(shards(&host.take_sent(LINK)), [1]);
    assert!(fault(&host).is_none());
}

#[test]
fn time_runs_anew_after_every_shard() {
    let film = film();
    let mut host = shop(&film, 0);
    customer(&mut host, LINK, 1);
    (0..9).for_each(|id| host.receive(LINK, get(&film, id)));
    for id in 0..9 {
        pass(&mut host, WAIT_MS - 1);
        allow(&mut host, 1, 100);
        assert!(host.take_sent(LINK).is_empty(), "not enough, and not too late");
        allow(&mut host, 1, SHARD);
        assert_eq!(shards(&host.take_sent(LINK)), [id]);
    }
}

#[test]
fn a_cancelled_request_stops_the_clock_of_its_peer() {
    let film = film();
    let mut host = shop(&film, 0);
    customer(&mut host, LINK, 1);
    host.receive(LINK, get(&film, 1));
    pass(&mut host, WAIT_MS - 1);
    host.receive(LINK, Message::Cancel(Cancel { id: RequestId(1) }));
    host.take_sent(LINK);
    host.receive(LINK, get(&film, 2));
    pass(&mut host, 2);
    assert!(host.take_sent(LINK).is_empty());
    host.handle(Input::LinkDown { link: LINK });
    assert!(host.provider.next_timeout().is_none(), "nothing waits for allowance");
    pass(&mut host, WAIT_MS);
}

#[test]
fn to_wait_for_allowance_is_not_to_read_slowly() {
    let film = film();
    let mut config = ProviderConfig::default();
    config.allowance_bytes = 0;
    config.payment_wait_ms_max = 10 * READING_TIMEOUT_MS;
    let mut host = Host::new(&film, config);
    customer(&mut host, LINK, 1);
    host.receive(LINK, get(&film, 1));
    (0..120).for_each(|_| pass(&mut host, 1_000));
    assert!(fault(&host).is_none());
    // Who doesn't grant credit either is cut off as ever.
    host.greeted(LinkId(2), 2);
    host.receive(LinkId(2), get(&film, 1));
    (0..31).for_each(|_| pass(&mut host, 1_000));
    assert_eq!(fault(&host), Some(Fault::NotReading { limit_ms: READING_TIMEOUT_MS }));
    assert_eq!(host.closed, [LinkId(2)]);
}

#[test]
fn reads_under_way_are_counted_so_that_nothing_is_read_in_vain() {
    let film = film();
    let mut host = shop(&film, 3 * SHARD + SHARD / 2);
    customer(&mut host, LINK, 1);
    host.answers = false;
    (0..10).for_each(|id| host.receive(LINK, get(&film, id)));
    assert_eq!(host.unanswered.len(), 1, "one read, to learn how long a shard is");
    host.answer_all();
    assert_eq!(shards(&host.take_sent(LINK)), [0, 1, 2]);
    host.answers = false;
    allow(&mut host, 1, 4 * SHARD + 5);
    assert_eq!(host.unanswered.len(), 4);
    host.receive(LINK, get(&film, 10));
    assert_eq!(host.unanswered.len(), 4);
    host.answer_all();
    assert_eq!(shards(&host.take_sent(LINK)), [3, 4, 5, 6]);
    assert_eq!(host.provider.payload_bytes(), 0);
}

#[test]
fn a_slow_disk_is_not_a_peer_that_does_not_pay() {
    let film = film();
    let mut host = shop(&film, 3 * SHARD);
    customer(&mut host, LINK, 1);
    host.answers = false;
    (0..4).for_each(|id| host.receive(LINK, get(&film, id)));
    (0..9).for_each(|_| pass(&mut host, 1_000));
    assert!(host.take_sent(LINK).is_empty());
    host.answer_all();
    assert_eq!(shards(&host.take_sent(LINK)), [0, 1, 2]);
    pass(&mut host, WAIT_MS);
    assert_eq!(due(&host.take_sent(LINK)), [(3, 2_000)]);
}

#[test]
fn a_read_that_comes_to_nothing_leaves_its_part_of_the_allowance_to_the_peers_other_links() {
    let film = film();
    let mut host = shop(&film, SHARD);
    let other = LinkId(2);
    customer(&mut host, LINK, 1);
    customer(&mut host, other, 1);
    host.held.remove(column(1));
    host.answers = false;
    host.receive(LINK, get(&film, 1));
    host.receive(other, get(&film, 2));
    assert_eq!(host.unanswered.len(), 1);
    host.answer_all();
    assert!(shards(&host.take_sent(LINK)).is_empty(), "not held");
    assert_eq!(shards(&host.take_sent(other)), [2]);
}

#[test]
fn an_allowance_of_a_byte_has_one_shard_read_and_none_sent() {
    let film = film();
    let mut host = shop(&film, 1);
    customer(&mut host, LINK, 1);
    (0..10).for_each(|id| host.receive(LINK, get(&film, id)));
    assert_eq!(host.reads, 1);
    assert!(host.take_sent(LINK).is_empty());
}

#[test]
fn who_pays_is_served_beside_a_crowd_that_does_not() {
    let film = film();
    let mut config = ProviderConfig::default();
    config.allowance_bytes = 0;
    config.payload_bytes_max = 1024 * 1024;
    let mut host = Host::new(&film, config);
    host.flushes = false;
    for link in 2..500 {
        customer(&mut host, LinkId(link), link);
        (0..8).for_each(|id| host.receive(LinkId(link), get(&film, id)));
    }
    customer(&mut host, LINK, 1);
    host.flush(LINK);
    allow(&mut host, 1, u64::MAX);
    (0..32).for_each(|id| host.receive(LINK, get(&film, id)));
    // The crowd takes no share of the memory: all of it is the payer's.
    assert_eq!(shards(&host.take_sent(LINK)).len(), 32);
    assert!((2..500).all(|link| shards(&host.take_sent(LinkId(link))).is_empty()));
    for paying in 2..500 {
        allow(&mut host, paying, SHARD);
        host.flush(LINK);
        host.drain();
        assert_eq!(shards(&host.take_sent(LinkId(paying))).len(), 1, "exactly who paid");
        host.flush(LinkId(paying));
    }
}

#[test]
fn requests_that_wait_for_allowance_count_against_the_limit_of_the_link() {
    let film = film();
    let mut host = shop(&film, 0);
    customer(&mut host, LINK, 1);
    let limit = u64::try_from(REQUESTS_PER_LINK_MAX).unwrap();
    (0..=limit).for_each(|id| host.receive(LINK, get(&film, id)));
    let sent = host.take_sent(LINK);
    assert!(matches!(
        sent[..],
        [Message::Refusal(Refusal { id: RequestId(id), reason: RefusalReason::Busy, .. })]
            if id == limit
    ));
}

#[test]
fn payments_pass_both_ways_and_are_not_looked_into() {
    let film = film();
    let mut host = shop(&film, 0);
    customer(&mut host, LINK, 1);
    host.receive(LINK, payment(1_024));
    let body = Bytes::from(vec![7; 1_024]);
    let event = Event::Payment { link: LINK, peer: peer(1), body: body.clone() };
    assert_eq!(host.events.last(), Some(&event));
    host.handle(Input::Payment { link: LINK, body });
    assert_eq!(host.take_sent(LINK), [payment(1_024)]);
    host.handle(Input::Payment { link: LinkId(9), body: Bytes::from_static(b"gone") });
    let mut pay = |link, length| {
        let body = Bytes::from(vec![0; length]);
        host.provider.handle(Instant(0), Input::Payment { link, body })
    };
    assert_eq!(pay(LINK, 0), Err(Error::PaymentLength { max: 1_024, got: 0 }));
    assert_eq!(pay(LINK, 1_025), Err(Error::PaymentLength { max: 1_024, got: 1_025 }));
    host.handle(Input::LinkUp { link: LinkId(2), peer: peer(2) });
    let early = Input::Payment { link: LinkId(2), body: Bytes::from_static(b"early") };
    let refused = host.provider.handle(host.now, early);
    assert_eq!(refused, Err(Error::NotGreeted { link: LinkId(2) }));
    host.receive(LinkId(2), payment(1));
    assert_eq!(fault(&host), Some(Fault::NoHello { got: "payment" }));
}

#[test]
fn payments_without_end_are_a_fault_and_payload_earns_more() {
    let film = film();
    let mut host = shop(&film, u64::MAX);
    customer(&mut host, LINK, 1);
    (0..PAYMENT_MESSAGES_BURST).for_each(|_| host.receive(LINK, payment(1)));
    assert!(fault(&host).is_none());
    let earned = 8 * SHARD / PAYMENT_EARNING_BYTES;
    (0..8).for_each(|id| host.receive(LINK, get(&film, id)));
    assert_eq!(shards(&host.take_sent(LINK)).len(), 8);
    (0..earned).for_each(|_| host.receive(LINK, payment(1)));
    pass(&mut host, 5_000);
    (0..5).for_each(|_| host.receive(LINK, payment(1)));
    assert!(fault(&host).is_none());
    host.receive(LINK, payment(1));
    assert_eq!(fault(&host), Some(Fault::PaymentFlood { burst: PAYMENT_MESSAGES_BURST }));
    let paid = host.events.iter().filter(|it| matches!(it, Event::Payment { .. })).count();
    assert_eq!(u64::try_from(paid).unwrap(), PAYMENT_MESSAGES_BURST + earned + 5);
}

/// A fetcher with one source that holds everything, and what it put out.
struct Viewer {
    fetcher: Fetcher,
    film: Rc<Film>,
    asked: Vec<GetShard>,
    outputs: Vec<fetcher::Output>,
}

impl Viewer {
    fn new(accounts: bool) -> Self {
        let film = film();
        let mut config = FetcherConfig::default();
        config.accounts = accounts;
        let fetcher = Fetcher::new(film.content.clone(), config, [3; 32]).unwrap();
        let mut viewer = Self { fetcher, film, asked: Vec::new(), outputs: Vec::new() };
        let columns = ColumnSet::all(3);
        let kind = SourceKind::Masternode;
        viewer.handle(fetcher::Input::LinkUp { link: LINK, peer: peer(1), columns, kind });
        viewer.receive(hello());
        viewer
    }

    fn handle(&mut self, input: fetcher::Input) {
        self.fetcher.handle(Instant(1_000), input).unwrap();
        while let Some(output) = self.fetcher.poll() {
            if let fetcher::Output::Send { message: Message::GetShard(get), .. } = &output {
                self.asked.push(get.clone());
            }
            self.outputs.push(output);
        }
    }

    fn receive(&mut self, message: Message) {
        self.handle(fetcher::Input::Message { link: LINK, message });
    }

    fn want(&mut self, segments: std::ops::Range<u64>) {
        let (first_deadline, segment_duration_ms) = (None, 0);
        self.handle(fetcher::Input::Want { segments, first_deadline, segment_duration_ms });
    }

    fn answer(&mut self, get: &GetShard, flip: bool) {
        let shard = self.film.shard(get.segment, get.column).unwrap().clone();
        let ShardWithProof { payload, segment_path, content_path } = shard;
        let mut payload = payload.to_vec();
        payload[0] ^= u8::from(flip);
        let payload = payload.into();
        self.receive(Message::Shard(Shard { id: get.id, segment_path, content_path, payload }));
    }

    /// Bytes asked for and received, by the accounts.
    fn accounts(&self) -> (u64, u64) {
        let mut sums = (0, 0);
        for output in &self.outputs {
            match output {
                fetcher::Output::Asked { link, peer: who, bytes } => {
                    assert_eq!((*link, *who), (LINK, peer(1)));
                    sums.0 += bytes;
                }
                fetcher::Output::Received { link, peer: who, bytes } => {
                    assert_eq!((*link, *who), (LINK, peer(1)));
                    sums.1 += bytes;
                }
                _ => {}
            }
        }
        sums
    }

    fn fault(&self) -> Option<Fault> {
        let fault = |output: &fetcher::Output| match output {
            fetcher::Output::Event(fetcher::Event::PeerFault { fault, .. }) => Some(fault.clone()),
            _ => None,
        };
        self.outputs.iter().find_map(fault)
    }
}

#[test]
fn a_shard_of_a_cancelled_request_is_verified_and_owed() {
    let mut viewer = Viewer::new(true);
    viewer.want(0..1);
    assert_eq!(viewer.asked.len(), 2);
    assert_eq!(viewer.accounts(), (2 * SHARD, 0));
    let asked = viewer.asked.clone();
    viewer.answer(&asked[0], false);
    viewer.want(1..2);
    viewer.answer(&asked[1], false);
    assert_eq!(viewer.accounts(), (4 * SHARD, 2 * SHARD));
    assert_eq!(viewer.fetcher.totals().wasted_bytes, SHARD);
    assert!(viewer.fault().is_none());
}

#[test]
fn a_forged_shard_of_a_cancelled_request_is_a_fault_where_it_would_be_paid_for() {
    for accounts in [true, false] {
        let mut viewer = Viewer::new(accounts);
        viewer.want(0..1);
        let asked = viewer.asked.clone();
        viewer.want(1..2);
        viewer.answer(&asked[0], true);
        let (segment, column) = (asked[0].segment, asked[0].column);
        let bad = Fault::BadShard { segment, column };
        assert_eq!(viewer.fault(), accounts.then_some(bad));
        assert_eq!(viewer.accounts().1, 0);
    }
}

#[test]
fn without_accounts_nothing_is_told() {
    let mut viewer = Viewer::new(false);
    viewer.want(0..1);
    let asked = viewer.asked.clone();
    asked.iter().for_each(|get| viewer.answer(get, false));
    assert_eq!(viewer.accounts(), (0, 0));
    assert_eq!(viewer.fetcher.totals().segments, 1);
}

#[test]
fn a_source_says_something_about_money_and_not_too_often() {
    let mut viewer = Viewer::new(true);
    let body = Bytes::from_static(b"a quote");
    viewer.receive(Message::Payment(Payment { body: body.clone() }));
    assert!(matches!(
        viewer.outputs.last(),
        Some(fetcher::Output::Event(fetcher::Event::Payment { link: LINK, body: got, .. }))
            if *got == body
    ));
    viewer.handle(fetcher::Input::Payment { link: LINK, body: body.clone() });
    assert!(matches!(
        viewer.outputs.last(),
        Some(fetcher::Output::Send { link: LINK, message: Message::Payment(payment) })
            if payment.body == body
    ));
    (1..PAYMENT_MESSAGES_BURST).for_each(|_| viewer.receive(payment(1)));
    assert!(viewer.fault().is_none());
    viewer.receive(payment(1));
    assert_eq!(viewer.fault(), Some(Fault::PaymentFlood { burst: PAYMENT_MESSAGES_BURST }));
}

#[test]
fn a_source_that_wants_to_be_paid_is_left_alone_as_long_as_it_says() {
    let mut viewer = Viewer::new(true);
    viewer.want(0..1);
    let refusal = |get: &GetShard| {
        let (reason, retry_after_ms) = (RefusalReason::PaymentDue, 2_000);
        Message::Refusal(Refusal { id: get.id, reason, retry_after_ms })
    };
    let asked = viewer.asked.clone();
    asked.iter().for_each(|get| viewer.receive(refusal(get)));
    assert_eq!(viewer.asked.len(), 2, "not asked again at once");
    viewer.fetcher.handle(Instant(3_000), fetcher::Input::Tick).unwrap();
    viewer.handle(fetcher::Input::Tick);
    assert_eq!(viewer.asked.len(), 4);
}

#[test]
fn who_asks_or_uploads_takes_no_notice_of_payments() {
    let film = film();
    let mut asker = Asker::new(Introduction::default()).unwrap();
    asker.handle(Instant(0), asker::Input::LinkUp { link: LINK, peer: peer(1) }).unwrap();
    let config = UploaderConfig::default();
    let mut uploader = Uploader::new(film.content.clone(), ColumnSet::all(1), config).unwrap();
    uploader.handle(Instant(0), uploader::Input::LinkUp { link: LINK, peer: peer(1) }).unwrap();
    for message in [hello(), payment(3)] {
        let (link, again) = (LINK, message.clone());
        asker.handle(Instant(1), asker::Input::Message { link, message }).unwrap();
        let message = again;
        uploader.handle(Instant(1), uploader::Input::Message { link, message }).unwrap();
    }
    let mut outputs = std::iter::from_fn(|| asker.poll());
    assert!(outputs.all(|it| !matches!(it, asker::Output::Close { .. })));
    let mut outputs = std::iter::from_fn(|| uploader.poll());
    assert!(outputs.all(|it| !matches!(it, uploader::Output::Close { .. })));
}
