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

/// Bytes of a candidate (§5).
pub const CANDIDATE_BYTES_MAX: usize = 512;

/// Bytes of the name of a medium (§5).
pub const SDP_MID_BYTES_MAX: usize = 32;

/// Candidates in one letter (§5).
pub const CANDIDATES_PER_LETTER_MAX: usize = 16;

/// Candidates of a session that wait, each way (§5).
pub const CANDIDATES_HELD_MAX: usize = 64;

/// Time for an answer to an offer, in milliseconds (§5).
pub const ANSWER_TIMEOUT_MS: u64 = 15_000;

/// Time in which a session must be connected, in milliseconds (§5).
pub const SESSION_TIMEOUT_MS: u64 = 120_000;

/// Time after which an offer or answer is sent again, in milliseconds (§5).
pub const RESEND_MS: u64 = 4_000;

/// How often an offer or answer is sent again (§5).
pub const RESENDS_MAX: u32 = 2;

/// Sessions under way (§5).
pub const SESSIONS_MAX: usize = 64;

/// Sessions under way with one peer (§5).
pub const SESSIONS_PER_PEER_MAX: usize = 4;

/// Sessions under way or over, and remembered (§5).
pub const ENDED_SESSIONS_MAX: usize = 4_096;

/// Time for which a session that is over is remembered, in milliseconds (§5): as long as a letter of
/// it could be taken for valid.
pub const ENDED_MS: u64 = (LETTER_LIFE_S_MAX + 2 * CLOCK_SKEW_S) * 1_000;

/// Notes of presence whose answers are told apart by content (§5): those of all contents for as long as
/// a note is valid. Of ours so many, and of others'.
pub const NOTES_REMEMBERED_MAX: usize = 128;

/// Contents whose other viewers are met (§5).
pub const CONTENTS_MAX: usize = 4;

/// Time after which a client joins again, in milliseconds (§6).
pub const JOIN_AGAIN_MS: u64 = 20_000;

/// Time between two notes of a viewer that seeks others, in milliseconds (§6).
pub const ANNOUNCE_MS: u64 = 5_000;

/// Longest wait that a relay asks of a client, in milliseconds (§6).
pub const RETRY_AFTER_MS_MAX: u32 = 60_000;

/// Masternodes that a relay knows (§6).
pub const MASTERNODES_MAX: usize = 2_048;

/// Time for which a rendezvous stays attached, in milliseconds (§6).
pub const ATTACHMENT_MS: u64 = 180_000;

/// Letters of one session, each way (§5).
pub const SESSION_LETTERS_MAX: u32 = 64;

/// Bytes of one session, each way, as envelopes or as frames (§5).
pub const SESSION_BYTES_MAX: usize = 128 * 1024;

/// Time for which a join holds, in milliseconds (§6).
pub const JOIN_MS: u64 = 90_000;

/// Time for which a count of another relay holds, in milliseconds (§6).
pub const REPORT_MS: u64 = 150_000;

/// Time between two counts for the same home, in milliseconds (§6).
pub const REPORT_PAUSE_MS: u64 = 10_000;

/// Members that a relay is believed to have (§6).
pub const MEMBERS_PER_REPORT_MAX: u32 = 64;

/// Time in which another relay must be reached, in milliseconds (§6).
pub const DIAL_TIMEOUT_MS: u64 = 5_000;

/// Time after which a link to another relay that nobody uses is closed, in milliseconds (§6).
pub const RELAY_IDLE_MS: u64 = 300_000;

/// Time after which a client that waits for nothing and says nothing is closed, in milliseconds
/// (§6).
pub const CLIENT_IDLE_MS: u64 = 120_000;

/// Links to one other relay (§6).
pub const LINKS_PER_RELAY_MAX: usize = 2;

/// Messages over the rate, less those below it, after which a client is closed (§6).
pub const REFUSALS_MAX: u32 = 256;

/// Time between two refusals that one client is told, in milliseconds (§6).
pub const REFUSAL_PAUSE_MS: u64 = 1_000;

/// Time between two looks at what has run out, in milliseconds (§6).
pub const SWEEP_MS: u64 = 1_000;

/// Links of clients (§6).
pub const CLIENTS_MAX: usize = 8_192;

/// Links of clients from one prefix (§6).
pub const CLIENTS_PER_PREFIX_MAX: usize = 32;

/// Rendezvous attached at one relay (§6).
pub const RENDEZVOUS_MAX: usize = 65_536;

/// Rendezvous attached by one client (§6).
pub const RENDEZVOUS_PER_CLIENT_MAX: usize = 32;

/// Topics with a member, here or elsewhere (§6).
pub const TOPICS_MAX: usize = 16_384;

/// Topics joined by one client (§6): two contents around the change of an epoch, and as much again.
pub const TOPICS_PER_CLIENT_MAX: usize = 8;

/// Counts of all other relays (§6).
pub const REPORTS_MAX: usize = 32_768;

/// Counts of one other relay (§6).
pub const REPORTS_PER_RELAY_MAX: usize = 2_048;

/// Links to other relays (§6).
pub const RELAYS_MAX: usize = 256;

/// Prefixes whose rate is remembered (§6).
pub const PREFIXES_MAX: usize = 65_536;

/// Relays that are being dialled at once (§6).
pub const DIALS_MAX: usize = 64;

/// Bytes of frames that wait for relays being dialled (§6).
pub const WAITING_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Bytes of frames that the shell has not taken yet (§6).
pub const OUTPUT_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Messages that clients behind one prefix may send at once (§6).
pub const PREFIX_MESSAGES_BURST: u64 = 256;

/// Messages a second that clients behind one prefix may send (§6).
pub const PREFIX_MESSAGES_PER_S: u64 = 32;

/// Bytes that clients behind one prefix may send at once (§6).
pub const PREFIX_BYTES_BURST: u64 = 1024 * 1024;

/// Bytes a second that clients behind one prefix may send (§6).
pub const PREFIX_BYTES_PER_S: u64 = 64 * 1024;

/// Messages that one relay may send at once (§6).
pub const RELAY_MESSAGES_BURST: u64 = 4_096;

/// Messages a second that one relay may send (§6).
pub const RELAY_MESSAGES_PER_S: u64 = 512;

/// Bytes that one relay may send at once (§6).
pub const RELAY_BYTES_BURST: u64 = 8 * 1024 * 1024;

/// Bytes a second that one relay may send (§6).
pub const RELAY_BYTES_PER_S: u64 = 1024 * 1024;

/// Messages that all clients may send at once (§6).
pub const TOTAL_MESSAGES_BURST: u64 = 16_384;

/// Messages a second that all clients may send (§6).
pub const TOTAL_MESSAGES_PER_S: u64 = 4_096;

/// Bytes that all clients may send at once (§6).
pub const TOTAL_BYTES_BURST: u64 = 32 * 1024 * 1024;

/// Bytes a second that all clients may send (§6).
pub const TOTAL_BYTES_PER_S: u64 = 8 * 1024 * 1024;
