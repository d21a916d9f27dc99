//! Answers to audits, signed only for shards that are what the publisher signed
//! (`spec/incentive.md` §16.1).

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use pop_erasure::Content;
use pop_incentive::audit::AuditChallenge;
use pop_incentive::typed_data::LedgerDomain;
use pop_wire::message::RefusalReason;
use pop_wire::{Keypair, UnixTime};

use crate::disk::{ColumnStore, StoreError};

/// Audits that one prefix may ask for at once; 4 links' bursts, and each costs a read, two hashes
/// of a shard and a signature.
pub(super) const AUDITS_PER_PREFIX_BURST: u64 = 128;

/// How many of [`AUDITS_PER_PREFIX_BURST`] come back a second.
pub(super) const AUDITS_PER_PREFIX_PER_S: u64 = 4;

/// Who answers, and for which ledger, as soon as that is known.
#[derive(Debug, Clone)]
pub(super) struct Auditee {
    keypair: Keypair,
    ledger: Arc<OnceLock<LedgerDomain>>,
}

impl Auditee {
    /// One that is silent until [`answer_for`](Self::answer_for).
    pub(super) fn new(keypair: Keypair) -> Self {
        Self { keypair, ledger: Arc::default() }
    }

    /// Sign answers for this ledger from now on. A node has one ledger: the first counts.
    pub(super) fn answer_for(&self, ledger: LedgerDomain) {
        let _known_already = self.ledger.set(ledger);
    }

    /// The signed answer, or why this node is silent.
    pub(super) fn answer(
        &self,
        store: &ColumnStore,
        now: UnixTime,
        challenge: &[u8],
    ) -> Result<Bytes, RefusalReason> {
        let ledger = self.ledger.get().ok_or(RefusalReason::NotAccepted)?;
        let challenge = AuditChallenge::decode(challenge).map_err(|_| RefusalReason::Malformed)?;
        // spec/incentive.md §16.1: nothing is said of another time.
        if !challenge.is_due(now) {
            return Err(RefusalReason::NotAccepted);
        }
        let AuditChallenge { content, segment, column, .. } = challenge;
        let manifest = store.manifest(&content).ok_or(RefusalReason::NotFound)?;
        let read = store.read(&content, segment, column).map_err(|error| match error {
            StoreError::NotHeld { .. } => RefusalReason::NotFound,
            StoreError::WrongShape { .. } => RefusalReason::Malformed,
            _ => RefusalReason::Damaged,
        })?;
        // spec/incentive.md §16.1: a holder MUST check the shard as it comes from the disk against
        // the root, and MUST be silent if it doesn't fit: a wrong answer costs collateral. The
        // store's checksum finds accidents; this finds everything.
        let fits = Content::new(manifest).ok().and_then(|content| {
            let (payload, paths) = (read.payload, (read.segment_path, read.content_path));
            content.verify_shard(segment, column, payload, paths.0, paths.1).ok()
        });
        let shard = fits.ok_or_else(|| {
            tracing::error!(%content, %column, %segment, "a held shard is not the publisher's");
            RefusalReason::Damaged
        })?;
        let answer = challenge.answer(ledger, &self.keypair, shard.payload());
        Ok(Bytes::copy_from_slice(&answer.encode()))
    }
}
