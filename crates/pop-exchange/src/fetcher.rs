//! The fetching side: collects k verified shards of every wanted segment of one content, in the
//! order in which they are played.
//!
//! The shell opens a link to each source, gives messages in and sends what comes out. It says
//! what is wanted and by when, and moves that window as playback goes on or jumps. Each segment
//! comes out once, as soon as k of its shards are here; its memory counts against the window
//! until the shell releases it.
//!
//! Contract for the shell:
//!
//! - After every [`Fetcher::handle`], or after a batch of them, drain [`Fetcher::poll`] to
//!   `None`, then arm one timer for [`Fetcher::next_timeout`] and give [`Input::Tick`] when it
//!   fires.
//! - Give [`Input::Release`] for each [`Output::Segment`] once its shards are decoded and dropped.
//! - Close a link on [`Output::Close`]; what still comes in from it is ignored.

mod answer;
mod plan;
mod port;
mod reach;

use std::collections::VecDeque;
use std::ops::Range;

use pop_erasure::Content;
use pop_wire::sorted::{SortedMap, SortedSet};
use pop_wire::{ColumnIndex, ColumnSet, Instant, PeerId, RequestId, SegmentIndex};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::assembly::{Ranges, Segment};
use crate::config::check_introduction;
use crate::greeting::Greeting;
use crate::limits::{LIARS_MAX, NEAR_ANSWERS, NEAR_MS_MAX, SOURCES_MAX, TICK_MS};
use crate::payment;
use crate::schedule::ResponseTime;
use crate::source::Source;
use crate::{Error, Fault, LinkId};

pub use self::port::{Event, Input, Output, SourceReport, Totals};
pub use crate::config::{ExtraShards, FetcherConfig};
pub use crate::source::SourceKind;

/// A request on its way.
#[derive(Debug, Clone, Copy)]
struct Flight {
    link: LinkId,
    segment: u64,
    column: ColumnIndex,
    bytes: u64,
    asked_at: Instant,
    /// What has come since the start once this and all that was asked before has, in bytes.
    due_bytes: u64,
    late: bool,
    /// It was cancelled because its segment was not wanted any more.
    is_unwanted: bool,
}

/// Collects the segments of one content from any number of sources.
///
/// Memory: at most [`FetcherConfig::window_bytes_max`] of shards, held, delivered and not
/// released, and on their way together.
#[derive(Debug)]
pub struct Fetcher {
    content: Content,
    config: FetcherConfig,
    rng: ChaCha8Rng,
    now: Instant,
    next_tick: Instant,
    sources: SortedMap<LinkId, Source>,
    liars: VecDeque<PeerId>,
    flights: SortedMap<RequestId, Flight>,
    /// Cancelled and not answered yet.
    cancelled: SortedMap<RequestId, Flight>,
    next_id: u64,
    wanted: Range<u64>,
    first_deadline: Option<Instant>,
    segment_duration_ms: u64,
    /// Being collected.
    segments: SortedMap<u64, Segment>,
    /// Delivered and not released: bytes.
    lent: SortedMap<u64, u64>,
    /// Delivered, inside the window.
    done: Ranges,
    /// Every wanted segment below is being collected or done.
    fresh_from: u64,
    /// Held, lent and in flight, in bytes.
    charged_bytes: u64,
    response: ResponseTime,
    /// That of masternodes alone.
    masternodes: ResponseTime,
    /// Last delivery of any source.
    progress_at: Instant,
    /// The first delivery after a time in which everybody was silent.
    woken_at: Instant,
    /// Something changed that may allow another request.
    dirty: bool,
    /// Some request found no source with room.
    short_of_room: bool,
    /// When chance may pick a far segment.
    draw_at: Instant,
    /// It did.
    drawn: bool,
    starving_since: Option<Instant>,
    starving_reported: bool,
    totals: Totals,
    outputs: VecDeque<Output>,
}

impl Fetcher {
    /// A fetcher that wants nothing yet. `seed` decides between equal sources; give each fetcher
    /// another one, so that not everybody asks the same holders first.
    ///
    /// # Errors
    /// [`Error::Setting`] if the window doesn't hold two segments of this content.
    pub fn new(content: Content, config: FetcherConfig, seed: [u8; 32]) -> Result<Self, Error> {
        check_introduction(&config.introduction)?;
        let layout = content.layout();
        let segment_bytes = layout.segment_bytes() + 16;
        crate::config::at_least("window_bytes_max", 2 * segment_bytes, config.window_bytes_max)?;
        Ok(Self {
            content,
            config,
            rng: ChaCha8Rng::from_seed(seed),
            now: Instant::default(),
            next_tick: Instant::default(),
            sources: SortedMap::new(),
            liars: VecDeque::new(),
            flights: SortedMap::new(),
            cancelled: SortedMap::new(),
            next_id: 0,
            wanted: 0..0,
            first_deadline: None,
            segment_duration_ms: 0,
            segments: SortedMap::new(),
            lent: SortedMap::new(),
            done: Ranges::default(),
            fresh_from: 0,
            charged_bytes: 0,
            response: ResponseTime::default(),
            masternodes: ResponseTime::default(),
            progress_at: Instant::default(),
            woken_at: Instant::default(),
            dirty: false,
            short_of_room: false,
            draw_at: Instant::default(),
            drawn: false,
            starving_since: None,
            starving_reported: false,
            totals: Totals::default(),
            outputs: VecDeque::new(),
        })
    }

    /// Take one input. `now` never goes back; if it does, the latest time seen counts.
    ///
    /// # Errors
    /// [`Error`]: the shell broke its contract. The machine goes on unchanged.
    pub fn handle(&mut self, now: Instant, input: Input) -> Result<(), Error> {
        self.now = self.now.max(now);
        match input {
            Input::LinkUp { link, peer, columns, kind } => {
                self.link_up(link, peer, columns, kind)?;
            }
            Input::LinkDown { link } => self.forget(link),
            Input::Message { link, message } => {
                if let Err(fault) = self.receive(link, message) {
                    self.fault(link, fault);
                }
            }
            Input::Want { segments, first_deadline, segment_duration_ms } => {
                self.want(segments, first_deadline, segment_duration_ms)?;
            }
            Input::Release { segment } => {
                if let Some(bytes) = self.lent.remove(&segment.0) {
                    self.charged_bytes -= bytes;
                    self.look_again_at(segment.0);
                }
            }
            Input::Again { segment } => {
                self.done.remove(segment.0);
                self.look_again_at(segment.0);
            }
            Input::Payment { link, body } => {
                if let Some(source) = self.sources.get(&link) {
                    let message = payment::message(link, source.greeting.is_agreed(), body)?;
                    self.outputs.push_back(Output::Send { link, message });
                }
            }
            Input::Price { peer, price_rank } => {
                let of_peer = self.sources.values_mut().filter(|source| source.peer == peer);
                of_peer.for_each(|source| source.price_rank = price_rank);
            }
            Input::Tick => {}
        }
        if self.now >= self.next_tick {
            self.tick();
        }
        Ok(())
    }

    /// The next thing to do, or `None` until there is another input.
    ///
    /// Requests are planned here, once for all inputs since the last call.
    pub fn poll(&mut self) -> Option<Output> {
        if self.outputs.is_empty() && self.dirty {
            self.dirty = false;
            self.plan();
        }
        self.outputs.pop_front()
    }

    /// When to give [`Input::Tick`]; `None` if nothing is to be waited for.
    pub fn next_timeout(&self) -> Option<Instant> {
        let idle = self.sources.values().all(|source| source.greeting.is_agreed())
            && self.flights.is_empty()
            && self.head().is_none();
        (!idle).then_some(self.next_tick)
    }

    /// The content that is fetched.
    pub fn content(&self) -> &Content {
        &self.content
    }

    /// Shards held, lent to the shell and on their way, in bytes. Never over
    /// [`FetcherConfig::window_bytes_max`].
    pub fn charged_bytes(&self) -> u64 {
        self.charged_bytes
    }

    /// Playing time ahead of playback for which masternodes are asked while there are viewers, or
    /// hope of them, in milliseconds: [`FetcherConfig::far_window_ms`], and more where masternodes
    /// take long to answer, up to a minute.
    pub fn near_ms(&self) -> u64 {
        let slow_ms = self.masternodes.slow_ms().saturating_mul(NEAR_ANSWERS);
        self.config.far_window_ms.max(slow_ms.min(NEAR_MS_MAX))
    }

    /// Totals since the start.
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// Every source with a link.
    pub fn sources(&self) -> impl Iterator<Item = SourceReport> + '_ {
        self.sources.iter().map(|(link, source)| SourceReport {
            link: *link,
            peer: source.peer,
            kind: source.kind,
            bytes_per_s: source.measured_bytes_per_s(self.now),
            received_bytes: source.received_bytes,
            in_flight: source.in_flight,
            live: source.is_live(self.now),
        })
    }

    fn link_up(
        &mut self,
        link: LinkId,
        peer: PeerId,
        columns: ColumnSet,
        kind: SourceKind,
    ) -> Result<(), Error> {
        if self.sources.contains_key(&link) {
            return Err(Error::LinkInUse { link });
        }
        // spec/exchange.md §7: a liar is never asked again.
        if self.liars.contains(&peer) || self.sources.len() >= SOURCES_MAX {
            self.outputs.push_back(Output::Close { link });
            self.outputs.push_back(Output::Event(Event::SourceRefused { link, peer }));
            return Ok(());
        }
        let n = self.content.layout().geometry().n();
        let columns = match kind {
            SourceKind::Viewer => ColumnSet::all(n),
            _ => columns.iter().filter(|column| column.get() < n).collect(),
        };
        let tie = self.rng.next_u64();
        self.sources.insert(link, Source::new(peer, kind, &columns, tie, self.now));
        let message = Greeting::hello(&self.config.introduction);
        self.outputs.push_back(Output::Send { link, message });
        Ok(())
    }

    /// A source is gone; what was asked there is wanted from others.
    fn forget(&mut self, link: LinkId) {
        if self.sources.remove(&link).is_none() {
            return;
        }
        let of_link = |(id, flight): (&RequestId, &Flight)| (flight.link == link).then_some(*id);
        let lost: Vec<RequestId> = self.flights.iter().filter_map(of_link).collect();
        lost.into_iter().for_each(|id| {
            self.settle(id);
        });
        self.cancelled.retain(|_, flight| flight.link != link);
        self.dirty = true;
    }

    fn fault(&mut self, link: LinkId, fault: Fault) {
        let Some(peer) = self.sources.get(&link).map(|source| source.peer) else { return };
        // To be late is no lie.
        if !matches!(fault, Fault::HelloLate { .. }) {
            if self.liars.len() >= LIARS_MAX {
                self.liars.pop_front();
            }
            self.liars.push_back(peer);
        }
        let banned = self.liars.contains(&peer);
        let same = |(at, source): (&LinkId, &Source)| {
            (*at == link || (banned && source.peer == peer)).then_some(*at)
        };
        let links: SortedSet<LinkId> = self.sources.iter().filter_map(same).collect();
        for link in links {
            self.forget(link);
            self.outputs.push_back(Output::Close { link });
        }
        self.outputs.push_back(Output::Event(Event::PeerFault { link, peer, fault }));
    }

    fn want(
        &mut self,
        wanted: Range<u64>,
        first_deadline: Option<Instant>,
        segment_duration_ms: u64,
    ) -> Result<(), Error> {
        let count = self.content.layout().segment_count();
        if wanted.end > count {
            return Err(Error::NoSuchSegment { segment: SegmentIndex(wanted.end - 1), count });
        }
        self.done.clip(wanted.start, wanted.end);
        let outside: Vec<u64> =
            self.segments.keys().copied().filter(|index| !wanted.contains(index)).collect();
        outside.into_iter().for_each(|index| self.drop_segment(index));
        self.fresh_from = wanted.start;
        self.wanted = wanted;
        self.first_deadline = first_deadline;
        self.segment_duration_ms = segment_duration_ms;
        let deadlines: Vec<_> =
            self.segments.keys().map(|index| (*index, self.deadline_of(*index))).collect();
        for (index, deadline) in deadlines {
            if let Some(segment) = self.segments.get_mut(&index) {
                segment.overdue = false;
                segment.deadline = deadline;
            }
        }
        if self.next_tick < self.now {
            self.next_tick = self.now.after_ms(TICK_MS);
        }
        self.dirty = true;
        Ok(())
    }

    /// A segment may have become one to begin with.
    fn look_again_at(&mut self, index: u64) {
        if self.wanted.contains(&index) {
            self.fresh_from = self.fresh_from.min(index);
        }
        self.dirty = true;
    }

    fn deadline_of(&self, index: u64) -> Option<Instant> {
        let after = index.saturating_sub(self.wanted.start);
        let ms = after.saturating_mul(self.segment_duration_ms);
        self.first_deadline.map(|first| first.after_ms(ms))
    }

    /// The first segment that is wanted and not here.
    fn head(&self) -> Option<u64> {
        let collecting = self.segments.first_key_value().map(|(index, _)| *index);
        let fresh = self.next_fresh(self.fresh_from);
        match (collecting, fresh) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    /// The first wanted segment from `index` on that nothing was asked of yet.
    fn next_fresh(&self, mut index: u64) -> Option<u64> {
        while index < self.wanted.end {
            match self.done.end_of(index) {
                Some(end) => index = end,
                None if self.segments.contains_key(&index) => index += 1,
                None if self.lent.contains_key(&index) => index += 1,
                None => return Some(index),
            }
        }
        None
    }
}
