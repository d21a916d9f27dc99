//! Where every byte of a content is: [`Layout`].

use std::ops::Range;

use pop_wire::limits::{CONTENT_BYTES_MAX, SEGMENTS_MAX, SHARD_BYTES_MAX};
use pop_wire::{ColumnIndex, Manifest, SegmentIndex};

use crate::error::LayoutError;
use crate::limits::{
    SEGMENT_DURATION_MS_MAX, SEGMENTS_WANTED, SHARD_BYTES_DEFAULT, SHARD_BYTES_GRAIN,
    SHARD_BYTES_SHORT, TAG_BYTES,
};
use crate::{Geometry, merkle};

/// Sizes and positions of a content's segments and shards: pure arithmetic on what its manifest
/// says. A value of this type is within every limit, so nothing here overflows.
///
/// ```
/// use pop_erasure::{Geometry, Layout};
///
/// let layout = Layout::new(Geometry::for_network(27)?, 32 * 1024, 2_000_000)?;
/// assert_eq!(layout.segment_count(), 4);
/// assert_eq!(layout.slices(600_000..700_000).count(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    geometry: Geometry,
    shard_bytes: u32,
    length_bytes: u64,
}

/// The part of a byte range that lies in one segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentSlice {
    /// Which segment.
    pub segment: SegmentIndex,
    /// Position within that segment's plaintext, in bytes.
    pub range: Range<usize>,
}

impl Layout {
    /// The layout of `length_bytes` of plaintext in shards of `shard_bytes`.
    ///
    /// # Errors
    /// [`LayoutError`] names the limit that is passed.
    pub fn new(
        geometry: Geometry,
        shard_bytes: u32,
        length_bytes: u64,
    ) -> Result<Self, LayoutError> {
        let fits = usize::try_from(shard_bytes).is_ok_and(|bytes| bytes <= SHARD_BYTES_MAX);
        if shard_bytes == 0 || !shard_bytes.is_multiple_of(SHARD_BYTES_GRAIN) || !fits {
            return Err(LayoutError::ShardBytes {
                grain: SHARD_BYTES_GRAIN,
                maximum: SHARD_BYTES_MAX,
                shard_bytes,
            });
        }
        if length_bytes > CONTENT_BYTES_MAX {
            let maximum_bytes = CONTENT_BYTES_MAX;
            return Err(LayoutError::TooLong { maximum_bytes, length_bytes });
        }
        let layout = Self { geometry, shard_bytes, length_bytes };
        let segments = layout.segment_count();
        if segments > SEGMENTS_MAX {
            return Err(LayoutError::TooManySegments { maximum: SEGMENTS_MAX, segments });
        }
        Ok(layout)
    }

    /// The layout that a manifest describes. Durability is not judged: that is the publisher's
    /// choice, and too late to change.
    ///
    /// # Errors
    /// [`LayoutError`]: the publisher's fault.
    pub fn of(manifest: &Manifest) -> Result<Self, LayoutError> {
        let geometry =
            Geometry::danger_without_promise(manifest.data_shards, manifest.total_shards)?;
        Self::new(geometry, manifest.shard_bytes, manifest.length_bytes)
    }

    /// n and k.
    #[must_use]
    pub fn geometry(&self) -> Geometry {
        self.geometry
    }

    /// Length of the plaintext, in bytes.
    #[must_use]
    pub fn length_bytes(&self) -> u64 {
        self.length_bytes
    }

    /// Plaintext of every segment but the last, in bytes: k shards less the tag.
    #[must_use]
    pub fn segment_bytes(&self) -> u64 {
        full_segment_bytes(self.geometry, self.shard_bytes)
    }

    /// Number of segments, at least one: an empty content has an empty segment.
    #[must_use]
    pub fn segment_count(&self) -> u64 {
        self.length_bytes.div_ceil(self.segment_bytes()).max(1)
    }

    /// The last segment.
    #[must_use]
    pub fn last_segment(&self) -> SegmentIndex {
        SegmentIndex(self.segment_count() - 1)
    }

    /// Every segment, in order.
    pub fn segments(&self) -> impl Iterator<Item = SegmentIndex> + use<> {
        (0..self.segment_count()).map(SegmentIndex)
    }

    /// Every column, in order.
    pub fn columns(&self) -> impl Iterator<Item = ColumnIndex> + use<> {
        ColumnIndex::first(self.geometry.n())
    }

    /// Position of a segment's plaintext in the content; `None` if there is no such segment.
    #[must_use]
    pub fn plaintext_range(&self, segment: SegmentIndex) -> Option<Range<u64>> {
        if segment > self.last_segment() {
            return None;
        }
        let start = segment.0 * self.segment_bytes();
        Some(start..self.length_bytes.min(start + self.segment_bytes()))
    }

    /// Length of each of a segment's shards, in bytes; `None` if there is no such segment.
    #[must_use]
    pub fn shard_bytes(&self, segment: SegmentIndex) -> Option<u32> {
        let range = self.plaintext_range(segment)?;
        if segment < self.last_segment() {
            return Some(self.shard_bytes);
        }
        Some(last_shard_bytes(self.geometry, range.end - range.start))
    }

    /// Length of all shards of a column together, in bytes: what its holder stores.
    #[must_use]
    pub fn column_bytes(&self) -> u64 {
        let last = self.last_segment();
        let tail = self.shard_bytes(last).unwrap_or(self.shard_bytes);
        last.0 * u64::from(self.shard_bytes) + u64::from(tail)
    }

    /// Hashes in the path from a shard of `column` to its segment's root.
    #[must_use]
    pub fn segment_path_length(&self, column: ColumnIndex) -> usize {
        merkle::path_length(u64::from(column.get()), u64::from(self.geometry.n()))
    }

    /// Hashes in the path from `segment` to the content's root.
    #[must_use]
    pub fn content_path_length(&self, segment: SegmentIndex) -> usize {
        merkle::path_length(segment.0, self.segment_count())
    }

    /// The segments that a byte range of the content touches, in order, with the part of each.
    /// What lies behind the content's end is left out.
    pub fn slices(&self, range: Range<u64>) -> impl Iterator<Item = SegmentSlice> + use<> {
        let (layout, size) = (*self, self.segment_bytes());
        let end = range.end.min(self.length_bytes);
        let segments =
            if range.start < end { range.start / size..end.div_ceil(size) } else { 0..0 };
        segments.filter_map(move |index| {
            let segment = SegmentIndex(index);
            let whole = layout.plaintext_range(segment)?;
            let from = range.start.max(whole.start) - whole.start;
            let to = end.min(whole.end) - whole.start;
            let range = usize::try_from(from).ok()?..usize::try_from(to).ok()?;
            Some(SegmentSlice { segment, range })
        })
    }
}

/// The shard length to publish with: 32 KiB, or 16 KiB where that would make fewer than 16
/// segments, or segments of more than four seconds of media.
///
/// `duration_ms` is the playing time if there is one and it is known.
#[must_use]
pub fn recommended_shard_bytes(
    geometry: Geometry,
    length_bytes: u64,
    duration_ms: Option<u64>,
) -> u32 {
    let segment_bytes = full_segment_bytes(geometry, SHARD_BYTES_DEFAULT);
    let few = length_bytes.div_ceil(segment_bytes) < SEGMENTS_WANTED;
    // A segment's duration is duration * segment / length; cross-multiplied, in u128.
    let slow = duration_ms.is_some_and(|duration_ms| {
        u128::from(duration_ms) * u128::from(segment_bytes)
            > u128::from(SEGMENT_DURATION_MS_MAX) * u128::from(length_bytes)
    });
    if few || slow { SHARD_BYTES_SHORT } else { SHARD_BYTES_DEFAULT }
}

/// Plaintext bytes of a full segment.
fn full_segment_bytes(geometry: Geometry, shard_bytes: u32) -> u64 {
    u64::from(geometry.k()) * u64::from(shard_bytes) - u64::from(TAG_BYTES)
}

/// spec/content.md §4: the last segment's shards are just long enough, in grains of 64 bytes.
pub(crate) fn last_shard_bytes(geometry: Geometry, plaintext_bytes: u64) -> u32 {
    let exact = (plaintext_bytes + u64::from(TAG_BYTES)).div_ceil(u64::from(geometry.k()));
    let rounded = exact.next_multiple_of(u64::from(SHARD_BYTES_GRAIN));
    u32::try_from(rounded).expect("a segment's plaintext and tag fit k shards of a u32 length")
}
