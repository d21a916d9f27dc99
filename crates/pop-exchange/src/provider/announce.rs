//! What a viewer says that it can serve (`spec/exchange.md` §7.1): the latest word, in batches, and
//! never more than one batch that its receiver has not taken.

use pop_wire::message::Available;
use pop_wire::sorted::{SortedMap, SortedSet};
use pop_wire::{ContentId, Instant, Message, SegmentRanges};

use super::Provider;
use crate::limits::{ANNOUNCED_CONTENTS_MAX, ANNOUNCEMENT_INTERVAL_MS};
use crate::{Error, LinkId};

/// Contents that were taken back and that a link was not told of yet. What is beyond is not told:
/// its requests are refused.
const WITHDRAWN_MAX: usize = 2 * ANNOUNCED_CONTENTS_MAX;

/// What is announced.
#[derive(Debug, Default)]
pub(super) struct Announcements {
    contents: SortedMap<ContentId, SegmentRanges>,
    /// Links that have not been told everything.
    behind: SortedSet<LinkId>,
}

impl Announcements {
    pub(super) fn forget(&mut self, link: LinkId) {
        self.behind.remove(&link);
    }
}

/// What one link was told.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// Contents of which it has not the latest word.
    stale: SortedSet<ContentId>,
    /// When the last batch was sent.
    at: Option<Instant>,
    /// Messages that its transport takes before that batch is gone.
    unflushed: usize,
}

impl Told {
    pub(super) fn flushed(&mut self, messages: usize) {
        self.unflushed = self.unflushed.saturating_sub(messages);
    }

    /// When it may be told more; `None` while it does not read.
    fn due(&self) -> Option<Instant> {
        let after = self.at.map(|at| at.after_ms(ANNOUNCEMENT_INTERVAL_MS));
        (self.unflushed == 0).then_some(after.unwrap_or_default())
    }

    fn withdraw(&mut self, content: ContentId) {
        if self.stale.len() >= WITHDRAWN_MAX {
            self.stale.remove(&content);
        } else {
            self.stale.insert(content);
        }
    }
}

impl Provider {
    pub(super) fn available(
        &mut self,
        content: ContentId,
        segments: SegmentRanges,
    ) -> Result<(), Error> {
        let contents = &mut self.announcements.contents;
        let known = contents.get(&content);
        let withdrawn = segments.is_empty();
        if known == Some(&segments) || (known.is_none() && withdrawn) {
            return Ok(());
        }
        if withdrawn {
            contents.remove(&content);
        } else if known.is_none() && contents.len() >= ANNOUNCED_CONTENTS_MAX {
            return Err(Error::TooManyContents { max: ANNOUNCED_CONTENTS_MAX });
        } else {
            contents.insert(content, segments);
        }
        // spec/exchange.md §3: nothing else before the other's hello.
        for (id, link) in self.links.iter_mut().filter(|(_, link)| link.greeting.is_agreed()) {
            if withdrawn {
                link.told.withdraw(content);
            } else {
                link.told.stale.insert(content);
            }
            self.announcements.behind.insert(*id);
        }
        Ok(())
    }

    /// A link said hello: it is told everything.
    pub(super) fn announce_all_to(&mut self, link: LinkId) {
        let contents = &self.announcements.contents;
        if let Some(state) = self.links.get_mut(&link).filter(|_| !contents.is_empty()) {
            state.told.stale = contents.keys().copied().collect();
            self.announcements.behind.insert(link);
        }
    }

    /// Tell whom it is time to tell.
    pub(super) fn announce(&mut self) {
        let links: Vec<LinkId> = self.announcements.behind.iter().copied().collect();
        for id in links {
            self.announce_to(id);
        }
    }

    fn announce_to(&mut self, id: LinkId) {
        let now = self.now;
        let Some(link) = self.links.get_mut(&id) else { return };
        if link.told.due().is_none_or(|due| now < due) {
            return;
        }
        let batch: Vec<ContentId> =
            link.told.stale.iter().copied().take(ANNOUNCED_CONTENTS_MAX).collect();
        batch.iter().for_each(|content| {
            link.told.stale.remove(content);
        });
        link.told.at = Some(now);
        if link.told.stale.is_empty() {
            self.announcements.behind.remove(&id);
        }
        for content in batch {
            let segments = self.announcements.contents.get(&content).cloned().unwrap_or_default();
            self.send(id, Message::Available(Available { content, segments }));
        }
        if let Some(link) = self.links.get_mut(&id) {
            link.told.unflushed = link.unflushed.len();
        }
    }

    /// When there is somebody to tell.
    pub(super) fn announcement_due_at(&self) -> Option<Instant> {
        let behind = self.announcements.behind.iter();
        behind.filter_map(|link| self.links.get(link)?.told.due()).min()
    }
}
