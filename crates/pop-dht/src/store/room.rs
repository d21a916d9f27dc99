//! Who gives way when room is short (`spec/dht.md` §4): always the group with the most records, and
//! only to one that has fewer.

use std::collections::BTreeMap;

use super::quota::{QuotaGroup, RecordId};
use super::{Held, Store};
use crate::{DhtKey, Refusal};

impl Store {
    /// Make room under a full key: the group with the most records there gives one up, if it has
    /// more than the newcomer's group would then have.
    pub(super) fn make_room_under_key(
        &mut self,
        key: DhtKey,
        held: &Held,
        replaces: bool,
    ) -> Result<(), Refusal> {
        let Some(slot) = self.foreign.get(&key) else { return Ok(()) };
        let mut counts: BTreeMap<QuotaGroup, usize> = BTreeMap::new();
        for other in slot.records.values() {
            *counts.entry(other.group).or_default() += 1;
        }
        let ours = counts.get(&held.group).copied().unwrap_or_default();
        let max = self.config.per_key_and_group_max;
        if !replaces && ours >= max && matches!(held.group, QuotaGroup::Network(_)) {
            return Err(Refusal::KeyGroupFull { max });
        }
        if replaces || slot.records.len() < self.config.per_key_max {
            return Ok(());
        }
        let full = Refusal::KeyFull { max: self.config.per_key_max };
        let largest = counts.into_iter().max_by_key(|(group, count)| (*count, *group));
        let Some((largest, count)) = largest else { return Err(full) };
        if count <= ours + 1 {
            return Err(full);
        }
        let in_group = slot.records.iter().filter(|(_, other)| other.group == largest);
        let first = in_group.min_by_key(|(peer, other)| (other.expires_at, **peer));
        if let Some(victim) = first.map(|(peer, other)| other.id(key, *peer)) {
            self.remove_foreign(&victim);
        }
        Ok(())
    }

    /// Make room for `bytes` in a full store by the same rule. `replaced`, with its bytes, goes
    /// anyway.
    pub(super) fn make_room(
        &mut self,
        group: QuotaGroup,
        bytes: usize,
        replaced: Option<(RecordId, usize)>,
    ) -> Result<(), Refusal> {
        let replaced_bytes = replaced.map(|(_, bytes)| bytes).unwrap_or_default();
        loop {
            let records = self.usage.records();
            let total = self.usage.bytes() - replaced_bytes;
            let fits = replaced.is_some() || records < self.config.records_max;
            if fits && total.saturating_add(bytes) <= self.config.bytes_max {
                return Ok(());
            }
            let victim = self.usage.victim_for(&group);
            match victim.filter(|victim| replaced.is_none_or(|(id, _)| id != *victim)) {
                Some(victim) => self.remove_foreign(&victim),
                None => return Err(Refusal::StoreFull { records, bytes: self.usage.bytes() }),
            }
        }
    }
}
