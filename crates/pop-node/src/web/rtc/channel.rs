//! One data channel of a session as a byte stream, with bounded queues both ways.
//!
//! ```text
//!  datagrams -> inbound (bounded, or the session ends) -> pipe -> link
//!  datagrams <- SCTP's buffer <- outbound (one piece)  <- pipe <- link
//! ```

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use str0m::channel::ChannelId;
use tokio::io::{AsyncRead as _, AsyncWrite as _, DuplexStream, ReadBuf};

use crate::web::limits::{
    CHANNEL_MESSAGE_BYTES_SENT, CHANNEL_PIPE_BYTES, CHANNEL_UNREAD_BYTES_MAX,
};

/// A channel, seen from its session.
#[derive(Debug)]
pub(super) struct Channel {
    /// Its number in the session.
    pub(super) id: ChannelId,
    state: State,
    /// What came and the link has not taken yet.
    inbound: VecDeque<Vec<u8>>,
    inbound_bytes: usize,
    /// A piece of what the link sent, until the session has taken it; room for one is made once.
    outbound: Vec<u8>,
    outbound_bytes: usize,
    /// Whether the session was told of the end.
    end_told: bool,
}

/// ```text
/// Silent --first bytes--> Linked --either end closes--> Over
/// ```
#[derive(Debug)]
enum State {
    /// Nothing came yet: no link, no handshake, no time that runs.
    Silent,
    Linked(DuplexStream),
    Over,
}

/// The peer sends more than anybody could have asked it for.
#[derive(Debug, thiserror::Error)]
#[error("expected at most {CHANNEL_UNREAD_BYTES_MAX} bytes that nobody has read yet")]
pub(super) struct Overflow;

impl Channel {
    pub(super) fn new(id: ChannelId) -> Self {
        Self {
            id,
            state: State::Silent,
            inbound: VecDeque::new(),
            inbound_bytes: 0,
            outbound: Vec::new(),
            outbound_bytes: 0,
            end_told: false,
        }
    }

    /// Take a message in. With the first one comes the other end of the link's stream.
    pub(super) fn receive(&mut self, message: Vec<u8>) -> Result<Option<DuplexStream>, Overflow> {
        // spec/exchange.md §2.2: a browser gives no back-pressure and takes none, so what is
        // unread MUST be bounded, and going beyond ends the session.
        self.inbound_bytes = self.inbound_bytes.saturating_add(message.len());
        if self.inbound_bytes > CHANNEL_UNREAD_BYTES_MAX {
            return Err(Overflow);
        }
        let link = match self.state {
            State::Silent => {
                let (near, far) = tokio::io::duplex(CHANNEL_PIPE_BYTES);
                self.state = State::Linked(near);
                Some(far)
            }
            State::Linked(_) => None,
            State::Over => {
                self.inbound_bytes = 0;
                return Ok(None);
            }
        };
        self.inbound.push_back(message);
        Ok(link)
    }

    /// The piece to send next, if there is one.
    pub(super) fn outbound(&self) -> &[u8] {
        &self.outbound[..self.outbound_bytes]
    }

    /// The piece was sent.
    pub(super) fn sent(&mut self) {
        self.outbound_bytes = 0;
    }

    /// Whether a link uses it, or has something left to send.
    pub(super) fn is_used(&self) -> bool {
        matches!(self.state, State::Linked(_)) || self.outbound_bytes > 0
    }

    /// Whether its link has ended and all is sent; true once.
    pub(super) fn take_end(&mut self) -> bool {
        let is_over = matches!(self.state, State::Over) && self.outbound_bytes == 0;
        is_over && !std::mem::replace(&mut self.end_told, true)
    }

    /// The peer closed it.
    pub(super) fn close(&mut self) {
        self.state = State::Over;
        self.end_told = true;
        self.outbound_bytes = 0;
        self.forget_inbound();
    }

    /// Move bytes between the pipe and the queues; ready when there is something to send, or the
    /// link has ended.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let moved = match &mut self.state {
            State::Linked(pipe) => {
                let delivered = deliver(pipe, &mut self.inbound, &mut self.inbound_bytes, cx);
                match delivered {
                    Poll::Ready(Err(_)) => Poll::Ready(Ok(false)),
                    _ if self.outbound_bytes > 0 => return Poll::Pending,
                    _ => {
                        self.outbound.resize(CHANNEL_MESSAGE_BYTES_SENT, 0);
                        let mut room = ReadBuf::new(&mut self.outbound);
                        let read = Pin::new(pipe).poll_read(cx, &mut room);
                        self.outbound_bytes = room.filled().len();
                        read.map_ok(|()| self.outbound_bytes > 0)
                    }
                }
            }
            State::Silent | State::Over => return Poll::Pending,
        };
        if !ready!(moved).unwrap_or(false) {
            self.state = State::Over;
            self.forget_inbound();
        }
        Poll::Ready(())
    }

    fn forget_inbound(&mut self) {
        self.inbound.clear();
        self.inbound_bytes = 0;
    }
}

/// Put what came into the pipe.
fn deliver(
    pipe: &mut DuplexStream,
    inbound: &mut VecDeque<Vec<u8>>,
    inbound_bytes: &mut usize,
    cx: &mut Context<'_>,
) -> Poll<io::Result<()>> {
    while let Some(message) = inbound.front_mut() {
        if !message.is_empty() {
            let taken = ready!(Pin::new(&mut *pipe).poll_write(cx, message))?;
            message.drain(..taken);
            *inbound_bytes = inbound_bytes.saturating_sub(taken);
        }
        if message.is_empty() {
            inbound.pop_front();
        }
    }
    Poll::Ready(Ok(()))
}
