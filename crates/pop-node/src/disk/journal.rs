//! The publisher's journal: what it takes to publish the same file again as the same content.
//!
//! A content key is random, so a publisher that is killed and started again would make another
//! content of the same file, and upload all of it. The journal keeps the key, the manifest once
//! it is signed and the columns that are safely placed, each on the disk before it is acted on.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use bytes::Bytes;
use pop_wire::{ColumnIndex, Manifest, PeerId, Signed, Verified};
use redb::{Database, ReadableDatabase, TableDefinition, WriteTransaction};
use zeroize::Zeroizing;

use super::StoreError;
use super::directory::{create_private, sync_directory};
use super::index::{commit, create_database, index_error};
use crate::clock;

/// Source to content key and salt, 32 bytes each.
const SECRETS: TableDefinition<'_, &[u8], &[u8; 64]> = TableDefinition::new("secrets");
/// Source to signed manifest.
const MANIFESTS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("manifests");
/// Source and column to the peer that keeps it.
const PLACED: TableDefinition<'_, (&[u8], u16), &[u8; 33]> = TableDefinition::new("placed");
/// Sources that are published.
const FINISHED: TableDefinition<'_, &[u8], ()> = TableDefinition::new("finished");

/// One version of one file: a changed file is another source, and becomes another content.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SourceFile {
    /// Absolute path without symbolic links.
    pub path: PathBuf,
    /// Length in bytes.
    pub length_bytes: u64,
    /// Time of the last change, in nanoseconds since 1970.
    pub modified_ns: u128,
}

/// How far publishing a source has come.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Publication {
    /// The content key. Whoever has it can read the content.
    pub content_key: Zeroizing<[u8; 32]>,
    /// The content's public salt.
    pub salt: [u8; 32],
    /// The signed manifest, once the source was encoded.
    pub manifest: Option<Verified<Manifest>>,
    /// Columns that a peer has acknowledged as stored, and that peer.
    pub placed: BTreeMap<ColumnIndex, PeerId>,
    /// Whether every column was placed and announced.
    pub finished: bool,
}

/// The publisher's journal. It may be open beside a running node of the same directory, but not
/// twice.
#[derive(Clone, Debug)]
pub struct PublishJournal {
    database: Arc<Database>,
    path: PathBuf,
}

impl SourceFile {
    /// Names the file at `path` as it is now.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] when it is not there or cannot be looked at.
    pub fn at(path: &Path) -> Result<Self, StoreError> {
        let read = |path: &Path| StoreError::io("read", path);
        let canonical = path.canonicalize().map_err(read(path))?;
        let metadata = canonical.metadata().map_err(read(path))?;
        let modified = metadata.modified().map_err(read(path))?;
        Ok(Self {
            path: canonical,
            length_bytes: metadata.len(),
            modified_ns: modified.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos()),
        })
    }

    fn key(&self) -> Vec<u8> {
        let mut key = Vec::new();
        key.extend_from_slice(&self.length_bytes.to_be_bytes());
        key.extend_from_slice(&self.modified_ns.to_be_bytes());
        key.extend_from_slice(self.path.as_os_str().as_bytes());
        key
    }
}

impl PublishJournal {
    /// Opens the journal in `data_dir`, which is created if need be.
    ///
    /// # Errors
    ///
    /// [`StoreError::Locked`] while another publisher has it open.
    pub fn open(data_dir: &Path) -> Result<Self, StoreError> {
        create_private(data_dir)?;
        let path = data_dir.join("publish.redb");
        let database = Arc::new(create_database(&path)?);
        sync_directory(data_dir)?;
        let journal = Self { database, path };
        journal.write(|transaction| {
            transaction.open_table(SECRETS)?;
            transaction.open_table(MANIFESTS)?;
            transaction.open_table(PLACED)?;
            transaction.open_table(FINISHED)?;
            Ok(())
        })?;
        Ok(journal)
    }

    /// What the journal knows of `source`, or `None`.
    ///
    /// # Errors
    ///
    /// [`StoreError::Index`] when the journal cannot be read.
    pub fn lookup(&self, source: &SourceFile) -> Result<Option<Publication>, StoreError> {
        let key = source.key();
        let rows = self.read_rows(&key).map_err(|error| index_error(&self.path, error))?;
        let Some(rows) = rows else {
            return Ok(None);
        };
        let broken = |problem: String| StoreError::Index { problem };
        let (content_key, salt) = rows.secrets.split_at(32);
        let secret = |bytes: &[u8]| -> [u8; 32] {
            bytes.try_into().expect("both halves of 64 bytes are 32")
        };
        let manifest = rows
            .manifest
            .map(|envelope| {
                Signed::<Manifest>::decode(Bytes::from(envelope)).and_then(Signed::verify)
            })
            .transpose()
            .map_err(|error| broken(format!("manifest of {}: {error}", source.path.display())))?;
        let mut placed = BTreeMap::new();
        for (column, peer) in rows.placed {
            let row = ColumnIndex::new(column)
                .and_then(|column| PeerId::from_public_key(&peer).map(|peer| (column, peer)));
            let (column, peer) = row
                .map_err(|error| broken(format!("column of {}: {error}", source.path.display())))?;
            placed.insert(column, peer);
        }
        Ok(Some(Publication {
            content_key: Zeroizing::new(secret(content_key)),
            salt: secret(salt),
            manifest,
            placed,
            finished: rows.finished,
        }))
    }

    /// Finds or starts the publication of `source`. A new one gets a random key and salt, which
    /// are on the disk when this returns.
    ///
    /// # Errors
    ///
    /// [`StoreError::DiskFull`], [`StoreError::NoEntropy`], [`StoreError::Index`].
    pub fn begin(&self, source: &SourceFile) -> Result<Publication, StoreError> {
        if let Some(known) = self.lookup(source)? {
            return Ok(known);
        }
        let content_key = Zeroizing::new(clock::random_bytes()?);
        let salt = clock::random_bytes()?;
        let mut secrets = Zeroizing::new([0; 64]);
        secrets[..32].copy_from_slice(content_key.as_slice());
        secrets[32..].copy_from_slice(&salt);
        let key = source.key();
        self.write(|transaction| {
            transaction.open_table(SECRETS)?.insert(key.as_slice(), &*secrets)?;
            Ok(())
        })?;
        Ok(Publication {
            content_key,
            salt,
            manifest: None,
            placed: BTreeMap::new(),
            finished: false,
        })
    }

    /// The source was encoded under the begun key and salt, and this manifest signed.
    ///
    /// # Errors
    ///
    /// As [`PublishJournal::begin`].
    pub fn encoded(
        &self,
        source: &SourceFile,
        manifest: &Verified<Manifest>,
    ) -> Result<(), StoreError> {
        let key = source.key();
        let envelope = manifest.signed().encode();
        self.write(|transaction| {
            transaction.open_table(MANIFESTS)?.insert(key.as_slice(), envelope.as_ref())?;
            Ok(())
        })
    }

    /// `peer` has acknowledged that it stored `column` durably.
    ///
    /// # Errors
    ///
    /// As [`PublishJournal::begin`].
    pub fn placed(
        &self,
        source: &SourceFile,
        column: ColumnIndex,
        peer: &PeerId,
    ) -> Result<(), StoreError> {
        let key = source.key();
        self.write(|transaction| {
            transaction
                .open_table(PLACED)?
                .insert((key.as_slice(), column.get()), peer.public_key())?;
            Ok(())
        })
    }

    /// Everything is placed and announced. The entry stays, so that publishing the same file
    /// again gives the same link.
    ///
    /// # Errors
    ///
    /// As [`PublishJournal::begin`].
    pub fn finish(&self, source: &SourceFile) -> Result<(), StoreError> {
        let key = source.key();
        self.write(|transaction| {
            transaction.open_table(FINISHED)?.insert(key.as_slice(), ())?;
            Ok(())
        })
    }

    /// Forgets `source` with its key, for publishing it anew as another content.
    ///
    /// # Errors
    ///
    /// As [`PublishJournal::begin`].
    pub fn forget(&self, source: &SourceFile) -> Result<(), StoreError> {
        let key = source.key();
        let key = key.as_slice();
        self.write(|transaction| {
            transaction.open_table(SECRETS)?.remove(key)?;
            transaction.open_table(MANIFESTS)?.remove(key)?;
            transaction.open_table(FINISHED)?.remove(key)?;
            let mut placed = transaction.open_table(PLACED)?;
            placed.retain_in((key, 0)..=(key, u16::MAX), |_, _| false)?;
            Ok(())
        })
    }

    fn read_rows(&self, key: &[u8]) -> Result<Option<Rows>, redb::Error> {
        let transaction = self.database.begin_read()?;
        let Some(secrets) = transaction.open_table(SECRETS)?.get(key)? else {
            return Ok(None);
        };
        let manifest = transaction.open_table(MANIFESTS)?.get(key)?;
        let mut placed = Vec::new();
        for row in transaction.open_table(PLACED)?.range((key, 0)..=(key, u16::MAX))? {
            let (column, peer) = row?;
            placed.push((column.value().1, *peer.value()));
        }
        Ok(Some(Rows {
            secrets: Zeroizing::new(*secrets.value()),
            manifest: manifest.map(|envelope| envelope.value().to_vec()),
            placed,
            finished: transaction.open_table(FINISHED)?.get(key)?.is_some(),
        }))
    }

    fn write(
        &self,
        change: impl FnOnce(&WriteTransaction) -> Result<(), redb::Error>,
    ) -> Result<(), StoreError> {
        commit(&self.database, change).map_err(|error| index_error(&self.path, error))
    }
}

struct Rows {
    secrets: Zeroizing<[u8; 64]>,
    manifest: Option<Vec<u8>>,
    placed: Vec<(u16, [u8; 33])>,
    finished: bool,
}
