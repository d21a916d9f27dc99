//! Who holds a content, for those who have no DHT: looked up by this node, within bounds.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use libp2p::Multiaddr;
use pop_exchange::limits::BUSY_RETRY_MS;
use pop_exchange::provider::StoreResult;
use pop_wire::message::RefusalReason;
use pop_wire::{ContentId, Instant, PeerId, ProviderRecord, Signed};
use tokio::sync::Semaphore;

use super::address::ip_of;
use super::admission::Prefix;
use super::limits::{
    HOLDERS_MAX, LOOKUP_CACHE_MS, LOOKUP_TIMEOUT, LOOKUPS_CACHED_MAX, LOOKUPS_MAX,
    LOOKUPS_PER_PREFIX_BURST, LOOKUPS_PER_PREFIX_PER_S,
};
use crate::ledger::Budgets;
use crate::node::Inner;

/// Who holds a content, by their own signed words.
type Holders = BTreeMap<PeerId, Signed<ProviderRecord>>;

/// Looks holders up, a few at a time, and remembers for some seconds what it found.
pub(crate) struct Lookups {
    inner: Arc<Inner>,
    running: Semaphore,
    shared: Mutex<Shared>,
}

struct Shared {
    /// By who asks; all whose address is not known share one.
    budgets: Budgets<Option<Prefix>>,
    found: BTreeMap<ContentId, (Instant, Holders)>,
}

impl Lookups {
    pub(crate) fn new(inner: Arc<Inner>) -> Self {
        let budgets = Budgets::new(LOOKUPS_PER_PREFIX_BURST, LOOKUPS_PER_PREFIX_PER_S);
        let shared = Mutex::new(Shared { budgets, found: BTreeMap::new() });
        Self { inner, running: Semaphore::new(LOOKUPS_MAX), shared }
    }

    /// The answer to somebody at `from`.
    pub(crate) async fn find(&self, from: Option<&Multiaddr>, content: ContentId) -> StoreResult {
        let now = self.inner.clock.now();
        let prefix = from.and_then(ip_of).map(Prefix::from);
        if let Some(providers) = self.cached(now, &content) {
            return self.answer(providers);
        }
        // spec/exchange.md §9: a lookup costs others' time, so who asks too often MUST wait.
        let allowed = self.shared().budgets.take(now, prefix, 0);
        let Some(_running) = self.running.try_acquire().ok().filter(|_| allowed) else {
            let (reason, retry_after_ms) = (RefusalReason::Busy, BUSY_RETRY_MS);
            return StoreResult::Refused { reason, retry_after_ms };
        };
        let providers = self.look_up(content).await;
        let mut shared = self.shared();
        if shared.found.len() >= LOOKUPS_CACHED_MAX {
            shared.found.retain(|_, (at, _)| now.since_ms(*at) < LOOKUP_CACHE_MS);
        }
        // Nothing found is not remembered: it may be published this moment.
        if shared.found.len() < LOOKUPS_CACHED_MAX && !providers.is_empty() {
            shared.found.insert(content, (now, providers.clone()));
        }
        drop(shared);
        self.answer(providers)
    }

    fn cached(&self, now: Instant, content: &ContentId) -> Option<Holders> {
        let shared = self.shared();
        let (at, providers) = shared.found.get(content)?;
        (now.since_ms(*at) < LOOKUP_CACHE_MS).then(|| providers.clone())
    }

    /// What the DHT says, until it has said all, or for as long as somebody waits.
    async fn look_up(&self, content: ContentId) -> Holders {
        let mut found = Holders::new();
        let mut findings = self.inner.network.find_content(content).await;
        let looking = async {
            while let Some(finding) = findings.recv().await {
                for provider in finding.providers {
                    let room = found.len() < HOLDERS_MAX || found.contains_key(&provider.peer);
                    if room && !provider.columns.is_empty() {
                        found.insert(provider.peer, provider.signed().clone());
                    }
                }
            }
        };
        let _in_time = tokio::time::timeout(LOOKUP_TIMEOUT, looking).await;
        found
    }

    /// With the records of masternodes, those of the holders first.
    fn answer(&self, providers: Holders) -> StoreResult {
        let own = self.inner.own_record.borrow().clone();
        let me = self.inner.keypair.peer_id();
        let mut others = self.inner.directory.alive();
        others.retain(|record| record.peer != me);
        let mut alive: Vec<_> = own.into_iter().chain(others).collect();
        alive.sort_by_key(|record| !providers.contains_key(&record.peer));
        let masternodes = alive.iter().take(HOLDERS_MAX).map(|it| it.signed().clone()).collect();
        let providers = providers.into_values().collect();
        StoreResult::Holders { providers, masternodes }
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
