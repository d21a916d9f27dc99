//! From k verified shards back to plaintext: [`Decoder`].

use std::fmt;
use std::ops::Range;

use bytes::{Bytes, BytesMut};
use pop_wire::{ColumnIndex, ColumnSet, Digest, SegmentIndex};

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
/// It remembers the last loss pattern: consecutive segments usually miss the same columns. Once it
/// had to rebuild a shard, it keeps memory for n - k of them.
#[derive(Clone, Debug)]
pub struct Decoder {
    content: Content,
    key: ContentKey,
    code: Code,
    check: ReEncodeCheck,
    parity: Scratch,
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
        Ok(Self { content, key, code, check: ReEncodeCheck::default(), parity: Scratch::default() })
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
            gather(layout.geometry().k(), &chosen)
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
        let geometry = self.content.layout().geometry();
        let shard_bytes = chosen[0].payload.len();
        let mut data = gather(geometry.k(), chosen);
        let parity = self.parity.places(usize::from(geometry.n() - geometry.k()) * shard_bytes);
        let given: ColumnSet = chosen.iter().map(|shard| shard.column).collect();
        let mut missing: Vec<&mut [u8]> = ColumnIndex::first(geometry.n())
            .zip(data.chunks_exact_mut(shard_bytes).chain(parity.chunks_exact_mut(shard_bytes)))
            .filter_map(|(column, place)| (!given.contains(column)).then_some(place))
            .collect();
        let tree = rebuild(&mut self.code, chosen, &mut missing);
        if tree.root() != chosen[0].segment_root {
            let proof = EquivocationProof::new(&self.content, segment, chosen);
            return Err(DecodeError::Equivocation(Box::new(proof)));
        }
        Ok(data)
    }
}

/// Memory for parity that is computed only to be compared with the root: one segment's after the
/// other's, because fresh pages cost more than the code that fills them. A clone starts without.
#[derive(Default)]
struct Scratch(Vec<u8>);

impl Scratch {
    /// What it holds before is unspecified.
    fn places(&mut self, bytes: usize) -> &mut [u8] {
        if self.0.len() < bytes {
            self.0.resize(bytes, 0);
        }
        &mut self.0[..bytes]
    }
}

impl Clone for Scratch {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl fmt::Debug for Scratch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Scratch({} bytes)", self.0.len())
    }
}

/// Compute the n - k columns that are not among exactly k shards, ascending, into the places
/// `missing`; the tree over all n. Of the shards given the hashes are known already.
fn rebuild(code: &mut Code, chosen: &[&VerifiedShard], missing: &mut [&mut [u8]]) -> MerkleTree {
    let n = code.geometry().n();
    let given: Vec<(ColumnIndex, &[u8])> =
        chosen.iter().map(|shard| (shard.column, &shard.payload[..])).collect();
    let mut known: Vec<Option<Digest>> = vec![None; usize::from(n)];
    for shard in chosen {
        known[shard.column.as_usize()] = Some(shard.hash);
    }
    let wanted: Vec<ColumnIndex> =
        ColumnIndex::first(n).filter(|column| known[column.as_usize()].is_none()).collect();
    code.rebuild(&given, &wanted, missing);
    let mut computed = missing.iter().map(|shard| shard_hash(shard));
    let hashes = known.into_iter().filter_map(|hash| hash.or_else(|| computed.next())).collect();
    MerkleTree::new(hashes)
}

/// As [`rebuild`], into memory of its own: the n - k columns side by side.
pub(crate) fn rebuild_apart(code: &mut Code, chosen: &[&VerifiedShard]) -> (BytesMut, MerkleTree) {
    let (geometry, shard_bytes) = (code.geometry(), chosen[0].payload.len());
    let mut computed = BytesMut::zeroed(usize::from(geometry.n() - geometry.k()) * shard_bytes);
    let mut missing: Vec<&mut [u8]> = computed.chunks_exact_mut(shard_bytes).collect();
    let tree = rebuild(code, chosen, &mut missing);
    (computed, tree)
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

/// The data shards that there are, side by side, and zeros in the places of the others.
fn gather(k: u16, chosen: &[&VerifiedShard]) -> BytesMut {
    let shard_bytes = chosen[0].payload.len();
    let bytes = usize::from(k) * shard_bytes;
    // Each place is written once before the code runs: copied if given, else zeroed.
    let mut buffer = BytesMut::with_capacity(bytes);
    for shard in chosen.iter().filter(|shard| shard.column.get() < k) {
        buffer.resize(shard.column.as_usize() * shard_bytes, 0);
        buffer.extend_from_slice(&shard.payload);
    }
    buffer.resize(bytes, 0);
    buffer
}

/// The length of a segment's plaintext, which is held in memory.
fn to_usize(bytes: u64) -> usize {
    usize::try_from(bytes).expect("a segment is at most 255 shards of 256 KiB")
}
