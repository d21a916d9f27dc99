//! Who gets into the routing table, and out of it (`spec/dht.md` §7).

use libp2p::kad::{KBucketKey, RoutingUpdate};
use libp2p::{Multiaddr, PeerId};

use super::{Behaviour, from_libp2p, to_libp2p};
use crate::limits::{ADDRESSES_PER_PEER_MAX, DIAL_FAILURES_MAX};
use crate::{Event, NetworkGroup, RoutingRefusal};

impl Behaviour {
    /// Offer a peer for the routing table: from a bootstrap list, from peer exchange, or from
    /// what the peer says of itself once it is connected.
    ///
    /// # Errors
    /// [`RoutingRefusal`]: above all, its network may have its share of the table already.
    pub fn add_peer(&mut self, peer: PeerId, address: Multiaddr) -> Result<(), RoutingRefusal> {
        from_libp2p(&peer).map_err(|_| RoutingRefusal::PeerId)?;
        let bucket = self.bucket(&peer).ok_or(RoutingRefusal::Address)?;
        let address = address.with_p2p(peer).map_err(|_| RoutingRefusal::Address)?;
        let known = self.known_addresses(&peer);
        if known.contains(&address) {
            return Ok(());
        }
        if known.len() >= ADDRESSES_PER_PEER_MAX {
            return Err(RoutingRefusal::TooManyAddresses { max: ADDRESSES_PER_PEER_MAX });
        }
        let group = self.group(&peer, &address);
        if !self.table.contains_key(&peer) {
            self.diversity.admit(self.others(&peer), bucket, group)?;
        }
        match self.kad.add_address(&peer, address) {
            RoutingUpdate::Failed => Err(RoutingRefusal::BucketFull),
            RoutingUpdate::Success | RoutingUpdate::Pending => {
                // A pending peer counts from now on, so that two can't slip in at once.
                self.table.entry(peer).or_insert(group);
                Ok(())
            }
        }
    }

    /// Take a peer out of the routing table.
    pub fn remove_peer(&mut self, peer: PeerId) {
        self.kad.remove_peer(&peer);
        self.failed_dials.remove(&peer);
        if self.table.remove(&peer).is_some() {
            self.events.push_back(Event::PeerRemoved { peer });
        }
    }

    /// A peer that we dialled speaks our protocol.
    pub(super) fn on_routable(&mut self, peer: PeerId, address: Multiaddr) {
        if let Err(refusal) = self.add_peer(peer, address) {
            tracing::debug!(%peer, %refusal, "peer not added to the routing table");
        }
    }

    /// A dial failed. A peer that is gone leaves the table, unless everybody seems gone: then it
    /// is our own network that is down.
    pub(super) fn on_dial_failed(&mut self, peer: PeerId) {
        if !self.table.contains_key(&peer) || self.observed.contains_key(&peer) {
            return;
        }
        let failures = self.failed_dials.entry(peer).or_default();
        *failures = failures.saturating_add(1);
        let others_alive = self.observed.keys().any(|other| self.table.contains_key(other));
        if *failures >= DIAL_FAILURES_MAX && others_alive {
            self.remove_peer(peer);
        }
    }

    pub(super) fn on_connected(&mut self, peer: PeerId, group: NetworkGroup) {
        self.failed_dials.remove(&peer);
        self.observed.insert(peer, group);
    }

    /// A kad bucket changed: `old` made room for `peer`.
    pub(super) fn on_routing_updated(&mut self, peer: PeerId, new: bool, old: Option<PeerId>) {
        if let Some(old) = old {
            self.failed_dials.remove(&old);
            self.table.remove(&old);
            self.events.push_back(Event::PeerRemoved { peer: old });
        }
        let addresses = self.known_addresses(&peer);
        // Kad adds addresses of its own accord when we dial a known peer at a new one.
        for surplus in addresses.iter().skip(ADDRESSES_PER_PEER_MAX) {
            self.kad.remove_address(&peer, surplus);
        }
        if !new {
            return;
        }
        if !self.table.contains_key(&peer) {
            let unknown = NetworkGroup::Unknown;
            let group = addresses.first().map_or(unknown, |address| self.group(&peer, address));
            let bucket = self.bucket(&peer).unwrap_or_default();
            // It waited so long for its place that others of its network may have come since.
            if self.diversity.admit(self.others(&peer), bucket, group).is_err() {
                self.kad.remove_peer(&peer);
                return;
            }
            self.table.insert(peer, group);
        }
        self.events.push_back(Event::PeerAdded { peer });
    }

    /// Forget peers that waited for a place in a bucket and did not get it.
    pub(super) fn forget_unplaced(&mut self) {
        let mut placed = std::collections::BTreeSet::new();
        for bucket in self.kad.kbuckets() {
            placed.extend(bucket.iter().map(|entry| *entry.node.key.preimage()));
        }
        self.table.retain(|peer, _| placed.contains(peer));
        self.failed_dials.retain(|peer, _| placed.contains(peer));
    }

    /// The network of a peer: what we see of it, once it is connected, counts more than what it
    /// says of itself.
    fn group(&self, peer: &PeerId, address: &Multiaddr) -> NetworkGroup {
        let seen = self.observed.get(peer).copied();
        seen.unwrap_or_else(|| NetworkGroup::of_address(address))
    }

    /// Addresses of a peer in the routing table, each ending in its id.
    pub(super) fn known_addresses(&mut self, peer: &PeerId) -> Vec<Multiaddr> {
        let Some(bucket) = self.kad.kbucket(*peer) else { return Vec::new() };
        let entry = bucket.iter().find(|entry| entry.node.key.preimage() == peer);
        entry.map(|entry| entry.node.value.iter().cloned().collect()).unwrap_or_default()
    }

    /// Bucket and group of every peer in the table but one.
    fn others(&self, but: &PeerId) -> Vec<(u32, NetworkGroup)> {
        let others = self.table.iter().filter(|(peer, _)| *peer != but);
        others.filter_map(|(peer, group)| Some((self.bucket(peer)?, *group))).collect()
    }

    /// Number of the bucket for a peer: the position of the highest bit in which it differs from
    /// this node. `None` for this node itself.
    fn bucket(&self, peer: &PeerId) -> Option<u32> {
        let local = KBucketKey::from(to_libp2p(&self.local));
        local.distance(&KBucketKey::from(*peer)).ilog2()
    }
}
