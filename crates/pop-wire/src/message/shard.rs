use bytes::Bytes;

use crate::limits::{CONTENT_PATH_LEN_MAX, SEGMENT_PATH_LEN_MAX, SEGMENTS_MAX, SHARD_BYTES_MAX};
use crate::signed::{check_length, check_range};
use crate::{ColumnIndex, ContentId, Digest, RequestId, SegmentIndex, WireError, proto};

/// Ask for one shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GetShard {
    /// Number of the request.
    pub id: RequestId,
    /// Of which content.
    pub content: ContentId,
    /// Which segment.
    pub segment: SegmentIndex,
    /// Which column.
    pub column: ColumnIndex,
    /// Milliseconds from receipt until playback needs it; zero if nothing waits for it.
    pub deadline_ms: u32,
}

impl GetShard {
    pub(super) fn from_proto(get: &proto::GetShard) -> Result<Self, WireError> {
        check_range("get_shard.segment", get.segment, 0, SEGMENTS_MAX - 1)?;
        Ok(Self {
            id: RequestId(get.id),
            content: ContentId::from_wire("get_shard.content", &get.content)?,
            segment: SegmentIndex(get.segment),
            column: ColumnIndex::from_wire("get_shard.column", get.column)?,
            deadline_ms: get.deadline_ms,
        })
    }

    pub(super) fn to_proto(&self) -> proto::GetShard {
        proto::GetShard {
            id: self.id.0,
            content: self.content.to_wire(),
            segment: self.segment.0,
            column: self.column.get().into(),
            deadline_ms: self.deadline_ms,
        }
    }
}

/// A shard with its way up to the manifest's root. Which one it is, the request says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shard {
    /// Number of the request.
    pub id: RequestId,
    /// From the shard to its segment's root, leaf first.
    pub segment_path: Vec<Digest>,
    /// From the segment to the content's root, leaf first.
    pub content_path: Vec<Digest>,
    /// The shard's bytes, not yet verified.
    pub payload: Bytes,
}

impl Shard {
    pub(super) fn from_proto(shard: proto::Shard) -> Result<Self, WireError> {
        check_length("shard.payload", shard.payload.len(), 1, SHARD_BYTES_MAX)?;
        Ok(Self {
            id: RequestId(shard.id),
            segment_path: segment_path("shard.segment_path", &shard.segment_path)?,
            content_path: content_path("shard.content_path", &shard.content_path)?,
            payload: shard.payload,
        })
    }

    pub(super) fn to_proto(&self) -> proto::Shard {
        proto::Shard {
            id: self.id.0,
            segment_path: Digest::path_to_wire(&self.segment_path),
            content_path: Digest::path_to_wire(&self.content_path),
            payload: self.payload.clone(),
        }
    }
}

pub(super) fn segment_path(field: &'static str, bytes: &[u8]) -> Result<Vec<Digest>, WireError> {
    Digest::path_from_wire(field, bytes, SEGMENT_PATH_LEN_MAX)
}

pub(super) fn content_path(field: &'static str, bytes: &[u8]) -> Result<Vec<Digest>, WireError> {
    Digest::path_from_wire(field, bytes, CONTENT_PATH_LEN_MAX)
}

/// A request is not served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// Number of the request.
    pub id: RequestId,
    /// Why.
    pub reason: RefusalReason,
    /// Milliseconds after which trying again makes sense; zero if never.
    pub retry_after_ms: u32,
}

impl Refusal {
    pub(super) fn from_proto(refusal: &proto::Refusal) -> Result<Self, WireError> {
        Ok(Self {
            id: RequestId(refusal.id),
            reason: RefusalReason::from_wire(refusal.reason),
            retry_after_ms: refusal.retry_after_ms,
        })
    }

    pub(super) fn to_proto(self) -> proto::Refusal {
        proto::Refusal {
            id: self.id.0,
            reason: self.reason.to_wire(),
            retry_after_ms: self.retry_after_ms,
        }
    }
}

/// Why a request is not served. Table with what the requester does next: `spec/exchange.md` §6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum RefusalReason {
    /// The content, segment or column is not here. Ask somebody else.
    NotFound,
    /// Too much to do. Ask again after the time given.
    Busy,
    /// The shard was here and the disk lost it. Ask somebody else.
    Damaged,
    /// No room for another column, or a limit on what is stored. Place it elsewhere.
    Full,
    /// The request makes no sense here (an unknown upload, a shard out of order).
    Malformed,
    /// The node takes no columns, or none from this peer.
    NotAccepted,
    /// The peer owes too much. Pay first.
    PaymentDue,
    /// The node is going down. Ask somebody else.
    ShuttingDown,
    /// The requester cancelled it before it was served.
    Cancelled,
    /// A reason that this version doesn't know: treat as [`NotFound`](Self::NotFound).
    Other(u32),
}

impl RefusalReason {
    fn from_wire(code: u32) -> Self {
        match code {
            1 => Self::NotFound,
            2 => Self::Busy,
            3 => Self::Damaged,
            4 => Self::Full,
            5 => Self::Malformed,
            6 => Self::NotAccepted,
            7 => Self::PaymentDue,
            8 => Self::ShuttingDown,
            9 => Self::Cancelled,
            other => Self::Other(other),
        }
    }

    fn to_wire(self) -> u32 {
        match self {
            Self::NotFound => 1,
            Self::Busy => 2,
            Self::Damaged => 3,
            Self::Full => 4,
            Self::Malformed => 5,
            Self::NotAccepted => 6,
            Self::PaymentDue => 7,
            Self::ShuttingDown => 8,
            Self::Cancelled => 9,
            Self::Other(code) => code,
        }
    }
}

impl core::fmt::Display for RefusalReason {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::NotFound => f.write_str("not found"),
            Self::Busy => f.write_str("busy"),
            Self::Damaged => f.write_str("damaged"),
            Self::Full => f.write_str("full"),
            Self::Malformed => f.write_str("malformed"),
            Self::NotAccepted => f.write_str("not accepted"),
            Self::PaymentDue => f.write_str("payment due"),
            Self::ShuttingDown => f.write_str("shutting down"),
            Self::Cancelled => f.write_str("cancelled"),
            Self::Other(code) => write!(f, "reason {code}"),
        }
    }
}

/// A request is no longer wanted; the answer may already be on its way. A shard comes whole or not
/// at all, so there is no part of it to report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cancel {
    /// Number of the request.
    pub id: RequestId,
}
