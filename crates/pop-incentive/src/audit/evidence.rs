//! Proof that a holder answered an audit wrongly: [`FailedAuditEvidence`].

use bytes::Bytes;
use pop_wire::limits::{CONTENT_PATH_LEN_MAX, SEGMENT_PATH_LEN_MAX, SHARD_BYTES_MAX};
use pop_wire::{Digest, Manifest, PeerId, ProviderRecord, Signed, Verified, merkle};

use crate::audit::SignedAnswer;
use crate::evidence::EvidenceError;
use crate::typed_data::LedgerDomain;

/// A holder said under its signature that it holds a column, and under its signature that a shard
/// of it is what it is not.
///
/// The true shard is what leads to the root that the publisher signed; there is only one. So no
/// third party can make such evidence without the holder, and a holder that checks a shard before
/// it answers can't make one against itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedAuditEvidence {
    /// The publisher's signed word.
    pub manifest: Signed<Manifest>,
    /// The holder's signed word that it holds the column.
    pub record: Signed<ProviderRecord>,
    /// The holder's signed answer.
    pub answer: SignedAnswer,
    /// The shard that was asked for.
    pub shard: Bytes,
    /// From the shard to the segment's root, leaf first.
    pub segment_path: Vec<Digest>,
    /// From the segment to the manifest's root, leaf first.
    pub content_path: Vec<Digest>,
}

impl FailedAuditEvidence {
    /// Check it. Returns the holder, which is at fault.
    ///
    /// # Errors
    /// [`EvidenceError`]: the fault of whoever made the evidence, and nobody else's.
    pub fn verify(&self, domain: &LedgerDomain) -> Result<PeerId, EvidenceError> {
        let manifest = self
            .manifest
            .clone()
            .verify()
            .map_err(|_| EvidenceError::Signed { what: "manifest" })?;
        let record =
            self.record.clone().verify().map_err(|_| EvidenceError::Signed { what: "record" })?;
        self.check_record(&manifest, &record)?;
        self.check_shard(&manifest)?;
        let answer = &self.answer.answer;
        if answer.holder != record.peer.wallet_address() {
            return Err(EvidenceError::OtherHolder);
        }
        if self.answer.fits(&self.shard) {
            return Err(EvidenceError::Right);
        }
        let digest = domain.digest(&answer.struct_hash());
        self.answer.signature.verify_peer(&digest, record.peer)?;
        Ok(record.peer)
    }

    /// That the holder said it has what it was asked for, when it was asked.
    fn check_record(
        &self,
        manifest: &Verified<Manifest>,
        record: &ProviderRecord,
    ) -> Result<(), EvidenceError> {
        let asked = &self.answer.answer.challenge;
        let content = manifest.content_id();
        if asked.content != content || record.content != content {
            return Err(EvidenceError::OtherContent);
        }
        let alive = record.issued_at <= asked.asked_at && asked.asked_at < record.expires_at;
        if alive && record.columns.contains(asked.column) {
            return Ok(());
        }
        Err(EvidenceError::NotClaimed)
    }

    /// That the shard is the one that the publisher signed at this place.
    fn check_shard(&self, manifest: &Manifest) -> Result<(), EvidenceError> {
        let asked = &self.answer.answer.challenge;
        let bounded = self.shard.len() <= SHARD_BYTES_MAX
            && self.segment_path.len() <= SEGMENT_PATH_LEN_MAX
            && self.content_path.len() <= CONTENT_PATH_LEN_MAX;
        let root = bounded.then(|| self.root(manifest)).flatten();
        if root == Some(manifest.root) {
            return Ok(());
        }
        Err(EvidenceError::Shard { segment: asked.segment, column: asked.column })
    }

    fn root(&self, manifest: &Manifest) -> Option<Digest> {
        let asked = &self.answer.answer.challenge;
        let leaf = merkle::shard_hash(&self.shard);
        let (column, columns) = (asked.column.get().into(), manifest.total_shards.into());
        let segment = merkle::root_from_path(leaf, column, columns, &self.segment_path)?;
        let shard_bytes = u32::try_from(self.shard.len()).ok()?;
        let leaf = merkle::segment_leaf(asked.segment, shard_bytes, &segment);
        let count = manifest.segment_count();
        merkle::root_from_path(leaf, asked.segment.0, count, &self.content_path)
    }
}
