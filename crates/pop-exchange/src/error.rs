use pop_wire::{Bound, ColumnIndex, SegmentIndex};

use crate::LinkId;

/// Local misuse: the caller of a machine broke its contract. A peer's fault is never an error
/// but an event that names the peer and the rule it broke ([`Fault`](crate::Fault)).
///
/// The machine is unchanged after an error and can be used on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The link is up already; every link needs a number of its own.
    #[error("{link}: already up")]
    LinkInUse {
        /// The link.
        link: LinkId,
    },
    /// No store operation with this token is under way.
    #[error("store token {token}: not under way")]
    UnknownToken {
        /// Number of the token.
        token: u64,
    },
    /// A store operation ended with the result of another kind of operation.
    #[error("store token {token}: expected the result of {expected}")]
    WrongResult {
        /// Number of the token.
        token: u64,
        /// The operation that was asked for.
        expected: &'static str,
    },
    /// A stored shard is longer than any shard can be.
    #[error("store token {token}: expected a shard of at most {max} bytes, got {got}")]
    ShardTooLong {
        /// Number of the token.
        token: u64,
        /// Limit in bytes.
        max: usize,
        /// Bytes handed in.
        got: usize,
    },
    /// More messages were reported as flushed than were sent.
    #[error("{link}: expected at most {sent} flushed messages, got {got}")]
    FlushedTooMuch {
        /// The link.
        link: LinkId,
        /// Messages sent and not yet reported.
        sent: usize,
        /// Messages reported.
        got: usize,
    },
    /// More contents were announced than a viewer may announce at once.
    #[error("expected at most {max} contents to be announced")]
    TooManyContents {
        /// Limit.
        max: usize,
    },
    /// A challenge that fits no message.
    #[error("challenge: expected 1 to {max} bytes, got {got}")]
    ChallengeLength {
        /// Longest.
        max: usize,
        /// What it has.
        got: usize,
    },
    /// A payment message is empty or too long.
    #[error("expected a payment of 1 to {max} bytes, got {got}")]
    PaymentLength {
        /// Limit in bytes.
        max: usize,
        /// Bytes handed in.
        got: usize,
    },
    /// The other side of the link has not said hello yet.
    #[error("{link}: expected a hello first")]
    NotGreeted {
        /// The link.
        link: LinkId,
    },
    /// A setting is out of range.
    #[error("{field}: expected {expected}, got {got}")]
    Setting {
        /// Name of the field.
        field: &'static str,
        /// Values that work.
        expected: Bound,
        /// Value found.
        got: u64,
    },
    /// The content has no such segment.
    #[error("{segment}: expected less than {count} segments")]
    NoSuchSegment {
        /// First segment that doesn't exist.
        segment: SegmentIndex,
        /// Segments of the content.
        count: u64,
    },
    /// A shard was handed to an uploader that had not asked for it, or that is not of the content.
    #[error("{segment}, {column}: not asked for")]
    ShardNotNeeded {
        /// Segment handed in.
        segment: SegmentIndex,
        /// Column handed in.
        column: ColumnIndex,
    },
    /// The manifest describes a content that cannot exist.
    #[error("manifest: {0}")]
    Manifest(&'static str),
}
