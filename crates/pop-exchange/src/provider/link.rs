use std::collections::VecDeque;

use pop_wire::sorted::SortedMap;
use pop_wire::{ColumnIndex, ContentId, Instant, PeerId, RequestId, SegmentIndex};

use super::Token;
use super::announce::Told;
use super::upload::Upload;
use crate::Fault;
use crate::budget::TimedBudget;
use crate::credit::{ReceiveCredit, SendCredit};
use crate::greeting::Greeting;
use crate::limits::{AUDIT_REFILL_MS, AUDITS_BURST, READING_TIMEOUT_MS};
use crate::payment::PaymentBudget;

/// Earliest deadline first, then in order of arrival.
pub(super) type Turn = (Instant, u64);

/// One link as the provider sees it.
#[derive(Debug)]
pub(super) struct Link {
    /// Tells this link from an earlier one, should the shell use a number again.
    pub(super) serial: u64,
    pub(super) peer: PeerId,
    pub(super) greeting: Greeting,
    pub(super) credit: SendCredit,
    pub(super) received: ReceiveCredit,
    pub(super) queue: SortedMap<Turn, ShardRequest>,
    pub(super) open: SortedMap<RequestId, Open>,
    /// Questions among `open`.
    pub(super) questions: usize,
    /// Lookups among `open`.
    pub(super) lookups: usize,
    /// Audits that the peer may still ask for.
    pub(super) audits: TimedBudget,
    pub(super) uploads: SortedMap<RequestId, Upload>,
    /// Payload bytes of each message sent and not flushed.
    pub(super) unflushed: VecDeque<u64>,
    /// Reserved by reads, and unflushed.
    pub(super) payload_bytes: u64,
    /// Credit set aside for reads under way.
    pub(super) reserved_credit: u64,
    /// Since when the peer could read or grant credit, and didn't.
    waiting_since: Option<Instant>,
    /// What the peer may still say about money.
    pub(super) payments: PaymentBudget,
    /// Nothing but its peer's allowance holds it back.
    pub(super) unpaid: bool,
    /// Counted among the busy links.
    pub(super) busy: bool,
    /// What it was told of what can be served here.
    pub(super) told: Told,
}

/// A question or request without an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Open {
    Queued(Turn),
    Reading(Token),
    Question(Token),
    Lookup(Token),
}

#[derive(Debug, Clone, Copy)]
pub(super) struct ShardRequest {
    pub(super) id: RequestId,
    pub(super) content: ContentId,
    pub(super) segment: SegmentIndex,
    pub(super) column: ColumnIndex,
    /// Known from an earlier read that credit or allowance didn't let be sent.
    pub(super) payload_bytes: Option<u64>,
}

impl Link {
    pub(super) fn new(serial: u64, peer: PeerId, now: Instant) -> Self {
        Self {
            serial,
            peer,
            greeting: Greeting::new(now),
            credit: SendCredit::default(),
            received: ReceiveCredit::default(),
            queue: SortedMap::new(),
            open: SortedMap::new(),
            questions: 0,
            lookups: 0,
            audits: TimedBudget::new(AUDITS_BURST, AUDIT_REFILL_MS, now),
            uploads: SortedMap::new(),
            unflushed: VecDeque::new(),
            payload_bytes: 0,
            reserved_credit: 0,
            waiting_since: None,
            payments: PaymentBudget::new(now),
            unpaid: false,
            busy: false,
            told: Told::default(),
        }
    }

    /// Whether the credit allows to read the next request.
    pub(super) fn credit_allows(&self, request: &ShardRequest) -> bool {
        let free = self.credit.bytes().saturating_sub(self.reserved_credit);
        free >= request.payload_bytes.unwrap_or(1)
    }

    pub(super) fn duplicate(&self, id: RequestId) -> Result<(), Fault> {
        if self.open.contains_key(&id) || self.uploads.contains_key(&id) {
            return Err(Fault::DuplicateRequest { id });
        }
        Ok(())
    }

    /// The peer's clock runs from now if it wasn't running.
    pub(super) fn wait(&mut self, now: Instant) {
        self.waiting_since.get_or_insert(now);
    }

    /// The peer read or granted: its clock starts anew if there is more to wait for.
    pub(super) fn progress(&mut self, now: Instant) {
        let blocked = self.queue.first_key_value().is_some_and(|(_, r)| !self.credit_allows(r));
        let waits = blocked || !self.unflushed.is_empty();
        self.waiting_since = waits.then_some(now);
    }

    pub(super) fn overdue(&self, now: Instant) -> Result<(), Fault> {
        self.greeting.overdue(now)?;
        match self.waiting_since {
            Some(since) if now.since_ms(since) >= READING_TIMEOUT_MS => {
                Err(Fault::NotReading { limit_ms: READING_TIMEOUT_MS })
            }
            _ => Ok(()),
        }
    }
}
