//! Every bound of the exchange protocol, with the section of `spec/exchange.md` that sets it.
//!
//! Those that both sides rely on are constants; those that one side chooses for itself are
//! defaults of its configuration.

use pop_wire::limits::SHARD_BYTES_MAX;

/// Open requests that a provider accepts on one link, and a requester may have there (§5).
pub const REQUESTS_PER_LINK_MAX: usize = 256;

/// Open questions (manifest, holdings, peers) on one link (§5).
pub const QUESTIONS_PER_LINK_MAX: usize = 16;

/// Time in which a question must be answered, in milliseconds (§9).
pub const QUESTION_TIMEOUT_MS: u64 = 5_000;

/// Open lookups of holders on one link (§9).
pub const LOOKUPS_PER_LINK_MAX: usize = 2;

/// Time in which such a lookup must be answered, in milliseconds (§9): it asks others in turn.
pub const LOOKUP_TIMEOUT_MS: u64 = 15_000;

/// Audits that a link may ask for at once (§9): each costs a read, a hash of the shard and a
/// signature.
pub const AUDITS_BURST: u64 = 32;

/// Time after which one audit of the burst comes back, in milliseconds (§9).
pub const AUDIT_REFILL_MS: u64 = 1_000;

/// Uploads open at once on one link (§8).
pub const UPLOADS_PER_LINK_MAX: usize = 16;

/// Payload credit that one direction of a link may have outstanding, in bytes (§4).
pub const CREDIT_OUTSTANDING_BYTES_MAX: u64 = 1 << 32;

/// Messages sent on one link and not yet taken by its transport (§5): an answer to every open
/// request, and as many refusals and grants again.
pub const UNREAD_MESSAGES_MAX: usize = 4 * REQUESTS_PER_LINK_MAX;

/// Time for the other side's hello after a link is up, in milliseconds (§3).
pub const HELLO_TIMEOUT_MS: u64 = 10_000;

/// Time in which a peer that asked must read or grant credit, in milliseconds (§5).
pub const READING_TIMEOUT_MS: u64 = 30_000;

/// Time without a shard after which an upload is closed, in milliseconds (§8).
pub const UPLOAD_IDLE_TIMEOUT_MS: u64 = 60_000;

/// Time that a busy provider asks for before the next try, in milliseconds (§6).
pub const BUSY_RETRY_MS: u32 = 500;

/// Longest wait that a requester grants a busy provider, in milliseconds (§6).
pub const RETRY_AFTER_MS_MAX: u64 = 10_000;

/// Payment messages that one side of a link may send at once (§10).
pub const PAYMENT_MESSAGES_BURST: u64 = 256;

/// Payload that earns the side that takes it one more payment message, in bytes (§10).
pub const PAYMENT_EARNING_BYTES: u64 = 16 * 1024;

/// Time after which one message of the burst comes back, in milliseconds (§10).
pub const PAYMENT_REFILL_MS: u64 = 1_000;

/// Contents that a viewer announces at once, and announcements in one batch (§7.1).
pub const ANNOUNCED_CONTENTS_MAX: usize = 8;

/// Shortest time between two batches of announcements on one link, in milliseconds (§7.1).
pub const ANNOUNCEMENT_INTERVAL_MS: u64 = 1_000;

/// Announcements that may come at once on one link (§7.1): what comes after as long a silence as a
/// link may have.
pub const ANNOUNCEMENTS_BURST: u64 = 256;

/// Time after which one announcement of the burst comes back, in milliseconds (§7.1).
pub const ANNOUNCEMENT_REFILL_MS: u64 = 125;

/// Segments that a viewer may announce and then refuse, before it is asked nothing more (§7.1).
pub const DENIALS_MAX: usize = 256;

/// Most peers a fetcher remembers as liars; the first are forgotten beyond (§7).
pub const LIARS_MAX: usize = 4096;

/// Most sources of one fetcher (§7).
pub const SOURCES_MAX: usize = 1024;

/// Of what came and was of use, the part that may come in vain beside one segment, before nothing
/// is asked for beyond need (§7).
pub(crate) const WASTED_PART: u64 = 16;

/// Slow answers of a masternode for which there must be time before what is near is played (§7.2):
/// one that fails, one that stands in for it, and as much again twice.
pub(crate) const NEAR_ANSWERS: u64 = 6;

/// Playing time that counts as near at most, however slow masternodes are, in milliseconds (§7.2).
pub(crate) const NEAR_MS_MAX: u64 = 60_000;

/// One shard, in bytes, as a 64-bit number.
pub(crate) const SHARD_MAX: u64 = {
    assert!(SHARD_BYTES_MAX <= 1 << 30);
    SHARD_BYTES_MAX as u64
};

/// Time between two looks at what is late, in milliseconds (§7).
pub(crate) const TICK_MS: u64 = 100;
