//! Keys that are sold, keys that were bought and money that waits for one, each a file of its own in
//! `data_dir/keys` that only the owner can read.
//!
//! ```text
//! <content>.sale   content key || manifest: this publisher sells it
//! <content>.key    content key || manifest: bought
//! <content>.lock   index || lock || amount || deadline || manifest: locked, or about to be
//! ```
//!
//! Numbers are big endian, the manifest is its envelope. A file is whole or not there.

use std::fs::{self, File};
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use pop_erasure::ContentKey;
use pop_incentive::ids::LockId;
use pop_wire::limits::ENVELOPE_BYTES_MAX;
use pop_wire::{Amount, ContentId, Manifest, Signed, UnixTime, Verified};
use zeroize::Zeroizing;

use super::KeySaleError;
use crate::disk::{StoreError, create_private, remove_durably, write_once};
use crate::error::NodeError;

/// Bytes before the manifest in a file of a key.
const KEY_BYTES: usize = 32;

/// Bytes before the manifest in a file of a lock.
const LOCK_BYTES: usize = 8 + 32 + 16 + 8;

/// What a file is about, and the end of its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Sale,
    Bought,
    Pending,
}

impl Kind {
    fn extension(self) -> &'static str {
        match self {
            Self::Sale => "sale",
            Self::Bought => "key",
            Self::Pending => "lock",
        }
    }
}

/// The files of one data directory.
#[derive(Debug, Clone)]
pub(super) struct Shelf {
    folder: PathBuf,
}

/// A content key with the manifest that commits to it.
#[derive(Debug, Clone)]
pub(super) struct KeptKey {
    pub(super) key: ContentKey,
    pub(super) manifest: Verified<Manifest>,
}

/// Money that waits for a key.
#[derive(Debug, Clone)]
pub(super) struct PendingLock {
    /// Which of the buyer's locks.
    pub(super) index: u64,
    /// Its name on the ledger.
    pub(super) lock: LockId,
    /// What is in it.
    pub(super) amount: Amount,
    /// From when on it can be had back.
    pub(super) deadline: UnixTime,
    /// What the key is of.
    pub(super) manifest: Verified<Manifest>,
}

impl Shelf {
    pub(super) fn of(data_dir: &Path) -> Self {
        Self { folder: data_dir.join("keys") }
    }

    /// Contents whose keys are sold here.
    pub(super) fn on_sale(&self) -> Result<Vec<ContentId>, NodeError> {
        let entries = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(StoreError::io("read", &self.folder))?,
        };
        let mut contents = Vec::new();
        for entry in entries {
            let path = entry.map_err(StoreError::io("read", &self.folder))?.path();
            if path.extension().is_some_and(|it| it == Kind::Sale.extension()) {
                let name = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
                contents.extend(name.parse::<ContentId>());
            }
        }
        Ok(contents)
    }

    pub(super) fn sale(&self, content: ContentId) -> Result<Option<KeptKey>, NodeError> {
        self.kept(content, Kind::Sale)
    }

    pub(super) fn put_on_sale(&self, kept: &KeptKey) -> Result<(), NodeError> {
        self.keep(kept, Kind::Sale)
    }

    pub(super) fn bought(&self, content: ContentId) -> Result<Option<KeptKey>, NodeError> {
        self.kept(content, Kind::Bought)
    }

    pub(super) fn put_bought(&self, kept: &KeptKey) -> Result<(), NodeError> {
        self.keep(kept, Kind::Bought)
    }

    pub(super) fn pending(&self, content: ContentId) -> Result<Option<PendingLock>, NodeError> {
        let path = self.path(content, Kind::Pending);
        let Some(bytes) = read(&path, LOCK_BYTES)? else { return Ok(None) };
        let (head, envelope) = bytes.split_at(LOCK_BYTES);
        let (index, rest) = head.split_at(8);
        let (lock, rest) = rest.split_at(32);
        let (amount, deadline) = rest.split_at(16);
        Ok(Some(PendingLock {
            index: u64::from_be_bytes(array(index)),
            lock: LockId(array(lock)),
            amount: Amount::from_base_units(u128::from_be_bytes(array(amount))),
            deadline: UnixTime(u64::from_be_bytes(array(deadline))),
            manifest: manifest(&path, content, envelope)?,
        }))
    }

    /// Write down a lock before anybody hears of it; of one that is written down already nothing
    /// changes but what the ledger says of it.
    pub(super) fn put_pending(&self, pending: &PendingLock) -> Result<(), NodeError> {
        let content = pending.manifest.content_id();
        self.forget_pending(content)?;
        let mut bytes = Zeroizing::new(Vec::new());
        bytes.extend_from_slice(&pending.index.to_be_bytes());
        bytes.extend_from_slice(&pending.lock.0);
        bytes.extend_from_slice(&pending.amount.base_units().to_be_bytes());
        bytes.extend_from_slice(&pending.deadline.0.to_be_bytes());
        bytes.extend_from_slice(&pending.manifest.signed().encode());
        self.write(&self.path(content, Kind::Pending), &bytes)
    }

    pub(super) fn forget_pending(&self, content: ContentId) -> Result<(), NodeError> {
        let path = self.path(content, Kind::Pending);
        Ok(remove_durably(&path).map_err(StoreError::io("remove", &path))?)
    }

    fn path(&self, content: ContentId, kind: Kind) -> PathBuf {
        self.folder.join(format!("{content}.{}", kind.extension()))
    }

    fn kept(&self, content: ContentId, kind: Kind) -> Result<Option<KeptKey>, NodeError> {
        let path = self.path(content, kind);
        let Some(bytes) = read(&path, KEY_BYTES)? else { return Ok(None) };
        let (key, envelope) = bytes.split_at(KEY_BYTES);
        let manifest = manifest(&path, content, envelope)?;
        let key = ContentKey::from_bytes(array(key));
        if key.commitment(&manifest.salt) != manifest.key_commitment {
            return Err(damaged(&path, "its key is not the one that the manifest commits to"));
        }
        Ok(Some(KeptKey { key, manifest }))
    }

    /// A key never changes, so one that is there already is the same.
    fn keep(&self, kept: &KeptKey, kind: Kind) -> Result<(), NodeError> {
        let content = kept.manifest.content_id();
        if self.kept(content, kind)?.is_some() {
            return Ok(());
        }
        let mut bytes = Zeroizing::new(Vec::with_capacity(KEY_BYTES + ENVELOPE_BYTES_MAX));
        bytes.extend_from_slice(kept.key.expose_secret());
        bytes.extend_from_slice(&kept.manifest.signed().encode());
        self.write(&self.path(content, kind), &bytes)
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), NodeError> {
        create_private(&self.folder)?;
        match write_once(path, bytes) {
            // Somebody else of this directory was faster, with the same.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
            written => Ok(written.map_err(StoreError::io("write", path))?),
        }
    }
}

/// The bytes of a file that has at least `head` of them and a manifest.
fn read(path: &Path, head: usize) -> Result<Option<Zeroizing<Vec<u8>>>, NodeError> {
    let file = match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(StoreError::io("open", path))?,
    };
    let most = head + ENVELOPE_BYTES_MAX;
    let mut bytes = Zeroizing::new(Vec::with_capacity(most + 1));
    let limit = u64::try_from(most + 1).unwrap_or(u64::MAX);
    file.take(limit).read_to_end(&mut bytes).map_err(StoreError::io("read", path))?;
    if bytes.len() <= head || bytes.len() > most {
        return Err(damaged(path, "its length is wrong"));
    }
    Ok(Some(bytes))
}

fn manifest(
    path: &Path,
    content: ContentId,
    envelope: &[u8],
) -> Result<Verified<Manifest>, NodeError> {
    let read = Signed::<Manifest>::decode(Bytes::copy_from_slice(envelope));
    let manifest = read
        .and_then(Signed::verify)
        .map_err(|error| damaged(path, format!("its manifest can't be read: {error}")))?;
    match manifest.content_id() == content {
        true => Ok(manifest),
        false => Err(damaged(path, "its manifest is of another content")),
    }
}

fn damaged(path: &Path, problem: impl ToString) -> NodeError {
    KeySaleError::Damaged { path: path.to_path_buf(), problem: problem.to_string() }.into()
}

fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.try_into().expect("split off at this length")
}

#[cfg(test)]
mod tests;
