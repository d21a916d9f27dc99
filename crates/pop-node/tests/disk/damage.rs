//! What the disk does to a column at rest.

use std::fs;
use std::io::{Seek, SeekFrom, Write};

use pop_node::disk::StoreError;
use pop_wire::SegmentIndex;

use crate::sample::{Sample, assert_serves, column, open, store_column};

#[test]
fn every_flipped_byte_is_found_and_never_served() {
    let sample = Sample::with_segments(3, 1);
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    store_column(&store, &sample, 0);
    let path = sample.file(directory.path(), 0, "column");
    let good = fs::read(&path).unwrap();
    let whole = |store: &pop_node::disk::ColumnStore| {
        (0..3).all(|segment| match store.read(&sample.id(), SegmentIndex(segment), column(0)) {
            Ok(read) => {
                assert_eq!(read, sample.shard(segment, 0), "damage was served");
                true
            }
            Err(_) => false,
        })
    };
    let mut harmless = 0;
    for position in 0..good.len() {
        let mut file = fs::OpenOptions::new().write(true).open(&path).unwrap();
        file.seek(SeekFrom::Start(u64::try_from(position).unwrap())).unwrap();
        file.write_all(&[good[position] ^ 0x10]).unwrap();
        if whole(&store) {
            // Room between records that belongs to none of them.
            harmless += 1;
            file.seek(SeekFrom::Start(u64::try_from(position).unwrap())).unwrap();
            file.write_all(&good[position..=position]).unwrap();
        } else {
            assert_serves(&store, &sample, &[]);
            assert_eq!(store.quarantined(), [(sample.id(), column(0))]);
            store_column(&store, &sample, 0);
            assert_eq!(store.quarantined(), []);
        }
    }
    assert!(harmless <= 3 * 64, "{harmless} of {} bytes are not guarded", good.len());
}

#[test]
fn a_damaged_column_stays_quarantined_after_a_restart_and_the_others_are_served() {
    let sample = Sample::with_segments(3, 1);
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    store_column(&store, &sample, 0);
    store_column(&store, &sample, 1);
    let path = sample.file(directory.path(), 0, "column");
    let mut bytes = fs::read(&path).unwrap();
    bytes[10] ^= 1;
    fs::write(&path, bytes).unwrap();
    let read = store.read(&sample.id(), SegmentIndex(0), column(0));
    assert!(matches!(read, Err(StoreError::Damaged { .. })), "{read:?}");
    drop(store);
    let store = open(directory.path());
    assert_serves(&store, &sample, &[1]);
    assert_eq!(store.quarantined(), [(sample.id(), column(0))]);
}

#[test]
fn records_that_changed_places_are_found() {
    let sample = Sample::with_segments(4, 1);
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    store_column(&store, &sample, 0);
    let path = sample.file(directory.path(), 0, "column");
    let bytes = fs::read(&path).unwrap();
    let last = sample.shard(3, 0);
    let hashes = last.segment_path.len() + last.content_path.len();
    let stride = (bytes.len() - last.payload.len() - 32 * hashes - 8) / 3;
    let mut swapped = bytes.clone();
    swapped[..stride].copy_from_slice(&bytes[stride..2 * stride]);
    fs::write(&path, swapped).unwrap();
    let read = store.read(&sample.id(), SegmentIndex(0), column(0));
    assert!(matches!(read, Err(StoreError::Damaged { .. })), "{read:?}");
}

#[test]
fn a_truncated_or_missing_column_is_quarantined_when_the_store_opens() {
    let sample = Sample::with_segments(3, 1);
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    for index in 0..3 {
        store_column(&store, &sample, index);
    }
    drop(store);
    let truncated = sample.file(directory.path(), 0, "column");
    let bytes = fs::read(&truncated).unwrap();
    fs::write(&truncated, &bytes[..bytes.len() - 1]).unwrap();
    fs::remove_file(sample.file(directory.path(), 1, "column")).unwrap();

    let store = open(directory.path());
    assert_serves(&store, &sample, &[2]);
    assert_eq!(store.quarantined(), [(sample.id(), column(0)), (sample.id(), column(1))]);
    store_column(&store, &sample, 0);
    store_column(&store, &sample, 1);
    assert_serves(&store, &sample, &[0, 1, 2]);
}

#[test]
fn a_column_deleted_under_a_running_store_is_reported() {
    let sample = Sample::with_segments(3, 1);
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    store_column(&store, &sample, 0);
    fs::remove_file(sample.file(directory.path(), 0, "column")).unwrap();
    let read = store.read(&sample.id(), SegmentIndex(1), column(0));
    assert!(matches!(read, Err(StoreError::Damaged { .. })), "{read:?}");
    assert_serves(&store, &sample, &[]);
}
