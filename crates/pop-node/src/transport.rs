//! The libp2p swarm: TCP with Noise and Yamux, QUIC, and the behaviours of one POP node.

use std::time::Duration;

use libp2p::swarm::NetworkBehaviour;
use libp2p::tcp;
use libp2p::{Multiaddr, Swarm, SwarmBuilder, connection_limits, identify, identity, noise, ping};
use pop_wire::{Keypair, PeerId};

use crate::clock;
use crate::error::NodeError;
use crate::settings::Settings;
use crate::{ledger, muxer, tls};

/// Version of POP's set of protocols, told in identify.
const IDENTIFY_PROTOCOL: &str = "/pop/1";

/// Inbound connections that have not proven an identity yet.
const PENDING_INCOMING_MAX: u32 = 128;

/// Connections with one peer: a few, for TCP beside QUIC and dials that cross.
const CONNECTIONS_PER_PEER_MAX: u32 = 8;

/// A connection on which nothing happens is closed after this long.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// What runs on every connection.
#[derive(NetworkBehaviour)]
pub(crate) struct Behaviours {
    limits: connection_limits::Behaviour,
    identify: identify::Behaviour,
    ping: ping::Behaviour,
    pub(crate) dht: pop_dht::Behaviour,
    pub(crate) exchange: pop_exchange::libp2p::Behaviour,
    pub(crate) relays: pop_exchange::libp2p::Behaviour,
    pub(crate) ledger: ledger::Behaviour,
}

/// Whether a node serves, or only asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Keeps columns, answers the DHT, can be dialled.
    Masternode,
    /// Publishes, fetches and repairs; listens nowhere.
    Client,
}

/// Build the swarm of a node.
pub(crate) fn build(
    keypair: &Keypair,
    role: Role,
    settings: &Settings,
    serves_ledger: bool,
) -> Result<Swarm<Behaviours>, NodeError> {
    let dht = dht_behaviour(keypair.peer_id(), role, settings)?;
    let limits = connection_limits::ConnectionLimits::default()
        .with_max_pending_incoming(Some(PENDING_INCOMING_MAX))
        .with_max_established_per_peer(Some(CONNECTIONS_PER_PEER_MAX))
        .with_max_established(Some(settings.links_max.saturating_mul(2)));
    let swarm = SwarmBuilder::with_existing_identity(to_libp2p_keypair(keypair))
        .with_tokio()
        .with_tcp(
            tcp::Config::default().nodelay(true),
            (tls::Config::new, noise::Config::new),
            muxer::Config::default,
        )
        .map_err(|error| listen_error("tcp", &error))?
        .with_quic()
        .with_behaviour(|key| {
            let identify = identify::Config::new(IDENTIFY_PROTOCOL.to_owned(), key.public())
                .with_agent_version(agent());
            Behaviours {
                limits: connection_limits::Behaviour::new(limits),
                identify: identify::Behaviour::new(identify),
                ping: ping::Behaviour::default(),
                dht,
                exchange: pop_exchange::libp2p::Behaviour::default(),
                relays: pop_signal::libp2p::behaviour(),
                ledger: ledger::behaviour(serves_ledger),
            }
        })
        .map_err(|error| listen_error("behaviour", &error))?
        .with_swarm_config(|config| config.with_idle_connection_timeout(IDLE_TIMEOUT))
        .build();
    Ok(swarm)
}

fn dht_behaviour(
    peer: PeerId,
    role: Role,
    settings: &Settings,
) -> Result<pop_dht::Behaviour, NodeError> {
    let mut config = pop_dht::Config::default();
    config.server = role == Role::Masternode;
    config.diversity.loopback_exempt = settings.diversity_exempt_loopback;
    config.seed = clock::random_bytes().map_err(crate::disk::StoreError::from)?;
    Ok(pop_dht::Behaviour::new(peer, clock::unix_now(), config))
}

/// Name and version of this program, as it introduces itself.
pub(crate) fn agent() -> String {
    concat!("pop-node/", env!("CARGO_PKG_VERSION")).to_owned()
}

/// The id by which libp2p knows a peer.
pub(crate) fn to_libp2p(peer: &PeerId) -> libp2p::PeerId {
    libp2p::PeerId::from_bytes(&peer.to_libp2p_bytes())
        .expect("an identity multihash of a key is a peer id")
}

/// The peer behind a libp2p id; `None` for a peer of another network with another kind of key.
pub(crate) fn from_libp2p(peer: &libp2p::PeerId) -> Option<PeerId> {
    PeerId::from_libp2p_bytes(&peer.to_bytes()).ok()
}

/// Split `/…/p2p/<peer id>` into peer and address; `None` if there is no peer id in it.
pub(crate) fn split_peer(address: &Multiaddr) -> Option<(PeerId, Multiaddr)> {
    let mut bare = address.clone();
    match bare.pop()? {
        libp2p::multiaddr::Protocol::P2p(peer) => Some((from_libp2p(&peer)?, bare)),
        _ => None,
    }
}

fn to_libp2p_keypair(keypair: &Keypair) -> identity::Keypair {
    let mut secret = keypair.secret_bytes();
    let secret = identity::secp256k1::SecretKey::try_from_bytes(&mut secret[..])
        .expect("the same curve takes the same scalar");
    identity::secp256k1::Keypair::from(secret).into()
}

fn listen_error(what: &str, error: &dyn std::fmt::Display) -> NodeError {
    NodeError::Listen { address: what.to_owned(), reason: error.to_string() }
}
