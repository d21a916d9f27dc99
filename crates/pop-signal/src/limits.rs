//! Every bound of signalling, with the section of `spec/signal.md` that sets it.

/// Bytes of the body of a handshake frame (§2).
pub const HANDSHAKE_FRAME_BYTES_MAX: usize = 256;

/// Time in which a handshake must be over, in milliseconds (§2).
pub const HANDSHAKE_TIMEOUT_MS: u64 = 5_000;

/// Bytes of a channel binding (§2).
pub const CHANNEL_BINDING_BYTES_MAX: usize = 256;

/// Bytes of a session description (§5): what fits into the largest envelope.
pub const SDP_BYTES_MAX: usize = 15 * 1024;
