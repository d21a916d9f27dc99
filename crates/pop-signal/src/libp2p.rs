//! Streams of relay frames inside libp2p: how masternodes hand over to each other, and how a
//! program that speaks libp2p reaches a relay without a WebSocket.
//!
//! The behaviour only negotiates [`PROTOCOL`] and hands the streams out; who is at the other end,
//! the connection says. [`stream::MessageReader`](crate::stream::MessageReader) reads what comes, and
//! [`RelayMessage::encode_frame`](crate::RelayMessage::encode_frame) makes what goes; the machines do the rest.
//!
//! ```
//! let mut behaviour = pop_signal::libp2p::behaviour();
//! let relay = libp2p::PeerId::random();
//! let id = behaviour.open(relay, ["/ip4/127.0.0.1/tcp/4001".parse()?]);
//! // In the swarm's events: `Event::Opened { id, .. }`, `Event::OpenFailed { id, .. }`, and
//! // `Event::Inbound { .. }` for what others open.
//! # let _ = id;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use libp2p::StreamProtocol;

pub use pop_exchange::libp2p::{
    Behaviour, Event, ExchangeStream as SignalStream, INBOUND_STREAMS_PER_CONNECTION_MAX,
    OpenError, OpenId,
};

/// Name under which the streams are negotiated (`spec/signal.md` §6.1).
pub const PROTOCOL: StreamProtocol = StreamProtocol::new(crate::PROTOCOL);

/// A behaviour that opens and accepts streams of relay frames.
pub fn behaviour() -> Behaviour {
    Behaviour::speaking(PROTOCOL)
}
