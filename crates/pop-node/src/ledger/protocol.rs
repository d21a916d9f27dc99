//! `/pop/ledger/1`: how requests and replies travel between two nodes (`spec/incentive.md` §12.12).

use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use libp2p::StreamProtocol;
use libp2p::request_response::{self, Codec, ProtocolSupport};
use pop_incentive::limits::{
    LEDGER_INCOMING_BYTES_MAX, LEDGER_REPLY_BYTES_MAX, LEDGER_REQUEST_BYTES_MAX, LEDGER_STREAMS_MAX,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Name under which the ledger is asked.
const PROTOCOL: StreamProtocol = StreamProtocol::new("/pop/ledger/1");

/// Time that a request has from its first byte to the last of its reply.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// Bytes that are read at once. The first ones of a request don't count against what all requests
/// together may hold, so that large ones can't keep small ones out.
const PIECE_BYTES: usize = 4096;

/// Asks and answers.
pub(crate) type Behaviour = request_response::Behaviour<LedgerCodec>;

/// The behaviour of a node; one that serves no ledger takes no requests.
pub(crate) fn behaviour(serves: bool) -> Behaviour {
    let support = if serves { ProtocolSupport::Full } else { ProtocolSupport::Outbound };
    let config = request_response::Config::default()
        .with_request_timeout(REQUEST_TIMEOUT)
        .with_max_concurrent_streams(LEDGER_STREAMS_MAX);
    Behaviour::with_codec(LedgerCodec::new(), [(PROTOCOL, support)], config)
}

/// The bytes of a request, and what they take of the memory that requests may hold.
#[derive(Debug)]
pub(crate) struct Frame {
    bytes: Vec<u8>,
    held: Option<OwnedSemaphorePermit>,
}

impl Frame {
    /// One of our own.
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        Self { bytes, held: None }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// Frames: the length in four bytes, big endian, then so many bytes.
#[derive(Debug, Clone)]
pub(crate) struct LedgerCodec {
    /// Bytes that requests may still take.
    incoming: Arc<Semaphore>,
}

impl LedgerCodec {
    /// A codec whose requests share [`LEDGER_INCOMING_BYTES_MAX`] with those of its clones.
    pub(crate) fn new() -> Self {
        Self { incoming: Arc::new(Semaphore::new(LEDGER_INCOMING_BYTES_MAX)) }
    }

    /// Wait for the first byte of a frame.
    pub(crate) async fn first_byte<T: AsyncRead + Unpin>(io: &mut T) -> io::Result<u8> {
        let mut first = [0];
        io.read_exact(&mut first).await?;
        Ok(first[0])
    }

    /// Read what follows the first byte of a request.
    pub(crate) async fn rest_of_request<T>(&self, first: u8, io: &mut T) -> io::Result<Frame>
    where
        T: AsyncRead + Unpin + Send,
    {
        self.read(first, io, LEDGER_REQUEST_BYTES_MAX, true).await
    }

    /// Write a reply.
    pub(crate) async fn write_reply<T>(io: &mut T, reply: &[u8]) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        write(io, reply).await
    }

    /// Read what follows the first byte of a frame of at most `max` bytes. Memory is taken as bytes come, never ahead of them but
    /// for one piece.
    async fn read<T>(&self, first: u8, io: &mut T, max: usize, counted: bool) -> io::Result<Frame>
    where
        T: AsyncRead + Unpin + Send,
    {
        let mut length = [first, 0, 0, 0];
        io.read_exact(&mut length[1..]).await?;
        let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
        // spec/incentive.md §12.12: a length over the limit MUST be refused before it is read.
        if length > max {
            let problem = format!("expected a frame of at most {max} bytes, got {length}");
            return Err(io::Error::new(io::ErrorKind::InvalidData, problem));
        }
        let mut frame = Frame::new(Vec::new());
        let mut piece = [0; PIECE_BYTES];
        while frame.bytes.len() < length {
            let more = PIECE_BYTES.min(length - frame.bytes.len());
            if counted && !frame.bytes.is_empty() {
                self.hold(&mut frame, more)?;
            }
            io.read_exact(&mut piece[..more]).await?;
            frame.bytes.extend_from_slice(&piece[..more]);
        }
        Ok(frame)
    }

    fn hold(&self, frame: &mut Frame, bytes: usize) -> io::Result<()> {
        let many = u32::try_from(bytes).unwrap_or(u32::MAX);
        let full = |_| io::Error::new(io::ErrorKind::ResourceBusy, "too many large requests");
        let permit = Arc::clone(&self.incoming).try_acquire_many_owned(many).map_err(full)?;
        match &mut frame.held {
            Some(held) => held.merge(permit),
            held => *held = Some(permit),
        }
        Ok(())
    }
}

async fn write<T: AsyncWrite + Unpin + Send>(io: &mut T, bytes: &[u8]) -> io::Result<()> {
    let length = u32::try_from(bytes.len()).map_err(io::Error::other)?;
    io.write_all(&length.to_be_bytes()).await?;
    io.write_all(bytes).await?;
    io.flush().await
}

impl Codec for LedgerCodec {
    type Protocol = StreamProtocol;
    type Request = Frame;
    type Response = Vec<u8>;

    async fn read_request<T>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<Frame>
    where
        T: AsyncRead + Unpin + Send,
    {
        let first = Self::first_byte(io).await?;
        self.rest_of_request(first, io).await
    }

    async fn read_response<T>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<Vec<u8>>
    where
        T: AsyncRead + Unpin + Send,
    {
        // From the node that the operator chose, and one for each request of ours.
        let first = Self::first_byte(io).await?;
        self.read(first, io, LEDGER_REPLY_BYTES_MAX, false).await.map(|frame| frame.bytes)
    }

    async fn write_request<T>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
        request: Frame,
    ) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        write(io, &request.bytes).await
    }

    async fn write_response<T>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
        reply: Vec<u8>,
    ) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        write(io, &reply).await
    }
}

#[cfg(test)]
mod tests {
    use futures::io::Cursor;

    use super::*;

    fn codec(room: usize) -> LedgerCodec {
        LedgerCodec { incoming: Arc::new(Semaphore::new(room)) }
    }

    async fn request(codec: &mut LedgerCodec, bytes: Vec<u8>) -> io::Result<Frame> {
        codec.read_request(&PROTOCOL, &mut Cursor::new(bytes)).await
    }

    fn framed(body: &[u8]) -> Vec<u8> {
        [&u32::try_from(body.len()).unwrap().to_be_bytes()[..], body].concat()
    }

    #[tokio::test]
    async fn frames_survive_and_broken_ones_are_refused() {
        let mut codec = codec(LEDGER_INCOMING_BYTES_MAX);
        for length in [0, 1, PIECE_BYTES, PIECE_BYTES + 1, 100_000] {
            let body = vec![7; length];
            let mut written = Vec::new();
            let frame = Frame::new(body.clone());
            codec.write_request(&PROTOCOL, &mut written, frame).await.unwrap();
            assert_eq!(written, framed(&body));
            assert_eq!(request(&mut codec, written).await.unwrap().bytes(), body);
        }
        for cut in [vec![], vec![0, 0, 0], vec![0, 0, 0, 5, 1, 2]] {
            let error = request(&mut codec, cut).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        }
    }

    #[tokio::test]
    async fn a_length_over_the_limit_is_refused_before_anything_is_read() {
        let mut codec = codec(LEDGER_INCOMING_BYTES_MAX);
        let over = u32::try_from(LEDGER_REQUEST_BYTES_MAX + 1).unwrap();
        for length in [over, u32::MAX] {
            let error = request(&mut codec, length.to_be_bytes().to_vec()).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        }
    }

    #[tokio::test]
    async fn large_requests_share_a_budget_and_small_ones_need_none() {
        let mut codec = codec(2 * PIECE_BYTES);
        let held = request(&mut codec, framed(&[1; 3 * PIECE_BYTES])).await.unwrap();
        let error = request(&mut codec, framed(&[1; PIECE_BYTES + 1])).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ResourceBusy);
        request(&mut codec, framed(&[1; PIECE_BYTES])).await.unwrap();
        drop(held);
        request(&mut codec, framed(&[1; PIECE_BYTES + 1])).await.unwrap();
    }
}
