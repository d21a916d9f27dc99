//! Who holds what right now, by asking the holders themselves.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::StreamExt as _;
use libp2p::Multiaddr;
use pop_wire::message::{GetHoldings, GetManifest, Message};
use pop_wire::{
    ColumnSet, ContentId, Manifest, MasternodeRecord, PeerId, ProviderRecord, RequestId, Verified,
};

use crate::ask::ask;
use crate::directory::{addresses, dialable};
use crate::node::Inner;

/// Number of the only question on its link.
const QUESTION: RequestId = RequestId(1);

/// Peers asked at once.
const QUESTIONS_MAX: usize = 16;

/// A peer that doesn't answer in time doesn't count.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// Somebody who is said to hold columns of a content.
#[derive(Debug, Clone)]
pub(crate) struct KnownHolder {
    pub(crate) peer: PeerId,
    pub(crate) columns: ColumnSet,
    pub(crate) addresses: Vec<Multiaddr>,
}

impl From<&ProviderRecord> for KnownHolder {
    fn from(record: &ProviderRecord) -> Self {
        Self { peer: record.peer, columns: record.columns, addresses: dialable(&record.addresses) }
    }
}

/// Those of `masternodes` that hold columns of `content`, by their own word.
pub(crate) async fn holders(
    inner: &Inner,
    content: ContentId,
    masternodes: &[Verified<MasternodeRecord>],
) -> Vec<KnownHolder> {
    let peers: Vec<_> = masternodes.iter().map(|record| (record.peer, addresses(record))).collect();
    let held = holdings(inner, content, peers).await;
    let holder = |record: &Verified<MasternodeRecord>| {
        let columns = *held.get(&record.peer).filter(|columns| !columns.is_empty())?;
        Some(KnownHolder { peer: record.peer, columns, addresses: addresses(record) })
    };
    masternodes.iter().filter_map(holder).collect()
}

/// Columns of `content` on each of `peers` that answers, none included: who is in the map is
/// alive.
pub(crate) async fn holdings(
    inner: &Inner,
    content: ContentId,
    peers: impl IntoIterator<Item = (PeerId, Vec<Multiaddr>)>,
) -> BTreeMap<PeerId, ColumnSet> {
    let question = move |(peer, addresses)| async move {
        let question = Message::GetHoldings(GetHoldings { id: QUESTION, content });
        match question_of(inner, peer, addresses, question).await? {
            Message::Holdings(holdings) if holdings.id == QUESTION => {
                Some((peer, holdings.columns))
            }
            _ => None,
        }
    };
    let asking: Vec<_> = peers.into_iter().map(question).collect();
    let answers = futures::stream::iter(asking).buffer_unordered(QUESTIONS_MAX);
    answers.filter_map(std::future::ready).collect().await
}

/// The manifest of `content` from the first of `masternodes` that has it: the way to find a
/// content when the DHT doesn't.
pub(crate) async fn manifest(
    inner: &Inner,
    content: ContentId,
    masternodes: &[Verified<MasternodeRecord>],
) -> Option<Verified<Manifest>> {
    let question = move |record: &Verified<MasternodeRecord>| {
        let (peer, addresses) = (record.peer, addresses(record));
        async move {
            let question = Message::GetManifest(GetManifest { id: QUESTION, content });
            let Message::ManifestReply(reply) =
                question_of(inner, peer, addresses, question).await?
            else {
                return None;
            };
            let manifest = reply.manifest.verify().ok()?;
            (manifest.content_id() == content).then_some(manifest)
        }
    };
    let asking: Vec<_> = masternodes.iter().map(question).collect();
    let answers = futures::stream::iter(asking).buffer_unordered(QUESTIONS_MAX);
    let mut found = std::pin::pin!(answers.filter_map(std::future::ready));
    found.next().await
}

async fn question_of(
    inner: &Inner,
    peer: PeerId,
    addresses: Vec<Multiaddr>,
    question: Message,
) -> Option<Message> {
    let own = inner.own_record.borrow().as_ref().map(|record| record.signed().clone());
    let asking = ask(&inner.network, (peer, addresses), own, question);
    match tokio::time::timeout(ANSWER_TIMEOUT, asking).await {
        Ok(Ok(answer)) => Some(answer.message),
        Ok(Err(error)) => {
            tracing::debug!(%peer, %error, "no answer");
            None
        }
        Err(_) => None,
    }
}
