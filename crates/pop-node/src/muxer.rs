//! Yamux with frames that suit an exchange's writes.
//!
//! The protocol on the wire is `/yamux/1.0.0`; `libp2p::yamux` speaks it as well, but cuts what is
//! written into frames of 16 KiB, and gives each a system call of its own. This muxer sends four
//! times as much at once, and lets one connection take far less memory.
//!
//! Source: the Yamux specification, `hashicorp/yamux/spec.md`.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::iter;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use futures::io::{AsyncRead, AsyncWrite};
use libp2p::core::muxing::{StreamMuxer, StreamMuxerEvent};
use libp2p::core::upgrade::{InboundConnectionUpgrade, OutboundConnectionUpgrade, UpgradeInfo};
use yamux::{Connection, ConnectionError, Mode, Stream};

/// The protocol's name in the negotiation of a connection.
const PROTOCOL: &str = "/yamux/1.0.0";

/// Streams of one connection, both sides' together: the exchange's at most 32 and as many for
/// lookups and housekeeping.
pub const STREAMS_MAX: usize = 64;

/// Bytes of one connection that wait to be read, over all of its streams: twice the 256 KiB that
/// the specification grants every stream.
pub const RECEIVE_WINDOW_BYTES_MAX: usize = STREAMS_MAX * 2 * 256 * 1024;

/// Body of one frame that we send: two shards of the usual size. A receiver takes up to 1 MiB. Of a
/// stream that nobody reads ten of them are held at most, which is what keeps this from growing.
pub const FRAME_BYTES_MAX: usize = 64 * 1024;

/// Streams that a peer opened and nobody has taken yet; more are reset.
const BACKLOG_MAX: usize = STREAMS_MAX;

/// The multiplexer upgrade of a TCP connection; give [`Config::default`] to
/// [`with_tcp`](libp2p::SwarmBuilder) in place of `libp2p::yamux::Config::default`.
#[derive(Debug, Clone)]
pub struct Config(yamux::Config);

impl Default for Config {
    fn default() -> Self {
        let mut config = yamux::Config::default();
        config.set_max_num_streams(STREAMS_MAX);
        config.set_max_connection_receive_window(Some(RECEIVE_WINDOW_BYTES_MAX));
        config.set_split_send_size(FRAME_BYTES_MAX);
        Self(config)
    }
}

impl UpgradeInfo for Config {
    type Info = &'static str;
    type InfoIter = iter::Once<Self::Info>;

    fn protocol_info(&self) -> Self::InfoIter {
        iter::once(PROTOCOL)
    }
}

impl<C: AsyncRead + AsyncWrite + Unpin> InboundConnectionUpgrade<C> for Config {
    type Output = Muxer<C>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Output, Self::Error>>;

    fn upgrade_inbound(self, socket: C, _: Self::Info) -> Self::Future {
        ready(Ok(Muxer::new(Connection::new(socket, self.0, Mode::Server))))
    }
}

impl<C: AsyncRead + AsyncWrite + Unpin> OutboundConnectionUpgrade<C> for Config {
    type Output = Muxer<C>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Output, Self::Error>>;

    fn upgrade_outbound(self, socket: C, _: Self::Info) -> Self::Future {
        ready(Ok(Muxer::new(Connection::new(socket, self.0, Mode::Client))))
    }
}

/// One connection and its streams.
#[derive(Debug)]
pub struct Muxer<C> {
    connection: Connection<C>,
    /// Opened by the peer while the connection was driven for another reason.
    backlog: VecDeque<Stream>,
    /// Who waits for the peer to open a stream.
    acceptor: Option<Waker>,
}

impl<C: AsyncRead + AsyncWrite + Unpin> Muxer<C> {
    fn new(connection: Connection<C>) -> Self {
        Self { connection, backlog: VecDeque::new(), acceptor: None }
    }

    /// Drive the connection until the peer opens a stream.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Stream, ConnectionError>> {
        match std::task::ready!(self.connection.poll_next_inbound(cx)) {
            Some(stream) => Poll::Ready(stream),
            None => Poll::Ready(Err(ConnectionError::Closed)),
        }
    }
}

impl<C: AsyncRead + AsyncWrite + Unpin> StreamMuxer for Muxer<C> {
    type Substream = Stream;
    type Error = ConnectionError;

    fn poll_inbound(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Self::Substream, Self::Error>> {
        if let Some(stream) = self.backlog.pop_front() {
            return Poll::Ready(Ok(stream));
        }
        self.acceptor = Some(cx.waker().clone());
        self.poll_next(cx)
    }

    fn poll_outbound(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Self::Substream, Self::Error>> {
        self.connection.poll_new_outbound(cx)
    }

    fn poll(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<StreamMuxerEvent, Self::Error>> {
        let stream = std::task::ready!(self.poll_next(cx))?;
        if self.backlog.len() < BACKLOG_MAX {
            self.backlog.push_back(stream);
            self.acceptor.take().into_iter().for_each(Waker::wake);
        } else {
            tracing::debug!(%stream, "peer opens streams faster than they are taken: reset");
        }
        // One stream at a time, so that a peer that opens many holds up nobody else.
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.connection.poll_close(cx)
    }
}
