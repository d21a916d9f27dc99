//! A crash at every step of receiving a column. Dropping a store without sealing leaves the disk
//! as a kill does; what a power cut does beyond that is made by hand.

use std::fs;
use std::io::Write;

use pop_wire::SegmentIndex;

use crate::sample::{Sample, assert_serves, open, store_column, write_until, writer};

#[test]
fn a_crash_after_any_segment_is_resumed_there() {
    let sample = Sample::with_segments(6, 1);
    for crash_after in 0..=6 {
        let directory = tempfile::tempdir().unwrap();
        let store = open(directory.path());
        store_column(&store, &sample, 5);
        let mut first = writer(&store, &sample, 3);
        write_until(&mut first, &sample, 3, crash_after).unwrap();
        drop((first, store));

        let store = open(directory.path());
        assert_serves(&store, &sample, &[5]);
        let mut second = writer(&store, &sample, 3);
        assert_eq!(second.next_segment(), SegmentIndex(crash_after));
        write_until(&mut second, &sample, 3, 6).unwrap();
        second.seal().unwrap();
        assert_serves(&store, &sample, &[3, 5]);
        drop(store);
        assert_serves(&open(directory.path()), &sample, &[3, 5]);
    }
}

#[test]
fn a_partial_file_torn_at_any_byte_is_resumed_at_its_last_whole_record() {
    let sample = Sample::with_segments(3, 1);
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let mut first = writer(&store, &sample, 0);
    write_until(&mut first, &sample, 0, 3).unwrap();
    drop((first, store));
    let part = sample.file(directory.path(), 0, "part");
    let whole = fs::read(&part).unwrap();
    let mut resumed_at = Vec::new();
    for cut in (0..whole.len()).rev().step_by(7) {
        fs::write(&part, &whole[..cut]).unwrap();
        let store = open(directory.path());
        let mut resumed = writer(&store, &sample, 0);
        let next = resumed.next_segment().0;
        assert!(next <= 2, "a torn file is never whole");
        resumed_at.push(next);
        write_until(&mut resumed, &sample, 0, 3).unwrap();
        resumed.seal().unwrap();
        assert_serves(&store, &sample, &[0]);
        store.remove(&sample.id()).unwrap();
        drop(writer(&store, &sample, 0));
    }
    assert!(resumed_at.is_sorted_by(|a, b| a >= b));
    assert_eq!((resumed_at.first(), resumed_at.last()), (Some(&2), Some(&0)));
}

#[test]
fn a_partial_file_with_garbage_or_zeros_is_resumed_before_them() {
    let sample = Sample::with_segments(5, 1);
    for garbage in [&[0_u8; 400][..], &[0xa5; 400], b"x"] {
        let directory = tempfile::tempdir().unwrap();
        let store = open(directory.path());
        let mut first = writer(&store, &sample, 0);
        write_until(&mut first, &sample, 0, 2).unwrap();
        drop((first, store));
        // The file grew, as after a power cut that lost the data and kept the length.
        let part = sample.file(directory.path(), 0, "part");
        let mut file = fs::OpenOptions::new().append(true).open(&part).unwrap();
        file.write_all(garbage).unwrap();

        let store = open(directory.path());
        let mut resumed = writer(&store, &sample, 0);
        assert!(resumed.next_segment().0 <= 2);
        write_until(&mut resumed, &sample, 0, 5).unwrap();
        resumed.seal().unwrap();
        assert_serves(&store, &sample, &[0]);
        drop(store);
        assert_serves(&open(directory.path()), &sample, &[0]);
    }
}

#[test]
fn a_crash_between_rename_and_commit_is_not_served_but_resumed() {
    let sample = Sample::with_segments(4, 1);
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let mut first = writer(&store, &sample, 0);
    write_until(&mut first, &sample, 0, 4).unwrap();
    drop((first, store));
    let (part, whole) =
        (sample.file(directory.path(), 0, "part"), sample.file(directory.path(), 0, "column"));
    fs::rename(&part, &whole).unwrap();

    let store = open(directory.path());
    assert_serves(&store, &sample, &[]);
    let resumed = writer(&store, &sample, 0);
    assert!(resumed.is_complete(), "nothing has to be sent again");
    resumed.seal().unwrap();
    assert_serves(&store, &sample, &[0]);
}

#[test]
fn a_lost_partial_file_starts_from_the_first_segment() {
    let sample = Sample::with_segments(4, 1);
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let mut first = writer(&store, &sample, 0);
    write_until(&mut first, &sample, 0, 3).unwrap();
    drop((first, store));
    fs::remove_dir_all(directory.path().join("columns").join(sample.id().to_string())).unwrap();

    let store = open(directory.path());
    assert_eq!(writer(&store, &sample, 0).next_segment(), SegmentIndex(0));
    store_column(&store, &sample, 0);
    assert_serves(&store, &sample, &[0]);
}

#[test]
fn files_that_the_index_does_not_know_are_swept() {
    let (held, stray) = (Sample::with_segments(2, 1), Sample::with_segments(2, 2));
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    store_column(&store, &held, 0);
    drop(store);
    let strays = [
        held.file(directory.path(), 1, "part"),
        held.file(directory.path(), 2, "column"),
        held.file(directory.path(), 0, "part"),
        stray.file(directory.path(), 0, "column"),
    ];
    for stray in &strays {
        fs::create_dir_all(stray.parent().unwrap()).unwrap();
        fs::write(stray, b"left by a crash").unwrap();
    }
    let foreign = directory.path().join("columns/README");
    fs::write(&foreign, b"the operator's own").unwrap();

    let store = open(directory.path());
    for stray in &strays {
        assert!(!stray.exists(), "{}", stray.display());
    }
    assert!(foreign.exists());
    assert_serves(&store, &held, &[0]);
    assert_serves(&store, &stray, &[]);
}

#[test]
fn room_taken_by_partial_columns_is_still_charged_after_a_crash() {
    let sample = Sample::with_segments(4, 1);
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    store_column(&store, &sample, 0);
    drop(writer(&store, &sample, 1));
    let used_bytes = store.used_bytes();
    drop(store);
    assert_eq!(open(directory.path()).used_bytes(), used_bytes);
}
