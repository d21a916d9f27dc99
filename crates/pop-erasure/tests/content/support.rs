//! A published content with everything that its holders have.

use std::iter;

use pop_erasure::merkle::{MerkleTree, segment_leaf, shard_hash};
use pop_erasure::{
    Content, ContentKey, Decoder, EncodedSegment, Encoder, Geometry, Media, Publication,
    VerifiedShard,
};
use pop_wire::{ColumnIndex, Digest, Keypair, Manifest, SegmentIndex, Verified};

pub(crate) const KEY: [u8; 32] = [7; 32];
pub(crate) const SALT: [u8; 32] = [9; 32];

pub(crate) struct Film {
    pub(crate) plaintext: Vec<u8>,
    pub(crate) encoded: Vec<EncodedSegment>,
    pub(crate) publication: Publication,
    pub(crate) content: Content,
}

impl Film {
    pub(crate) fn new((k, n): (u16, u16), shard_bytes: u32, length: usize) -> Self {
        let geometry = Geometry::danger_without_promise(k, n).unwrap();
        let plaintext = bytes(length);
        let mut encoder =
            Encoder::new(geometry, shard_bytes, ContentKey::from_bytes(KEY), SALT).unwrap();
        let encoded = encode(&mut encoder, &plaintext);
        let publication = encoder.finish(&publisher(), Media::default()).unwrap();
        let content = Content::new(publication.manifest().clone()).unwrap();
        Self { plaintext, encoded, publication, content }
    }

    pub(crate) fn decoder(&self) -> Decoder {
        Decoder::new(self.content.clone(), ContentKey::from_bytes(KEY)).unwrap()
    }

    pub(crate) fn shard(&self, segment: SegmentIndex, column: ColumnIndex) -> VerifiedShard {
        let encoded = &self.encoded[usize::try_from(segment.0).unwrap()];
        let payload = encoded.shard(column).unwrap();
        let segment_path = encoded.segment_path(column).unwrap();
        let content_path = self.publication.content_path(segment).unwrap();
        self.content.verify_shard(segment, column, payload, segment_path, content_path).unwrap()
    }

    pub(crate) fn shards(
        &self,
        segment: SegmentIndex,
        columns: impl IntoIterator<Item = ColumnIndex>,
    ) -> Vec<VerifiedShard> {
        columns.into_iter().map(|column| self.shard(segment, column)).collect()
    }

    /// The last k columns: the most parity that there can be.
    pub(crate) fn worst(&self, segment: SegmentIndex) -> Vec<VerifiedShard> {
        let geometry = self.content.layout().geometry();
        let lost = usize::from(geometry.n() - geometry.k());
        self.shards(segment, self.content.layout().columns().skip(lost))
    }
}

/// Push everything, poll everything, end.
pub(crate) fn encode(encoder: &mut Encoder, plaintext: &[u8]) -> Vec<EncodedSegment> {
    let (mut rest, mut encoded) = (plaintext, Vec::new());
    while !rest.is_empty() {
        rest = &rest[encoder.push(rest).unwrap()..];
        encoded.extend(iter::from_fn(|| encoder.poll()));
    }
    encoder.end();
    encoded.extend(iter::from_fn(|| encoder.poll()));
    encoded
}

/// A content of one segment whose publisher signs whatever shards it is given.
pub(crate) fn sign_anything(
    like: &Film,
    shards: &[Vec<u8>],
    key_commitment: Digest,
) -> (Content, Vec<VerifiedShard>) {
    let (content, mut shards) = sign_segments(like, &[shards.to_vec()], key_commitment);
    (content, shards.remove(0))
}

/// A content whose publisher signs whatever shards it is given for each segment.
pub(crate) fn sign_segments(
    like: &Film,
    segments: &[Vec<Vec<u8>>],
    key_commitment: Digest,
) -> (Content, Vec<Vec<VerifiedShard>>) {
    let layout = like.content.layout();
    let tree = |shards: &Vec<Vec<u8>>| {
        MerkleTree::new(shards.iter().map(|shard| shard_hash(shard)).collect())
    };
    let trees: Vec<MerkleTree> = segments.iter().map(tree).collect();
    let leaf = |(tree, segment): (&MerkleTree, SegmentIndex)| {
        segment_leaf(segment, layout.shard_bytes(segment).unwrap(), &tree.root())
    };
    let roots = MerkleTree::new(trees.iter().zip(layout.segments()).map(leaf).collect());
    let original = like.content.manifest();
    let manifest = Manifest::new(
        original.publisher,
        original.length_bytes,
        original.shard_bytes,
        (original.data_shards, original.total_shards),
        [roots.root(), original.salt, key_commitment],
    );
    let content = Content::new(Verified::sign(manifest, &publisher()).unwrap()).unwrap();
    let verify = |((shards, tree), segment): ((&Vec<Vec<u8>>, &MerkleTree), SegmentIndex)| {
        let on = roots.path(usize::try_from(segment.0).unwrap()).unwrap();
        let verify = |(column, shard): (ColumnIndex, &Vec<u8>)| {
            let up = tree.path(column.as_usize()).unwrap();
            content.verify_shard(segment, column, shard.clone().into(), up, on.clone()).unwrap()
        };
        layout.columns().zip(shards).map(verify).collect()
    };
    let verified = segments.iter().zip(&trees).zip(layout.segments()).map(verify).collect();
    (content, verified)
}

/// All n shards of the first segment.
pub(crate) fn raw_shards(film: &Film) -> Vec<Vec<u8>> {
    let columns = film.content.layout().columns();
    columns.map(|column| film.encoded[0].shard(column).unwrap().to_vec()).collect()
}

pub(crate) fn publisher() -> Keypair {
    Keypair::from_secret_bytes(&[3; 32]).unwrap()
}

/// Bytes without a short period.
pub(crate) fn bytes(length: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    iter::repeat_with(next).take(length).collect()
}

pub(crate) fn column(index: u16) -> ColumnIndex {
    ColumnIndex::new(index).unwrap()
}

/// Every choice of `k` of `0..n`.
pub(crate) fn subsets(k: u16, n: u16) -> Vec<Vec<ColumnIndex>> {
    (0_u32..1 << n)
        .filter(|bits| bits.count_ones() == u32::from(k))
        .map(|bits| (0..n).filter(|i| bits >> i & 1 == 1).map(column).collect())
        .collect()
}
