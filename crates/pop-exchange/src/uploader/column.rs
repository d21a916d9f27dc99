use std::collections::BTreeMap;

use pop_wire::message::SealColumn;
use pop_wire::{Instant, RequestId};

use crate::ShardWithProof;

/// One column on its way out.
#[derive(Debug, Default)]
pub(super) struct Column {
    pub(super) stage: Stage,
    /// Times it was opened.
    pub(super) tries: u32,
}

/// ```text
/// Waiting --OpenColumn--> Opening --ColumnReply open--> Sending --SealColumn--> Sealing
///    ^--busy, link down-----'---------------------'----------------------'        |
///            refused, stalled: Failed             ColumnReply stored: Stored <----'
/// ```
#[derive(Debug)]
pub(super) enum Stage {
    Waiting { retry_at: Option<Instant> },
    Opening { id: RequestId },
    Sending(Sending),
    Sealing { id: RequestId },
    Stored,
    Failed,
}

#[derive(Debug)]
pub(super) struct Sending {
    id: RequestId,
    /// Next segment to send.
    next: u64,
    /// Next segment to ask the shell for.
    need: u64,
    /// Here, and not sent.
    ready: BTreeMap<u64, ShardWithProof>,
}

impl Default for Stage {
    fn default() -> Self {
        Self::Waiting { retry_at: None }
    }
}

impl Column {
    pub(super) fn id(&self) -> Option<RequestId> {
        match &self.stage {
            Stage::Opening { id } | Stage::Sealing { id } => Some(*id),
            Stage::Sending(sending) => Some(sending.id),
            Stage::Waiting { .. } | Stage::Stored | Stage::Failed => None,
        }
    }

    pub(super) fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Stored | Stage::Failed)
    }

    pub(super) fn may_open(&self, now: Instant) -> bool {
        match self.stage {
            Stage::Waiting { retry_at } => retry_at.is_none_or(|at| now >= at),
            _ => false,
        }
    }

    pub(super) fn retry_at(&self) -> Option<Instant> {
        match self.stage {
            Stage::Waiting { retry_at } => retry_at,
            _ => None,
        }
    }

    pub(super) fn wait(&mut self, until: Instant) {
        self.stage = Stage::Waiting { retry_at: Some(until) };
    }

    /// The link is gone.
    pub(super) fn interrupt(&mut self) {
        if !self.is_over() {
            self.stage = Stage::Waiting { retry_at: None };
        }
    }

    /// The holder takes shards from `next` on, or has written everything below it.
    pub(super) fn opened(&mut self, id: RequestId, next: u64) {
        self.tries = 0;
        if matches!(self.stage, Stage::Opening { .. }) {
            let ready = BTreeMap::new();
            self.stage = Stage::Sending(Sending { id, next, need: next, ready });
        }
    }

    /// A shard from the shell; dropped if it is no longer of use.
    pub(super) fn offer(&mut self, segment: u64, shard: ShardWithProof) {
        if let Stage::Sending(sending) = &mut self.stage
            && (sending.next..sending.need).contains(&segment)
        {
            sending.ready.insert(segment, shard);
        }
    }

    /// Number of the upload, segment and payload bytes of what could be sent now.
    pub(super) fn next_shard(&self) -> Option<(RequestId, u64, u64)> {
        let Stage::Sending(sending) = &self.stage else { return None };
        let shard = sending.ready.get(&sending.next)?;
        let bytes = u64::try_from(shard.payload.len()).unwrap_or(u64::MAX);
        Some((sending.id, sending.next, bytes))
    }

    pub(super) fn take_shard(&mut self) -> Option<ShardWithProof> {
        let Stage::Sending(sending) = &mut self.stage else { return None };
        let shard = sending.ready.remove(&sending.next)?;
        sending.next += 1;
        Some(shard)
    }

    pub(super) fn position(&self) -> u64 {
        match &self.stage {
            Stage::Sending(sending) => sending.next,
            _ => u64::MAX,
        }
    }

    /// Everything was sent: ask the holder to make it durable.
    pub(super) fn seal(&mut self, count: u64) -> Option<SealColumn> {
        let Stage::Sending(sending) = &self.stage else { return None };
        let id = sending.id;
        if sending.next < count {
            return None;
        }
        self.stage = Stage::Sealing { id };
        Some(SealColumn { id })
    }

    pub(super) fn next_need(&mut self, ahead_max: u64, count: u64) -> Option<u64> {
        let Stage::Sending(sending) = &mut self.stage else { return None };
        let segment = sending.need;
        if segment >= count || segment >= sending.next.saturating_add(ahead_max) {
            return None;
        }
        sending.need += 1;
        Some(segment)
    }

    /// Whether the next step is the holder's: an answer, or credit.
    pub(super) fn waits_for_holder(&self) -> bool {
        match &self.stage {
            Stage::Opening { .. } | Stage::Sealing { .. } => true,
            Stage::Sending(_) => self.next_shard().is_some(),
            Stage::Waiting { .. } | Stage::Stored | Stage::Failed => false,
        }
    }
}
