//! What a publisher signs about a content. Constant size, whatever the content's length.

use bytes::Bytes;
use prost::Message as _;

use crate::limits::{
    CONTENT_BYTES_MAX, DATA_SHARDS_MIN, MEDIA_TYPE_BYTES_MAX, SEGMENTS_MAX, SHARD_BYTES_MAX,
    TOTAL_SHARDS_MAX,
};
use crate::signed::{check_length, check_range, sealed};
use crate::{Amount, ContentId, Digest, PeerId, SignedBody, Verified, WireError, proto};

/// Context of the hash that names a content.
const CONTENT_ID_CONTEXT: &str = "POP 2026 content id v1";

/// A content as its publisher describes it. Normative: `spec/content.md` §6.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Manifest {
    /// Who signs, and is paid.
    pub publisher: PeerId,
    /// Bytes of the plaintext; zero is allowed.
    pub length_bytes: u64,
    /// Bytes of a shard in every segment but the last, a multiple of 64.
    pub shard_bytes: u32,
    /// Shards that rebuild a segment: k.
    pub data_shards: u16,
    /// Shards of a segment: n, also the number of columns.
    pub total_shards: u16,
    /// Merkle root over all segments.
    pub root: Digest,
    /// Public random value of this content.
    pub salt: Digest,
    /// Commitment to the content key.
    pub key_commitment: Digest,
    /// Asked per megabit and tier; zero for free content.
    pub price: Amount,
    /// RFC 6838 media type, such as `video/mp4`; empty if unknown.
    pub media_type: String,
    /// Playing time in milliseconds; zero if unknown.
    pub duration_ms: u64,
    /// Asked for the content key, once; zero if it isn't sold but comes with the link.
    pub key_price: Amount,
}

impl Manifest {
    /// A manifest with everything that has no default; prices, media type and duration are zero
    /// or empty and can be set afterwards.
    pub fn new(
        publisher: PeerId,
        length_bytes: u64,
        shard_bytes: u32,
        (data_shards, total_shards): (u16, u16),
        [root, salt, key_commitment]: [Digest; 3],
    ) -> Self {
        Self {
            publisher,
            length_bytes,
            shard_bytes,
            data_shards,
            total_shards,
            root,
            salt,
            key_commitment,
            price: Amount::ZERO,
            media_type: String::new(),
            duration_ms: 0,
            key_price: Amount::ZERO,
        }
    }

    /// Plaintext bytes of every segment but the last: k shards less the 16-byte tag.
    pub fn segment_bytes(&self) -> u64 {
        u64::from(self.data_shards) * u64::from(self.shard_bytes) - 16
    }

    /// Number of segments, at least one.
    pub fn segment_count(&self) -> u64 {
        self.length_bytes.div_ceil(self.segment_bytes()).max(1)
    }
}

impl Verified<Manifest> {
    /// The content's name: a hash of the signed body.
    pub fn content_id(&self) -> ContentId {
        let body: &Bytes = self.signed().body();
        ContentId(blake3::derive_key(CONTENT_ID_CONTEXT, body))
    }
}

impl sealed::Sealed for Manifest {}

impl SignedBody for Manifest {
    const DOMAIN: &'static str = "manifest";

    fn signer(&self) -> PeerId {
        self.publisher
    }

    fn decode_body(bytes: &[u8]) -> Result<Self, WireError> {
        let body = proto::ManifestBody::decode(bytes)
            .map_err(|_| WireError::Protobuf { message: "manifest" })?;
        check_range("manifest.version", body.version.into(), 1, 1)?;
        check_range("manifest.length_bytes", body.length_bytes, 0, CONTENT_BYTES_MAX)?;
        let shard_bytes_max = u64::try_from(SHARD_BYTES_MAX).unwrap_or(u64::MAX);
        check_range("manifest.shard_bytes", body.shard_bytes.into(), 64, shard_bytes_max)?;
        if body.shard_bytes % 64 != 0 {
            return Err(WireError::Invalid {
                field: "manifest.shard_bytes",
                problem: "not a multiple of 64",
            });
        }
        let n_max = u64::from(TOTAL_SHARDS_MAX);
        check_range("manifest.total_shards", body.total_shards.into(), 1, n_max)?;
        let n = u64::from(body.total_shards);
        let k_min = u64::from(DATA_SHARDS_MIN);
        check_range("manifest.data_shards", body.data_shards.into(), k_min, n)?;
        check_length("manifest.media_type", body.media_type.len(), 0, MEDIA_TYPE_BYTES_MAX)?;
        let to_u16 = |count: u32| u16::try_from(count).expect("checked against 255 above");
        let manifest = Self {
            publisher: PeerId::from_wire("manifest.publisher", &body.publisher)?,
            length_bytes: body.length_bytes,
            shard_bytes: body.shard_bytes,
            data_shards: to_u16(body.data_shards),
            total_shards: to_u16(body.total_shards),
            root: Digest::from_wire("manifest.root", &body.root)?,
            salt: Digest::from_wire("manifest.salt", &body.salt)?,
            key_commitment: Digest::from_wire("manifest.key_commitment", &body.key_commitment)?,
            price: Amount::from_wire("manifest.price", &body.price)?,
            media_type: body.media_type,
            duration_ms: body.duration_ms,
            key_price: match body.key_price.is_empty() {
                true => Amount::ZERO,
                false => Amount::from_wire("manifest.key_price", &body.key_price)?,
            },
        };
        check_range("manifest segments", manifest.segment_count(), 1, SEGMENTS_MAX)?;
        Ok(manifest)
    }

    fn encode_body(&self) -> Vec<u8> {
        proto::ManifestBody {
            version: 1,
            publisher: self.publisher.to_wire(),
            length_bytes: self.length_bytes,
            shard_bytes: self.shard_bytes,
            data_shards: self.data_shards.into(),
            total_shards: self.total_shards.into(),
            root: self.root.to_wire(),
            salt: self.salt.to_wire(),
            key_commitment: self.key_commitment.to_wire(),
            price: self.price.to_wire(),
            media_type: self.media_type.clone(),
            duration_ms: self.duration_ms,
            // spec/wire.md §4.3: a key that isn't sold has no price, not one of zeros.
            key_price: match self.key_price {
                Amount::ZERO => Bytes::new(),
                price => price.to_wire(),
            },
        }
        .encode_to_vec()
    }
}
