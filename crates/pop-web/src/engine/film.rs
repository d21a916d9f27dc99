//! One open content: found, fetched, decoded, and read.

mod plain;
mod reads;
mod report;
mod sources;
mod window;

use std::collections::BTreeSet;
use std::ops::Range;

use pop_erasure::{Content, ContentKey, ContentLink, DecodeError, Decoder, VerifiedShard};
use pop_exchange::asker::{Answer, Failure};
use pop_exchange::fetcher::{self, Fetcher, FetcherConfig};
use pop_wire::{
    ColumnSet, ContentId, Instant, Manifest, Message, PeerId, ProviderRecord, SegmentIndex, Signed,
    Verified,
};

use self::plain::Plain;
use self::reads::Reads;
use self::sources::Sources;
use self::window::Pace;
use super::directory::Directory;
use super::hub::Hub;
use super::limits::{
    FAR_WINDOW_MS, LOOK_AGAIN_MS, LOOK_MS, OPEN_TIMEOUT_MS, SOURCES_GONE_MS, URGENT_WINDOW_MS,
};
use super::{CacheKey, EngineError, Event, FilmId, FilmInfo, LinkId, Output, ReadId};

/// What became of a film after something happened to it.
pub(super) type Outcome = Result<(), EngineError>;

pub(super) struct Film {
    id: FilmId,
    content: ContentId,
    key: ContentKey,
    opened_at: Instant,
    /// Links on which the manifest was asked for, and how many of them said no.
    asked: BTreeSet<LinkId>,
    refusals: usize,
    sources: Sources,
    reads: Reads,
    pace: Pace,
    /// When to ask for holders.
    look_at: Instant,
    playing: Option<Box<Playing>>,
}

/// What there is once the manifest is here.
struct Playing {
    content: Content,
    decoder: Decoder,
    fetcher: Fetcher,
    plain: Plain,
    /// What the fetching machine was told: segments, first deadline, playing time of each.
    told: (Range<u64>, Option<Instant>, u64),
    /// Since when too few sources are within reach; whether it was said that they are gone.
    starving: Option<(Instant, bool)>,
    /// Columns within reach, and needed, when that was last reported.
    reachable: (usize, usize),
    late: BTreeSet<u64>,
    late_segments: u64,
    /// Here, and not opened yet.
    segments: Vec<(SegmentIndex, Vec<VerifiedShard>, Origin)>,
    /// Since when it can be read.
    since: Instant,
    /// When to fetch on as if there were no other viewers.
    alone_until: Option<Instant>,
    /// Asked of the cache.
    awaited: BTreeSet<u64>,
    from_cache_bytes: u64,
}

/// Where a segment's shards came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    Network,
    Cache,
}

impl Film {
    pub(super) fn open(id: FilmId, link: &str, now: Instant) -> Result<Self, EngineError> {
        let link: ContentLink = link.parse().map_err(|_| EngineError::BadLink)?;
        let key = link.key.ok_or(EngineError::KeyMissing)?;
        Ok(Self {
            id,
            content: link.content,
            key,
            opened_at: now,
            asked: BTreeSet::new(),
            refusals: 0,
            sources: Sources::new(id, link.content),
            reads: Reads::default(),
            pace: Pace::default(),
            look_at: now,
            playing: None,
        })
    }

    pub(super) fn id(&self) -> FilmId {
        self.id
    }

    pub(super) fn key(&self) -> &ContentKey {
        &self.key
    }

    pub(super) fn content(&self) -> ContentId {
        self.content
    }

    /// A masternode can be asked: whether for the manifest.
    pub(super) fn asks(&mut self, link: LinkId) -> bool {
        self.playing.is_none() && self.asked.insert(link)
    }

    /// The end of a question for the manifest.
    pub(super) fn answered(
        &mut self,
        hub: &mut Hub,
        link: LinkId,
        result: Result<Answer, Failure>,
    ) -> Outcome {
        match result {
            Ok(Answer::Manifest(manifest)) if self.playing.is_none() => self.begin(hub, *manifest),
            Err(Failure::Refused { .. }) => {
                self.refusals += 1;
                Ok(())
            }
            // Ask there again when it is back.
            Err(_) => {
                self.asked.remove(&link);
                Ok(())
            }
            Ok(_) => Ok(()),
        }
    }

    /// Whether everybody who was asked said no, so that others must be asked.
    pub(super) fn is_unknown(&self) -> bool {
        self.playing.is_none() && self.refusals > 0 && self.refusals >= self.asked.len()
    }

    /// Whether to ask for holders now.
    pub(super) fn looks(&mut self, now: Instant) -> bool {
        if now < self.look_at {
            return false;
        }
        let starving = self.playing.as_ref().is_none_or(|it| it.starving.is_some());
        self.look_at = now.after_ms(if starving { LOOK_AGAIN_MS } else { LOOK_MS });
        true
    }

    fn begin(&mut self, hub: &mut Hub, manifest: Verified<Manifest>) -> Outcome {
        let content = Content::new(manifest).map_err(|_| EngineError::BadManifest)?;
        let decoder = Decoder::new(content.clone(), self.key.clone());
        let decoder = decoder.map_err(|_| EngineError::WrongKey)?;
        let layout = *content.layout();
        let mut config = FetcherConfig::default();
        config.introduction = Hub::introduction();
        config.window_bytes_max = hub.config.window_bytes.max(4 * (layout.segment_bytes() + 16));
        config.accounts = true;
        config.urgent_window_ms = URGENT_WINDOW_MS;
        config.far_window_ms = FAR_WINDOW_MS;
        let fetcher = Fetcher::new(content.clone(), config, hub.random());
        let fetcher = fetcher.map_err(|_| EngineError::BadManifest)?;
        let manifest = content.manifest();
        let info = FilmInfo {
            content: content.id(),
            publisher: manifest.publisher,
            length_bytes: manifest.length_bytes,
            media_type: manifest.media_type.clone(),
            duration_ms: manifest.duration_ms,
            segment_bytes: layout.segment_bytes(),
            geometry: (layout.geometry().k(), layout.geometry().n()),
        };
        self.pace.set_duration(&content);
        let length_bytes = info.length_bytes;
        hub.outbox.push(Output::Opened { film: self.id, info });
        self.playing = Some(Box::new(Playing {
            content,
            decoder,
            fetcher,
            plain: Plain::default(),
            told: (0..0, None, 0),
            starving: None,
            reachable: (0, 0),
            late: BTreeSet::new(),
            late_segments: 0,
            segments: Vec::new(),
            awaited: BTreeSet::new(),
            since: hub.now,
            alone_until: None,
            from_cache_bytes: 0,
        }));
        for read in self.reads.clip(length_bytes) {
            self.reads.remove(read);
            let error = EngineError::OutOfRange { length_bytes, end: length_bytes };
            hub.outbox.push(Output::ReadFailed { read, error });
        }
        // Their transports came up while the manifest was on its way.
        self.sources.links().into_iter().for_each(|link| hub.shake(link));
        Ok(())
    }

    /// The transport of a source's link is up.
    pub(super) fn link_up(&self, hub: &mut Hub, link: LinkId) {
        if self.playing.is_some() {
            hub.shake(link);
        }
    }

    /// A holder proved who it is.
    pub(super) fn proven(&mut self, hub: &mut Hub, link: LinkId, peer: PeerId) {
        match self.sources.proven(link, peer) {
            Some(columns) if !hub.is_liar(&peer) => {
                self.source(hub, link, peer, columns, fetcher::SourceKind::Masternode);
            }
            _ => {
                self.sources.forget(&peer);
                hub.close(link);
            }
        }
    }

    /// Another viewer of this film can be asked over this link.
    pub(super) fn viewer_up(&mut self, hub: &mut Hub, link: LinkId, peer: PeerId) {
        let Some(playing) = &self.playing else { return hub.close(link) };
        let columns = ColumnSet::all(playing.content.layout().geometry().n());
        self.sources.viewer_up(link, peer);
        self.source(hub, link, peer, columns, fetcher::SourceKind::Viewer);
    }

    fn source(
        &mut self,
        hub: &mut Hub,
        link: LinkId,
        peer: PeerId,
        columns: ColumnSet,
        kind: fetcher::SourceKind,
    ) {
        self.tell(hub, fetcher::Input::LinkUp { link, peer, columns, kind });
    }

    pub(super) fn message(&mut self, hub: &Hub, link: LinkId, message: Message) {
        self.tell(hub, fetcher::Input::Message { link, message });
    }

    /// A link is gone, and whoever carried it knows.
    pub(super) fn link_down(&mut self, hub: &mut Hub, link: LinkId) {
        let report = self
            .playing
            .as_ref()
            .and_then(|playing| playing.fetcher.sources().find(|report| report.link == link));
        let received = report.map_or(0, |report| report.received_bytes);
        self.sources.down(hub, link, received);
        self.tell(hub, fetcher::Input::LinkDown { link });
    }

    fn tell(&mut self, hub: &Hub, input: fetcher::Input) {
        if let Some(playing) = &mut self.playing {
            // Links and segments are ours: nothing is refused.
            let _refused = playing.fetcher.handle(hub.now, input);
        }
    }

    pub(super) fn read(&mut self, hub: &mut Hub, read: ReadId, mut range: Range<u64>) {
        if let Some(playing) = &self.playing {
            let length_bytes = playing.content.layout().length_bytes();
            if range.end == u64::MAX {
                range.end = length_bytes;
            }
            if range.start > range.end || range.end > length_bytes {
                let end = range.end.max(range.start);
                let error = EngineError::OutOfRange { length_bytes, end };
                return hub.outbox.push(Output::ReadFailed { read, error });
            }
        }
        self.reads.insert(read, range, hub.now);
    }

    pub(super) fn pull(&mut self, read: ReadId, bytes: u64) {
        self.reads.pull(read, bytes);
    }

    pub(super) fn stop(&mut self, read: ReadId) {
        self.reads.remove(read);
    }

    pub(super) fn has_read(&self, read: ReadId) -> bool {
        self.reads.contains(read)
    }

    pub(super) fn reads(&self) -> usize {
        self.reads.len()
    }

    /// Take in who holds what.
    pub(super) fn learn(
        &mut self,
        hub: &mut Hub,
        directory: &Directory,
        records: Vec<Signed<ProviderRecord>>,
    ) {
        for link in self.sources.learn(hub, directory, records) {
            hub.close(link);
            self.link_down(hub, link);
        }
    }

    pub(super) fn play(&mut self, position_bytes: u64, bytes_per_s: u64) {
        self.pace.play(position_bytes, bytes_per_s);
    }

    pub(super) fn retry_now(&mut self, now: Instant) {
        self.sources.retry_now(now);
        self.look_at = now;
    }

    /// Do what time asks for.
    pub(super) fn tick(&mut self, hub: &mut Hub, is_hopeful: bool) -> Outcome {
        self.sources.connect(hub);
        let Some(playing) = &mut self.playing else {
            let waited = hub.now.since_ms(self.opened_at);
            // Unknown is said early if everybody said so and nobody else is left.
            let over = waited >= OPEN_TIMEOUT_MS || (self.is_unknown() && !is_hopeful);
            return match over && self.refusals > 0 {
                true => Err(EngineError::UnknownContent { asked: self.refusals }),
                false => Ok(()),
            };
        };
        if playing.fetcher.next_timeout().is_some_and(|at| hub.now >= at) {
            let _refused = playing.fetcher.handle(hub.now, fetcher::Input::Tick);
        }
        if let Some((since, said @ false)) = &mut playing.starving
            && hub.now.since_ms(*since) >= SOURCES_GONE_MS
        {
            *said = true;
            let (reachable, needed) = playing.reachable;
            let error = EngineError::SourcesGone { reachable, needed };
            hub.event(Event::Problem { error });
        }
        Ok(())
    }

    pub(super) fn next_timeout(&self) -> Option<Instant> {
        let own = match &self.playing {
            None => Some(self.opened_at.after_ms(OPEN_TIMEOUT_MS)),
            Some(playing) => {
                playing.fetcher.next_timeout().into_iter().chain(playing.alone_until).min()
            }
        };
        own.into_iter().chain(self.sources.next_timeout()).chain([self.look_at]).min()
    }

    /// Carry out what the machine asks for, until it asks for nothing more.
    pub(super) fn settle(&mut self, hub: &mut Hub, is_alone: bool) -> Outcome {
        self.aim(hub, is_alone);
        loop {
            let Some(playing) = &mut self.playing else { return Ok(()) };
            if let Some(output) = playing.fetcher.poll() {
                self.carry_out(hub, output);
                continue;
            }
            if playing.segments.is_empty() {
                break;
            }
            self.decode(hub)?;
            self.aim(hub, is_alone);
        }
        self.deliver(hub);
        Ok(())
    }

    fn carry_out(&mut self, hub: &mut Hub, output: fetcher::Output) {
        match output {
            fetcher::Output::Send { link, message } => hub.send(link, &message),
            fetcher::Output::Close { link } => {
                hub.close(link);
                self.link_down(hub, link);
            }
            fetcher::Output::Segment { segment, shards } => {
                if let Some(playing) = &mut self.playing {
                    playing.segments.push((segment, shards, Origin::Network));
                }
            }
            fetcher::Output::Event(event) => self.on_event(hub, event),
            _ => {}
        }
    }

    fn on_event(&mut self, hub: &mut Hub, event: fetcher::Event) {
        let film = self.id;
        match event {
            fetcher::Event::Greeted { link, peer, .. } => self.sources.greeted(hub, peer, link),
            fetcher::Event::PeerFault { peer, fault, .. } => {
                let kind = self.sources.kind_of(&peer);
                // Nobody is a liar for being late.
                if !matches!(fault, pop_exchange::Fault::HelloLate { .. }) {
                    hub.accuse(peer, kind, fault.to_string());
                    self.sources.forget(&peer);
                }
            }
            fetcher::Event::SourceRefused { peer, .. } => self.sources.forget(&peer),
            fetcher::Event::SourceResting { peer, silent_ms } => {
                hub.event(Event::SourceResting { film, peer, silent_ms });
            }
            fetcher::Event::Starving { reachable, needed, .. } => {
                let Some(playing) = &mut self.playing else { return };
                playing.starving.get_or_insert((hub.now, false));
                playing.reachable = (reachable, needed);
                self.look_at = hub.now;
                hub.event(Event::Starving { film, reachable, needed });
            }
            fetcher::Event::Recovered => {
                if let Some(playing) = &mut self.playing {
                    playing.starving = None;
                }
                hub.event(Event::Recovered { film });
            }
            fetcher::Event::Overdue { segment, .. } => {
                let Some(playing) = &mut self.playing else { return };
                if playing.late.insert(segment.0) {
                    playing.late_segments += 1;
                    hub.event(Event::Late { film, segment: segment.0 });
                }
            }
            _ => {}
        }
    }

    /// The cache has a segment in memory now, or lost it.
    pub(super) fn cached(&mut self, hub: &mut Hub, segment: u64) {
        let key = CacheKey { content: self.content, segment };
        let Some(playing) = &mut self.playing else { return };
        if playing.awaited.remove(&segment)
            && !playing.plain.has(segment)
            && let Some(shards) = hub.cache.shards(key)
        {
            playing.segments.push((SegmentIndex(segment), shards, Origin::Cache));
        }
    }

    /// What the machine of this film knows the content by.
    pub(super) fn opened(&self) -> Option<&Content> {
        self.playing.as_ref().map(|playing| &playing.content)
    }

    /// Open the segments that came, and give their memory back.
    fn decode(&mut self, hub: &mut Hub) -> Outcome {
        let Some(playing) = &mut self.playing else { return Ok(()) };
        for (segment, shards, origin) in core::mem::take(&mut playing.segments) {
            let plain = playing.decoder.decode(segment, &shards).map_err(|error| match error {
                DecodeError::Equivocation(_) => {
                    EngineError::Equivocation { content: self.content, segment: segment.0 }
                }
                _ => EngineError::Undecryptable { segment: segment.0 },
            })?;
            playing.late.remove(&segment.0);
            playing.plain.insert(segment.0, plain);
            match origin {
                Origin::Network => {
                    let key = CacheKey { content: self.content, segment: segment.0 };
                    hub.keep(key, &shards);
                    let release = fetcher::Input::Release { segment };
                    let _refused = playing.fetcher.handle(hub.now, release);
                }
                Origin::Cache => {
                    let bytes: usize = shards.iter().map(|shard| shard.payload().len()).sum();
                    let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
                    playing.from_cache_bytes += bytes;
                }
            }
        }
        Ok(())
    }

    fn deliver(&mut self, hub: &mut Hub) {
        let Some(playing) = &mut self.playing else { return };
        let segment_bytes = playing.content.layout().segment_bytes().max(1);
        self.reads.deliver(segment_bytes, &mut playing.plain, &mut hub.outbox);
    }

    /// The film is over: its reads end, its links close.
    pub(super) fn close(&mut self, hub: &mut Hub, error: &EngineError) {
        for read in self.reads.drain() {
            hub.outbox.push(Output::ReadFailed { read, error: error.clone() });
        }
        self.sources.links().into_iter().for_each(|link| hub.close(link));
    }

    /// Links to viewers, in the order in which the statistics name them first.
    pub(super) fn viewer_links(&self) -> Vec<LinkId> {
        self.sources.viewer_links()
    }

    pub(super) fn holders(&self) -> Vec<PeerId> {
        self.sources.holders().collect()
    }
}
