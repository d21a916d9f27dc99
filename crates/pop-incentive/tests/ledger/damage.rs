//! Journals that somebody damaged, exchanged or rolled back: each is told by its name.

use std::fs;
use std::path::Path;

use pop_incentive::ledger::{
    JournalError, LedgerParameters, LedgerState, LocalLedger, Operation, SignedOperation,
    no_equivocation_check,
};
use pop_wire::UnixTime;
use redb::{Database, ReadableTable as _, TableDefinition};

use crate::support::*;

const JOURNAL: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("journal");
const ABOUT: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("about");

/// A ledger of five operations in a folder of its own.
fn ledger_in(folder: &Path) {
    let mut ledger = LocalLedger::open(folder.join("ledger.redb"), small_ledger()).unwrap();
    for nonce in 0..5 {
        let mint = Operation::Mint { to: wallet(&key(9)), amount: units(nonce.into()) };
        let signed = SignedOperation::sign(mint, nonce, &operator(), &domain());
        ledger.submit_batch(UnixTime(nonce), &[signed]).unwrap();
    }
}

fn open(folder: &Path, empty: LedgerState) -> JournalError {
    LocalLedger::open(folder.join("ledger.redb"), empty).unwrap_err()
}

fn edit(folder: &Path, change: impl FnOnce(&redb::WriteTransaction)) {
    let database = Database::open(folder.join("ledger.redb")).unwrap();
    let write = database.begin_write().unwrap();
    change(&write);
    write.commit().unwrap();
}

fn change_record(folder: &Path, sequence: u64, place: usize) {
    edit(folder, |write| {
        let mut journal = write.open_table(JOURNAL).unwrap();
        let mut record = journal.get(sequence).unwrap().unwrap().value().to_vec();
        let place = if place < record.len() { place } else { record.len() - 1 };
        record[place] ^= 1;
        journal.insert(sequence, &record[..]).unwrap();
    });
}

#[test]
fn a_truncated_journal_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    ledger_in(folder.path());
    edit(folder.path(), |write| {
        write.open_table(JOURNAL).unwrap().remove(4).unwrap();
    });
    let error = open(folder.path(), small_ledger());
    assert!(matches!(error, JournalError::RolledBack { expected: 5, got: 4 }), "{error:?}");

    let path = folder.path().join("ledger.redb");
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    let error = open(folder.path(), small_ledger());
    assert!(matches!(error, JournalError::Storage(_)), "{error:?}");
}

#[test]
fn a_journal_whose_tail_was_rolled_back_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.redb");
    drop(LocalLedger::open(&path, small_ledger()).unwrap());
    let old = fs::read(&path).unwrap();
    ledger_in(folder.path());
    fs::write(&path, old).unwrap();
    let error = open(folder.path(), small_ledger());
    assert!(matches!(error, JournalError::RolledBack { expected: 5, got: 0 }), "{error:?}");

    fs::remove_file(&path).unwrap();
    let error = open(folder.path(), small_ledger());
    assert!(matches!(error, JournalError::RolledBack { expected: 5, got: 0 }), "{error:?}");
}

#[test]
fn a_missing_record_and_a_missing_anchor_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    ledger_in(folder.path());
    fs::remove_file(folder.path().join("ledger.head")).unwrap();
    let error = open(folder.path(), small_ledger());
    assert!(matches!(error, JournalError::AnchorMissing { count: 5 }), "{error:?}");
    fs::write(folder.path().join("ledger.head"), [0; 72]).unwrap();
    let error = open(folder.path(), small_ledger());
    assert!(matches!(error, JournalError::Anchor(_)), "{error:?}");

    let folder = tempfile::tempdir().unwrap();
    ledger_in(folder.path());
    edit(folder.path(), |write| {
        write.open_table(JOURNAL).unwrap().remove(2).unwrap();
    });
    let error = open(folder.path(), small_ledger());
    assert!(matches!(error, JournalError::Gap { expected: 2, got: 3 }), "{error:?}");
}

#[test]
fn a_changed_record_breaks_the_chain() {
    // In the number, the hash, the time, the length, the operation, and the entries.
    for place in [0, 20, 47, 49, 60, 200, usize::MAX] {
        let folder = tempfile::tempdir().unwrap();
        ledger_in(folder.path());
        change_record(folder.path(), 2, place);
        let error = open(folder.path(), small_ledger());
        let told = matches!(
            error,
            JournalError::Chain { .. } | JournalError::Record { .. } | JournalError::Fold { .. }
        );
        assert!(told, "{place}: {error:?}");
    }
    // The last record has none after it: the anchor tells.
    let folder = tempfile::tempdir().unwrap();
    ledger_in(folder.path());
    change_record(folder.path(), 4, 80);
    let error = open(folder.path(), small_ledger());
    assert!(matches!(error, JournalError::OtherTail { sequence: 4 }), "{error:?}");
}

#[test]
fn a_file_of_another_ledger_or_of_a_newer_format_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    ledger_in(folder.path());
    let parameters = LedgerParameters::new(wallet(&operator()));
    let other = LedgerState::new(domain(), parameters, no_equivocation_check).unwrap();
    let error = open(folder.path(), other);
    assert!(matches!(error, JournalError::OtherLedger), "{error:?}");
    edit(folder.path(), |write| {
        let mut about = write.open_table(ABOUT).unwrap();
        about.insert("format", &2_u64.to_be_bytes()[..]).unwrap();
    });
    let error = open(folder.path(), small_ledger());
    assert!(matches!(error, JournalError::Format { expected: 1, got: 2 }), "{error:?}");
}
