//! Shards out: the queue, fairness, credit and the bound on payload (`spec/exchange.md` §5).

use std::collections::VecDeque;

use pop_wire::limits::SHARD_BYTES_MAX;
use pop_wire::message::{GetShard, RefusalReason, Shard};
use pop_wire::sorted::SortedSet;
use pop_wire::{Instant, Message, PeerId, RequestId};

use super::link::{Link, Open, ShardRequest, Turn};
use super::{Operation, Provider, StoreOperation, StoreResult, Token};
use crate::limits::{BUSY_RETRY_MS, REQUESTS_PER_LINK_MAX, SHARD_MAX};
use crate::{Error, Fault, LinkId, ShardWithProof};

/// What is shared by all links.
#[derive(Debug, Default)]
pub(super) struct Serving {
    /// Reserved by reads, and sent and not flushed.
    pub(super) payload_bytes: u64,
    /// Requests in all queues.
    pub(super) queued: usize,
    /// Peers that may have something to read, in turn.
    pub(super) ring: VecDeque<PeerId>,
    /// Links with payload, or with a queue that waits for more than allowance.
    busy_links: u64,
    /// Peers that wait for allowance, by the time since when.
    pub(super) unpaid: SortedSet<(Instant, PeerId)>,
}

impl Serving {
    /// A link is gone, and with it what it held; reads under way free theirs when they end.
    pub(super) fn forget(&mut self, link: &Link) {
        self.queued -= link.queue.len();
        self.payload_bytes -= link.unflushed.iter().sum::<u64>();
        self.busy_links -= u64::from(link.busy);
    }

    pub(super) fn count_busy(&mut self, link: &mut Link) {
        let busy = link.payload_bytes > 0 || !(link.unpaid || link.queue.is_empty());
        match (link.busy, busy) {
            (false, true) => self.busy_links += 1,
            (true, false) => self.busy_links -= 1,
            (true, true) | (false, false) => {}
        }
        link.busy = busy;
    }
}

/// A read under way.
#[derive(Debug, Clone, Copy)]
pub(super) struct Read {
    pub(super) link: LinkId,
    link_serial: u64,
    peer: PeerId,
    peer_serial: u64,
    request: ShardRequest,
    turn: Turn,
    reserved_bytes: u64,
    reserved_allowance: u64,
}

/// What a peer could be served next.
enum Next {
    Read(LinkId, Turn),
    /// Not before this peer is allowed more.
    Unpaid,
    /// Not before this peer reads, grants credit, or a read ends.
    Nothing,
}

impl Provider {
    pub(super) fn get_shard(&mut self, from: LinkId, get: &GetShard) -> Result<(), Fault> {
        let Some(link) = self.links.get_mut(&from) else { return Ok(()) };
        link.duplicate(get.id)?;
        let shards = link.open.len() - link.questions;
        // spec/exchange.md §5: both limits are charged before anything is kept.
        if shards >= REQUESTS_PER_LINK_MAX || self.serving.queued >= self.config.requests_max {
            self.refuse(from, get.id, RefusalReason::Busy, BUSY_RETRY_MS);
            return Ok(());
        }
        let request = ShardRequest {
            id: get.id,
            content: get.content,
            segment: get.segment,
            column: get.column,
            payload_bytes: None,
        };
        let deadline = match get.deadline_ms {
            0 => Instant(u64::MAX),
            ms => self.now.after_ms(u64::from(ms)),
        };
        let turn = (deadline, self.next_serial());
        self.queue(from, turn, request);
        Ok(())
    }

    fn queue(&mut self, to: LinkId, turn: Turn, request: ShardRequest) {
        let Some(link) = self.links.get_mut(&to) else { return };
        link.open.insert(request.id, Open::Queued(turn));
        if !link.credit_allows(&request) {
            link.wait(self.now);
        }
        link.queue.insert(turn, request);
        self.serving.queued += 1;
        self.enqueue(to);
    }

    /// Put the link's peer into the ring: something changed for it.
    pub(super) fn enqueue(&mut self, link: LinkId) {
        let Some(state) = self.links.get_mut(&link) else { return };
        self.serving.count_busy(state);
        if state.queue.is_empty() {
            return;
        }
        if let Some(peer) = self.peers.get_mut(&state.peer).filter(|peer| !peer.queued) {
            peer.queued = true;
            self.serving.ring.push_back(state.peer);
        }
    }

    /// Start as many reads as limits, credit and memory allow: peers in turn, and the earliest
    /// deadline of the peer whose turn it is.
    pub(super) fn pump(&mut self) {
        while let Some(peer) = self.serving.ring.front().copied() {
            match self.next_for(peer) {
                Next::Read(link, turn) => {
                    if !self.read(link, turn) {
                        return;
                    }
                    self.serving.ring.rotate_left(1);
                }
                Next::Unpaid => {
                    self.leave_ring();
                    self.unpaid(peer);
                }
                Next::Nothing => self.leave_ring(),
            }
        }
    }

    /// Whoever's turn it is gets none until something changes for it.
    fn leave_ring(&mut self) {
        let Some(peer) = self.serving.ring.pop_front() else { return };
        if let Some(peer) = self.peers.get_mut(&peer) {
            peer.queued = false;
        }
    }

    fn next_for(&self, peer: PeerId) -> Next {
        let Some(peer) = self.peers.get(&peer) else { return Next::Nothing };
        let fair = self.config.payload_bytes_max / self.serving.busy_links.max(1);
        let share = fair.min(self.config.payload_bytes_per_link_max);
        let ready = |id: &LinkId| {
            let link = self.links.get(id)?;
            let (turn, request) = link.queue.first_key_value()?;
            let room = link.payload_bytes == 0 || link.payload_bytes + reserve(request) <= share;
            let ready = room && link.credit_allows(request);
            ready.then(|| (!peer.allows(request), *turn, *id))
        };
        match peer.links.iter().filter_map(ready).min() {
            Some((false, turn, link)) => Next::Read(link, turn),
            // What is set aside for reads may come back: a slow disk is not a peer that doesn't pay.
            Some((true, ..)) if !peer.is_reading() => Next::Unpaid,
            Some((true, ..)) | None => Next::Nothing,
        }
    }

    /// Ask the store; `false` if the total has no room for it now.
    fn read(&mut self, link_id: LinkId, turn: Turn) -> bool {
        let Some(link) = self.links.get_mut(&link_id) else { return true };
        let Some(request) = link.queue.get(&turn).copied() else { return true };
        let reserved_bytes = reserve(&request);
        if self.serving.payload_bytes + reserved_bytes > self.config.payload_bytes_max {
            return false;
        }
        link.queue.remove(&turn);
        self.serving.queued -= 1;
        let peer_id = link.peer;
        let Some(peer) = self.peers.get_mut(&peer_id) else { return true };
        let (peer_serial, reserved_allowance) = (peer.serial, peer.reserve(&request));
        link.payload_bytes += reserved_bytes;
        link.reserved_credit += request.payload_bytes.unwrap_or(1);
        self.serving.payload_bytes += reserved_bytes;
        let ShardRequest { id, content, segment, column, .. } = request;
        let read = Read {
            link: link_id,
            link_serial: link.serial,
            peer: peer_id,
            peer_serial,
            request,
            turn,
            reserved_bytes,
            reserved_allowance,
        };
        let operation = Operation::Read(read);
        let token = self.start(operation, StoreOperation::ReadShard { content, segment, column });
        if let Some(link) = self.links.get_mut(&link_id) {
            link.open.insert(id, Open::Reading(token));
            self.serving.count_busy(link);
        }
        self.paid(peer_id);
        true
    }
}

/// Memory to set aside for a read: the longest shard until the length is known.
fn reserve(request: &ShardRequest) -> u64 {
    request.payload_bytes.unwrap_or(SHARD_MAX)
}

impl Provider {
    /// A read ended.
    pub(super) fn shard_read(&mut self, token: Token, read: Read, result: StoreResult) {
        self.serving.payload_bytes -= read.reserved_bytes;
        let peer = self.peers.get_mut(&read.peer).filter(|peer| peer.serial == read.peer_serial);
        if let Some(peer) = peer {
            peer.release(read.reserved_allowance);
        }
        let link = self.links.get_mut(&read.link).filter(|link| link.serial == read.link_serial);
        if let Some(link) = link {
            link.payload_bytes -= read.reserved_bytes;
            link.reserved_credit -= read.request.payload_bytes.unwrap_or(1);
            let id = read.request.id;
            if link.open.get(&id) == Some(&Open::Reading(token)) {
                link.open.remove(&id);
                match result {
                    StoreResult::Shard(shard) => self.serve(&read, shard),
                    StoreResult::Refused { reason, retry_after_ms } => {
                        self.refuse(read.link, id, reason, retry_after_ms);
                    }
                    // `check_result` let nothing else through.
                    _ => self.refuse(read.link, id, RefusalReason::NotFound, 0),
                }
            }
            self.enqueue(read.link);
        }
        // What was set aside of the allowance may be of use on the peer's other links.
        self.wake(read.peer);
    }

    fn serve(&mut self, read: &Read, shard: ShardWithProof) {
        let Some(link) = self.links.get_mut(&read.link) else { return };
        let Some(peer) = self.peers.get_mut(&read.peer) else { return };
        let payload = u64::try_from(shard.payload.len()).unwrap_or(u64::MAX);
        // spec/exchange.md §4, §10: never beyond credit and allowance. The payload is dropped, not
        // parked, so that nobody fills the memory by asking without granting or paying.
        let fits = self.serving.payload_bytes + payload <= self.config.payload_bytes_max;
        if !peer.affords(payload) || !fits || !link.credit.spend(payload) {
            let request = ShardRequest { payload_bytes: Some(payload), ..read.request };
            self.queue(read.link, read.turn, request);
            return;
        }
        peer.spend(payload);
        link.payments.earn(payload);
        link.payload_bytes += payload;
        self.serving.payload_bytes += payload;
        let ShardWithProof { payload, segment_path, content_path } = shard;
        let shard = Shard { id: read.request.id, segment_path, content_path, payload };
        self.send(read.link, Message::Shard(shard));
    }

    /// spec/exchange.md §5: a cancelled request is answered too, unless it was already.
    pub(super) fn cancel(&mut self, from: LinkId, id: RequestId) {
        let Some(link) = self.links.get_mut(&from) else { return };
        match link.open.get(&id) {
            Some(Open::Queued(turn)) => {
                link.queue.remove(turn);
                self.serving.queued -= 1;
            }
            Some(Open::Reading(_)) => {}
            Some(Open::Question(_) | Open::Lookup(_)) | None => return,
        }
        link.open.remove(&id);
        link.progress(self.now);
        let peer = link.peer;
        self.refuse(from, id, RefusalReason::Cancelled, 0);
        self.paid_if_idle(peer);
        self.enqueue(from);
    }
}

/// A store that returns more than a shard can be would break the bound on payload.
pub(super) fn check_stored(token: u64, result: &StoreResult) -> Result<(), Error> {
    match result {
        StoreResult::Shard(shard) if shard.payload.len() > SHARD_BYTES_MAX => {
            let got = shard.payload.len();
            Err(Error::ShardTooLong { token, max: SHARD_BYTES_MAX, got })
        }
        _ => Ok(()),
    }
}
