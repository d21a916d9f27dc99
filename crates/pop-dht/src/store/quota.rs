//! Who uses how much of the store.

use std::collections::{BTreeMap, BTreeSet};

use pop_wire::{PeerId, UnixTime};

use super::StoreConfig;
use crate::{DhtKey, NetworkGroup, Refusal};

/// Who shares one allowance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum QuotaGroup {
    /// All peers of one network.
    Network(NetworkGroup),
    /// One peer, in a network where groups don't count.
    Peer(PeerId),
}

/// Names a foreign record. Ordered by the end of its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct RecordId {
    pub(super) expires_at: UnixTime,
    pub(super) key: DhtKey,
    pub(super) peer: PeerId,
}

/// Counts over all foreign records.
#[derive(Debug, Default)]
pub(super) struct Usage {
    bytes: usize,
    by_expiry: BTreeSet<RecordId>,
    by_peer: BTreeMap<PeerId, usize>,
    by_group: BTreeMap<QuotaGroup, BTreeSet<RecordId>>,
    /// Groups by the number of their records, so that the largest is found at once.
    ranking: BTreeSet<(usize, QuotaGroup)>,
}

impl Usage {
    pub(super) fn records(&self) -> usize {
        self.by_expiry.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn check_peer(&self, peer: &PeerId, config: &StoreConfig) -> Result<(), Refusal> {
        let max = config.per_peer_max;
        match self.by_peer.get(peer) {
            Some(count) if *count >= max => Err(Refusal::PeerFull { max }),
            _ => Ok(()),
        }
    }

    pub(super) fn check_group(
        &self,
        group: &QuotaGroup,
        config: &StoreConfig,
    ) -> Result<(), Refusal> {
        let max = config.per_group_max;
        if self.count(group) >= max {
            return Err(Refusal::GroupFull { max });
        }
        Ok(())
    }

    pub(super) fn insert(&mut self, id: RecordId, group: QuotaGroup, bytes: usize) {
        self.by_expiry.insert(id);
        *self.by_peer.entry(id.peer).or_default() += 1;
        self.rank(group, |records| {
            records.insert(id);
        });
        self.add_bytes(bytes);
    }

    pub(super) fn remove(&mut self, id: &RecordId, group: QuotaGroup, bytes: usize) {
        self.by_expiry.remove(id);
        if let Some(count) = self.by_peer.get_mut(&id.peer) {
            *count -= 1;
            if *count == 0 {
                self.by_peer.remove(&id.peer);
            }
        }
        self.rank(group, |records| {
            records.remove(id);
        });
        self.remove_bytes(bytes);
    }

    pub(super) fn add_bytes(&mut self, bytes: usize) {
        self.bytes += bytes;
    }

    pub(super) fn remove_bytes(&mut self, bytes: usize) {
        self.bytes -= bytes;
    }

    /// The record whose life is over longest, if there is one.
    pub(super) fn first_expired(&self, now: UnixTime) -> Option<RecordId> {
        self.by_expiry.first().filter(|id| id.expires_at <= now).copied()
    }

    /// The record that gives way to one of `group`: of the group with the most records, the one
    /// that expires first. `None` if no group has more than `group` would then have.
    pub(super) fn victim_for(&self, group: &QuotaGroup) -> Option<RecordId> {
        let (count, largest) = self.ranking.last()?;
        if *count <= self.count(group) + 1 {
            return None;
        }
        self.by_group.get(largest)?.first().copied()
    }

    fn count(&self, group: &QuotaGroup) -> usize {
        self.by_group.get(group).map_or(0, BTreeSet::len)
    }

    /// Change a group's records and keep its rank right.
    fn rank(&mut self, group: QuotaGroup, change: impl FnOnce(&mut BTreeSet<RecordId>)) {
        let records = self.by_group.entry(group).or_default();
        self.ranking.remove(&(records.len(), group));
        change(records);
        match records.len() {
            0 => {
                self.by_group.remove(&group);
            }
            count => {
                self.ranking.insert((count, group));
            }
        }
    }
}
