//! What the gateway asks of the node: open a content, read a range of it.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use pop_erasure::ContentKey;
use pop_wire::{ContentId, SegmentIndex};

/// Finds contents in the network.
pub trait ContentOpener: Send + Sync {
    /// Finds the manifest of `content` and checks `key` against it. The response's headers wait
    /// for this and for nothing else.
    fn open(
        &self,
        content: ContentId,
        key: ContentKey,
    ) -> BoxFuture<'_, Result<Arc<dyn ContentSource>, OpenError>>;
}

/// One opened content.
pub trait ContentSource: Send + Sync {
    /// Length of the plaintext, in bytes.
    fn length_bytes(&self) -> u64;

    /// Media type as the manifest has it; empty if unknown.
    fn media_type(&self) -> &str;

    /// The plaintext bytes of `range`, in order and nothing else. `range` is within the length
    /// and not empty. Fetching starts with the first poll at the latest, and stops when the
    /// stream is dropped.
    fn read(&self, range: Range<u64>) -> BoxStream<'static, Result<Bytes, ReadError>>;
}

/// Why a content cannot be opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// No reachable node knows it.
    #[error("no reachable node knows this content")]
    UnknownContent,
    /// The key does not fit the manifest's commitment.
    #[error("the key does not open this content")]
    WrongKey,
    /// Its holders are not there.
    #[error("expected {needed} holders to be reachable, got {reachable}")]
    NotEnoughHolders {
        /// Columns that can be reached.
        reachable: u16,
        /// Columns needed: k.
        needed: u16,
    },
    /// The node is shutting down.
    #[error("the node is shutting down")]
    ShuttingDown,
}

/// Why a body breaks off.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// Too few holders of a segment are left.
    #[error("{segment}: expected {needed} holders to be reachable, got {reachable}")]
    NotEnoughHolders {
        /// The segment that cannot be rebuilt.
        segment: SegmentIndex,
        /// Columns that can be reached.
        reachable: u16,
        /// Columns needed: k.
        needed: u16,
    },
    /// The shards fit the manifest and still give no plaintext: the publisher lied.
    #[error("{segment} does not open: its publisher has committed to something else")]
    Unopenable {
        /// The segment.
        segment: SegmentIndex,
    },
    /// The source gave more or fewer bytes than the range has: a fault of this node.
    #[error("expected {expected} more bytes, got {got}")]
    WrongLength {
        /// Bytes of the range that were still to come.
        expected: u64,
        /// Bytes that came.
        got: u64,
    },
    /// The node is shutting down.
    #[error("the node is shutting down")]
    ShuttingDown,
}
