//! Where a link goes once its other end has proven who it is.

use std::net::SocketAddr;
use std::sync::Arc;

use futures::{AsyncRead, AsyncWrite};
use libp2p::Multiaddr;
use libp2p::multiaddr::Protocol;
use pop_wire::{Keypair, PeerId};

use super::ledger::LedgerCounter;
use super::relay::RelayDesk;
use crate::clock::Clock;
use crate::ledger::LedgerService;
use crate::serve::{Server, Stream};

/// What a link is for. Each is a path of the WebSocket endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Service {
    /// Messages of `spec/exchange.md`; the peer asks.
    Exchange,
    /// Frames of `spec/signal.md` §6; the peer is a client of our relay.
    Signal,
    /// Requests of `spec/incentive.md` §12.
    Ledger,
}

impl Service {
    /// The path, which is also the name under which libp2p peers negotiate it.
    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Exchange => "/pop/exchange/1",
            Self::Signal => "/pop/signal/1",
            Self::Ledger => "/pop/ledger/1",
        }
    }
}

/// Somebody who has proven who it is, on a link for one service.
pub(super) struct Guest {
    pub(super) peer: PeerId,
    pub(super) remote: SocketAddr,
    pub(super) service: Service,
}

/// The services that this node has for browsers.
#[derive(Debug, Clone)]
pub(super) struct Reception {
    pub(super) keypair: Arc<Keypair>,
    pub(super) clock: Clock,
    server: Server,
    relay: RelayDesk,
    /// None on a node that doesn't serve the ledger.
    ledger: Option<Arc<LedgerCounter>>,
}

impl Reception {
    pub(super) fn new(
        keypair: &Keypair,
        server: Server,
        (relay, ledger): (RelayDesk, Option<LedgerService>),
    ) -> Self {
        let (keypair, clock) = (Arc::new(keypair.clone()), Clock::start());
        let ledger = ledger.map(|service| Arc::new(LedgerCounter::new(service, clock)));
        Self { keypair, clock, server, relay, ledger }
    }

    /// What may be asked for.
    pub(super) fn services(&self) -> Vec<Service> {
        let ledger = self.ledger.is_some().then_some(Service::Ledger);
        [Service::Exchange, Service::Signal].into_iter().chain(ledger).collect()
    }

    /// Have `guest` served on `stream`: until the link's end, or until somebody else has it.
    pub(super) async fn receive(
        &self,
        guest: Guest,
        mut stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    ) {
        let Guest { peer, remote, service } = guest;
        tracing::debug!(%peer, %remote, ?service, "a browser's link");
        match (service, &self.ledger) {
            (Service::Exchange, _) => {
                let from = (peer, Some(address_of(remote)));
                self.server.serve(from, Stream::Web(Box::new(stream))).await;
            }
            (Service::Signal, _) => self.relay.take_client(remote.ip(), stream).await,
            (Service::Ledger, Some(ledger)) => ledger.serve(peer, remote.ip(), &mut stream).await,
            (Service::Ledger, None) => {}
        }
    }
}

/// Where a guest is, for those who count by address.
fn address_of(remote: SocketAddr) -> Multiaddr {
    Multiaddr::from(remote.ip()).with(Protocol::Tcp(remote.port()))
}
