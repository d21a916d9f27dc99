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

/// WebRTC sessions at once (§2.2). Each may hold [`SESSION_BUFFER_BYTES`] on their way out.
pub(super) const SESSIONS_MAX: usize = 256;

/// Bytes of a session that SCTP has and the browser has not acknowledged: at 60 ms of round trip
/// it is 70 Mbit/s.
pub(super) const SESSION_BUFFER_BYTES: usize = 512 * 1024;

/// From a session's first datagram to a proof of who it is, on any of its channels (§2.2).
pub(super) const SESSION_PROOF_TIMEOUT: Duration = Duration::from_secs(15);

/// A session of which nothing is heard for so long has ended (§2.2). Browsers check every few
/// seconds whether we are there.
pub(super) const SESSION_SILENCE_MAX: Duration = Duration::from_secs(30);

/// Addresses from which one session may come (§2.2).
pub(super) const SESSION_ADDRESSES_MAX: usize = 8;

/// Bytes of a datagram that we take; what is longer is cut, and fails to authenticate.
pub(super) const DATAGRAM_BYTES_MAX: usize = 2_048;

/// Datagrams that wait for one session.
pub(super) const DATAGRAMS_WAITING_MAX: usize = 256;

/// Datagrams that a session takes before it looks after its links again.
pub(super) const DATAGRAMS_PER_TURN_MAX: usize = 32;

/// Bytes of a data channel's message that we take (§2.2).
pub(super) const CHANNEL_MESSAGE_BYTES_MAX: u32 = 64 * 1024;

/// Bytes of a data channel's message that we send (§2.2).
pub(super) const CHANNEL_MESSAGE_BYTES_SENT: usize = 16 * 1024;

/// Bytes between a session and each direction of a channel's link.
pub(super) const CHANNEL_PIPE_BYTES: usize = 64 * 1024;

/// Bytes of a channel that came and nobody has read yet (§2.2): more than all requests that may be
/// open at once.
pub(super) const CHANNEL_UNREAD_BYTES_MAX: usize = 512 * 1024;

/// Lookups of holders that this node makes for others at once.
pub(super) const LOOKUPS_MAX: usize = 64;

/// Lookups that one prefix may ask for at once, and how many come back a second.
pub(super) const LOOKUPS_PER_PREFIX_BURST: u64 = 32;

/// See [`LOOKUPS_PER_PREFIX_BURST`].
pub(super) const LOOKUPS_PER_PREFIX_PER_S: u64 = 1;

/// How long a lookup waits for the DHT: well below the time in which it must be answered.
pub(super) const LOOKUP_TIMEOUT: Duration = Duration::from_secs(6);

/// How long the answer to a lookup is good for others who ask the same, in milliseconds.
pub(super) const LOOKUP_CACHE_MS: u64 = 5_000;

/// Answers that are kept so long.
pub(super) const LOOKUPS_CACHED_MAX: usize = 256;

/// Records of each kind in an answer (`spec/exchange.md` §9).
pub(super) const HOLDERS_MAX: usize = 64;

/// Frames that wait for one link of the relay. What is beyond is dropped: nobody counts on it.
pub(super) const RELAY_FRAMES_WAITING_MAX: usize = 64;

/// Bytes of frames that wait for all links of the relay.
pub(super) const RELAY_BYTES_WAITING_MAX: usize = 16 * 1024 * 1024;

/// Messages of all links that wait for the relay; more slows the links down.
pub(super) const RELAY_MESSAGES_WAITING_MAX: usize = 256;

/// How often the relay is told which masternodes there are.
pub(super) const RELAY_CENSUS_INTERVAL: Duration = Duration::from_secs(5);
