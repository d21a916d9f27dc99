use std::collections::BTreeMap;

use pop_wire::Instant;

use crate::limits::{ATTACHMENT_MS, SESSION_BYTES_MAX, SESSION_LETTERS_MAX};
use crate::message::Attachment;
use crate::{LinkId, Rendezvous};

/// Which link waits at a rendezvous.
#[derive(Debug)]
pub(super) struct Waiter {
    link: LinkId,
    /// `None` for the relay's own, which stays.
    lease: Option<Lease>,
}

#[derive(Debug)]
struct Lease {
    ends_at: Instant,
    letters_left: u32,
    bytes_left: usize,
}

/// The rendezvous that are attached here.
#[derive(Debug, Default)]
pub(super) struct Attached {
    waiters: BTreeMap<Rendezvous, Waiter>,
}

impl Attached {
    pub(super) fn len(&self) -> usize {
        self.waiters.len()
    }

    /// Who waits there.
    pub(super) fn holder(&self, rendezvous: &Rendezvous) -> Option<LinkId> {
        self.waiters.get(rendezvous).map(|waiter| waiter.link)
    }

    /// Attach, or attach again for longer. The caller made sure that nobody else waits there.
    pub(super) fn attach(
        &mut self,
        now: Instant,
        rendezvous: Rendezvous,
        link: LinkId,
        attachment: Attachment,
    ) {
        let ends_at = now.after_ms(ATTACHMENT_MS);
        let lease = match attachment {
            Attachment::Once => Lease { ends_at, letters_left: 1, bytes_left: SESSION_BYTES_MAX },
            Attachment::Session => {
                Lease { ends_at, letters_left: SESSION_LETTERS_MAX, bytes_left: SESSION_BYTES_MAX }
            }
        };
        let waiter = self.waiters.entry(rendezvous).or_insert(Waiter { link, lease: Some(lease) });
        if let Some(lease) = &mut waiter.lease {
            lease.ends_at = ends_at;
        }
    }

    /// Attach for as long as the link is up.
    pub(super) fn attach_for_good(&mut self, rendezvous: Rendezvous, link: LinkId) {
        self.waiters.insert(rendezvous, Waiter { link, lease: None });
    }

    pub(super) fn detach(&mut self, rendezvous: &Rendezvous) {
        self.waiters.remove(rendezvous);
    }

    /// Who gets a letter of `bytes`, and whether that was the last one that he gets here.
    pub(super) fn deliver(
        &mut self,
        now: Instant,
        rendezvous: &Rendezvous,
        bytes: usize,
    ) -> Option<(LinkId, bool)> {
        let waiter = self.waiters.get_mut(rendezvous)?;
        let link = waiter.link;
        let Some(lease) = &mut waiter.lease else { return Some((link, false)) };
        if now >= lease.ends_at {
            return None;
        }
        lease.bytes_left = lease.bytes_left.checked_sub(bytes)?;
        lease.letters_left -= 1;
        let last = lease.letters_left == 0;
        // spec/signal.md §6.3: a one-time rendezvous MUST be forgotten with its first letter.
        if last {
            self.waiters.remove(rendezvous);
        }
        Some((link, last))
    }

    /// Forget what nobody renewed; say what, and of whom.
    pub(super) fn sweep(&mut self, now: Instant) -> Vec<(Rendezvous, LinkId)> {
        let over = |waiter: &Waiter| waiter.lease.as_ref().is_some_and(|it| now >= it.ends_at);
        let gone: Vec<_> = self
            .waiters
            .iter()
            .filter(|(_, waiter)| over(waiter))
            .map(|(rendezvous, waiter)| (*rendezvous, waiter.link))
            .collect();
        for (rendezvous, _) in &gone {
            self.waiters.remove(rendezvous);
        }
        gone
    }
}
