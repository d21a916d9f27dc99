//! What can go wrong, and whose fault it is.

use pop_wire::{ColumnIndex, ContentId, SegmentIndex, WireError};

use crate::EquivocationProof;

/// A geometry was refused. The caller's fault, or the publisher's when it stands in a manifest.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum GeometryError {
    /// More data shards than shards.
    #[error("geometry: expected k of at most n = {n}, got k = {k}")]
    MoreDataThanShards {
        /// Shards needed.
        k: u16,
        /// Shards there are.
        n: u16,
    },
    /// Every shard is needed, so no loss is survived.
    #[error("geometry: expected n above k = {k}, got n = {k}: no loss would be survived")]
    NoParity {
        /// Shards needed, and shards there are.
        k: u16,
    },
    /// Too few data shards: with one, every holder would keep everything.
    #[error("geometry: expected k of at least {minimum}, got k = {k}")]
    TooFewDataShards {
        /// Fewest allowed.
        minimum: u16,
        /// Shards needed.
        k: u16,
    },
    /// More shards than the field has evaluation points.
    #[error("geometry: expected n of at most {maximum}, got n = {n}")]
    TooManyShards {
        /// Most allowed.
        maximum: u16,
        /// Shards there are.
        n: u16,
    },
    /// Fewer masternodes than columns, so that one node would hold several.
    #[error("geometry: expected at least {needed} masternodes, got {nodes}")]
    TooFewNodes {
        /// Masternodes needed.
        needed: u32,
        /// Masternodes there are.
        nodes: u32,
    },
    /// Neither durability promise holds in a network of this size.
    #[error(
        "geometry: ({k}, {n}) on {nodes} nodes survives the loss of {tolerated} columns, but \
         {lost_nodes} nodes (29.57 %) may go; expected a loss probability of at most 1e-9, got \
         {loss_probability:.1e}"
    )]
    NotDurable {
        /// Shards needed.
        k: u16,
        /// Shards there are.
        n: u16,
        /// Masternodes there are.
        nodes: u32,
        /// Masternodes that may go at once.
        lost_nodes: u32,
        /// Columns that may go.
        tolerated: u16,
        /// Probability of losing the content when that many nodes go at random.
        loss_probability: f64,
    },
}

/// A length, shard length and geometry that do not go together. The caller's fault, or the
/// publisher's when they stand in a manifest.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum LayoutError {
    /// The geometry is impossible.
    #[error(transparent)]
    Geometry(#[from] GeometryError),
    /// The shard length is zero, too long, or no multiple of the grain.
    #[error("shard length: expected a multiple of {grain} of at most {maximum}, got {shard_bytes}")]
    ShardBytes {
        /// Shard lengths are multiples of this.
        grain: u32,
        /// Longest shard.
        maximum: usize,
        /// Length found.
        shard_bytes: u32,
    },
    /// The content is longer than the format allows.
    #[error("content: expected at most {maximum_bytes} bytes, got {length_bytes}")]
    TooLong {
        /// Longest content.
        maximum_bytes: u64,
        /// Length found.
        length_bytes: u64,
    },
    /// The content has more segments than the format allows.
    #[error("content: expected at most {maximum} segments, got {segments}")]
    TooManySegments {
        /// Most segments.
        maximum: u64,
        /// Segments found.
        segments: u64,
    },
}

/// Why a shard from a peer is refused. Whoever sent it is at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ShardFault {
    /// The content has no such segment.
    #[error("shard: expected one of {segments} segments, got {segment}")]
    NoSuchSegment {
        /// Segments there are.
        segments: u64,
        /// Segment claimed.
        segment: SegmentIndex,
    },
    /// The content has no such column.
    #[error("shard: expected one of {columns} columns, got {column}")]
    NoSuchColumn {
        /// Columns there are.
        columns: u16,
        /// Column claimed.
        column: ColumnIndex,
    },
    /// The shard is shorter or longer than its segment's shards.
    #[error("shard: expected {expected} bytes, got {got}")]
    Length {
        /// Length of the segment's shards.
        expected: u32,
        /// Length found.
        got: usize,
    },
    /// The path from the shard to its segment's root has the wrong length.
    #[error("segment path: expected {expected} hashes, got {got}")]
    SegmentPath {
        /// Hashes needed.
        expected: usize,
        /// Hashes found.
        got: usize,
    },
    /// The path from the segment to the content's root has the wrong length.
    #[error("content path: expected {expected} hashes, got {got}")]
    ContentPath {
        /// Hashes needed.
        expected: usize,
        /// Hashes found.
        got: usize,
    },
    /// Shard and paths do not lead to the root that the publisher signed: a bit is wrong, or it
    /// is another column's, segment's or content's shard.
    #[error("shard: {column} of {segment} is not what the publisher signed")]
    NotCommitted {
        /// Segment claimed.
        segment: SegmentIndex,
        /// Column claimed.
        column: ColumnIndex,
    },
}

/// Publishing went wrong. The caller's fault.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// Length, shard length or geometry.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// More was reported written than there was room for.
    #[error("encoder: expected at most {room} bytes written, got {written}")]
    NoRoom {
        /// Bytes there was room for.
        room: usize,
        /// Bytes claimed.
        written: usize,
    },
    /// Bytes came after the end of the content was declared.
    #[error("encoder: expected nothing after the end, got {got} bytes")]
    AfterEnd {
        /// Bytes that came.
        got: usize,
    },
    /// The encoder was finished before its end was declared, or before every segment was polled.
    #[error("encoder: expected the end and every segment polled before finishing")]
    NotDrained,
    /// The manifest can't be signed.
    #[error("manifest: {0}")]
    Manifest(#[from] WireError),
}

/// The key is not the one the publisher committed to. Found before anything is decrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("content key: not the key of {content}")]
pub struct WrongKey {
    /// The content that was to be opened.
    pub content: ContentId,
}

/// A segment could not be rebuilt, by a viewer or for a repair.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The content has no such segment, or the range ends behind the content. The caller's fault.
    #[error("range: expected an end of at most {length_bytes}, got {end}")]
    OutOfRange {
        /// Length of the content, in bytes; or its segments, if a segment was asked for.
        length_bytes: u64,
        /// End of what was asked for.
        end: u64,
    },
    /// A column was asked for that the content has not. The caller's fault.
    #[error("column: expected one of {columns}, got {column}")]
    NoSuchColumn {
        /// Columns there are.
        columns: u16,
        /// Column asked for.
        column: ColumnIndex,
    },
    /// Fewer different shards than k. Get more.
    #[error("{segment}: expected {needed} shards, got {got}")]
    TooFewShards {
        /// The segment.
        segment: SegmentIndex,
        /// Different shards needed.
        needed: u16,
        /// Different shards given.
        got: usize,
    },
    /// A shard of another segment or content was given. The caller's fault.
    #[error("expected shards of {segment}, got one of {got} or of another content")]
    ForeignShard {
        /// Segment to rebuild.
        segment: SegmentIndex,
        /// Segment of the shard.
        got: SegmentIndex,
    },
    /// The publisher signed shards that are no codeword: different holders would give different
    /// bytes. The proof convinces anybody.
    #[error("{}: the publisher signed shards that contradict each other", .0.segment())]
    Equivocation(Box<EquivocationProof>),
    /// The ciphertext is what the publisher signed, but it is not sealed under the content key.
    /// The publisher's fault. Nothing more is said on purpose.
    #[error("{0}: can't be opened")]
    Unsealable(SegmentIndex),
}

/// An equivocation proof proves nothing. Whoever sent it is at fault.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ProofError {
    /// The proof or its manifest can't be read, or its signature is wrong.
    #[error("proof: {0}")]
    Wire(#[from] WireError),
    /// The manifest describes an impossible content. It proves no contradiction.
    #[error("proof: {0}")]
    Layout(#[from] LayoutError),
    /// A shard in it is not what the publisher signed.
    #[error("proof: {0}")]
    Shard(#[from] ShardFault),
    /// It does not carry exactly k different shards.
    #[error("proof: expected {needed} different shards, got {got}")]
    ShardCount {
        /// Shards needed: k.
        needed: u16,
        /// Different shards there are.
        got: usize,
    },
    /// Its shards are part of a codeword: the publisher was honest.
    #[error("proof: the shards agree with what the publisher signed")]
    Consistent,
}

/// A text is no link. Whoever wrote or pasted it is at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// It doesn't begin with `pop:`.
    #[error("link: expected it to begin with `pop:`")]
    WrongScheme,
    /// The end is missing: the content id or the key has too few characters.
    #[error("link: {part} is cut off: expected {expected} characters, got {got}")]
    Truncated {
        /// The part that is too short.
        part: &'static str,
        /// Characters it has when whole.
        expected: usize,
        /// Characters found.
        got: usize,
    },
    /// The content id is none.
    #[error("link: not a content id")]
    BadContentId,
    /// The key is none.
    #[error("link: not a content key")]
    BadKey,
    /// There is something after the content id that is no key.
    #[error("link: expected `?k=` after the content id, or nothing")]
    UnknownParameter,
    /// It is longer than any link.
    #[error("link: expected at most {maximum} characters, got {got}")]
    TooLong {
        /// Longest link.
        maximum: usize,
        /// Length found.
        got: usize,
    },
}
