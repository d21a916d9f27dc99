//! Nodes in a real swarm, in one process, over libp2p's memory transport.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod support;

use std::collections::BTreeSet;
use std::time::Duration;

use futures::StreamExt;
use libp2p::core::transport::MemoryTransport;
use libp2p::core::upgrade::Version;
use libp2p::kad::{self, store::MemoryStore};
use libp2p::swarm::{NetworkBehaviour, SwarmEvent};
use libp2p::{Multiaddr, Swarm, Transport, noise, yamux};
use pop_dht::limits::PUT_BYTES_MAX;
use pop_dht::record::ValidRecord;
use pop_dht::{
    Behaviour, Config, DhtKey, Error, Event, LookupId, PROTOCOL, RecordError, Refusal, Subject,
};
use pop_wire::{ContentId, PeerId, UnixTime, WireError};
use tokio::sync::mpsc;

use support::{NOW, bundle, content, keypair, manifest, masternode, peer, provider};

/// A hang is a failure, but not one that waits for the patience of whoever runs the tests.
const PATIENCE: Duration = Duration::from_secs(600);

type Command = Box<dyn FnOnce(&mut Behaviour) + Send>;

/// A node that runs in a task of its own.
struct Node {
    number: u32,
    address: Multiaddr,
    commands: mpsc::UnboundedSender<Command>,
    events: mpsc::UnboundedReceiver<Event>,
    task: tokio::task::JoinHandle<()>,
}

fn config() -> Config {
    let mut config = Config::default();
    config.diversity.loopback_exempt = true;
    config.bootstrap_interval = None;
    // The machine may be busy with other things.
    config.query_timeout = PATIENCE;
    config
}

fn swarm<B: NetworkBehaviour>(number: u32, behaviour: B) -> Swarm<B> {
    let mut secret = *keypair(number).secret_bytes();
    let secret = libp2p::identity::secp256k1::SecretKey::try_from_bytes(&mut secret).unwrap();
    let identity = libp2p::identity::secp256k1::Keypair::from(secret);
    libp2p::SwarmBuilder::with_existing_identity(identity.into())
        .with_tokio()
        .with_other_transport(|identity| {
            MemoryTransport::default()
                .upgrade(Version::V1)
                .authenticate(noise::Config::new(identity).unwrap())
                .multiplex(yamux::Config::default())
        })
        .unwrap()
        .with_behaviour(|_| behaviour)
        .unwrap()
        .build()
}

impl Node {
    async fn start(number: u32, config: Config) -> Self {
        let mut swarm = swarm(number, Behaviour::new(peer(number), NOW, config));
        swarm.listen_on("/memory/0".parse().unwrap()).unwrap();
        let address = loop {
            if let SwarmEvent::NewListenAddr { address, .. } = swarm.select_next_some().await {
                break address;
            }
        };
        let (commands, mut inbox) = mpsc::unbounded_channel::<Command>();
        let (outbox, events) = mpsc::unbounded_channel();
        let task = tokio::spawn(async move {
            loop {
                tokio::select! {
                    command = inbox.recv() => match command {
                        Some(command) => command(swarm.behaviour_mut()),
                        None => return,
                    },
                    event = swarm.select_next_some() => {
                        if let SwarmEvent::Behaviour(event) = event {
                            let _ = outbox.send(event);
                        }
                    }
                }
            }
        });
        Self { number, address, commands, events, task }
    }

    async fn call<T: Send + 'static>(
        &self,
        command: impl FnOnce(&mut Behaviour) -> T + Send + 'static,
    ) -> T {
        let (reply, answer) = tokio::sync::oneshot::channel();
        let run: Command = Box::new(move |behaviour| {
            let _ = reply.send(command(behaviour));
        });
        assert!(self.commands.send(run).is_ok(), "node {} is gone", self.number);
        answer.await.unwrap()
    }

    /// The first event that `wanted` makes something of; the others are dropped.
    async fn wait<T>(&mut self, mut wanted: impl FnMut(Event) -> Option<T>) -> T {
        let search = async {
            loop {
                let event = self.events.recv().await.expect("the node's task lives");
                if let Some(found) = wanted(event) {
                    return found;
                }
            }
        };
        tokio::time::timeout(PATIENCE, search).await.expect("the event comes")
    }

    async fn add(&self, other: &Node) {
        let (id, address) = (libp2p_id(other.number), other.address.clone());
        self.call(move |it| it.add_peer(id, address)).await.unwrap();
    }

    async fn announce(&mut self, publisher: u32, salt: u8, issued_at: UnixTime) -> ContentId {
        let manifest = manifest(publisher, salt);
        let content = manifest.content_id();
        let record = provider(self.number, content, issued_at);
        self.call(move |it| it.announce_content(manifest, record)).await.unwrap();
        content
    }

    async fn announced(&mut self) -> usize {
        self.wait(|event| match event {
            Event::Announced { copies, .. } => Some(copies),
            _ => None,
        })
        .await
    }

    /// Everything that a lookup finds: who provides, and whether the manifest came.
    async fn find(&mut self, content: ContentId) -> (BTreeSet<PeerId>, bool) {
        let lookup = self.call(move |it| it.find_content(content)).await.unwrap();
        let (mut peers, mut manifest_found) = (BTreeSet::new(), false);
        self.wait(|event| match event {
            Event::ContentFound { lookup: id, manifest, providers } if id == lookup => {
                peers.extend(providers.iter().map(|record| record.peer));
                manifest_found |= manifest.is_some_and(|it| it.content_id() == content);
                None
            }
            Event::LookupFinished { lookup: id, .. } if id == lookup => Some(()),
            _ => None,
        })
        .await;
        (peers, manifest_found)
    }
}

fn libp2p_id(number: u32) -> libp2p::PeerId {
    libp2p::PeerId::from_bytes(&peer(number).to_libp2p_bytes()).unwrap()
}

/// `count` nodes that found each other through the first.
async fn network(count: u32) -> Vec<Node> {
    let mut nodes = Vec::new();
    for number in 0..count {
        nodes.push(Node::start(number, config()).await);
    }
    for node in &nodes[1..] {
        node.add(&nodes[0]).await;
        nodes[0].add(node).await;
    }
    for node in &mut nodes {
        node.call(|it| it.bootstrap()).await.unwrap();
        node.wait(|event| matches!(event, Event::Bootstrapped).then_some(())).await;
    }
    nodes
}

/// `count` nodes that have each other's address, and no connection yet.
async fn acquainted(count: u32) -> Vec<Node> {
    let mut nodes = Vec::new();
    for number in 0..count {
        let node = Node::start(number, config()).await;
        for other in &nodes {
            node.add(other).await;
            other.add(&node).await;
        }
        nodes.push(node);
    }
    nodes
}

#[tokio::test]
async fn all_30_providers_are_found_also_after_a_third_of_the_nodes_left() {
    let mut nodes = acquainted(30).await;
    let mut content = None;
    for node in &mut nodes {
        content = Some(node.announce(1000, 1, NOW).await);
        assert!(node.announced().await >= 3 * 15);
    }
    let content = content.unwrap();
    let everyone: BTreeSet<PeerId> = (0..30).map(peer).collect();
    // By a newcomer that knows one node, and by one that provides itself.
    let mut newcomer = Node::start(500, config()).await;
    newcomer.add(&nodes[14]).await;
    assert_eq!(newcomer.find(content).await, (everyone.clone(), true));
    assert_eq!(nodes[17].find(content).await, (everyone.clone(), true));

    for node in nodes.drain(0..10) {
        node.task.abort();
    }
    assert_eq!(nodes[7].find(content).await, (everyone, true));
}

#[tokio::test]
async fn a_masternode_is_found_and_its_newer_record_wins() {
    let mut nodes = network(8).await;
    for issued_at in [NOW, NOW.after_s(1)] {
        let record = masternode(3, issued_at);
        nodes[3].call(move |it| it.announce_masternode(record)).await.unwrap();
        nodes[3].announced().await;
    }
    let lookup = nodes[6].call(|it| it.find_masternode(peer(3))).await.unwrap();
    let mut newest = UnixTime(0);
    nodes[6]
        .wait(|event| match event {
            Event::MasternodeFound { record, .. } => {
                assert!(record.issued_at > newest, "an older record after a newer one");
                newest = record.issued_at;
                None
            }
            Event::LookupFinished { lookup: id, timed_out } => {
                assert_eq!((id, timed_out), (lookup, false));
                Some(())
            }
            _ => None,
        })
        .await;
    assert_eq!(newest, NOW.after_s(1));
}

#[tokio::test]
async fn a_cancelled_lookup_says_nothing_more() {
    let mut nodes = network(6).await;
    let cancelled = nodes[1]
        .call(|it| {
            let first = it.find_content(content(1))?;
            Ok::<_, Error>([it.cancel(first), it.cancel(first)])
        })
        .await;
    assert_eq!(cancelled, Ok([true, false]));
    let second = nodes[1].call(|it| it.find_content(content(2))).await.unwrap();
    nodes[1]
        .wait(|event| match event {
            Event::LookupFinished { lookup, .. } => {
                assert_eq!(lookup, second);
                Some(())
            }
            _ => None,
        })
        .await;
}

#[tokio::test]
async fn the_closest_peers_to_a_target_are_found() {
    let mut nodes = network(12).await;
    let lookup: LookupId = nodes[2].call(|it| it.find_closer([7; 32])).await.unwrap();
    let found = nodes[2]
        .wait(|event| match event {
            Event::CloserFound { lookup: id, peers } if id == lookup => Some(peers),
            _ => None,
        })
        .await;
    let found: BTreeSet<_> = found.into_iter().map(|contact| contact.peer).collect();
    let others: BTreeSet<_> = (0..12).filter(|number| *number != 2).map(libp2p_id).collect();
    assert_eq!(found, others);
    let known = nodes[2].call(|it| it.closest_known_peers([7; 32], 5)).await;
    assert_eq!(known.len(), 5);
    assert!(known.iter().all(|contact| !contact.addresses.is_empty()));
}

#[tokio::test]
async fn an_announcement_that_reached_nobody_is_tried_again() {
    let mut lonely = Node::start(0, config()).await;
    let content = lonely.announce(1000, 3, NOW).await;
    assert_eq!(lonely.announced().await, 0);
    let mut other = Node::start(1, config()).await;
    lonely.add(&other).await;
    other.add(&lonely).await;
    lonely.call(|it| it.sweep(NOW.after_s(60))).await;
    // The put is answered when the other has it; one lookup on each side proves it.
    loop {
        let (stored, _) = other.call(|it| it.stored()).await;
        if stored == 3 {
            break;
        }
        tokio::task::yield_now().await;
    }
    lonely.task.abort();
    assert_eq!(other.find(content).await, (BTreeSet::from([peer(0)]), true));
}

/// Nobody of ours: a stock kad node under our protocol name, that puts what it likes.
struct Attacker {
    swarm: Swarm<kad::Behaviour<MemoryStore>>,
}

impl Attacker {
    async fn connect(number: u32, victim: &Node) -> Self {
        let mut config = kad::Config::new(PROTOCOL);
        config.set_max_packet_size(1 << 20);
        let id = libp2p_id(number);
        let kad = kad::Behaviour::with_config(id, MemoryStore::new(id), config);
        let mut swarm = swarm(number, kad);
        swarm.behaviour_mut().add_address(&libp2p_id(victim.number), victim.address.clone());
        swarm.dial(victim.address.clone()).unwrap();
        loop {
            if let SwarmEvent::ConnectionEstablished { .. } = swarm.select_next_some().await {
                return Self { swarm };
            }
        }
    }

    /// Put a record on the victim. `false` if the victim did not even answer.
    async fn put(&mut self, victim: &Node, key: &[u8], value: Vec<u8>) -> bool {
        let record = kad::Record::new(kad::RecordKey::new(&key), value);
        let to = [libp2p_id(victim.number)].into_iter();
        let put = self.swarm.behaviour_mut().put_record_to(record, to, kad::Quorum::One);
        loop {
            if let SwarmEvent::Behaviour(kad::Event::OutboundQueryProgressed { id, result, .. }) =
                self.swarm.select_next_some().await
                && id == put
            {
                return matches!(result, kad::QueryResult::PutRecord(Ok(_)));
            }
        }
    }
}

async fn refusal(victim: &mut Node, attacker: u32) -> Refusal {
    victim
        .wait(|event| match event {
            Event::RecordRefused { source, refusal } => {
                assert_eq!(source, libp2p_id(attacker));
                Some(refusal)
            }
            _ => None,
        })
        .await
}

#[tokio::test]
async fn forged_expired_oversized_and_misplaced_records_are_refused_on_the_wire() {
    let mut victim = Node::start(0, config()).await;
    let mut attacker = Attacker::connect(66, &victim).await;
    let keys = Subject::Content(content(1)).keys();
    let key = keys[0].0;
    let good = provider(66, content(1), NOW);
    let put = |record| bundle(&[ValidRecord::Provider(record)]).to_vec();

    // Forged: one flipped bit in the signature, which is at the end of its entry.
    let mut forged = put(good.clone());
    *forged.last_mut().unwrap() ^= 1;
    assert!(attacker.put(&victim, &key, forged).await);
    let got = refusal(&mut victim, 66).await;
    assert_eq!(got, Refusal::Record(RecordError::Wire(WireError::Signature)));
    assert!(got.is_peer_fault());

    // Expired.
    let then = UnixTime(NOW.0 - support::LIFE_S);
    assert!(attacker.put(&victim, &key, put(provider(66, content(1), then))).await);
    let got = refusal(&mut victim, 66).await;
    assert_eq!(got, Refusal::Record(RecordError::Expired { expires_at: NOW, now: NOW }));

    // From the future.
    let later = NOW.after_s(3_600);
    assert!(attacker.put(&victim, &key, put(provider(66, content(1), later))).await);
    let got = refusal(&mut victim, 66).await;
    assert_eq!(got, Refusal::Record(RecordError::NotYetValid { issued_at: later, now: NOW }));

    // Under the key of another content.
    assert!(attacker.put(&victim, &key, put(provider(66, content(2), NOW))).await);
    assert_eq!(refusal(&mut victim, 66).await, Refusal::Record(RecordError::WrongKey));

    // Under no key of ours.
    assert!(attacker.put(&victim, b"short", put(good.clone())).await);
    let got = refusal(&mut victim, 66).await;
    assert_eq!(got, Refusal::Record(RecordError::KeyLength { got: 5 }));

    // True, but somebody else's.
    assert!(attacker.put(&victim, &key, put(provider(5, content(1), NOW))).await);
    assert_eq!(refusal(&mut victim, 66).await, Refusal::NotItsSigner { signer: peer(5) });

    // Oversized: over the limit of a put, then over that of a packet.
    assert!(attacker.put(&victim, &key, vec![0; PUT_BYTES_MAX + 1]).await);
    assert_eq!(refusal(&mut victim, 66).await, Refusal::PutBytes { got: PUT_BYTES_MAX + 1 });
    assert!(!attacker.put(&victim, &key, vec![0; 200_000]).await);

    // Nothing of all that was kept; the good one is.
    assert_eq!(victim.call(|it| it.stored()).await.0, 0);
    assert!(attacker.put(&victim, &key, put(good)).await);
    assert_eq!(victim.call(|it| it.stored()).await.0, 1);
}

#[tokio::test]
async fn an_own_announcement_survives_a_spam_attack_on_the_wire() {
    let mut config = config();
    config.store.records_max = 64;
    let mut victim = Node::start(0, config).await;
    let mut attacker = Attacker::connect(66, &victim).await;
    for number in 0..640 {
        let key = Subject::Content(content(number)).keys()[0].0;
        let record = ValidRecord::Provider(provider(66, content(number), NOW));
        attacker.put(&victim, &key, bundle(&[record]).to_vec()).await;
    }
    assert_eq!(victim.call(|it| it.stored()).await.0, 64);
    let ours = victim.announce(1000, 4, NOW).await;

    // A third node that knows only the victim finds the announcement there.
    let mut reader = Node::start(1, self::config()).await;
    reader.add(&victim).await;
    assert_eq!(reader.find(ours).await, (BTreeSet::from([peer(0)]), true));
    drop(attacker);
}

#[tokio::test]
async fn a_false_answer_does_not_keep_a_lookup_from_the_true_ones() {
    let mut honest = Node::start(0, config()).await;
    let wanted = honest.announce(1000, 5, NOW).await;
    let mut reader = Node::start(1, config()).await;

    // The liar answers every key of the content with records it forged for it.
    let mut config = kad::Config::new(PROTOCOL);
    config.set_max_packet_size(1 << 20);
    let id = libp2p_id(66);
    let mut kad = kad::Behaviour::with_config(id, MemoryStore::new(id), config);
    kad.set_mode(Some(kad::Mode::Server));
    for key in Subject::Content(wanted).keys() {
        let mut forged = bundle(&[ValidRecord::Provider(provider(5, wanted, NOW))]).to_vec();
        *forged.last_mut().unwrap() ^= 1;
        let record = kad::Record::new(kad::RecordKey::new(&key.0), forged);
        kad::store::RecordStore::put(kad.store_mut(), record).unwrap();
    }
    let mut liar = swarm(66, kad);
    liar.listen_on("/memory/0".parse().unwrap()).unwrap();
    let address = loop {
        if let SwarmEvent::NewListenAddr { address, .. } = liar.select_next_some().await {
            break address;
        }
    };
    let task = tokio::spawn(async move {
        loop {
            liar.select_next_some().await;
        }
    });
    reader.call(move |it| it.add_peer(libp2p_id(66), address)).await.unwrap();
    reader.add(&honest).await;
    assert_eq!(reader.find(wanted).await, (BTreeSet::from([peer(0)]), true));
    task.abort();
}

/// Numbers of keys whose ids are closer to `target` than all `honest` ones: what an attacker
/// grinds to be all that a lookup of `target` meets.
fn ground_ids(target: DhtKey, honest: u32, count: usize, from: u32) -> Vec<u32> {
    let target = kad::KBucketKey::new(kad::RecordKey::new(&target.0));
    let distance = |number| target.distance(&kad::KBucketKey::from(libp2p_id(number)));
    let closest = (0..honest).map(distance).min().unwrap();
    (from..).filter(|number| distance(*number) < closest).take(count).collect()
}

/// Starts a node that takes part in routing, swallows every record and has none to give.
async fn start_swallower(number: u32) -> (libp2p::PeerId, Multiaddr) {
    let id = libp2p_id(number);
    let mut config = kad::Config::new(PROTOCOL);
    config.set_record_filtering(kad::StoreInserts::FilterBoth);
    let mut kad = kad::Behaviour::with_config(id, MemoryStore::new(id), config);
    kad.set_mode(Some(kad::Mode::Server));
    let mut swarm = swarm(number, kad);
    swarm.listen_on("/memory/0".parse().unwrap()).unwrap();
    let address = loop {
        if let SwarmEvent::NewListenAddr { address, .. } = swarm.select_next_some().await {
            break address;
        }
    };
    tokio::spawn(async move {
        loop {
            swarm.select_next_some().await;
        }
    });
    (id, address)
}

/// The attack that works in a large network fails in a small one, where a lookup with disjoint
/// paths asks nearly everybody. (In a large one only collateral and a second way to find peers
/// help: `spec/dht.md` §10.)
#[tokio::test]
async fn ids_ground_next_to_all_keys_of_a_content_hide_nothing_in_a_small_network() {
    const HONEST: u32 = 8;
    let mut nodes = acquainted(HONEST).await;
    let wanted = manifest(1000, 1).content_id();
    let mut from = 10_000;
    for key in Subject::Content(wanted).keys() {
        for number in ground_ids(key, HONEST, 20, from) {
            from = number + 1;
            let (id, address) = start_swallower(number).await;
            for node in &nodes {
                let address = address.clone();
                // Some are refused: the bucket is full. The attacker can't help that.
                let _ = node.call(move |it| it.add_peer(id, address)).await;
            }
        }
    }
    for node in &mut nodes[..4] {
        node.announce(1000, 1, NOW).await;
        node.announced().await;
    }
    assert_eq!(nodes[7].find(wanted).await, ((0..4).map(peer).collect(), true));
}

#[tokio::test]
async fn dead_peers_leave_the_routing_table_but_not_when_all_seem_dead() {
    let mut nodes = acquainted(6).await;
    for node in nodes.drain(4..) {
        node.task.abort();
    }
    assert_eq!(nodes[0].call(|it| it.known_peer_count()).await, 5);
    for number in 0..3 {
        nodes[0].find(content(number)).await;
    }
    assert_eq!(nodes[0].call(|it| it.known_peer_count()).await, 3);
    for node in nodes.drain(1..) {
        node.task.abort();
    }
    for number in 0..5 {
        nodes[0].find(content(number)).await;
    }
    assert_eq!(nodes[0].call(|it| it.known_peer_count()).await, 3);
}

#[tokio::test]
async fn calls_that_make_no_sense_are_refused_by_name() {
    let node = Node::start(0, config()).await;
    let film = manifest(1000, 6);
    let content_id = film.content_id();

    let (first, record) = (film.clone(), provider(9, content_id, NOW));
    let got = node.call(move |it| it.announce_content(first, record)).await;
    assert_eq!(got, Err(Error::NotOurs { got: peer(9) }));

    let (first, record) = (film.clone(), provider(0, content(1), NOW));
    let got = node.call(move |it| it.announce_content(first, record)).await;
    assert_eq!(got, Err(Error::OtherContent));

    let (first, record) = (film.clone(), provider(0, content_id, UnixTime(5)));
    let got = node.call(move |it| it.announce_content(first, record)).await;
    assert!(matches!(got, Err(Error::Record(RecordError::Expired { .. }))));

    for expected in [Ok(()), Err(Error::Stale { newest: NOW, got: NOW })] {
        let (first, record) = (film.clone(), provider(0, content_id, NOW));
        assert_eq!(node.call(move |it| it.announce_content(first, record)).await, expected);
    }

    assert_eq!(node.call(|it| it.bootstrap()).await, Err(Error::NoPeers));
    let address: Multiaddr = "/memory/1".parse().unwrap();
    let stranger = libp2p::PeerId::random();
    let got = node.call(move |it| it.add_peer(stranger, address)).await;
    assert_eq!(got, Err(pop_dht::RoutingRefusal::PeerId));

    // Lookups are bounded.
    let got = node
        .call(|it| (0..300).map(|n| it.find_content(content(n)).is_ok()).collect::<Vec<_>>())
        .await;
    assert_eq!(got.iter().filter(|ok| **ok).count(), pop_dht::limits::LOOKUPS_MAX);
}

#[tokio::test]
async fn a_record_half_through_its_life_asks_for_renewal_and_then_expires() {
    let mut node = Node::start(0, config()).await;
    let content = node.announce(1000, 7, NOW).await;
    let subject = Subject::Content(content);
    node.call(|it| it.sweep(NOW.after_s(support::LIFE_S / 2))).await;
    node.wait(|it| matches!(it, Event::RenewalDue { subject: s } if s == subject).then_some(()))
        .await;
    node.call(|it| it.sweep(NOW.after_s(support::LIFE_S))).await;
    let expired = |it| matches!(it, Event::AnnouncementExpired { subject: s } if s == subject);
    node.wait(|it| expired(it).then_some(())).await;
    assert!(!node.call(move |it| it.withdraw(subject)).await);
    assert_eq!(node.find(content).await, (BTreeSet::new(), false));
}

#[tokio::test]
async fn keys_that_nobody_put_anything_under_find_nothing() {
    let mut nodes = network(4).await;
    assert_eq!(nodes[1].find(content(9)).await, (BTreeSet::new(), false));
}
