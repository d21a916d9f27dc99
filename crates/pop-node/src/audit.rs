//! Auditing holders: asking them for what their records say they hold, and checking a part of what
//! they sign (`spec/incentive.md` §16).

mod examine;
mod truth;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::StreamExt as _;
use pop_incentive::audit::{AuditChallenge, FailedAuditEvidence};
use pop_wire::{ColumnSet, ContentId, PeerId, ProviderRecord, SegmentIndex, UnixTime, Verified};

use self::examine::{Examiner, Reply};
use crate::clock;
use crate::disk::StoreError;
use crate::error::NodeError;
use crate::node::{Inner, Node};

/// Audits that a holder answers at once on one link ([`pop_exchange::limits::AUDITS_BURST`]): more
/// in one go would be refused, and count as silence.
pub const SAMPLES_MAX: u64 = pop_exchange::limits::AUDITS_BURST;

/// Holders asked at once.
const HOLDERS_AT_ONCE: usize = 16;

/// Holders of one content that are audited.
const HOLDERS_MAX: usize = 1_024;

/// Time that the DHT has to name holders.
const LOOKUP_TIME: Duration = Duration::from_secs(5);

/// What to audit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditOptions {
    /// Only this holder.
    pub holder: Option<PeerId>,
    /// Challenges to each holder, 1 to [`SAMPLES_MAX`].
    pub samples: u64,
    /// Of the segments that were asked about, so many are fetched, and the answers about them
    /// checked; those of the others count as given.
    pub checked: u64,
}

/// What came of auditing one holder.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct HolderAudit {
    /// Who.
    pub peer: PeerId,
    /// What it says it holds.
    pub columns: ColumnSet,
    /// Answers that the shard confirms.
    pub right: u64,
    /// Answers that the shard refutes; each is evidence.
    pub wrong: u64,
    /// Answers that nobody checked.
    pub unchecked: u64,
    /// Challenges without an answer, by what was there instead of one.
    pub silent: BTreeMap<String, u64>,
    /// Time that each answer took, in milliseconds, ascending.
    pub answered_ms: Vec<u64>,
    /// What the ledger takes collateral for.
    pub evidence: Vec<FailedAuditEvidence>,
}

impl HolderAudit {
    fn new(record: &ProviderRecord) -> Self {
        Self {
            peer: record.peer,
            columns: record.columns,
            right: 0,
            wrong: 0,
            unchecked: 0,
            silent: BTreeMap::new(),
            answered_ms: Vec::new(),
            evidence: Vec::new(),
        }
    }

    /// Challenges without an answer.
    #[must_use]
    pub fn silences(&self) -> u64 {
        self.silent.values().sum()
    }

    /// Half of the answers took no longer, in milliseconds; `None` without any.
    #[must_use]
    pub fn median_ms(&self) -> Option<u64> {
        self.answered_ms.get(self.answered_ms.len() / 2).copied()
    }

    fn silence(&mut self, why: String) {
        *self.silent.entry(why).or_default() += 1;
    }
}

/// What came of an audit.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Audited {
    /// Of which content.
    pub content: ContentId,
    /// One entry a holder, by peer.
    pub holders: Vec<HolderAudit>,
    /// Segments that were fetched to check answers.
    pub checked: BTreeSet<SegmentIndex>,
}

impl Node {
    /// Ask holders of a content for random shards of what their records say they hold, and check a
    /// part of their answers with shards from the network. Needs a ledger: answers are signed for
    /// one.
    ///
    /// # Errors
    /// [`NodeError`]: no ledger, the content or the holder is not known, the node shuts down, or
    /// the publisher signed an inconsistent encoding.
    pub async fn audit(
        &self,
        content: ContentId,
        options: AuditOptions,
    ) -> Result<Audited, NodeError> {
        let inner = &self.inner;
        let domain = inner.ledger.as_ref().ok_or(NodeError::NoLedger)?.domain().await?;
        let content = inner.find(content).await?;
        let records = inner.records_of(content.id(), options.holder).await;
        if let Some(peer) = options.holder.filter(|_| records.is_empty()) {
            let reason = "no living record says that it holds a column of this content".to_owned();
            return Err(NodeError::NoNode { address: peer.to_string(), reason });
        }
        let segments = content.layout().segment_count();
        let places = (0..options.samples.clamp(1, SAMPLES_MAX))
            .map(|_| draw(segments).map(SegmentIndex))
            .collect::<Result<Vec<_>, _>>()?;
        let examiner = Examiner { inner, domain, content: content.id(), places: &places };
        let asking: Vec<_> = records.values().map(|record| examiner.examine(record)).collect();
        let mut replies = futures::stream::iter(asking).buffer_unordered(HOLDERS_AT_ONCE);
        let mut examined = BTreeMap::new();
        while let Some((peer, replies)) = replies.next().await {
            examined.insert(peer, replies?);
        }
        // Which answers are checked is drawn after they were given.
        let mut left: Vec<SegmentIndex> =
            BTreeSet::from_iter(places.iter().copied()).into_iter().collect();
        let mut checked = BTreeSet::new();
        while u64::try_from(checked.len()).is_ok_and(|count| count < options.checked) {
            let Some(last) = u64::try_from(left.len()).ok().filter(|count| *count > 0) else {
                break;
            };
            let at = usize::try_from(draw(last)?).unwrap_or(0);
            checked.insert(left.swap_remove(at));
        }
        let truth = truth::fetch(inner, &content, checked).await?;
        let judge = |(peer, replies): (PeerId, Vec<Reply>)| {
            let record = records.get(&peer)?;
            Some(truth.judge(&content, record, replies, &domain))
        };
        let holders = examined.into_iter().filter_map(judge).collect();
        Ok(Audited { content: content.id(), holders, checked: truth.segments() })
    }
}

impl Inner {
    /// The newest living record of each holder that the DHT names within a few seconds.
    async fn records_of(
        &self,
        content: ContentId,
        only: Option<PeerId>,
    ) -> BTreeMap<PeerId, Verified<ProviderRecord>> {
        let now = clock::unix_now();
        let mut records: BTreeMap<PeerId, Verified<ProviderRecord>> = BTreeMap::new();
        let mut findings = self.network.find_content(content).await;
        let looking = async {
            while let Some(finding) = findings.recv().await {
                for record in finding.providers {
                    let wanted = only.is_none_or(|peer| peer == record.peer);
                    let known = records.get(&record.peer);
                    let newer = known.map_or(records.len() < HOLDERS_MAX, |known| {
                        record.issued_at > known.issued_at
                    });
                    if wanted && newer && is_claim(&record, content, now) {
                        records.insert(record.peer, record);
                    }
                }
            }
        };
        let _time_is_up = tokio::time::timeout(LOOKUP_TIME, looking).await;
        records
    }
}

/// Whether a record says something that a wrong answer can be held against, at this time.
fn is_claim(record: &ProviderRecord, content: ContentId, now: UnixTime) -> bool {
    record.content == content
        && !record.columns.is_empty()
        && record.issued_at <= now
        && now < record.expires_at
}

/// A random number below `below`, which is not zero.
fn draw(below: u64) -> Result<u64, NodeError> {
    let [a, b, c, d, e, f, g, h, ..] = clock::random_bytes().map_err(StoreError::from)?;
    Ok(u64::from_be_bytes([a, b, c, d, e, f, g, h]).checked_rem(below).unwrap_or(0))
}

/// A challenge about a random one of `columns`.
fn challenge(
    content: ContentId,
    segment: SegmentIndex,
    columns: &ColumnSet,
) -> Result<Option<AuditChallenge>, NodeError> {
    let count = u64::try_from(columns.len()).unwrap_or(u64::MAX);
    let at = usize::try_from(draw(count)?).unwrap_or(0);
    let nonce = clock::random_bytes().map_err(StoreError::from)?;
    let asked_at = clock::unix_now();
    let column = columns.iter().nth(at);
    Ok(column.map(|column| AuditChallenge { content, segment, column, nonce, asked_at }))
}
