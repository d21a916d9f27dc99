//! What the latest notes of presence were about.

use std::collections::VecDeque;

use pop_wire::ContentId;

use crate::Rendezvous;
use crate::limits::NOTES_REMEMBERED_MAX;

/// Where notes may be answered, and what each is about: at most [`NOTES_REMEMBERED_MAX`], of which
/// the oldest is forgotten first.
#[derive(Debug, Default)]
pub(super) struct Notes(VecDeque<(Rendezvous, ContentId)>);

impl Notes {
    pub(super) fn remember(&mut self, at: Rendezvous, content: ContentId) {
        if self.0.len() >= NOTES_REMEMBERED_MAX {
            self.0.pop_front();
        }
        self.0.push_back((at, content));
    }

    /// What the note is about that is answered there.
    pub(super) fn content_at(&self, at: Rendezvous) -> Option<ContentId> {
        // spec/signal.md §4.2: every note has a rendezvous of its own.
        self.0.iter().find(|(noted, _)| *noted == at).map(|(_, content)| *content)
    }
}
