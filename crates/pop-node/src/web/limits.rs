//! Bounds of the endpoints for browsers, with the section of `spec/exchange.md` that sets those
//! that a peer can see.

use std::time::Duration;

/// Links open at once, over all browsers: sockets, and channels of WebRTC sessions (§2.1).
pub(super) const LINKS_MAX: usize = 1_024;

/// Links open at once from one /32 of IPv4 or one /56 of IPv6: some tabs of some people behind one
/// address (§2.1).
pub(super) const LINKS_PER_PREFIX_MAX: usize = 64;

/// Links whose other end has not proven yet who it is.
pub(super) const STRANGERS_MAX: usize = 128;

/// From the connection to the end of the upgrade to a WebSocket.
pub(super) const UPGRADE_TIMEOUT: Duration = Duration::from_secs(10);

/// Bytes of a WebSocket message that we take (§2.1).
pub(super) const SOCKET_MESSAGE_BYTES_MAX: usize = 256 * 1024;

/// Bytes of a WebSocket message that we send: large enough to cost little a byte, small enough
/// that a browser has its first shard soon.
pub(super) const SOCKET_MESSAGE_BYTES_SENT: usize = 64 * 1024;

/// Bytes that wait in a socket to be taken by the operating system. Behind them, writing waits.
pub(super) const SOCKET_WRITE_BUFFER_BYTES: usize = 128 * 1024;

/// Bytes read from a socket at once; allocated for each socket.
pub(super) const SOCKET_READ_BUFFER_BYTES: usize = 8 * 1024;

/// How often a silent socket is pinged.
pub(super) const PING_INTERVAL: Duration = Duration::from_secs(20);

/// Pings that a socket may leave unanswered (§2.1).
pub(super) const PINGS_UNANSWERED_MAX: u32 = 3;

/// Time that one request to the ledger has, from its first byte to the last of its reply.
pub(super) const LEDGER_REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// Masternodes named by `GET /api/v1/web`.
pub(super) const ENTRIES_MAX: usize = 16;

/// Pause after the operating system refused to accept.
pub(super) const ACCEPT_RETRY: Duration = Duration::from_millis(200);
