//! Writing columns one after the other, and every refusal on the way.

use pop_node::disk::{ColumnStore, OpenedColumn, StoreError};
use pop_wire::{Digest, SegmentIndex};

use crate::sample::{
    QUOTA_BYTES, Sample, assert_serves, column, open, store_column, write_until, writer,
};

#[test]
fn sealed_columns_are_served_as_they_were_written() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    for length_bytes in [0, 1, 100, 367, 368, 369, 736, 5000] {
        let sample = Sample::with_length(length_bytes, 1);
        store_column(&store, &sample, 0);
        store_column(&store, &sample, 6);
        assert_serves(&store, &sample, &[0, 6]);
        assert_eq!(store.manifest(&sample.id()), Some(sample.manifest.clone()));
    }
    assert_eq!(store.contents().len(), 8);
}

#[test]
fn nothing_is_served_before_the_seal() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let sample = Sample::with_segments(3, 1);
    let mut writer = writer(&store, &sample, 2);
    write_until(&mut writer, &sample, 2, 3).unwrap();
    assert_serves(&store, &sample, &[]);
    assert!(store.contents().is_empty());
    writer.seal().unwrap();
    assert_serves(&store, &sample, &[2]);
}

#[test]
fn a_held_column_is_not_written_again() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let sample = Sample::with_segments(2, 1);
    store_column(&store, &sample, 1);
    let opened = store.open_column(&sample.manifest, column(1)).unwrap();
    assert!(matches!(opened, OpenedColumn::Already));
}

#[test]
fn two_writers_of_one_column_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let sample = Sample::with_segments(2, 1);
    let first = writer(&store, &sample, 1);
    let second = store.open_column(&sample.manifest, column(1));
    assert!(matches!(second, Err(StoreError::Busy { .. })), "{second:?}");
    drop(first);
    store_column(&store, &sample, 1);
}

#[test]
fn a_dropped_writer_is_resumed_where_it_stopped() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let sample = Sample::with_segments(9, 1);
    let mut first = writer(&store, &sample, 4);
    write_until(&mut first, &sample, 4, 5).unwrap();
    drop(first);
    let mut second = writer(&store, &sample, 4);
    assert_eq!(second.next_segment(), SegmentIndex(5));
    write_until(&mut second, &sample, 4, 9).unwrap();
    second.seal().unwrap();
    assert_serves(&store, &sample, &[4]);
}

#[test]
fn what_does_not_fit_the_manifest_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let sample = Sample::with_segments(3, 1);
    let no_such = store.open_column(&sample.manifest, column(7));
    assert!(matches!(no_such, Err(StoreError::WrongShape { .. })), "{no_such:?}");

    let mut writer = writer(&store, &sample, 0);
    let shard = sample.shard(0, 0);
    let (payload, segment_path, content_path) =
        (&shard.payload, &shard.segment_path, &shard.content_path);
    let mut write = |segment, payload: &[u8], segment_path: &[Digest], content_path: &[Digest]| {
        writer.write(SegmentIndex(segment), payload, segment_path, content_path)
    };
    let early = write(1, payload, segment_path, content_path);
    assert!(matches!(early, Err(StoreError::OutOfOrder { .. })), "{early:?}");
    let outside = write(3, payload, segment_path, content_path);
    let short = write(0, &payload[1..], segment_path, content_path);
    let no_segment_path = write(0, payload, &[], content_path);
    let long_content_path = write(0, payload, segment_path, &[content_path[0]; 9]);
    for refused in [outside, short, no_segment_path, long_content_path] {
        assert!(matches!(refused, Err(StoreError::WrongShape { .. })), "{refused:?}");
    }
    write(0, payload, segment_path, content_path).unwrap();
    let replayed = write(0, payload, segment_path, content_path);
    assert!(matches!(replayed, Err(StoreError::OutOfOrder { .. })), "{replayed:?}");

    let incomplete = writer.seal();
    assert!(
        matches!(incomplete, Err(StoreError::Incomplete { expected: 3, got: 1 })),
        "{incomplete:?}"
    );
    assert_serves(&store, &sample, &[]);
}

#[test]
fn reading_outside_the_content_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let sample = Sample::with_segments(3, 1);
    store_column(&store, &sample, 0);
    let outside = store.read(&sample.id(), SegmentIndex(3), column(0));
    assert!(matches!(outside, Err(StoreError::WrongShape { .. })), "{outside:?}");
    let outside = store.read(&sample.id(), SegmentIndex(u64::MAX), column(0));
    assert!(matches!(outside, Err(StoreError::WrongShape { .. })), "{outside:?}");
}

#[test]
fn removed_content_is_gone_and_its_room_is_free() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let (kept, removed) = (Sample::with_segments(4, 1), Sample::with_segments(4, 2));
    store_column(&store, &kept, 0);
    let used_bytes = store.used_bytes();
    store_column(&store, &removed, 0);
    let mut writing = writer(&store, &removed, 1);
    write_until(&mut writing, &removed, 1, 4).unwrap();
    store.remove(&removed.id()).unwrap();
    assert_eq!(store.used_bytes(), used_bytes);
    assert_eq!(store.contents(), [kept.id()]);
    assert!(!directory.path().join("columns").join(removed.id().to_string()).exists());
    let sealed = writing.seal();
    assert!(matches!(sealed, Err(StoreError::NotHeld { .. })), "{sealed:?}");
    assert_serves(&store, &removed, &[]);
    assert_serves(&store, &kept, &[0]);
}

#[test]
fn a_late_writer_of_a_removed_column_does_not_seal_its_successor() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let sample = Sample::with_segments(3, 1);
    let mut late = writer(&store, &sample, 0);
    write_until(&mut late, &sample, 0, 3).unwrap();
    store.remove(&sample.id()).unwrap();
    let mut successor = writer(&store, &sample, 0);
    write_until(&mut successor, &sample, 0, 1).unwrap();
    assert!(late.seal().is_err());
    assert_serves(&store, &sample, &[]);
    write_until(&mut successor, &sample, 0, 3).unwrap();
    successor.seal().unwrap();
    assert_serves(&store, &sample, &[0]);
}

#[test]
fn an_abandoned_column_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let sample = Sample::with_segments(3, 1);
    let mut writer = writer(&store, &sample, 0);
    write_until(&mut writer, &sample, 0, 2).unwrap();
    writer.abandon().unwrap();
    assert_eq!(store.used_bytes(), 0);
    assert_eq!(store.manifest(&sample.id()), None);
    assert!(!sample.file(directory.path(), 0, "part").exists());
}

#[test]
fn only_idle_partial_columns_are_swept() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let sample = Sample::with_segments(3, 1);
    store_column(&store, &sample, 0);
    let active = writer(&store, &sample, 1);
    drop(writer(&store, &sample, 2));
    let written = std::fs::metadata(sample.file(directory.path(), 2, "part")).unwrap();
    let written = written.modified().unwrap();
    assert_eq!(store.sweep_partial(written).unwrap(), 0);
    let later = written + std::time::Duration::from_secs(60);
    assert_eq!(store.sweep_partial(later).unwrap(), 1);
    drop(active);
    assert_serves(&store, &sample, &[0]);
}

#[test]
fn a_second_process_cannot_open_the_directory() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let second = ColumnStore::open(directory.path(), QUOTA_BYTES);
    assert!(matches!(second, Err(StoreError::Locked { .. })), "{second:?}");
    drop(store);
    open(directory.path());
}

#[test]
fn only_the_owner_can_look_into_the_directory() {
    use std::os::unix::fs::PermissionsExt;

    let directory = tempfile::tempdir().unwrap();
    let data_dir = directory.path().join("fresh/data");
    let store = open(&data_dir);
    let sample = Sample::with_segments(2, 1);
    store_column(&store, &sample, 0);
    let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&data_dir), 0o700);
    assert_eq!(mode(&data_dir.join("columns")), 0o700);
    assert_eq!(mode(&data_dir.join("columns.redb")), 0o600);
    assert_eq!(mode(&sample.file(&data_dir, 0, "column")), 0o600);
}
