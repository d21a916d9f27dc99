//! Every bound of the wire format, in one place. Normative table: `spec/wire.md` §7.

/// Bytes of a frame's body, the length prefix not counted: the largest shard with the longest
/// proof, and room for the fields around them.
pub const FRAME_BYTES_MAX: usize = SHARD_BYTES_MAX + 16 * 1024;

/// Bytes of one shard.
pub const SHARD_BYTES_MAX: usize = 256 * 1024;

/// Shards of a segment: the code works in GF(2^8), see `spec/content.md` §3.
pub const TOTAL_SHARDS_MAX: u16 = 255;

/// Fewest data shards: with one, every holder has everything.
pub const DATA_SHARDS_MIN: u16 = 2;

/// Hashes of a segment path: ceil(log2(255)).
pub const SEGMENT_PATH_LEN_MAX: usize = 8;

/// Hashes of a content path: ceil(log2(`SEGMENTS_MAX`)).
pub const CONTENT_PATH_LEN_MAX: usize = 32;

/// Segments of one content.
pub const SEGMENTS_MAX: u64 = 1 << 32;

/// Bytes of a content's plaintext: 1 PiB.
pub const CONTENT_BYTES_MAX: u64 = 1 << 50;

/// Bytes of a media type.
pub const MEDIA_TYPE_BYTES_MAX: usize = 64;

/// Bytes of a signed body in a DHT record (manifest, provider, masternode).
pub const RECORD_BODY_BYTES_MAX: usize = 2048;

/// Bytes of a signed envelope: the body, a signature and their headers.
pub const ENVELOPE_BYTES_MAX: usize = RECORD_BODY_BYTES_MAX + 128;

/// Addresses in one record.
pub const ADDRESSES_MAX: usize = 8;

/// Bytes of one multiaddr.
pub const ADDRESS_BYTES_MAX: usize = 128;

/// Bytes of a reference to collateral on a ledger.
pub const COLLATERAL_BYTES_MAX: usize = 64;

/// Longest life of a record: 48 hours, in seconds (the provider record's life in IPFS).
pub const RECORD_LIFE_S_MAX: u64 = 48 * 60 * 60;

/// Entries of one record bundle.
pub const BUNDLE_ENTRIES_MAX: usize = 256;

/// Bytes of one record bundle, so that a DHT reply of it fits a 64 KiB packet.
pub const BUNDLE_BYTES_MAX: usize = 60 * 1024;

/// Masternode records in one peer-exchange reply.
pub const PEERS_MAX: usize = 64;

/// Provider records in one list of holders, and masternode records in it.
pub const HOLDERS_MAX: usize = 64;

/// Ranges of segments in one announcement.
pub const AVAILABLE_RANGES_MAX: usize = 512;

/// Bytes of the free-text agent in a hello.
pub const AGENT_BYTES_MAX: usize = 64;

/// Credit that one message may grant.
pub const CREDIT_BYTES_MAX: u64 = 1 << 30;

/// Bytes of the body of one payment message; at least 1.
pub const PAYMENT_BODY_BYTES_MAX: usize = 1024;

/// Bytes of the challenge of one audit; at least 1.
pub const AUDIT_CHALLENGE_BYTES_MAX: usize = 128;

/// Bytes of the answer to one audit; at least 1.
pub const AUDIT_ANSWER_BYTES_MAX: usize = 256;

/// Bytes of an equivocation proof: k shards with their paths, and room to spare.
pub const EQUIVOCATION_PROOF_BYTES_MAX: usize =
    (TOTAL_SHARDS_MAX as usize + 1) * (SHARD_BYTES_MAX + 512) + 8 * 1024;
