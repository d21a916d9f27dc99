//! A peer made of the public crates and nothing else: it opens exchange streams to nodes and says
//! on them whatever a test wants said.

use futures::StreamExt as _;
use libp2p::swarm::SwarmEvent;
use libp2p::{Multiaddr, Swarm, SwarmBuilder, identity, noise, tcp, yamux};
use pop_exchange::libp2p::{Behaviour, Event, ExchangeStream};
use pop_wire::message::Hello;
use pop_wire::{Keypair, Message, VersionRange};
use tokio::sync::{mpsc, oneshot};

use super::HANG;

type Opening = (libp2p::PeerId, Multiaddr, oneshot::Sender<ExchangeStream>);

/// A peer that only opens streams.
pub(crate) struct Stranger {
    openings: mpsc::Sender<Opening>,
}

impl Stranger {
    pub(crate) fn new() -> Self {
        let identity = identity::Keypair::generate_secp256k1();
        let swarm = build(identity, |_| Behaviour::new());
        let (openings, queue) = mpsc::channel(1);
        tokio::spawn(drive(swarm, queue));
        Self { openings }
    }

    /// Open an exchange stream to `address`, which ends in `/p2p/<peer id>`.
    pub(crate) async fn open(&self, address: &str) -> ExchangeStream {
        let (peer, bare) = split(address);
        let (reply, stream) = oneshot::channel();
        self.openings.send((peer, bare, reply)).await.unwrap();
        tokio::time::timeout(HANG, stream).await.unwrap().unwrap()
    }
}

/// A swarm over TCP as nodes speak it.
pub(crate) fn build<B: libp2p::swarm::NetworkBehaviour>(
    identity: identity::Keypair,
    behaviour: impl FnOnce(&identity::Keypair) -> B,
) -> Swarm<B> {
    SwarmBuilder::with_existing_identity(identity)
        .with_tokio()
        .with_tcp(tcp::Config::default(), noise::Config::new, yamux::Config::default)
        .unwrap()
        .with_behaviour(behaviour)
        .unwrap_or_else(|_| unreachable!("building it can't fail"))
        .with_swarm_config(|config| config.with_idle_connection_timeout(HANG))
        .build()
}

/// The libp2p form of a keypair.
pub(crate) fn identity(keypair: &Keypair) -> identity::Keypair {
    let mut secret = keypair.secret_bytes();
    let secret = identity::secp256k1::SecretKey::try_from_bytes(&mut secret[..]).unwrap();
    identity::secp256k1::Keypair::from(secret).into()
}

/// `/…/p2p/<peer id>` as peer and address.
pub(crate) fn split(address: &str) -> (libp2p::PeerId, Multiaddr) {
    let mut bare: Multiaddr = address.parse().unwrap();
    match bare.pop() {
        Some(libp2p::multiaddr::Protocol::P2p(peer)) => (peer, bare),
        other => panic!("{address} ends in {other:?}"),
    }
}

/// A hello without a record, for who is no masternode.
pub(crate) fn hello() -> Message {
    Message::Hello(Hello {
        versions: VersionRange::SUPPORTED,
        credit_bytes: 0,
        agent: "stranger".to_owned(),
        masternode: None,
    })
}

async fn drive(mut swarm: Swarm<Behaviour>, mut queue: mpsc::Receiver<Opening>) {
    let mut waiting = Vec::new();
    loop {
        tokio::select! {
            opening = queue.recv() => {
                let Some((peer, address, reply)) = opening else { return };
                let id = swarm.behaviour_mut().open(peer, [address]);
                waiting.push((id, reply));
            }
            event = swarm.select_next_some() => match event {
                SwarmEvent::Behaviour(Event::Opened { id, stream, .. }) => {
                    let at = waiting.iter().position(|(waiting, _)| *waiting == id).unwrap();
                    let _test_over = waiting.swap_remove(at).1.send(stream);
                }
                SwarmEvent::Behaviour(Event::OpenFailed { error, .. }) => panic!("{error}"),
                _ => {}
            }
        }
    }
}
