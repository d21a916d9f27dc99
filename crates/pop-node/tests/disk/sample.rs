//! Contents made up for the store's tests. The store never looks into shards, so any bytes do.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use pop_node::disk::{ColumnStore, ColumnWriter, OpenedColumn, StoreError, StoredShard};
use pop_wire::{ColumnIndex, ContentId, Digest, Keypair, Manifest, SegmentIndex, Verified};

pub(crate) const QUOTA_BYTES: u64 = 1 << 30;

/// 3 of 7 shards of 128 bytes.
#[derive(Clone)]
pub(crate) struct Sample {
    pub(crate) manifest: Verified<Manifest>,
}

impl Sample {
    pub(crate) fn with_segments(segments: u64, tag: u8) -> Self {
        let full = 3 * 128 - 16;
        Self::with_length(full * segments.saturating_sub(1) + 100, tag)
    }

    pub(crate) fn with_length(length_bytes: u64, tag: u8) -> Self {
        let keypair = Keypair::from_secret_bytes(&[7; 32]).unwrap();
        let digests = [Digest([tag; 32]), Digest([1; 32]), Digest([2; 32])];
        let manifest = Manifest::new(keypair.peer_id(), length_bytes, 128, (3, 7), digests);
        Self { manifest: Verified::sign(manifest, &keypair).unwrap() }
    }

    pub(crate) fn id(&self) -> ContentId {
        self.manifest.content_id()
    }

    pub(crate) fn segments(&self) -> u64 {
        self.manifest.segment_count()
    }

    pub(crate) fn shard(&self, segment: u64, column: u16) -> StoredShard {
        let last = segment + 1 == self.segments();
        let tail = self.manifest.length_bytes - (3 * 128 - 16) * (self.segments() - 1);
        let bytes = if last {
            usize::try_from((tail + 16).div_ceil(3)).unwrap().next_multiple_of(64)
        } else {
            128
        };
        let fill = |salt: u64| {
            let seed = segment * 31 + u64::from(column) * 7 + salt + u64::from(self.id().0[0]);
            u8::try_from(seed % 251).unwrap()
        };
        let path = |len: usize, salt| vec![Digest([fill(salt); 32]); len];
        StoredShard {
            payload: Bytes::from(vec![fill(1); bytes]),
            segment_path: path(path_len(column.into(), 7), 2),
            content_path: path(path_len(segment, self.segments()), 3),
        }
    }

    pub(crate) fn file(&self, data_dir: &Path, column: u16, extension: &str) -> PathBuf {
        data_dir.join("columns").join(self.id().to_string()).join(format!("{column}.{extension}"))
    }
}

fn path_len(index: u64, leaves: u64) -> usize {
    if leaves == 1 {
        return 0;
    }
    let left = leaves.next_power_of_two() / 2;
    1 + if index < left { path_len(index, left) } else { path_len(index - left, leaves - left) }
}

pub(crate) fn column(index: u16) -> ColumnIndex {
    ColumnIndex::new(index).unwrap()
}

pub(crate) fn open(data_dir: &Path) -> ColumnStore {
    ColumnStore::open(data_dir, QUOTA_BYTES).unwrap()
}

pub(crate) fn writer(store: &ColumnStore, sample: &Sample, index: u16) -> ColumnWriter {
    match store.open_column(&sample.manifest, column(index)).unwrap() {
        OpenedColumn::Writer(writer) => writer,
        OpenedColumn::Already => panic!("column {index} is held already"),
    }
}

/// Writes up to and without `until`, from wherever the writer is.
pub(crate) fn write_until(
    writer: &mut ColumnWriter,
    sample: &Sample,
    index: u16,
    until: u64,
) -> Result<(), StoreError> {
    while writer.next_segment().0 < until {
        let segment = writer.next_segment();
        let shard = sample.shard(segment.0, index);
        writer.write(segment, &shard.payload, &shard.segment_path, &shard.content_path)?;
    }
    Ok(())
}

pub(crate) fn store_column(store: &ColumnStore, sample: &Sample, index: u16) {
    let mut writer = writer(store, sample, index);
    write_until(&mut writer, sample, index, sample.segments()).unwrap();
    writer.seal().unwrap();
}

/// Asserts that exactly these columns are served, with exactly the bytes that were written.
pub(crate) fn assert_serves(store: &ColumnStore, sample: &Sample, columns: &[u16]) {
    let held: Vec<u16> = store.holdings(&sample.id()).iter().map(ColumnIndex::get).collect();
    assert_eq!(held, columns, "holdings");
    for index in 0..7 {
        for segment in 0..sample.segments() {
            let read = store.read(&sample.id(), SegmentIndex(segment), column(index));
            if columns.contains(&index) {
                assert_eq!(read.unwrap(), sample.shard(segment, index));
            } else {
                assert!(matches!(read, Err(StoreError::NotHeld { .. })), "{read:?}");
            }
        }
    }
}
