//! Every bound of the engine. Those that a page may choose for itself are defaults of
//! [`EngineConfig`](super::EngineConfig).

/// Characters of a textual address.
pub const ADDRESS_CHARS_MAX: usize = 512;

/// Bytes of a host name, as DNS has it.
pub const HOST_NAME_BYTES_MAX: usize = 253;

/// Films open at once.
pub const FILMS_MAX: usize = 16;

/// Reads open at once, of all films.
pub const READS_MAX: usize = 64;

/// Entry nodes that a page may name.
pub const ENTRIES_MAX: usize = 16;

/// Masternodes that are asked questions at once.
pub const ASKERS_MAX: usize = 3;

/// Masternodes that are remembered with their addresses; the first stay.
pub const MASTERNODES_MAX: usize = 256;

/// Holders of one film that are remembered.
pub const HOLDERS_MAX: usize = 512;

/// Holders of one film that links are kept to: n of the largest geometry, so that a small network
/// is used whole.
pub const HOLDER_LINKS_MAX: usize = 128;

/// Time from the first holder that is known in which only so many are dialled as the film needs to
/// start, in milliseconds.
pub const START_MS: u64 = 1_500;

/// Of the columns that a film needs, the part that is linked to beyond while it starts.
pub const START_SPARE_PART: usize = 8;

/// Time after which a holder that was dialled and isn't linked to is replaced while a film starts, in
/// milliseconds.
pub const START_PATIENCE_MS: u64 = 250;

/// Links being dialled at once that may come up soon. Chromium delays each WebSocket by 1 to 5 s
/// times 2^(those that are pending - 16) (`WebSocketPerProcessThrottler`): with 10 pending that is
/// 80 ms at most. Of 27 that were dialled at once, measured, the last came up after 4 to 5 s.
pub const DIALS_FRESH_MAX: usize = 10;

/// Time after which a link that is being dialled likely leads nowhere and makes room for another, in
/// milliseconds.
pub const DIAL_FRESH_MS: u64 = 1_000;

/// Links being dialled at once, with those that likely lead nowhere.
pub const DIALS_MAX: usize = 12;

/// Time after which one of these is given up for the next once there are so many, in milliseconds,
/// beside twice what the slowest link took that came up; as long as none did, none is.
pub const DIAL_PATIENCE_MS: u64 = 1_000;

/// Messages that a link may bring at once.
pub const MESSAGES_BURST: u64 = 8_192;

/// Messages that a link may bring a second, on and on: 64 MiB in shards of 16 KiB.
pub const MESSAGES_PER_S: u64 = 4_096;

/// Time for a link to come up, in milliseconds.
pub const DIAL_TIMEOUT_MS: u64 = 15_000;

/// Wait before a lost link is dialled again, in milliseconds; doubles with each failure.
pub const BACK_OFF_MS_MIN: u64 = 1_000;

/// Longest wait before a lost link is dialled again, in milliseconds.
pub const BACK_OFF_MS_MAX: u64 = 30_000;

/// Time between two looks for holders while sources are missing, in milliseconds.
pub const LOOK_AGAIN_MS: u64 = 5_000;

/// Time between two looks for holders while all is well: records are renewed and columns move, in
/// milliseconds.
pub const LOOK_MS: u64 = 10 * 60 * 1_000;

/// Time for the manifest of a film to be found, in milliseconds.
pub const OPEN_TIMEOUT_MS: u64 = 20_000;

/// Time for which a read waits without sources before the film is said to have none, in
/// milliseconds. The read itself goes on waiting.
pub const SOURCES_GONE_MS: u64 = 10_000;

/// Plaintext kept of each film for reads that overlap and seeks back, in segments.
pub const PLAIN_SEGMENTS_MAX: usize = 6;

/// Largest piece of plaintext in one output, in bytes.
pub const PIECE_BYTES_MAX: usize = 256 * 1024;

/// Sources in one [`FilmStats`](super::FilmStats).
pub const STATS_SOURCES_MAX: usize = 256;

/// Peers remembered as liars; the first are forgotten beyond.
pub const LIARS_MAX: usize = 4_096;

/// Holders that are asked for a manifest after those who were asked first did not know it.
pub const MORE_ASKERS_MAX: usize = 3;

/// Ranges of bytes in one [`FilmStats`](super::FilmStats).
pub const STATS_RANGES_MAX: usize = 256;

/// Segments in memory for other viewers, with all their columns, in bytes; one segment may be more.
pub const HOT_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Entries of the cache being loaded at once.
pub const CACHE_LOADS_MAX: usize = 16;

/// Segments that a reader has loaded from the cache ahead of itself.
pub const CACHE_AHEAD_SEGMENTS: u64 = 4;

/// Other viewers that are linked to at once.
pub const VIEWERS_MAX: usize = 12;

/// Of these, those that this side offered a session to: there is always room to be found.
pub const OFFERS_MAX: usize = 8;

/// Links over which other viewers are served: one each, and room for one that comes again.
pub const SERVE_LINKS_MAX: usize = 2 * VIEWERS_MAX;

/// Of these, with one viewer: it may watch two of what is watched here, and come again.
pub const SERVE_LINKS_PER_PEER_MAX: usize = 4;

/// Films that were closed and are served on.
pub const KEPT_FILMS_MAX: usize = 3;

/// Payload read for other viewers and not yet taken by the transport, all together, in bytes.
pub const SERVE_PAYLOAD_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// The same for one of them, in bytes.
pub const SERVE_PAYLOAD_PER_LINK_BYTES_MAX: u64 = 1024 * 1024;

/// Requests of other viewers that wait, all together.
pub const SERVE_REQUESTS_MAX: usize = 4_096;

/// Candidates of one connection that wait until the other viewer is known.
pub const EARLY_CANDIDATES_MAX: usize = 32;

/// Playing time that is fetched ahead, in milliseconds; window_bytes bounds it too.
pub const AHEAD_MS: u64 = 60_000;

/// Time after the opening of a film for which other viewers are waited for at most, whatever there
/// is to hope for, in milliseconds.
pub const HOPE_MS_MAX: u64 = 20_000;

/// Time after the opening of a film in which a relay must be reached, or no other viewers are waited
/// for, in milliseconds.
pub const HOPE_OF_RELAY_MS: u64 = 5_000;

/// Time after a relay was reached in which another viewer must be met: those who are there announce
/// themselves every 5 s. In milliseconds.
pub const HOPE_OF_PRESENCE_MS: u64 = 6_000;

/// Time in which a connection to another viewer must come up, or it is not waited for any longer, in
/// milliseconds.
pub const HOPE_OF_LINK_MS: u64 = 12_000;

/// Time in which a viewer that is linked to must say what it has, in milliseconds.
pub const HOPE_OF_WORD_MS: u64 = 2_000;

/// Playing time before which masternodes are preferred, in milliseconds.
pub const URGENT_WINDOW_MS: u64 = 4_000;

/// Playing time before which more shards are asked for than are needed, in milliseconds: playback
/// waits, or is about to.
pub const EXTRA_WINDOW_MS: u64 = 1_000;

/// Shards beyond need that are asked for then. Most come in vain: sources that say nothing are few, and
/// are noticed soon.
pub const EXTRA_SHARDS: u16 = 2;

/// Silence after which nothing is asked of another source too, in milliseconds, however soon answers
/// come on average.
pub const HEDGE_FLOOR_MS: u64 = 200;

/// Bytes at risk with all peers of one prefix: those of whom no address is known, as of every other
/// viewer, share one, and each may have a step of 512 KiB.
pub const PREFIX_FLOAT_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// Questions to the ledger that wait.
pub const LEDGER_ASKS_MAX: usize = 64;

/// A second, in milliseconds: a vault that somebody waits for is looked up once in it.
pub const SECOND_MS: u64 = 1_000;

/// Time for an answer of the ledger, in milliseconds.
pub const LEDGER_TIMEOUT_MS: u64 = 15_000;

/// Wait after a ledger said that it is busy, in milliseconds.
pub const LEDGER_BUSY_MS: u64 = 2_000;

/// Bytes of an answer of the ledger: the questions that are asked here have short ones.
pub const LEDGER_ANSWER_BYTES_MAX: usize = 64 * 1024;

/// Operations of the wallet that wait.
pub const WALLET_WORK_MAX: usize = 8;

/// Times that an operation is signed anew because another program of the wallet took its number.
pub const NONCES_MAX: u32 = 8;

/// Playing time beyond which viewers alone are asked, where there are any, or hope of any, in
/// milliseconds; more where masternodes are slow.
pub const FAR_WINDOW_MS: u64 = 6_000;
