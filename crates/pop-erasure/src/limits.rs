//! Every bound of the content layer, with the section of `spec/content.md` that sets it.
//!
//! Bounds that the wire format shares (shards, shard length, segments, proof size) are in
//! [`pop_wire::limits`].

/// Fewest masternodes a network needs before anything may be published into it (§3.2).
pub const NODES_MIN: u32 = 3;

/// Part of the masternodes whose simultaneous loss must be survived, in ten-thousandths (§3.2).
pub const LOSS_PER_TEN_THOUSAND: u64 = 2957;

/// Highest probability of losing a content that the random promise allows (§3.2).
pub const LOSS_PROBABILITY_MAX: f64 = 1e-9;

/// Most shards (n) that [`Geometry::for_network`](crate::Geometry::for_network) chooses, and
/// those it takes where the deterministic promise would leave too few data shards (§3.2).
pub const WIDE_TOTAL_SHARDS: u16 = 80;

/// Data shards (k) in a network that is too large for the deterministic promise (§3.2).
pub const WIDE_DATA_SHARDS: u16 = 30;

/// Default shard length, in bytes (§4.1).
pub const SHARD_BYTES_DEFAULT: u32 = 32 * 1024;

/// Shard length for short or slow media, in bytes (§4.1).
pub const SHARD_BYTES_SHORT: u32 = 16 * 1024;

/// Every shard length is a multiple of this, in bytes (§4).
pub const SHARD_BYTES_GRAIN: u32 = 64;

/// With fewer segments than this at the default shard length, the short one is chosen (§4.1).
pub const SEGMENTS_WANTED: u64 = 16;

/// With more media than this in a segment, in milliseconds, the short length is chosen (§4.1).
pub const SEGMENT_DURATION_MS_MAX: u64 = 4_000;

/// AES-GCM tag at the end of a segment's ciphertext, in bytes (§5).
pub const TAG_BYTES: u32 = 16;

/// Segments on their way through the encoder, at most (§9).
pub const RUNNING_SEGMENTS_MAX: usize = 32;

/// Shards of these segments, in bytes, unless a single segment is longer (§9).
pub const RUNNING_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Longest link, in characters (§7).
pub const LINK_CHARS_MAX: usize = 128;
