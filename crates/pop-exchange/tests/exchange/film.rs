//! A small content with all its shards in memory.

use std::collections::BTreeMap;

use pop_erasure::{Content, ContentKey, Encoder, Geometry, Media};
use pop_exchange::ShardWithProof;
use pop_wire::{ColumnIndex, Keypair, SegmentIndex};

/// One content, encoded.
pub(crate) struct Film {
    pub(crate) content: Content,
    shards: BTreeMap<(u64, u16), ShardWithProof>,
}

impl Film {
    /// About `segments` segments of `k` shards of `shard_bytes`, n columns; `salt` tells films
    /// apart.
    pub(crate) fn new(k: u16, n: u16, shard_bytes: u32, segments: u64, salt: u8) -> Self {
        let geometry = Geometry::danger_without_promise(k, n).unwrap();
        let key = ContentKey::from_bytes([1; 32]);
        let mut encoder = Encoder::new(geometry, shard_bytes, key, [salt; 32]).unwrap();
        let segment_bytes = u64::from(k) * u64::from(shard_bytes) - 16;
        let length = usize::try_from(segment_bytes * segments - 1).unwrap();
        let plaintext: Vec<u8> = (0..length).map(|i| (i % 251) as u8).collect();
        let (mut rest, mut encoded) = (&plaintext[..], Vec::new());
        while !rest.is_empty() {
            let taken = encoder.push(rest).unwrap();
            rest = &rest[taken..];
            encoded.extend(std::iter::from_fn(|| encoder.poll()));
        }
        encoder.end();
        encoded.extend(std::iter::from_fn(|| encoder.poll()));
        let publisher = Keypair::from_secret_bytes(&[2; 32]).unwrap();
        let publication = encoder.finish(&publisher, Media::default()).unwrap();
        let mut shards = BTreeMap::new();
        for segment in &encoded {
            for column in ColumnIndex::first(n) {
                let shard = ShardWithProof {
                    payload: segment.shard(column).unwrap(),
                    segment_path: segment.segment_path(column).unwrap(),
                    content_path: publication.content_path(segment.segment()).unwrap(),
                };
                shards.insert((segment.segment().0, column.get()), shard);
            }
        }
        Self { content: Content::new(publication.manifest().clone()).unwrap(), shards }
    }

    pub(crate) fn shard(
        &self,
        segment: SegmentIndex,
        column: ColumnIndex,
    ) -> Option<&ShardWithProof> {
        self.shards.get(&(segment.0, column.get()))
    }

    pub(crate) fn segments(&self) -> u64 {
        self.content.layout().segment_count()
    }
}

/// Identity number `i`.
pub(crate) fn peer(i: u64) -> pop_wire::PeerId {
    let mut secret = [7; 32];
    secret[24..].copy_from_slice(&(i + 1).to_be_bytes());
    Keypair::from_secret_bytes(&secret).unwrap().peer_id()
}

/// Column number `i`.
pub(crate) fn column(i: u16) -> ColumnIndex {
    ColumnIndex::new(i).unwrap()
}
