use bytes::Bytes;

use super::shard::{content_path, segment_path};
use crate::limits::{SEGMENTS_MAX, SHARD_BYTES_MAX};
use crate::signed::{check_length, check_range};
use crate::{ColumnIndex, Digest, Manifest, RequestId, SegmentIndex, Signed, WireError, proto};

/// Ask a masternode to keep one column of a content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenColumn {
    /// Number of the upload; all its messages carry it.
    pub id: RequestId,
    /// The content, not yet verified.
    pub manifest: Signed<Manifest>,
    /// Which column.
    pub column: ColumnIndex,
}

impl OpenColumn {
    pub(super) fn from_proto(open: proto::OpenColumn) -> Result<Self, WireError> {
        Ok(Self {
            id: RequestId(open.id),
            manifest: Signed::decode(open.manifest)?,
            column: ColumnIndex::from_wire("open_column.column", open.column)?,
        })
    }

    pub(super) fn to_proto(&self) -> proto::OpenColumn {
        proto::OpenColumn {
            id: self.id.0,
            manifest: self.manifest.encode(),
            column: self.column.get().into(),
        }
    }
}

/// One shard of an open column. Segments come in ascending order, from the reply's next one on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PutShard {
    /// Number of the upload.
    pub id: RequestId,
    /// Which segment.
    pub segment: SegmentIndex,
    /// From the shard to its segment's root, leaf first.
    pub segment_path: Vec<Digest>,
    /// From the segment to the content's root, leaf first.
    pub content_path: Vec<Digest>,
    /// The shard's bytes, not yet verified.
    pub payload: Bytes,
}

impl PutShard {
    pub(super) fn from_proto(put: proto::PutShard) -> Result<Self, WireError> {
        check_range("put_shard.segment", put.segment, 0, SEGMENTS_MAX - 1)?;
        check_length("put_shard.payload", put.payload.len(), 1, SHARD_BYTES_MAX)?;
        Ok(Self {
            id: RequestId(put.id),
            segment: SegmentIndex(put.segment),
            segment_path: segment_path("put_shard.segment_path", &put.segment_path)?,
            content_path: content_path("put_shard.content_path", &put.content_path)?,
            payload: put.payload,
        })
    }

    pub(super) fn to_proto(&self) -> proto::PutShard {
        proto::PutShard {
            id: self.id.0,
            segment: self.segment.0,
            segment_path: Digest::path_to_wire(&self.segment_path),
            content_path: Digest::path_to_wire(&self.content_path),
            payload: self.payload.clone(),
        }
    }
}

/// The column is complete: make it durable, then answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SealColumn {
    /// Number of the upload.
    pub id: RequestId,
}

/// How far an upload got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ColumnReply {
    /// Number of the upload.
    pub id: RequestId,
    /// Open, or stored.
    pub state: ColumnState,
    /// Every segment below was verified and written; send from here on.
    pub next_segment: SegmentIndex,
}

/// State of an upload as its holder sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnState {
    /// Shards are taken.
    Open,
    /// The whole column is on disk and will survive a crash.
    Stored,
}

impl ColumnReply {
    pub(super) fn from_proto(reply: &proto::ColumnReply) -> Result<Self, WireError> {
        check_range("column_reply.state", reply.state.into(), 1, 2)?;
        check_range("column_reply.next_segment", reply.next_segment, 0, SEGMENTS_MAX)?;
        let state = if reply.state == 1 { ColumnState::Open } else { ColumnState::Stored };
        let next_segment = SegmentIndex(reply.next_segment);
        Ok(Self { id: RequestId(reply.id), state, next_segment })
    }

    pub(super) fn to_proto(self) -> proto::ColumnReply {
        let state = match self.state {
            ColumnState::Open => 1,
            ColumnState::Stored => 2,
        };
        proto::ColumnReply { id: self.id.0, state, next_segment: self.next_segment.0 }
    }
}
