//! Segments on their way to k shards.

use pop_erasure::VerifiedShard;
use pop_wire::sorted::SortedMap;
use pop_wire::{ColumnIndex, ColumnSet, Instant};

/// Copies of one column of a segment that may be on their way at once (`spec/exchange.md` §7).
const COPIES_MAX: usize = 2;

/// One segment that is being collected.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) index: u64,
    /// Length of each of its shards.
    pub(crate) shard_bytes: u64,
    /// When playback needs it.
    pub(crate) deadline: Option<Instant>,
    /// The deadline passed and that was reported.
    pub(crate) overdue: bool,
    /// It was picked at random, for the good of the swarm.
    pub(crate) drawn: bool,
    needed: usize,
    shards: SortedMap<ColumnIndex, VerifiedShard>,
    /// How many copies of each column are in flight.
    asked: SortedMap<ColumnIndex, usize>,
    in_flight: usize,
    late: usize,
}

impl Segment {
    pub(crate) fn new(
        index: u64,
        needed: u16,
        shard_bytes: u64,
        deadline: Option<Instant>,
    ) -> Self {
        Self {
            index,
            shard_bytes,
            deadline,
            overdue: false,
            drawn: false,
            needed: usize::from(needed),
            shards: SortedMap::new(),
            asked: SortedMap::new(),
            in_flight: 0,
            late: 0,
        }
    }

    /// Shards that are still missing.
    pub(crate) fn missing(&self) -> usize {
        self.needed.saturating_sub(self.shards.len())
    }

    /// Requests to send now, with `extra` beyond what is missing: one that is late is backed by
    /// another one, and so is that one once it is late.
    pub(crate) fn wanting(&self, extra: usize) -> usize {
        let missing = self.missing();
        if missing == 0 {
            return 0;
        }
        (missing + extra).saturating_sub(self.in_flight - self.late)
    }

    pub(crate) fn is_urgent(&self, now: Instant, window_ms: u64) -> bool {
        is_urgent(self.deadline, now, window_ms)
    }

    /// Whether nothing was asked and nothing came.
    pub(crate) fn is_untouched(&self) -> bool {
        self.in_flight == 0 && self.shards.is_empty()
    }

    /// Whether too little is on its way, even if nothing of it fails.
    pub(crate) fn is_short(&self) -> bool {
        self.in_flight < self.missing()
    }

    /// Whether what is asked next backs something that is late.
    pub(crate) fn is_hedging(&self) -> bool {
        self.late > 0 && !self.is_short()
    }

    /// What must still be asked for, in bytes, if nothing that is on its way fails.
    pub(crate) fn unasked_bytes(&self) -> u64 {
        let unasked = self.missing().saturating_sub(self.in_flight);
        self.shard_bytes * u64::try_from(unasked).unwrap_or(u64::MAX)
    }

    pub(crate) fn held(&self) -> usize {
        self.shards.len()
    }

    pub(crate) fn held_bytes(&self) -> u64 {
        self.shard_bytes * u64::try_from(self.shards.len()).unwrap_or(u64::MAX)
    }

    /// Whether a column is neither here nor on its way.
    pub(crate) fn lacks(&self, column: ColumnIndex) -> bool {
        !self.asked.contains_key(&column) && !self.shards.contains_key(&column)
    }

    /// Whether a column is on its way, and one more copy of it may be asked for.
    pub(crate) fn may_copy(&self, column: ColumnIndex) -> bool {
        let held = self.shards.contains_key(&column);
        !held && self.asked.get(&column).is_some_and(|copies| *copies < COPIES_MAX)
    }

    pub(crate) fn columns(&self) -> ColumnSet {
        self.shards.keys().copied().collect()
    }

    pub(crate) fn ask(&mut self, column: ColumnIndex) {
        *self.asked.entry(column).or_default() += 1;
        self.in_flight += 1;
    }

    /// A request of this segment is no longer in flight.
    pub(crate) fn settled(&mut self, column: ColumnIndex, late: bool) {
        if let Some(copies) = self.asked.get_mut(&column) {
            *copies -= 1;
            if *copies == 0 {
                self.asked.remove(&column);
            }
        }
        self.in_flight -= 1;
        self.late -= usize::from(late);
    }

    pub(crate) fn mark_late(&mut self) {
        self.late += 1;
    }

    /// Keep a shard; `false` if its column is here already.
    pub(crate) fn insert(&mut self, shard: VerifiedShard) -> bool {
        self.shards.insert(shard.column(), shard).is_none()
    }

    pub(crate) fn into_shards(self) -> Vec<VerifiedShard> {
        self.shards.into_values().collect()
    }
}

/// Whether playback needs what has this deadline within `window_ms`.
pub(crate) fn is_urgent(deadline: Option<Instant>, now: Instant, window_ms: u64) -> bool {
    deadline.is_some_and(|deadline| deadline <= now.after_ms(window_ms))
}

/// Segments that were delivered: few ranges, however many segments.
#[derive(Debug, Default)]
pub(crate) struct Ranges {
    /// End of each range by its start; no two touch.
    ends: SortedMap<u64, u64>,
}

impl Ranges {
    pub(crate) fn insert(&mut self, index: u64) {
        if self.end_of(index).is_some() {
            return;
        }
        let end = self.ends.remove(&(index + 1)).unwrap_or(index + 1);
        match self.ends.range_mut(..index).next_back() {
            Some((_, before)) if *before == index => *before = end,
            _ => {
                self.ends.insert(index, end);
            }
        }
    }

    /// End of the range that `index` is in.
    pub(crate) fn end_of(&self, index: u64) -> Option<u64> {
        let (_, end) = self.ends.range(..=index).next_back()?;
        (*end > index).then_some(*end)
    }

    pub(crate) fn remove(&mut self, index: u64) {
        let Some(end) = self.end_of(index) else { return };
        let Some((start, _)) = self.ends.range(..=index).next_back().map(|(s, e)| (*s, *e)) else {
            return;
        };
        self.ends.remove(&start);
        if start < index {
            self.ends.insert(start, index);
        }
        if index + 1 < end {
            self.ends.insert(index + 1, end);
        }
    }

    /// Forget what is outside.
    pub(crate) fn clip(&mut self, from: u64, to: u64) {
        let clipped = |(start, end): (&u64, &u64)| ((*start).max(from), (*end).min(to));
        self.ends = self.ends.iter().map(clipped).filter(|(start, end)| start < end).collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn ranges_agree_with_a_plain_set(
            steps in prop::collection::vec((0_u64..40, 0_u8..8), 0..80),
            from in 0_u64..40,
            to in 0_u64..40,
        ) {
            let (mut ranges, mut plain) = (Ranges::default(), BTreeSet::new());
            for (index, what) in steps {
                if what == 0 {
                    ranges.remove(index);
                    plain.remove(&index);
                } else {
                    ranges.insert(index);
                    plain.insert(index);
                }
            }
            ranges.clip(from, to);
            plain.retain(|index| (from..to).contains(index));
            for index in 0..42 {
                prop_assert_eq!(ranges.end_of(index).is_some(), plain.contains(&index));
            }
            let touching = ranges.ends.iter().any(|(_, end)| ranges.ends.contains_key(end));
            prop_assert!(!touching);
        }
    }
}
