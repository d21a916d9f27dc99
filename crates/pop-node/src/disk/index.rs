//! The index of the column store: which columns exist in which state, in redb.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use pop_wire::{ColumnIndex, ContentId, Manifest, Signed, Verified};
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction};

use super::StoreError;

/// The format of the directory; grows with every change that older versions cannot read.
const FORMAT: u64 = 1;
/// redb's default cache is 1 GiB; this index is a few kilobytes a content.
const CACHE_BYTES: usize = 8 << 20;

const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
const MANIFESTS: TableDefinition<'_, &[u8; 32], &[u8]> = TableDefinition::new("manifests");
const COLUMNS: TableDefinition<'_, (&[u8; 32], u16), u8> = TableDefinition::new("columns");

/// How far a column is. The numbers are the stored form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum ColumnState {
    /// Charged to the quota; its file is partial or not there yet.
    Receiving = 1,
    /// Whole and served.
    Sealed = 2,
    /// Found damaged: never served, kept until it is replaced or removed.
    Quarantined = 3,
}

impl ColumnState {
    const ALL: [Self; 3] = [Self::Receiving, Self::Sealed, Self::Quarantined];

    fn stored(self) -> u8 {
        match self {
            Self::Receiving => 1,
            Self::Sealed => 2,
            Self::Quarantined => 3,
        }
    }
}

/// What the index knows of one content.
#[derive(Debug)]
pub(super) struct IndexedContent {
    pub(super) manifest: Verified<Manifest>,
    pub(super) columns: BTreeMap<ColumnIndex, ColumnState>,
}

#[derive(Debug)]
pub(super) struct Index {
    database: Database,
    path: PathBuf,
}

impl Index {
    pub(super) fn open(path: PathBuf) -> Result<Self, StoreError> {
        let database = create_database(&path)?;
        let index = Self { database, path };
        let found = index.write(|transaction| {
            transaction.open_table(MANIFESTS)?;
            transaction.open_table(COLUMNS)?;
            let mut meta = transaction.open_table(META)?;
            let found = meta.get("format")?.map(|format| format.value());
            if found.is_none() {
                meta.insert("format", FORMAT)?;
            }
            Ok(found.unwrap_or(FORMAT))
        })?;
        if found > FORMAT {
            return Err(StoreError::NewerFormat { path: index.path, expected: FORMAT, got: found });
        }
        Ok(index)
    }

    /// Reads everything, verifying every manifest again.
    pub(super) fn load(&self) -> Result<BTreeMap<ContentId, IndexedContent>, StoreError> {
        let (manifests, columns) = self.read_rows().map_err(|error| self.error(error))?;
        let mut contents = BTreeMap::new();
        for (id, envelope) in manifests {
            let manifest = Signed::<Manifest>::decode(Bytes::from(envelope))
                .and_then(Signed::verify)
                .map_err(|error| StoreError::Index {
                    problem: format!("manifest of {id}: {error}"),
                })?;
            let columns = BTreeMap::new();
            contents.insert(id, IndexedContent { manifest, columns });
        }
        for ((id, column), stored) in columns {
            let state = ColumnState::ALL.into_iter().find(|state| state.stored() == stored);
            let (Some(state), Ok(column), Some(content)) =
                (state, ColumnIndex::new(column), contents.get_mut(&id))
            else {
                return Err(StoreError::Index {
                    problem: format!("impossible row for column {column} of {id}"),
                });
            };
            content.columns.insert(column, state);
        }
        Ok(contents)
    }

    #[expect(clippy::type_complexity, reason = "rows of two tables, used once")]
    fn read_rows(
        &self,
    ) -> Result<(Vec<(ContentId, Vec<u8>)>, Vec<((ContentId, u16), u8)>), redb::Error> {
        let transaction = self.database.begin_read()?;
        let mut manifests = Vec::new();
        for row in transaction.open_table(MANIFESTS)?.iter()? {
            let (id, envelope) = row?;
            manifests.push((ContentId(*id.value()), envelope.value().to_vec()));
        }
        let mut columns = Vec::new();
        for row in transaction.open_table(COLUMNS)?.iter()? {
            let (key, state) = row?;
            let (id, column) = key.value();
            columns.push(((ContentId(*id), column), state.value()));
        }
        Ok((manifests, columns))
    }

    /// Records a column's state, and its content's manifest with it.
    pub(super) fn put(
        &self,
        manifest: &Verified<Manifest>,
        column: ColumnIndex,
        state: ColumnState,
    ) -> Result<(), StoreError> {
        let id = manifest.content_id();
        self.write(|transaction| {
            let envelope = manifest.signed().encode();
            transaction.open_table(MANIFESTS)?.insert(&id.0, envelope.as_ref())?;
            transaction.open_table(COLUMNS)?.insert((&id.0, column.get()), state.stored())?;
            Ok(())
        })
    }

    /// Forgets columns, and the manifest too if `with_manifest`.
    pub(super) fn delete(
        &self,
        id: &ContentId,
        columns: &[ColumnIndex],
        with_manifest: bool,
    ) -> Result<(), StoreError> {
        self.write(|transaction| {
            let mut table = transaction.open_table(COLUMNS)?;
            for column in columns {
                table.remove((&id.0, column.get()))?;
            }
            if with_manifest {
                transaction.open_table(MANIFESTS)?.remove(&id.0)?;
            }
            Ok(())
        })
    }

    /// One transaction, on the disk when it returns. Two-phase commit: with redb's default, two
    /// crashes in a row could roll back what was acknowledged.
    fn write<T>(
        &self,
        change: impl FnOnce(&WriteTransaction) -> Result<T, redb::Error>,
    ) -> Result<T, StoreError> {
        commit(&self.database, change).map_err(|error| self.error(error))
    }

    fn error(&self, error: redb::Error) -> StoreError {
        index_error(&self.path, error)
    }
}

/// Opens or creates a database file for the owner only.
pub(super) fn create_database(path: &Path) -> Result<Database, StoreError> {
    use std::os::unix::fs::OpenOptionsExt;

    let file = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(super::directory::FILE_MODE)
        .open(path)
        .map_err(StoreError::io("open", path))?;
    Database::builder().set_cache_size(CACHE_BYTES).create_file(file).map_err(|error| match error {
        redb::DatabaseError::DatabaseAlreadyOpen => StoreError::Locked { path: path.to_path_buf() },
        other => index_error(path, other.into()),
    })
}

/// Runs `change` in one durable two-phase transaction.
pub(super) fn commit<T>(
    database: &Database,
    change: impl FnOnce(&WriteTransaction) -> Result<T, redb::Error>,
) -> Result<T, redb::Error> {
    let mut transaction = database.begin_write()?;
    transaction.set_two_phase_commit(true);
    let value = change(&transaction)?;
    transaction.commit()?;
    Ok(value)
}

pub(super) fn index_error(path: &Path, error: redb::Error) -> StoreError {
    match error {
        redb::Error::Io(source) => StoreError::io("write", path)(source),
        other => StoreError::Index { problem: other.to_string() },
    }
}
