//! A masternode that takes columns like an honest one and lies when it is asked for them. Made of
//! the public crates: the exchange's provider machine, the DHT's behaviour, a map for a disk.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::BytesMut;
use futures::{AsyncReadExt as _, AsyncWriteExt as _, StreamExt as _};
use libp2p::swarm::{NetworkBehaviour, SwarmEvent};
use libp2p::{Multiaddr, Swarm};
use pop_exchange::libp2p::{Event as StreamEvent, ExchangeStream};
use pop_exchange::link::{MessageReader, MessageWriter};
use pop_exchange::provider::{
    Event, Input, Output, Provider, ProviderConfig, StoreOperation, StoreResult, Token,
};
use pop_exchange::{Introduction, LinkId, ShardWithProof};
use pop_incentive::audit::AuditChallenge;
use pop_incentive::typed_data::LedgerDomain;
use pop_node::clock::{Clock, unix_now};
use pop_wire::message::{GetPeers, Hello, RefusalReason};
use pop_wire::{
    ColumnIndex, ColumnSet, ContentId, Keypair, Manifest, MasternodeRecord, Message, PeerId,
    ProviderRecord, RequestId, SegmentIndex, Verified, VersionRange,
};
use tokio::sync::{mpsc, watch};

use super::{HANG, stranger};

/// What the rogue does when it is asked for a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lie {
    /// Nothing wrong.
    None,
    /// One bit of the payload is not what it was.
    FlippedBit,
    /// A genuine shard of the segment, but of another column than was asked for.
    WrongColumn,
    /// The payload with a hash of its path changed.
    WrongProof,
    /// Always the first shard that it ever had, with its genuine proof.
    Replay,
    /// Greets, takes the request, and never answers.
    NoAnswer,
    /// Takes the stream and never says a word.
    NoGreeting,
    /// One byte a second.
    OneByteASecond,
    /// Signs an answer to every audit, without having looked at a shard.
    WrongAnswer,
}

/// A rogue on a thread of its own; gone when dropped.
pub(crate) struct Rogue {
    pub(crate) peer: PeerId,
    lie: watch::Sender<Lie>,
    claimed: watch::Receiver<usize>,
    requests: watch::Receiver<usize>,
    _runtime: tokio::runtime::Runtime,
}

impl Rogue {
    /// Start, and introduce it to the node at `bootstrap`.
    pub(crate) fn join(bootstrap: &str) -> Self {
        Self::join_audited(bootstrap, None)
    }

    /// The same, and audits for this ledger are answered.
    pub(crate) fn join_audited(bootstrap: &str, ledger: Option<LedgerDomain>) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.unwrap();
        let keypair = keypair();
        let peer = keypair.peer_id();
        let (lie, lying) = watch::channel(Lie::None);
        let (claims, claimed) = watch::channel(0);
        let (asked, requests) = watch::channel(0);
        let bootstrap = bootstrap.to_owned();
        runtime.block_on(async {
            let mut driver = Driver::start(keypair, &bootstrap, lying, claims, asked).await;
            driver.ledger = ledger;
            driver.introduce(&bootstrap).await;
            tokio::spawn(driver.run());
        });
        Self { peer, lie, claimed, requests, _runtime: runtime }
    }

    /// Lie from now on, on new links.
    pub(crate) fn tell(&self, lie: Lie) {
        self.lie.send_replace(lie);
    }

    /// Wait until it took a column, and told the DHT that it holds all of that content.
    pub(crate) fn wait_for_claim(&self) {
        super::wait_for("the rogue's claim", || (*self.claimed.borrow() > 0).then_some(()));
    }

    /// How often it was asked for a shard, or, while it doesn't greet, for a stream.
    pub(crate) fn requests(&self) -> usize {
        *self.requests.borrow()
    }
}

/// The rogue's key.
pub(crate) fn keypair() -> Keypair {
    Keypair::from_secret_bytes(&[0x66; 32]).unwrap()
}

#[derive(NetworkBehaviour)]
struct Behaviours {
    dht: pop_dht::Behaviour,
    exchange: pop_exchange::libp2p::Behaviour,
}

type Shards = BTreeMap<(ColumnIndex, SegmentIndex), ShardWithProof>;

#[derive(Default)]
struct Column {
    next: u64,
    sealed: bool,
}

struct Kept {
    manifest: Verified<Manifest>,
    columns: BTreeMap<ColumnIndex, Column>,
    shards: Shards,
}

struct Driver {
    swarm: Swarm<Behaviours>,
    keypair: Keypair,
    address: Multiaddr,
    provider: Provider,
    clock: Clock,
    kept: BTreeMap<ContentId, Kept>,
    links: BTreeMap<LinkId, mpsc::UnboundedSender<Message>>,
    next_link: u64,
    incoming: mpsc::UnboundedSender<(LinkId, Option<Message>, usize)>,
    events: mpsc::UnboundedReceiver<(LinkId, Option<Message>, usize)>,
    held_open: Arc<Mutex<Vec<ExchangeStream>>>,
    lie: watch::Receiver<Lie>,
    claims: watch::Sender<usize>,
    asked: watch::Sender<usize>,
    ledger: Option<LedgerDomain>,
}

impl Driver {
    async fn start(
        keypair: Keypair,
        bootstrap: &str,
        lie: watch::Receiver<Lie>,
        claims: watch::Sender<usize>,
        asked: watch::Sender<usize>,
    ) -> Self {
        let mut config = pop_dht::Config::default();
        config.server = false;
        config.diversity.loopback_exempt = true;
        let peer = keypair.peer_id();
        let mut swarm = stranger::build(stranger::identity(&keypair), |_| Behaviours {
            dht: pop_dht::Behaviour::new(peer, unix_now(), config),
            exchange: pop_exchange::libp2p::Behaviour::new(),
        });
        swarm.listen_on("/ip4/127.0.0.1/tcp/0".parse().unwrap()).unwrap();
        let address = loop {
            if let SwarmEvent::NewListenAddr { address, .. } = swarm.select_next_some().await {
                break address;
            }
        };
        let (node, bare) = stranger::split(bootstrap);
        swarm.behaviour_mut().dht.add_peer(node, bare).unwrap();
        let (incoming, events) = mpsc::unbounded_channel();
        let mut provider = ProviderConfig::default();
        provider.introduction = introduction(&keypair, &address);
        Self {
            swarm,
            keypair,
            address,
            provider: Provider::new(provider).unwrap(),
            clock: Clock::start(),
            kept: BTreeMap::new(),
            links: BTreeMap::new(),
            next_link: 0,
            incoming,
            events,
            held_open: Arc::default(),
            lie,
            claims,
            asked,
            ledger: None,
        }
    }

    /// Become known as a masternode: say so in a hello.
    async fn introduce(&mut self, bootstrap: &str) {
        let (node, bare) = stranger::split(bootstrap);
        self.swarm.behaviour_mut().exchange.open(node, [bare]);
        let stream = loop {
            let event = self.swarm.select_next_some().await;
            if let SwarmEvent::Behaviour(BehavioursEvent::Exchange(StreamEvent::Opened {
                stream,
                ..
            })) = event
            {
                break stream;
            }
        };
        let Introduction { agent, masternode } = introduction(&self.keypair, &self.address);
        let versions = VersionRange::SUPPORTED;
        let hello = Hello { versions, credit_bytes: 0, agent, masternode };
        tokio::spawn(async move {
            let (read_half, write_half) = stream.split();
            let mut writer = MessageWriter::new(write_half);
            writer.push(&Message::Hello(hello)).unwrap();
            writer.push(&Message::GetPeers(GetPeers { id: RequestId(1) })).unwrap();
            writer.flush().await.unwrap();
            let mut reader = MessageReader::new(read_half);
            while reader.read(&mut VecDeque::new()).await.unwrap_or(false) {}
        });
    }

    async fn run(mut self) {
        let mut second = tokio::time::interval(Duration::from_secs(1));
        loop {
            tokio::select! {
                event = self.swarm.select_next_some() => self.on_swarm(event),
                Some((link, message, flushed)) = self.events.recv() => match message {
                    Some(message) => self.handle(Input::Message { link, message }),
                    None if flushed > 0 => self.handle(Input::Flushed { link, messages: flushed }),
                    None => {
                        self.links.remove(&link);
                        self.handle(Input::LinkDown { link });
                    }
                },
                _ = second.tick() => {
                    self.swarm.behaviour_mut().dht.sweep(unix_now());
                    self.handle(Input::Tick);
                }
            }
        }
    }

    fn on_swarm(&mut self, event: SwarmEvent<BehavioursEvent>) {
        match event {
            SwarmEvent::Behaviour(BehavioursEvent::Exchange(StreamEvent::Inbound {
                peer,
                stream,
            })) => self.on_stream(peer, stream),
            SwarmEvent::Behaviour(BehavioursEvent::Dht(pop_dht::Event::Announced {
                subject: pop_dht::Subject::Content(_),
                ..
            })) => self.claims.send_modify(|claims| *claims += 1),
            _ => {}
        }
    }

    fn on_stream(&mut self, peer: libp2p::PeerId, stream: ExchangeStream) {
        let lie = *self.lie.borrow();
        if lie == Lie::NoGreeting {
            self.asked.send_modify(|asked| *asked += 1);
            self.held_open.lock().unwrap().push(stream);
            return;
        }
        let link = LinkId(self.next_link);
        self.next_link += 1;
        let (read_half, write_half) = stream.split();
        let (messages, queue) = mpsc::unbounded_channel();
        self.links.insert(link, messages);
        tokio::spawn(read(link, read_half, self.incoming.clone()));
        tokio::spawn(write(link, write_half, queue, self.incoming.clone(), lie));
        let peer = PeerId::from_libp2p_bytes(&peer.to_bytes()).unwrap();
        self.handle(Input::LinkUp { link, peer });
    }

    fn handle(&mut self, input: Input) {
        self.provider.handle(self.clock.now(), input).unwrap();
        while let Some(output) = self.provider.poll() {
            match output {
                Output::Send { link, message } => {
                    if let Some(link) = self.links.get(&link) {
                        let _down = link.send(message);
                    }
                }
                Output::Close { link } => drop(self.links.remove(&link)),
                Output::Store { token, operation } => self.store(token, operation),
                Output::Event(Event::ColumnStored { content, .. }) => self.claim(content),
                _ => {}
            }
        }
    }

    fn store(&mut self, token: Token, operation: StoreOperation) {
        let not_found =
            || StoreResult::Refused { reason: RefusalReason::NotFound, retry_after_ms: 0 };
        let result = match operation {
            StoreOperation::ReadShard { content, segment, column } => {
                self.asked.send_modify(|asked| *asked += 1);
                let lie = *self.lie.borrow();
                if lie == Lie::NoAnswer {
                    return;
                }
                let kept = self.kept.get(&content);
                let shard = kept.and_then(|kept| answer(&kept.shards, lie, segment, column));
                shard.map_or_else(not_found, StoreResult::Shard)
            }
            StoreOperation::ReadManifest { content } => match self.kept.get(&content) {
                Some(kept) => StoreResult::Manifest(kept.manifest.signed().clone()),
                None => not_found(),
            },
            StoreOperation::ReadHoldings { content } => {
                let columns = self.kept.get(&content).into_iter().flat_map(|kept| &kept.columns);
                let sealed = columns.filter(|(_, column)| column.sealed);
                StoreResult::Holdings(sealed.map(|(index, _)| *index).collect())
            }
            StoreOperation::OpenColumn { manifest, column, .. } => {
                let fresh = || Kept {
                    manifest: manifest.clone(),
                    columns: BTreeMap::new(),
                    shards: BTreeMap::new(),
                };
                let kept = self.kept.entry(manifest.content_id()).or_insert_with(fresh);
                let next = kept.columns.entry(column).or_default().next;
                StoreResult::ColumnOpened { next_segment: SegmentIndex(next) }
            }
            StoreOperation::WriteShard { content, column, segment, shard } => {
                let kept = self.kept.get_mut(&content).unwrap();
                kept.shards.insert((column, segment), shard);
                kept.columns.get_mut(&column).unwrap().next = segment.0 + 1;
                StoreResult::Written
            }
            StoreOperation::SealColumn { content, column } => {
                let kept = self.kept.get_mut(&content).unwrap();
                kept.columns.get_mut(&column).unwrap().sealed = true;
                StoreResult::ColumnStored
            }
            StoreOperation::Audit { challenge, .. } => {
                self.answer_audit(&challenge).map_or_else(not_found, StoreResult::AuditAnswer)
            }
            _ => return,
        };
        self.handle(Input::Store { token, result });
    }

    fn answer_audit(&self, challenge: &[u8]) -> Option<bytes::Bytes> {
        let challenge = AuditChallenge::decode(challenge).unwrap();
        let kept = self.kept.get(&challenge.content)?;
        let shard = kept.shards.get(&(challenge.column, challenge.segment));
        let shard = match *self.lie.borrow() {
            Lie::WrongAnswer => b"as if it were a shard",
            _ => &shard?.payload[..],
        };
        let answer = challenge.answer(self.ledger.as_ref()?, &self.keypair, shard);
        Some(bytes::Bytes::copy_from_slice(&answer.encode()))
    }

    /// Tell the DHT that it holds every column, so that every viewer asks it for some.
    fn claim(&mut self, content: ContentId) {
        let manifest = self.kept[&content].manifest.clone();
        let record = ProviderRecord {
            peer: self.keypair.peer_id(),
            content,
            columns: ColumnSet::all(manifest.total_shards),
            addresses: vec![self.address.to_vec().into()],
            issued_at: unix_now(),
            expires_at: unix_now().after_s(3600),
        };
        let record = Verified::sign(record, &self.keypair).unwrap();
        self.swarm.behaviour_mut().dht.announce_content(manifest, record).unwrap();
    }
}

fn answer(
    shards: &Shards,
    lie: Lie,
    segment: SegmentIndex,
    column: ColumnIndex,
) -> Option<ShardWithProof> {
    let asked = shards.get(&(column, segment));
    let of_segment = || shards.iter().find(|((_, of), _)| *of == segment).map(|(_, shard)| shard);
    let mut shard = match lie {
        Lie::None => asked?,
        Lie::WrongColumn => {
            let other = |((held, of), _): &(&(ColumnIndex, SegmentIndex), &ShardWithProof)| {
                *of == segment && *held != column
            };
            shards.iter().find(other)?.1
        }
        Lie::Replay => shards.first_key_value()?.1,
        _ => asked.or_else(of_segment)?,
    }
    .clone();
    match lie {
        Lie::FlippedBit => {
            let mut payload = shard.payload.to_vec();
            payload[0] ^= 1;
            shard.payload = payload.into();
        }
        Lie::WrongProof => shard.segment_path.first_mut()?.0[0] ^= 1,
        _ => {}
    }
    Some(shard)
}

fn introduction(keypair: &Keypair, address: &Multiaddr) -> Introduction {
    let record = MasternodeRecord {
        peer: keypair.peer_id(),
        addresses: vec![address.to_vec().into()],
        seal_key: None,
        collateral: bytes::Bytes::new(),
        operator: keypair.peer_id().wallet_address(),
        capacity_bytes: 1 << 40,
        issued_at: unix_now(),
        expires_at: unix_now().after_s(3600),
    };
    let record = Verified::sign(record, keypair).unwrap();
    Introduction { agent: "rogue".to_owned(), masternode: Some(record.signed().clone()) }
}

async fn read(
    link: LinkId,
    half: futures::io::ReadHalf<ExchangeStream>,
    events: mpsc::UnboundedSender<(LinkId, Option<Message>, usize)>,
) {
    let mut reader = MessageReader::new(half);
    let mut messages = VecDeque::new();
    while reader.read(&mut messages).await.unwrap_or(false) {
        for message in messages.drain(..) {
            let _over = events.send((link, Some(message), 0));
        }
    }
    let _over = events.send((link, None, 0));
}

async fn write(
    link: LinkId,
    mut half: futures::io::WriteHalf<ExchangeStream>,
    mut queue: mpsc::UnboundedReceiver<Message>,
    events: mpsc::UnboundedSender<(LinkId, Option<Message>, usize)>,
    lie: Lie,
) {
    while let Some(message) = queue.recv().await {
        let mut frame = BytesMut::new();
        message.encode_frame(&mut frame).unwrap();
        // The hello of a slow one comes at once, or it would only be a silent one.
        let drips = lie == Lie::OneByteASecond && matches!(message, Message::Shard(_));
        let step = if drips { 1 } else { frame.len() };
        for bytes in frame.chunks(step) {
            if half.write_all(bytes).await.is_err() || half.flush().await.is_err() {
                return;
            }
            if drips {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
        let _over = events.send((link, None, 1));
    }
    let _closing = tokio::time::timeout(HANG, half.close()).await;
}
