//! Where the records of a column lie in its file.
//!
//! ```text
//! record = shard | segment path | content path | XXH3-64 of all before, little endian
//! ```
//!
//! Record `i` starts at `i * stride`, the stride being the size of the largest possible record.
//! Lengths of the paths follow from the shape of the trees (RFC 6962), so none is stored.

use pop_wire::{ColumnIndex, Manifest, SegmentIndex};

use super::StoreError;

const HASH_BYTES: usize = 32;
const CHECKSUM_BYTES: usize = 8;

/// Sizes of one content's columns; the same for all columns of the content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) segments: u64,
    pub(super) columns: u16,
    shard_bytes: usize,
    last_shard_bytes: usize,
    stride_bytes: u64,
}

/// Lengths of the parts of one record, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RecordShape {
    pub(super) shard_bytes: usize,
    pub(super) segment_path_len: usize,
    pub(super) content_path_len: usize,
}

impl RecordShape {
    pub(super) fn paths_bytes(self) -> usize {
        (self.segment_path_len + self.content_path_len) * HASH_BYTES
    }

    pub(super) fn record_bytes(self) -> usize {
        self.shard_bytes + self.paths_bytes() + CHECKSUM_BYTES
    }
}

impl Layout {
    /// # Errors
    ///
    /// [`StoreError::WrongShape`] for a column too large for any file.
    pub(super) fn of(manifest: &Manifest) -> Result<Self, StoreError> {
        let segments = manifest.segment_count();
        let shard_bytes = to_usize(manifest.shard_bytes.into());
        let before_last = manifest.segment_bytes().saturating_mul(segments - 1);
        let last_bytes = manifest.length_bytes.saturating_sub(before_last);
        // spec/content.md §4: the last segment's shards are as short as its plaintext and tag
        // allow, in steps of 64 bytes.
        let last_shard_bytes =
            (last_bytes + 16).div_ceil(manifest.data_shards.into()).next_multiple_of(64);
        let layout = Self {
            segments,
            columns: manifest.total_shards,
            shard_bytes,
            last_shard_bytes: to_usize(last_shard_bytes),
            stride_bytes: 0,
        };
        let deepest = RecordShape {
            shard_bytes: shard_bytes.max(layout.last_shard_bytes),
            segment_path_len: depth(manifest.total_shards.into()),
            content_path_len: depth(segments),
        };
        let stride_bytes = to_u64(deepest.record_bytes());
        match stride_bytes.checked_mul(segments) {
            Some(bytes) if i64::try_from(bytes).is_ok() => Ok(Self { stride_bytes, ..layout }),
            _ => Err(StoreError::WrongShape {
                what: "column bytes",
                expected: i64::MAX.unsigned_abs(),
                got: u64::MAX,
            }),
        }
    }

    /// Size of a whole column's file, in bytes: what a column costs of the quota.
    pub(super) fn column_bytes(&self) -> u64 {
        // Everything but the last record takes a full stride, whatever its paths need, and the
        // last one is charged a full stride too: the sum does not depend on the column.
        self.stride_bytes * self.segments
    }

    /// Size of the file that holds the first `segments` records of `column`, in bytes.
    pub(super) fn file_bytes(&self, segments: u64, column: ColumnIndex) -> u64 {
        match segments.checked_sub(1) {
            None => 0,
            Some(last) => {
                let shape = self.shape_at(last, column);
                self.stride_bytes * last + to_u64(shape.record_bytes())
            }
        }
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
        if segment.0 >= self.segments {
            return Err(StoreError::WrongShape {
                what: "segment index below",
                expected: self.segments,
                got: segment.0,
            });
        }
        self.check_column(column)?;
        Ok(self.shape_at(segment.0, column))
    }

    /// # Errors
    ///
    /// [`StoreError::WrongShape`] when the content has no such column.
    pub(super) fn check_column(&self, column: ColumnIndex) -> Result<(), StoreError> {
        if column.get() < self.columns {
            return Ok(());
        }
        Err(StoreError::WrongShape {
            what: "column index below",
            expected: self.columns.into(),
            got: column.get().into(),
        })
    }

    fn shape_at(&self, segment: u64, column: ColumnIndex) -> RecordShape {
        let last = segment + 1 == self.segments;
        RecordShape {
            shard_bytes: if last { self.last_shard_bytes } else { self.shard_bytes },
            segment_path_len: path_len(column.get().into(), self.columns.into()),
            content_path_len: path_len(segment, self.segments),
        }
    }
}

/// Hashes on the way from leaf `index` to the root of a tree over `leaves` leaves, whose left
/// subtrees take the largest power of two strictly less than their size.
fn path_len(mut index: u64, mut leaves: u64) -> usize {
    let mut len = 0;
    while leaves > 1 {
        let left = 1 << (u64::BITS - 1 - (leaves - 1).leading_zeros());
        if index < left {
            leaves = left;
        } else {
            index -= left;
            leaves -= left;
        }
        len += 1;
    }
    len
}

/// The longest path of such a tree: ceil(log2(leaves)).
fn depth(leaves: u64) -> usize {
    path_len(0, leaves)
}

fn to_usize(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn to_u64(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tree's definition, leaf by leaf.
    fn slow_path_len(index: u64, leaves: u64) -> usize {
        if leaves == 1 {
            return 0;
        }
        let mut left = 1;
        while left * 2 < leaves {
            left *= 2;
        }
        1 + if index < left {
            slow_path_len(index, left)
        } else {
            slow_path_len(index - left, leaves - left)
        }
    }

    #[test]
    fn path_lengths_follow_the_trees_definition() {
        for leaves in 1..200 {
            for index in 0..leaves {
                assert_eq!(
                    path_len(index, leaves),
                    slow_path_len(index, leaves),
                    "leaf {index} of {leaves}"
                );
                assert!(path_len(index, leaves) <= depth(leaves));
            }
        }
        assert_eq!(depth(1 << 32), 32);
        assert_eq!(depth(80), 7);
    }
}
