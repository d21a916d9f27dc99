//! What can go wrong with the disk. Nothing here is a remote peer's fault, except
//! [`StoreError::WrongShape`], [`StoreError::OutOfOrder`] and [`StoreError::Incomplete`], which
//! say that an upload does not fit its manifest.

use std::io;
use std::path::{Path, PathBuf};

use pop_wire::{ColumnIndex, ContentId, SegmentIndex};

/// Why the store refused or failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Another process uses the data directory.
    #[error("{path} is in use by another process: stop that node or choose another --data-dir")]
    Locked {
        /// The data directory's lock file.
        path: PathBuf,
    },
    /// A column would go over the operator's quota.
    #[error(
        "quota: {used_bytes} of {quota_bytes} bytes are taken, expected {needed_bytes} more to be \
         free"
    )]
    QuotaExceeded {
        /// Bytes of the new column.
        needed_bytes: u64,
        /// Bytes taken.
        used_bytes: u64,
        /// Bytes allowed.
        quota_bytes: u64,
    },
    /// The file system has no room. What was written stays and can be resumed.
    #[error("no space left on the disk at {path}")]
    DiskFull {
        /// What was being written.
        path: PathBuf,
    },
    /// Data could not be forced to the disk earlier; nothing more is written until a restart.
    #[error("the disk failed to store data earlier: writing is off until the node is restarted")]
    WritesOff,
    /// We do not keep this column.
    #[error("{column} of {content} is not held")]
    NotHeld {
        /// The content.
        content: ContentId,
        /// The column.
        column: ColumnIndex,
    },
    /// Another writer is filling this column.
    #[error("{column} of {content} is being written already")]
    Busy {
        /// The content.
        content: ContentId,
        /// The column.
        column: ColumnIndex,
    },
    /// Bytes on the disk are not what was written; the column is quarantined.
    #[error("{segment} of {column} of {content} is damaged on the disk")]
    Damaged {
        /// The content.
        content: ContentId,
        /// The column.
        column: ColumnIndex,
        /// The segment.
        segment: SegmentIndex,
    },
    /// The manifest describes no content that can exist: the publisher's fault.
    #[error(transparent)]
    BadLayout(#[from] pop_erasure::LayoutError),
    /// A number or length does not fit the content's manifest.
    #[error("{what}: expected {expected}, got {got}")]
    WrongShape {
        /// What does not fit.
        what: &'static str,
        /// What the manifest says.
        expected: u64,
        /// What was given.
        got: u64,
    },
    /// Segments of a column are written in order.
    #[error("expected {expected}, got {got}")]
    OutOfOrder {
        /// The segment that comes next.
        expected: SegmentIndex,
        /// The segment given.
        got: SegmentIndex,
    },
    /// A column was sealed before its last segment.
    #[error("column of {expected} segments sealed after {got}")]
    Incomplete {
        /// Segments of the content.
        expected: u64,
        /// Segments written.
        got: u64,
    },
    /// The directory was written by a newer version.
    #[error("{path} has format {got}, this version reads up to {expected}: upgrade the node")]
    NewerFormat {
        /// The file.
        path: PathBuf,
        /// Newest format we read.
        expected: u64,
        /// The file's format.
        got: u64,
    },
    /// The index cannot be read or written.
    #[error("index: {problem}")]
    Index {
        /// What the index said.
        problem: String,
    },
    /// The identity file is missing.
    #[error("no identity at {path}: run `pop-node init` first")]
    NoIdentity {
        /// Where it was expected.
        path: PathBuf,
    },
    /// There is an identity already.
    #[error("{path} exists already and is kept: it is this node's identity and wallet")]
    IdentityExists {
        /// The file.
        path: PathBuf,
    },
    /// Others can read the secret key.
    #[error("{path} can be read by others (mode {mode:o}): run `chmod 600 {path}`")]
    LooseMode {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The identity file is no secret key.
    #[error("{path} is not a secret key: expected 64 hex digits")]
    BadIdentity {
        /// The file.
        path: PathBuf,
    },
    /// The operating system gave no randomness for a key.
    #[error(transparent)]
    NoEntropy(#[from] crate::clock::NoEntropy),
    /// The operating system refused.
    #[error("cannot {action} {path}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

impl StoreError {
    /// Whether room was lacking: on the disk, or under the quota.
    #[must_use]
    pub fn is_full(&self) -> bool {
        matches!(self, Self::DiskFull { .. } | Self::QuotaExceeded { .. })
    }

    /// For `map_err`: an I/O error with what was tried, a full disk told apart.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_path_buf();
        move |source| match source.kind() {
            io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::FileTooLarge => Self::DiskFull { path },
            _ => Self::Io { action, path, source },
        }
    }
}
