//! Records that this node keeps, for others and of its own (`spec/dht.md` §4).
//!
//! Under each key there is a *set* of signed records, one per peer, which a reader gets as one
//! bundle. Foreign records compete for a bounded room in which every network group can hold its
//! share against all others; our own records have room apart, which nothing foreign touches.

mod kad;
mod quota;
mod room;

use core::cell::Cell;
use std::collections::BTreeMap;

use bytes::Bytes;
use pop_wire::limits::{BUNDLE_BYTES_MAX, BUNDLE_ENTRIES_MAX};
use pop_wire::{PeerId, RecordBundle, RecordEntry, UnixTime};

use self::quota::{QuotaGroup, RecordId, Usage};
use crate::limits::{
    OWN_SUBJECTS_MAX, PROVIDERS_PER_KEY_AND_GROUP_MAX, PROVIDERS_PER_KEY_MAX, PUT_BYTES_MAX,
    PUT_ENTRIES_MAX, RECORD_BYTES_TOTAL_MAX, RECORDS_MAX, RECORDS_PER_GROUP_MAX,
    RECORDS_PER_PEER_MAX,
};
use crate::record::{ValidRecord, entry_bytes};
use crate::{DhtKey, DiversityConfig, Error, NetworkGroup, Refusal, Subject};

/// How much the store takes from others. The defaults are the constants of
/// [`limits`](crate::limits), 64 MiB of records in all.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreConfig {
    /// Foreign records in all.
    pub records_max: usize,
    /// Bytes of foreign records and manifests in all.
    pub bytes_max: usize,
    /// Foreign records of one peer.
    pub per_peer_max: usize,
    /// Foreign records out of one network group.
    pub per_group_max: usize,
    /// Provider records under one key.
    pub per_key_max: usize,
    /// Provider records under one key out of one network group.
    pub per_key_and_group_max: usize,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self {
            records_max: RECORDS_MAX,
            bytes_max: RECORD_BYTES_TOTAL_MAX,
            per_peer_max: RECORDS_PER_PEER_MAX,
            per_group_max: RECORDS_PER_GROUP_MAX,
            per_key_max: PROVIDERS_PER_KEY_MAX,
            per_key_and_group_max: PROVIDERS_PER_KEY_AND_GROUP_MAX,
        }
    }
}

/// Who put a record, as this node sees it: both parts come from the connection, never from the
/// record, so that nobody can fill the quota of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// The peer at the other end.
    pub peer: PeerId,
    /// The network it is in.
    pub group: NetworkGroup,
}

/// What a put changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Accepted {
    /// The peer had no record under this key.
    New,
    /// It replaced an older record of the same peer.
    Renewed,
    /// It was here already.
    Known,
}

/// The record store behind [`Behaviour`](crate::Behaviour), also of use on its own.
#[derive(Debug)]
pub struct Store {
    config: StoreConfig,
    diversity: DiversityConfig,
    seed: [u8; 32],
    now: UnixTime,
    own: BTreeMap<DhtKey, Slot>,
    foreign: BTreeMap<DhtKey, Slot>,
    usage: Usage,
    /// Bundles given out so far: makes each sample another one.
    samples: Cell<u64>,
}

/// All that is kept under one key.
#[derive(Debug, Default)]
struct Slot {
    manifest: Option<RecordEntry>,
    /// Boxed, because most keys have one record and a tree's node has room for eleven.
    records: BTreeMap<PeerId, Box<Held>>,
}

/// One signed record.
#[derive(Debug)]
struct Held {
    entry: RecordEntry,
    issued_at: UnixTime,
    expires_at: UnixTime,
    group: QuotaGroup,
    bytes: usize,
}

impl Store {
    /// An empty store. `seed` decides which records go into a bundle when not all fit; it should
    /// be secret and random.
    pub fn new(
        now: UnixTime,
        seed: [u8; 32],
        config: StoreConfig,
        diversity: DiversityConfig,
    ) -> Self {
        Self {
            config,
            diversity,
            seed,
            now,
            own: BTreeMap::new(),
            foreign: BTreeMap::new(),
            usage: Usage::default(),
            samples: Cell::new(0),
        }
    }

    /// Set the time by which records live and die.
    pub fn set_time(&mut self, now: UnixTime) {
        self.now = now;
    }

    /// The time last set.
    pub fn now(&self) -> UnixTime {
        self.now
    }

    /// Take what a peer puts under `key`, if it is true and there is room.
    ///
    /// # Errors
    /// [`Refusal`], which says whose fault it is.
    pub fn put_foreign(
        &mut self,
        key: DhtKey,
        bundle: Bytes,
        origin: Origin,
    ) -> Result<Accepted, Refusal> {
        // Cheapest checks first: who is over quota can't make us check signatures.
        if bundle.len() > PUT_BYTES_MAX {
            return Err(Refusal::PutBytes { got: bundle.len() });
        }
        let group = self.quota_group(origin);
        let standing = self.foreign.get(&key).and_then(|slot| slot.records.get(&origin.peer));
        let standing_group = standing.map(|held| held.group);
        if standing_group.is_none() {
            self.usage.check_peer(&origin.peer, &self.config)?;
        }
        if standing_group != Some(group) {
            self.check_group(group)?;
        }
        let bundle = RecordBundle::decode(bundle).map_err(crate::RecordError::from)?;
        let got = bundle.entries.len();
        if got == 0 || got > PUT_ENTRIES_MAX {
            return Err(Refusal::PutEntries { got });
        }
        let mut manifest = None;
        let mut record = None;
        for entry in bundle.entries {
            let valid = ValidRecord::check(key, entry, self.now)?;
            match valid.life() {
                None => manifest = Some(valid.to_entry()),
                Some((signer, ..)) if signer != origin.peer => {
                    return Err(Refusal::NotItsSigner { signer });
                }
                Some(life) => record = Some((valid.to_entry(), life)),
            }
        }
        let Some((entry, (_, issued_at, expires_at))) = record else {
            return Err(Refusal::ManifestAlone);
        };
        let bytes = entry_bytes(&entry);
        let held = Held { entry, issued_at, expires_at, group, bytes };
        self.insert(key, origin.peer, held, manifest)
    }

    /// Keep our own records under every key of `subject`, replacing what was there. They are
    /// always given out, and no foreign record can push them out.
    ///
    /// # Errors
    /// [`Error::TooManyAnnouncements`].
    pub fn put_own(&mut self, records: &[ValidRecord], subject: Subject) -> Result<(), Error> {
        let keys = subject.keys();
        let new = !self.own.contains_key(&keys[0]);
        if new && self.own.len() >= OWN_SUBJECTS_MAX * keys.len() {
            return Err(Error::TooManyAnnouncements);
        }
        for key in keys {
            let slot = self.own.entry(key).or_default();
            for record in records {
                let entry = record.to_entry();
                let Some((peer, issued_at, expires_at)) = record.life() else {
                    slot.manifest = Some(entry);
                    continue;
                };
                let bytes = entry_bytes(&entry);
                let group = QuotaGroup::Peer(peer);
                let held = Held { entry, issued_at, expires_at, group, bytes };
                slot.records.insert(peer, Box::new(held));
            }
        }
        Ok(())
    }

    /// Forget our own records of `subject`.
    pub fn remove_own(&mut self, subject: &Subject) {
        for key in subject.keys() {
            self.own.remove(&key);
        }
    }

    /// Our own records under `key`, as they are put to other nodes; `None` if there are none
    /// alive.
    pub fn own_bundle(&self, key: &DhtKey) -> Option<Bytes> {
        let slot = self.own.get(key)?;
        let records = slot.records.values().filter(|held| self.is_alive(held));
        let records: Vec<RecordEntry> = records.map(|held| held.entry.clone()).collect();
        if records.is_empty() {
            return None;
        }
        let entries = slot.manifest.iter().cloned().chain(records).collect();
        Some(RecordBundle { entries }.encode())
    }

    /// Everything alive under `key` as one bundle: manifest and own records first, then foreign
    /// ones. If they don't all fit, a sample of them in which each has the same chance, another
    /// one at each call. `None` if there is nothing.
    pub fn bundle(&self, key: &DhtKey) -> Option<Bytes> {
        let (own, foreign) = (self.own.get(key), self.foreign.get(key));
        let own_records = own.into_iter().flat_map(|slot| slot.records.values());
        let own_records = own_records.filter(|held| self.is_alive(held));
        let records = foreign.into_iter().flat_map(|slot| &slot.records);
        let records = records.filter(|(_, held)| self.is_alive(held));
        let records: Vec<(&PeerId, &Held)> = records.map(|(peer, held)| (peer, &**held)).collect();

        let mut entries: Vec<RecordEntry> = own_records.map(|held| held.entry.clone()).collect();
        if entries.is_empty() && records.is_empty() {
            return None;
        }
        let manifest = [own, foreign].into_iter().flatten().find_map(|it| it.manifest.as_ref());
        entries.extend(manifest.cloned());
        let used = entries.iter().map(entry_bytes).sum::<usize>();
        entries.extend(self.sample(records, used, entries.len()));
        Some(RecordBundle { entries }.encode())
    }

    /// As many of `records` as fit beside `used` bytes in `count` entries.
    fn sample(
        &self,
        mut records: Vec<(&PeerId, &Held)>,
        used: usize,
        count: usize,
    ) -> Vec<RecordEntry> {
        let all = records.iter().fold(used, |sum, (_, held)| sum.saturating_add(held.bytes));
        if all > BUNDLE_BYTES_MAX || count + records.len() > BUNDLE_ENTRIES_MAX {
            let draw = self.samples.get();
            self.samples.set(draw.wrapping_add(1));
            records.sort_by_cached_key(|(peer, _)| {
                let mut hasher = blake3::Hasher::new_keyed(&self.seed);
                hasher.update(&draw.to_be_bytes()).update(peer.public_key());
                *hasher.finalize().as_bytes()
            });
        }
        let mut room = BUNDLE_BYTES_MAX.saturating_sub(used);
        let fitting = records.into_iter().take_while(|(_, held)| {
            let left = room.checked_sub(held.bytes);
            room = left.unwrap_or_default();
            left.is_some()
        });
        let entries = fitting.take(BUNDLE_ENTRIES_MAX.saturating_sub(count));
        entries.map(|(_, held)| held.entry.clone()).collect()
    }

    /// Drop every record whose life is over. Takes time in proportion to what it drops, and to
    /// our own records.
    pub fn sweep(&mut self) {
        while let Some(id) = self.usage.first_expired(self.now) {
            self.remove_foreign(&id);
        }
        let now = self.now;
        self.own.retain(|_, slot| {
            slot.records.retain(|_, held| now < held.expires_at);
            !slot.records.is_empty()
        });
    }

    /// Foreign records in the store.
    pub fn foreign_len(&self) -> usize {
        self.usage.records()
    }

    /// Bytes of foreign records and manifests in the store.
    pub fn foreign_bytes(&self) -> usize {
        self.usage.bytes()
    }

    fn is_alive(&self, held: &Held) -> bool {
        self.now < held.expires_at
    }

    /// The group that a record counts against. Where groups are exempt each peer is its own.
    fn quota_group(&self, origin: Origin) -> QuotaGroup {
        match self.diversity.limits(origin.group) {
            true => QuotaGroup::Network(origin.group),
            false => QuotaGroup::Peer(origin.peer),
        }
    }

    fn check_group(&self, group: QuotaGroup) -> Result<(), Refusal> {
        match group {
            QuotaGroup::Network(_) => self.usage.check_group(&group, &self.config),
            QuotaGroup::Peer(_) => Ok(()),
        }
    }

    /// Merge one checked record, making room for it if a larger group can give way.
    fn insert(
        &mut self,
        key: DhtKey,
        peer: PeerId,
        held: Held,
        manifest: Option<RecordEntry>,
    ) -> Result<Accepted, Refusal> {
        let old = self.foreign.get(&key).and_then(|slot| slot.records.get(&peer));
        let accepted = match old {
            // spec/dht.md §4: the newer record replaces the older, never the other way round.
            Some(old) if old.entry == held.entry => return Ok(Accepted::Known),
            Some(old) if held.issued_at <= old.issued_at => {
                return Err(Refusal::Stale { newest: old.issued_at, got: held.issued_at });
            }
            Some(_) => Accepted::Renewed,
            None => Accepted::New,
        };
        let replaced = old.map(|old| (old.id(key, peer), old.bytes));
        self.make_room_under_key(key, &held, replaced.is_some())?;
        let has_manifest = self.foreign.get(&key).is_some_and(|slot| slot.manifest.is_some());
        let manifest = manifest.filter(|_| !has_manifest);
        let manifest_bytes = manifest.as_ref().map(entry_bytes).unwrap_or_default();
        self.make_room(held.group, held.bytes + manifest_bytes, replaced)?;

        let slot = self.foreign.entry(key).or_default();
        if let Some(old) = slot.records.remove(&peer) {
            self.usage.remove(&old.id(key, peer), old.group, old.bytes);
        }
        if let Some(manifest) = manifest {
            self.usage.add_bytes(manifest_bytes);
            slot.manifest = Some(manifest);
        }
        self.usage.insert(held.id(key, peer), held.group, held.bytes);
        slot.records.insert(peer, Box::new(held));
        Ok(accepted)
    }

    fn remove_foreign(&mut self, id: &RecordId) {
        let Some(slot) = self.foreign.get_mut(&id.key) else { return };
        if let Some(held) = slot.records.remove(&id.peer) {
            self.usage.remove(id, held.group, held.bytes);
        }
        // spec/dht.md §4: a manifest stays only as long as somebody provides its content.
        if slot.records.is_empty() {
            let manifest = slot.manifest.as_ref().map(entry_bytes).unwrap_or_default();
            self.usage.remove_bytes(manifest);
            self.foreign.remove(&id.key);
        }
    }
}

impl Held {
    fn id(&self, key: DhtKey, peer: PeerId) -> RecordId {
        RecordId { expires_at: self.expires_at, key, peer }
    }
}
