//! Whatever peers ask, pay and withhold, in whatever order: nobody is sent more than it is
//! allowed, everybody is sent all that it is allowed, and who pays doesn't wait for who doesn't.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use bytes::Bytes;
use pop_exchange::LinkId;
use pop_exchange::provider::{Event, Input, Output, Provider, ProviderConfig};
use pop_exchange::provider::{StoreOperation, StoreResult, Token};
use pop_wire::message::{Cancel, Credit, GetShard, Payment};
use pop_wire::{Instant, Message, RequestId, SegmentIndex};
use proptest::prelude::*;

use crate::film::{Film, column, peer};
use crate::pair::hello;

static FILM: LazyLock<Film> = LazyLock::new(|| Film::new(2, 4, 1024, 8, 1));
const SHARD: u64 = 1024;
const PAYLOAD_BYTES_MAX: u64 = 1024 * 1024;
/// What a peer may take before anything is granted.
const FIRST: u64 = 2 * SHARD + 100;
const LINKS: u8 = 5;
const PEERS: u8 = 3;

/// One thing that happens; numbers are taken modulo what there is.
#[derive(Debug, Clone)]
enum Step {
    Up(u8, u8),
    Down(u8),
    Get(u8, u8, u32),
    Cancel(u8, u8),
    Credit(u8, u16),
    Allow(u8, Option<u16>),
    Pay(u8),
    /// The `i`-th read under way ends.
    Read(u8),
    Flushed(u8),
    Pass(u16),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0..LINKS, 0..PEERS).prop_map(|(link, who)| Step::Up(link, who)),
        1 => (0..LINKS).prop_map(Step::Down),
        16 => (0..LINKS, any::<u8>(), 0_u32..2_000).prop_map(|(l, s, d)| Step::Get(l, s, d)),
        2 => (0..LINKS, any::<u8>()).prop_map(|(link, which)| Step::Cancel(link, which)),
        4 => (0..LINKS, 1_u16..).prop_map(|(link, bytes)| Step::Credit(link, bytes)),
        6 => (0..PEERS, prop::option::weighted(0.9, 0_u16..8_000))
            .prop_map(|(who, bytes)| Step::Allow(who, bytes)),
        1 => (0..LINKS).prop_map(Step::Pay),
        10 => any::<u8>().prop_map(Step::Read),
        4 => (0..LINKS).prop_map(Step::Flushed),
        3 => (0_u16..1_500).prop_map(Step::Pass),
    ]
}

/// A provider, and what it should be doing.
struct Shop {
    provider: Provider,
    now: Instant,
    up: BTreeMap<LinkId, u8>,
    reads: Vec<(Token, SegmentIndex, u16)>,
    /// Requests without an answer.
    open: BTreeMap<LinkId, BTreeSet<u64>>,
    unflushed: BTreeMap<LinkId, usize>,
    /// What each peer may still be sent.
    left: BTreeMap<u8, u64>,
    ids: u64,
}

impl Shop {
    fn new() -> Self {
        let mut config = ProviderConfig::default();
        config.allowance_bytes = FIRST;
        config.payload_bytes_max = PAYLOAD_BYTES_MAX;
        Self {
            provider: Provider::new(config).unwrap(),
            now: Instant(0),
            up: BTreeMap::new(),
            reads: Vec::new(),
            open: BTreeMap::new(),
            unflushed: BTreeMap::new(),
            left: BTreeMap::new(),
            ids: 0,
        }
    }

    fn step(&mut self, step: &Step) {
        let link = |link: u8| LinkId(u64::from(link));
        match *step {
            Step::Up(at, who) => {
                let link = link(at);
                if self.up.contains_key(&link) {
                    return;
                }
                if !self.up.values().any(|known| *known == who) {
                    self.left.insert(who, FIRST);
                }
                self.up.insert(link, who);
                self.handle(Input::LinkUp { link, peer: peer(who.into()) });
                self.handle(Input::Message { link, message: hello() });
            }
            Step::Down(at) => {
                let link = link(at);
                self.up.remove(&link);
                self.open.remove(&link);
                self.unflushed.remove(&link);
                self.handle(Input::LinkDown { link });
            }
            Step::Get(at, segment, deadline_ms) => {
                self.ids += 1;
                let open = self.open.entry(link(at)).or_default();
                if self.up.contains_key(&link(at)) && open.len() < 200 {
                    open.insert(self.ids);
                    // The last segment may be shorter.
                    let segment = SegmentIndex(u64::from(segment) % (FILM.segments() - 1));
                    let (content, id) = (FILM.content.id(), RequestId(self.ids));
                    let column = column(u16::try_from(self.ids % 4).unwrap());
                    let get = GetShard { id, content, segment, column, deadline_ms };
                    self.receive(link(at), Message::GetShard(get));
                }
            }
            Step::Cancel(at, which) => {
                let open = self.open.get(&link(at)).filter(|open| !open.is_empty());
                if let Some(open) = open {
                    let id = *open.iter().nth(usize::from(which) % open.len()).unwrap();
                    let cancel = Cancel { id: RequestId(id) };
                    self.receive(link(at), Message::Cancel(cancel));
                }
            }
            Step::Credit(at, bytes) => {
                self.receive(link(at), Message::Credit(Credit { bytes: bytes.into() }));
            }
            Step::Allow(who, bytes) => self.allow(who, bytes.map_or(u64::MAX, u64::from)),
            Step::Pay(at) => {
                self.receive(link(at), Message::Payment(Payment { body: Bytes::from_static(b"p") }))
            }
            Step::Read(which) => {
                if !self.reads.is_empty() {
                    let read = self.reads.swap_remove(usize::from(which) % self.reads.len());
                    self.answer(read);
                }
            }
            Step::Flushed(at) => self.flush(link(at)),
            Step::Pass(ms) => {
                self.now = self.now.after_ms(ms.into());
                self.handle(Input::Tick);
                assert!(self.provider.next_timeout().is_none_or(|at| at > self.now));
            }
        }
    }

    fn receive(&mut self, link: LinkId, message: Message) {
        if self.up.contains_key(&link) {
            self.handle(Input::Message { link, message });
        }
    }

    fn allow(&mut self, who: u8, bytes: u64) {
        if let Some(left) = self.left.get_mut(&who) {
            *left = bytes;
        }
        self.handle(Input::Allowance { peer: peer(who.into()), bytes });
    }

    fn answer(&mut self, (token, segment, index): (Token, SegmentIndex, u16)) {
        let shard = FILM.shard(segment, column(index)).unwrap().clone();
        self.handle(Input::Store { token, result: StoreResult::Shard(shard) });
    }

    fn flush(&mut self, link: LinkId) {
        let messages = self.unflushed.remove(&link).unwrap_or(0);
        self.handle(Input::Flushed { link, messages });
    }

    fn handle(&mut self, input: Input) {
        self.provider.handle(self.now, input).unwrap();
        while let Some(output) = self.provider.poll() {
            match output {
                Output::Send { link, message } => {
                    *self.unflushed.entry(link).or_default() += 1;
                    self.sent(link, &message);
                }
                Output::Store { token, operation } => match operation {
                    StoreOperation::ReadShard { segment, column, .. } => {
                        self.reads.push((token, segment, column.get()));
                    }
                    other => panic!("nobody asked for {other:?}"),
                },
                Output::Event(Event::PeerFault { fault, .. }) => panic!("an honest peer: {fault}"),
                _ => {}
            }
        }
        assert!(self.provider.payload_bytes() <= PAYLOAD_BYTES_MAX);
    }

    fn sent(&mut self, link: LinkId, message: &Message) {
        let id = match message {
            Message::Shard(shard) => {
                let bytes = u64::try_from(shard.payload.len()).unwrap();
                let left = self.left.get_mut(&self.up[&link]).unwrap();
                assert!(bytes <= *left, "{link}: {bytes} of {left}");
                if *left != u64::MAX {
                    *left -= bytes;
                }
                shard.id
            }
            Message::Refusal(refusal) => refusal.id,
            _ => return,
        };
        assert!(self.open.get_mut(&link).unwrap().remove(&id.0), "{id} has one answer");
    }

    /// Every read ends, everything is flushed, and credit is no concern.
    fn settle(&mut self) {
        let links: Vec<LinkId> = self.up.keys().copied().collect();
        for link in &links {
            self.receive(*link, Message::Credit(Credit { bytes: 1 << 25 }));
        }
        for _ in 0..10_000 {
            match self.reads.pop() {
                Some(read) => self.answer(read),
                None => {
                    let before = self.reads.len();
                    links.iter().for_each(|link| self.flush(*link));
                    if self.reads.len() == before {
                        return;
                    }
                }
            }
        }
        panic!("reads without end");
    }

    fn open_of(&self, who: u8) -> usize {
        let links = self.up.iter().filter(|(_, known)| **known == who);
        links.filter_map(|(link, _)| self.open.get(link)).map(BTreeSet::len).sum()
    }
}

fn check(steps: &[Step]) {
    let mut shop = Shop::new();
    steps.iter().for_each(|step| shop.step(step));
    shop.settle();
    for who in 0..PEERS {
        let left = shop.left.get(&who).copied().unwrap_or(0);
        assert!(left < SHARD || shop.open_of(who) == 0, "peer {who} could have more");
    }
    // One pays, and has everything, whoever else still waits.
    shop.allow(0, u64::MAX);
    shop.settle();
    assert_eq!(shop.open_of(0), 0);
    // In the end everybody has an answer.
    shop.now = shop.now.after_ms(2_000);
    shop.handle(Input::Tick);
    shop.settle();
    assert!(shop.open.values().all(BTreeSet::is_empty));
    assert_eq!((shop.provider.queued_requests(), shop.provider.payload_bytes()), (0, 0));
}

proptest! {
    #[test]
    fn nobody_is_sent_more_or_less_than_it_is_allowed(
        steps in prop::collection::vec(step(), 0..250),
    ) {
        check(&steps);
    }
}
