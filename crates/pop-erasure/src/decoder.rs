//! From k verified shards back to plaintext: [`Decoder`].

use std::ops::Range;

use bytes::{Bytes, BytesMut};
use pop_wire::{ColumnIndex, Digest, SegmentIndex};

use crate::backend::Code;
use crate::error::{DecodeError, WrongKey};
use crate::evidence::EquivocationProof;
use crate::merkle::{MerkleTree, shard_hash};
use crate::segment::{SegmentSeal, open};
use crate::{Content, ContentKey, VerifiedShard};

/// When a decoder proves that the shards it has not seen are those that the publisher signed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReEncodeCheck {
    /// Whenever a shard had to be rebuilt. With all k data shards at hand nothing is computed,
    /// and the plaintext is the one that the publisher committed to column by column; with
    /// parity among them, an inconsistent encoding could show other viewers another film.
    #[default]
    WhenRebuilding,
    /// For every segment: for whoever audits a publisher.
    Always,
}

/// Opens the segments of one content, in any order.
///
/// One decoder serves one thread; clones share the code's tables, so a pool of clones is cheap.
/// It remembers the last loss pattern: consecutive segments usually miss the same columns.
#[derive(Clone, Debug)]
pub struct Decoder {
    content: Content,
    key: ContentKey,
    code: Code,
    check: ReEncodeCheck,
}

impl Decoder {
    /// A decoder with the content's key.
    ///
    /// # Errors
    /// [`WrongKey`]: the key is not the one that the manifest commits to. Nothing was decrypted.
    pub fn new(content: Content, key: ContentKey) -> Result<Self, WrongKey> {
        // spec/content.md §5: the commitment MUST be checked before anything is decrypted.
        if key.commitment(&content.manifest().salt) != content.manifest().key_commitment {
            return Err(WrongKey { content: content.id() });
        }
        let code = Code::new(content.layout().geometry());
        Ok(Self { content, key, code, check: ReEncodeCheck::default() })
    }

    /// The same decoder with another policy.
    #[must_use]
    pub fn with_check(mut self, check: ReEncodeCheck) -> Self {
        self.check = check;
        self
    }

    /// The content that it opens.
    #[must_use]
    pub fn content(&self) -> &Content {
        &self.content
    }

    /// The plaintext of one segment from any k of its shards; more are ignored.
    ///
    /// # Errors
    /// [`DecodeError`]: too few or foreign shards are the caller's fault;
    /// [`DecodeError::Equivocation`] and [`DecodeError::Unsealable`] are the publisher's.
    pub fn decode(
        &mut self,
        segment: SegmentIndex,
        shards: &[VerifiedShard],
    ) -> Result<Bytes, DecodeError> {
        let chosen = choose(&self.content, segment, shards)?;
        let layout = *self.content.layout();
        let out_of_range = DecodeError::OutOfRange {
            length_bytes: layout.segment_count(),
            end: segment.0.saturating_add(1),
        };
        let plaintext = layout.plaintext_range(segment).ok_or(out_of_range)?;
        let plaintext_bytes = to_usize(plaintext.end - plaintext.start);
        let systematic = chosen.iter().all(|it| it.column.get() < layout.geometry().k());
        let mut buffer = if systematic && self.check == ReEncodeCheck::WhenRebuilding {
            gather(&chosen)
        } else {
            self.rebuild_checked(segment, &chosen)?
        };
        let seal = SegmentSeal {
            key: &self.key,
            salt: &self.content.manifest().salt,
            segment,
            last: segment == layout.last_segment(),
        };
        if open(&seal, &mut buffer, plaintext_bytes).is_err() {
            // The data shards alone don't open: perhaps because they are no codeword.
            self.rebuild_checked(segment, &chosen)?;
            return Err(DecodeError::Unsealable(segment));
        }
        buffer.truncate(plaintext_bytes);
        Ok(buffer.freeze())
    }

    /// The plaintext of a byte range from the shards of the segments that it touches, each
    /// segment's given by `shards_of`.
    ///
    /// # Errors
    /// As [`decode`](Self::decode), and [`DecodeError::OutOfRange`] for a range that ends behind
    /// the content.
    pub fn decode_range(
        &mut self,
        range: Range<u64>,
        mut shards_of: impl FnMut(SegmentIndex) -> Vec<VerifiedShard>,
    ) -> Result<Vec<u8>, DecodeError> {
        let layout = *self.content.layout();
        if range.end > layout.length_bytes() {
            let length_bytes = layout.length_bytes();
            return Err(DecodeError::OutOfRange { length_bytes, end: range.end });
        }
        let mut plaintext = Vec::new();
        for slice in layout.slices(range) {
            let segment = self.decode(slice.segment, &shards_of(slice.segment))?;
            plaintext.extend_from_slice(&segment[slice.range]);
        }
        Ok(plaintext)
    }

    /// The k data shards side by side, after all n were computed and compared with the root.
    fn rebuild_checked(
        &mut self,
        segment: SegmentIndex,
        chosen: &[&VerifiedShard],
    ) -> Result<BytesMut, DecodeError> {
        let k = usize::from(self.content.layout().geometry().k());
        let all = rebuild_all(&mut self.code, chosen);
        if all.tree.root() != chosen[0].segment_root {
            let proof = EquivocationProof::new(&self.content, segment, chosen);
            return Err(DecodeError::Equivocation(Box::new(proof)));
        }
        let mut shards = all.shards;
        shards.truncate(k * all.shard_bytes);
        Ok(shards)
    }
}

/// All n shards of a segment, and the tree over them.
pub(crate) struct WholeSegment {
    /// n shards side by side.
    pub(crate) shards: BytesMut,
    pub(crate) shard_bytes: usize,
    pub(crate) tree: MerkleTree,
}

/// Compute the missing shards from exactly k, ascending by column. Of those given the hashes are
/// known already.
pub(crate) fn rebuild_all(code: &mut Code, chosen: &[&VerifiedShard]) -> WholeSegment {
    let n = code.geometry().n();
    let shard_bytes = chosen[0].payload.len();
    let length = usize::from(n) * shard_bytes;
    // Each shard's place is written once before the code runs: copied if given, else zeroed.
    let mut shards = BytesMut::with_capacity(length);
    let mut known: Vec<Option<Digest>> = vec![None; usize::from(n)];
    for shard in chosen {
        shards.resize(shard.column.as_usize() * shard_bytes, 0);
        shards.extend_from_slice(&shard.payload);
        known[shard.column.as_usize()] = Some(shard.hash);
    }
    shards.resize(length, 0);
    let given: Vec<(ColumnIndex, &[u8])> =
        chosen.iter().map(|shard| (shard.column, &shard.payload[..])).collect();
    let (wanted, mut out): (Vec<ColumnIndex>, Vec<&mut [u8]>) = ColumnIndex::first(n)
        .zip(shards.chunks_exact_mut(shard_bytes))
        .filter(|(column, _)| known[column.as_usize()].is_none())
        .unzip();
    code.rebuild(&given, &wanted, &mut out);
    let hashes = shards
        .chunks_exact(shard_bytes)
        .zip(known)
        .map(|(shard, hash)| hash.unwrap_or_else(|| shard_hash(shard)))
        .collect();
    WholeSegment { shard_bytes, tree: MerkleTree::new(hashes), shards }
}

/// Exactly k different shards of `segment`, those of the lowest columns, ascending: as many data
/// shards as there are, so that as little as possible is computed.
pub(crate) fn choose<'a>(
    content: &Content,
    segment: SegmentIndex,
    shards: &'a [VerifiedShard],
) -> Result<Vec<&'a VerifiedShard>, DecodeError> {
    let foreign = |it: &&VerifiedShard| it.content != content.id() || it.segment != segment;
    if let Some(got) = shards.iter().find(foreign).map(|it| it.segment) {
        return Err(DecodeError::ForeignShard { segment, got });
    }
    let needed = content.layout().geometry().k();
    let mut chosen: Vec<&VerifiedShard> = shards.iter().collect();
    chosen.sort_by_key(|shard| shard.column);
    chosen.dedup_by_key(|shard| shard.column);
    let got = chosen.len();
    if got < usize::from(needed) {
        return Err(DecodeError::TooFewShards { segment, needed, got });
    }
    chosen.truncate(usize::from(needed));
    Ok(chosen)
}

fn gather(chosen: &[&VerifiedShard]) -> BytesMut {
    let bytes = chosen.iter().map(|shard| shard.payload.len()).sum();
    let mut buffer = BytesMut::with_capacity(bytes);
    chosen.iter().for_each(|shard| buffer.extend_from_slice(&shard.payload));
    buffer
}

/// The length of a segment's plaintext, which is held in memory.
fn to_usize(bytes: u64) -> usize {
    usize::try_from(bytes).expect("a segment is at most 255 shards of 256 KiB")
}
