//! What this node counts since it started.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counters; each only grows.
#[derive(Debug, Default)]
pub struct Stats {
    served_bytes: AtomicU64,
    fetched_bytes: AtomicU64,
    peer_faults: AtomicU64,
    segments_decoded: AtomicU64,
    vouchers_given: AtomicU64,
    vouchers_taken: AtomicU64,
    payment_bytes: AtomicU64,
    ledger_requests: AtomicU64,
}

impl Stats {
    pub(crate) fn served(&self, payload_bytes: usize) {
        add(&self.served_bytes, payload_bytes);
    }

    pub(crate) fn fetched(&self, payload_bytes: usize) {
        add(&self.fetched_bytes, payload_bytes);
    }

    pub(crate) fn peer_fault(&self) {
        add(&self.peer_faults, 1);
    }

    pub(crate) fn voucher_given(&self) {
        add(&self.vouchers_given, 1);
    }

    pub(crate) fn payment_said_or_heard(&self, bytes: usize) {
        add(&self.payment_bytes, bytes);
    }

    pub(crate) fn voucher_taken(&self) {
        add(&self.vouchers_taken, 1);
    }

    pub(crate) fn segment_decoded(&self) {
        add(&self.segments_decoded, 1);
    }

    pub(crate) fn asked_ledger(&self) {
        add(&self.ledger_requests, 1);
    }

    /// Requests sent to the ledger, each attempt counted; those to one of this node's own too.
    #[must_use]
    pub fn ledger_requests(&self) -> u64 {
        self.ledger_requests.load(Ordering::Relaxed)
    }

    /// Shard payload sent to peers, in bytes.
    #[must_use]
    pub fn served_bytes(&self) -> u64 {
        self.served_bytes.load(Ordering::Relaxed)
    }

    /// Shard payload received from peers, in bytes.
    #[must_use]
    pub fn fetched_bytes(&self) -> u64 {
        self.fetched_bytes.load(Ordering::Relaxed)
    }

    /// Peers' breaches of protocol.
    #[must_use]
    pub fn peer_faults(&self) -> u64 {
        self.peer_faults.load(Ordering::Relaxed)
    }

    /// Vouchers sent to those who served us.
    #[must_use]
    pub fn vouchers_given(&self) -> u64 {
        self.vouchers_given.load(Ordering::Relaxed)
    }

    /// Vouchers accepted from those whom we served.
    #[must_use]
    pub fn vouchers_taken(&self) -> u64 {
        self.vouchers_taken.load(Ordering::Relaxed)
    }

    /// Bytes of payment messages about what we fetched, both ways.
    #[must_use]
    pub fn payment_bytes(&self) -> u64 {
        self.payment_bytes.load(Ordering::Relaxed)
    }

    /// Segments turned back into plaintext.
    #[must_use]
    pub fn segments_decoded(&self) -> u64 {
        self.segments_decoded.load(Ordering::Relaxed)
    }
}

fn add(counter: &AtomicU64, by: usize) {
    counter.fetch_add(u64::try_from(by).unwrap_or(u64::MAX), Ordering::Relaxed);
}
