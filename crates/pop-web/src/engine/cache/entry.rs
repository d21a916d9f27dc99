//! The bytes of a cache entry: shards with their proofs. Local to one browser; read back with the
//! same suspicion as what a peer sends.
//!
//! ```text
//! version 1 | length of the content path | content path
//! and for each shard: column u16 | length of its segment path | segment path | length u32 | bytes
//! ```

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use pop_erasure::{Content, ShardSet, VerifiedShard};
use pop_wire::limits::{CONTENT_PATH_LEN_MAX, SEGMENT_PATH_LEN_MAX, SHARD_BYTES_MAX};
use pop_wire::{ColumnIndex, Digest, SegmentIndex};

const VERSION: u8 = 1;

pub(super) fn encode(shards: &[VerifiedShard]) -> Bytes {
    let payload: usize = shards.iter().map(|shard| shard.payload().len() + 300).sum();
    let mut out = BytesMut::with_capacity(payload + 1_100);
    out.put_u8(VERSION);
    put_path(&mut out, shards.first().map(VerifiedShard::content_path).unwrap_or_default());
    for shard in shards {
        out.put_u16(shard.column().get());
        put_path(&mut out, shard.segment_path());
        // A shard is 256 KiB at most.
        out.put_u32(u32::try_from(shard.payload().len()).unwrap_or(u32::MAX));
        out.extend_from_slice(shard.payload());
    }
    out.freeze()
}

/// The shards, verified; `None` if a single one is not what it should be, or too few are there.
pub(super) fn decode(
    content: &Content,
    segment: SegmentIndex,
    bytes: &Bytes,
) -> Option<Vec<VerifiedShard>> {
    let mut rest = bytes.clone();
    if take_u8(&mut rest)? != VERSION {
        return None;
    }
    let content_path = take_path(&mut rest, CONTENT_PATH_LEN_MAX)?;
    let mut shards = ShardSet::new(content, segment);
    while rest.has_remaining() && !shards.is_complete() {
        let column = ColumnIndex::new(rest.try_get_u16().ok()?).ok()?;
        let segment_path = take_path(&mut rest, SEGMENT_PATH_LEN_MAX)?;
        let length = usize::try_from(rest.try_get_u32().ok()?).ok()?;
        if length > SHARD_BYTES_MAX || length > rest.remaining() {
            return None;
        }
        let payload = rest.split_to(length);
        shards.insert(column, payload, segment_path, content_path.clone()).ok()?;
    }
    shards.is_complete().then(|| shards.into_shards())
}

fn put_path(out: &mut BytesMut, path: &[Digest]) {
    // A path has 32 hashes at most.
    out.put_u8(u8::try_from(path.len()).unwrap_or(u8::MAX));
    path.iter().for_each(|digest| out.extend_from_slice(&digest.0));
}

fn take_u8(rest: &mut Bytes) -> Option<u8> {
    rest.try_get_u8().ok()
}

fn take_path(rest: &mut Bytes, max: usize) -> Option<Vec<Digest>> {
    let count = usize::from(take_u8(rest)?);
    if count > max || count * 32 > rest.remaining() {
        return None;
    }
    let digest = |_| {
        let mut digest = [0; 32];
        rest.copy_to_slice(&mut digest);
        Digest(digest)
    };
    Some((0..count).map(digest).collect())
}
