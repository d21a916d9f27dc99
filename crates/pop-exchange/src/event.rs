//! What the machines of this crate have in common: links, shards on their way, faults of peers.

use core::fmt;

use bytes::Bytes;
use pop_erasure::VerifiedShard;
use pop_wire::{ColumnIndex, Digest, RequestId, SegmentIndex, VersionRange};

/// Number of a link: one byte stream (or message channel) to one peer. The shell gives it and
/// never gives it again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u64);

impl fmt::Display for LinkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "link {}", self.0)
    }
}

/// A shard with its way up to the manifest's root, as a store keeps it and an upload carries it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardWithProof {
    /// The shard's bytes.
    pub payload: Bytes,
    /// From the shard to its segment's root, leaf first.
    pub segment_path: Vec<Digest>,
    /// From the segment to the content's root, leaf first.
    pub content_path: Vec<Digest>,
}

impl From<&VerifiedShard> for ShardWithProof {
    fn from(shard: &VerifiedShard) -> Self {
        Self {
            payload: shard.payload().clone(),
            segment_path: shard.segment_path().to_vec(),
            content_path: shard.content_path().to_vec(),
        }
    }
}

/// The rule that a peer broke. Its link is closed; `spec/exchange.md` §11 lists the rules.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// Its first message was not a hello.
    #[error("expected a hello first, got {got}")]
    NoHello {
        /// Kind of the message.
        got: &'static str,
    },
    /// It said hello twice.
    #[error("expected one hello, got another")]
    HelloTwice,
    /// It said nothing for too long after the link was up.
    #[error("expected a hello within {limit_ms} ms")]
    HelloLate {
        /// Limit in milliseconds.
        limit_ms: u64,
    },
    /// It speaks no version that we speak.
    #[error("expected a version of {ours}, got {theirs}")]
    Version {
        /// What we speak.
        ours: VersionRange,
        /// What it speaks.
        theirs: VersionRange,
    },
    /// A message that this side of a link never receives.
    #[error("expected no {got} on this side of a link")]
    Unexpected {
        /// Kind of the message.
        got: &'static str,
    },
    /// It sent more payload than it had credit for.
    #[error("expected at most {credit_bytes} bytes of payload, got {got}")]
    CreditExceeded {
        /// Credit it had, in bytes.
        credit_bytes: u64,
        /// Payload of the message, in bytes.
        got: u64,
    },
    /// It granted more credit than a link may have.
    #[error("expected at most {max} bytes of credit")]
    CreditOverflow {
        /// Limit in bytes.
        max: u64,
    },
    /// It used the number of an open request again.
    #[error("{id}: already open")]
    DuplicateRequest {
        /// The number.
        id: RequestId,
    },
    /// It answered what nobody asked, or the same question twice.
    #[error("{id}: expected no answer")]
    UnaskedAnswer {
        /// Number in the answer.
        id: RequestId,
    },
    /// Its answer is of another kind than the question.
    #[error("{id}: expected {expected}, got {got}")]
    WrongAnswer {
        /// Number in the answer.
        id: RequestId,
        /// Kind that answers the question.
        expected: &'static str,
        /// Kind that came.
        got: &'static str,
    },
    /// A shard doesn't fit the manifest: flipped bits, another column, segment or content, or a
    /// wrong proof.
    #[error("{segment}, {column}: the shard does not fit the manifest")]
    BadShard {
        /// Segment that it should have been of.
        segment: SegmentIndex,
        /// Column that it should have been of.
        column: ColumnIndex,
    },
    /// A manifest is not signed by its publisher, or is not the one asked for.
    #[error("{id}: the manifest does not verify")]
    BadManifest {
        /// Number of the request or upload.
        id: RequestId,
    },
    /// A shard of an upload came out of order.
    #[error("expected {expected}, got {got}")]
    OutOfOrder {
        /// Segment that is next.
        expected: SegmentIndex,
        /// Segment that came.
        got: SegmentIndex,
    },
    /// It asked and neither read the answers nor granted credit for them.
    #[error("expected answers to be read within {limit_ms} ms")]
    NotReading {
        /// Limit in milliseconds.
        limit_ms: u64,
    },
    /// It asked on and on without reading the answers.
    #[error("expected at most {max} unread answers")]
    Flood {
        /// Limit in messages.
        max: usize,
    },
    /// It announced segments without end.
    #[error("expected at most {burst} announcements at once")]
    AnnouncementFlood {
        /// Announcements that are allowed without any pause.
        burst: u64,
    },
    /// It announced a segment that the content doesn't have.
    #[error("announced {segment}: expected less than {count} segments")]
    NoSuchSegment {
        /// The last that it announced.
        segment: SegmentIndex,
        /// Segments of the content.
        count: u64,
    },
    /// It sent more payment messages than time and payload allow.
    #[error("expected at most {burst} payment messages at once")]
    PaymentFlood {
        /// Messages that are allowed without any payload.
        burst: u64,
    },
}
