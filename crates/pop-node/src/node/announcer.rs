//! What this node says of itself in the DHT and in its hello, signed anew when it changes.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use libp2p::Multiaddr;
use pop_dht::Subject;
use pop_exchange::Introduction;
use pop_signal::SealKeypair;
use pop_wire::limits::ADDRESSES_MAX;
use pop_wire::{ContentId, MasternodeRecord, ProviderRecord, UnixTime, Verified};

use super::Inner;
use crate::clock;
use crate::serve::Server;
use crate::transport::{self, Role};
use crate::web;

/// Life of our records, in seconds: half the longest that the format allows, so that a node that
/// is gone is forgotten within a day.
const RECORD_LIFE_S: u64 = 24 * 60 * 60;

pub(super) struct Announcer {
    inner: Arc<Inner>,
    server: Option<Server>,
    /// When each subject was last signed: a later record must be newer by at least a second.
    issued: BTreeMap<Subject, UnixTime>,
}

impl Announcer {
    pub(super) fn new(inner: Arc<Inner>, server: Option<Server>) -> Self {
        Self { inner, server, issued: BTreeMap::new() }
    }

    /// Sign and announce the node and all its columns: at the start, and when addresses change.
    pub(super) async fn announce_all(&mut self) {
        if self.inner.role == Role::Client || self.addresses().is_empty() {
            return;
        }
        self.announce_masternode().await;
        let contents = self.inner.store.as_ref().map(|store| store.contents()).unwrap_or_default();
        for content in contents {
            self.announce_content(content).await;
        }
    }

    /// Sign again what is half expired.
    pub(super) async fn renew(&mut self, subject: Subject) {
        match subject {
            Subject::Content(content) => self.announce_content(content).await,
            _ => self.announce_masternode().await,
        }
    }

    /// Announce the columns of `content` that we hold now.
    pub(super) async fn announce_content(&mut self, content: ContentId) {
        let Some(store) = &self.inner.store else { return };
        let (Some(manifest), columns) = (store.manifest(&content), store.holdings(&content)) else {
            return;
        };
        let (issued_at, expires_at) = self.life(Subject::Content(content));
        let record = ProviderRecord {
            peer: self.inner.keypair.peer_id(),
            content,
            columns,
            addresses: self.addresses(),
            issued_at,
            expires_at,
        };
        match Verified::sign(record, &self.inner.keypair) {
            Ok(record) => self.inner.network.announce_content(manifest, record).await,
            Err(error) => tracing::error!(%error, "provider record not signed"),
        }
    }

    async fn announce_masternode(&mut self) {
        let peer = self.inner.keypair.peer_id();
        let (issued_at, expires_at) = self.life(Subject::Masternode(peer));
        let free = |store: &crate::disk::ColumnStore| {
            store.quota_bytes().saturating_sub(store.used_bytes())
        };
        let record = MasternodeRecord {
            peer,
            addresses: self.addresses(),
            seal_key: Some(SealKeypair::of_identity(&self.inner.keypair).public().0),
            collateral: Bytes::new(),
            operator: self.inner.settings.operator.unwrap_or_else(|| peer.wallet_address()),
            capacity_bytes: self.inner.store.as_ref().map_or(0, free),
            issued_at,
            expires_at,
        };
        let record = match Verified::sign(record, &self.inner.keypair) {
            Ok(record) => record,
            Err(error) => {
                tracing::error!(%error, "masternode record not signed");
                return;
            }
        };
        if let Some(server) = &self.server {
            let masternode = Some(record.signed().clone());
            server.introduce(Introduction { agent: transport::agent(), masternode }).await;
        }
        self.inner.network.announce_masternode(record.clone()).await;
        self.inner.own_record.send_replace(Some(record));
    }

    /// From when to when a record signed now counts.
    fn life(&mut self, subject: Subject) -> (UnixTime, UnixTime) {
        let now = clock::unix_now();
        let last = self.issued.get(&subject).copied();
        let issued_at = last.map_or(now, |last| now.max(last.after_s(1)));
        self.issued.insert(subject, issued_at);
        (issued_at, issued_at.after_s(RECORD_LIFE_S))
    }

    /// External addresses first, then those we listen on: one IP address after the other, so that
    /// what is cut off are further ways to a node that is reached already.
    fn addresses(&self) -> Vec<Bytes> {
        let listening = self.inner.network.listening().borrow().clone();
        if listening.is_empty() {
            return Vec::new();
        }
        let mut own: Vec<Multiaddr> = listening;
        let mut places: Vec<Option<IpAddr>> = Vec::new();
        own.extend(self.inner.addresses_for_browsers());
        for place in own.iter().map(web::ip_of) {
            if !places.contains(&place) {
                places.push(place);
            }
        }
        // A machine reaches itself, which nobody else does there.
        let is_loopback = |place: &Option<IpAddr>| place.is_some_and(|ip| ip.is_loopback());
        places.sort_by_key(is_loopback);
        own.sort_by_key(|address| places.iter().position(|place| *place == web::ip_of(address)));
        let all = self.inner.settings.external.iter().chain(&own);
        all.take(ADDRESSES_MAX).map(|address| address.to_vec().into()).collect()
    }
}
