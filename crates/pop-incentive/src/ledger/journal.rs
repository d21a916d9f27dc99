//! The journal's records, their chain, and the anchor that tells a rolled-back tail.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use pop_wire::{Digest, UnixTime};

use crate::ledger::account::Entry;
use crate::ledger::audit::AuditError;
use crate::ledger::codec::{DecodeError, Field, Reader, put_length};
use crate::ledger::head::Head;
use crate::ledger::limits::{ENTRIES_MAX, OPERATION_BYTES_MAX};
use crate::ledger::refusal::Refusal;
use crate::ledger::signed::{Receipt, SignedOperation};

const RECORD_CONTEXT: &str = "POP 2026 ledger record v1";
const ANCHOR_CONTEXT: &str = "POP 2026 ledger anchor v1";

impl Head {
    /// Of an empty journal.
    pub(crate) fn empty(ledger: [u8; 32]) -> Self {
        Self { count: 0, hash: blake3::derive_key(RECORD_CONTEXT, &ledger) }
    }

    pub(crate) fn after(self, record: &[u8]) -> Self {
        Self {
            count: self.count.saturating_add(1),
            hash: blake3::derive_key(RECORD_CONTEXT, record),
        }
    }
}

/// One record of the journal.
pub(crate) struct JournalRecord {
    pub(crate) before: Head,
    pub(crate) time: UnixTime,
    pub(crate) operation: SignedOperation,
    pub(crate) entries: Vec<Entry>,
}

impl JournalRecord {
    pub(crate) fn encode(before: Head, operation: &SignedOperation, receipt: &Receipt) -> Vec<u8> {
        let mut out = Vec::new();
        before.count.put(&mut out);
        Digest(before.hash).put(&mut out);
        receipt.time.0.put(&mut out);
        operation.encode().put(&mut out);
        put_length(receipt.entries.len(), &mut out);
        receipt.entries.iter().for_each(|entry| entry.put(&mut out));
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let count = Field::take(&mut reader)?;
        let Digest(hash) = Field::take(&mut reader)?;
        let time = UnixTime(Field::take(&mut reader)?);
        let length = reader.length("operation", OPERATION_BYTES_MAX)?;
        let operation = SignedOperation::decode(reader.slice("operation", length)?)?;
        let entries = reader.length("entries", ENTRIES_MAX)?;
        let entries = (0..entries).map(|_| Entry::take(&mut reader)).collect::<Result<_, _>>()?;
        reader.finish()?;
        Ok(Self { before: Head { count, hash }, time, operation, entries })
    }
}

/// Keeps the head of a journal apart from it. Whoever restores an old copy of the journal does
/// not restore this, and is found out.
pub trait HeadAnchor: fmt::Debug + Send {
    /// The head that was stored last, if any was.
    ///
    /// # Errors
    /// It can't be read, or is not what was stored.
    fn load(&self) -> io::Result<Option<Head>>;

    /// Store a head. When this returns it is there to stay; a crash leaves the old or the new.
    ///
    /// # Errors
    /// It can't be stored.
    fn store(&mut self, head: Head) -> io::Result<()>;
}

/// A head in a small file: written beside it, synced, renamed, and the folder synced.
#[derive(Debug)]
pub struct FileAnchor {
    path: PathBuf,
}

impl FileAnchor {
    /// In a file at `path`, which need not exist yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }
}

impl HeadAnchor for FileAnchor {
    fn load(&self) -> io::Result<Option<Head>> {
        let bytes = match fs::read(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            read => read?,
        };
        let invalid = || io::Error::new(io::ErrorKind::InvalidData, "not an anchor of a journal");
        let (body, checksum) = bytes.split_at_checked(40).ok_or_else(invalid)?;
        if blake3::derive_key(ANCHOR_CONTEXT, body) != *checksum {
            return Err(invalid());
        }
        let mut reader = Reader::new(body);
        let count = Field::take(&mut reader).map_err(|_: DecodeError| invalid())?;
        let hash = reader.array("hash").map_err(|_| invalid())?;
        Ok(Some(Head { count, hash }))
    }

    fn store(&mut self, head: Head) -> io::Result<()> {
        let mut bytes = head.count.to_be_bytes().to_vec();
        bytes.extend_from_slice(&head.hash);
        bytes.extend_from_slice(&blake3::derive_key(ANCHOR_CONTEXT, &bytes));
        let temporary = self.path.with_extension("head-new");
        let mut file = File::create(&temporary)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, &self.path)?;
        match self.path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            Some(folder) => File::open(folder)?.sync_all(),
            None => File::open(Path::new("."))?.sync_all(),
        }
    }
}

/// Why a journal can't be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// The operation was refused; nothing changed.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The disk or the database on it. What was submitted last may have taken effect or not: open
    /// the ledger again and submit it again.
    #[error("journal: the storage failed")]
    Storage(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The anchor can't be read or stored.
    #[error("journal: the anchor failed")]
    Anchor(#[source] io::Error),
    /// The storage failed before: nothing is taken until the ledger is opened again.
    #[error("journal: stopped after a failure of the storage; open it again")]
    Stopped,
    /// Written by a newer version of this program.
    #[error("journal: expected format {expected}, got {got}")]
    Format {
        /// The one that is known.
        expected: u64,
        /// The file's.
        got: u64,
    },
    /// The file is of another ledger, or of other parameters.
    #[error("journal: of another ledger")]
    OtherLedger,
    /// A record in the middle is missing.
    #[error("journal: expected record {expected}, got {got}")]
    Gap {
        /// Which should come.
        expected: u64,
        /// Which came.
        got: u64,
    },
    /// A record doesn't follow the one before it: one of them was changed.
    #[error("journal: record {sequence} doesn't follow the one before it")]
    Chain {
        /// Which.
        sequence: u64,
    },
    /// A record is no record.
    #[error("journal: record {sequence} can't be read")]
    Record {
        /// Which.
        sequence: u64,
        /// Why.
        source: DecodeError,
    },
    /// A record's operation doesn't do what the record says.
    #[error("journal: record {sequence} doesn't fold to its entries")]
    Fold {
        /// Which.
        sequence: u64,
    },
    /// The journal ends before its anchor: its tail was cut off, or an old copy restored.
    #[error("journal: expected at least {expected} records, got {got}: the tail is missing")]
    RolledBack {
        /// The anchor's.
        expected: u64,
        /// The journal's.
        got: u64,
    },
    /// The journal is long enough for its anchor, but another one.
    #[error("journal: record {sequence} is not the one that the anchor names")]
    OtherTail {
        /// The anchor's last record.
        sequence: u64,
    },
    /// There are records and no anchor.
    #[error("journal: the anchor of {count} records is missing")]
    AnchorMissing {
        /// How many records.
        count: u64,
    },
    /// The books don't balance.
    #[error(transparent)]
    Audit(#[from] AuditError),
}
