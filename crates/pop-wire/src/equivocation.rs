//! The wire form of the evidence that a publisher signed an inconsistent encoding. What it
//! proves, and how it is checked, is pop-erasure's business.

use bytes::Bytes;
use prost::Message as _;

use crate::limits::{
    CONTENT_PATH_LEN_MAX, EQUIVOCATION_PROOF_BYTES_MAX, SEGMENT_PATH_LEN_MAX, SEGMENTS_MAX,
    SHARD_BYTES_MAX, TOTAL_SHARDS_MAX,
};
use crate::repeated::{check_count, entries};
use crate::signed::{check_length, check_range};
use crate::{ColumnIndex, Digest, Manifest, SegmentIndex, Signed, WireError, proto};

/// Number of the field `shards` in `EquivocationProofBody`.
const SHARDS_TAG: u32 = 4;

/// Shards of one segment with their paths under one signed manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EquivocationEvidence {
    /// The publisher's signed word.
    pub manifest: Signed<Manifest>,
    /// Which segment.
    pub segment: SegmentIndex,
    /// From the segment to the manifest's root, leaf first.
    pub content_path: Vec<Digest>,
    /// The shards.
    pub shards: Vec<EvidenceShard>,
}

/// One shard of [`EquivocationEvidence`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EvidenceShard {
    /// Which column.
    pub column: ColumnIndex,
    /// The shard's bytes.
    pub payload: Bytes,
    /// From the shard to the segment's root, leaf first.
    pub segment_path: Vec<Digest>,
}

impl EquivocationEvidence {
    /// Read evidence. Checks form and sizes only, before anything is allocated for it.
    ///
    /// # Errors
    /// [`WireError`]: the sender's fault.
    pub fn decode(bytes: Bytes) -> Result<Self, WireError> {
        check_length("evidence", bytes.len(), 0, EQUIVOCATION_PROOF_BYTES_MAX)?;
        let shards_max = usize::from(TOTAL_SHARDS_MAX);
        check_count("evidence.shards", entries(&bytes, SHARDS_TAG), shards_max)?;
        let body = proto::EquivocationProofBody::decode(bytes)
            .map_err(|_| WireError::Protobuf { message: "equivocation evidence" })?;
        check_range("evidence.segment", body.segment, 0, SEGMENTS_MAX - 1)?;
        Ok(Self {
            manifest: Signed::decode(body.manifest)?,
            segment: SegmentIndex(body.segment),
            content_path: Digest::path_from_wire(
                "evidence.content_path",
                &body.content_path,
                CONTENT_PATH_LEN_MAX,
            )?,
            shards: body
                .shards
                .into_iter()
                .map(EvidenceShard::from_proto)
                .collect::<Result<_, _>>()?,
        })
    }

    /// The bytes to hand to anybody.
    pub fn encode(&self) -> Bytes {
        proto::EquivocationProofBody {
            manifest: self.manifest.encode(),
            segment: self.segment.0,
            content_path: Digest::path_to_wire(&self.content_path),
            shards: self.shards.iter().map(EvidenceShard::to_proto).collect(),
        }
        .encode_to_vec()
        .into()
    }
}

impl EvidenceShard {
    fn from_proto(shard: proto::ShardWithProof) -> Result<Self, WireError> {
        check_length("evidence.shard", shard.shard.len(), 1, SHARD_BYTES_MAX)?;
        Ok(Self {
            column: ColumnIndex::from_wire("evidence.column", shard.column)?,
            payload: shard.shard,
            segment_path: Digest::path_from_wire(
                "evidence.segment_path",
                &shard.segment_path,
                SEGMENT_PATH_LEN_MAX,
            )?,
        })
    }

    fn to_proto(&self) -> proto::ShardWithProof {
        proto::ShardWithProof {
            column: self.column.get().into(),
            shard: self.payload.clone(),
            segment_path: Digest::path_to_wire(&self.segment_path),
        }
    }
}
