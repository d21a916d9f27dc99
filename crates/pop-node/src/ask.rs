//! One question to one peer: open a stream, greet, ask, take the answer.

use std::collections::VecDeque;

use futures::AsyncReadExt as _;
use libp2p::Multiaddr;
use pop_exchange::link::{LinkError, MessageReader, MessageWriter};
use pop_wire::message::Hello;
use pop_wire::{MasternodeRecord, Message, PeerId, Signed, VersionRange};

use crate::network::{Network, Unreachable};
use crate::transport;

/// What a peer answered, and what its hello said it is.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) message: Message,
    pub(crate) masternode: Option<Signed<MasternodeRecord>>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AskError {
    #[error(transparent)]
    Unreachable(#[from] Unreachable),
    #[error(transparent)]
    Link(#[from] LinkError),
    #[error("the peer hung up")]
    HungUp,
    #[error("expected a hello of a version we speak")]
    NoHello,
}

/// Ask `question` of a peer. No payload is accepted: the hello grants no credit. The caller sets
/// the time limit.
pub(crate) async fn ask(
    network: &Network,
    (peer, addresses): (PeerId, Vec<Multiaddr>),
    own: Option<Signed<MasternodeRecord>>,
    question: Message,
) -> Result<Answer, AskError> {
    let stream = network.open(peer, addresses).await?;
    let (read_half, write_half) = stream.split();
    let mut reader = MessageReader::new(read_half);
    let mut writer = MessageWriter::new(write_half);
    let hello = Message::Hello(Hello {
        versions: VersionRange::SUPPORTED,
        credit_bytes: 0,
        agent: transport::agent(),
        masternode: own,
    });
    writer.push(&hello)?;
    writer.flush().await?;
    let mut messages = VecDeque::new();
    let first = next(&mut reader, &mut messages).await?;
    let Message::Hello(theirs) = first else { return Err(AskError::NoHello) };
    VersionRange::SUPPORTED.negotiate(&theirs.versions).map_err(|_| AskError::NoHello)?;
    // spec/exchange.md §3: nothing is asked before the other side's hello.
    writer.push(&question)?;
    writer.flush().await?;
    let message = next(&mut reader, &mut messages).await?;
    let _closing = writer.close().await;
    Ok(Answer { message, masternode: theirs.masternode })
}

async fn next<R: futures::AsyncRead + Unpin>(
    reader: &mut MessageReader<R>,
    messages: &mut VecDeque<Message>,
) -> Result<Message, AskError> {
    loop {
        if let Some(message) = messages.pop_front() {
            return Ok(message);
        }
        if !reader.read(messages).await? {
            return Err(AskError::HungUp);
        }
    }
}
