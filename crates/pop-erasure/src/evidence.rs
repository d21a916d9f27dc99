//! Portable proof that a publisher signed shards that are no codeword: [`EquivocationProof`].

use bytes::Bytes;
use pop_wire::{
    ContentId, EquivocationEvidence, EvidenceShard, PeerId, SegmentIndex, Signed, Verified,
};

use crate::backend::Code;
use crate::decoder::{choose, rebuild_apart};
use crate::error::ProofError;
use crate::{Content, VerifiedShard};

/// k shards of one segment, each with its proof under the publisher's signature, that don't
/// belong to the codeword whose root the publisher signed: re-encoding them gives another root.
///
/// Different holders would thus give different viewers different bytes. Whoever has the proof
/// can check it with nothing else at hand; an honest publisher can't be accused, because every
/// shard in it is one that it signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EquivocationProof {
    content: ContentId,
    evidence: EquivocationEvidence,
}

impl EquivocationProof {
    /// From k shards of `segment` that were found to contradict the root.
    pub(crate) fn new(content: &Content, segment: SegmentIndex, chosen: &[&VerifiedShard]) -> Self {
        let shard = |shard: &&VerifiedShard| EvidenceShard {
            column: shard.column,
            payload: shard.payload.clone(),
            segment_path: shard.segment_path.clone(),
        };
        let evidence = EquivocationEvidence {
            manifest: content.manifest().signed().clone(),
            segment,
            content_path: chosen[0].content_path.clone(),
            shards: chosen.iter().map(shard).collect(),
        };
        Self { content: content.id(), evidence }
    }

    /// The content that can't be trusted.
    #[must_use]
    pub fn content(&self) -> ContentId {
        self.content
    }

    /// The segment in which it shows.
    #[must_use]
    pub fn segment(&self) -> SegmentIndex {
        self.evidence.segment
    }

    /// The bytes to hand to anybody.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        self.evidence.encode()
    }

    /// Read a proof and check it. Whose fault it proves, it returns.
    ///
    /// # Errors
    /// [`ProofError`]: it proves nothing. The sender's fault.
    pub fn verify(bytes: Bytes) -> Result<(Self, PeerId), ProofError> {
        let evidence = EquivocationEvidence::decode(bytes)?;
        let manifest: Verified<_> = Signed::verify(evidence.manifest.clone())?;
        let publisher = manifest.publisher;
        let content = Content::new(manifest)?;
        let needed = content.layout().geometry().k();
        if evidence.shards.len() != usize::from(needed) {
            return Err(ProofError::ShardCount { needed, got: evidence.shards.len() });
        }
        let segment = evidence.segment;
        let mut shards = Vec::with_capacity(evidence.shards.len());
        for shard in &evidence.shards {
            let EvidenceShard { column, payload, segment_path } = shard.clone();
            let path = evidence.content_path.clone();
            shards.push(content.verify_shard(segment, column, payload, segment_path, path)?);
        }
        let chosen = choose(&content, segment, &shards)
            .map_err(|_| ProofError::ShardCount { needed, got: distinct(&shards) })?;
        let (_, tree) = rebuild_apart(&mut Code::new(content.layout().geometry()), &chosen);
        if tree.root() == chosen[0].segment_root {
            return Err(ProofError::Consistent);
        }
        Ok((Self { content: content.id(), evidence }, publisher))
    }
}

fn distinct(shards: &[VerifiedShard]) -> usize {
    shards.iter().map(|shard| shard.column).collect::<std::collections::BTreeSet<_>>().len()
}
