//! No room: by the operator's quota, and by the file system.

use std::fs;
use std::os::unix::fs::symlink;

use pop_node::disk::{ColumnStore, StoreError};
use pop_wire::SegmentIndex;

use crate::sample::{
    QUOTA_BYTES, Sample, assert_serves, column, open, store_column, write_until, writer,
};

#[test]
fn the_quota_is_charged_when_a_column_is_opened_not_when_it_is_full() {
    let (first, second) = (Sample::with_segments(4, 1), Sample::with_segments(4, 2));
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    store_column(&store, &first, 0);
    let column_bytes = store.used_bytes();
    drop(store);

    let store = ColumnStore::open(directory.path(), 2 * column_bytes).unwrap();
    let open_column = writer(&store, &second, 0);
    assert_eq!(store.used_bytes(), 2 * column_bytes);
    let refused = store.open_column(&second.manifest, column(1));
    assert!(
        matches!(
            refused,
            Err(StoreError::QuotaExceeded { needed_bytes, used_bytes, quota_bytes })
                if needed_bytes == column_bytes
                    && used_bytes == 2 * column_bytes
                    && quota_bytes == 2 * column_bytes
        ),
        "{refused:?}"
    );
    open_column.abandon().unwrap();
    store_column(&store, &second, 1);
    assert_serves(&store, &first, &[0]);
    assert_serves(&store, &second, &[1]);
}

#[test]
fn what_is_on_the_disk_is_within_what_the_quota_was_charged() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let sample = Sample::with_segments(9, 1);
    let mut disk_bytes = 0;
    for index in 0..7 {
        store_column(&store, &sample, index);
        disk_bytes += fs::metadata(sample.file(directory.path(), index, "column")).unwrap().len();
    }
    assert!(disk_bytes <= store.used_bytes());
}

#[test]
fn a_lowered_quota_keeps_what_is_held_and_refuses_more() {
    let (first, second) = (Sample::with_segments(4, 1), Sample::with_segments(4, 2));
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    store_column(&store, &first, 0);
    drop(store);
    let store = ColumnStore::open(directory.path(), 1).unwrap();
    assert_serves(&store, &first, &[0]);
    let refused = store.open_column(&second.manifest, column(0));
    assert!(matches!(refused, Err(StoreError::QuotaExceeded { .. })), "{refused:?}");
}

#[test]
fn a_content_too_large_for_any_quota_is_refused_without_overflow() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let huge = Sample::with_length((3 * 128 - 16) * (1 << 32), 1);
    let refused = store.open_column(&huge.manifest, column(0));
    assert!(matches!(refused, Err(StoreError::QuotaExceeded { .. })), "{refused:?}");
    let store_all = tempfile::tempdir().unwrap();
    let store = ColumnStore::open(store_all.path(), u64::MAX).unwrap();
    drop(writer(&store, &huge, 0));
}

/// `/dev/full` stands for the disk: it takes no byte.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_told_apart_and_the_column_can_be_resumed_when_there_is_room() {
    let sample = Sample::with_segments(3, 1);
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    drop(writer(&store, &sample, 0));
    let part = sample.file(directory.path(), 0, "part");
    fs::remove_file(&part).unwrap();
    symlink("/dev/full", &part).unwrap();

    // The device reads as zeros without end, so nothing of it passes for a record.
    let mut on_full_disk = writer(&store, &sample, 0);
    for _ in 0..2 {
        let refused = write_until(&mut on_full_disk, &sample, 0, 1);
        assert!(matches!(refused, Err(StoreError::DiskFull { .. })), "{refused:?}");
        assert_eq!(on_full_disk.next_segment(), SegmentIndex(0));
    }
    assert!(store.is_writable(), "a full disk is no broken disk");
    assert_serves(&store, &sample, &[]);
    drop(on_full_disk);

    fs::remove_file(&part).unwrap();
    store_column(&store, &sample, 0);
    assert_serves(&store, &sample, &[0]);
    drop(store);
    assert_serves(&ColumnStore::open(directory.path(), QUOTA_BYTES).unwrap(), &sample, &[0]);
}
