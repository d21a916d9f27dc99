//! Repair: every column that no live node holds is made anew from k others and put on a live
//! node. Works on ciphertext; the key is neither needed nor known.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use libp2p::Multiaddr;
use pop_erasure::{Content, DecodeError, Repairer, VerifiedShard};
use pop_wire::{
    ColumnIndex, ColumnSet, ContentId, MasternodeRecord, PeerId, ProviderRecord, SegmentIndex,
    Verified,
};

use crate::directory::addresses;
use crate::error::NodeError;
use crate::evidence;
use crate::holdings::holdings;
use crate::node::{Inner, Node};
use crate::session::{Delivery, Session, Wish};
use crate::staging::Staging;
use crate::upload::{Distribution, UploadProgress, candidates};

/// Time that the DHT has to name holders beyond the masternodes that are known anyway.
const LOOKUP_TIME: Duration = Duration::from_secs(5);

/// How long the shards of a segment may not come before repair gives up.
const STARVING_PATIENCE: Duration = Duration::from_secs(15);

/// How far a repair has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RepairProgress {
    /// So many of the content's segments have their missing shards again.
    Rebuilt {
        /// Segments so far.
        segments: u64,
        /// Segments of the content.
        total_segments: u64,
    },
    /// So many missing columns are durable on a live node.
    Stored {
        /// Columns so far.
        columns: usize,
        /// Columns that were missing.
        total_columns: usize,
    },
}

/// What a repair did.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Repaired {
    /// Columns that were missing, and who keeps each now.
    pub restored: BTreeMap<ColumnIndex, PeerId>,
    /// Every live node with the columns it holds now, those that hold none left out.
    pub holdings: Vec<(PeerId, ColumnSet)>,
}

impl Repaired {
    /// The different columns on live nodes.
    #[must_use]
    pub fn live_columns(&self) -> ColumnSet {
        self.holdings.iter().fold(ColumnSet::new(), |all, (_, held)| all.union(held))
    }
}

impl Node {
    /// Restore every missing column of `content` onto live nodes: first those that hold none,
    /// then evenly, spread by operator and network; no node reaches k columns.
    ///
    /// # Errors
    /// [`NodeError`]: fewer than k columns are left, the live nodes have no room, or the
    /// publisher signed an inconsistent encoding.
    pub async fn repair(
        &self,
        content: ContentId,
        mut progress: impl FnMut(RepairProgress),
    ) -> Result<Repaired, NodeError> {
        let inner = &self.inner;
        let content = inner.find(content).await?;
        let masternodes = inner.live_masternodes().await;
        let mut held = inner.live_holdings(content.id(), &masternodes).await;
        let n = content.layout().geometry().n();
        let live = held.values().fold(ColumnSet::new(), |all, set| all.union(set));
        let missing = ColumnSet::all(n).difference(&live);
        let mut restored = BTreeMap::new();
        if !missing.is_empty() {
            let staging = rebuild(inner, &content, missing, &held, &mut progress).await?;
            let distribution =
                Distribution { inner, content: &content, staging: Arc::new(staging) };
            let total_columns = missing.len();
            let mut columns = 0;
            let mut report = |event| {
                if let UploadProgress::Stored(..) = event {
                    columns += 1;
                    progress(RepairProgress::Stored { columns, total_columns });
                }
                Ok(())
            };
            let candidates = candidates(&masternodes, &held);
            restored = distribution.run(missing, candidates, &mut report).await?;
        }
        for (column, peer) in &restored {
            held.entry(*peer).or_default().insert(*column);
        }
        let holdings = held.into_iter().filter(|(_, columns)| !columns.is_empty()).collect();
        Ok(Repaired { restored, holdings })
    }
}

impl Inner {
    /// Columns of a content on every node that answers, none included: on masternodes, and on whom
    /// the DHT names.
    pub(crate) async fn live_holdings(
        &self,
        content: ContentId,
        masternodes: &[Verified<MasternodeRecord>],
    ) -> BTreeMap<PeerId, ColumnSet> {
        let mut peers: BTreeMap<PeerId, Vec<Multiaddr>> =
            masternodes.iter().map(|record| (record.peer, addresses(record))).collect();
        for record in self.named_holders(content).await {
            peers.entry(record.peer).or_insert_with(|| record_addresses(&record));
        }
        holdings(self, content, peers).await
    }

    /// The holders of a content that the DHT names within a few seconds.
    async fn named_holders(&self, content: ContentId) -> Vec<ProviderRecord> {
        let mut findings = self.network.find_content(content).await;
        let mut holders = Vec::new();
        let looking = async {
            while let Some(finding) = findings.recv().await {
                holders.extend(finding.providers.into_iter().map(Verified::into_value));
            }
        };
        let _time_is_up = tokio::time::timeout(LOOKUP_TIME, looking).await;
        holders
    }
}

/// Fetch k shards of each segment and make the missing ones of them.
async fn rebuild(
    inner: &Arc<Inner>,
    content: &Content,
    missing: ColumnSet,
    held: &BTreeMap<PeerId, ColumnSet>,
    progress: &mut impl FnMut(RepairProgress),
) -> Result<Staging, NodeError> {
    let layout = *content.layout();
    let total_segments = layout.segment_count();
    let live: BTreeSet<PeerId> = held.keys().copied().collect();
    tracing::info!(content = %content.id(), missing = missing.len(), live = live.len(), "repair");
    let directory = inner.settings.data_dir.join(crate::publish::STAGING);
    let name = format!("{}.repair", content.id());
    let staging = Arc::new(Staging::create(&directory, &name, layout, missing)?);
    let mut repairer = Repairer::new(content.clone());
    let mut session = inner.session(content)?;
    session.tell(Wish::Want {
        segments: 0..total_segments,
        first_deadline: None,
        segment_duration_ms: 0,
    });
    let mut segments = 0;
    while segments < total_segments {
        let (segment, shards) = next_segment(&mut session, content).await?;
        let scratch = Arc::clone(&staging);
        let work = tokio::task::spawn_blocking(move || {
            let rebuilt = rebuild_segment(&mut repairer, segment, &shards, missing, &scratch);
            (repairer, rebuilt)
        });
        let failed =
            |error| NodeError::Io { action: "rebuild", source: std::io::Error::other(error) };
        let (idle, rebuilt) = work.await.map_err(failed)?;
        repairer = idle;
        rebuilt.map_err(|error| error.explain(inner, content, segment))?;
        session.tell(Wish::Release(segment));
        segments += 1;
        progress(RepairProgress::Rebuilt { segments, total_segments });
    }
    inner.contents.give_back(&content.id(), session);
    Arc::into_inner(staging).ok_or(NodeError::ShuttingDown)
}

/// The next segment that a session has k shards of.
pub(crate) async fn next_segment(
    session: &mut Session,
    content: &Content,
) -> Result<(SegmentIndex, Vec<VerifiedShard>), NodeError> {
    let mut starving: Option<(SegmentIndex, usize, usize)> = None;
    loop {
        let delivery = match starving {
            None => session.next().await,
            Some((segment, have, need)) => {
                let waiting = tokio::time::timeout(STARVING_PATIENCE, session.next()).await;
                let content = content.id();
                waiting.map_err(|_| NodeError::TooFewHolders { content, segment, have, need })?
            }
        };
        match delivery.ok_or(NodeError::ShuttingDown)? {
            Delivery::Segment { segment, shards } => return Ok((segment, shards)),
            Delivery::Starving { segment, reachable, needed } => {
                starving = Some((segment, reachable, needed));
            }
            Delivery::Recovered => starving = None,
        }
    }
}

/// Why a segment could not be rebuilt.
enum Unrepaired {
    Decode(DecodeError),
    Disk(crate::disk::StoreError),
}

impl Unrepaired {
    fn explain(self, inner: &Inner, content: &Content, segment: SegmentIndex) -> NodeError {
        match self {
            Self::Disk(error) => error.into(),
            Self::Decode(DecodeError::Equivocation(proof)) => {
                match evidence::keep(&inner.settings.data_dir.join(evidence::DIRECTORY), &proof) {
                    Ok(proof) => NodeError::Equivocation { content: content.id(), proof },
                    Err(error) => error,
                }
            }
            Self::Decode(error) => {
                tracing::error!(%error, "segment not rebuilt");
                NodeError::Undecryptable { content: content.id(), segment }
            }
        }
    }
}

fn rebuild_segment(
    repairer: &mut Repairer,
    segment: SegmentIndex,
    shards: &[VerifiedShard],
    missing: ColumnSet,
    staging: &Staging,
) -> Result<(), Unrepaired> {
    let rebuilt = repairer.rebuild(segment, shards, missing).map_err(Unrepaired::Decode)?;
    for shard in rebuilt {
        staging
            .write(segment, shard.column(), shard.payload(), shard.segment_path())
            .and_then(|()| staging.write_content_path(segment, shard.content_path()))
            .map_err(Unrepaired::Disk)?;
    }
    Ok(())
}

fn record_addresses(record: &ProviderRecord) -> Vec<Multiaddr> {
    let parse = |bytes: &bytes::Bytes| Multiaddr::try_from(bytes.to_vec()).ok();
    record.addresses.iter().filter_map(parse).collect()
}
