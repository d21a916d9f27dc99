//! One fetching machine with its links: finds the holders of a content, keeps links to them, and
//! hands out segments as soon as enough of their shards are here.

mod payments;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use libp2p::Multiaddr;
use pop_erasure::{Content, VerifiedShard};
use pop_exchange::fetcher::{Event, Fetcher, FetcherConfig, Input, Output, SourceKind};
use pop_exchange::libp2p::ExchangeStream;
use pop_exchange::{Introduction, LinkId};
use pop_wire::{ColumnSet, Instant, PeerId, SegmentIndex};
use tokio::sync::mpsc;

use self::payments::Payments;
use crate::clock;
use crate::error::NodeError;
use crate::holdings::{self, KnownHolder};
use crate::links::{self, Flushes, LinkEvent, LinkSender};
use crate::money::Word;
use crate::network::{Finding, Unreachable};
use crate::node::Inner;
use crate::transport;

/// Batches of messages of all links that wait for the machine; more slows the sources down.
const LINK_EVENTS_MAX: usize = 64;

/// Between two tries with a holder that did not answer or went away, in milliseconds.
const RECONNECT_MS: u64 = 3_000;

/// Between two lookups while sources are missing, in milliseconds.
const LOOKUP_AGAIN_MS: u64 = 5_000;

/// Holders that a session remembers.
const HOLDERS_MAX: usize = 1_024;

/// What a reader tells its session.
#[derive(Debug)]
pub(crate) enum Wish {
    /// These segments from now on, the first needed by then.
    Want { segments: Range<u64>, first_deadline: Option<Instant>, segment_duration_ms: u64 },
    /// A segment's shards are dropped.
    Release(SegmentIndex),
}

/// What a session tells its reader.
#[derive(Debug)]
pub(crate) enum Delivery {
    /// k shards of a segment.
    Segment { segment: SegmentIndex, shards: Vec<VerifiedShard> },
    /// The next segment can't be completed with the sources there are.
    Starving { segment: SegmentIndex, reachable: usize, needed: usize },
    /// There are enough sources again.
    Recovered,
}

/// A running session. Ends when dropped.
#[derive(Debug)]
pub(crate) struct Session {
    wishes: mpsc::UnboundedSender<Wish>,
    deliveries: mpsc::UnboundedReceiver<Delivery>,
}

impl Session {
    /// Start a session for `content`, with the holders that are known already and the lookup that
    /// goes on finding more, if one is under way.
    pub(crate) fn start(
        inner: &Arc<Inner>,
        content: Content,
        (holders, findings): (Vec<KnownHolder>, Option<mpsc::Receiver<Finding>>),
    ) -> Result<Self, NodeError> {
        let mut config = FetcherConfig::default();
        // With the tag that ends the plaintext: the least that a fetcher takes.
        let two_segments = 2 * (content.layout().segment_bytes() + 16);
        config.window_bytes_max = inner.settings.fetch_bytes_max.max(two_segments);
        config.introduction = Introduction {
            agent: transport::agent(),
            masternode: inner.own_record.borrow().as_ref().map(|record| record.signed().clone()),
        };
        let (payments, words) = Payments::start(inner, &content);
        config.accounts = payments.is_paying();
        let seed = clock::random_bytes().map_err(crate::disk::StoreError::from)?;
        let internal = |error| NodeError::Io {
            action: "start fetching",
            source: std::io::Error::other(error),
        };
        let fetcher = Fetcher::new(content.clone(), config, seed).map_err(internal)?;
        let (wishes, wish_queue) = mpsc::unbounded_channel();
        let (delivery_sender, deliveries) = mpsc::unbounded_channel();
        let (link_events, link_queue) = mpsc::channel(LINK_EVENTS_MAX);
        let mut driver = Driver {
            inner: Arc::clone(inner),
            content,
            fetcher,
            payments,
            holders: BTreeMap::new(),
            links: BTreeMap::new(),
            next_link: 0,
            link_events,
            openings: FuturesUnordered::new(),
            deliveries: delivery_sender,
            starving: false,
            // A lookup under way needs no second one beside it.
            next_lookup: findings.is_none().then(Instant::default),
        };
        holders.into_iter().for_each(|holder| driver.learn(holder));
        inner.spawn(driver.run((wish_queue, words), link_queue, findings));
        Ok(Self { wishes, deliveries })
    }

    /// Tell the session something. After its end this goes nowhere, and `next` says so.
    pub(crate) fn tell(&self, wish: Wish) {
        let _ended = self.wishes.send(wish);
    }

    /// The next delivery; `None` once the node shuts down.
    pub(crate) async fn next(&mut self) -> Option<Delivery> {
        self.deliveries.recv().await
    }

    /// Want nothing more, and forget what was delivered for an earlier reader.
    pub(crate) fn rest(&mut self) {
        self.tell(Wish::Want { segments: 0..0, first_deadline: None, segment_duration_ms: 0 });
        while let Ok(delivery) = self.deliveries.try_recv() {
            if let Delivery::Segment { segment, .. } = delivery {
                self.tell(Wish::Release(segment));
            }
        }
    }
}

/// A holder, and how we stand with it.
#[derive(Debug)]
struct Holder {
    columns: ColumnSet,
    addresses: Vec<Multiaddr>,
    state: HolderState,
}

/// ```text
/// Idle(when to try) --open--> Opening --stream--> Linked --down--> Idle
///                                `--unreachable--> Idle
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum HolderState {
    Idle(Instant),
    Opening,
    Linked(LinkId),
}

type Opening = BoxFuture<'static, (PeerId, Result<ExchangeStream, Unreachable>)>;

struct Driver {
    inner: Arc<Inner>,
    content: Content,
    fetcher: Fetcher,
    payments: Payments,
    holders: BTreeMap<PeerId, Holder>,
    links: BTreeMap<LinkId, (PeerId, LinkSender)>,
    next_link: u64,
    link_events: mpsc::Sender<(LinkId, LinkEvent)>,
    openings: FuturesUnordered<Opening>,
    deliveries: mpsc::UnboundedSender<Delivery>,
    /// Too few holders are within reach.
    starving: bool,
    /// When to look for holders: at the start, and again and again while starving.
    next_lookup: Option<Instant>,
}

impl Driver {
    async fn run(
        mut self,
        (mut wishes, mut words): (mpsc::UnboundedReceiver<Wish>, mpsc::UnboundedReceiver<Word>),
        mut links: mpsc::Receiver<(LinkId, LinkEvent)>,
        findings: Option<mpsc::Receiver<Finding>>,
    ) {
        let (_silent, nothing) = mpsc::channel(1);
        let mut findings = findings.unwrap_or(nothing);
        let (answers, mut answered) = mpsc::channel(HOLDERS_MAX);
        loop {
            if self.next_lookup.is_some_and(|at| self.now() >= at) {
                let again_at = self.now().after_ms(LOOKUP_AGAIN_MS);
                self.next_lookup = self.starving.then_some(again_at);
                findings = self.inner.network.find_content(self.content.id()).await;
                if self.starving {
                    self.ask_masternodes(answers.clone());
                }
            }
            self.connect();
            let wait = Duration::from_millis(self.wait_ms());
            tokio::select! {
                wish = wishes.recv() => match wish {
                    Some(wish) => self.on_wish(wish),
                    None => return,
                },
                Some((link, event)) = links.recv() => {
                    self.on_link(link, event);
                    // A busy link delivers many at once: take them before planning anew.
                    while let Ok((link, event)) = links.try_recv() {
                        self.on_link(link, event);
                    }
                }
                Some(word) = words.recv() => self.handle(match word {
                    Word::Say(link, body) => Input::Payment { link, body },
                    Word::Price(peer, price_rank) => Input::Price { peer, price_rank },
                }),
                Some(finding) = findings.recv() => {
                    let providers = finding.providers.iter();
                    providers.for_each(|record| self.learn(KnownHolder::from(&**record)));
                }
                Some(holder) = answered.recv() => self.learn(holder),
                Some((peer, opened)) = self.openings.next() => self.on_opened(peer, opened),
                () = tokio::time::sleep(wait) => self.handle(Input::Tick),
            }
            self.drain();
        }
    }

    fn now(&self) -> Instant {
        self.inner.clock.now()
    }

    /// Until the machine, a holder or the next lookup is due.
    fn wait_ms(&self) -> u64 {
        let retries = self.holders.values().filter_map(|holder| match holder.state {
            HolderState::Idle(at) => Some(at),
            _ => None,
        });
        let due = retries.chain(self.next_lookup).chain(self.fetcher.next_timeout()).min();
        due.map_or(60_000, |at| at.since_ms(self.now()).max(1))
    }

    /// The second way to find holders: ask the masternodes themselves what they hold.
    fn ask_masternodes(&self, answers: mpsc::Sender<KnownHolder>) {
        let (inner, content) = (Arc::clone(&self.inner), self.content.id());
        self.inner.spawn(async move {
            let masternodes = inner.live_masternodes().await;
            for holder in holdings::holders(&inner, content, &masternodes).await {
                // A session that ended, or knows enough, needs no more.
                if answers.try_send(holder).is_err() {
                    return;
                }
            }
        });
    }

    /// Take in who holds what. A later word replaces an earlier one.
    fn learn(&mut self, known: KnownHolder) {
        let own = self.inner.keypair.peer_id();
        if known.peer == own
            || known.columns.is_empty()
            || (self.holders.len() >= HOLDERS_MAX && !self.holders.contains_key(&known.peer))
        {
            return;
        }
        let now = self.inner.clock.now();
        let holder = self.holders.entry(known.peer).or_insert(Holder {
            columns: known.columns,
            addresses: Vec::new(),
            state: HolderState::Idle(now),
        });
        holder.addresses = known.addresses;
        // Columns that it got since go to the machine with a new link.
        if holder.columns != known.columns {
            holder.columns = known.columns;
            if let HolderState::Linked(link) = holder.state {
                self.close(link);
            }
        }
    }

    fn connect(&mut self) {
        let now = self.now();
        for (peer, holder) in &mut self.holders {
            if matches!(holder.state, HolderState::Idle(at) if now >= at) {
                holder.state = HolderState::Opening;
                let (network, peer) = (self.inner.network.clone(), *peer);
                let addresses = holder.addresses.clone();
                let opening = async move { (peer, network.open(peer, addresses).await) };
                self.openings.push(Box::pin(opening));
            }
        }
    }

    fn on_opened(&mut self, peer: PeerId, opened: Result<ExchangeStream, Unreachable>) {
        let retry_at = self.now().after_ms(RECONNECT_MS);
        let Some(holder) = self.holders.get_mut(&peer) else { return };
        match opened {
            Ok(stream) => {
                let link = LinkId(self.next_link);
                self.next_link += 1;
                holder.state = HolderState::Linked(link);
                let columns = holder.columns;
                let running = (&self.inner.tasks, &self.inner.stop);
                let events = (self.link_events.clone(), Flushes::Untold);
                let sender = links::spawn(running, link, stream, events);
                self.links.insert(link, (peer, sender));
                let kind = SourceKind::Masternode;
                self.handle(Input::LinkUp { link, peer, columns, kind });
            }
            Err(error) => {
                tracing::debug!(%error, "holder not reached");
                holder.state = HolderState::Idle(retry_at);
            }
        }
    }

    fn on_wish(&mut self, wish: Wish) {
        match wish {
            Wish::Want { segments, first_deadline, segment_duration_ms } => {
                if segments.is_empty() {
                    self.payments.rest();
                }
                self.handle(Input::Want { segments, first_deadline, segment_duration_ms });
            }
            Wish::Release(segment) => self.handle(Input::Release { segment }),
        }
    }

    fn on_link(&mut self, link: LinkId, event: LinkEvent) {
        match event {
            LinkEvent::Messages(messages) => {
                for message in messages {
                    self.inner.stats.fetched(message.payload_bytes());
                    self.handle(Input::Message { link, message });
                }
            }
            LinkEvent::Flushed(_) => {}
            LinkEvent::Down => self.close(link),
        }
    }

    fn close(&mut self, link: LinkId) {
        let Some((peer, _closing)) = self.links.remove(&link) else { return };
        let retry_at = self.now().after_ms(RECONNECT_MS);
        if let Some(holder) = self.holders.get_mut(&peer) {
            holder.state = HolderState::Idle(retry_at);
        }
        self.payments.link_down(link);
        self.handle(Input::LinkDown { link });
    }

    fn handle(&mut self, input: Input) {
        if let Err(error) = self.fetcher.handle(self.inner.clock.now(), input) {
            tracing::error!(%error, "the fetching machine refused an input");
        }
    }

    fn drain(&mut self) {
        let mut closing = BTreeSet::new();
        while let Some(output) = self.fetcher.poll() {
            match output {
                Output::Send { link, message } => {
                    if let Some((_, sender)) = self.links.get(&link) {
                        sender.send(message);
                    }
                }
                Output::Close { link } => drop(closing.insert(link)),
                Output::Segment { segment, shards } => {
                    self.deliver(Delivery::Segment { segment, shards });
                }
                Output::Asked { peer, bytes, .. } => self.payments.count(peer, bytes, 0),
                Output::Received { peer, bytes, .. } => self.payments.count(peer, 0, bytes),
                Output::Event(event) => self.on_event(event),
                other => tracing::warn!(?other, "unknown output"),
            }
        }
        self.payments.report();
        closing.into_iter().for_each(|link| self.close(link));
    }

    fn on_event(&mut self, event: Event) {
        match event {
            Event::PeerFault { peer, fault, .. } => {
                self.inner.stats.peer_fault();
                tracing::warn!(%peer, %fault, "source broke a rule; it is not asked again");
                self.holders.remove(&peer);
            }
            Event::Greeted { link, peer, .. } => {
                let addresses = self.holders.get(&peer).map(|holder| &holder.addresses[..]);
                self.payments.link_up(link, peer, addresses.unwrap_or_default());
            }
            Event::Payment { link, peer, body } => self.payments.heard(link, peer, body),
            Event::SourceRefused { peer, .. } => drop(self.holders.remove(&peer)),
            Event::Starving { segment, reachable, needed, live_sources } => {
                tracing::debug!(%segment, reachable, needed, live_sources, "starving");
                self.starving = true;
                self.next_lookup.get_or_insert(self.now());
                self.deliver(Delivery::Starving { segment, reachable, needed });
            }
            Event::Recovered => {
                self.starving = false;
                self.deliver(Delivery::Recovered);
            }
            other => tracing::debug!(?other, "fetching"),
        }
    }

    fn deliver(&self, delivery: Delivery) {
        let _reader_gone = self.deliveries.send(delivery);
    }
}
