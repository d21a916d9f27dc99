//! The column store: what is held, what it may cost, and reading it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use bytes::BytesMut;
use pop_wire::{ColumnIndex, ColumnSet, ContentId, Manifest, SegmentIndex, Verified};

use super::column::OpenedColumn;
use super::directory::{DirectoryLock, create_private, sync_directory};
use super::index::{ColumnState, Index};
use super::layout::FileLayout;
use super::record::{RecordId, StoredShard};
use super::shared::{HeldColumn, HeldContent, Shared, State, content_dir};
use super::{StoreError, reconcile};

/// Columns of shards on one disk, under a quota. Clones share the store; every call may block.
///
/// ```no_run
/// use pop_node::disk::{ColumnStore, OpenedColumn};
/// # fn keep(
/// #     manifest: &pop_wire::Verified<pop_wire::Manifest>,
/// #     column: pop_wire::ColumnIndex,
/// #     shards: Vec<pop_node::disk::StoredShard>,
/// # ) -> Result<(), pop_node::disk::StoreError> {
/// let store = ColumnStore::open("/var/lib/pop-node".as_ref(), 10 << 30)?;
/// if let OpenedColumn::Writer(mut writer) = store.open_column(manifest, column)? {
///     for shard in shards {
///         let segment = writer.next_segment();
///         writer.write(segment, &shard.payload, &shard.segment_path, &shard.content_path)?;
///     }
///     writer.seal()?;
/// }
/// assert!(store.holdings(&manifest.content_id()).contains(column));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct ColumnStore {
    pub(super) shared: Arc<Shared>,
}

impl ColumnStore {
    /// Opens the store in `data_dir`, which is created if need be, and cleans up after a crash:
    /// whole columns are served again, partial ones can be resumed, strays are deleted.
    ///
    /// # Errors
    ///
    /// [`StoreError::Locked`] while another process has it open, [`StoreError::NewerFormat`],
    /// or what the file system says.
    pub fn open(data_dir: &Path, quota_bytes: u64) -> Result<Self, StoreError> {
        let lock = DirectoryLock::acquire(data_dir)?;
        let columns_dir = data_dir.join("columns");
        create_private(&columns_dir)?;
        let index = Index::open(data_dir.join("columns.redb"))?;
        sync_directory(data_dir)?;
        let mut state = State::default();
        for (id, indexed) in index.load()? {
            let layout = FileLayout::of(&indexed.manifest)?;
            let mut columns = BTreeMap::new();
            for (column, found) in indexed.columns {
                let directory = content_dir(&columns_dir, &id);
                let found = reconcile::column(&directory, column, found, &layout)?;
                if found == ColumnState::Quarantined {
                    index.put(&indexed.manifest, column, found)?;
                }
                let held = HeldColumn { state: found, writer: None };
                columns.insert(column, held);
                state.used_bytes = state.used_bytes.saturating_add(layout.column_bytes());
            }
            let manifest = indexed.manifest;
            state.contents.insert(id, HeldContent { manifest, layout, columns });
        }
        reconcile::remove_strays(&columns_dir, &state.contents)?;
        let shared = Shared {
            columns_dir,
            quota_bytes,
            index: Mutex::new(index),
            state: Mutex::new(state),
            writes_off: AtomicBool::new(false),
            _lock: lock,
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Starts or resumes keeping `column`. The whole column is charged to the quota now.
    ///
    /// # Errors
    ///
    /// [`StoreError::QuotaExceeded`], [`StoreError::Busy`] while another writer fills it,
    /// [`StoreError::WrongShape`] when the content has no such column, [`StoreError::WritesOff`].
    pub fn open_column(
        &self,
        manifest: &Verified<Manifest>,
        column: ColumnIndex,
    ) -> Result<OpenedColumn, StoreError> {
        OpenedColumn::open(&self.shared, manifest, column)
    }

    /// Reads one shard of a whole column: one positioned read, its checksum verified.
    ///
    /// # Errors
    ///
    /// [`StoreError::NotHeld`]; [`StoreError::Damaged`], after which the column is quarantined;
    /// [`StoreError::WrongShape`] when the content has no such segment.
    pub fn read(
        &self,
        content: &ContentId,
        segment: SegmentIndex,
        column: ColumnIndex,
    ) -> Result<StoredShard, StoreError> {
        let (layout, handle) = self.locate(content, column)?;
        let shape = layout.shape(segment, column)?;
        let file = match handle {
            Some(file) => file,
            None => self.open_file(content, segment, column)?,
        };
        let mut record = BytesMut::zeroed(shape.record_bytes());
        if let Err(source) = file.read_exact_at(&mut record, layout.offset(segment.0)) {
            tracing::error!(%content, %column, %segment, %source, "a held shard cannot be read");
            return Err(self.quarantine(content, segment, column));
        }
        let id = RecordId { content: *content, column, segment };
        id.decode(record, shape).ok_or_else(|| self.quarantine(content, segment, column))
    }

    /// The whole columns of `content` that are held.
    #[must_use]
    pub fn holdings(&self, content: &ContentId) -> ColumnSet {
        self.shared.state().contents.get(content).map(HeldContent::sealed).unwrap_or_default()
    }

    /// The manifest of a content of which a column is held or being received.
    #[must_use]
    pub fn manifest(&self, content: &ContentId) -> Option<Verified<Manifest>> {
        let state = self.shared.state();
        state.contents.get(content).map(|held| held.manifest.clone())
    }

    /// The contents of which at least one whole column is held, in ascending order.
    #[must_use]
    pub fn contents(&self) -> Vec<ContentId> {
        let state = self.shared.state();
        let held = state.contents.iter();
        held.filter(|(_, content)| !content.sealed().is_empty()).map(|(id, _)| *id).collect()
    }

    /// The columns that were found damaged and not replaced yet.
    #[must_use]
    pub fn quarantined(&self) -> Vec<(ContentId, ColumnIndex)> {
        let state = self.shared.state();
        let columns = state.contents.iter().flat_map(|(id, content)| {
            let held = content.columns.iter();
            held.filter(|(_, held)| held.state == ColumnState::Quarantined)
                .map(|(column, _)| (*id, *column))
        });
        columns.collect()
    }

    /// Deletes everything of `content`. Writers of its columns fail from now on.
    ///
    /// # Errors
    ///
    /// [`StoreError::WritesOff`], or what the file system says; the content is not served any
    /// more in either case but the first.
    pub fn remove(&self, content: &ContentId) -> Result<(), StoreError> {
        let index = self.shared.index();
        self.shared.refuse_if_writes_off()?;
        let columns: Vec<ColumnIndex> = match self.shared.state().contents.get(content) {
            None => return Ok(()),
            Some(held) => held.columns.keys().copied().collect(),
        };
        self.shared.delete_columns(&index, content, &columns)
    }

    /// Deletes partial columns that nobody writes and nobody has written to since `older_than`.
    /// Returns how many.
    ///
    /// # Errors
    ///
    /// As [`ColumnStore::remove`].
    pub fn sweep_partial(&self, older_than: SystemTime) -> Result<usize, StoreError> {
        let index = self.shared.index();
        self.shared.refuse_if_writes_off()?;
        let mut idle: BTreeMap<ContentId, Vec<ColumnIndex>> = BTreeMap::new();
        for (id, content) in &self.shared.state().contents {
            for (column, held) in &content.columns {
                if held.state == ColumnState::Receiving && held.writer.is_none() {
                    idle.entry(*id).or_default().push(*column);
                }
            }
        }
        let mut swept = 0;
        for (id, mut columns) in idle {
            columns.retain(|column| {
                let path = self.shared.partial_path(&id, *column);
                let written = std::fs::metadata(path).and_then(|metadata| metadata.modified());
                written.map_or(true, |written| written < older_than)
            });
            if !columns.is_empty() {
                self.shared.delete_columns(&index, &id, &columns)?;
                swept += columns.len();
            }
        }
        Ok(swept)
    }

    /// Bytes charged to the quota: every column at its full size from when it is opened.
    #[must_use]
    pub fn used_bytes(&self) -> u64 {
        self.shared.state().used_bytes
    }

    /// The quota, in bytes.
    #[must_use]
    pub fn quota_bytes(&self) -> u64 {
        self.shared.quota_bytes
    }

    /// Whether the disk still stores data. `false` until a restart once it failed to.
    #[must_use]
    pub fn is_writable(&self) -> bool {
        !self.shared.writes_off.load(Ordering::Acquire)
    }

    fn locate(
        &self,
        content: &ContentId,
        column: ColumnIndex,
    ) -> Result<(FileLayout, Option<Arc<File>>), StoreError> {
        let state = self.shared.state();
        match state.contents.get(content) {
            Some(held) if held.state_of(column) == Some(ColumnState::Sealed) => {
                Ok((held.layout, state.handles.find((*content, column))))
            }
            _ => Err(StoreError::NotHeld { content: *content, column }),
        }
    }

    fn open_file(
        &self,
        content: &ContentId,
        segment: SegmentIndex,
        column: ColumnIndex,
    ) -> Result<Arc<File>, StoreError> {
        let path = self.shared.column_path(content, column);
        match File::open(&path) {
            Ok(file) => {
                let file = Arc::new(file);
                let mut state = self.shared.state();
                // It may have been removed, or replaced, since it was located.
                let sealed = state
                    .contents
                    .get(content)
                    .is_some_and(|held| held.state_of(column) == Some(ColumnState::Sealed));
                if sealed {
                    state.handles.keep((*content, column), &file);
                }
                Ok(file)
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                Err(self.quarantine(content, segment, column))
            }
            Err(error) => Err(StoreError::io("open", &path)(error)),
        }
    }

    /// Takes a damaged column out of service, now and after a restart.
    fn quarantine(
        &self,
        content: &ContentId,
        segment: SegmentIndex,
        column: ColumnIndex,
    ) -> StoreError {
        let index = self.shared.index();
        let manifest = {
            let mut state = self.shared.state();
            state.handles.forget((*content, column));
            let held = state.contents.get_mut(content);
            held.and_then(|held| {
                let found = held.columns.get_mut(&column)?;
                (found.state == ColumnState::Sealed).then(|| {
                    found.state = ColumnState::Quarantined;
                    held.manifest.clone()
                })
            })
        };
        let Some(manifest) = manifest else {
            // Removed or replaced while it was being read: nothing is damaged.
            return StoreError::NotHeld { content: *content, column };
        };
        tracing::error!(%content, %column, %segment, "column is damaged on disk: quarantined");
        // If this fails the damage will be found again, so the reader's error stands.
        let _ = self
            .shared
            .refuse_if_writes_off()
            .and_then(|()| index.put(&manifest, column, ColumnState::Quarantined))
            .map_err(|error| self.shared.turn_writes_off(error));
        StoreError::Damaged { content: *content, column, segment }
    }
}
