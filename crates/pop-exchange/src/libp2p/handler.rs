use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use futures::io::{AsyncRead, AsyncWrite, IoSlice};
use libp2p::core::upgrade::ReadyUpgrade;
use libp2p::swarm::handler::{
    ConnectionEvent, DialUpgradeError, FullyNegotiatedInbound, FullyNegotiatedOutbound,
};
use libp2p::swarm::{
    ConnectionHandler, ConnectionHandlerEvent, Stream, StreamProtocol, StreamUpgradeError,
    SubstreamProtocol,
};

use super::{INBOUND_STREAMS_PER_CONNECTION_MAX, OpenError, OpenId};

/// A negotiated stream: a libp2p stream that counts as open until it is dropped.
#[derive(Debug)]
pub struct ExchangeStream {
    stream: Stream,
    /// Shared by all inbound streams of a connection, to count them.
    _open: Option<Arc<()>>,
}

impl AsyncRead for ExchangeStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for ExchangeStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(cx, parts)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_close(cx)
    }
}

/// What a connection tells the behaviour.
#[derive(Debug)]
pub enum HandlerEvent {
    /// A stream is open.
    Opened(OpenId, ExchangeStream),
    /// A stream could not be opened.
    OpenFailed(OpenId, OpenError),
    /// The peer opened a stream.
    Inbound(ExchangeStream),
    /// The peer opened one too many.
    InboundRefused,
}

/// Negotiates the streams of one connection.
#[derive(Debug)]
pub struct Handler {
    protocol: StreamProtocol,
    wanted: VecDeque<OpenId>,
    events: VecDeque<HandlerEvent>,
    inbound: Arc<()>,
    waker: Option<Waker>,
}

impl Handler {
    pub(super) fn new(protocol: StreamProtocol) -> Self {
        let (wanted, events) = (VecDeque::new(), VecDeque::new());
        Self { protocol, wanted, events, inbound: Arc::default(), waker: None }
    }

    fn push(&mut self, event: HandlerEvent) {
        self.events.push_back(event);
        self.wake();
    }

    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    fn inbound(&mut self, stream: Stream) {
        // Our own handle is one of the count.
        if Arc::strong_count(&self.inbound) > INBOUND_STREAMS_PER_CONNECTION_MAX {
            self.push(HandlerEvent::InboundRefused);
            return;
        }
        let open = Some(Arc::clone(&self.inbound));
        self.push(HandlerEvent::Inbound(ExchangeStream { stream, _open: open }));
    }
}

impl ConnectionHandler for Handler {
    type FromBehaviour = OpenId;
    type ToBehaviour = HandlerEvent;
    type InboundProtocol = ReadyUpgrade<StreamProtocol>;
    type OutboundProtocol = ReadyUpgrade<StreamProtocol>;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = OpenId;

    fn listen_protocol(&self) -> SubstreamProtocol<Self::InboundProtocol> {
        SubstreamProtocol::new(ReadyUpgrade::new(self.protocol.clone()), ())
    }

    fn on_behaviour_event(&mut self, id: OpenId) {
        self.wanted.push_back(id);
        self.wake();
    }

    fn on_connection_event(
        &mut self,
        event: ConnectionEvent<
            '_,
            Self::InboundProtocol,
            Self::OutboundProtocol,
            Self::InboundOpenInfo,
            Self::OutboundOpenInfo,
        >,
    ) {
        match event {
            ConnectionEvent::FullyNegotiatedInbound(FullyNegotiatedInbound {
                protocol: stream,
                ..
            }) => self.inbound(stream),
            ConnectionEvent::FullyNegotiatedOutbound(FullyNegotiatedOutbound {
                protocol: stream,
                info: id,
            }) => self.push(HandlerEvent::Opened(id, ExchangeStream { stream, _open: None })),
            ConnectionEvent::DialUpgradeError(DialUpgradeError { info: id, error }) => {
                let error = match error {
                    StreamUpgradeError::Timeout => OpenError::TimedOut,
                    StreamUpgradeError::NegotiationFailed => OpenError::Unsupported,
                    StreamUpgradeError::Io(error) => OpenError::Broken(error.to_string()),
                    StreamUpgradeError::Apply(never) => match never {},
                };
                self.push(HandlerEvent::OpenFailed(id, error));
            }
            _ => {}
        }
    }

    fn poll(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<ConnectionHandlerEvent<Self::OutboundProtocol, OpenId, HandlerEvent>> {
        if let Some(event) = self.events.pop_front() {
            return Poll::Ready(ConnectionHandlerEvent::NotifyBehaviour(event));
        }
        if let Some(id) = self.wanted.pop_front() {
            let protocol = SubstreamProtocol::new(ReadyUpgrade::new(self.protocol.clone()), id);
            return Poll::Ready(ConnectionHandlerEvent::OutboundSubstreamRequest { protocol });
        }
        self.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}
