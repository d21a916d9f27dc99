//! Relay frames over a byte stream: a libp2p stream, a WebSocket, anything that reads. Runs on any
//! async runtime.

use futures::io::{AsyncRead, AsyncReadExt as _};
use pop_wire::{FrameSplitter, StreamError};

use crate::RelayMessage;
use crate::limits::FRAME_LARGE_BYTES;

/// Reads relay messages from a byte stream.
///
/// Memory: one frame of the largest kind, [`FRAME_LARGE_BYTES`], and what came behind it in the same
/// read, which is no more.
#[derive(Debug)]
pub struct MessageReader<R> {
    io: R,
    splitter: FrameSplitter,
}

impl<R: AsyncRead + Unpin> MessageReader<R> {
    /// Read from `io`.
    pub fn new(io: R) -> Self {
        let mut splitter = FrameSplitter::new();
        splitter.limit_bodies(FRAME_LARGE_BYTES);
        Self { io, splitter }
    }

    /// The next message; `None` at the end of the stream.
    ///
    /// # Errors
    /// [`StreamError`]; the stream is of no more use then (`spec/signal.md` §6.1).
    ///
    /// # Cancel safety
    /// A future that is dropped before it is ready has taken nothing: the next one goes on.
    pub async fn read(&mut self) -> Result<Option<RelayMessage>, StreamError> {
        loop {
            if let Some(body) = self.splitter.next_frame()? {
                return Ok(Some(RelayMessage::decode(body)?));
            }
            match self.io.read(self.splitter.unfilled(FRAME_LARGE_BYTES)).await? {
                0 => break,
                bytes => self.splitter.fill(bytes),
            }
        }
        self.splitter.end().map(|()| None)
    }
}
