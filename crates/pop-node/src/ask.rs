//! Questions to one peer: open a stream, greet, ask, take the answer.

use std::collections::VecDeque;

use futures::AsyncReadExt as _;
use futures::io::{ReadHalf, WriteHalf};
use libp2p::Multiaddr;
use pop_exchange::libp2p::ExchangeStream;
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

/// A link to one peer on which questions are asked, one after the other.
pub(crate) struct Conversation {
    reader: MessageReader<ReadHalf<ExchangeStream>>,
    writer: MessageWriter<WriteHalf<ExchangeStream>>,
    messages: VecDeque<Message>,
    /// What the peer's hello said it is.
    pub(crate) masternode: Option<Signed<MasternodeRecord>>,
}

impl Conversation {
    /// Reach a peer and greet. No payload is accepted: the hello grants no credit. The caller sets
    /// the time limit.
    pub(crate) async fn open(
        network: &Network,
        (peer, addresses): (PeerId, Vec<Multiaddr>),
        own: Option<Signed<MasternodeRecord>>,
    ) -> Result<Self, AskError> {
        let (read_half, write_half) = network.open(peer, addresses).await?.split();
        let (reader, writer) = (MessageReader::new(read_half), MessageWriter::new(write_half));
        let messages = VecDeque::new();
        let mut this = Self { reader, writer, messages, masternode: None };
        let hello = Message::Hello(Hello {
            versions: VersionRange::SUPPORTED,
            credit_bytes: 0,
            agent: transport::agent(),
            masternode: own,
        });
        this.say(&hello).await?;
        let Message::Hello(theirs) = this.hear().await? else { return Err(AskError::NoHello) };
        VersionRange::SUPPORTED.negotiate(&theirs.versions).map_err(|_| AskError::NoHello)?;
        this.masternode = theirs.masternode;
        Ok(this)
    }

    /// Send a message.
    pub(crate) async fn say(&mut self, message: &Message) -> Result<(), AskError> {
        self.writer.push(message)?;
        self.writer.flush().await?;
        Ok(())
    }

    /// The next message that comes.
    pub(crate) async fn hear(&mut self) -> Result<Message, AskError> {
        loop {
            if let Some(message) = self.messages.pop_front() {
                return Ok(message);
            }
            if !self.reader.read(&mut self.messages).await? {
                return Err(AskError::HungUp);
            }
        }
    }

    /// Say that nothing more comes.
    pub(crate) async fn close(mut self) {
        let _gone = self.writer.close().await;
    }
}

/// Ask `question` of a peer. The caller sets the time limit.
pub(crate) async fn ask(
    network: &Network,
    peer: (PeerId, Vec<Multiaddr>),
    own: Option<Signed<MasternodeRecord>>,
    question: Message,
) -> Result<Answer, AskError> {
    let mut conversation = Conversation::open(network, peer, own).await?;
    // spec/exchange.md §3: nothing is asked before the other side's hello.
    conversation.say(&question).await?;
    let message = conversation.hear().await?;
    let masternode = conversation.masternode.take();
    conversation.close().await;
    Ok(Answer { message, masternode })
}
