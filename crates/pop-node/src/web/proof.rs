//! Who is there: pop-signal's handshake over any byte stream.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use futures::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use pop_signal::Handshake;
use pop_signal::handshake::{ChannelBinding, HandshakeError};
use pop_signal::limits::HANDSHAKE_FRAME_BYTES_MAX;
use pop_wire::{FrameSplitter, Keypair, PeerId};

use crate::clock::{self, Clock};

/// Why nobody proved anything.
#[derive(Debug, thiserror::Error)]
pub(super) enum ProofError {
    #[error(transparent)]
    Transport(#[from] io::Error),
    #[error(transparent)]
    Handshake(#[from] HandshakeError),
    #[error(transparent)]
    Wire(#[from] pop_wire::WireError),
    #[error(transparent)]
    NoEntropy(#[from] clock::NoEntropy),
    #[error("expected the end of the handshake in time")]
    Late,
}

/// Be the listener of a handshake on `stream`. What comes behind it is left in the stream.
pub(super) async fn listen<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    keypair: &Keypair,
    binding: ChannelBinding,
    clock: Clock,
) -> Result<PeerId, ProofError> {
    let (nonce, now) = (clock::random_bytes()?, clock.now());
    let mut handshake = Handshake::new_listener(keypair, None, nonce, binding, now);
    let limit = Duration::from_millis(handshake.deadline().since_ms(now));
    let proving = async {
        loop {
            let body = read_frame(stream).await?;
            let step = handshake.receive(clock.now(), &body)?;
            if let Some(frame) = step.send {
                stream.write_all(&frame).await?;
                stream.flush().await?;
            }
            if let Some(proven) = step.done {
                return Ok(proven.peer);
            }
        }
    };
    tokio::time::timeout(limit, proving).await.unwrap_or(Err(ProofError::Late))
}

/// One frame, and not a byte more: the next protocol's bytes may follow at once.
async fn read_frame<S: AsyncRead + Unpin>(stream: &mut S) -> Result<Bytes, ProofError> {
    let mut splitter = FrameSplitter::new();
    splitter.limit_bodies(HANDSHAKE_FRAME_BYTES_MAX);
    loop {
        if let Some(body) = splitter.next_frame()? {
            return Ok(body);
        }
        // Three small frames, once a link: one byte at a time costs nothing here.
        let mut byte = [0];
        stream.read_exact(&mut byte).await?;
        splitter.push(&byte);
    }
}
