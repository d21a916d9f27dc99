//! libp2p over TCP with Noise and Yamux, set up as `pop-node` does.

use std::time::Duration;

use futures::StreamExt as _;
use libp2p::swarm::SwarmEvent;
use libp2p::{Multiaddr, Swarm, SwarmBuilder, identity, multiaddr, noise, tcp, yamux};
use pop_exchange::libp2p::{Behaviour, Event, ExchangeStream};
use pop_wire::PeerId;

use crate::Error;

/// A swarm whose identity is made from `secret`.
pub fn swarm(secret: [u8; 32]) -> Result<Swarm<Behaviour>, Error> {
    let secret = identity::secp256k1::SecretKey::try_from_bytes(secret)?;
    let key: identity::Keypair = identity::secp256k1::Keypair::from(secret).into();
    let swarm = SwarmBuilder::with_existing_identity(key)
        .with_tokio()
        .with_tcp(tcp::Config::default().nodelay(true), noise::Config::new, yamux::Config::default)?
        .with_behaviour(|_| Behaviour::new())?
        .with_swarm_config(|config| config.with_idle_connection_timeout(Duration::from_secs(3600)))
        .build();
    Ok(swarm)
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
