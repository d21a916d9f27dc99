//! What a node says of itself, to `pop-node status` and to dashboards.

use pop_wire::Amount;
use serde::{Deserialize, Serialize};

use crate::gateway::role_name;
use crate::metrics::{Metrics, Unit};
use crate::node::Node;
use crate::stats::Stats;

/// A node's state. The field names are the interface of `GET /api/v1/status`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Status {
    /// Name and version of the program.
    pub agent: String,
    /// `masternode` or `client`.
    pub role: String,
    /// Peer id.
    pub peer: String,
    /// Wallet that the node's key controls.
    pub wallet: String,
    /// Addresses under which peers reach it.
    pub addresses: Vec<String>,
    /// Masternodes that it has heard of.
    pub known_masternodes: usize,
    /// Contents of which it holds columns.
    pub contents: usize,
    /// Columns that it holds.
    pub columns: usize,
    /// Columns that the disk damaged and nobody replaced yet.
    pub damaged_columns: usize,
    /// Bytes charged to the quota.
    pub used_bytes: u64,
    /// Bytes that the operator allows.
    pub quota_bytes: u64,
    /// Whether the disk takes writes.
    pub writable: bool,
    /// Shard payload sent to peers, in bytes.
    pub served_bytes: u64,
    /// Shard payload received from peers, in bytes.
    pub fetched_bytes: u64,
    /// Peers' breaches of protocol.
    pub peer_faults: u64,
    /// Promised by vouchers in the vault's epoch, in POP, as a decimal number. None of a node that
    /// pays nothing.
    #[serde(default)]
    pub promised: Option<String>,
}

impl Node {
    /// How the node is.
    #[must_use]
    pub fn status(&self) -> Status {
        let inner = &self.inner;
        let peer = self.peer_id();
        let store = inner.store.as_ref();
        let contents = store.map(|store| store.contents()).unwrap_or_default();
        let columns = |store: &crate::disk::ColumnStore| {
            contents.iter().map(|content| store.holdings(content).len()).sum()
        };
        Status {
            agent: crate::transport::agent(),
            role: role_name(inner.role).to_owned(),
            peer: peer.to_string(),
            wallet: peer.wallet_address().to_string(),
            addresses: self.addresses().iter().map(ToString::to_string).collect(),
            known_masternodes: self.known_masternodes(),
            contents: contents.len(),
            columns: store.map_or(0, columns),
            damaged_columns: store.map_or(0, |store| store.quarantined().len()),
            used_bytes: store.map_or(0, crate::disk::ColumnStore::used_bytes),
            quota_bytes: store.map_or(0, crate::disk::ColumnStore::quota_bytes),
            writable: store.is_some_and(crate::disk::ColumnStore::is_writable),
            served_bytes: inner.stats.served_bytes(),
            fetched_bytes: inner.stats.fetched_bytes(),
            peer_faults: inner.stats.peer_faults(),
            promised: None,
        }
    }

    /// The same with what the task that pays has to be asked for.
    pub(crate) async fn full_status(&self) -> Status {
        let mut status = self.status();
        let pays = self.inner.money.as_ref().is_some_and(|money| money.purse.is_some());
        if pays {
            let promises = self.promises().await;
            let sum =
                promises.iter().try_fold(Amount::ZERO, |sum, (_, amount)| sum.checked_add(*amount));
            let sum = sum.map(|sum| sum.to_string());
            status.promised = sum.map(|sum| sum.trim_end_matches(" POP").to_owned());
        }
        status
    }

    /// Have the counters shown under `/metrics`.
    pub(crate) fn register_metrics(&self, metrics: &Metrics) {
        let read = |read: fn(&Stats) -> u64| {
            let stats = self.stats();
            move || read(&stats)
        };
        let bytes = || Some(Unit::Bytes);
        metrics.read_counter("served", "Shards sent", bytes(), read(Stats::served_bytes));
        metrics.read_counter("fetched", "Shards received", bytes(), read(Stats::fetched_bytes));
        let faults = read(Stats::peer_faults);
        metrics.read_counter("peer_faults", "Peers' breaches of protocol", None, faults);
        let decoded = read(Stats::segments_decoded);
        metrics.read_counter("segments_decoded", "Segments turned into plaintext", None, decoded);
        let asked = read(Stats::ledger_requests);
        metrics.read_counter("ledger_requests", "Requests sent to the ledger", None, asked);
        let inner = std::sync::Arc::downgrade(&self.inner);
        let known = move || {
            let known = inner.upgrade().map_or(0, |inner| inner.directory.alive().len());
            u64::try_from(known).unwrap_or(u64::MAX)
        };
        metrics.read_gauge("known_masternodes", "Masternodes heard of", None, known);
        if let Some(store) = &self.inner.store {
            metrics.watch_store(store);
        }
        if let Some(relay) = &self.inner.relay {
            relay.register(metrics);
        }
    }
}
