//! One source of a fetcher: what it holds, how fast it is, how much is on its way from it.

use pop_wire::sorted::SortedSet;
use pop_wire::{ColumnIndex, ColumnSet, Instant, PeerId, SegmentIndex, SegmentRanges};

use crate::budget::TimedBudget;
use crate::credit::ReceiveCredit;
use crate::greeting::Greeting;
use crate::limits::{
    ANNOUNCEMENT_REFILL_MS, ANNOUNCEMENTS_BURST, DENIALS_MAX, REQUESTS_PER_LINK_MAX,
};
use crate::payment::PaymentBudget;

/// What kind of node a source is: decides who is preferred when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum SourceKind {
    /// This node's own store, reached over a link inside the process: preferred always.
    Local,
    /// Preferred while playback is near running dry.
    Masternode,
    /// Another viewer: preferred while the buffer is safe, and asked only for what it announced.
    Viewer,
}

/// Throughput assumed of a source that has not delivered yet, in bytes a second.
const UNPROVEN_BYTES_PER_S: u64 = 512 * 1024;

/// Requests that such a source may have: who is slow must not get much before that is known.
const UNPROVEN_REQUESTS: usize = 4;

/// Throughput assumed of a source that comes back from a rest, in bytes a second.
const PROBATION_BYTES_PER_S: u64 = 8 * 1024;

/// Throughput assumed of the own store, in bytes a second.
const LOCAL_BYTES_PER_S: u64 = 1 << 30;

/// Delivery time over which throughput is averaged, in milliseconds.
const THROUGHPUT_WINDOW_MS: u64 = 15_000;

/// Requests that even the slowest source may have.
const REQUESTS_MIN: usize = 2;

#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) peer: PeerId,
    pub(crate) kind: SourceKind,
    /// Ascending, so data columns come first.
    pub(crate) columns: Vec<ColumnIndex>,
    /// Breaks ties between equal sources; drawn from the seed, so that not every viewer of a
    /// content asks the same holders first.
    pub(crate) tie: u64,
    pub(crate) greeting: Greeting,
    pub(crate) credit: ReceiveCredit,
    pub(crate) payments: PaymentBudget,
    pub(crate) announcements: TimedBudget,
    /// What a viewer says that it can serve, less what it refused.
    announced: SegmentRanges,
    /// Segments that it announced and refused.
    denied: SortedSet<u64>,
    /// Lower is cheaper.
    pub(crate) price_rank: u64,
    pub(crate) in_flight: usize,
    pub(crate) in_flight_bytes: u64,
    /// Cancelled and not answered yet: the peer may still send them.
    pub(crate) cancelled: usize,
    pub(crate) cancelled_bytes: u64,
    pub(crate) received_bytes: u64,
    /// Last answer, or the moment since when there is something to answer.
    pub(crate) progress_at: Instant,
    pub(crate) strikes: u64,
    pub(crate) rest_until: Option<Instant>,
    pub(crate) busy_until: Option<Instant>,
    probation: bool,
    throughput: Throughput,
}

impl Source {
    pub(crate) fn new(
        peer: PeerId,
        kind: SourceKind,
        columns: &ColumnSet,
        tie: u64,
        now: Instant,
    ) -> Self {
        Self {
            peer,
            kind,
            columns: columns.iter().collect(),
            tie,
            greeting: Greeting::new(now),
            credit: ReceiveCredit::default(),
            payments: PaymentBudget::new(now),
            announcements: TimedBudget::new(ANNOUNCEMENTS_BURST, ANNOUNCEMENT_REFILL_MS, now),
            announced: SegmentRanges::default(),
            denied: SortedSet::new(),
            price_rank: 0,
            in_flight: 0,
            in_flight_bytes: 0,
            cancelled: 0,
            cancelled_bytes: 0,
            received_bytes: 0,
            progress_at: now,
            strikes: 0,
            rest_until: None,
            busy_until: None,
            probation: false,
            throughput: Throughput::default(),
        }
    }

    /// Not left alone. It may still be greeting.
    pub(crate) fn is_live(&self, now: Instant) -> bool {
        self.rest_until.is_none_or(|until| now >= until) && !self.owes_sign_of_life()
    }

    /// It came back from a rest, and what was cancelled before is still unanswered: there is no
    /// need to ask anything more to learn whether it is alive.
    fn owes_sign_of_life(&self) -> bool {
        self.probation && self.cancelled > 0
    }

    fn is_usable(&self, now: Instant) -> bool {
        let busy = self.busy_until.is_some_and(|until| now < until);
        self.greeting.is_agreed() && self.is_live(now) && !busy
    }

    /// Whether one more request of `bytes` may be queued here.
    pub(crate) fn has_room(&self, bytes: u64, now: Instant, queue_ms_max: u64, best: u64) -> bool {
        if !self.is_usable(now) || self.in_flight + self.cancelled >= REQUESTS_PER_LINK_MAX {
            return false;
        }
        if self.probation {
            return self.in_flight == 0;
        }
        if self.kind != SourceKind::Local && !self.throughput.is_known() {
            return self.in_flight < UNPROVEN_REQUESTS;
        }
        let rate = self.bytes_per_s(now, best);
        let queue_bytes_max = rate.saturating_mul(queue_ms_max) / 1_000;
        self.in_flight < REQUESTS_MIN || self.in_flight_bytes + bytes <= queue_bytes_max
    }

    /// When `bytes` more would be here, in microseconds from now.
    pub(crate) fn finish_us(&self, bytes: u64, now: Instant, best: u64) -> u64 {
        let queue = self.in_flight_bytes + self.cancelled_bytes + bytes;
        let work_us = queue.saturating_mul(1_000_000) / self.bytes_per_s(now, best).max(1);
        work_us.saturating_add(self.silent_ms(now).saturating_mul(1_000))
    }

    /// Estimated throughput, at least 1. `best` is that of the fastest source: one that is not
    /// proven counts as a tenth of it, so that it gets its chance.
    pub(crate) fn bytes_per_s(&self, now: Instant, best: u64) -> u64 {
        if self.kind == SourceKind::Local {
            return LOCAL_BYTES_PER_S;
        }
        if self.probation {
            return PROBATION_BYTES_PER_S;
        }
        let measured = self.throughput.bytes_per_s(self.silent_ms(now));
        measured.unwrap_or(UNPROVEN_BYTES_PER_S.max(best / 10)).max(1)
    }

    /// Measured throughput; `None` if nothing came yet.
    pub(crate) fn measured_bytes_per_s(&self, now: Instant) -> Option<u64> {
        self.throughput.bytes_per_s(self.silent_ms(now))
    }

    /// Time for which there was something to answer and nothing came, in milliseconds. What was
    /// cancelled counts: it is answered too.
    pub(crate) fn silent_ms(&self, now: Instant) -> u64 {
        if self.in_flight + self.cancelled > 0 { now.since_ms(self.progress_at) } else { 0 }
    }

    pub(crate) fn asked(&mut self, bytes: u64, now: Instant) {
        if self.in_flight + self.cancelled == 0 {
            self.progress_at = now;
        }
        self.in_flight += 1;
        self.in_flight_bytes += bytes;
    }

    /// A request is no longer in flight, whatever became of it.
    pub(crate) fn settled(&mut self, bytes: u64) {
        self.in_flight -= 1;
        self.in_flight_bytes -= bytes;
    }

    /// It answered: it is alive, if not necessarily of use.
    pub(crate) fn answered(&mut self, now: Instant) {
        self.progress_at = now;
        self.strikes = 0;
    }

    /// It delivered `bytes` that were asked for.
    pub(crate) fn delivered(&mut self, bytes: u64, now: Instant) {
        self.throughput.add(bytes, now.since_ms(self.progress_at));
        self.received_bytes += bytes;
        self.probation = false;
        self.answered(now);
    }

    pub(crate) fn rest(&mut self, until: Instant) {
        self.rest_until = Some(until);
        self.probation = true;
        self.strikes = 0;
        self.throughput = Throughput::default();
    }

    /// It refused a shard that it was thought to have.
    pub(crate) fn lacks(&mut self, segment: u64, column: ColumnIndex) {
        match self.kind {
            SourceKind::Viewer => {
                self.denied.insert(segment);
                // spec/exchange.md §7.1: one that announces on and on what it hasn't is no source.
                if self.denied.len() > DENIALS_MAX {
                    self.columns.clear();
                    self.denied.clear();
                }
            }
            SourceKind::Local | SourceKind::Masternode => {
                self.columns.retain(|held| *held != column);
            }
        }
    }

    /// A viewer says what it can serve, in place of what it said before.
    pub(crate) fn announces(&mut self, segments: SegmentRanges) {
        self.announced = segments;
    }

    /// The first segment from `segment` on that a viewer announced and did not refuse.
    pub(crate) fn announced_from(&self, mut segment: u64) -> Option<u64> {
        loop {
            let found = self.announced.first_from(SegmentIndex(segment))?.0;
            if !self.denied.contains(&found) {
                return Some(found);
            }
            segment = found + 1;
        }
    }

    /// Whether it may be asked for shards of a segment.
    pub(crate) fn serves(&self, segment: u64) -> bool {
        match self.kind {
            SourceKind::Local | SourceKind::Masternode => true,
            SourceKind::Viewer => {
                self.announced.contains(SegmentIndex(segment)) && !self.denied.contains(&segment)
            }
        }
    }
}

/// Bytes over the time in which something was asked: waiting for the viewer doesn't count.
#[derive(Debug, Default)]
struct Throughput {
    bytes: u64,
    ms: u64,
}

impl Throughput {
    fn add(&mut self, bytes: u64, ms: u64) {
        self.bytes += bytes;
        self.ms += ms;
        if self.ms > THROUGHPUT_WINDOW_MS {
            self.bytes /= 2;
            self.ms /= 2;
        }
    }

    fn is_known(&self) -> bool {
        self.bytes > 0
    }

    fn bytes_per_s(&self, silent_ms: u64) -> Option<u64> {
        let ms = self.ms.saturating_add(silent_ms).max(1);
        (self.bytes > 0).then(|| self.bytes.saturating_mul(1_000) / ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn throughput_counts_busy_time_and_fades_in_silence() {
        let mut throughput = Throughput::default();
        assert_eq!(throughput.bytes_per_s(5_000), None);
        throughput.add(1_000_000, 1_000);
        assert_eq!(throughput.bytes_per_s(0), Some(1_000_000));
        assert_eq!(throughput.bytes_per_s(9_000), Some(100_000));
    }

    #[test]
    fn old_throughput_is_forgotten() {
        let mut throughput = Throughput::default();
        throughput.add(15_000_000, 15_000);
        (0..100).for_each(|_| throughput.add(10_000, 1_000));
        let rate = throughput.bytes_per_s(0).unwrap();
        assert!((9_000..12_000).contains(&rate), "{rate}");
    }
}
