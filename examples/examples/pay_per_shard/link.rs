//! What goes over the socket: exchange messages as they are, and the few words about money.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use bytes::Bytes;
use pop_incentive::quote::SignedQuote;
use pop_incentive::voucher::SignedVoucher;
use pop_wire::Message;
use pop_wire::limits::FRAME_BYTES_MAX;

use crate::Failure;

/// How long either side waits for the other.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) enum Word {
    /// Shards and who asks for them.
    Exchange(Message),
    /// What the seller asks for.
    Quote(Box<SignedQuote>),
    /// The buyer takes the quote; so many bytes came before.
    Terms { position: u64 },
    /// The seller's count, which answers the terms.
    Served { bytes: u64 },
    /// Money.
    Voucher(Box<SignedVoucher>),
    /// The buyer has all it wanted.
    Goodbye,
}

impl Word {
    fn encode(&self) -> (u8, Vec<u8>) {
        match self {
            Self::Exchange(message) => (0, message.encode().to_vec()),
            Self::Quote(quote) => (1, quote.encode().to_vec()),
            Self::Terms { position } => (2, position.to_be_bytes().to_vec()),
            Self::Served { bytes } => (3, bytes.to_be_bytes().to_vec()),
            Self::Voucher(voucher) => (4, voucher.encode().to_vec()),
            Self::Goodbye => (5, Vec::new()),
        }
    }

    fn decode(kind: u8, body: Vec<u8>) -> Result<Self, Failure> {
        let number =
            |body: &[u8]| -> Result<u64, Failure> { Ok(u64::from_be_bytes(body.try_into()?)) };
        Ok(match kind {
            0 => Self::Exchange(Message::decode(Bytes::from(body))?),
            1 => Self::Quote(Box::new(SignedQuote::decode(&body)?)),
            2 => Self::Terms { position: number(&body)? },
            3 => Self::Served { bytes: number(&body)? },
            4 => Self::Voucher(Box::new(SignedVoucher::decode(&body)?)),
            5 => Self::Goodbye,
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
