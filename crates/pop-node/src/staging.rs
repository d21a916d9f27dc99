//! Shards on the publisher's own disk on their way to their holders.
//!
//! Encoding is fast and holders are not: the shards wait in one file, in the order in which they
//! were made, and are read from it as each holder asks for more. The file is scratch: what makes
//! publishing survive a crash is the journal, from which the same shards can be made again. So the
//! file loses its name as soon as it is open, and its room is free again however the process ends.
//!
//! One record per segment and column, at a fixed stride: the shard, then its segment path.
//! Behind all records lie the content paths, one slot per segment.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use bytes::{Bytes, BytesMut};
use pop_erasure::Layout;
use pop_exchange::ShardWithProof;
use pop_wire::{ColumnIndex, ColumnSet, Digest, SegmentIndex};

use crate::disk::StoreError;

/// Bytes of a hash.
const HASH_BYTES: usize = 32;

/// A scratch file with some or all columns of one content. Gone when dropped.
#[derive(Debug)]
pub(crate) struct Staging {
    file: File,
    path: PathBuf,
    layout: Layout,
    columns: ColumnSet,
    /// Bytes from one record to the next.
    stride: u64,
    /// Bytes from one content path to the next.
    path_stride: u64,
}

impl Staging {
    /// An empty scratch file in `directory` for `columns` of a content laid out as `layout`.
    pub(crate) fn create(
        directory: &Path,
        name: &str,
        layout: Layout,
        columns: ColumnSet,
    ) -> Result<Self, StoreError> {
        std::fs::create_dir_all(directory).map_err(failed("create", directory))?;
        let path = directory.join(name);
        // Without a name from the start where the system can (O_TMPFILE): a process that is killed
        // leaves nothing.
        let file = tempfile::tempfile_in(directory).map_err(failed("create", &path))?;
        let first = layout.shard_bytes(SegmentIndex(0)).unwrap_or_default();
        let last = layout.shard_bytes(layout.last_segment()).unwrap_or_default();
        let depth = layout.columns().map(|it| layout.segment_path_length(it)).max().unwrap_or(0);
        let content_depth =
            layout.segments().take(2).map(|it| layout.content_path_length(it)).max().unwrap_or(0);
        let stride = u64::from(first.max(last)) + hashes(depth);
        Ok(Self { file, path, columns, stride, path_stride: hashes(content_depth), layout })
    }

    /// Write one shard.
    pub(crate) fn write(
        &self,
        segment: SegmentIndex,
        column: ColumnIndex,
        payload: &[u8],
        segment_path: &[Digest],
    ) -> Result<(), StoreError> {
        let offset = self.offset(segment, column);
        let mut record = Vec::with_capacity(payload.len() + segment_path.len() * HASH_BYTES);
        record.extend_from_slice(payload);
        segment_path.iter().for_each(|hash| record.extend_from_slice(&hash.0));
        self.file.write_all_at(&record, offset).map_err(failed("write", &self.path))
    }

    /// Write a segment's content path.
    pub(crate) fn write_content_path(
        &self,
        segment: SegmentIndex,
        content_path: &[Digest],
    ) -> Result<(), StoreError> {
        let bytes: Vec<u8> = content_path.iter().flat_map(|hash| hash.0).collect();
        let offset = self.content_path_offset(segment);
        self.file.write_all_at(&bytes, offset).map_err(failed("write", &self.path))
    }

    /// Read one shard with its whole proof.
    pub(crate) fn read(
        &self,
        segment: SegmentIndex,
        column: ColumnIndex,
    ) -> Result<ShardWithProof, StoreError> {
        let failed = || failed("read", &self.path);
        let payload_bytes = to_usize(self.layout.shard_bytes(segment).unwrap_or_default());
        let path_bytes = self.layout.segment_path_length(column) * HASH_BYTES;
        let mut record = BytesMut::zeroed(payload_bytes + path_bytes);
        self.file.read_exact_at(&mut record, self.offset(segment, column)).map_err(failed())?;
        let content_path_bytes = self.layout.content_path_length(segment) * HASH_BYTES;
        let mut content_path = vec![0; content_path_bytes];
        self.file
            .read_exact_at(&mut content_path, self.content_path_offset(segment))
            .map_err(failed())?;
        let segment_path = record.split_off(payload_bytes);
        let payload: Bytes = record.freeze();
        Ok(ShardWithProof {
            payload,
            segment_path: digests(&segment_path),
            content_path: digests(&content_path),
        })
    }

    /// Every segment of the content.
    pub(crate) fn segments(&self) -> impl Iterator<Item = SegmentIndex> + use<> {
        self.layout.segments()
    }

    /// The columns that are kept here.
    pub(crate) fn columns(&self) -> impl Iterator<Item = ColumnIndex> + '_ {
        self.columns.iter()
    }

    fn offset(&self, segment: SegmentIndex, column: ColumnIndex) -> u64 {
        let place = self.columns.iter().position(|staged| staged == column).unwrap_or_default();
        (segment.0 * self.column_count() + to_u64(place)) * self.stride
    }

    fn content_path_offset(&self, segment: SegmentIndex) -> u64 {
        let records = self.layout.segment_count() * self.column_count() * self.stride;
        records + segment.0 * self.path_stride
    }

    fn column_count(&self) -> u64 {
        to_u64(self.columns.len())
    }
}

fn digests(bytes: &[u8]) -> Vec<Digest> {
    bytes.as_chunks::<HASH_BYTES>().0.iter().copied().map(Digest).collect()
}

fn hashes(count: usize) -> u64 {
    to_u64(count * HASH_BYTES)
}

fn to_u64(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

fn to_usize(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    StoreError::io(action, path)
}
