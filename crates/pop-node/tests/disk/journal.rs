//! Publishing the same file again after a kill, and finding what is done already.

use std::fs;

use pop_node::disk::{PublishJournal, SourceFile, StoreError};
use pop_wire::Keypair;

use crate::sample::{Sample, column};

#[test]
fn a_killed_publisher_finds_its_key_manifest_and_placed_columns() {
    let directory = tempfile::tempdir().unwrap();
    let film = directory.path().join("film.mp4");
    fs::write(&film, b"film").unwrap();
    let source = SourceFile::at(&film).unwrap();
    let sample = Sample::with_segments(3, 1);
    let peer = Keypair::from_secret_bytes(&[9; 32]).unwrap().peer_id();
    let data_dir = directory.path().join("data");

    let journal = PublishJournal::open(&data_dir).unwrap();
    assert!(journal.lookup(&source).unwrap().is_none());
    let begun = journal.begin(&source).unwrap();
    assert!(begun.manifest.is_none() && begun.placed.is_empty() && !begun.finished);
    drop(journal);

    let journal = PublishJournal::open(&data_dir).unwrap();
    let again = journal.begin(&source).unwrap();
    assert_eq!(again.content_key, begun.content_key);
    assert_eq!(again.salt, begun.salt);
    journal.encoded(&source, &sample.manifest).unwrap();
    journal.placed(&source, column(0), &peer).unwrap();
    journal.placed(&source, column(6), &peer).unwrap();
    journal.placed(&source, column(6), &peer).unwrap();
    drop(journal);

    let journal = PublishJournal::open(&data_dir).unwrap();
    let resumed = journal.begin(&SourceFile::at(&film).unwrap()).unwrap();
    assert_eq!(resumed.content_key, begun.content_key);
    assert_eq!(resumed.manifest, Some(sample.manifest.clone()));
    assert_eq!(
        resumed.placed.into_iter().collect::<Vec<_>>(),
        [(column(0), peer), (column(6), peer)]
    );
    assert!(!resumed.finished);
    journal.finish(&source).unwrap();
    let finished = journal.lookup(&source).unwrap().unwrap();
    assert!(finished.finished);
    assert_eq!(finished.manifest, Some(sample.manifest));
}

#[test]
fn a_changed_file_is_another_source_with_another_key() {
    let directory = tempfile::tempdir().unwrap();
    let film = directory.path().join("film.mp4");
    fs::write(&film, b"film").unwrap();
    let before = SourceFile::at(&film).unwrap();
    fs::write(&film, b"longer film").unwrap();
    let after = SourceFile::at(&film).unwrap();
    assert_ne!(before, after);
    let journal = PublishJournal::open(directory.path()).unwrap();
    let (first, second) = (journal.begin(&before).unwrap(), journal.begin(&after).unwrap());
    assert_ne!(first.content_key, second.content_key);
    assert_ne!(first.salt, second.salt);
}

#[test]
fn another_way_to_write_the_path_is_the_same_source() {
    let directory = tempfile::tempdir().unwrap();
    let film = directory.path().join("film.mp4");
    fs::write(&film, b"film").unwrap();
    let link = directory.path().join("link.mp4");
    std::os::unix::fs::symlink(&film, &link).unwrap();
    let detour = directory.path().join("../").join(directory.path().file_name().unwrap());
    let source = SourceFile::at(&film).unwrap();
    assert_eq!(SourceFile::at(&link).unwrap(), source);
    assert_eq!(SourceFile::at(&detour.join("film.mp4")).unwrap(), source);
    let missing = SourceFile::at(&directory.path().join("missing.mp4"));
    assert!(matches!(missing, Err(StoreError::Io { .. })), "{missing:?}");
}

#[test]
fn a_forgotten_source_starts_anew_and_others_stay() {
    let directory = tempfile::tempdir().unwrap();
    let source = |name: &str| SourceFile { path: name.into(), length_bytes: 1, modified_ns: 1 };
    let peer = Keypair::from_secret_bytes(&[9; 32]).unwrap().peer_id();
    let journal = PublishJournal::open(directory.path()).unwrap();
    let first = journal.begin(&source("/a")).unwrap();
    let other = journal.begin(&source("/ab")).unwrap();
    journal.placed(&source("/a"), column(1), &peer).unwrap();
    journal.placed(&source("/ab"), column(2), &peer).unwrap();
    journal.forget(&source("/a")).unwrap();
    assert!(journal.lookup(&source("/a")).unwrap().is_none());
    let anew = journal.begin(&source("/a")).unwrap();
    assert_ne!(anew.content_key, first.content_key);
    assert!(anew.placed.is_empty());
    let kept = journal.lookup(&source("/ab")).unwrap().unwrap();
    assert_eq!(kept.content_key, other.content_key);
    assert_eq!(kept.placed.len(), 1);
}

#[test]
fn the_journal_is_open_once_and_closed_to_others() {
    use std::os::unix::fs::PermissionsExt;

    let directory = tempfile::tempdir().unwrap();
    let journal = PublishJournal::open(directory.path()).unwrap();
    let second = PublishJournal::open(directory.path());
    assert!(matches!(second, Err(StoreError::Locked { .. })), "{second:?}");
    let file = directory.path().join("publish.redb");
    assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
    // A node may run in the same directory.
    let _node = crate::sample::open(directory.path());
    drop(journal);
}
