//! A small seeded network in virtual time: one viewer, many holders, links with latency, jitter
//! and throughput, stores with delay, and holders that die, lie or dawdle.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Range;
use std::rc::Rc;

use bytes::Bytes;
use pop_erasure::VerifiedShard;
use pop_exchange::fetcher::{self, Fetcher, FetcherConfig, SourceKind};
use pop_exchange::provider::{self, Provider, ProviderConfig, StoreOperation, StoreResult, Token};
use pop_exchange::{Fault, LinkId};
use pop_wire::message::{GetPeers, RefusalReason, Shard};
use pop_wire::{ColumnSet, Instant, Message, RequestId, SegmentRanges};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::film::{Film, peer};
use crate::trace::Trace;

/// How a holder behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    Honest,
    /// Flips a bit of every shard.
    FlipsBits,
    /// Answers with another column's shard, and that one's proof.
    WrongColumn,
    /// Flips a bit of the proof.
    WrongProof,
    /// Answers every request with its first answer's shard.
    Replays,
    /// Sends every shard twice.
    AnswersTwice,
    /// Answers requests that nobody made.
    InventsAnswers,
    /// Reads everything and answers nothing.
    Silent,
    /// Sends a message that no holder sends.
    Absurd,
    /// Refuses everything as busy.
    Busy,
    /// Says it has nothing, whatever it announced.
    Empty,
}

pub(crate) struct Holder {
    pub(crate) provider: Provider,
    pub(crate) manner: Manner,
    pub(crate) columns: ColumnSet,
    pub(crate) latency_ms: u64,
    pub(crate) bytes_per_s: u64,
    pub(crate) alive: bool,
    /// When its process hangs, in microseconds: what comes in then waits.
    hangs_us: Range<u64>,
    pub(crate) kind: SourceKind,
    /// What a viewer holds and announces.
    pub(crate) segments: SegmentRanges,
    timer: Option<Instant>,
    pub(crate) link: LinkId,
    /// When the link's transmission of what was sent so far ends, in microseconds.
    busy_until_us: u64,
    replay: Option<Shard>,
}

#[derive(Debug)]
enum Happening {
    ToHolder(usize, LinkId, Message),
    ToViewer(LinkId, Message),
    Flushed(usize, LinkId),
    Stored(usize, Token, StoreResult),
    Kill(usize, bool),
    Revive(usize),
    Connect(usize),
    HolderTick(usize),
    Played,
    ViewerTick,
    Released(u64),
}

/// A segment as it came out.
pub(crate) struct Delivery {
    pub(crate) at_ms: u64,
    pub(crate) shards: Vec<VerifiedShard>,
}

pub(crate) struct World {
    pub(crate) film: Rc<Film>,
    pub(crate) fetcher: Fetcher,
    pub(crate) holders: Vec<Holder>,
    pub(crate) now_us: u64,
    pub(crate) trace: Trace,
    pub(crate) deliveries: BTreeMap<u64, Delivery>,
    pub(crate) events: Vec<(u64, fetcher::Event)>,
    pub(crate) closed: BTreeSet<LinkId>,
    pub(crate) charged_max: u64,
    /// Requests: when, on which link, of which segment.
    pub(crate) asked: Vec<(u64, LinkId, u64)>,
    /// Verified payload that came in time, by link.
    pub(crate) received: BTreeMap<LinkId, u64>,
    rng: ChaCha8Rng,
    queue: BTreeMap<(u64, u64), Happening>,
    sequence: u64,
    next_link: u64,
    playing: Option<Playing>,
    viewer_timer: Option<u64>,
    /// How long the viewer takes to decode a segment, in milliseconds.
    pub(crate) decode_ms: u64,
}

/// Playback at the media's own pace.
#[derive(Debug, Clone, Copy)]
struct Playing {
    start_ms: u64,
    segment_ms: u64,
    ahead: u64,
    next: u64,
}

impl World {
    pub(crate) fn new(film: Rc<Film>, config: FetcherConfig, seed: u64) -> Self {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        println!("seed {seed}");
        Self {
            fetcher: Fetcher::new(film.content.clone(), config, bytes).unwrap(),
            film,
            holders: Vec::new(),
            now_us: 0,
            trace: Trace::new(),
            deliveries: BTreeMap::new(),
            events: Vec::new(),
            closed: BTreeSet::new(),
            charged_max: 0,
            asked: Vec::new(),
            received: BTreeMap::new(),
            rng: ChaCha8Rng::from_seed(bytes),
            queue: BTreeMap::new(),
            sequence: 0,
            next_link: 0,
            playing: None,
            viewer_timer: None,
            decode_ms: 5,
        }
    }

    /// One holder a column, with latencies of 5 to 40 ms and `bytes_per_s` give or take a third.
    pub(crate) fn with_a_holder_a_column(mut self, bytes_per_s: u64) -> Self {
        let n = self.film.content.layout().geometry().n();
        for index in 0..n {
            let columns = [crate::film::column(index)].into_iter().collect();
            let latency_ms = 5 + self.below(35);
            let rate = bytes_per_s * (67 + self.below(66)) / 100;
            self.add_holder(columns, Manner::Honest, latency_ms, rate, SourceKind::Masternode);
        }
        self
    }

    pub(crate) fn add_holder(
        &mut self,
        columns: ColumnSet,
        manner: Manner,
        latency_ms: u64,
        bytes_per_s: u64,
        kind: SourceKind,
    ) -> usize {
        self.holders.push(Holder {
            provider: Provider::new(ProviderConfig::default()).unwrap(),
            manner,
            columns,
            latency_ms,
            bytes_per_s,
            alive: true,
            hangs_us: 0..0,
            kind,
            segments: SegmentRanges::default(),
            timer: None,
            link: LinkId(0),
            busy_until_us: 0,
            replay: None,
        });
        self.holders.len() - 1
    }

    /// A viewer that holds `segments`, with all their columns.
    pub(crate) fn add_viewer(
        &mut self,
        segments: &[std::ops::Range<u64>],
        manner: Manner,
        latency_ms: u64,
        bytes_per_s: u64,
    ) -> usize {
        let columns = ColumnSet::new();
        let kind = SourceKind::Viewer;
        let viewer = self.add_holder(columns, manner, latency_ms, bytes_per_s, kind);
        self.holders[viewer].segments = SegmentRanges::covering(segments.iter().cloned());
        viewer
    }

    /// A viewer has more, or less, from now on.
    pub(crate) fn announce(&mut self, viewer: usize, segments: &[std::ops::Range<u64>]) {
        let segments = SegmentRanges::covering(segments.iter().cloned());
        self.holders[viewer].segments = segments.clone();
        let content = self.film.content.id();
        self.hold(viewer, provider::Input::Available { content, segments });
    }

    pub(crate) fn connect_at(&mut self, at_ms: u64, holder: usize) {
        self.at(at_ms * 1_000, Happening::Connect(holder));
    }

    /// Useful payload of all sources of a kind, in bytes.
    pub(crate) fn received_of(&self, kind: SourceKind) -> u64 {
        let of_kind = self.holders.iter().filter(|holder| holder.kind == kind);
        of_kind.filter_map(|holder| self.received.get(&holder.link)).sum()
    }

    pub(crate) fn connect_all(&mut self) {
        (0..self.holders.len()).for_each(|holder| self.connect(holder));
    }

    pub(crate) fn connect(&mut self, holder: usize) {
        self.next_link += 1;
        let link = LinkId(self.next_link);
        let state = &mut self.holders[holder];
        state.link = link;
        let (columns, kind) = (state.columns, state.kind);
        let segments = state.segments.clone();
        self.hold(holder, provider::Input::LinkUp { link, peer: peer(1_000) });
        if kind == SourceKind::Viewer {
            let content = self.film.content.id();
            self.hold(holder, provider::Input::Available { content, segments });
        }
        let peer = peer(u64::try_from(holder).unwrap());
        self.view(fetcher::Input::LinkUp { link, peer, columns, kind });
    }

    /// Give the viewer an input.
    pub(crate) fn view(&mut self, input: fetcher::Input) {
        self.fetcher.handle(Instant(self.now_us / 1_000), input).unwrap();
        self.drain_viewer();
    }

    /// Want everything at once, without deadlines.
    pub(crate) fn download(&mut self) {
        let segments = 0..self.film.segments();
        self.view(fetcher::Input::Want { segments, first_deadline: None, segment_duration_ms: 0 });
    }

    /// Play from `first` at one segment each `segment_ms`, beginning in `startup_ms`, wanting
    /// `ahead` segments.
    pub(crate) fn play(&mut self, first: u64, startup_ms: u64, segment_ms: u64, ahead: u64) {
        let start_ms = self.now_ms() + startup_ms;
        self.playing = Some(Playing { start_ms, segment_ms, ahead, next: first });
        self.want_ahead();
        self.after_ms(startup_ms, Happening::Played);
    }

    pub(crate) fn now_ms(&self) -> u64 {
        self.now_us / 1_000
    }

    /// The holder's process dies. `noticed`: its links go down; else they fall silent.
    pub(crate) fn kill_at(&mut self, at_ms: u64, holder: usize, noticed: bool) {
        self.at(at_ms * 1_000, Happening::Kill(holder, noticed));
    }

    pub(crate) fn revive_at(&mut self, at_ms: u64, holder: usize) {
        self.at(at_ms * 1_000, Happening::Revive(holder));
    }

    /// The holder's process hangs for so long, in milliseconds, and goes on where it was.
    pub(crate) fn hang(&mut self, ms: Range<u64>, holder: usize) {
        self.holders[holder].hangs_us = ms.start * 1_000..ms.end * 1_000;
    }

    /// Let everything happen that happens before `until_ms`.
    pub(crate) fn run(&mut self, until_ms: u64) {
        while self.step(until_ms) {}
        self.now_us = self.now_us.max(until_ms * 1_000);
    }

    /// Run until every segment was delivered; the time at which the last was, in milliseconds.
    pub(crate) fn run_to_the_end(&mut self, until_ms: u64) -> u64 {
        let wanted = usize::try_from(self.film.segments()).unwrap();
        while self.deliveries.len() < wanted && self.step(until_ms) {}
        assert_eq!(self.deliveries.len(), wanted, "at {} ms", self.now_ms());
        self.deliveries.values().map(|delivery| delivery.at_ms).max().unwrap()
    }

    fn step(&mut self, until_ms: u64) -> bool {
        let Some((&(at_us, _), _)) = self.queue.first_key_value() else { return false };
        if at_us > until_ms * 1_000 {
            return false;
        }
        let Some((_, happening)) = self.queue.pop_first() else { return false };
        self.now_us = self.now_us.max(at_us);
        self.happen(happening);
        true
    }

    /// Faults named so far: who, and what.
    pub(crate) fn faults(&self) -> Vec<(pop_wire::PeerId, Fault)> {
        let fault = |(_, event): &(u64, fetcher::Event)| match event {
            fetcher::Event::PeerFault { peer, fault, .. } => Some((*peer, fault.clone())),
            _ => None,
        };
        self.events.iter().filter_map(fault).collect()
    }

    /// Every delivered shard is the film's.
    pub(crate) fn assert_deliveries_are_right(&self) {
        let k = usize::from(self.film.content.layout().geometry().k());
        for (index, delivery) in &self.deliveries {
            assert_eq!(delivery.shards.len(), k);
            for shard in &delivery.shards {
                let segment = pop_wire::SegmentIndex(*index);
                let right = self.film.shard(segment, shard.column()).unwrap();
                assert_eq!(&right.payload, shard.payload());
            }
        }
    }

    fn below(&mut self, end: u64) -> u64 {
        self.rng.next_u64() % end
    }

    fn at(&mut self, at_us: u64, happening: Happening) {
        self.sequence += 1;
        self.queue.insert((at_us, self.sequence), happening);
    }

    fn after_ms(&mut self, ms: u64, happening: Happening) {
        self.at(self.now_us + ms * 1_000, happening);
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::ToHolder(holder, link, message)
                if self.holders[holder].hangs_us.contains(&self.now_us) =>
            {
                let end_us = self.holders[holder].hangs_us.end;
                self.at(end_us, Happening::ToHolder(holder, link, message));
            }
            Happening::ToHolder(holder, link, message) => {
                if self.holders[holder].alive && self.holders[holder].manner != Manner::Silent {
                    self.hold(holder, provider::Input::Message { link, message });
                }
            }
            Happening::ToViewer(link, message) => {
                if !self.closed.contains(&link) {
                    let bytes = message.payload_bytes();
                    let note = format!("{} {link} {bytes} {message:?}", self.now_us);
                    self.trace.note(&note);
                    self.view(fetcher::Input::Message { link, message });
                }
            }
            Happening::Flushed(holder, link) => {
                if self.holders[holder].alive {
                    self.hold(holder, provider::Input::Flushed { link, messages: 1 });
                }
            }
            Happening::Stored(holder, token, result) => {
                if self.holders[holder].alive {
                    self.hold(holder, provider::Input::Store { token, result });
                }
            }
            Happening::Kill(holder, noticed) => {
                self.holders[holder].alive = false;
                if noticed {
                    let link = self.holders[holder].link;
                    self.view(fetcher::Input::LinkDown { link });
                }
            }
            Happening::Revive(holder) => {
                let state = &mut self.holders[holder];
                state.alive = true;
                state.provider = Provider::new(ProviderConfig::default()).unwrap();
                let link = state.link;
                self.view(fetcher::Input::LinkDown { link });
                self.connect(holder);
            }
            Happening::Connect(holder) => self.connect(holder),
            Happening::HolderTick(holder) => {
                self.holders[holder].timer = None;
                if self.holders[holder].alive {
                    self.hold(holder, provider::Input::Tick);
                }
            }
            Happening::Played => {
                if let Some(playing) = self.playing.as_mut() {
                    playing.next += 1;
                    let (next, segment_ms) = (playing.next, playing.segment_ms);
                    if next < self.film.segments() {
                        self.want_ahead();
                        self.after_ms(segment_ms, Happening::Played);
                    }
                }
            }
            Happening::ViewerTick => {
                self.viewer_timer = None;
                self.view(fetcher::Input::Tick);
            }
            Happening::Released(segment) => {
                let segment = pop_wire::SegmentIndex(segment);
                self.view(fetcher::Input::Release { segment });
            }
        }
    }

    fn want_ahead(&mut self) {
        let Some(playing) = self.playing else { return };
        let end = self.film.segments().min(playing.next + playing.ahead);
        let first_deadline = Some(Instant(playing.start_ms.max(self.now_ms())));
        let segment_duration_ms = playing.segment_ms;
        let segments = playing.next..end;
        self.view(fetcher::Input::Want { segments, first_deadline, segment_duration_ms });
    }

    fn hold(&mut self, holder: usize, input: provider::Input) {
        let now = Instant(self.now_us / 1_000);
        self.holders[holder].provider.handle(now, input).unwrap();
        self.drain_holder(holder);
    }

    fn drain_viewer(&mut self) {
        while let Some(output) = self.fetcher.poll() {
            match output {
                fetcher::Output::Send { link, message } => {
                    self.trace.note(&format!("{} viewer {link} {message:?}", self.now_us));
                    if let Message::GetShard(get) = &message {
                        self.asked.push((self.now_ms(), link, get.segment.0));
                    }
                    let Some(holder) = self.holders.iter().position(|h| h.link == link) else {
                        continue;
                    };
                    let ms = self.holders[holder].latency_ms;
                    self.after_ms(ms, Happening::ToHolder(holder, link, message));
                }
                fetcher::Output::Close { link } => {
                    self.closed.insert(link);
                }
                fetcher::Output::Segment { segment, shards } => {
                    self.trace.note(&format!("{} segment {segment}", self.now_us));
                    let delivery = Delivery { at_ms: self.now_ms(), shards };
                    let earlier = self.deliveries.insert(segment.0, delivery);
                    assert!(earlier.is_none(), "{segment} came out twice");
                    self.after_ms(self.decode_ms, Happening::Released(segment.0));
                }
                fetcher::Output::Event(event) => {
                    self.trace.note(&format!("{} {event:?}", self.now_us));
                    self.events.push((self.now_ms(), event));
                }
                _ => unreachable!("no other output"),
            }
            self.charged_max = self.charged_max.max(self.fetcher.charged_bytes());
        }
        for source in self.fetcher.sources() {
            self.received.insert(source.link, source.received_bytes);
        }
        if self.viewer_timer.is_none()
            && let Some(at) = self.fetcher.next_timeout()
        {
            let at_us = (at.0 * 1_000).max(self.now_us);
            self.viewer_timer = Some(at_us);
            self.at(at_us, Happening::ViewerTick);
        }
    }

    fn drain_holder(&mut self, holder: usize) {
        while let Some(output) = self.holders[holder].provider.poll() {
            match output {
                provider::Output::Send { link, message } => self.transmit(holder, link, message),
                provider::Output::Store { token, operation } => {
                    if let Some(result) = self.store(holder, &operation) {
                        let ms = self.below(4);
                        self.after_ms(ms, Happening::Stored(holder, token, result));
                    }
                }
                provider::Output::Close { link } => self.trace.note(&format!("{link} closed")),
                provider::Output::Event(event) => {
                    self.trace.note(&format!("{} holder {holder} {event:?}", self.now_us));
                }
                _ => unreachable!("no other output"),
            }
        }
        let state = &self.holders[holder];
        let soon = Instant(self.now_ms() + 1_001);
        if let Some(at) = state.provider.next_timeout()
            && state.kind == SourceKind::Viewer
            && at < soon
            && state.timer.is_none_or(|armed| at < armed)
        {
            self.holders[holder].timer = Some(at);
            self.at(at.0.max(self.now_ms() + 1) * 1_000, Happening::HolderTick(holder));
        }
    }

    /// Put a message on the wire; in order, at the link's throughput, with jitter.
    fn transmit(&mut self, holder: usize, link: LinkId, message: Message) {
        let jitter_us = self.below(3_000);
        for message in self.distort(holder, message) {
            let bytes = u64::try_from(message.payload_bytes()).unwrap() + 64;
            let state = &mut self.holders[holder];
            let start_us = state.busy_until_us.max(self.now_us);
            let sent_us = start_us + bytes * 1_000_000 / state.bytes_per_s;
            state.busy_until_us = sent_us;
            // In order on one link, whatever the jitter.
            let here_us = sent_us + state.latency_ms * 1_000 + jitter_us;
            self.at(here_us, Happening::ToViewer(link, message));
        }
        let sent_us = self.holders[holder].busy_until_us;
        self.at(sent_us, Happening::Flushed(holder, link));
    }

    /// What a holder of its manner makes of an honest message.
    fn distort(&mut self, holder: usize, message: Message) -> VecDeque<Message> {
        let flip = |bytes: &Bytes| {
            let mut copy = bytes.to_vec();
            copy[0] ^= 1;
            Bytes::from(copy)
        };
        let state = &mut self.holders[holder];
        match (state.manner, message) {
            (Manner::FlipsBits, Message::Shard(shard)) => {
                let payload = flip(&shard.payload);
                [Message::Shard(Shard { payload, ..shard })].into()
            }
            (Manner::WrongProof, Message::Shard(mut shard)) => {
                shard.segment_path[0].0[5] ^= 1;
                [Message::Shard(shard)].into()
            }
            (Manner::Replays, Message::Shard(shard)) => {
                let first = state.replay.get_or_insert_with(|| shard.clone()).clone();
                [Message::Shard(Shard { id: shard.id, ..first })].into()
            }
            (Manner::AnswersTwice, Message::Shard(shard)) => {
                [Message::Shard(shard.clone()), Message::Shard(shard)].into()
            }
            (Manner::InventsAnswers, Message::Shard(shard)) => {
                let id = RequestId(shard.id.0 + 1_000_000);
                [Message::Shard(Shard { id, ..shard })].into()
            }
            (Manner::Absurd, Message::Shard(_)) => {
                [Message::GetPeers(GetPeers { id: RequestId(1) })].into()
            }
            (_, message) => [message].into(),
        }
    }

    fn store(&mut self, holder: usize, operation: &StoreOperation) -> Option<StoreResult> {
        let state = &self.holders[holder];
        let viewer = state.kind == SourceKind::Viewer;
        let refused =
            |reason, retry_after_ms| Some(StoreResult::Refused { reason, retry_after_ms });
        match operation {
            StoreOperation::ReadShard { segment, column, .. } => match state.manner {
                Manner::Busy => refused(RefusalReason::Busy, 700),
                Manner::Empty => refused(RefusalReason::NotFound, 0),
                Manner::WrongColumn => {
                    let n = self.film.content.layout().geometry().n();
                    let other = crate::film::column((column.get() + 1) % n);
                    Some(StoreResult::Shard(self.film.shard(*segment, other)?.clone()))
                }
                _ if viewer && !state.segments.contains(*segment) => {
                    refused(RefusalReason::NotFound, 0)
                }
                _ if !viewer && !state.columns.contains(*column) => {
                    refused(RefusalReason::NotFound, 0)
                }
                _ => Some(StoreResult::Shard(self.film.shard(*segment, *column)?.clone())),
            },
            _ => refused(RefusalReason::NotFound, 0),
        }
    }
}
