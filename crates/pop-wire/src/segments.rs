//! Sets of segments as a few ranges.

use std::ops::Range;

use bytes::{BufMut, Bytes, BytesMut};

use crate::limits::{AVAILABLE_RANGES_MAX, SEGMENTS_MAX};
use crate::{SegmentIndex, WireError};

/// Bytes of one range on the wire: first and last segment, each 32 bits.
const RANGE_BYTES: usize = 8;

/// A set of segments as at most [`AVAILABLE_RANGES_MAX`] ranges: ascending, not empty, and with a
/// gap between each two. So a set has one form.
///
/// ```
/// use pop_wire::{SegmentIndex, SegmentRanges};
///
/// let ranges = SegmentRanges::covering([7..9, 0..4, 9..12]);
/// assert_eq!(ranges.iter().collect::<Vec<_>>(), [0..4, 7..12]);
/// assert!(ranges.contains(SegmentIndex(11)) && !ranges.contains(SegmentIndex(4)));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SegmentRanges {
    ranges: Vec<Range<u64>>,
}

impl SegmentRanges {
    /// The segments in any of `ranges` (end excluded), in whatever order they come and however
    /// they overlap. What no content can have is left out. If they make more ranges than
    /// [`AVAILABLE_RANGES_MAX`], the longest are kept, of equally long ones the first.
    pub fn covering(ranges: impl IntoIterator<Item = Range<u64>>) -> Self {
        let possible = ranges.into_iter().map(|range| range.start..range.end.min(SEGMENTS_MAX));
        let mut sorted: Vec<Range<u64>> = possible.filter(|range| !range.is_empty()).collect();
        sorted.sort_unstable_by_key(|range| range.start);
        let mut merged: Vec<Range<u64>> = Vec::new();
        for range in sorted {
            match merged.last_mut() {
                Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
                _ => merged.push(range),
            }
        }
        if merged.len() > AVAILABLE_RANGES_MAX {
            // The sort is stable: of equally long ranges the first stay.
            merged.sort_by_key(|range| u64::MAX - (range.end - range.start));
            merged.truncate(AVAILABLE_RANGES_MAX);
            merged.sort_unstable_by_key(|range| range.start);
        }
        Self { ranges: merged }
    }

    /// Whether there is no segment in it.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// Whether a segment is in it.
    pub fn contains(&self, segment: SegmentIndex) -> bool {
        let after = self.ranges.partition_point(|range| range.end <= segment.0);
        self.ranges.get(after).is_some_and(|range| range.contains(&segment.0))
    }

    /// The first segment in it that is not before `segment`.
    pub fn first_from(&self, segment: SegmentIndex) -> Option<SegmentIndex> {
        let after = self.ranges.partition_point(|range| range.end <= segment.0);
        self.ranges.get(after).map(|range| SegmentIndex(range.start.max(segment.0)))
    }

    /// The last segment in it.
    pub fn last(&self) -> Option<SegmentIndex> {
        self.ranges.last().map(|range| SegmentIndex(range.end - 1))
    }

    /// The ranges in ascending order, ends excluded.
    pub fn iter(&self) -> impl Iterator<Item = Range<u64>> + '_ {
        self.ranges.iter().cloned()
    }

    /// Segments in it.
    pub fn len(&self) -> u64 {
        self.ranges.iter().map(|range| range.end - range.start).sum()
    }

    pub(crate) fn from_wire(field: &'static str, bytes: &[u8]) -> Result<Self, WireError> {
        let (chunks, rest) = bytes.as_chunks::<RANGE_BYTES>();
        if !rest.is_empty() {
            return Err(WireError::Invalid { field, problem: "a range takes eight bytes" });
        }
        if chunks.len() > AVAILABLE_RANGES_MAX {
            let (max, got) = (AVAILABLE_RANGES_MAX, chunks.len());
            return Err(WireError::TooMany { field, max, got });
        }
        let mut ranges: Vec<Range<u64>> = Vec::with_capacity(chunks.len());
        for &[a, b, c, d, e, f, g, h] in chunks {
            let first = u64::from(u32::from_be_bytes([a, b, c, d]));
            let last = u64::from(u32::from_be_bytes([e, f, g, h]));
            // spec/wire.md §5: a gap before every range, so that a set has one form.
            if first > last || ranges.last().is_some_and(|before| first <= before.end) {
                let problem = "ranges must ascend, with a gap between them";
                return Err(WireError::Invalid { field, problem });
            }
            ranges.push(first..last + 1);
        }
        Ok(Self { ranges })
    }

    pub(crate) fn to_wire(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(self.ranges.len() * RANGE_BYTES);
        for range in &self.ranges {
            for segment in [range.start, range.end - 1] {
                // Both are below `SEGMENTS_MAX`, which is 2^32.
                out.put_u32(u32::try_from(segment).unwrap_or(u32::MAX));
            }
        }
        out.freeze()
    }
}
