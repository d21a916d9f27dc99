//! The node's endpoints for browsers (`spec/exchange.md` §2.1, §2.2): WebSockets and WebRTC on a
//! port of their own.
//!
//! ```text
//!  TCP --> admission --> upgrade, path --------. handshake --> reception --+--> Server (exchange)
//!          per prefix    WebSocket             +-> who is it?              `--> LedgerService
//!  UDP --> admission --> ICE-lite, DTLS, SCTP -'
//!                        a channel
//! ```
//!
//! Everything here costs a stranger more than us: bounded links, bounded time to say who it is,
//! bounded messages, and no state for those that are turned away.

mod address;
mod admission;
mod entries;
mod figures;
mod ledger;
mod limits;
mod lookups;
mod proof;
mod reception;
mod relay;
mod rtc;
mod socket;
mod stream;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use libp2p::Multiaddr;
use libp2p::multiaddr::Protocol;
use pop_signal::handshake::ChannelBinding;
use tokio::net::{TcpListener, TcpStream};

pub(crate) use self::address::{ip_of, is_for_browsers};
pub(crate) use self::entries::Entries;
pub(crate) use self::figures::RelayFigures;
pub(crate) use self::lookups::Lookups;
pub(crate) use self::relay::RelayDesk;

use self::admission::{Admission, Admitted};
use self::limits::ACCEPT_RETRY;
use self::reception::{Guest, Reception};
use self::rtc::RtcListener;
use crate::error::NodeError;
use crate::ledger::LedgerService;
use crate::node::Inner;
use crate::serve::Server;

/// The bound endpoint, before it takes anybody.
#[derive(Debug)]
pub(crate) struct WebListener {
    sockets: TcpListener,
    rtc: RtcListener,
    bound: SocketAddr,
}

/// Where browsers reach the node.
#[derive(Debug, Clone)]
pub(crate) struct WebPlace {
    bound: SocketAddr,
    certhash: Protocol<'static>,
}

impl WebPlace {
    /// The addresses to announce, on a node that listens for peers at `listening`.
    pub(crate) fn addresses(&self, listening: &[Multiaddr]) -> Vec<Multiaddr> {
        address::announced(self.bound, &self.certhash, listening)
    }
}

impl WebListener {
    /// Bind to `address`, both TCP and UDP; what lasts is in `data_dir`.
    pub(crate) async fn bind(address: SocketAddr, data_dir: &Path) -> Result<Self, NodeError> {
        let failed = |error: std::io::Error| NodeError::Listen {
            address: address.to_string(),
            reason: error.to_string(),
        };
        let sockets = TcpListener::bind(address).await.map_err(failed)?;
        let bound = sockets.local_addr().map_err(failed)?;
        let rtc = RtcListener::bind(bound, data_dir).await?;
        Ok(Self { sockets, rtc, bound })
    }

    /// Where it is bound.
    pub(crate) fn place(&self) -> WebPlace {
        WebPlace { bound: self.bound, certhash: self.rtc.certhash() }
    }

    /// Take browsers until the node stops.
    pub(crate) fn start(
        self,
        inner: &Arc<Inner>,
        server: Server,
        rest: (RelayDesk, Option<LedgerService>),
    ) {
        let reception = Reception::new(&inner.keypair, server, rest);
        let door = Admission::default();
        self.rtc.start(inner, door.clone(), reception.clone());
        let accepting = accept(Arc::clone(inner), self.sockets, door, reception);
        inner.spawn(accepting);
    }
}

async fn accept(inner: Arc<Inner>, sockets: TcpListener, door: Admission, reception: Reception) {
    loop {
        let (connection, remote) = match sockets.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::debug!(%error, "cannot accept a browser's connection");
                tokio::time::sleep(ACCEPT_RETRY).await;
                continue;
            }
        };
        // spec/exchange.md §2.1: a link over a limit MUST be closed before anything is read of it.
        match door.admit(remote.ip()) {
            Some(admitted) => {
                inner.spawn(welcome(connection, remote, admitted, reception.clone()));
            }
            None => tracing::debug!(%remote, "no room for a browser's link"),
        }
    }
}

/// Upgrade, handshake, and off to the service.
async fn welcome(
    connection: TcpStream,
    remote: SocketAddr,
    admitted: Admitted,
    reception: Reception,
) {
    let services = reception.services();
    let upgraded = socket::accept(connection, remote, admitted, &services).await;
    let (service, mut stream) = match upgraded {
        Ok(upgraded) => upgraded,
        Err(error) => {
            tracing::debug!(%remote, %error, "no WebSocket");
            return;
        }
    };
    let (keypair, clock) = (&reception.keypair, reception.clock);
    match proof::listen(&mut stream, keypair, ChannelBinding::none(), clock).await {
        Ok(peer) => {
            stream.introduce();
            reception.receive(Guest { peer, remote, service }, stream).await;
        }
        Err(error) => tracing::debug!(%remote, %error, "a browser did not prove who it is"),
    }
}
