//! Where a page that this node serves begins: masternodes that browsers reach.

use libp2p::Multiaddr;
use pop_wire::MasternodeRecord;
use serde::{Deserialize, Serialize};

use super::address::is_for_browsers;
use super::limits::ENTRIES_MAX;
use crate::directory;
use crate::node::Node;
use crate::transport::{split_peer, to_libp2p};

/// The answer to `GET /api/v1/web`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entries {
    /// Addresses of masternodes, each ending in `/p2p/<peer id>`, best first; those of one node
    /// stand together.
    pub(crate) entries: Vec<String>,
    /// Addresses of the node that keeps the ledger; none if there is no ledger, or browsers don't
    /// reach it.
    pub(crate) ledger: Vec<String>,
    /// What this node would pay at most for fetching, in POP per megabit and started 100 kbit/s, as
    /// a decimal number: where a page may begin.
    pub(crate) price_max: String,
}

impl Entries {
    /// What `node` knows now: itself first, then whom it heard of last.
    pub(crate) fn of(node: &Node) -> Self {
        let inner = &node.inner;
        let own = inner.own_record.borrow().clone();
        let own_peer = node.peer_id();
        let alive = inner.directory.alive();
        let others = alive.iter().filter(|record| record.peer != own_peer);
        let entries = own
            .iter()
            .chain(others)
            .map(|record| addresses_for_browsers(record))
            .filter(|addresses| !addresses.is_empty())
            .take(ENTRIES_MAX)
            .flatten()
            .collect();
        let keeper = inner.settings.ledger.as_ref().and_then(split_peer).map(|(peer, _)| peer);
        let ledger = match keeper {
            Some(keeper) => inner.directory.record(&keeper),
            None => own.filter(|_| inner.settings.serve_ledger),
        };
        let ledger = ledger.map(|record| addresses_for_browsers(&record)).unwrap_or_default();
        let price_max = inner.settings.price_max.to_string();
        Self { entries, ledger, price_max: price_max.trim_end_matches(" POP").to_owned() }
    }
}

fn addresses_for_browsers(record: &MasternodeRecord) -> Vec<String> {
    let peer = to_libp2p(&record.peer);
    let all = directory::parsed(&record.addresses);
    let full = |address: Multiaddr| address.with_p2p(peer).ok().map(|it| it.to_string());
    all.filter(is_for_browsers).filter_map(full).collect()
}
