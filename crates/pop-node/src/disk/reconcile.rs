//! What a crash leaves, and what is made of it when the store opens.
//!
//! ```text
//! index says     file found            then
//! receiving      .part or nothing      resumed by the next upload
//! receiving      .column               crash between rename and commit: back to .part
//! sealed         .column, right size   served
//! sealed         nothing, wrong size   quarantined
//! nothing        anything              deleted
//! ```

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::Path;

use pop_wire::{ColumnIndex, ContentId};

use super::StoreError;
use super::index::ColumnState;
use super::layout::FileLayout;
use super::shared::{HeldContent, column_path, partial_path, remove_if_there};

/// The state of one column that the index knows, after setting its files right.
pub(super) fn column(
    content_dir: &Path,
    column: ColumnIndex,
    indexed: ColumnState,
    layout: &FileLayout,
) -> Result<ColumnState, StoreError> {
    let partial = partial_path(content_dir, column);
    let whole = column_path(content_dir, column);
    match indexed {
        ColumnState::Receiving => {
            if whole.exists() {
                fs::rename(&whole, &partial).map_err(StoreError::io("rename", &whole))?;
            }
            Ok(ColumnState::Receiving)
        }
        ColumnState::Sealed => {
            remove_if_there(&partial)?;
            let found_bytes = fs::metadata(&whole).map_or(0, |metadata| metadata.len());
            let expected_bytes = layout.file_bytes(layout.segments(), column);
            if found_bytes == expected_bytes {
                return Ok(ColumnState::Sealed);
            }
            tracing::error!(
                path = %whole.display(), found_bytes, expected_bytes,
                "a held column is not whole any more: quarantined"
            );
            Ok(ColumnState::Quarantined)
        }
        ColumnState::Quarantined => Ok(ColumnState::Quarantined),
    }
}

/// Deletes columns and partial columns that the index does not know. Files whose names are not
/// the store's own are left alone.
pub(super) fn remove_strays(
    columns_dir: &Path,
    contents: &BTreeMap<ContentId, HeldContent>,
) -> Result<(), StoreError> {
    for entry in fs::read_dir(columns_dir).map_err(StoreError::io("list", columns_dir))? {
        let directory = entry.map_err(StoreError::io("list", columns_dir))?.path();
        let Some(id) = content_of(&directory) else {
            continue;
        };
        let held = contents.get(&id);
        for entry in fs::read_dir(&directory).map_err(StoreError::io("list", &directory))? {
            let file = entry.map_err(StoreError::io("list", &directory))?.path();
            let known = |column| held.is_some_and(|held| held.columns.contains_key(&column));
            if column_of(&file).is_some_and(|column| !known(column)) {
                tracing::warn!(path = %file.display(), "deleting a column that a crash left");
                remove_if_there(&file)?;
            }
        }
        if held.is_none() {
            // Fails while something foreign is in it, which is not ours to delete.
            let _ = fs::remove_dir(&directory);
        }
    }
    Ok(())
}

fn content_of(directory: &Path) -> Option<ContentId> {
    let name = directory.file_name()?.to_str()?;
    let id = name.parse().ok()?;
    directory.is_dir().then_some(id)
}

fn column_of(file: &Path) -> Option<ColumnIndex> {
    let extension = file.extension().and_then(OsStr::to_str)?;
    if !matches!(extension, "part" | "column") {
        return None;
    }
    let number = file.file_stem()?.to_str()?.parse().ok()?;
    ColumnIndex::new(number).ok()
}
