//! Where the records of a column lie in its file.
//!
//! ```text
//! record = shard | segment path | content path | XXH3-64 of all before, little endian
//! ```
//!
//! Record `i` starts at `i * stride`, the stride being the size of the largest possible record.
//! Lengths follow from the content's layout, so none is stored.

use pop_wire::{ColumnIndex, Manifest, SegmentIndex};

use super::StoreError;

const HASH_BYTES: usize = 32;
const CHECKSUM_BYTES: usize = 8;

/// Sizes of one content's column files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileLayout {
    content: pop_erasure::Layout,
    stride_bytes: u64,
}

/// Lengths of the parts of one record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RecordShape {
    pub(super) shard_bytes: usize,
    pub(super) segment_path_len: usize,
    pub(super) content_path_len: usize,
}

impl RecordShape {
    pub(super) fn record_bytes(self) -> usize {
        let path_len = self.segment_path_len + self.content_path_len;
        self.shard_bytes + path_len * HASH_BYTES + CHECKSUM_BYTES
    }
}

impl FileLayout {
    /// # Errors
    ///
    /// [`StoreError::BadLayout`]: the publisher's fault.
    pub(super) fn of(manifest: &Manifest) -> Result<Self, StoreError> {
        let content = pop_erasure::Layout::of(manifest)?;
        let tail_bytes = content.shard_bytes(content.last_segment()).unwrap_or_default();
        let largest = RecordShape {
            shard_bytes: to_usize(manifest.shard_bytes.max(tail_bytes)),
            // The first leaf of such a tree is as deep as any.
            segment_path_len: content.segment_path_length(ColumnIndex::default()),
            content_path_len: content.content_path_length(SegmentIndex(0)),
        };
        Ok(Self { content, stride_bytes: to_u64(largest.record_bytes()) })
    }

    pub(super) fn segments(&self) -> u64 {
        self.content.segment_count()
    }

    /// What a column costs of the quota, in bytes: a stride for every segment.
    pub(super) fn column_bytes(&self) -> u64 {
        self.stride_bytes.saturating_mul(self.segments())
    }

    /// Size of the file that holds the first `segments` records of `column`, in bytes.
    pub(super) fn file_bytes(&self, segments: u64, column: ColumnIndex) -> u64 {
        segments.checked_sub(1).map_or(0, |last| {
            let record = self.shape_at(SegmentIndex(last), column).record_bytes();
            self.offset(last) + to_u64(record)
        })
    }

    /// Where the record of `segment` starts.
    pub(super) fn offset(&self, segment: u64) -> u64 {
        self.stride_bytes * segment
    }

    /// # Errors
    ///
    /// [`StoreError::WrongShape`] when the content has no such segment or column.
    pub(super) fn shape(
        &self,
        segment: SegmentIndex,
        column: ColumnIndex,
    ) -> Result<RecordShape, StoreError> {
        if segment.0 >= self.segments() {
            return Err(StoreError::WrongShape {
                what: "segment index below",
                expected: self.segments(),
                got: segment.0,
            });
        }
        self.check_column(column)?;
        Ok(self.shape_at(segment, column))
    }

    /// # Errors
    ///
    /// [`StoreError::WrongShape`] when the content has no such column.
    pub(super) fn check_column(&self, column: ColumnIndex) -> Result<(), StoreError> {
        let columns = self.content.geometry().n();
        if column.get() < columns {
            return Ok(());
        }
        Err(StoreError::WrongShape {
            what: "column index below",
            expected: columns.into(),
            got: column.get().into(),
        })
    }

    fn shape_at(&self, segment: SegmentIndex, column: ColumnIndex) -> RecordShape {
        RecordShape {
            shard_bytes: to_usize(self.content.shard_bytes(segment).unwrap_or_default()),
            segment_path_len: self.content.segment_path_length(column),
            content_path_len: self.content.content_path_length(segment),
        }
    }
}

fn to_usize(number: u32) -> usize {
    usize::try_from(number).expect("a shard's length is checked against SHARD_BYTES_MAX")
}

fn to_u64(number: usize) -> u64 {
    u64::try_from(number).expect("a record is shorter than a frame")
}
