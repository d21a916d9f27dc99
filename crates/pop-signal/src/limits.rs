//! Every bound of signalling, with the section of `spec/signal.md` that sets it.

/// Bytes of the body of a handshake frame (§2).
pub const HANDSHAKE_FRAME_BYTES_MAX: usize = 256;

/// Time in which a handshake must be over, in milliseconds (§2).
pub const HANDSHAKE_TIMEOUT_MS: u64 = 5_000;

/// Bytes of a channel binding (§2).
pub const CHANNEL_BINDING_BYTES_MAX: usize = 256;

/// Bytes of a relay frame that carries no envelope, its length prefix included (§6).
pub const FRAME_CONTROL_BYTES: usize = 256;

/// Bytes of a relay frame with a small envelope, its length prefix included (§6).
pub const FRAME_SMALL_BYTES: usize = 1_024;

/// Bytes of a relay frame with a medium envelope, its length prefix included (§6).
pub const FRAME_MEDIUM_BYTES: usize = 4_096;

/// Bytes of a relay frame with a large envelope, its length prefix included (§6). Two bytes of
/// prefix reach just over it.
pub const FRAME_LARGE_BYTES: usize = 16_384;

/// Bytes of a relay frame that are not the envelope's (§6).
pub const FRAME_HEADER_BYTES: usize = 128;

/// Bytes of a small envelope (§3).
pub const ENVELOPE_SMALL_BYTES: usize = FRAME_SMALL_BYTES - FRAME_HEADER_BYTES;

/// Bytes of a medium envelope (§3).
pub const ENVELOPE_MEDIUM_BYTES: usize = FRAME_MEDIUM_BYTES - FRAME_HEADER_BYTES;

/// Bytes of a large envelope (§3).
pub const ENVELOPE_LARGE_BYTES: usize = FRAME_LARGE_BYTES - FRAME_HEADER_BYTES;

/// Bytes of an envelope that are neither the letter's nor padding: version, public key, tag (§3).
pub const ENVELOPE_OVERHEAD_BYTES: usize = 1 + 32 + 16;

/// Bytes of a letter before its body (§3).
pub const LETTER_HEADER_BYTES: usize = 224;

/// Bytes of a letter's body (§3).
pub const LETTER_BODY_BYTES_MAX: usize =
    ENVELOPE_LARGE_BYTES - ENVELOPE_OVERHEAD_BYTES - LETTER_HEADER_BYTES;

/// Longest life of a letter or a note of presence, in seconds (§3).
pub const LETTER_LIFE_S_MAX: u64 = 120;

/// How far the clocks of two peers may be apart, in seconds (§3).
pub const CLOCK_SKEW_S: u64 = 60;

/// Seconds for which a topic holds (§4).
pub const TOPIC_EPOCH_S: u64 = 3_600;

/// Seconds around the change of a topic in which both hold (§4).
pub const TOPIC_GRACE_S: u64 = 180;

/// Bytes of a session description (§5): what fits into the largest envelope.
pub const SDP_BYTES_MAX: usize = 15 * 1024;

/// Longest wait that a relay asks of a client, in milliseconds (§6).
pub const RETRY_AFTER_MS_MAX: u32 = 60_000;
