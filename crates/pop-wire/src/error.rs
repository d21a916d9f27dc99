use core::fmt;

/// Why bytes from a peer, or values from the caller, are not a message of this format.
///
/// Everything that [`decode`](crate::Message::decode) returns is the sender's fault; the values
/// in the error say what was expected. A receiver answers such a message by closing the link.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WireError {
    /// The frame's length prefix is over the limit, or is not a minimal varint.
    #[error("frame length: expected a minimal varint of at most {max} bytes, got {got}")]
    FrameLength {
        /// Limit in bytes.
        max: usize,
        /// What the prefix said; `u64::MAX` stands for a prefix that is no varint.
        got: u64,
    },
    /// The bytes are not protobuf of the expected message.
    #[error("{message}: not a valid protobuf message")]
    Protobuf {
        /// Message that was expected.
        message: &'static str,
    },
    /// No kind is set, or one that this version doesn't know.
    #[error("{message}: expected a known kind, got none")]
    UnknownKind {
        /// Message that was expected.
        message: &'static str,
    },
    /// A field of bytes or text has another length than the format allows.
    #[error("{field}: expected {expected} bytes, got {got}")]
    Length {
        /// Name of the field.
        field: &'static str,
        /// Allowed length.
        expected: Bound,
        /// Length found.
        got: usize,
    },
    /// A number is outside the range that the format allows.
    #[error("{field}: expected {expected}, got {got}")]
    Range {
        /// Name of the field.
        field: &'static str,
        /// Allowed range.
        expected: Bound,
        /// Number found.
        got: u64,
    },
    /// A repeated field has too many entries.
    #[error("{field}: expected at most {max} entries, got {got}")]
    TooMany {
        /// Name of the field.
        field: &'static str,
        /// Limit.
        max: usize,
        /// Entries found.
        got: usize,
    },
    /// The bytes of a field are not what the field holds (a key off the curve, bad UTF-8).
    #[error("{field}: {problem}")]
    Invalid {
        /// Name of the field.
        field: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A signed body carries fields that this version doesn't know, or isn't encoded as this
    /// version encodes it, so what it means can't be agreed on.
    #[error("{message}: the signed body is not in its canonical encoding")]
    NotCanonical {
        /// Message that was expected.
        message: &'static str,
    },
    /// The signature doesn't fit body and signer, or has a high s.
    #[error("signature: does not verify")]
    Signature,
    /// The other side speaks no version that we speak.
    #[error("version: expected an overlap with {ours}, got {theirs}")]
    Version {
        /// Our range.
        ours: crate::VersionRange,
        /// Theirs.
        theirs: crate::VersionRange,
    },
}

/// Why a byte stream of frames ended before its time. Whoever reads one closes it: what follows can't
/// be understood.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StreamError {
    /// The transport failed.
    #[error("transport: {0}")]
    Transport(#[from] std::io::Error),
    /// The peer sent what it may not: its fault.
    #[error("peer: {0}")]
    Wire(#[from] WireError),
    /// The stream ended inside a frame.
    #[error("expected the rest of a frame, got the end of the stream after {got} bytes")]
    Truncated {
        /// Bytes of the unfinished frame.
        got: usize,
    },
}

/// An inclusive range, in the unit of the field it belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bound {
    /// Smallest allowed value.
    pub min: u64,
    /// Largest allowed value.
    pub max: u64,
}

impl Bound {
    /// Exactly `value`.
    pub const fn exactly(value: u64) -> Self {
        Self { min: value, max: value }
    }

    /// From zero to `max`.
    pub const fn at_most(max: u64) -> Self {
        Self { min: 0, max }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.min == self.max {
            write!(f, "{}", self.min)
        } else {
            write!(f, "{} to {}", self.min, self.max)
        }
    }
}
