//! Open files of sealed columns, so that a shard costs one system call to read.

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::sync::Arc;

use pop_wire::{ColumnIndex, ContentId};

/// Files kept open at once. The oldest is closed for a new one; a read that still uses it keeps
/// it open until it is done.
const OPEN_FILES_MAX: usize = 256;

#[derive(Debug, Default)]
pub(super) struct Handles {
    open: BTreeMap<(ContentId, ColumnIndex), Arc<File>>,
    oldest_first: VecDeque<(ContentId, ColumnIndex)>,
}

impl Handles {
    pub(super) fn find(&self, key: (ContentId, ColumnIndex)) -> Option<Arc<File>> {
        self.open.get(&key).cloned()
    }

    pub(super) fn keep(&mut self, key: (ContentId, ColumnIndex), file: &Arc<File>) {
        if self.open.insert(key, Arc::clone(file)).is_none() {
            self.oldest_first.push_back(key);
        }
        while self.open.len() > OPEN_FILES_MAX
            && let Some(oldest) = self.oldest_first.pop_front()
        {
            self.open.remove(&oldest);
        }
    }

    pub(super) fn forget(&mut self, key: (ContentId, ColumnIndex)) {
        if self.open.remove(&key).is_some() {
            self.oldest_first.retain(|other| *other != key);
        }
    }
}
