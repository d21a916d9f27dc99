//! Exchange streams inside libp2p: a behaviour that negotiates `/pop/exchange/1` and hands the
//! streams out. Everything that happens on them is for [`link`](crate::link) and the machines.
//!
//! Every inbound stream is either handed out or refused with an event; none is lost because
//! nobody was looking. A stream that was handed out keeps its connection alive.

mod handler;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::task::{Context, Poll};

use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::swarm::behaviour::{ConnectionClosed, ConnectionEstablished, DialFailure, FromSwarm};
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::swarm::{
    ConnectionDenied, ConnectionId, DialError, NetworkBehaviour, NotifyHandler, THandler,
    THandlerInEvent, THandlerOutEvent, ToSwarm,
};
use libp2p::{Multiaddr, PeerId, StreamProtocol};

use self::handler::{Handler, HandlerEvent};

pub use self::handler::ExchangeStream;

/// Name under which exchange streams are negotiated.
pub const PROTOCOL: StreamProtocol = StreamProtocol::new("/pop/exchange/1");

/// Inbound streams that one connection may have at once (`spec/exchange.md` §5).
pub const INBOUND_STREAMS_PER_CONNECTION_MAX: usize = 64;

/// Number of an attempt to open a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OpenId(u64);

/// What comes out of the behaviour.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// A stream that was asked for.
    Opened {
        /// By which attempt.
        id: OpenId,
        /// To whom.
        peer: PeerId,
        /// The stream.
        stream: ExchangeStream,
    },
    /// A stream could not be opened.
    OpenFailed {
        /// By which attempt.
        id: OpenId,
        /// To whom.
        peer: PeerId,
        /// Why.
        error: OpenError,
    },
    /// A peer opened a stream.
    Inbound {
        /// Who.
        peer: PeerId,
        /// The stream.
        stream: ExchangeStream,
    },
    /// A peer opened more streams than a connection may have; the last one was closed.
    InboundRefused {
        /// Who.
        peer: PeerId,
        /// The limit.
        max: usize,
    },
}

/// Why a stream could not be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// There is no connection, and none could be made.
    #[error("no connection: {0}")]
    Dial(String),
    /// The connection went down before the stream was open.
    #[error("the connection went down")]
    Disconnected,
    /// The peer doesn't speak the protocol.
    #[error("expected a peer that speaks the protocol")]
    Unsupported,
    /// The peer didn't answer in time.
    #[error("expected an answer to the negotiation in time")]
    TimedOut,
    /// The stream broke while it was negotiated.
    #[error("the stream broke: {0}")]
    Broken(String),
}

/// Opens and accepts exchange streams.
///
/// ```
/// use pop_exchange::libp2p::Behaviour;
/// let mut behaviour = Behaviour::new();
/// let peer = libp2p::PeerId::random();
/// let id = behaviour.open(peer, ["/ip4/127.0.0.1/tcp/4001".parse()?]);
/// // In the swarm's events: `Event::Opened { id, .. }` or `Event::OpenFailed { id, .. }`.
/// # let _ = id;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Behaviour {
    protocol: StreamProtocol,
    connections: BTreeMap<PeerId, BTreeSet<ConnectionId>>,
    dials: BTreeMap<PeerId, Dialing>,
    /// Attempts that a connection works on.
    opening: BTreeMap<OpenId, (PeerId, ConnectionId)>,
    next_id: u64,
    actions: VecDeque<ToSwarm<Event, OpenId>>,
}

#[derive(Debug)]
struct Dialing {
    /// Attempts to connect that are under way.
    attempts: BTreeSet<ConnectionId>,
    /// What waits for the first that succeeds.
    waiting: Vec<OpenId>,
}

impl Behaviour {
    /// A behaviour without streams.
    pub fn new() -> Self {
        Self::speaking(PROTOCOL)
    }

    /// The same for streams of another protocol, which are opened, counted and handed out alike.
    pub fn speaking(protocol: StreamProtocol) -> Self {
        Self {
            protocol,
            connections: BTreeMap::new(),
            dials: BTreeMap::new(),
            opening: BTreeMap::new(),
            next_id: 0,
            actions: VecDeque::new(),
        }
    }

    /// Open a stream to `peer`, over a connection that is up, or else by dialling `addresses` and
    /// those that other behaviours know. Ends in exactly one [`Event::Opened`] or
    /// [`Event::OpenFailed`].
    pub fn open(&mut self, peer: PeerId, addresses: impl IntoIterator<Item = Multiaddr>) -> OpenId {
        self.next_id += 1;
        let id = OpenId(self.next_id);
        if let Some(connection) = self.connection_to(&peer) {
            self.start(id, peer, connection);
            return id;
        }
        let addresses: Vec<Multiaddr> = addresses.into_iter().collect();
        let known = self.dials.contains_key(&peer);
        let dialing = self
            .dials
            .entry(peer)
            .or_insert_with(|| Dialing { attempts: BTreeSet::new(), waiting: Vec::new() });
        dialing.waiting.push(id);
        // A dial under way doesn't know addresses that came later.
        if !known || !addresses.is_empty() {
            let opts = DialOpts::peer_id(peer)
                .condition(PeerCondition::Disconnected)
                .addresses(addresses)
                .extend_addresses_through_behaviour()
                .build();
            dialing.attempts.insert(opts.connection_id());
            self.actions.push_back(ToSwarm::Dial { opts });
        }
        id
    }

    /// Whether there is a connection to `peer`.
    pub fn is_connected(&self, peer: &PeerId) -> bool {
        self.connections.contains_key(peer)
    }

    fn connection_to(&self, peer: &PeerId) -> Option<ConnectionId> {
        self.connections.get(peer)?.first().copied()
    }

    fn start(&mut self, id: OpenId, peer: PeerId, connection: ConnectionId) {
        self.opening.insert(id, (peer, connection));
        let handler = NotifyHandler::One(connection);
        self.actions.push_back(ToSwarm::NotifyHandler { peer_id: peer, handler, event: id });
    }

    fn emit(&mut self, event: Event) {
        self.actions.push_back(ToSwarm::GenerateEvent(event));
    }

    fn connected(&mut self, peer: PeerId, connection: ConnectionId) {
        self.connections.entry(peer).or_default().insert(connection);
        let waiting = self.dials.remove(&peer).map(|dialing| dialing.waiting);
        for id in waiting.unwrap_or_default() {
            self.start(id, peer, connection);
        }
    }

    fn closed(&mut self, peer: PeerId, connection: ConnectionId) {
        if let Some(connections) = self.connections.get_mut(&peer) {
            connections.remove(&connection);
            if connections.is_empty() {
                self.connections.remove(&peer);
            }
        }
        let there =
            |(id, (_, at)): (&OpenId, &(PeerId, ConnectionId))| (*at == connection).then_some(*id);
        let lost: Vec<OpenId> = self.opening.iter().filter_map(there).collect();
        for id in lost {
            self.opening.remove(&id);
            match self.connection_to(&peer) {
                Some(other) => self.start(id, peer, other),
                None => self.emit(Event::OpenFailed { id, peer, error: OpenError::Disconnected }),
            }
        }
    }

    fn dial_failed(&mut self, peer: PeerId, attempt: ConnectionId, error: &DialError) {
        let Some(dialing) = self.dials.get_mut(&peer) else { return };
        if !dialing.attempts.remove(&attempt) || !dialing.attempts.is_empty() {
            return;
        }
        let waiting = self.dials.remove(&peer).map(|dialing| dialing.waiting);
        for id in waiting.unwrap_or_default() {
            let error = OpenError::Dial(error.to_string());
            self.emit(Event::OpenFailed { id, peer, error });
        }
    }
}

impl Default for Behaviour {
    fn default() -> Self {
        Self::new()
    }
}

impl NetworkBehaviour for Behaviour {
    type ConnectionHandler = Handler;
    type ToSwarm = Event;

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(Handler::new(self.protocol.clone()))
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(Handler::new(self.protocol.clone()))
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        match event {
            FromSwarm::ConnectionEstablished(ConnectionEstablished {
                peer_id,
                connection_id,
                ..
            }) => self.connected(peer_id, connection_id),
            FromSwarm::ConnectionClosed(ConnectionClosed { peer_id, connection_id, .. }) => {
                self.closed(peer_id, connection_id);
            }
            FromSwarm::DialFailure(DialFailure { peer_id: Some(peer), error, connection_id }) => {
                self.dial_failed(peer, connection_id, error);
            }
            _ => {}
        }
    }

    fn on_connection_handler_event(
        &mut self,
        peer: PeerId,
        _: ConnectionId,
        event: THandlerOutEvent<Self>,
    ) {
        match event {
            HandlerEvent::Opened(id, stream) => {
                self.opening.remove(&id);
                self.emit(Event::Opened { id, peer, stream });
            }
            HandlerEvent::OpenFailed(id, error) => {
                self.opening.remove(&id);
                self.emit(Event::OpenFailed { id, peer, error });
            }
            HandlerEvent::Inbound(stream) => self.emit(Event::Inbound { peer, stream }),
            HandlerEvent::InboundRefused => {
                let max = INBOUND_STREAMS_PER_CONNECTION_MAX;
                self.emit(Event::InboundRefused { peer, max });
            }
        }
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Event, THandlerInEvent<Self>>> {
        // The swarm polls again after every call that could have added an action: `open` needs
        // it mutably, and all others come from itself.
        self.actions.pop_front().map_or(Poll::Pending, Poll::Ready)
    }
}
