//! The serving half of a masternode: streams in, the provider machine in the middle, the disk
//! behind it.

mod audits;
mod worker;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::{AsyncRead, AsyncWrite};
use libp2p::Multiaddr;
use pop_exchange::libp2p::ExchangeStream;
use pop_exchange::limits::BUSY_RETRY_MS;
use pop_exchange::provider::{
    Event, Input, Output, Provider, ProviderConfig, StoreOperation, StoreResult, Token,
};
use pop_exchange::{Introduction, LinkId};
use pop_incentive::exposure::IpPrefix;
use pop_incentive::typed_data::LedgerDomain;
use pop_wire::message::RefusalReason;
use pop_wire::{ContentId, Keypair, MasternodeRecord, PeerId, Signed};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::audits::{AUDITS_PER_PREFIX_BURST, AUDITS_PER_PREFIX_PER_S, Auditee};
use self::worker::StoreWorker;
use crate::clock::Clock;
use crate::disk::ColumnStore;
use crate::error::NodeError;
use crate::ledger::Budgets;
use crate::links::{self, Flushes, LinkEvent, LinkSender};
use crate::money::{self, Action, Bank, Books, News, Till};
use crate::settings::Settings;
use crate::stats::Stats;

/// Batches of messages of all links together that wait for the machine; more slows the peers down.
const LINK_EVENTS_MAX: usize = 64;

/// Requests of the node itself that wait for the machine.
const REQUESTS_MAX: usize = 256;

/// Handle on the server; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Server {
    requests: mpsc::Sender<Request>,
    auditee: Auditee,
}

#[derive(Debug)]
enum Request {
    Serve { peer: PeerId, address: Option<Multiaddr>, stream: Stream },
    Found(Token, StoreResult),
    Introduce(Introduction),
    Name(Vec<Signed<MasternodeRecord>>),
    Counted(BTreeMap<ContentId, u16>),
}

/// A stream to serve a peer on. Those of libp2p keep their type, so that the most of the bytes
/// goes through no table of functions.
pub(crate) enum Stream {
    /// Of a masternode, a publisher or a player that speaks libp2p.
    Libp2p(ExchangeStream),
    /// Of a browser.
    Web(Box<dyn ByteStream>),
}

impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Libp2p(_) => "Libp2p",
            Self::Web(_) => "Web",
        })
    }
}

/// Anything that reads and writes bytes.
pub(crate) trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> ByteStream for S {}

/// What the node wants to hear of.
#[derive(Debug)]
pub(crate) enum ServerEvent {
    /// A column is new on our disk.
    ColumnStored(ContentId),
    /// A peer wants to know who holds a content; the answer goes to [`Server::found`].
    HoldersWanted { token: Token, from: Option<Multiaddr>, content: ContentId },
    /// A peer introduced itself as a masternode.
    Introduced(PeerId, Signed<MasternodeRecord>),
}

impl Server {
    /// Start serving from `store`.
    pub(crate) fn start(
        settings: &Settings,
        (keypair, store): (Keypair, ColumnStore),
        (account, stats): (Option<(Bank, Books)>, Arc<Stats>),
        (tasks, stop): (&TaskTracker, &CancellationToken),
    ) -> Result<(Self, mpsc::Receiver<ServerEvent>), NodeError> {
        let (till, news) = match account.filter(|(bank, _)| bank.sells()) {
            Some(account) => {
                let (till, news) = Till::open(account, store.clone())?;
                (Some(till), news)
            }
            None => (None, mpsc::unbounded_channel().1),
        };
        let mut config = ProviderConfig::default();
        config.payload_bytes_max = settings.serve_bytes_max;
        config.payload_bytes_per_link_max =
            config.payload_bytes_per_link_max.min(settings.serve_bytes_max);
        config.upload_window_bytes = settings.link_credit_bytes;
        config.links_max = usize::try_from(settings.links_max).unwrap_or(usize::MAX);
        if till.is_some() {
            config.allowance_bytes = 0;
        }
        let provider = Provider::new(config).map_err(|error| NodeError::Io {
            action: "start serving",
            source: std::io::Error::other(error),
        })?;
        let (requests, request_queue) = mpsc::channel(REQUESTS_MAX);
        let (events, event_queue) = mpsc::channel(REQUESTS_MAX);
        let (link_events, link_queue) = mpsc::channel(LINK_EVENTS_MAX);
        let auditee = Auditee::new(keypair);
        let (worker, results) = StoreWorker::start((store, auditee.clone()), tasks)?;
        let driver = Driver {
            provider,
            clock: Clock::start(),
            links: BTreeMap::new(),
            next_link: 0,
            link_events,
            worker,
            audits: Budgets::new(AUDITS_PER_PREFIX_BURST, AUDITS_PER_PREFIX_PER_S),
            till,
            events,
            stats,
            tasks: tasks.clone(),
            stop: stop.clone(),
        };
        let (stop, running) =
            (stop.clone(), driver.run(request_queue, link_queue, (results, news)));
        tasks.spawn(async move { stop.run_until_cancelled(running).await });
        Ok((Self { requests, auditee }, event_queue))
    }

    /// Serve a peer on a stream that it opened.
    pub(crate) async fn serve(&self, (peer, address): (PeerId, Option<Multiaddr>), stream: Stream) {
        self.send(Request::Serve { peer, address, stream }).await;
    }

    /// What came of a lookup of holders.
    pub(crate) async fn found(&self, token: Token, result: StoreResult) {
        self.send(Request::Found(token, result)).await;
    }

    /// What to say in the hello from now on.
    pub(crate) async fn introduce(&self, introduction: Introduction) {
        self.send(Request::Introduce(introduction)).await;
    }

    /// Which masternodes to name to peers that ask.
    pub(crate) async fn name(&self, masternodes: Vec<Signed<MasternodeRecord>>) {
        self.send(Request::Name(masternodes)).await;
    }

    /// Answer audits, for this ledger.
    pub(crate) fn answer_audits(&self, ledger: LedgerDomain) {
        self.auditee.answer_for(ledger);
    }

    /// So many different columns of each content live.
    pub(crate) async fn counted(&self, live: BTreeMap<ContentId, u16>) {
        self.send(Request::Counted(live)).await;
    }

    async fn send(&self, request: Request) {
        if self.requests.send(request).await.is_err() {
            tracing::debug!("request to the server after shutdown");
        }
    }
}

/// Who is served on a link.
struct Served {
    peer: PeerId,
    from: Option<Multiaddr>,
    sender: LinkSender,
}

struct Driver {
    provider: Provider,
    clock: Clock,
    links: BTreeMap<LinkId, Served>,
    next_link: u64,
    link_events: mpsc::Sender<(LinkId, LinkEvent)>,
    worker: StoreWorker,
    /// By who asks; all whose address is not known share one.
    audits: Budgets<IpPrefix>,
    /// None if everything is served for free.
    till: Option<Till>,
    events: mpsc::Sender<ServerEvent>,
    stats: Arc<Stats>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Driver {
    async fn run(
        mut self,
        mut requests: mpsc::Receiver<Request>,
        mut links: mpsc::Receiver<(LinkId, LinkEvent)>,
        (mut results, mut news): (worker::Results, mpsc::UnboundedReceiver<News>),
    ) {
        loop {
            let wait = self.provider.next_timeout().map_or(Duration::from_secs(3600), |at| {
                Duration::from_millis(at.since_ms(self.clock.now()))
            });
            tokio::select! {
                request = requests.recv() => match request {
                    Some(request) => self.on_request(request),
                    None => return,
                },
                Some((link, event)) = links.recv() => self.on_link(link, event),
                Some(batch) = results.recv() => {
                    for (token, result) in batch {
                        self.handle(Input::Store { token, result });
                    }
                }
                Some(news) = news.recv() => {
                    if let Some(till) = &mut self.till {
                        till.learn(news);
                    }
                }
                () = tokio::time::sleep(wait) => self.handle(Input::Tick),
            }
            self.drain().await;
        }
    }

    fn on_request(&mut self, request: Request) {
        match request {
            Request::Serve { peer, address, stream } => {
                let link = LinkId(self.next_link);
                self.next_link += 1;
                let (running, events) = ((&self.tasks, &self.stop), self.link_events.clone());
                let events = (events, Flushes::Told);
                let sender = match stream {
                    Stream::Libp2p(stream) => links::spawn(running, link, stream, events),
                    Stream::Web(stream) => links::spawn(running, link, stream, events),
                };
                if let Some(till) = &mut self.till {
                    till.link_up(link, peer, money::prefix_of(address.as_ref()));
                }
                self.links.insert(link, Served { peer, from: address, sender });
                self.handle(Input::LinkUp { link, peer });
            }
            Request::Found(token, result) => self.handle(Input::Store { token, result }),
            Request::Introduce(introduction) => self.handle(Input::Introduction(introduction)),
            Request::Name(masternodes) => self.handle(Input::Masternodes(masternodes)),
            Request::Counted(live) => {
                if let Some(till) = &mut self.till {
                    till.counted(live);
                }
            }
        }
    }

    fn on_link(&mut self, link: LinkId, event: LinkEvent) {
        match event {
            LinkEvent::Messages(messages) => {
                for message in messages {
                    self.handle(Input::Message { link, message });
                }
            }
            LinkEvent::Flushed(messages) => self.handle(Input::Flushed { link, messages }),
            LinkEvent::Down => {
                self.forget(link);
                self.handle(Input::LinkDown { link });
            }
        }
    }

    /// An error of the machine is a bug of this driver; it goes on unchanged.
    fn handle(&mut self, input: Input) {
        if let Err(error) = self.provider.handle(self.clock.now(), input) {
            tracing::error!(%error, "the serving machine refused an input");
        }
    }

    fn forget(&mut self, link: LinkId) {
        let Some(Served { peer, sender: _closing, .. }) = self.links.remove(&link) else { return };
        if let Some(till) = &mut self.till {
            till.link_down(link, peer);
        }
    }

    /// What the provider and the till want done, until neither wants anything.
    async fn drain(&mut self) {
        loop {
            self.drain_provider().await;
            match self.till.as_mut().and_then(Till::poll) {
                Some(Action::Say { link, body }) => self.handle(Input::Payment { link, body }),
                Some(Action::Allow { peer, bytes }) => {
                    self.handle(Input::Allowance { peer, bytes });
                }
                None => return,
            }
        }
    }

    async fn drain_provider(&mut self) {
        while let Some(output) = self.provider.poll() {
            match output {
                Output::Send { link, message } => {
                    let payload = message.payload_bytes();
                    self.stats.served(payload);
                    let Some(Served { peer, sender, .. }) = self.links.get(&link) else { continue };
                    if let Some(till) = self.till.as_mut().filter(|_| payload > 0) {
                        till.served(*peer, u64::try_from(payload).unwrap_or(u64::MAX));
                    }
                    sender.send(message);
                }
                Output::Close { link } => self.forget(link),
                Output::Store {
                    token,
                    operation: StoreOperation::FindHolders { link, content, .. },
                } => self.look_up(token, link, content),
                Output::Store { token, operation: operation @ StoreOperation::Audit { .. } } => {
                    self.audit(token, operation);
                }
                Output::Store { token, operation } => self.worker.start_operation(token, operation),
                Output::Event(event) => self.on_event(event).await,
                other => tracing::warn!(?other, "unknown output"),
            }
        }
    }

    /// Have the node look for holders, if it isn't too busy.
    fn look_up(&mut self, token: Token, link: LinkId, content: ContentId) {
        let from = self.links.get(&link).and_then(|served| served.from.clone());
        if self.events.try_send(ServerEvent::HoldersWanted { token, from, content }).is_err() {
            let result =
                StoreResult::Refused { reason: RefusalReason::Busy, retry_after_ms: BUSY_RETRY_MS };
            self.handle(Input::Store { token, result });
        }
    }

    /// Have an audit answered, if it is not one too many of its network.
    fn audit(&mut self, token: Token, operation: StoreOperation) {
        let StoreOperation::Audit { link, .. } = &operation else { return };
        let from = self.links.get(link).and_then(|served| served.from.as_ref());
        // spec/exchange.md §9: links are cheap, so audits are counted by network as well.
        if self.audits.take(self.clock.now(), money::prefix_of(from), 0) {
            return self.worker.start_operation(token, operation);
        }
        let (reason, retry_after_ms) = (RefusalReason::Busy, BUSY_RETRY_MS);
        self.handle(Input::Store {
            token,
            result: StoreResult::Refused { reason, retry_after_ms },
        });
    }

    async fn on_event(&mut self, event: Event) {
        let news = match event {
            Event::Payment { link, peer, body } => {
                if let Some(till) = &mut self.till {
                    till.hear(link, peer, &body);
                }
                return;
            }
            Event::PeerFault { peer, fault, .. } => {
                self.stats.peer_fault();
                tracing::warn!(%peer, %fault, "peer broke a rule; its link is closed");
                return;
            }
            Event::Greeted { peer, introduction, .. } => match introduction.masternode {
                Some(record) => ServerEvent::Introduced(peer, record),
                None => return,
            },
            Event::ColumnStored { content, column, from } => {
                tracing::info!(%content, %column, %from, "column stored");
                ServerEvent::ColumnStored(content)
            }
            other => {
                tracing::debug!(?other, "serving");
                return;
            }
        };
        let _node_gone = self.events.send(news).await;
    }
}
