//! What this node counts since it started.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use pop_wire::PeerId;

/// Peers of which it is known how much came from each; what further ones send counts in the sum.
const FETCHED_PEERS_MAX: usize = 4096;

/// Counters; each only grows.
#[derive(Debug, Default)]
pub struct Stats {
    served_bytes: AtomicU64,
    fetched_bytes: AtomicU64,
    fetched_from: Mutex<BTreeMap<PeerId, u64>>,
    peer_faults: AtomicU64,
    segments_decoded: AtomicU64,
}

impl Stats {
    pub(crate) fn served(&self, payload_bytes: usize) {
        add(&self.served_bytes, payload_bytes);
    }

    pub(crate) fn fetched(&self, from: PeerId, payload_bytes: usize) {
        add(&self.fetched_bytes, payload_bytes);
        let mut peers = self.fetched_from.lock().unwrap_or_else(PoisonError::into_inner);
        if peers.len() < FETCHED_PEERS_MAX || peers.contains_key(&from) {
            let bytes = peers.entry(from).or_default();
            *bytes = bytes.saturating_add(u64::try_from(payload_bytes).unwrap_or(u64::MAX));
        }
    }

    pub(crate) fn peer_fault(&self) {
        add(&self.peer_faults, 1);
    }

    pub(crate) fn segment_decoded(&self) {
        add(&self.segments_decoded, 1);
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

    /// Shard payload received from one peer, in bytes.
    #[must_use]
    pub fn fetched_from(&self, peer: &PeerId) -> u64 {
        let peers = self.fetched_from.lock().unwrap_or_else(PoisonError::into_inner);
        peers.get(peer).copied().unwrap_or(0)
    }

    /// Peers' breaches of protocol.
    #[must_use]
    pub fn peer_faults(&self) -> u64 {
        self.peer_faults.load(Ordering::Relaxed)
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
