//! Which segments are wanted now, and by when.

use std::ops::Range;

use pop_erasure::Content;
use pop_exchange::fetcher;
use pop_wire::{Instant, SegmentIndex};

use super::reads::Read;
use super::{Film, Origin, Playing};
use crate::engine::CacheKey;
use crate::engine::cache::Cache;
use crate::engine::hub::Hub;
use crate::engine::limits::{AHEAD_MS, CACHE_AHEAD_SEGMENTS, HOPE_MS_MAX, PLAIN_SEGMENTS_MAX};

/// How soon a reader that waits needs its first segment, in milliseconds.
const FIRST_DEADLINE_MS: u64 = 500;

/// Pace assumed of media that doesn't tell its playing time, in bits a second.
const ASSUMED_BIT_S: u64 = 8_000_000;

/// A reader that waits for so long gets its bytes however far they are ahead of playback, in
/// milliseconds.
const INSIST_MS: u64 = 500;

/// Segments that it gets then at once.
const INSIST_SEGMENTS: u64 = 2;

/// Once playback was near running dry, so many times what is near is fetched for it before anybody
/// else's reads.
const SOON_TIMES: u64 = 4;

/// Deadlines that move by less are not told anew, in milliseconds.
const DEADLINE_GRAIN_MS: u64 = 1_000;

/// Where playback is and how fast it goes.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// First byte not played yet, and bytes a second, if the page said so.
    play: Option<(u64, u64)>,
    /// The player has nothing to show.
    is_waiting: bool,
    segment_ms: u64,
    /// Bytes a second on average over the whole film.
    average_bytes_per_s: u64,
}

impl Pace {
    /// Playing time of one segment: its share of the whole, or at the assumed pace.
    pub(super) fn set_duration(&mut self, content: &Content) {
        let manifest = content.manifest();
        let segment = u128::from(content.layout().segment_bytes());
        let (ms, bytes_per_s) = match (manifest.duration_ms, manifest.length_bytes) {
            (0, _) | (_, 0) => {
                (segment * 8 * 1000 / u128::from(ASSUMED_BIT_S), u128::from(ASSUMED_BIT_S / 8))
            }
            (duration, length) => {
                let (duration, length) = (u128::from(duration), u128::from(length));
                (duration * segment / length, length * 1000 / duration)
            }
        };
        self.segment_ms = u64::try_from(ms).unwrap_or(u64::MAX).max(1);
        self.average_bytes_per_s = u64::try_from(bytes_per_s).unwrap_or(u64::MAX).max(1);
    }

    pub(super) fn play(&mut self, position_bytes: u64, bytes_per_s: u64, is_waiting: bool) {
        self.play = Some((position_bytes, bytes_per_s));
        self.is_waiting = is_waiting;
    }

    /// There is a player, and it has something to show.
    fn is_calm(&self) -> bool {
        self.play.is_some() && !self.is_waiting
    }

    pub(super) fn position_bytes(&self) -> Option<u64> {
        self.play.map(|(position, _)| position)
    }

    pub(super) fn bytes_per_s(&self) -> u64 {
        match self.play {
            Some((_, pace @ 1..)) => pace,
            _ => self.average_bytes_per_s,
        }
    }

    fn is_running(&self) -> bool {
        matches!(self.play, Some((_, 1..)))
    }

    /// There is a player that has nothing to show.
    fn is_waiting(&self) -> bool {
        self.play.is_some() && self.is_waiting
    }
}

/// What somebody reads on from.
struct Lead {
    segments: Range<u64>,
    /// First byte of the read, since when, and whether it waits.
    from_byte: u64,
    started: Option<Instant>,
}

impl Film {
    /// Tell the fetching machine what is wanted now.
    ///
    /// `hope`: until when other viewers may turn up. Masternodes are asked for what is near alone
    /// until then, so that viewers have something to give.
    pub(super) fn aim(&mut self, hub: &mut Hub, hope: Option<Instant>) {
        let Some(playing) = &mut self.playing else { return };
        playing.settled_at = hub.now;
        let until = hope.map(|until| until.min(playing.since.after_ms(HOPE_MS_MAX)));
        // A viewer that has not said what it has is none to ask.
        let is_alone = playing.announced.is_empty();
        playing.alone_until = until.filter(|until| is_alone && hub.now < *until);
        let mut leads = self.leads(hub);
        let Some(playing) = &mut self.playing else { return };
        for lead in &mut leads {
            lead.segments.end = lead.segments.end.max(playing.begun_until(&hub.cache, lead));
        }
        for (at, lead) in leads.iter().enumerate() {
            let ahead = if at == 0 { CACHE_AHEAD_SEGMENTS } else { 1 };
            playing.load(hub, lead.segments.clone(), ahead);
        }
        let targets = leads.iter().filter_map(|lead| {
            let missing = playing.missing(&hub.cache, lead.segments.clone())?;
            Some((lead, missing))
        });
        let mut targets: Vec<_> = targets.collect();
        // What is about to be played comes before what somebody else waits for.
        let soon = targets.iter().position(|(_, missing)| playing.is_soon(&self.pace, missing));
        let target = (!targets.is_empty()).then(|| targets.swap_remove(soon.unwrap_or(0)));
        let (wanted, deadline) = match target {
            None => (0..0, None),
            Some((lead, missing)) => {
                let segment_bytes = playing.content.layout().segment_bytes();
                let at = missing.start.saturating_mul(segment_bytes);
                (missing, deadline(&self.pace, lead, at, segment_bytes, hub.now))
            }
        };
        let needed: Vec<_> = leads.into_iter().map(|lead| lead.segments).collect();
        playing.plain.trim(&needed, PLAIN_SEGMENTS_MAX);
        playing.want(hub.now, wanted, deadline, self.pace.segment_ms);
    }

    /// For how long a reader that waits is left waiting beyond the horizon, and how many segments
    /// it gets then. While there is hope of viewers, a player that has something to show takes no
    /// more than it plays, however far it would read ahead.
    fn patience(&self) -> (u64, u64) {
        let hopes = self.playing.as_ref().is_some_and(|playing| playing.alone_until.is_some());
        match hopes && self.pace.is_calm() {
            true => (self.pace.segment_ms.max(INSIST_MS), 1),
            false => (INSIST_MS, INSIST_SEGMENTS),
        }
    }

    /// When a reader that waits insists.
    pub(super) fn insists_at(&self) -> Option<Instant> {
        let settled_at = self.playing.as_ref()?.settled_at;
        self.reads.waited_at(self.patience().0).filter(|at| *at > settled_at)
    }

    /// Readers in the order in which they are to be served; each with what it reads ahead.
    fn leads(&self, hub: &Hub) -> Vec<Lead> {
        let Some(playing) = &self.playing else { return Vec::new() };
        let layout = playing.content.layout();
        let segment_bytes = layout.segment_bytes().max(1);
        let ahead = (hub.config.window_bytes / segment_bytes).max(2);
        let count = layout.segment_count();
        let is_settling = playing.alone_until.is_some();
        let ahead_ms = if is_settling { playing.fetcher.near_ms() } else { AHEAD_MS };
        let ahead_bytes = self.pace.average_bytes_per_s.saturating_mul(ahead_ms) / 1000;
        // From where the time ahead is counted: a player's own buffer counts.
        let horizon = |read: &Read| {
            let from = match self.pace.position_bytes() {
                Some(position) => position.max(read.range.start),
                None if is_settling => read.range.start,
                None => read.next,
            };
            (from.saturating_add(ahead_bytes) / segment_bytes).saturating_add(1)
        };
        let (insist_ms, insist_segments) = self.patience();
        let reads = self.reads.by_need(segment_bytes, |segment| playing.plain.has(segment));
        let of_reads = reads.iter().filter(|read| read.next < read.range.end).map(|read| {
            let first = read.next / segment_bytes;
            let end = (read.range.end - 1) / segment_bytes + 1;
            // What a reader insists on, it gets: time is only guessed from bytes.
            let insists = read.waits_since.is_some_and(|at| hub.now.since_ms(at) >= insist_ms);
            let insisted = first.saturating_add(insist_segments);
            let horizon = horizon(read).max(if insists { insisted } else { 0 });
            let end = end.min(first.saturating_add(ahead)).min(horizon).max(first);
            Lead { segments: first..end, from_byte: read.range.start, started: Some(read.started) }
        });
        let mut leads: Vec<Lead> = of_reads.collect();
        // Between two requests of a player, and while it reads in small ranges, playback leads.
        // A player whose first request is still on its way, through a service worker that is being
        // started, say, is about to want what it stands at.
        let is_beginning = self.pace.is_waiting() && self.reads.len() == 0;
        let leads_on = self.pace.is_running() || is_beginning;
        if let Some(position) = self.pace.position_bytes().filter(|_| leads_on) {
            let first = (position / segment_bytes).min(count);
            let ahead = if self.pace.is_running() { ahead } else { INSIST_SEGMENTS };
            let horizon = (position.saturating_add(ahead_bytes) / segment_bytes).saturating_add(1);
            let end = count.min(first.saturating_add(ahead)).min(horizon).max(first);
            let segments = first..end;
            leads.push(Lead { segments, from_byte: position, started: None });
        }
        leads
    }
}

impl Playing {
    /// The first segments in a row of `range` that are not here.
    fn missing(&self, cache: &Cache, range: Range<u64>) -> Option<Range<u64>> {
        let content = self.content.id();
        let is_here = |segment: &u64| {
            self.plain.has(*segment) || cache.has(&CacheKey { content, segment: *segment })
        };
        let first = range.clone().find(|segment| !is_here(segment))?;
        // What came inside of what is being fetched is known there: only what was here before ends
        // it, or everything behind would be dropped and asked for again.
        let is_news = |segment: &u64| is_here(segment) && !self.told.0.contains(segment);
        let end = (first..range.end).find(is_news);
        Some(first..end.unwrap_or(range.end))
    }

    /// Whether playback is about to need what is missing. What is being fetched is, for longer, so that
    /// two readers don't take turns at what both lose then.
    fn is_soon(&self, pace: &Pace, missing: &Range<u64>) -> bool {
        let Some((position, bytes_per_s @ 1..)) = pace.play else { return false };
        let near_ms = self.fetcher.near_ms();
        let is_begun = self.told.0.contains(&missing.start);
        let ms = if is_begun { near_ms.saturating_mul(SOON_TIMES) } else { near_ms };
        let at = missing.start.saturating_mul(self.content.layout().segment_bytes());
        let until = position.saturating_add(bytes_per_s.saturating_mul(ms) / 1000);
        // The segment that is played may have begun before.
        let from = position.saturating_sub(self.content.layout().segment_bytes());
        (from..until).contains(&at)
    }

    /// The end of what is being fetched for a reader. It stays wanted though the reader's horizon
    /// should come nearer, or shards that are here or on their way would be in vain.
    fn begun_until(&self, cache: &Cache, lead: &Lead) -> u64 {
        let told = &self.told.0;
        let next = self.missing(cache, lead.segments.start..told.end);
        next.filter(|next| told.contains(&next.start)).map_or(0, |_| told.end)
    }

    /// Have what a reader takes next brought into memory, where the cache has it.
    fn load(&mut self, hub: &mut Hub, range: Range<u64>, ahead: u64) {
        let content = self.content.id();
        let end = range.end.min(range.start.saturating_add(ahead));
        for segment in range.start..end {
            let key = CacheKey { content, segment };
            let is_waiting = self.awaited.contains(&segment)
                || self.segments.iter().any(|(waiting, ..)| waiting.0 == segment);
            if self.plain.has(segment) || is_waiting || !hub.cache.has(&key) {
                continue;
            }
            match hub.cache.shards(key) {
                Some(shards) => {
                    self.segments.push((SegmentIndex(segment), shards, Origin::Cache));
                }
                None if hub.load(key) => drop(self.awaited.insert(segment)),
                None => {}
            }
        }
    }

    fn want(&mut self, now: Instant, wanted: Range<u64>, deadline: Option<Instant>, ms: u64) {
        let moved = match (self.told.1, deadline) {
            (Some(told), Some(new)) => {
                let by = told.since_ms(new).max(new.since_ms(told));
                by >= DEADLINE_GRAIN_MS
            }
            (told, new) => told != new,
        };
        if self.told.0 == wanted && self.told.2 == ms && !moved {
            return;
        }
        self.told = (wanted.clone(), deadline, ms);
        let input = fetcher::Input::Want {
            segments: wanted,
            first_deadline: deadline,
            segment_duration_ms: ms,
        };
        // The segments are of this film.
        let _refused = self.fetcher.handle(now, input);
    }
}

/// When the byte at `at` is needed; `None` for as soon as it can be had, of whomever: no player
/// says where it is, so this is somebody's download.
fn deadline(
    pace: &Pace,
    lead: &Lead,
    at: u64,
    segment_bytes: u64,
    now: Instant,
) -> Option<Instant> {
    let deadline = match pace.play {
        Some((_, 1..)) if pace.is_waiting => now.after_ms(FIRST_DEADLINE_MS),
        Some((position, bytes_per_s @ 1..)) if (lead.from_byte..=at).contains(&position) => {
            let ms = (at - position).saturating_mul(1000) / bytes_per_s;
            now.after_ms(ms.max(FIRST_DEADLINE_MS))
        }
        _ => {
            // A reader that runs ahead of playback leaves more and more time; one that paused
            // needs its next segment as soon as at the start.
            let behind = at.saturating_sub(lead.from_byte) / segment_bytes.max(1);
            if pace.play.is_none() && behind > 0 {
                return None;
            }
            let started = lead.started.unwrap_or(now);
            let scheduled = started.after_ms(behind.saturating_mul(pace.segment_ms));
            scheduled.max(now).after_ms(FIRST_DEADLINE_MS)
        }
    };
    Some(deadline)
}
