//! Swarms over TCP, set up as libp2p comes or as `pop-node` does.

use std::time::Duration;

use futures::StreamExt as _;
use libp2p::swarm::SwarmEvent;
use libp2p::{Multiaddr, Swarm, SwarmBuilder, identity, multiaddr, noise, tcp, yamux};
use pop_exchange::libp2p::{Behaviour, Event, ExchangeStream};
use pop_node::{muxer, tls};
use pop_wire::PeerId;

use crate::Error;

/// What is spoken on a TCP connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stack {
    /// Noise and Yamux, as libp2p comes.
    Stock,
    /// TLS with the processor's cipher, and Yamux with large frames, as `pop-node` does.
    Pop,
}

/// A swarm whose identity is made from `secret`.
pub fn swarm(secret: [u8; 32], stack: Stack) -> Result<Swarm<Behaviour>, Error> {
    let secret = identity::secp256k1::SecretKey::try_from_bytes(secret)?;
    let key: identity::Keypair = identity::secp256k1::Keypair::from(secret).into();
    let builder = SwarmBuilder::with_existing_identity(key).with_tokio();
    let tcp = tcp::Config::default().nodelay(true);
    let idle = |config: libp2p::swarm::Config| {
        config.with_idle_connection_timeout(Duration::from_secs(3600))
    };
    Ok(match stack {
        Stack::Stock => builder
            .with_tcp(tcp, noise::Config::new, yamux::Config::default)?
            .with_behaviour(|_| Behaviour::new())?
            .with_swarm_config(idle)
            .build(),
        Stack::Pop => builder
            .with_tcp(tcp, tls::Config::new, muxer::Config::default)?
            .with_behaviour(|_| Behaviour::new())?
            .with_swarm_config(idle)
            .build(),
    })
}

/// Listen on a free loopback port; the address, with the peer id.
pub async fn listen(swarm: &mut Swarm<Behaviour>) -> Result<Multiaddr, Error> {
    swarm.listen_on("/ip4/127.0.0.1/tcp/0".parse()?)?;
    loop {
        if let SwarmEvent::NewListenAddr { address, .. } = swarm.select_next_some().await {
            return Ok(address.with(multiaddr::Protocol::P2p(*swarm.local_peer_id())));
        }
    }
}

/// Open a stream to `address`, which ends in a peer id.
pub async fn open(
    swarm: &mut Swarm<Behaviour>,
    address: &Multiaddr,
) -> Result<(PeerId, ExchangeStream), Error> {
    let mut bare = address.clone();
    let Some(multiaddr::Protocol::P2p(peer)) = bare.pop() else {
        return Err(format!("{address}: expected an address with a peer id").into());
    };
    swarm.behaviour_mut().open(peer, [bare]);
    loop {
        match swarm.select_next_some().await {
            SwarmEvent::Behaviour(Event::Opened { stream, .. }) => {
                return Ok((PeerId::from_libp2p_bytes(&peer.to_bytes())?, stream));
            }
            SwarmEvent::Behaviour(Event::OpenFailed { error, .. }) => return Err(error.into()),
            _ => {}
        }
    }
}

/// Keep a swarm running in a task of its own.
pub fn spawn(mut swarm: Swarm<Behaviour>) -> tokio::task::JoinHandle<()> {
    tokio::spawn(async move {
        loop {
            swarm.select_next_some().await;
        }
    })
}

/// The next stream that a peer opens.
pub async fn accept(swarm: &mut Swarm<Behaviour>) -> Result<(PeerId, ExchangeStream), Error> {
    loop {
        if let SwarmEvent::Behaviour(Event::Inbound { peer, stream }) =
            swarm.select_next_some().await
        {
            return Ok((PeerId::from_libp2p_bytes(&peer.to_bytes())?, stream));
        }
    }
}
