//! A WebSocket as the byte stream that a link is: binary messages carry any piece of it.
//!
//! Back-pressure both ways: nothing is read from the socket before what was read is taken, and
//! writing waits once the socket's buffer is full. A silent socket is pinged, and one that stays
//! silent ends.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use futures::{AsyncRead, AsyncWrite, Sink as _, Stream as _};
use tokio::net::TcpStream;
use tokio::time::{Interval, MissedTickBehavior};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::admission::Admitted;
use super::limits::{PING_INTERVAL, PINGS_UNANSWERED_MAX, SOCKET_MESSAGE_BYTES_SENT};

/// A WebSocket that reads and writes bytes.
#[derive(Debug)]
pub(super) struct SocketStream {
    socket: WebSocketStream<TcpStream>,
    /// What is left of the message read last.
    unread: Bytes,
    ping: Interval,
    /// Ticks of `ping` since something was heard.
    silent_ticks: u32,
    /// The place that it takes, until it is gone.
    admitted: Admitted,
}

impl SocketStream {
    pub(super) fn new(socket: WebSocketStream<TcpStream>, admitted: Admitted) -> Self {
        let mut ping = tokio::time::interval(PING_INTERVAL);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { socket, unread: Bytes::new(), ping, silent_ticks: 0, admitted }
    }

    /// The other end has proven who it is.
    pub(super) fn introduce(&mut self) {
        self.admitted.introduce();
    }

    /// Until something is there to read, or the end.
    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        while self.unread.is_empty() {
            let Poll::Ready(message) = Pin::new(&mut self.socket).poll_next(cx) else {
                return self.poll_silence(cx);
            };
            self.silent_ticks = 0;
            match message {
                Some(Ok(Message::Binary(bytes))) => self.unread = bytes,
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                Some(Ok(Message::Close(_))) | None => return Poll::Ready(Ok(false)),
                // spec/exchange.md §2.1: a text message MUST end the link.
                Some(Ok(Message::Text(_))) => {
                    let problem = "expected binary messages, got a text";
                    return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, problem)));
                }
                Some(Err(error)) => return Poll::Ready(Err(io_error(error))),
            }
        }
        Poll::Ready(Ok(true))
    }

    /// Nothing is there to read: ping now and then, and give up in the end.
    fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        while self.ping.poll_tick(cx).is_ready() {
            // spec/exchange.md §2.1: a socket that answers no pings MUST be closed.
            if self.silent_ticks > PINGS_UNANSWERED_MAX {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            self.silent_ticks += 1;
            let mut socket = Pin::new(&mut self.socket);
            // A socket whose buffer is full has something to be answered already.
            if socket.as_mut().poll_ready(cx).is_ready() {
                socket.as_mut().start_send(Message::Ping(Bytes::new())).map_err(io_error)?;
                let _sent_later = socket.poll_flush(cx).map_err(io_error)?;
            }
        }
        Poll::Pending
    }
}

impl AsyncRead for SocketStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if !ready!(this.poll_message(cx))? {
            return Poll::Ready(Ok(0));
        }
        let bytes = buffer.len().min(this.unread.len());
        this.unread.copy_to_slice(&mut buffer[..bytes]);
        Poll::Ready(Ok(bytes))
    }
}

impl AsyncWrite for SocketStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut socket = Pin::new(&mut self.get_mut().socket);
        ready!(socket.as_mut().poll_ready(cx)).map_err(io_error)?;
        let piece = &bytes[..bytes.len().min(SOCKET_MESSAGE_BYTES_SENT)];
        let message = Message::Binary(Bytes::copy_from_slice(piece));
        socket.start_send(message).map_err(io_error)?;
        Poll::Ready(Ok(piece.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_flush(cx).map_err(io_error)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_close(cx).map_err(io_error)
    }
}

fn io_error(error: Error) -> io::Error {
    match error {
        Error::Io(error) => error,
        error => io::Error::new(io::ErrorKind::InvalidData, error),
    }
}
