//! The frames between a client and its relay, and between relays. Normative text:
//! `spec/signal.md` §6.
//!
//! ```
//! use bytes::BytesMut;
//! use pop_signal::message::{Attachment, RelayMessage};
//! use pop_signal::Rendezvous;
//! use pop_wire::FrameSplitter;
//!
//! let attach =
//!     RelayMessage::Attach { rendezvous: Rendezvous([1; 32]), attachment: Attachment::Once };
//! let mut stream = BytesMut::new();
//! attach.encode_frame(&mut stream);
//! assert_eq!(stream.len(), 256, "whatever is in it");
//! let mut splitter = FrameSplitter::new();
//! splitter.limit_bodies(pop_signal::message::BODY_BYTES_MAX);
//! splitter.push(&stream);
//! let body = splitter.next_frame()?.expect("one whole frame");
//! assert_eq!(RelayMessage::decode(body)?, attach);
//! # Ok::<(), pop_wire::WireError>(())
//! ```

use bytes::{Bytes, BytesMut};
use pop_wire::{Bound, WireError, put_frame};

use crate::envelope::Envelope;
use crate::layout::Reader;
use crate::limits::{
    FRAME_CONTROL_BYTES, FRAME_HEADER_BYTES, FRAME_LARGE_BYTES, FRAME_MEDIUM_BYTES,
    FRAME_SMALL_BYTES, RETRY_AFTER_MS_MAX,
};
use crate::topic::Topic;
use crate::{Address, Rendezvous};

/// Bytes of the length before each body: every size has two.
const PREFIX_BYTES: usize = 2;

/// Bytes of the longest body: what to give to
/// [`FrameSplitter::limit_bodies`](pop_wire::FrameSplitter::limit_bodies).
pub const BODY_BYTES_MAX: usize = FRAME_LARGE_BYTES - PREFIX_BYTES;

const HEADER_BODY_BYTES: usize = FRAME_HEADER_BYTES - PREFIX_BYTES;
const CONTROL_BODY_BYTES: usize = FRAME_CONTROL_BYTES - PREFIX_BYTES;

const RENDEZVOUS: u8 = 1;
const TOPIC: u8 = 2;

/// One frame, either way. Unless it says otherwise, a client sends it to its relay.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RelayMessage {
    /// Hand me what comes for this rendezvous.
    Attach {
        /// 32 bytes that the client chose at random.
        rendezvous: Rendezvous,
        /// For how long.
        attachment: Attachment,
    },
    /// No more.
    Detach {
        /// What was attached.
        rendezvous: Rendezvous,
    },
    /// Hand me announcements of this topic. Holds for a while: to be sent again and again.
    Join {
        /// The topic.
        topic: Topic,
    },
    /// No more.
    Leave {
        /// What was joined.
        topic: Topic,
    },
    /// Hand this to whoever is attached there.
    Send {
        /// Where.
        to: Address,
        /// What.
        envelope: Envelope,
    },
    /// Hand this to one other who has joined.
    Announce {
        /// What was joined.
        topic: Topic,
        /// What.
        envelope: Envelope,
    },
    /// Relay to client: this came for you.
    Deliver {
        /// Where it was sent.
        to: Destination,
        /// What.
        envelope: Envelope,
    },
    /// Relay to client: what you asked is beyond your limits. Nothing is ever said about whether a
    /// letter arrived.
    Refused {
        /// Which limit.
        reason: RefusedReason,
        /// When it may be worth trying again, in milliseconds, at most
        /// [`RETRY_AFTER_MS_MAX`]; zero for never.
        retry_after_ms: u32,
    },
    /// Relay to relay: hand this to whoever is attached at yours, or to one who has joined.
    Forward {
        /// Where.
        to: Destination,
        /// Whether only a client of the receiver's will do: always for a rendezvous, and for a
        /// topic once its home has chosen.
        last: bool,
        /// What.
        envelope: Envelope,
    },
    /// Relay to a topic's home: so many clients of mine have joined.
    Members {
        /// The topic.
        topic: Topic,
        /// How many.
        count: u32,
    },
    /// A topic's home, answering [`Members`](Self::Members): so many have joined elsewhere.
    Elsewhere {
        /// The topic.
        topic: Topic,
        /// How many.
        count: u32,
    },
}

/// How long a rendezvous stays attached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Attachment {
    /// Until the first letter.
    Once,
    /// For the letters of one session.
    Session,
}

/// Where an envelope is handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Destination {
    /// To who has attached it.
    Rendezvous(Rendezvous),
    /// To one who has joined it.
    Topic(Topic),
}

/// Which of its own limits a client has reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum RefusedReason {
    /// It, or others behind its address, send too much.
    Rate,
    /// It has attached too many.
    Rendezvous,
    /// It has joined too many.
    Topics,
    /// The relay has no room for more of anybody's.
    Full,
    /// The letter is for a relay that this one doesn't know.
    UnknownRelay,
}

impl RelayMessage {
    /// Read the body of one frame. An envelope is a slice of `body`, not a copy.
    ///
    /// # Errors
    /// [`WireError`]: the sender's fault.
    pub fn decode(body: Bytes) -> Result<Self, WireError> {
        const SIZES: [usize; 4] =
            [FRAME_CONTROL_BYTES, FRAME_SMALL_BYTES, FRAME_MEDIUM_BYTES, FRAME_LARGE_BYTES];
        if !SIZES.contains(&(body.len() + PREFIX_BYTES)) {
            let max = u64::try_from(BODY_BYTES_MAX).unwrap_or(u64::MAX);
            let expected = Bound::at_most(max);
            return Err(WireError::Length { field: "relay frame", expected, got: body.len() });
        }
        let envelope = if body.len() == CONTROL_BODY_BYTES {
            None
        } else {
            let bytes = body.slice(HEADER_BODY_BYTES..);
            Some(Envelope::from_bytes(bytes).expect("the rest of a frame is one of its sizes"))
        };
        let fields = if envelope.is_some() { &body[..HEADER_BODY_BYTES] } else { &body[..] };
        let mut reader = Reader::exact("relay frame", fields, fields.len())?;
        let message = Self::take(&mut reader, envelope)?;
        // spec/signal.md §6.1: what a kind doesn't use MUST be zero, so that a message has one
        // form only.
        if reader.rest().iter().any(|byte| *byte != 0) {
            let problem = "expected zeros after the fields";
            return Err(WireError::Invalid { field: "relay frame", problem });
        }
        Ok(message)
    }

    fn take(reader: &mut Reader<'_>, envelope: Option<Envelope>) -> Result<Self, WireError> {
        let kind = reader.u8()?;
        Ok(match (kind, envelope) {
            (1, None) => Self::Attach {
                rendezvous: Rendezvous(reader.array()?),
                attachment: Attachment::of_code(reader.u8()?)?,
            },
            (2, None) => Self::Detach { rendezvous: Rendezvous(reader.array()?) },
            (3, None) => Self::Join { topic: Topic(reader.array()?) },
            (4, None) => Self::Leave { topic: Topic(reader.array()?) },
            (5, Some(envelope)) => Self::Send { to: Address::take(reader)?, envelope },
            (6, Some(envelope)) => Self::Announce { topic: Topic(reader.array()?), envelope },
            (7, Some(envelope)) => Self::Deliver { to: Destination::take(reader)?, envelope },
            (8, None) => Self::Refused {
                reason: RefusedReason::of_code(reader.u8()?)?,
                retry_after_ms: retry_after(reader.u32()?)?,
            },
            (9, Some(envelope)) => {
                let to = Destination::take(reader)?;
                let last = match (to, reader.u8()?) {
                    (_, 1) => true,
                    (Destination::Topic(_), 0) => false,
                    _ => return Err(WireError::UnknownKind { message: "forward" }),
                };
                Self::Forward { to, last, envelope }
            }
            (10, None) => Self::Members { topic: Topic(reader.array()?), count: reader.u32()? },
            (11, None) => Self::Elsewhere { topic: Topic(reader.array()?), count: reader.u32()? },
            _ => return Err(WireError::UnknownKind { message: "relay frame" }),
        })
    }

    /// Append the frame, its length first: 256, 1,024, 4,096 or 16,384 bytes.
    pub fn encode_frame(&self, out: &mut BytesMut) {
        let mut body = Vec::with_capacity(self.frame_bytes() - PREFIX_BYTES);
        self.put(&mut body);
        match self.envelope() {
            None => body.resize(CONTROL_BODY_BYTES, 0),
            Some(envelope) => {
                body.resize(HEADER_BODY_BYTES, 0);
                body.extend_from_slice(envelope.as_bytes());
            }
        }
        put_frame(out, &body).expect("a relay frame is shorter than any frame may be");
    }

    /// Bytes of the frame, its length included.
    pub fn frame_bytes(&self) -> usize {
        match self.envelope() {
            None => FRAME_CONTROL_BYTES,
            Some(envelope) => FRAME_HEADER_BYTES + envelope.as_bytes().len(),
        }
    }

    /// The envelope that it carries, if it carries one.
    pub fn envelope(&self) -> Option<&Envelope> {
        match self {
            Self::Send { envelope, .. }
            | Self::Announce { envelope, .. }
            | Self::Deliver { envelope, .. }
            | Self::Forward { envelope, .. } => Some(envelope),
            Self::Attach { .. }
            | Self::Detach { .. }
            | Self::Join { .. }
            | Self::Leave { .. }
            | Self::Refused { .. }
            | Self::Members { .. }
            | Self::Elsewhere { .. } => None,
        }
    }

    /// The same, its envelope in memory of its own.
    pub(crate) fn detached(mut self) -> Self {
        if let Self::Send { envelope, .. }
        | Self::Announce { envelope, .. }
        | Self::Deliver { envelope, .. }
        | Self::Forward { envelope, .. } = &mut self
        {
            *envelope = envelope.detached();
        }
        self
    }

    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Attach { rendezvous, attachment } => {
                out.push(1);
                out.extend_from_slice(&rendezvous.0);
                out.push(attachment.code());
            }
            Self::Detach { rendezvous } => put_kind(out, 2, &rendezvous.0),
            Self::Join { topic } => put_kind(out, 3, &topic.0),
            Self::Leave { topic } => put_kind(out, 4, &topic.0),
            Self::Send { to, .. } => {
                out.push(5);
                to.put(out);
            }
            Self::Announce { topic, .. } => put_kind(out, 6, &topic.0),
            Self::Deliver { to, .. } => {
                out.push(7);
                to.put(out);
            }
            Self::Refused { reason, retry_after_ms } => {
                out.extend_from_slice(&[8, reason.code()]);
                out.extend_from_slice(&(*retry_after_ms).min(RETRY_AFTER_MS_MAX).to_be_bytes());
            }
            Self::Forward { to, last, .. } => {
                out.push(9);
                to.put(out);
                // What can't be said otherwise of a rendezvous is not said otherwise.
                let last = *last || matches!(to, Destination::Rendezvous(_));
                out.push(u8::from(last));
            }
            Self::Members { topic, count } => {
                put_kind(out, 10, &topic.0);
                out.extend_from_slice(&count.to_be_bytes());
            }
            Self::Elsewhere { topic, count } => {
                put_kind(out, 11, &topic.0);
                out.extend_from_slice(&count.to_be_bytes());
            }
        }
    }
}

impl Destination {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Rendezvous(rendezvous) => put_kind(out, RENDEZVOUS, &rendezvous.0),
            Self::Topic(topic) => put_kind(out, TOPIC, &topic.0),
        }
    }

    fn take(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        match reader.u8()? {
            RENDEZVOUS => Ok(Self::Rendezvous(Rendezvous(reader.array()?))),
            TOPIC => Ok(Self::Topic(Topic(reader.array()?))),
            _ => Err(WireError::UnknownKind { message: "destination" }),
        }
    }
}

impl Attachment {
    fn code(self) -> u8 {
        match self {
            Self::Once => 1,
            Self::Session => 2,
        }
    }

    fn of_code(code: u8) -> Result<Self, WireError> {
        match code {
            1 => Ok(Self::Once),
            2 => Ok(Self::Session),
            _ => Err(WireError::UnknownKind { message: "attachment" }),
        }
    }
}

impl RefusedReason {
    fn code(self) -> u8 {
        match self {
            Self::Rate => 1,
            Self::Rendezvous => 2,
            Self::Topics => 3,
            Self::Full => 4,
            Self::UnknownRelay => 5,
        }
    }

    fn of_code(code: u8) -> Result<Self, WireError> {
        match code {
            1 => Ok(Self::Rate),
            2 => Ok(Self::Rendezvous),
            3 => Ok(Self::Topics),
            4 => Ok(Self::Full),
            5 => Ok(Self::UnknownRelay),
            _ => Err(WireError::UnknownKind { message: "reason of a refusal" }),
        }
    }
}

fn put_kind(out: &mut Vec<u8>, kind: u8, field: &[u8]) {
    out.push(kind);
    out.extend_from_slice(field);
}

fn retry_after(got: u32) -> Result<u32, WireError> {
    if got <= RETRY_AFTER_MS_MAX {
        return Ok(got);
    }
    let expected = Bound::at_most(RETRY_AFTER_MS_MAX.into());
    Err(WireError::Range { field: "refused.retry_after_ms", expected, got: got.into() })
}
