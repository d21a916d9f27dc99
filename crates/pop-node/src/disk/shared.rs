//! What the store knows while it is open, and the rules that every change keeps.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use pop_wire::{ColumnIndex, ColumnSet, ContentId, Manifest, Verified};

use super::StoreError;
use super::directory::DirectoryLock;
use super::handles::Handles;
use super::index::{ColumnState, Index};
use super::layout::FileLayout;

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) columns_dir: PathBuf,
    pub(super) quota_bytes: u64,
    /// Held for the whole of every change, and taken before `state`.
    pub(super) index: Mutex<Index>,
    /// Held for moments only.
    pub(super) state: Mutex<State>,
    pub(super) writes_off: AtomicBool,
    pub(super) _lock: DirectoryLock,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) contents: BTreeMap<ContentId, HeldContent>,
    pub(super) used_bytes: u64,
    pub(super) handles: Handles,
    pub(super) writers_made: u64,
}

#[derive(Debug)]
pub(super) struct HeldContent {
    pub(super) manifest: Verified<Manifest>,
    pub(super) layout: FileLayout,
    pub(super) columns: BTreeMap<ColumnIndex, HeldColumn>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct HeldColumn {
    pub(super) state: ColumnState,
    /// The writer that fills it now.
    pub(super) writer: Option<u64>,
}

impl Shared {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn content_dir(&self, content: &ContentId) -> PathBuf {
        content_dir(&self.columns_dir, content)
    }

    pub(super) fn partial_path(&self, content: &ContentId, column: ColumnIndex) -> PathBuf {
        partial_path(&self.content_dir(content), column)
    }

    pub(super) fn column_path(&self, content: &ContentId, column: ColumnIndex) -> PathBuf {
        column_path(&self.content_dir(content), column)
    }

    pub(super) fn refuse_if_writes_off(&self) -> Result<(), StoreError> {
        if self.writes_off.load(Ordering::Acquire) {
            return Err(StoreError::WritesOff);
        }
        Ok(())
    }

    /// After a failed fsync the kernel forgets which pages were not written, so that a second one
    /// would succeed and prove nothing: only a restart, which reads everything back, can tell.
    pub(super) fn turn_writes_off(&self, error: StoreError) -> StoreError {
        self.writes_off.store(true, Ordering::Release);
        tracing::error!(%error, "the disk failed to store data: writing is off until a restart");
        error
    }

    /// Takes `bytes` of the quota.
    pub(super) fn charge(&self, state: &mut State, bytes: u64) -> Result<(), StoreError> {
        match state.used_bytes.checked_add(bytes) {
            Some(used_bytes) if used_bytes <= self.quota_bytes => {
                state.used_bytes = used_bytes;
                Ok(())
            }
            _ => Err(StoreError::QuotaExceeded {
                needed_bytes: bytes,
                used_bytes: state.used_bytes,
                quota_bytes: self.quota_bytes,
            }),
        }
    }

    /// Forgets columns, first in the index, then in memory, then on the disk, and returns their
    /// bytes to the quota. Partial files go before all: on a full disk the index needs their room
    /// to say so.
    pub(super) fn delete_columns(
        &self,
        index: &Index,
        content: &ContentId,
        columns: &[ColumnIndex],
    ) -> Result<(), StoreError> {
        for column in columns {
            remove_if_there(&self.partial_path(content, *column))?;
        }
        let others = self
            .state()
            .contents
            .get(content)
            .is_some_and(|held| held.columns.keys().any(|column| !columns.contains(column)));
        index.delete(content, columns, !others).map_err(|error| self.turn_writes_off(error))?;
        let mut state = self.state();
        for column in columns {
            state.handles.forget((*content, *column));
            if let Some(held) = state.contents.get_mut(content)
                && held.columns.remove(column).is_some()
            {
                let freed_bytes = held.layout.column_bytes();
                state.used_bytes = state.used_bytes.saturating_sub(freed_bytes);
            }
        }
        if !others {
            state.contents.remove(content);
        }
        drop(state);
        for column in columns {
            remove_if_there(&self.column_path(content, *column))?;
        }
        if !others {
            // Fails while something foreign is in it, which is not ours to delete.
            let _ = std::fs::remove_dir(self.content_dir(content));
        }
        Ok(())
    }
}

impl HeldContent {
    pub(super) fn state_of(&self, column: ColumnIndex) -> Option<ColumnState> {
        self.columns.get(&column).map(|held| held.state)
    }

    pub(super) fn sealed(&self) -> ColumnSet {
        let columns = self.columns.iter();
        columns
            .filter(|(_, held)| held.state == ColumnState::Sealed)
            .map(|(column, _)| *column)
            .collect()
    }
}

pub(super) fn content_dir(columns_dir: &Path, content: &ContentId) -> PathBuf {
    columns_dir.join(content.to_string())
}

pub(super) fn partial_path(content_dir: &Path, column: ColumnIndex) -> PathBuf {
    content_dir.join(format!("{}.part", column.get()))
}

pub(super) fn column_path(content_dir: &Path, column: ColumnIndex) -> PathBuf {
    content_dir.join(format!("{}.column", column.get()))
}

pub(super) fn remove_if_there(path: &Path) -> Result<(), StoreError> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(StoreError::io("remove", path)(error))
        }
        _ => Ok(()),
    }
}
