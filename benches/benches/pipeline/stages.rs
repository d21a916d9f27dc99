//! Each stage alone, in a bare loop over memory that is there already; and the peer.

use std::hint::black_box;

use pop_erasure::ContentKey;
use pop_erasure::merkle::shard_hash;
use pop_erasure::segment::{SegmentSeal, open, seal};
use pop_wire::{Digest, SegmentIndex};
use reed_solomon_simd::{ReedSolomonDecoder, ReedSolomonEncoder};
use rusty_erasure::{Coder, DecodePlan, Matrix};

use crate::pipeline::fixture::{Arrived, Fixture, KEY, SALT};

pub(crate) struct Stages {
    k: usize,
    n: usize,
    shard_bytes: usize,
    /// n shards a segment, side by side.
    segments: Vec<Vec<u8>>,
    coder: Coder,
    /// Everything but the last k columns.
    plan: DecodePlan,
    rebuilt: Vec<Vec<u8>>,
}

impl Stages {
    pub(crate) fn new(fixture: &Fixture) -> Self {
        let (n, shard_bytes) = (fixture.n(), fixture.shard_bytes());
        let k = usize::from(fixture.content.layout().geometry().k());
        let coder = Matrix::cauchy(k, n - k).and_then(rusty_erasure::coder).expect("possible");
        let present: Vec<bool> = (0..n).map(|i| i >= n - k).collect();
        let missing: Vec<usize> = (0..n - k).collect();
        let plan = coder.decode_plan(&present, &missing).expect("k are there");
        let segments = vec![vec![0; n * shard_bytes]; fixture.data.len()];
        let rebuilt = vec![vec![0; shard_bytes]; n - k];
        Self { k, n, shard_bytes, segments, coder, plan, rebuilt }
    }

    pub(crate) fn encrypt(&mut self, fixture: &Fixture) {
        let length = self.k * self.shard_bytes;
        let key = ContentKey::from_bytes(KEY);
        for (segment, index) in self.segments.iter_mut().zip(0..) {
            seal(&parameters(fixture, &key, index), &mut segment[..length], length - 16);
        }
    }

    pub(crate) fn encode(&mut self) {
        for segment in &mut self.segments {
            let (data, parity) = segment.split_at_mut(self.k * self.shard_bytes);
            let data: Vec<&[u8]> = data.chunks_exact(self.shard_bytes).collect();
            let mut parity: Vec<&mut [u8]> = parity.chunks_exact_mut(self.shard_bytes).collect();
            self.coder.encode(&data, &mut parity).expect("one length");
        }
    }

    /// The first `count` shards of each segment.
    pub(crate) fn hash(&self, count: usize) {
        for segment in &self.segments {
            for shard in segment.chunks_exact(self.shard_bytes).take(count) {
                black_box(shard_hash(shard));
            }
        }
    }

    /// Rebuild every missing shard.
    pub(crate) fn decode(&mut self, fixture: &Fixture) {
        for shards in &fixture.worst {
            let mut all: Vec<Option<&[u8]>> = vec![None; self.n];
            shards.iter().for_each(|(column, bytes, ..)| all[column.as_usize()] = Some(bytes));
            let mut out: Vec<&mut [u8]> = self.rebuilt.iter_mut().map(|it| &mut it[..]).collect();
            self.coder.recover_with(&self.plan, &all, &mut out).expect("k are there");
        }
    }

    /// Decrypt a copy of the data shards: what came is kept, and copied to lie side by side.
    pub(crate) fn decrypt(&mut self, fixture: &Fixture) {
        let key = ContentKey::from_bytes(KEY);
        let length = self.k * self.shard_bytes;
        for ((shards, segment), index) in fixture.data.iter().zip(&mut self.segments).zip(0..) {
            for ((_, bytes, ..), place) in shards.iter().zip(segment.chunks_mut(self.shard_bytes)) {
                place.copy_from_slice(bytes);
            }
            let parameters = parameters(fixture, &key, index);
            open(&parameters, &mut segment[..length], length - 16).expect("as it was sealed");
        }
    }

    pub(crate) fn peer_encode(&mut self) {
        let mut peer = ReedSolomonEncoder::new(self.k, self.n - self.k, self.shard_bytes)
            .expect("a shape that it knows");
        for segment in &mut self.segments {
            let (data, parity) = segment.split_at_mut(self.k * self.shard_bytes);
            for shard in data.chunks_exact(self.shard_bytes) {
                peer.add_original_shard(shard).expect("one length");
            }
            let encoded = peer.encode().expect("k shards");
            for (place, shard) in
                parity.chunks_exact_mut(self.shard_bytes).zip(encoded.recovery_iter())
            {
                place.copy_from_slice(shard);
            }
        }
    }

    /// Rebuild the missing data shards, which is all that it can. It takes any bytes for parity.
    pub(crate) fn peer_decode(&self, fixture: &Fixture) {
        let mut peer = ReedSolomonDecoder::new(self.k, self.n - self.k, self.shard_bytes)
            .expect("a shape that it knows");
        for shards in &fixture.worst {
            for (column, bytes, ..) in shards {
                let added = match column.as_usize().checked_sub(self.k) {
                    None => peer.add_original_shard(column.as_usize(), bytes),
                    Some(parity) => peer.add_recovery_shard(parity, bytes),
                };
                added.expect("one length");
            }
            black_box(peer.decode().expect("k shards").restored_original_iter().count());
        }
    }
}

pub(crate) fn hash_given(segments: &[Vec<Arrived>]) {
    segments.iter().flatten().for_each(|(_, bytes, ..)| {
        black_box(shard_hash(bytes));
    });
}

fn parameters<'a>(fixture: &Fixture, key: &'a ContentKey, index: u64) -> SegmentSeal<'a> {
    const SALT_DIGEST: Digest = Digest(SALT);
    let segment = SegmentIndex(index);
    let last = segment == fixture.content.layout().last_segment();
    SegmentSeal { key, salt: &SALT_DIGEST, segment, last }
}
