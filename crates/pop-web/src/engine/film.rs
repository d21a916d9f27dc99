//! One open content: found, fetched, decoded, and read.

mod machine;
mod opening;
mod plain;
mod reads;
mod report;
mod sources;
mod supply;
mod window;

use std::ops::Range;

use pop_erasure::{Content, ContentKey, ContentLink, Decoder, VerifiedShard};
use pop_exchange::fetcher::{self, Fetcher};
use pop_wire::sorted::SortedSet;
use pop_wire::{ContentId, Instant, PeerId, ProviderRecord, SegmentIndex, Signed};

use self::plain::Plain;
use self::reads::Reads;
use self::sources::Sources;
use self::window::Pace;
use super::directory::Directory;
use super::hub::Hub;
use super::limits::{OPEN_TIMEOUT_MS, SOURCES_GONE_MS};
use super::{EngineError, Event, FilmId, LinkId, Output, ReadId};

/// What became of a film after something happened to it.
pub(super) type Outcome = Result<(), EngineError>;

pub(super) struct Film {
    id: FilmId,
    content: ContentId,
    key: ContentKey,
    opened_at: Instant,
    /// Links on which the manifest was asked for, and how many of them said no.
    asked: SortedSet<LinkId>,
    refusals: usize,
    sources: Sources,
    reads: Reads,
    pace: Pace,
    /// When to ask for holders.
    look_at: Instant,
    playing: Option<Box<Playing>>,
    /// It was closed, and is served on.
    is_kept: bool,
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
    late: SortedSet<u64>,
    late_segments: u64,
    /// Here, and not opened yet.
    segments: Vec<(SegmentIndex, Vec<VerifiedShard>, Origin)>,
    /// Since when it can be read.
    since: Instant,
    /// Viewers that said what they have.
    announced: SortedSet<LinkId>,
    /// Last time that everything was settled.
    settled_at: Instant,
    /// When to fetch on as if there were no other viewers.
    alone_until: Option<Instant>,
    /// Asked of the cache.
    awaited: SortedSet<u64>,
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
            asked: SortedSet::new(),
            refusals: 0,
            sources: Sources::new(id, link.content),
            reads: Reads::default(),
            pace: Pace::default(),
            look_at: now,
            playing: None,
            is_kept: false,
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
        if self.is_kept {
            return;
        }
        for link in self.sources.learn(hub, directory, records) {
            hub.close(link);
            self.link_down(hub, link);
        }
    }

    pub(super) fn play(&mut self, position_bytes: u64, bytes_per_s: u64, is_waiting: bool) {
        self.pace.play(position_bytes, bytes_per_s, is_waiting);
    }

    pub(super) fn retry_now(&mut self, now: Instant) {
        self.sources.retry_now(now);
        self.look_at = now;
    }

    /// Do what time asks for.
    pub(super) fn tick(&mut self, hub: &mut Hub, is_hopeful: bool) -> Outcome {
        let geometry = self.playing.as_ref().map(|playing| playing.content.layout().geometry());
        self.sources.connect(hub, geometry.map(|geometry| usize::from(geometry.k())));
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
                let (insists, alone) = (self.insists_at(), playing.alone_until);
                playing.fetcher.next_timeout().into_iter().chain(alone).chain(insists).min()
            }
        };
        let look_at = (!self.is_kept).then_some(self.look_at);
        own.into_iter().chain(self.sources.next_timeout()).chain(look_at).min()
    }

    /// What the machine of this film knows the content by.
    pub(super) fn opened(&self) -> Option<&Content> {
        self.playing.as_ref().map(|playing| &playing.content)
    }

    /// The film is over: its reads end.
    pub(super) fn end_reads(&mut self, hub: &mut Hub, error: &EngineError) {
        for read in self.reads.drain() {
            hub.outbox.push(Output::ReadFailed { read, error: error.clone() });
        }
    }

    /// The film is gone: its links close.
    pub(super) fn close(&mut self, hub: &mut Hub) {
        self.sources.links().into_iter().for_each(|link| hub.close(link));
    }

    pub(super) fn is_kept(&self) -> bool {
        self.is_kept
    }

    /// Nobody plays it any more, and what the cache has of it is served on: masternodes are let
    /// go, and nothing of it is in memory.
    pub(super) fn keep(&mut self, hub: &mut Hub) {
        self.is_kept = true;
        self.pace = Pace::default();
        for link in self.sources.let_masternodes_go() {
            hub.close(link);
            self.link_down(hub, link);
        }
        if let Some(playing) = &mut self.playing {
            playing.plain = Plain::default();
            playing.segments.clear();
            playing.awaited.clear();
        }
    }

    /// Links to viewers, in the order in which the statistics name them first.
    pub(super) fn viewer_links(&self) -> Vec<LinkId> {
        self.sources.viewer_links()
    }

    pub(super) fn holders(&self) -> Vec<PeerId> {
        self.sources.holders().collect()
    }
}
