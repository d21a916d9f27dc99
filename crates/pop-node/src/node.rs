//! A running node: what it is made of, and how its parts are wired.

mod announcer;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use libp2p::Multiaddr;
use pop_wire::{Amount, Keypair, MasternodeRecord, PeerId, Verified};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::announcer::Announcer;
use crate::clock::{self, Clock};
use crate::demo::Faucet;
use crate::directory::{self, Directory};
use crate::disk::ColumnStore;
use crate::error::NodeError;
use crate::fetch::OpenContents;
use crate::gateway;
use crate::key_sale;
use crate::ledger::{self, LedgerClient};
use crate::money::Money;
use crate::network::{Network, NetworkEvent};
use crate::scarcity;
use crate::serve::{Server, ServerEvent, Stream};
use crate::settings::{Settings, SettingsError};
use crate::stats::Stats;
use crate::transport::Role;
use crate::web::{Lookups, RelayDesk, RelayFigures, WebListener, WebPlace};

/// Time that a shutdown waits for what is under way.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);

/// Time that a last voucher has to get from the queues into the sockets.
const GOODBYE: Duration = Duration::from_millis(100);

/// How long a partial column is kept for its publisher to go on with.
const PARTIAL_LIFE: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// How often a node asks others for masternodes it doesn't know.
const CRAWL_INTERVAL: Duration = Duration::from_secs(60);

/// Between the first tries of a node that knows nobody yet.
const FIRST_CRAWL_INTERVAL: Duration = Duration::from_secs(2);

/// A running node. Cheap to clone; runs until [`shutdown`](Self::shutdown).
#[derive(Debug, Clone)]
pub struct Node {
    pub(crate) inner: Arc<Inner>,
}

/// What the parts of a node share.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) keypair: Keypair,
    pub(crate) role: Role,
    pub(crate) settings: Settings,
    pub(crate) network: Network,
    pub(crate) directory: Directory,
    pub(crate) store: Option<ColumnStore>,
    pub(crate) stats: Arc<Stats>,
    pub(crate) ledger: Option<LedgerClient>,
    /// None without a ledger.
    pub(crate) money: Option<Money>,
    pub(crate) clock: Clock,
    pub(crate) contents: OpenContents,
    pub(crate) tasks: TaskTracker,
    pub(crate) stop: CancellationToken,
    /// Our own record, as soon as we know where we listen.
    pub(crate) own_record: watch::Sender<Option<Verified<MasternodeRecord>>>,
    /// What the demo's page shows, if this node is in a demo.
    pub(crate) demo: watch::Sender<Option<serde_json::Value>>,
    /// Money for browsers, if this node is in a demo.
    pub(crate) faucet: watch::Sender<Option<Faucet>>,
    http: watch::Sender<Option<SocketAddr>>,
    /// What the relay of a masternode counts.
    pub(crate) relay: Option<Arc<RelayFigures>>,
    /// Where browsers reach this node, if they do.
    pub(crate) web: Option<WebPlace>,
}

impl Node {
    /// Start a masternode with the identity and the columns in `settings.data_dir`.
    ///
    /// # Errors
    /// [`NodeError`]: no identity, the directory is in use, an address can't be used.
    pub async fn masternode(settings: Settings) -> Result<Self, NodeError> {
        let keypair = crate::disk::load_identity(&settings.data_dir)?;
        let store = ColumnStore::open(&settings.data_dir, settings.quota_bytes)?;
        // An upload that nobody resumed for so long is not coming back.
        if let Some(long_ago) = clock::wall_now().checked_sub(PARTIAL_LIFE) {
            let swept = store.sweep_partial(long_ago)?;
            tracing::info!(swept, "partial columns deleted");
        }
        let node = Self::start(keypair, Role::Masternode, settings, Some(store)).await?;
        node.listening().await;
        if node.inner.settings.serve_ledger {
            ledger::tell_where(&node.inner.settings.data_dir, &node.addresses());
        }
        Ok(node)
    }

    /// Start a node that publishes, fetches and repairs, keeps nothing and listens for no peers.
    ///
    /// # Errors
    /// [`NodeError`]: an address can't be used.
    pub async fn client(keypair: Keypair, settings: Settings) -> Result<Self, NodeError> {
        Self::start(keypair, Role::Client, settings, None).await
    }

    async fn start(
        keypair: Keypair,
        role: Role,
        settings: Settings,
        store: Option<ColumnStore>,
    ) -> Result<Self, NodeError> {
        let tasks = TaskTracker::new();
        let stats = Arc::new(Stats::default());
        let stop = CancellationToken::new();
        let running = (&tasks, &stop);
        let ledger = ledger::Where::find(&settings, role, running).await?;
        if ledger.is_with(&keypair.peer_id()) {
            let (key, message) = ("ledger", "it names this node itself: expected serve_ledger");
            return Err(SettingsError::Unusable { key, message }.into());
        }
        let service = ledger.service();
        let web = match settings.web_listen.filter(|_| role == Role::Masternode) {
            Some(address) => Some(WebListener::bind(address, &settings.data_dir).await?),
            None => None,
        };
        let desk = service.clone();
        let (network, events) = Network::start(&keypair, role, &settings, desk, running)?;
        let ledger = ledger.client(&network, &settings.data_dir, &stats);
        let pays = settings.price_max != Amount::ZERO;
        let sells = store.is_some() && settings.price != Amount::ZERO;
        let opened = match &ledger {
            Some(ledger) if pays || sells => {
                Some(Money::open((&keypair, &settings), ledger, &stats, running).await?)
            }
            _ => None,
        };
        let (money, account) = match opened {
            Some((money, bank, books)) => (Some(money), Some((bank, books))),
            None => (None, None),
        };
        let serving = match &store {
            Some(store) => {
                let counted = Arc::clone(&stats);
                let held = (keypair.clone(), store.clone());
                Some(Server::start(&settings, held, (account, counted), running)?)
            }
            None => None,
        };
        let inner = Arc::new(Inner {
            keypair,
            role,
            network,
            directory: Directory::default(),
            store,
            stats,
            ledger,
            money,
            clock: Clock::start(),
            contents: OpenContents::default(),
            tasks: tasks.clone(),
            stop,
            own_record: watch::Sender::new(None),
            demo: watch::Sender::new(None),
            faucet: watch::Sender::new(None),
            http: watch::Sender::new(None),
            relay: (role == Role::Masternode).then(Arc::default),
            web: web.as_ref().map(WebListener::place),
            settings,
        });
        let server = serving.as_ref().map(|(server, _)| server.clone());
        let server_events = serving.map(|(_, events)| events);
        let relay = (role == Role::Masternode).then(|| RelayDesk::start(&inner)).transpose()?;
        if let (Some(web), Some(server), Some(relay)) = (web, &server, &relay) {
            web.start(&inner, server.clone(), (relay.clone(), service));
        }
        inner.meet_bootstrap_peers().await;
        inner.spawn(run(Arc::clone(&inner), (server.clone(), relay), events, server_events));
        let prices_scarcity = sells && inner.settings.scarcity_interval_s > 0;
        if let Some(server) = server.clone().filter(|_| prices_scarcity) {
            inner.spawn(scarcity::count_now_and_then(Arc::clone(&inner), server));
        }
        if role == Role::Masternode && inner.settings.key_sale_interval_s > 0 {
            inner.spawn(key_sale::sell_now_and_then(Arc::clone(&inner)));
        }
        if let (Some(server), Some(ledger)) = (server.clone(), inner.ledger.clone()) {
            inner.spawn(learn_ledger(ledger, server));
        }
        inner.spawn(crawl_now_and_then(Arc::clone(&inner), server));
        let node = Self { inner };
        gateway::start(&node).await?;
        Ok(node)
    }

    /// Who this node is.
    #[must_use]
    pub fn peer_id(&self) -> PeerId {
        self.inner.keypair.peer_id()
    }

    /// Addresses under which peers reach this node, each with its peer id.
    #[must_use]
    pub fn addresses(&self) -> Vec<Multiaddr> {
        let peer = crate::transport::to_libp2p(&self.peer_id());
        let listening = self.inner.network.listening().borrow().clone();
        listening.into_iter().filter_map(|address| address.with_p2p(peer).ok()).collect()
    }

    /// Where browsers reach this node, each with its peer id.
    #[must_use]
    pub fn web_addresses(&self) -> Vec<Multiaddr> {
        let peer = crate::transport::to_libp2p(&self.peer_id());
        let addresses = self.inner.addresses_for_browsers();
        addresses.into_iter().filter_map(|address| address.with_p2p(peer).ok()).collect()
    }

    /// Where the HTTP gateway listens, if there is one.
    #[must_use]
    pub fn http_address(&self) -> Option<SocketAddr> {
        *self.inner.http.borrow()
    }

    pub(crate) fn set_http_address(&self, address: SocketAddr) {
        self.inner.http.send_replace(Some(address));
    }

    /// What this node counted since it started.
    #[must_use]
    pub fn stats(&self) -> Arc<Stats> {
        Arc::clone(&self.inner.stats)
    }

    /// The ledger that the settings name; `None` if they name none.
    #[must_use]
    pub fn ledger(&self) -> Option<LedgerClient> {
        self.inner.ledger.clone()
    }

    /// Masternodes that this node has heard of.
    #[must_use]
    pub fn known_masternodes(&self) -> usize {
        self.inner.directory.alive().len()
    }

    /// Ask around for masternodes; how many answered.
    pub async fn find_masternodes(&self) -> usize {
        self.inner.live_masternodes().await.len()
    }

    /// Let every promise that was decided on reach its payee: before a shutdown, so that nobody has
    /// to wait for the next visit.
    pub async fn settle(&self) {
        let Some(purse) = self.inner.money.as_ref().and_then(|money| money.purse.as_ref()) else {
            return;
        };
        let settled = tokio::time::timeout(SHUTDOWN_TIMEOUT, purse.settle()).await;
        if settled.is_err() {
            tracing::warn!("promises are still being stored");
        }
        // Between the task that pays and the sockets are two queues that answer nothing.
        tokio::time::sleep(GOODBYE).await;
    }

    /// What this node promised by vouchers, to whom, in its vault's epoch.
    pub async fn promises(&self) -> Vec<(pop_wire::WalletAddress, pop_wire::Amount)> {
        match self.inner.money.as_ref().and_then(|money| money.purse.as_ref()) {
            Some(purse) => purse.promises().await,
            None => Vec::new(),
        }
    }

    /// What this node borrowed since it started, to fetch with: it owes principal and interest.
    pub async fn borrowed(&self) -> Vec<pop_incentive::ledger::LoanNote> {
        match &self.inner.money {
            Some(money) => money.borrowed().await,
            None => Vec::new(),
        }
    }

    /// What this node earned by serving, by content and payer; nothing without a ledger.
    ///
    /// # Errors
    /// [`NodeError::MoneyStore`]: the records can't be read.
    pub fn earnings(&self) -> Result<Vec<crate::money::Earned>, NodeError> {
        self.inner.money.as_ref().map_or(Ok(Vec::new()), Money::earnings)
    }

    /// What this node earned and lent, as its operator is shown it; nothing without a ledger.
    ///
    /// # Errors
    /// [`NodeError::MoneyStore`]: the records can't be read.
    pub fn earnings_report(&self) -> Result<crate::money::Earnings, NodeError> {
        let none = || Ok(crate::money::Earnings::of(&[]));
        self.inner.money.as_ref().map_or_else(none, Money::report)
    }

    /// Stop taking work, finish what is under way for a few seconds, then let go of everything.
    pub async fn shutdown(self) {
        self.inner.stop.cancel();
        self.inner.tasks.close();
        if tokio::time::timeout(SHUTDOWN_TIMEOUT, self.inner.tasks.wait()).await.is_err() {
            tracing::warn!("shutting down with work left undone");
            return;
        }
        if let Some(money) = &self.inner.money {
            money.finish().await;
        }
    }

    /// Wait until the first address is listened on; a moment on any machine that works.
    async fn listening(&self) {
        let mut listening = self.inner.network.listening();
        let some = listening.wait_for(|addresses| !addresses.is_empty());
        if tokio::time::timeout(SHUTDOWN_TIMEOUT, some).await.is_err() {
            tracing::warn!("not listening anywhere yet");
        }
    }
}

impl Inner {
    /// Run a task until the node stops.
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop.clone();
        self.tasks.spawn(async move { stop.run_until_cancelled(work).await });
    }

    /// Where browsers reach this node.
    pub(crate) fn addresses_for_browsers(&self) -> Vec<Multiaddr> {
        let listening = self.network.listening();
        let listening = listening.borrow();
        self.web.as_ref().map(|place| place.addresses(&listening)).unwrap_or_default()
    }

    /// Tell the DHT whom to start with.
    async fn meet_bootstrap_peers(&self) {
        for address in &self.settings.bootstrap {
            match crate::transport::split_peer(address) {
                Some((peer, bare)) => self.network.add_peer(peer, bare).await,
                None => tracing::warn!(%address, "bootstrap address without /p2p/<peer id>"),
            }
        }
    }

    /// Masternodes that answer right now.
    pub(crate) async fn live_masternodes(&self) -> Vec<Verified<MasternodeRecord>> {
        let own = self.own_record.borrow().as_ref().map(|record| record.signed().clone());
        let bootstrap = &self.settings.bootstrap;
        directory::crawl(&self.network, &self.directory, own.as_ref(), bootstrap).await
    }
}

/// Carry what the swarm and the server report to where it belongs.
async fn run(
    inner: Arc<Inner>,
    (server, relay): (Option<Server>, Option<RelayDesk>),
    mut events: mpsc::Receiver<NetworkEvent>,
    server_events: Option<mpsc::Receiver<ServerEvent>>,
) {
    let mut announcer = Announcer::new(Arc::clone(&inner), server.clone());
    let lookups = Arc::new(Lookups::new(Arc::clone(&inner)));
    let mut listening = inner.network.listening();
    let (_none, nothing) = mpsc::channel(1);
    let mut server_events = server_events.unwrap_or(nothing);
    announcer.announce_all().await;
    loop {
        tokio::select! {
            event = events.recv() => match event {
                Some(NetworkEvent::Inbound { peer, address, stream }) => match &server {
                    Some(server) => {
                        server.serve((peer, address), Stream::Libp2p(stream)).await;
                    }
                    None => drop(stream),
                },
                Some(NetworkEvent::InboundRelay { peer, stream }) => match &relay {
                    Some(relay) => relay.take_relay(peer, stream).await,
                    None => drop(stream),
                },
                Some(NetworkEvent::RenewalDue(subject)) => announcer.renew(subject).await,
                None => return,
            },
            Some(event) = server_events.recv() => match event {
                ServerEvent::ColumnStored(content) => announcer.announce_content(content).await,
                ServerEvent::HoldersWanted { token, from, content } => {
                    let (lookups, server) = (Arc::clone(&lookups), server.clone());
                    inner.spawn(async move {
                        let result = lookups.find(from.as_ref(), content).await;
                        if let Some(server) = server {
                            server.found(token, result).await;
                        }
                    });
                }
                ServerEvent::Introduced(peer, record) => {
                    if inner.directory.insert_introduction(peer, record) {
                        name_masternodes(&inner, server.as_ref()).await;
                    }
                }
            },
            Ok(()) = listening.changed() => announcer.announce_all().await,
        }
    }
}

/// Answers to audits are signed for one ledger: find out for which, and answer them from then on.
async fn learn_ledger(ledger: LedgerClient, server: Server) {
    loop {
        match ledger.domain().await {
            Ok(domain) => return server.answer_audits(domain),
            Err(error) => tracing::debug!(%error, "no audits are answered yet"),
        }
        tokio::time::sleep(FIRST_CRAWL_INTERVAL).await;
    }
}

/// Tell the server whom to name to those who ask.
async fn name_masternodes(inner: &Inner, server: Option<&Server>) {
    if let Some(server) = server {
        let alive = inner.directory.alive();
        server.name(alive.iter().map(|record| record.signed().clone()).collect()).await;
    }
}

/// A masternode keeps its picture of the others fresh, and itself in theirs.
async fn crawl_now_and_then(inner: Arc<Inner>, server: Option<Server>) {
    if inner.role == Role::Client {
        return;
    }
    let mut record = inner.own_record.subscribe();
    if record.wait_for(Option::is_some).await.is_err() {
        return;
    }
    loop {
        let alive = inner.live_masternodes().await;
        name_masternodes(&inner, server.as_ref()).await;
        let alone = alive.is_empty() && !inner.settings.bootstrap.is_empty();
        tokio::time::sleep(if alone { FIRST_CRAWL_INTERVAL } else { CRAWL_INTERVAL }).await;
    }
}
