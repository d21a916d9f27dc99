//! Receiving one column.

use std::fs::{File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::BytesMut;
use pop_wire::{ColumnIndex, ContentId, Digest, Manifest, SegmentIndex, Verified};

use super::StoreError;
use super::directory::{FILE_MODE, create_private, sync_directory};
use super::index::ColumnState;
use super::layout::FileLayout;
use super::record::RecordId;
use super::shared::{HeldColumn, HeldContent, Shared, remove_if_there};

/// What [`ColumnStore::open_column`](super::ColumnStore::open_column) finds.
#[derive(Debug)]
pub enum OpenedColumn {
    /// The column is to be written, from [`ColumnWriter::next_segment`] on.
    Writer(ColumnWriter),
    /// The whole column is held already.
    Already,
}

/// Fills one column, segment by segment. Nothing of it is served before [`ColumnWriter::seal`]
/// returned. Dropping a writer keeps what was written, for a later one to resume.
#[derive(Debug)]
pub struct ColumnWriter {
    shared: Arc<Shared>,
    content: ContentId,
    column: ColumnIndex,
    layout: FileLayout,
    /// Tells this writer from an earlier one whose column was removed and opened again.
    number: u64,
    file: File,
    path: PathBuf,
    next: u64,
}

impl OpenedColumn {
    pub(super) fn open(
        shared: &Arc<Shared>,
        manifest: &Verified<Manifest>,
        column: ColumnIndex,
    ) -> Result<Self, StoreError> {
        let layout = FileLayout::of(manifest)?;
        layout.check_column(column)?;
        let content = manifest.content_id();
        let path = shared.partial_path(&content, column);
        let (claim, file) = {
            let index = shared.index();
            shared.refuse_if_writes_off()?;
            let Some(claim) = Claim::make(shared, manifest, column, layout)? else {
                return Ok(Self::Already);
            };
            if claim.previous != Some(ColumnState::Receiving) {
                index
                    .put(manifest, column, ColumnState::Receiving)
                    .map_err(|error| shared.turn_writes_off(error))?;
                remove_if_there(&shared.column_path(&content, column))?;
                remove_if_there(&path)?;
            }
            create_private(&shared.content_dir(&content))?;
            (claim, open_partial(&path)?)
        };
        let next = resume(&file, &path, &layout, content, column)?;
        Ok(Self::Writer(ColumnWriter {
            shared: Arc::clone(shared),
            content,
            column,
            layout,
            number: claim.keep(),
            file,
            path,
            next,
        }))
    }
}

/// A column charged and reserved for one writer; undone on drop unless kept.
struct Claim<'a> {
    shared: &'a Shared,
    content: ContentId,
    column: ColumnIndex,
    number: u64,
    previous: Option<ColumnState>,
    kept: bool,
}

impl<'a> Claim<'a> {
    /// `None` when the column is held already.
    fn make(
        shared: &'a Shared,
        manifest: &Verified<Manifest>,
        column: ColumnIndex,
        layout: FileLayout,
    ) -> Result<Option<Self>, StoreError> {
        let content = manifest.content_id();
        let mut state = shared.state();
        let found =
            state.contents.get(&content).and_then(|held| held.columns.get(&column).copied());
        match found {
            Some(HeldColumn { state: ColumnState::Sealed, .. }) => return Ok(None),
            Some(HeldColumn { writer: Some(_), .. }) => {
                return Err(StoreError::Busy { content, column });
            }
            Some(_) => {}
            None => shared.charge(&mut state, layout.column_bytes())?,
        }
        state.writers_made += 1;
        let number = state.writers_made;
        let held = state.contents.entry(content).or_insert_with(|| HeldContent {
            manifest: manifest.clone(),
            layout,
            columns: Default::default(),
        });
        let receiving = HeldColumn { state: ColumnState::Receiving, writer: Some(number) };
        held.columns.insert(column, receiving);
        drop(state);
        let previous = found.map(|held| held.state);
        Ok(Some(Self { shared, content, column, number, previous, kept: false }))
    }

    fn keep(mut self) -> u64 {
        self.kept = true;
        self.number
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        if !self.kept {
            self.shared.release(&self.content, self.column, self.number);
        }
    }
}

impl Shared {
    /// A writer is gone: what it wrote may be resumed by another one.
    fn release(&self, content: &ContentId, column: ColumnIndex, number: u64) {
        let mut state = self.state();
        let held = state.contents.get_mut(content);
        if let Some(found) = held.and_then(|held| held.columns.get_mut(&column))
            && found.writer == Some(number)
        {
            found.writer = None;
        }
    }

    /// The manifest of the column that this writer fills, `None` if it was removed meanwhile.
    fn manifest_of_writer(
        &self,
        content: &ContentId,
        column: ColumnIndex,
        number: u64,
    ) -> Option<Verified<Manifest>> {
        let state = self.state();
        let held = state.contents.get(content)?;
        let writes = held.columns.get(&column)?.writer == Some(number);
        writes.then(|| held.manifest.clone())
    }
}

impl ColumnWriter {
    /// The segment to write next: everything below is in the file.
    #[must_use]
    pub fn next_segment(&self) -> SegmentIndex {
        SegmentIndex(self.next)
    }

    /// Whether every segment is written, so that the column can be sealed.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.next == self.layout.segments()
    }

    /// Writes one shard. The caller has verified it against the manifest's root.
    ///
    /// # Errors
    ///
    /// [`StoreError::OutOfOrder`] and [`StoreError::WrongShape`] when it is not what comes next;
    /// [`StoreError::DiskFull`], after which the same segment may be tried again.
    pub fn write(
        &mut self,
        segment: SegmentIndex,
        payload: &[u8],
        segment_path: &[Digest],
        content_path: &[Digest],
    ) -> Result<(), StoreError> {
        let shape = self.layout.shape(segment, self.column)?;
        if segment.0 != self.next {
            return Err(StoreError::OutOfOrder { expected: self.next_segment(), got: segment });
        }
        expect_len("shard bytes", shape.shard_bytes, payload.len())?;
        expect_len("segment path hashes", shape.segment_path_len, segment_path.len())?;
        expect_len("content path hashes", shape.content_path_len, content_path.len())?;
        self.shared.refuse_if_writes_off()?;
        let id = RecordId { content: self.content, column: self.column, segment };
        let record = id.encode(payload, segment_path, content_path, shape);
        let offset = self.layout.offset(self.next);
        if let Err(error) = self.file.write_all_at(&record, offset) {
            return match StoreError::io("write", &self.path)(error) {
                full @ StoreError::DiskFull { .. } => Err(full),
                other => Err(self.shared.turn_writes_off(other)),
            };
        }
        self.next += 1;
        Ok(())
    }

    /// Makes the column durable and visible. When this returns `Ok`, a power cut loses nothing.
    ///
    /// # Errors
    ///
    /// [`StoreError::Incomplete`] before the last segment; [`StoreError::NotHeld`] if the column
    /// was removed meanwhile. Any failure to reach the disk turns writing off.
    pub fn seal(self) -> Result<(), StoreError> {
        if !self.is_complete() {
            return Err(StoreError::Incomplete {
                expected: self.layout.segments(),
                got: self.next,
            });
        }
        self.shared.refuse_if_writes_off()?;
        self.sync_file().map_err(|error| self.shared.turn_writes_off(error))?;
        let index = self.shared.index();
        let manifest = self.shared.manifest_of_writer(&self.content, self.column, self.number);
        let Some(manifest) = manifest else {
            return Err(StoreError::NotHeld { content: self.content, column: self.column });
        };
        let directory = self.shared.content_dir(&self.content);
        let whole = self.shared.column_path(&self.content, self.column);
        std::fs::rename(&self.path, &whole)
            .map_err(StoreError::io("rename", &self.path))
            .and_then(|()| sync_directory(&directory))
            .and_then(|()| sync_directory(&self.shared.columns_dir))
            .and_then(|()| index.put(&manifest, self.column, ColumnState::Sealed))
            .map_err(|error| self.shared.turn_writes_off(error))?;
        let mut state = self.shared.state();
        if let Some(held) = state.contents.get_mut(&self.content) {
            let sealed = HeldColumn { state: ColumnState::Sealed, writer: None };
            held.columns.insert(self.column, sealed);
        }
        Ok(())
    }

    /// Deletes what was written and returns the bytes to the quota.
    ///
    /// # Errors
    ///
    /// As [`ColumnStore::remove`](super::ColumnStore::remove).
    pub fn abandon(self) -> Result<(), StoreError> {
        let index = self.shared.index();
        self.shared.refuse_if_writes_off()?;
        if self.shared.manifest_of_writer(&self.content, self.column, self.number).is_none() {
            return Ok(());
        }
        // Its room is needed now, and would be kept as long as the file is open.
        self.file.set_len(0).map_err(StoreError::io("truncate", &self.path))?;
        self.shared.delete_columns(&index, &self.content, &[self.column])
    }

    fn sync_file(&self) -> Result<(), StoreError> {
        #[cfg(test)]
        if tests::SYNC_FAILS.get() {
            return Err(StoreError::io("sync", &self.path)(std::io::Error::from_raw_os_error(5)));
        }
        self.file.sync_all().map_err(StoreError::io("sync", &self.path))
    }
}

impl Drop for ColumnWriter {
    fn drop(&mut self) {
        self.shared.release(&self.content, self.column, self.number);
    }
}

fn open_partial(path: &Path) -> Result<File, StoreError> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(FILE_MODE)
        .open(path)
        .map_err(StoreError::io("open", path))
}

/// How many records of a partial file are good. What follows them, torn by a crash, is cut off.
fn resume(
    file: &File,
    path: &Path,
    layout: &FileLayout,
    content: ContentId,
    column: ColumnIndex,
) -> Result<u64, StoreError> {
    let mut next = 0;
    while next < layout.segments() {
        let segment = SegmentIndex(next);
        let shape = layout.shape(segment, column)?;
        let mut record = BytesMut::zeroed(shape.record_bytes());
        match file.read_exact_at(&mut record, layout.offset(next)) {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => break,
            read => read.map_err(StoreError::io("read", path))?,
        }
        let id = RecordId { content, column, segment };
        if id.decode(record, shape).is_none() {
            break;
        }
        next += 1;
    }
    let good_bytes = layout.file_bytes(next, column);
    let found_bytes = file.metadata().map_err(StoreError::io("read", path))?.len();
    if found_bytes > good_bytes {
        file.set_len(good_bytes).map_err(StoreError::io("truncate", path))?;
    }
    Ok(next)
}

fn expect_len(what: &'static str, expected: usize, got: usize) -> Result<(), StoreError> {
    if expected == got {
        return Ok(());
    }
    let number = |len: usize| u64::try_from(len).unwrap_or(u64::MAX);
    Err(StoreError::WrongShape { what, expected: number(expected), got: number(got) })
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use pop_wire::Keypair;

    use super::super::ColumnStore;
    use super::*;

    thread_local! {
        /// Makes every fsync of a column fail on this thread.
        pub(super) static SYNC_FAILS: Cell<bool> = const { Cell::new(false) };
    }

    fn empty_content(tag: u8) -> Verified<Manifest> {
        let keypair = Keypair::from_secret_bytes(&[3; 32]).unwrap();
        let digests = [Digest([tag; 32]); 3];
        let manifest = Manifest::new(keypair.peer_id(), 0, 64, (2, 3), digests);
        Verified::sign(manifest, &keypair).unwrap()
    }

    fn written(store: &ColumnStore, manifest: &Verified<Manifest>) -> ColumnWriter {
        let column = ColumnIndex::default();
        let Ok(OpenedColumn::Writer(mut writer)) = store.open_column(manifest, column) else {
            panic!("expected a writer");
        };
        writer.write(SegmentIndex(0), &[9; 64], &[Digest([1; 32]); 2], &[]).unwrap();
        writer
    }

    #[test]
    fn a_failed_fsync_turns_writing_off_until_the_store_is_opened_again() {
        let directory = tempfile::tempdir().unwrap();
        let (held, lost) = (empty_content(1), empty_content(2));
        let store = ColumnStore::open(directory.path(), 1 << 20).unwrap();
        written(&store, &held).seal().unwrap();
        let (waiting, failing) = (written(&store, &empty_content(3)), written(&store, &lost));

        SYNC_FAILS.set(true);
        assert!(matches!(failing.seal(), Err(StoreError::Io { .. })));
        SYNC_FAILS.set(false);
        assert!(!store.is_writable());
        let column = ColumnIndex::default();
        let refusals = [
            waiting.seal().unwrap_err(),
            store.open_column(&lost, column).unwrap_err(),
            store.remove(&held.content_id()).unwrap_err(),
        ];
        for refused in refusals {
            assert!(matches!(refused, StoreError::WritesOff), "{refused:?}");
        }
        // What is held is still served, and what was not synced never is.
        store.read(&held.content_id(), SegmentIndex(0), column).unwrap();
        assert!(store.holdings(&lost.content_id()).is_empty());
        drop(store);

        let store = ColumnStore::open(directory.path(), 1 << 20).unwrap();
        assert!(store.holdings(&lost.content_id()).is_empty());
        written_again(&store, &lost).seal().unwrap();
        assert!(store.holdings(&lost.content_id()).contains(column));
    }

    fn written_again(store: &ColumnStore, manifest: &Verified<Manifest>) -> ColumnWriter {
        match store.open_column(manifest, ColumnIndex::default()) {
            Ok(OpenedColumn::Writer(writer)) if writer.is_complete() => writer,
            other => panic!("expected a complete partial column, got {other:?}"),
        }
    }
}
