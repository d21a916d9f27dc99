//! The checking half of an audit: the shards that the publisher signed, from whoever has them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use pop_erasure::{Content, DecodeError, Repairer, VerifiedShard};
use pop_incentive::audit::{FailedAuditEvidence, SignedAnswer};
use pop_incentive::typed_data::LedgerDomain;
use pop_wire::{ColumnIndex, ColumnSet, ProviderRecord, SegmentIndex, Signed, Verified};

use super::HolderAudit;
use super::examine::Reply;
use crate::error::NodeError;
use crate::evidence;
use crate::node::Inner;
use crate::repair::next_segment;
use crate::session::Wish;

/// Every shard of some segments.
pub(super) struct Truth {
    shards: BTreeMap<(SegmentIndex, ColumnIndex), VerifiedShard>,
}

/// Fetch k shards of each segment and compute the others. A segment that can't be had is left out:
/// the answers about it stay unchecked.
pub(super) async fn fetch(
    inner: &Arc<Inner>,
    content: &Content,
    segments: BTreeSet<SegmentIndex>,
) -> Result<Truth, NodeError> {
    let mut truth = Truth { shards: BTreeMap::new() };
    if segments.is_empty() {
        return Ok(truth);
    }
    let mut repairer = Repairer::new(content.clone());
    let columns = ColumnSet::all(content.layout().geometry().n());
    let mut session = inner.session(content)?;
    for segment in segments {
        let segments = segment.0..segment.0 + 1;
        session.tell(Wish::Want { segments, first_deadline: None, segment_duration_ms: 0 });
        let (segment, shards) = match next_segment(&mut session, content).await {
            Ok(found) => found,
            Err(NodeError::TooFewHolders { .. }) => {
                tracing::warn!(%segment, "too few holders: answers about it stay unchecked");
                break;
            }
            Err(error) => return Err(error),
        };
        session.tell(Wish::Release(segment));
        let all = repairer.rebuild(segment, &shards, columns);
        let all = all.map_err(|error| explain(inner, content, segment, error))?;
        truth.shards.extend(all.into_iter().map(|shard| ((segment, shard.column()), shard)));
    }
    inner.contents.give_back(&content.id(), session);
    Ok(truth)
}

fn explain(
    inner: &Inner,
    content: &Content,
    segment: SegmentIndex,
    error: DecodeError,
) -> NodeError {
    let DecodeError::Equivocation(proof) = error else {
        tracing::error!(%error, "segment not rebuilt");
        return NodeError::Undecryptable { content: content.id(), segment };
    };
    match evidence::keep(&inner.settings.data_dir.join(evidence::DIRECTORY), &proof) {
        Ok(proof) => NodeError::Equivocation { content: content.id(), proof },
        Err(error) => error,
    }
}

impl Truth {
    /// The segments that can be checked.
    pub(super) fn segments(&self) -> BTreeSet<SegmentIndex> {
        self.shards.keys().map(|(segment, _)| *segment).collect()
    }

    /// Hold what a holder said against what is true.
    pub(super) fn judge(
        &self,
        content: &Content,
        record: &Verified<ProviderRecord>,
        replies: Vec<Reply>,
        domain: &LedgerDomain,
    ) -> HolderAudit {
        let mut holder = HolderAudit::new(record);
        for reply in replies {
            let (answer, ms) = match reply {
                Reply::Answer(answer, ms) => (answer, ms),
                Reply::Silence(why) => {
                    holder.silence(why);
                    continue;
                }
            };
            holder.answered_ms.push(ms);
            let asked = &answer.answer.challenge;
            match self.shards.get(&(asked.segment, asked.column)) {
                None => holder.unchecked += 1,
                Some(shard) if answer.fits(shard.payload()) => holder.right += 1,
                Some(shard) => {
                    holder.wrong += 1;
                    let failed = evidence_of(content, record.signed(), answer, shard);
                    match failed.verify(domain) {
                        Ok(_) => holder.evidence.push(failed),
                        Err(error) => tracing::warn!(%error, "a wrong answer proves nothing"),
                    }
                }
            }
        }
        holder.answered_ms.sort_unstable();
        holder
    }
}

fn evidence_of(
    content: &Content,
    record: &Signed<ProviderRecord>,
    answer: SignedAnswer,
    shard: &VerifiedShard,
) -> FailedAuditEvidence {
    FailedAuditEvidence {
        manifest: content.manifest().signed().clone(),
        record: record.clone(),
        answer,
        shard: shard.payload().clone(),
        segment_path: shard.segment_path().to_vec(),
        content_path: shard.content_path().to_vec(),
    }
}
