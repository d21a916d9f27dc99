//! A content of four short segments, encoded by the honest encoder.

use pop_erasure::{Content, ContentKey, EncodedSegment, Encoder, Geometry, Media, Publication};
use pop_exchange::ShardWithProof;
use pop_wire::{ColumnIndex, SegmentIndex};

use crate::keypair;

/// Data shards and all shards of [`Sample`].
pub const GEOMETRY: (u16, u16) = (3, 5);
/// Bytes of a shard of its full segments.
const SHARD_BYTES: u32 = 64;
/// Bytes of its plaintext: three full segments and a short one.
const LENGTH_BYTES: usize = 3 * 176 + 100;

/// A content, and every shard of it.
pub struct Sample {
    /// What a viewer knows of it.
    pub content: Content,
    /// What opens it.
    pub key: ContentKey,
    /// Its plaintext.
    pub plaintext: Vec<u8>,
    publication: Publication,
    segments: Vec<EncodedSegment>,
}

impl Sample {
    /// Always the same.
    pub fn new() -> Self {
        let plaintext: Vec<u8> = (0..=u8::MAX).cycle().take(LENGTH_BYTES).collect();
        let (k, n) = GEOMETRY;
        Self::encode(plaintext, k, n, SHARD_BYTES)
    }

    /// Any content that the encoder takes in one go.
    pub fn encode(plaintext: Vec<u8>, k: u16, n: u16, shard_bytes: u32) -> Self {
        let geometry = Geometry::danger_without_promise(k, n).expect("2 <= k < n <= 255");
        let key = ContentKey::from_bytes([1; 32]);
        let mut encoder = Encoder::new(geometry, shard_bytes, key.clone(), [2; 32])
            .expect("a multiple of 64 that is not over the limit");
        let mut segments = Vec::new();
        let mut rest = &plaintext[..];
        while !rest.is_empty() {
            let taken = encoder.push(rest).expect("shorter than any limit");
            rest = &rest[taken..];
            segments.extend(std::iter::from_fn(|| encoder.poll()));
        }
        encoder.end();
        segments.extend(std::iter::from_fn(|| encoder.poll()));
        let publication =
            encoder.finish(&keypair(), Media::default()).expect("ended, and polled to the end");
        let content =
            Content::new(publication.manifest().clone()).expect("the encoder's own manifest");
        Self { content, key, plaintext, publication, segments }
    }

    /// How many segments there are.
    pub fn segment_count(&self) -> usize {
        self.segments.len()
    }

    /// A shard with its proof; `None` if there is no such segment or column.
    pub fn shard(&self, segment: usize, column: u16) -> Option<ShardWithProof> {
        let column = ColumnIndex::new(column).ok()?;
        let encoded = self.segments.get(segment)?;
        let index = SegmentIndex(u64::try_from(segment).ok()?);
        Some(ShardWithProof {
            payload: encoded.shard(column)?,
            segment_path: encoded.segment_path(column)?,
            content_path: self.publication.content_path(index)?,
        })
    }
}

impl Default for Sample {
    fn default() -> Self {
        Self::new()
    }
}
