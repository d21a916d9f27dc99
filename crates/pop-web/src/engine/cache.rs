//! Verified ciphertext of whole segments: for other viewers, and for seeking back. What is kept for
//! long is the shell's to store; a few segments are in memory with all their columns.

use std::ops::Range;

use bytes::Bytes;
use pop_erasure::{Content, Repairer, VerifiedShard};
use pop_exchange::ShardWithProof;
use pop_wire::sorted::{SortedMap, SortedSet};
use pop_wire::{ColumnIndex, ColumnSet, ContentId, SegmentIndex};

use self::entry::{decode, encode};
use super::limits::{CACHE_LOADS_MAX, HOT_BYTES_MAX};
use super::outbox::Outbox;
use super::{CacheKey, Output, Token};

mod entry;

/// A segment that the shell has, or is about to have.
#[derive(Debug, Clone, Copy)]
struct Stored {
    bytes: u64,
    /// It said so.
    is_safe: bool,
    used: u64,
}

/// A segment in memory: k shards, or all n.
#[derive(Debug)]
struct Hot {
    shards: SortedMap<ColumnIndex, VerifiedShard>,
    bytes: u64,
    used: u64,
}

#[derive(Debug, Default)]
pub(super) struct Cache {
    bytes_max: u64,
    stored: SortedMap<CacheKey, Stored>,
    stored_bytes: u64,
    hot: SortedMap<CacheKey, Hot>,
    hot_bytes: u64,
    storing: SortedMap<Token, CacheKey>,
    loading: SortedMap<Token, CacheKey>,
    uses: u64,
    /// What can be served changed.
    changed: SortedSet<ContentId>,
}

impl Cache {
    /// A cache with what is there from before, as far as the quota allows.
    pub(super) fn new(bytes_max: u64, stored: &[(CacheKey, u64)], outbox: &mut Outbox) -> Self {
        let mut cache = Self { bytes_max, ..Self::default() };
        for (key, bytes) in stored {
            cache.forget(*key);
            cache.uses += 1;
            let entry = Stored { bytes: *bytes, is_safe: true, used: cache.uses };
            cache.stored_bytes = cache.stored_bytes.saturating_add(*bytes);
            cache.stored.insert(*key, entry);
        }
        cache.evict(outbox);
        cache
    }

    /// Whether a segment can be had from here.
    pub(super) fn has(&self, key: &CacheKey) -> bool {
        self.hot.contains_key(key) || self.stored.get(key).is_some_and(|entry| entry.is_safe)
    }

    /// Bytes that the shell keeps.
    pub(super) fn stored_bytes(&self) -> u64 {
        self.stored_bytes
    }

    /// Segments of a content that can be served.
    pub(super) fn segments(&self, content: &ContentId) -> Vec<Range<u64>> {
        let all = CacheKey { content: *content, segment: 0 }..=CacheKey {
            content: *content,
            segment: u64::MAX,
        };
        let stored = self.stored.range(all.clone()).filter(|(_, entry)| entry.is_safe);
        let hot = self.hot.range(all).map(|(key, _)| key.segment);
        let found: SortedSet<u64> = stored.map(|(key, _)| key.segment).chain(hot).collect();
        let mut ranges: Vec<Range<u64>> = Vec::new();
        for segment in found {
            match ranges.last_mut() {
                Some(last) if last.end == segment => last.end += 1,
                _ => ranges.push(segment..segment + 1),
            }
        }
        ranges
    }

    /// Contents of which other segments can be served since the last call.
    pub(super) fn take_changed(&mut self) -> SortedSet<ContentId> {
        core::mem::take(&mut self.changed)
    }

    /// Keep the k shards of a segment that was fetched.
    pub(super) fn keep(
        &mut self,
        key: CacheKey,
        shards: &[VerifiedShard],
        token: Token,
        outbox: &mut Outbox,
    ) {
        self.warm(key, shards.iter().cloned());
        if self.stored.contains_key(&key) {
            return;
        }
        let bytes = encode(shards);
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        if length > self.bytes_max {
            return;
        }
        self.uses += 1;
        self.stored.insert(key, Stored { bytes: length, is_safe: false, used: self.uses });
        self.stored_bytes = self.stored_bytes.saturating_add(length);
        self.storing.insert(token, key);
        outbox.push(Output::CacheStore { token, key, bytes });
        self.evict(outbox);
    }

    /// The shell stored an entry, or can't; whether that is known of it now for the first time.
    pub(super) fn stored(&mut self, token: Token, is_stored: bool) -> bool {
        let Some(key) = self.storing.remove(&token) else { return false };
        if is_stored {
            if let Some(entry) = self.stored.get_mut(&key) {
                entry.is_safe = true;
                self.changed.insert(key.content);
            }
            return false;
        }
        self.forget(key);
        // Nothing more is offered to a store that refuses.
        core::mem::take(&mut self.bytes_max) > 0
    }

    /// Ask the shell for an entry, unless it is here or asked for; whether it is, now.
    pub(super) fn load(&mut self, key: CacheKey, token: Token, outbox: &mut Outbox) -> bool {
        if self.hot.contains_key(&key) || self.loading.values().any(|it| *it == key) {
            return true;
        }
        let is_there = self.stored.get(&key).is_some_and(|entry| entry.is_safe);
        if !is_there || self.loading.len() >= CACHE_LOADS_MAX {
            return false;
        }
        self.touch(key);
        self.loading.insert(token, key);
        outbox.push(Output::CacheLoad { token, key });
        true
    }

    /// What an entry was asked for; `None` if it was not.
    pub(super) fn loaded(&mut self, token: Token) -> Option<CacheKey> {
        self.loading.remove(&token)
    }

    /// An entry came back: its shards, verified again. What doesn't verify is forgotten.
    pub(super) fn take_in(
        &mut self,
        key: CacheKey,
        content: &Content,
        bytes: Option<&Bytes>,
        outbox: &mut Outbox,
    ) -> bool {
        let segment = SegmentIndex(key.segment);
        let shards = bytes.and_then(|bytes| decode(content, segment, bytes));
        match shards {
            Some(shards) => self.warm(key, shards),
            None => {
                self.forget(key);
                outbox.push(Output::CacheDelete { key });
                return false;
            }
        }
        true
    }

    /// The shards of a segment that is in memory.
    pub(super) fn shards(&mut self, key: CacheKey) -> Option<Vec<VerifiedShard>> {
        self.uses += 1;
        let hot = self.hot.get_mut(&key)?;
        hot.used = self.uses;
        Some(hot.shards.values().cloned().collect())
    }

    /// One shard of a segment that is in memory. If it is not among those that came, all others
    /// are computed, and checked against the publisher's root.
    pub(super) fn shard(
        &mut self,
        key: CacheKey,
        column: ColumnIndex,
        repairer: &mut Repairer,
        columns: u16,
    ) -> Option<ShardWithProof> {
        self.touch(key);
        let hot = self.hot.get(&key)?;
        if let Some(shard) = hot.shards.get(&column) {
            return Some(shard.into());
        }
        let given: Vec<VerifiedShard> = hot.shards.values().cloned().collect();
        let held: ColumnSet = hot.shards.keys().copied().collect();
        let missing = ColumnSet::all(columns).difference(&held);
        let rebuilt = repairer.rebuild(SegmentIndex(key.segment), &given, missing).ok()?;
        self.warm(key, rebuilt);
        self.hot.get(&key)?.shards.get(&column).map(ShardWithProof::from)
    }

    fn warm(&mut self, key: CacheKey, shards: impl IntoIterator<Item = VerifiedShard>) {
        self.uses += 1;
        let used = self.uses;
        let fresh = || Hot { shards: SortedMap::new(), bytes: 0, used };
        let hot = self.hot.entry(key).or_insert_with(fresh);
        hot.used = used;
        for shard in shards {
            let bytes = u64::try_from(shard.payload().len()).unwrap_or(u64::MAX);
            if hot.shards.insert(shard.column(), shard).is_none() {
                hot.bytes += bytes;
                self.hot_bytes += bytes;
            }
        }
        self.changed.insert(key.content);
        while self.hot_bytes > HOT_BYTES_MAX {
            let others = self.hot.iter().filter(|(other, _)| **other != key);
            let Some(oldest) = others.min_by_key(|(_, it)| it.used).map(|(key, _)| *key) else {
                return;
            };
            if let Some(gone) = self.hot.remove(&oldest) {
                self.hot_bytes -= gone.bytes;
                self.changed.insert(oldest.content);
            }
        }
    }

    fn touch(&mut self, key: CacheKey) {
        self.uses += 1;
        if let Some(entry) = self.stored.get_mut(&key) {
            entry.used = self.uses;
        }
        if let Some(hot) = self.hot.get_mut(&key) {
            hot.used = self.uses;
        }
    }

    fn forget(&mut self, key: CacheKey) {
        if let Some(gone) = self.stored.remove(&key) {
            self.stored_bytes -= gone.bytes;
            self.changed.insert(key.content);
        }
    }

    /// Delete what was used least lately, until the rest fits the quota.
    fn evict(&mut self, outbox: &mut Outbox) {
        while self.stored_bytes > self.bytes_max {
            let oldest = self.stored.iter().min_by_key(|(_, entry)| entry.used);
            let Some(key) = oldest.map(|(key, _)| *key) else { return };
            self.forget(key);
            outbox.push(Output::CacheDelete { key });
        }
    }
}
