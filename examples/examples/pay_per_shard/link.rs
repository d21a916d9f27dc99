//! What goes over the socket: exchange messages as they are, and the few words about money.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use bytes::Bytes;
use pop_incentive::ids::LineId;
use pop_incentive::message::PaymentMessage;
use pop_wire::Message;
use pop_wire::limits::FRAME_BYTES_MAX;

use crate::Failure;

/// How long either side waits for the other.
const PATIENCE: Duration = Duration::from_secs(30);

/// The only link that there is.
pub(crate) const LINE: LineId = LineId(1);

pub(crate) enum Word {
    /// Shards and who asks for them.
    Exchange(Message),
    /// Between purse and till.
    Money(Box<PaymentMessage>),
    /// The buyer has all it wanted.
    Goodbye,
}

impl Word {
    fn encode(&self) -> (u8, Vec<u8>) {
        match self {
            Self::Exchange(message) => (0, message.encode().to_vec()),
            Self::Money(message) => (1, message.encode()),
            Self::Goodbye => (2, Vec::new()),
        }
    }

    fn decode(kind: u8, body: Vec<u8>) -> Result<Self, Failure> {
        Ok(match kind {
            0 => Self::Exchange(Message::decode(Bytes::from(body))?),
            1 => Self::Money(Box::new(PaymentMessage::decode(&body)?)),
            2 => Self::Goodbye,
            _ => return Err("a word that nobody knows".into()),
        })
    }
}

/// One side of the socket. A word is its kind, its length and its bytes.
pub(crate) struct Link(TcpStream);

impl Link {
    pub(crate) fn new(socket: TcpStream) -> Result<Self, Failure> {
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_write_timeout(Some(PATIENCE))?;
        Ok(Self(socket))
    }

    pub(crate) fn peer(&self) -> Result<std::net::IpAddr, Failure> {
        Ok(self.0.peer_addr()?.ip())
    }

    pub(crate) fn send(&mut self, word: &Word) -> Result<(), Failure> {
        let (kind, body) = word.encode();
        let mut bytes = vec![kind];
        bytes.extend(u32::try_from(body.len())?.to_be_bytes());
        bytes.extend(body);
        Ok(self.0.write_all(&bytes)?)
    }

    pub(crate) fn receive(&mut self) -> Result<Word, Failure> {
        let mut head = [0; 5];
        self.0.read_exact(&mut head)?;
        let [kind, length @ ..] = head;
        let length = usize::try_from(u32::from_be_bytes(length))?;
        if length > FRAME_BYTES_MAX {
            return Err("a word that is too long".into());
        }
        let mut body = vec![0; length];
        self.0.read_exact(&mut body)?;
        Word::decode(kind, body)
    }
}
