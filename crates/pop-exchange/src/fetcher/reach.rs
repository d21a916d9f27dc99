//! What can be had of whom: viewers hold some segments whole, everybody else some columns of all;
//! and what is left to chance for the good of the swarm (`spec/exchange.md` §7.1, §7.2).

use pop_wire::ColumnSet;
use rand_chacha::rand_core::Rng;

use super::Fetcher;
use super::plan::Round;
use crate::assembly::Segment;
use crate::schedule::Whom;
use crate::source::{Source, SourceKind};

/// Time between two draws, in milliseconds.
const DRAW_INTERVAL_MS: u64 = 1_000;

/// Segments that a draw looks at for one that nobody offers.
const DRAW_TRIES_MAX: u32 = 64;

/// The sources as one round of planning sees them.
#[derive(Debug)]
pub(super) struct Reach {
    /// Columns of those that are no viewers.
    pub(super) columns: ColumnSet,
    /// Viewers that may be asked for something.
    pub(super) viewers: u64,
    /// Segments from this on are far; the end of the window if none is.
    pub(super) far_from: u64,
    /// Those that are no viewers hold enough columns.
    others_suffice: bool,
}

impl Reach {
    pub(super) fn whom(&self, segment: &Segment) -> Whom {
        match (segment.index >= self.far_from, segment.drawn && self.others_suffice) {
            (false, _) => Whom::Everybody,
            (true, false) => Whom::AllButMasternodes,
            (true, true) => Whom::AllButViewers,
        }
    }
}

impl Fetcher {
    pub(super) fn reach(&self) -> Reach {
        // Also those that are still greeting: what they hold is known.
        let others = self.sources.values();
        let others = others.filter(|it| it.kind != SourceKind::Viewer && it.is_live(self.now));
        let columns: ColumnSet = others.flat_map(|source| source.columns.iter().copied()).collect();
        let viewers = u64::try_from(self.viewers().count()).unwrap_or(u64::MAX);
        let others_suffice = columns.len() >= usize::from(self.content.layout().geometry().k());
        let far_from = if viewers > 0 { self.far_from() } else { self.wanted.end };
        Reach { columns, viewers, far_from, others_suffice }
    }

    /// Viewers that are alive and offer anything.
    fn viewers(&self) -> impl Iterator<Item = &Source> {
        self.sources.values().filter(|source| {
            source.kind == SourceKind::Viewer
                && source.greeting.is_agreed()
                && source.is_live(self.now)
                && !source.columns.is_empty()
                && source.announced_from(0).is_some()
        })
    }

    /// The first segment that playback needs so late that it is far; the end of the window if
    /// there is none.
    fn far_from(&self) -> u64 {
        let Some(first) = self.first_deadline else { return self.wanted.end };
        let near_until = self.now.after_ms(self.near_ms());
        let near = match near_until.0.checked_sub(first.0) {
            None => 0,
            Some(ms) => match ms.checked_div(self.segment_duration_ms) {
                Some(whole) => whole.saturating_add(1),
                None => u64::MAX,
            },
        };
        self.wanted.start.saturating_add(near).min(self.wanted.end)
    }

    fn is_offered(&self, index: u64) -> bool {
        self.viewers().any(|source| source.serves(index))
    }

    /// Whether enough of a segment is here or can be had.
    pub(super) fn is_in_reach(&self, index: u64, reach: &Reach) -> bool {
        if self.is_offered(index) {
            return true;
        }
        if index >= reach.far_from {
            return self.segments.get(&index).is_some_and(|segment| segment.drawn);
        }
        let k = usize::from(self.content.layout().geometry().k());
        let held = self.segments.get(&index).map(Segment::columns).unwrap_or_default();
        held.union(&reach.columns).len() >= k
    }

    /// The next segment after one that is out of reach which may be in reach.
    pub(super) fn next_in_reach(&self, index: u64, reach: &Reach) -> Option<u64> {
        let offered = self.viewers().filter_map(|source| source.announced_from(index + 1)).min();
        let others = reach.others_suffice && index + 1 < reach.far_from;
        if others { Some(index + 1) } else { offered }
    }

    /// The last segment begun after `index` that can't go on is dropped, to make room for one that
    /// is needed earlier and can; `false` if there is none.
    pub(super) fn gives_way(&mut self, index: u64, round: &Round) -> bool {
        let later = self.segments.range(index + 1..).map(|(index, _)| *index);
        let stuck = later.rev().find(|later| !self.is_in_reach(*later, &round.reach));
        stuck.inspect(|stuck| self.drop_segment(*stuck)).is_some()
    }

    /// Once a second: whether chance has this viewer take a far segment from masternodes. With v
    /// viewers it does so for one in v + 1, so that together they take about one a second.
    pub(super) fn draw(&mut self) {
        if self.now < self.draw_at {
            return;
        }
        let viewers = u64::try_from(self.viewers().count()).unwrap_or(u64::MAX);
        if viewers > 0 {
            self.draw_at = self.now.after_ms(DRAW_INTERVAL_MS);
            self.drawn = self.rng.next_u64().is_multiple_of(viewers.saturating_add(1));
        }
    }

    /// Begin one far segment that no viewer offers, whichever it is.
    pub(super) fn begin_any(&mut self, round: &mut Round) {
        let (from, end) = (round.reach.far_from, self.wanted.end);
        if from >= end || !round.reach.others_suffice {
            return;
        }
        let mut at = from + self.rng.next_u64() % (end - from);
        for _ in 0..DRAW_TRIES_MAX {
            let fresh = self.next_fresh(at).or_else(|| self.next_fresh(from));
            let Some(index) = fresh else { return };
            if !self.is_offered(index) {
                if self.fits(index) {
                    self.try_begin(index, self.deadline_of(index), true, round);
                }
                return;
            }
            at = index + 1;
        }
    }
}
