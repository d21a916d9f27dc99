//! A provider and a fetcher, joined by links and driven by any order of operations: messages that
//! arrive late or were never sent, links that come and go, a store that answers anything, a clock
//! that jumps, an allowance that comes and goes. Neither panics, every configured bound holds after
//! every step, nobody is sent more than it is allowed, no timer fires twice for one moment, and
//! whatever segment comes out is what the publisher encoded.

#![no_main]

use std::cell::LazyCell;
use std::collections::{BTreeMap, VecDeque};

use arbitrary::Arbitrary;
use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use pop_exchange::LinkId;
use pop_exchange::fetcher::{self, Fetcher, FetcherConfig, SourceKind};
use pop_exchange::limits::{LOOKUPS_PER_LINK_MAX, UNREAD_MESSAGES_MAX};
use pop_exchange::provider::{self, Provider, ProviderConfig, StoreOperation, StoreResult, Token};
use pop_fuzz::forge::{Forged, columns, content, forge, holders, ranges, reason, segment, shard};
use pop_fuzz::sample::{GEOMETRY, Sample};
use pop_wire::message::RefusalReason;
use pop_wire::{Instant, Keypair, Message, PeerId, SegmentIndex};

const LINKS_MAX: usize = 3;
const REQUESTS_MAX: usize = 8;
const UPLOADS_MAX: usize = 2;
const LOOKUPS_MAX: usize = LOOKUPS_PER_LINK_MAX + 1;
const PAYLOAD_BYTES_MAX: u64 = 512 * 1024;
const WINDOW_BYTES_MAX: u64 = 3 * 192;
/// What a peer may take before anything is granted: a few shards of the sample.
const ALLOWANCE_BYTES: u64 = 1_000;
/// Outputs that one input can cause, by far.
const OUTPUTS_MAX: usize = 4096;
/// Links that operations choose from.
const SLOTS: usize = 4;
const OPERATIONS_MAX: usize = 512;

thread_local! {
    static SAMPLE: LazyCell<Sample> = LazyCell::new(Sample::new);
    static PEERS: LazyCell<[PeerId; 4]> = LazyCell::new(|| {
        [1, 2, 3, 4].map(|byte| Keypair::from_secret_bytes(&[byte; 32]).expect("valid").peer_id())
    });
}

#[derive(Debug, Arbitrary)]
enum Operation {
    LinkUp {
        link: u8,
        peer: u8,
        columns: u8,
        kind: u8,
    },
    LinkDown {
        link: u8,
    },
    /// The oldest message on its way to the provider arrives.
    ToProvider {
        link: u8,
    },
    /// The oldest message on its way to the fetcher arrives.
    ToFetcher {
        link: u8,
    },
    /// Everything on its way arrives.
    Settle,
    /// A message that nobody sent arrives.
    Forge {
        to_fetcher: bool,
        link: u8,
        message: Forged,
    },
    /// The next messages of an honest upload arrive, and the store answers honestly or not yet.
    Upload {
        link: u8,
        id: u8,
        column: u8,
        steps: u8,
        answered: bool,
    },
    Flushed {
        link: u8,
        messages: u8,
    },
    Store {
        which: u8,
        outcome: Outcome,
    },
    Want {
        start: u8,
        len: u8,
        deadline_ms: Option<u16>,
        duration_ms: u16,
    },
    Release {
        segment: u8,
    },
    Again {
        segment: u8,
    },
    Wait {
        ms: u16,
    },
    /// `None` for no limit.
    Allowance {
        peer: u8,
        bytes: Option<u32>,
    },
    /// Whoever keeps accounts says something, perhaps too much.
    Payment {
        from_fetcher: bool,
        link: u8,
        length: u16,
    },
    Price {
        peer: u8,
        price_rank: u64,
    },
    /// The provider can serve other segments from now on.
    Available {
        other_content: bool,
        ranges: [(u8, u8); 2],
    },
}

#[derive(Debug, Arbitrary)]
enum Outcome {
    /// What an honest store answers.
    Honest,
    Refused {
        reason: u8,
        retry_after_ms: u32,
    },
    Damaged {
        segment: u8,
        column: u8,
        bytes: u32,
    },
    Written,
    Stored,
    Opened {
        next: u8,
    },
}

/// Both machines, and what is between them.
struct World<'a> {
    sample: &'a Sample,
    peers: &'a [PeerId; 4],
    now: Instant,
    provider: Provider,
    fetcher: Fetcher,
    to_provider: BTreeMap<LinkId, VecDeque<Message>>,
    to_fetcher: BTreeMap<LinkId, VecDeque<Message>>,
    /// Messages that the provider sent and nobody reported as flushed.
    unread: BTreeMap<LinkId, usize>,
    pending: Vec<(Token, StoreOperation)>,
    /// Who is at the other end of each link of the provider.
    linked: BTreeMap<LinkId, PeerId>,
    /// What each peer with a link may still be sent.
    allowed: BTreeMap<PeerId, u64>,
    /// Payload that the fetcher says is owed.
    received: u64,
    /// How far the honest uploads are.
    uploads: BTreeMap<(LinkId, u8), u8>,
    /// Links that each slot had before: a number is never used again.
    generations: [u64; SLOTS],
}

impl<'a> World<'a> {
    fn new(sample: &'a Sample, peers: &'a [PeerId; 4]) -> Self {
        let mut provider = ProviderConfig::default();
        provider.payload_bytes_max = PAYLOAD_BYTES_MAX;
        provider.payload_bytes_per_link_max = PAYLOAD_BYTES_MAX;
        provider.links_max = LINKS_MAX;
        provider.links_per_peer_max = 2;
        provider.requests_max = REQUESTS_MAX;
        provider.uploads_max = UPLOADS_MAX;
        provider.lookups_max = LOOKUPS_MAX;
        provider.allowance_bytes = ALLOWANCE_BYTES;
        let mut fetcher = FetcherConfig::default();
        fetcher.window_bytes_max = WINDOW_BYTES_MAX;
        fetcher.accounts = true;
        // Within what an operation's deadlines reach.
        fetcher.far_window_ms = 20_000;
        Self {
            sample,
            peers,
            now: Instant(0),
            provider: Provider::new(provider).expect("room for a shard"),
            fetcher: Fetcher::new(sample.content.clone(), fetcher, [5; 32])
                .expect("room for two segments"),
            to_provider: BTreeMap::new(),
            to_fetcher: BTreeMap::new(),
            unread: BTreeMap::new(),
            pending: Vec::new(),
            linked: BTreeMap::new(),
            allowed: BTreeMap::new(),
            received: 0,
            uploads: BTreeMap::new(),
            generations: [0; SLOTS],
        }
    }

    fn apply(&mut self, operation: &Operation) {
        match *operation {
            Operation::LinkUp { link, peer, columns: bits, kind } => {
                let (link, peer) = (self.link(link), self.peers[usize::from(peer % 4)]);
                let up = provider::Input::LinkUp { link, peer };
                if self.provider.handle(self.now, up).is_ok() {
                    self.linked.insert(link, peer);
                    self.allowed.entry(peer).or_insert(ALLOWANCE_BYTES);
                }
                self.drain_provider();
                let kind = [SourceKind::Local, SourceKind::Masternode, SourceKind::Viewer]
                    [usize::from(kind % 3)];
                let columns = columns(bits);
                self.fetch(fetcher::Input::LinkUp { link, peer, columns, kind });
            }
            Operation::LinkDown { link } => self.down(self.link(link)),
            Operation::ToProvider { link } => self.deliver_to_provider(self.link(link)),
            Operation::ToFetcher { link } => self.deliver_to_fetcher(self.link(link)),
            Operation::Settle => self.settle(),
            Operation::Forge { to_fetcher, link, ref message } => {
                let times = message.times();
                let (link, message) = (self.link(link), forge(self.sample, message));
                for message in std::iter::repeat_n(message, times.into()) {
                    if to_fetcher {
                        self.fetch(fetcher::Input::Message { link, message });
                    } else {
                        self.provide(provider::Input::Message { link, message });
                    }
                }
            }
            Operation::Upload { link, id, column, steps, answered } => {
                let link = self.link(link);
                for _ in 0..steps % 8 {
                    self.upload(link, id, column % 5);
                    let open = if answered { self.pending.len() } else { 0 };
                    for _ in 0..open {
                        self.answer(0, &Outcome::Honest);
                    }
                }
            }
            Operation::Flushed { link, messages } => {
                self.flushed(self.link(link), messages.into());
            }
            Operation::Store { which, ref outcome } => {
                if !self.pending.is_empty() {
                    let at = usize::from(which) % self.pending.len();
                    self.answer(at, outcome);
                }
            }
            Operation::Want { start, len, deadline_ms, duration_ms } => {
                let start = u64::from(start % 6);
                self.fetch(fetcher::Input::Want {
                    segments: start..start + u64::from(len % 6),
                    first_deadline: deadline_ms.map(|ms| self.now.after_ms(ms.into())),
                    segment_duration_ms: duration_ms.into(),
                });
            }
            Operation::Release { segment: s } => {
                self.fetch(fetcher::Input::Release { segment: segment(s) });
            }
            Operation::Again { segment: s } => {
                self.fetch(fetcher::Input::Again { segment: segment(s) });
            }
            Operation::Wait { ms } => self.wait(ms.into()),
            Operation::Allowance { peer, bytes } => {
                let peer = self.peers[usize::from(peer % 4)];
                let bytes = bytes.map_or(u64::MAX, u64::from);
                if let Some(left) = self.allowed.get_mut(&peer) {
                    *left = bytes;
                }
                self.provide(provider::Input::Allowance { peer, bytes });
            }
            Operation::Payment { from_fetcher, link, length } => {
                let (link, body) = (self.link(link), vec![2; usize::from(length % 1_200)].into());
                if from_fetcher {
                    self.fetch(fetcher::Input::Payment { link, body });
                } else {
                    self.provide(provider::Input::Payment { link, body });
                }
            }
            Operation::Price { peer, price_rank } => {
                let peer = self.peers[usize::from(peer % 4)];
                self.fetch(fetcher::Input::Price { peer, price_rank });
            }
            Operation::Available { other_content, ranges: pairs } => {
                let (content, segments) = (content(self.sample, other_content), ranges(pairs));
                self.provide(provider::Input::Available { content, segments });
            }
        }
    }

    /// Time passes; timers that are due fire once.
    fn wait(&mut self, ms: u64) {
        self.now = self.now.after_ms(ms);
        self.provide(provider::Input::Tick);
        self.fetch(fetcher::Input::Tick);
        let now = self.now;
        let later = |at: Option<Instant>| at.is_none_or(|at| at > now);
        assert!(later(self.provider.next_timeout()), "the provider's timer fires for ever");
        assert!(later(self.fetcher.next_timeout()), "the fetcher's timer fires for ever");
    }

    /// Honest links and an honest store for a while.
    fn settle(&mut self) {
        for _ in 0..8 {
            for link in [0, 1, 2, 3].map(|slot| self.link(slot)) {
                self.deliver_to_provider(link);
                self.deliver_to_fetcher(link);
            }
            if !self.pending.is_empty() {
                self.answer(0, &Outcome::Honest);
            }
        }
    }

    fn deliver_to_provider(&mut self, link: LinkId) {
        if let Some(message) = self.to_provider.entry(link).or_default().pop_front() {
            self.provide(provider::Input::Message { link, message });
        }
    }

    fn deliver_to_fetcher(&mut self, link: LinkId) {
        if let Some(message) = self.to_fetcher.entry(link).or_default().pop_front() {
            self.flushed(link, 1);
            self.fetch(fetcher::Input::Message { link, message });
        }
    }

    fn flushed(&mut self, link: LinkId, messages: usize) {
        let taken = self.provider.handle(self.now, provider::Input::Flushed { link, messages });
        if taken.is_ok() {
            let unread = self.unread.entry(link).or_default();
            *unread = unread.saturating_sub(messages);
        }
        self.drain_provider();
    }

    /// What an uploader that knows no refusal says next.
    fn upload(&mut self, link: LinkId, id: u8, column: u8) {
        let step = self.uploads.entry((link, id)).or_default();
        let forged = match *step {
            0 => Forged::OpenColumn { id, column },
            segment @ 1..=4 => {
                Forged::PutShard { id, segment: segment - 1, column, flip: None, pad: 0 }
            }
            _ => Forged::SealColumn { id },
        };
        *step = (*step + 1) % 6;
        let message = forge(self.sample, &forged);
        self.provide(provider::Input::Message { link, message });
    }

    /// The link that a slot has now.
    fn link(&self, slot: u8) -> LinkId {
        let slot = usize::from(slot) % SLOTS;
        LinkId(self.generations[slot] * 4 + u64::try_from(slot).expect("below 4"))
    }

    fn down(&mut self, link: LinkId) {
        let slot = usize::try_from(link.0 % 4).expect("below 4");
        if self.generations[slot] == link.0 / 4 {
            self.generations[slot] += 1;
        }
        self.to_provider.remove(&link);
        self.to_fetcher.remove(&link);
        self.unread.remove(&link);
        if let Some(peer) = self.linked.remove(&link)
            && self.linked.values().all(|other| *other != peer)
        {
            self.allowed.remove(&peer);
        }
        self.provide(provider::Input::LinkDown { link });
        self.fetch(fetcher::Input::LinkDown { link });
    }

    fn answer(&mut self, at: usize, outcome: &Outcome) {
        let (token, operation) = self.pending.swap_remove(at);
        let result = match *outcome {
            Outcome::Honest => self.honest(&operation),
            Outcome::Refused { reason: code, retry_after_ms } => {
                StoreResult::Refused { reason: reason(code), retry_after_ms }
            }
            Outcome::Damaged { segment, column, bytes } => {
                let mut damaged = shard(self.sample, (segment, column), Some(3), 0);
                let bytes = usize::try_from(bytes % 300_000).expect("fits");
                damaged.payload = Bytes::from(vec![0; bytes]);
                StoreResult::Shard(damaged)
            }
            Outcome::Written => StoreResult::Written,
            Outcome::Stored => StoreResult::ColumnStored,
            Outcome::Opened { next } => StoreResult::ColumnOpened { next_segment: segment(next) },
        };
        // A result of the wrong kind is the shell's mistake: refused, and the operation goes on.
        if self.provider.handle(self.now, provider::Input::Store { token, result }).is_err() {
            self.pending.push((token, operation));
        }
        self.drain_provider();
    }

    fn honest(&self, operation: &StoreOperation) -> StoreResult {
        let refused = StoreResult::Refused { reason: RefusalReason::NotFound, retry_after_ms: 0 };
        match operation {
            StoreOperation::ReadShard { segment, column, content } => {
                let index = usize::try_from(segment.0).unwrap_or(usize::MAX);
                let shard = self.sample.shard(index, column.get());
                let known = *content == self.sample.content.id();
                shard.filter(|_| known).map_or(refused, StoreResult::Shard)
            }
            StoreOperation::ReadManifest { .. } => {
                StoreResult::Manifest(self.sample.content.manifest().signed().clone())
            }
            StoreOperation::ReadHoldings { .. } => StoreResult::Holdings(columns(0x1f)),
            StoreOperation::OpenColumn { .. } => {
                StoreResult::ColumnOpened { next_segment: SegmentIndex(0) }
            }
            StoreOperation::FindHolders { .. } => {
                let (providers, masternodes) = holders(70, 70);
                StoreResult::Holders { providers, masternodes }
            }
            StoreOperation::Audit { .. } => StoreResult::AuditAnswer([1; 200].to_vec().into()),
            StoreOperation::WriteShard { .. } => StoreResult::Written,
            StoreOperation::SealColumn { .. } => StoreResult::ColumnStored,
            _ => refused,
        }
    }

    fn provide(&mut self, input: provider::Input) {
        let _ = self.provider.handle(self.now, input);
        self.drain_provider();
    }

    fn drain_provider(&mut self) {
        let mut closed = Vec::new();
        for _ in 0..OUTPUTS_MAX {
            match self.provider.poll() {
                None => break,
                Some(provider::Output::Send { link, message }) => {
                    *self.unread.entry(link).or_default() += 1;
                    if let Message::Shard(shard) = &message {
                        self.spend(link, shard.payload.len());
                    }
                    self.to_fetcher.entry(link).or_default().push_back(message);
                }
                Some(provider::Output::Close { link }) => closed.push(link),
                Some(provider::Output::Store { token, operation }) => {
                    if !matches!(operation, StoreOperation::LeaveColumn { .. }) {
                        self.pending.push((token, operation));
                    }
                }
                Some(_) => {}
            }
        }
        assert!(self.provider.poll().is_none(), "one input caused endless output");
        closed.into_iter().for_each(|link| self.down(link));
    }

    /// Nobody is sent more than it is allowed.
    fn spend(&mut self, link: LinkId, payload: usize) {
        let peer = self.linked[&link];
        let left = self.allowed.get_mut(&peer).expect("a peer with a link");
        let payload = u64::try_from(payload).expect("fits");
        assert!(payload <= *left, "sent {payload} bytes of {left}");
        if *left != u64::MAX {
            *left -= payload;
        }
    }

    fn fetch(&mut self, input: fetcher::Input) {
        let _ = self.fetcher.handle(self.now, input);
        let mut closed = Vec::new();
        for _ in 0..OUTPUTS_MAX {
            match self.fetcher.poll() {
                None => break,
                Some(fetcher::Output::Send { link, message }) => {
                    self.to_provider.entry(link).or_default().push_back(message);
                }
                Some(fetcher::Output::Close { link }) => closed.push(link),
                Some(fetcher::Output::Received { bytes, .. }) => self.received += bytes,
                Some(fetcher::Output::Segment { segment, shards }) => {
                    assert_eq!(shards.len(), usize::from(GEOMETRY.0));
                    let index = usize::try_from(segment.0).expect("a segment of the sample");
                    for shard in shards {
                        let honest = self.sample.shard(index, shard.column().get());
                        let honest = honest.expect("inside the sample").payload;
                        assert_eq!(*shard.payload(), honest, "a forged shard came out");
                    }
                }
                Some(_) => {}
            }
        }
        assert!(self.fetcher.poll().is_none(), "one input caused endless output");
        closed.into_iter().for_each(|link| self.down(link));
    }

    fn check_bounds(&self) {
        assert!(self.provider.payload_bytes() <= PAYLOAD_BYTES_MAX);
        assert!(self.provider.queued_requests() <= REQUESTS_MAX);
        assert!(self.provider.open_uploads() <= UPLOADS_MAX);
        assert!(self.provider.links() <= LINKS_MAX);
        let is_lookup = |it: &&(_, _)| matches!(it.1, StoreOperation::FindHolders { .. });
        assert!(self.pending.iter().filter(is_lookup).count() <= LOOKUPS_MAX);
        assert!(self.fetcher.charged_bytes() <= WINDOW_BYTES_MAX);
        assert!(self.fetcher.totals().received_bytes <= self.received, "used and not owed");
        assert!(self.unread.values().all(|unread| *unread <= UNREAD_MESSAGES_MAX + 1));
    }
}

fuzz_target!(|operations: Vec<Operation>| {
    SAMPLE.with(|sample| {
        PEERS.with(|peers| {
            let mut world = World::new(sample, peers);
            for operation in operations.iter().take(OPERATIONS_MAX) {
                world.apply(operation);
                world.check_bounds();
            }
        });
    });
});
