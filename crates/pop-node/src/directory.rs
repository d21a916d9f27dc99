//! Which masternodes are known, and how more become known: by asking those we know.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use libp2p::Multiaddr;
use pop_wire::message::{GetPeers, Message};
use pop_wire::{MasternodeRecord, PeerId, RequestId, Signed, Verified};

use crate::ask::ask;
use crate::clock;
use crate::network::Network;
use crate::{transport, web};

/// Masternodes kept in memory.
const RECORDS_MAX: usize = 16_384;

/// Masternodes asked at once while crawling.
const QUESTIONS_MAX: usize = 16;

/// Masternodes asked in one crawl: enough for the widest geometry many times over.
const CRAWL_MAX: usize = 1_024;

/// A masternode that doesn't answer in time doesn't count as alive.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// The masternodes this node has heard of, each by its own signed word.
#[derive(Debug, Default)]
pub(crate) struct Directory {
    records: Mutex<BTreeMap<PeerId, Verified<MasternodeRecord>>>,
}

impl Directory {
    /// Take a record in if it is genuine, alive and newer than what we have. Tells whether others
    /// should hear of it: the peer was unknown, or is reached elsewhere now.
    pub(crate) fn insert(&self, signed: Signed<MasternodeRecord>) -> bool {
        match signed.verify() {
            Ok(record) => self.insert_verified(record),
            Err(error) => {
                tracing::debug!(%error, "masternode record refused");
                false
            }
        }
    }

    /// The same for what `peer` says of itself in its hello: a record of somebody else is no
    /// introduction (`spec/exchange.md` §3).
    pub(crate) fn insert_introduction(
        &self,
        peer: PeerId,
        signed: Signed<MasternodeRecord>,
    ) -> bool {
        match signed.verify() {
            Ok(record) if record.peer == peer => self.insert_verified(record),
            _ => {
                tracing::debug!(%peer, "introduction refused");
                false
            }
        }
    }

    fn insert_verified(&self, record: Verified<MasternodeRecord>) -> bool {
        if !record.is_alive(clock::unix_now()) {
            return false;
        }
        let mut records = self.records();
        let known = records.get(&record.peer);
        if known.is_some_and(|known| known.issued_at >= record.issued_at)
            || (known.is_none() && records.len() >= RECORDS_MAX)
        {
            return false;
        }
        let moved = known.is_none_or(|known| known.addresses != record.addresses);
        records.insert(record.peer, record);
        moved
    }

    /// The record of one peer.
    pub(crate) fn record(&self, peer: &PeerId) -> Option<Verified<MasternodeRecord>> {
        self.records().get(peer).cloned()
    }

    /// Every masternode that isn't expired, those with the freshest word first.
    pub(crate) fn alive(&self) -> Vec<Verified<MasternodeRecord>> {
        let now = clock::unix_now();
        let mut records = self.records();
        records.retain(|_, record| record.is_alive(now));
        let mut alive: Vec<_> = records.values().cloned().collect();
        alive.sort_by_key(|record| std::cmp::Reverse(record.issued_at));
        alive
    }

    fn records(&self) -> MutexGuard<'_, BTreeMap<PeerId, Verified<MasternodeRecord>>> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Addresses of a record at which peers are dialled, in libp2p's form.
pub(crate) fn addresses(record: &MasternodeRecord) -> Vec<Multiaddr> {
    dialable(&record.addresses)
}

/// Of addresses in their binary form, those at which peers are dialled. What is no address is left
/// out.
pub(crate) fn dialable(addresses: &[bytes::Bytes]) -> Vec<Multiaddr> {
    parsed(addresses).filter(|address| !web::is_for_browsers(address)).collect()
}

/// Addresses in their binary form; what is no address is left out.
pub(crate) fn parsed(addresses: &[bytes::Bytes]) -> impl Iterator<Item = Multiaddr> {
    addresses.iter().filter_map(|bytes| Multiaddr::try_from(bytes.to_vec()).ok())
}

/// Ask the bootstrap peers, and whomever they name, for masternodes, until nobody names a new
/// one. Returns the masternodes that answered: they are alive.
pub(crate) async fn crawl(
    network: &Network,
    directory: &Directory,
    own: Option<&Signed<MasternodeRecord>>,
    bootstrap: &[Multiaddr],
) -> Vec<Verified<MasternodeRecord>> {
    let mut queue: VecDeque<(PeerId, Vec<Multiaddr>)> = VecDeque::new();
    for address in bootstrap {
        if let Some((peer, bare)) = transport::split_peer(address) {
            queue.push_back((peer, vec![bare]));
        }
    }
    queue.extend(directory.alive().iter().map(|record| (record.peer, addresses(record))));
    let mut asked = BTreeSet::new();
    let mut alive = Vec::new();
    let mut questions = FuturesUnordered::new();
    loop {
        while questions.len() < QUESTIONS_MAX && asked.len() < CRAWL_MAX {
            let Some((peer, addresses)) = queue.pop_front() else { break };
            if asked.insert(peer) {
                questions.push(peers_of(network, directory, (peer, addresses), own.cloned()));
            }
        }
        let Some((peer, answer)) = questions.next().await else { break };
        let Some(named) = answer else { continue };
        for signed in named {
            directory.insert(signed);
        }
        let news = directory.alive();
        queue.extend(
            news.iter()
                .filter(|record| !asked.contains(&record.peer))
                .map(|record| (record.peer, addresses(record))),
        );
        alive.push(peer);
    }
    alive.iter().filter_map(|peer| directory.record(peer)).collect()
}

async fn peers_of(
    network: &Network,
    directory: &Directory,
    (peer, addresses): (PeerId, Vec<Multiaddr>),
    own: Option<Signed<MasternodeRecord>>,
) -> (PeerId, Option<Vec<Signed<MasternodeRecord>>>) {
    let question = Message::GetPeers(GetPeers { id: RequestId(1) });
    let asking = ask(network, (peer, addresses), own, question);
    match tokio::time::timeout(ANSWER_TIMEOUT, asking).await {
        Ok(Ok(answer)) => {
            if let Some(own_word) = answer.masternode {
                directory.insert_introduction(peer, own_word);
            }
            let named = match answer.message {
                Message::Peers(peers) => peers.masternodes,
                _ => Vec::new(),
            };
            (peer, Some(named))
        }
        Ok(Err(error)) => {
            tracing::debug!(%peer, %error, "masternode does not answer");
            (peer, None)
        }
        Err(_) => {
            tracing::debug!(%peer, "masternode answers too late");
            (peer, None)
        }
    }
}
