//! A lookup asks for a subject under all of its keys at once and gives out the union, as it
//! arrives (`spec/dht.md` §6). No count of answers ends it: a hostile node could supply the
//! count. The caller cancels it once it has *verified bytes*.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use pop_wire::{
    Manifest, MasternodeRecord, PeerId, ProviderRecord, RecordBundle, RecordEntry, UnixTime,
    Verified,
};

use crate::limits::LOOKUP_RECORDS_MAX;
use crate::record::ValidRecord;
use crate::{DhtKey, RecordError, Subject};

/// State of one lookup. Knows records and keys, nothing of messages.
#[derive(Debug, Clone)]
pub struct Lookup {
    subject: Subject,
    running: BTreeSet<DhtKey>,
    timed_out: bool,
    manifest_found: bool,
    newest: BTreeMap<PeerId, UnixTime>,
    /// Hashes of the records already dealt with, so that the same record from 60 nodes costs one
    /// check of its signature.
    seen: BTreeSet<[u8; 32]>,
}

/// What one answer brought that is new.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// The manifest, if this is the first to have it.
    pub manifest: Option<Verified<Manifest>>,
    /// Providers not known before, or with a newer record.
    pub providers: Vec<Verified<ProviderRecord>>,
    /// The masternode's record, if not known before, or newer.
    pub masternode: Option<Verified<MasternodeRecord>>,
    /// Why the rest of the answer was left aside, if it was: the answering node passed on
    /// something false.
    pub fault: Option<RecordError>,
}

impl Found {
    /// Whether the answer brought nothing new.
    pub fn is_empty(&self) -> bool {
        self.manifest.is_none() && self.providers.is_empty() && self.masternode.is_none()
    }
}

impl Lookup {
    /// A lookup of `subject`, to be run under all of its [`keys`](Subject::keys).
    pub fn new(subject: Subject) -> Self {
        Self {
            subject,
            running: subject.keys().into(),
            timed_out: false,
            manifest_found: false,
            newest: BTreeMap::new(),
            seen: BTreeSet::new(),
        }
    }

    /// What is looked for.
    pub fn subject(&self) -> Subject {
        self.subject
    }

    /// Take one node's answer under `key`: the bytes of a bundle.
    ///
    /// Stops at the first false record: an honest node keeps none, so the rest is not worth the
    /// signatures. Expired ones are passed over, since clocks differ.
    pub fn on_answer(&mut self, key: DhtKey, bundle: Bytes, now: UnixTime) -> Found {
        let mut found = Found::default();
        let bundle = match RecordBundle::decode(bundle) {
            Ok(bundle) => bundle,
            Err(error) => {
                found.fault = Some(error.into());
                return found;
            }
        };
        for entry in bundle.entries {
            match self.take(key, entry, now) {
                Ok(Some(record)) => found.add(record),
                Ok(None) | Err(RecordError::Expired { .. } | RecordError::NotYetValid { .. }) => {}
                Err(error) => {
                    found.fault = Some(error);
                    break;
                }
            }
        }
        found
    }

    /// The search under `key` ended. When it was the last, the lookup is over, and the result
    /// says whether any of them ran into the time limit.
    pub fn on_key_finished(&mut self, key: DhtKey, timed_out: bool) -> Option<bool> {
        self.running.remove(&key);
        self.timed_out |= timed_out;
        self.running.is_empty().then_some(self.timed_out)
    }

    /// Check one record; `None` if it is nothing new.
    fn take(
        &mut self,
        key: DhtKey,
        entry: RecordEntry,
        now: UnixTime,
    ) -> Result<Option<ValidRecord>, RecordError> {
        let fingerprint = fingerprint(key, &entry);
        // spec/dht.md §6: a lookup's memory is bounded; past the bound only newer answers that
        // were seen before would be worth anything, and those bring nothing new.
        if self.seen.contains(&fingerprint) || self.seen.len() >= LOOKUP_RECORDS_MAX {
            return Ok(None);
        }
        let record = ValidRecord::check(key, entry, now)?;
        self.seen.insert(fingerprint);
        if record.subject() != self.subject {
            return Err(RecordError::WrongKey);
        }
        let new = match record.life() {
            None => !core::mem::replace(&mut self.manifest_found, true),
            Some((peer, issued_at, _)) => {
                let newer = self.newest.get(&peer).is_none_or(|newest| *newest < issued_at);
                if newer {
                    self.newest.insert(peer, issued_at);
                }
                newer
            }
        };
        Ok(new.then_some(record))
    }
}

impl Found {
    /// Add a record; a newer one of the same peer in the same answer replaces the older.
    fn add(&mut self, record: ValidRecord) {
        match record {
            ValidRecord::Manifest(manifest) => self.manifest = Some(manifest),
            ValidRecord::Masternode(masternode) => self.masternode = Some(masternode),
            ValidRecord::Provider(provider) => {
                self.providers.retain(|older| older.peer != provider.peer);
                self.providers.push(provider);
            }
        }
    }
}

fn fingerprint(key: DhtKey, entry: &RecordEntry) -> [u8; 32] {
    let envelope = match entry {
        RecordEntry::Manifest(signed) => signed.encode(),
        RecordEntry::Provider(signed) => signed.encode(),
        RecordEntry::Masternode(signed) => signed.encode(),
        _ => Bytes::new(),
    };
    *blake3::Hasher::new().update(&key.0).update(&envelope).finalize().as_bytes()
}
