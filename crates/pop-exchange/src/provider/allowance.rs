//! What a peer may take before it pays (`spec/exchange.md` §10): waited for like credit, refused
//! when the wait grows long.

use pop_wire::message::RefusalReason;
use pop_wire::sorted::SortedSet;
use pop_wire::{Instant, PeerId, RequestId};

use super::Provider;
use super::link::ShardRequest;
use crate::LinkId;
use crate::limits::SHARD_MAX;

/// A peer with at least one link.
#[derive(Debug)]
pub(super) struct Peer {
    /// Tells this stay of the peer from an earlier one, whose reads may still be under way.
    pub(super) serial: u64,
    pub(super) links: SortedSet<LinkId>,
    /// In the round-robin ring.
    pub(super) queued: bool,
    allowance_bytes: u64,
    /// Set aside for reads under way.
    reserved_bytes: u64,
    /// Length of the last shard read for it: what the next one is taken to have.
    shard_bytes: Option<u64>,
    /// Since when nothing but its allowance holds it back.
    unpaid_since: Option<Instant>,
}

impl Peer {
    pub(super) fn new(serial: u64, allowance_bytes: u64) -> Self {
        Self {
            serial,
            links: SortedSet::new(),
            queued: false,
            allowance_bytes,
            reserved_bytes: 0,
            shard_bytes: None,
            unpaid_since: None,
        }
    }

    fn free_bytes(&self) -> u64 {
        match self.allowance_bytes {
            u64::MAX => u64::MAX,
            bytes => bytes.saturating_sub(self.reserved_bytes),
        }
    }

    /// Allowance to set aside for a read: what it is taken to send until its length is known.
    fn price(&self, request: &ShardRequest) -> u64 {
        request.payload_bytes.or(self.shard_bytes).unwrap_or(SHARD_MAX)
    }

    /// Whether the allowance lets the next request be read. One whose length isn't known may try
    /// with less than the guess if nothing else is being read: then its length is known.
    pub(super) fn allows(&self, request: &ShardRequest) -> bool {
        let free = self.free_bytes();
        let alone = request.payload_bytes.is_none() && !self.is_reading();
        free >= self.price(request) || (alone && free > 0)
    }

    /// Whether something is set aside for reads under way.
    pub(super) fn is_reading(&self) -> bool {
        self.reserved_bytes > 0
    }

    /// Set aside what a read will send; returns how much that is.
    pub(super) fn reserve(&mut self, request: &ShardRequest) -> u64 {
        let bytes = self.price(request);
        self.reserved_bytes += bytes;
        bytes
    }

    pub(super) fn release(&mut self, reserved_bytes: u64) {
        self.reserved_bytes -= reserved_bytes;
    }

    /// Take note of the length of a shard that was read, and say whether it may be sent now,
    /// leaving what is set aside for others.
    pub(super) fn affords(&mut self, payload: u64) -> bool {
        self.shard_bytes = Some(payload);
        self.free_bytes() >= payload
    }

    /// A shard is sent.
    pub(super) fn spend(&mut self, payload: u64) {
        if self.allowance_bytes != u64::MAX {
            self.allowance_bytes = self.allowance_bytes.saturating_sub(payload);
        }
    }
}

impl Provider {
    /// Whoever keeps the accounts lets `peer` take `bytes` more from now on.
    pub(super) fn allow(&mut self, id: PeerId, bytes: u64) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        peer.allowance_bytes = bytes;
        self.wake(id);
    }

    /// Put a peer into the ring: something changed for all its links.
    pub(super) fn wake(&mut self, id: PeerId) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        let waits = |link: &LinkId| self.links.get(link).is_some_and(|it| !it.queue.is_empty());
        if !peer.queued && peer.links.iter().any(waits) {
            peer.queued = true;
            self.serving.ring.push_back(id);
        }
    }

    /// Nothing but its allowance holds the peer back: its clock runs from now if it wasn't
    /// running, and its links leave their share of the memory to others.
    pub(super) fn unpaid(&mut self, id: PeerId) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        if peer.unpaid_since.is_none() {
            peer.unpaid_since = Some(self.now);
            self.serving.unpaid.insert((self.now, id));
        }
        self.recount(id, true);
    }

    /// The peer is served again, or nothing of it waits.
    pub(super) fn paid(&mut self, id: PeerId) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        let Some(since) = peer.unpaid_since.take() else { return };
        self.serving.unpaid.remove(&(since, id));
        self.recount(id, false);
    }

    /// Some requests of the peer went away without being served.
    pub(super) fn paid_if_idle(&mut self, id: PeerId) {
        let Some(peer) = self.peers.get(&id) else { return };
        let idle = |link: &LinkId| self.links.get(link).is_none_or(|it| it.queue.is_empty());
        if peer.links.iter().all(idle) {
            self.paid(id);
        }
    }

    fn recount(&mut self, id: PeerId, unpaid: bool) {
        let Some(peer) = self.peers.get(&id) else { return };
        for link in &peer.links {
            if let Some(link) = self.links.get_mut(link) {
                link.unpaid = unpaid;
                self.serving.count_busy(link);
            }
        }
    }

    /// When the first peer has waited too long for allowance.
    pub(super) fn payment_due_at(&self) -> Option<Instant> {
        let (since, _) = self.serving.unpaid.first()?;
        Some(since.after_ms(self.config.payment_wait_ms_max))
    }

    /// spec/exchange.md §10: who doesn't pay in time is asked to, and may ask again later.
    pub(super) fn refuse_unpaid(&mut self) {
        let wait_ms = self.config.payment_wait_ms_max;
        let retry_after_ms = u32::try_from(wait_ms).unwrap_or(u32::MAX);
        while let Some((since, id)) = self.serving.unpaid.first().copied() {
            if self.now < since.after_ms(wait_ms) {
                return;
            }
            for (link, request) in self.take_queued(id) {
                self.refuse(link, request, RefusalReason::PaymentDue, retry_after_ms);
            }
            self.paid(id);
        }
    }

    /// Every queued request of a peer, taken out of the queue.
    fn take_queued(&mut self, id: PeerId) -> Vec<(LinkId, RequestId)> {
        let mut taken = Vec::new();
        let Some(peer) = self.peers.get(&id) else { return taken };
        for link_id in &peer.links {
            let Some(link) = self.links.get_mut(link_id) else { continue };
            for request in std::mem::take(&mut link.queue).into_values() {
                link.open.remove(&request.id);
                self.serving.queued -= 1;
                taken.push((*link_id, request.id));
            }
            link.progress(self.now);
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pop_wire::{ColumnIndex, ContentId, SegmentIndex};

    #[test]
    fn what_is_set_aside_for_one_read_is_not_sent_for_another() {
        let request = |payload_bytes| ShardRequest {
            id: RequestId(1),
            content: ContentId([0; 32]),
            segment: SegmentIndex(0),
            column: ColumnIndex::new(0).unwrap(),
            payload_bytes,
        };
        let mut peer = Peer::new(1, 1_000);
        let known = peer.reserve(&request(Some(900)));
        assert!(!peer.allows(&request(None)), "something is being read");
        assert!(!peer.affords(200));
        assert!(peer.affords(100));
        peer.spend(100);
        assert!(!peer.allows(&request(Some(100))));
        peer.release(known);
        assert!(peer.affords(900) && peer.allows(&request(Some(900))));
        peer.spend(850);
        assert!(peer.allows(&request(None)) && !peer.allows(&request(Some(51))));
    }
}
