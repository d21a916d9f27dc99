//! What the disk does to a column at rest.

use std::fs;

use pop_node::disk::StoreError;
use pop_wire::SegmentIndex;

use crate::sample::{Sample, assert_serves, column, open, store_column};

#[test]
fn a_flipped_byte_is_found_on_reading_and_its_column_can_be_replaced() {
    let sample = Sample::with_segments(3, 1);
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    store_column(&store, &sample, 0);
    let path = sample.file(directory.path(), 0, "column");
    // The first byte of a shard, of a path, of a checksum.
    let shard = sample.shard(0, 0);
    let hashes = shard.segment_path.len() + shard.content_path.len();
    for position in [0, shard.payload.len(), shard.payload.len() + 32 * hashes] {
        let mut bytes = fs::read(&path).unwrap();
        bytes[position] ^= 0x10;
        fs::write(&path, bytes).unwrap();
        let read = store.read(&sample.id(), SegmentIndex(0), column(0));
        assert!(matches!(read, Err(StoreError::Damaged { .. })), "{read:?}");
        assert_serves(&store, &sample, &[]);
        assert_eq!(store.quarantined(), [(sample.id(), column(0))]);
        store_column(&store, &sample, 0);
        assert_eq!(store.quarantined(), []);
        assert_serves(&store, &sample, &[0]);
    }
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
