//! Messages over a byte stream: TCP, a libp2p stream, anything that reads and writes. Runs on any
//! async runtime.
//!
//! A link costs little if frames travel in batches: [`MessageReader::read`] returns everything
//! that is there, and [`MessageWriter`] writes many frames at once. [`write_all`] is the whole
//! sending half of a link.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::BytesMut;
use futures::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use futures::stream::{Stream, StreamExt};
use pop_wire::{FrameSplitter, Message, WireError};

/// Bytes read at a time from a stream that has little to say.
const READ_BYTES_MIN: usize = 4 * 1024;

/// Bytes read at a time from a stream that has much.
const READ_BYTES_MAX: usize = 256 * 1024;

/// Bytes read before messages are handed over, even if there is more.
const BATCH_BYTES: usize = 512 * 1024;

/// Bytes of frames gathered before they are written.
const WRITE_BYTES: usize = 256 * 1024;

/// Messages taken from a queue at a time.
const WRITE_MESSAGES: usize = 64;

/// Why a link ended before its time.
pub type LinkError = pop_wire::StreamError;

/// Reads messages from a byte stream.
///
/// Memory: room for one read, of 4 KiB while little comes and up to 256 KiB while much does; at
/// most one unfinished frame; and one batch of 512 KiB with the messages that it yields.
#[derive(Debug)]
pub struct MessageReader<R> {
    io: R,
    splitter: FrameSplitter,
    /// Bytes to read next: twice as many after a read that took all it was offered.
    read_bytes: usize,
    /// Decided, and not told yet because messages came first.
    end: Option<Result<(), LinkError>>,
}

impl<R: AsyncRead + Unpin> MessageReader<R> {
    /// A reader at the start of a stream.
    pub fn new(io: R) -> Self {
        Self { io, splitter: FrameSplitter::new(), read_bytes: READ_BYTES_MIN, end: None }
    }

    /// Append the messages that are there to `messages`, waiting for the first. `false` says that
    /// the stream has ended, after which there is nothing more.
    ///
    /// May be dropped and called again without losing anything.
    ///
    /// # Errors
    /// [`LinkError`]; the stream is of no use then. What came before it was returned before.
    pub async fn read(&mut self, messages: &mut VecDeque<Message>) -> Result<bool, LinkError> {
        std::future::poll_fn(|cx| self.poll_batch(cx, messages)).await
    }

    fn poll_batch(
        &mut self,
        cx: &mut Context<'_>,
        messages: &mut VecDeque<Message>,
    ) -> Poll<Result<bool, LinkError>> {
        let (before, mut taken) = (messages.len(), 0);
        while self.end.is_none() && taken < BATCH_BYTES {
            let room = self.splitter.unfilled(self.read_bytes);
            match Pin::new(&mut self.io).poll_read(cx, room) {
                Poll::Pending if messages.len() > before => return Poll::Ready(Ok(true)),
                Poll::Pending => {
                    self.rest();
                    return Poll::Pending;
                }
                Poll::Ready(Ok(0)) => self.end = Some(self.splitter.end()),
                Poll::Ready(Ok(bytes)) => {
                    taken += bytes;
                    self.splitter.fill(bytes);
                    if bytes == self.read_bytes {
                        self.read_bytes = READ_BYTES_MAX.min(self.read_bytes * 2);
                    }
                    if let Err(error) = self.decode(messages) {
                        self.end = Some(Err(error.into()));
                    }
                }
                Poll::Ready(Err(error)) => self.end = Some(Err(error.into())),
            }
        }
        if messages.len() > before {
            return Poll::Ready(Ok(true));
        }
        match self.end.take() {
            Some(Ok(())) => {
                self.end = Some(Ok(()));
                Poll::Ready(Ok(false))
            }
            Some(Err(error)) => {
                self.end = Some(Ok(()));
                Poll::Ready(Err(error))
            }
            // A batch that is one unfinished frame: let others run, then go on.
            None => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
        }
    }

    /// Nothing is there and nothing unfinished: hold no memory for a stream that may stay silent.
    fn rest(&mut self) {
        if self.splitter.buffered_bytes() == 0 && self.read_bytes > READ_BYTES_MIN {
            self.read_bytes = READ_BYTES_MIN;
            self.splitter.shrink();
        }
    }

    fn decode(&mut self, messages: &mut VecDeque<Message>) -> Result<(), WireError> {
        while let Some(body) = self.splitter.next_frame()? {
            messages.push_back(Message::decode(body)?);
        }
        Ok(())
    }
}

/// Writes messages to a byte stream, many frames at a time.
#[derive(Debug)]
pub struct MessageWriter<W> {
    io: W,
    buffer: BytesMut,
    messages: usize,
}

impl<W: AsyncWrite + Unpin> MessageWriter<W> {
    /// A writer at the start of a stream.
    pub fn new(io: W) -> Self {
        Self { io, buffer: BytesMut::new(), messages: 0 }
    }

    /// Queue a message. `false` says that the queue is full: flush before the next one.
    ///
    /// # Errors
    /// [`LinkError::Wire`] if the message is larger than a frame: the caller's fault.
    pub fn push(&mut self, message: &Message) -> Result<bool, LinkError> {
        message.encode_frame(&mut self.buffer)?;
        self.messages += 1;
        Ok(self.buffer.len() < WRITE_BYTES)
    }

    /// Hand everything queued to the transport; returns how many messages that were.
    ///
    /// # Errors
    /// [`LinkError::Transport`]; the stream is of no use then.
    pub async fn flush(&mut self) -> Result<usize, LinkError> {
        self.io.write_all(&self.buffer).await?;
        self.io.flush().await?;
        self.buffer.clear();
        Ok(std::mem::take(&mut self.messages))
    }

    /// Flush, and tell the peer that nothing more comes.
    ///
    /// # Errors
    /// [`LinkError::Transport`].
    pub async fn close(&mut self) -> Result<(), LinkError> {
        self.flush().await?;
        Ok(self.io.close().await?)
    }
}

/// The sending half of a link: write what `messages` yields until it ends, then close `io`.
/// `flushed` is told how many messages the transport has taken, in order; a provider wants to
/// know ([`provider::Input::Flushed`](crate::provider::Input::Flushed)).
///
/// Bound the queue behind `messages`, and stop reading from a peer whose queue is full.
///
/// # Errors
/// [`LinkError`]; the link is of no use then.
pub async fn write_all<W, S>(
    io: W,
    messages: S,
    mut flushed: impl FnMut(usize),
) -> Result<(), LinkError>
where
    W: AsyncWrite + Unpin,
    S: Stream<Item = Message> + Unpin,
{
    let mut writer = MessageWriter::new(io);
    let mut batches = messages.ready_chunks(WRITE_MESSAGES);
    while let Some(batch) = batches.next().await {
        for message in &batch {
            if !writer.push(message)? {
                flushed(writer.flush().await?);
            }
        }
        flushed(writer.flush().await?);
    }
    writer.close().await
}
