//! Every bound of the incentive layer's formats and machines. Normative table:
//! `spec/incentive.md` §8.

/// Bytes of the first step: what a payer promises ahead, and a payee serves unpaid, at first.
pub const STEP_BYTES_FIRST: u64 = 64 * 1024;

/// Bytes of the greatest step.
pub const STEP_BYTES_MAX: u64 = 512 * 1024;

/// Bytes that a payee must have been seen to serve unpaid on a link to be paid later on it (§5.3). A
/// quarter of it, which it then serves before it is paid, leaves more than the longest shard.
pub const FLOAT_BYTES_SEEN: u64 = STEP_BYTES_MAX / 4 * 3;

/// Unpaid bytes that one IP prefix (/24, /48) may have outstanding: eight first steps, so that a
/// thousand fresh names behind one prefix are worth no more than eight.
pub const PREFIX_FLOAT_BYTES_MAX: u64 = 512 * 1024;

/// Unpaid bytes that may be outstanding in all.
pub const TOTAL_FLOAT_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// One part in so many of what was delivered may be lost on the way at the payer's cost.
pub const TRANSPORT_LOSS_DIVISOR: u64 = 64;

/// Tiers of 100 kbit/s that a quote may name: 100 Gbit/s.
pub const TIERS_MAX: u32 = 1_000_000;

/// Seconds that a quote may be valid: a day.
pub const QUOTE_LIFE_S_MAX: u64 = 86_400;

/// Payees that one vault pays in one epoch, and payers that one payee serves.
pub const ACCOUNTS_MAX: usize = 4096;

/// Sellers that a purse knows at once, and customers that a till knows at once.
pub const PEERS_MAX: usize = 4096;

/// Links to one seller, or one customer.
pub const LINES_PER_PEER_MAX: usize = 256;

/// Times that one seller is asked for another quote while there are links to it.
pub const QUESTIONS_PER_SELLER_MAX: u32 = 16;

/// Quotes that a till remembers; the oldest go first, and terms that name one are refused.
pub const QUOTES_MAX: usize = 1024;

/// Seconds that a till's quotes are valid.
pub const QUOTE_LIFE_S: u64 = 3_600;

/// Milliseconds between two looks at a vault that isn't there, or doesn't cover the next step.
pub const VAULT_LOOK_MS: u64 = 2_000;

/// Vouchers of one overspend evidence: as many as one vault may have payees.
pub const EVIDENCE_VOUCHERS_MAX: usize = 4096;

/// Sources that one negotiation weighs.
pub const SOURCES_MAX: usize = 256;

/// Operations of one request to a served ledger.
pub const LEDGER_BATCH_MAX: usize = 64;

/// Open locks in one reply of a served ledger.
pub const LEDGER_LOCKS_MAX: usize = 64;

/// Bytes of a request to a served ledger: room for an equivocation proof of 60 shards of the
/// greatest length. A greater one is submitted where the ledger is.
pub const LEDGER_REQUEST_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Bytes of a served ledger's reply: a full batch of full redemptions with all their liens.
pub const LEDGER_REPLY_BYTES_MAX: usize = 40 * 1024 * 1024;

/// Bytes of a name in a refusal.
pub const LEDGER_WORD_BYTES_MAX: usize = 64;

/// Bytes of a request to a served ledger that cost one unit; a request costs one more. A voucher or
/// a small operation, so a signature to check, is about this long.
pub const LEDGER_UNIT_BYTES: u64 = 128;

/// Units that one peer may ask of a served ledger at once.
pub const LEDGER_PEER_BURST: u64 = 512;

/// Units that a peer regains per second.
pub const LEDGER_PEER_UNITS_PER_S: u64 = 128;

/// Requests of one connection that a served ledger works on at once.
pub const LEDGER_STREAMS_MAX: usize = 8;

/// Requests that wait for a served ledger's disk.
pub const LEDGER_QUEUE_MAX: usize = 256;

/// Bytes of requests that are being received, over all peers, beyond the first 4 KiB of each.
pub const LEDGER_INCOMING_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Bytes of a signed voucher.
pub const VOUCHER_BYTES: usize = 150;

/// Bytes of a signed quote.
pub const QUOTE_BYTES: usize = 162;

/// Bytes of a request for credit.
pub const CREDIT_REQUEST_BYTES: usize = 162;

/// Bytes of what a payer keeps about one payee.
pub const PAYER_RECORD_BYTES: usize = 145;

/// Bytes of what a payee keeps about one payer.
pub const PAYEE_RECORD_BYTES: usize = 203;

/// Loans that one lender has out at once.
pub const LOANS_MAX: usize = 4096;

/// Bytes of what a lender keeps about one loan.
pub const LENT_LOAN_BYTES: usize = 134;

/// Masternodes that one epoch's rewards are computed for.
pub const REWARD_NODES_MAX: usize = 65_536;

/// Times the base rate that a holder asks at most, however few columns are left.
pub const SCARCITY_FACTOR_MAX: u64 = 4;

/// Contents that one plan chooses from.
pub const PLAN_CANDIDATES_MAX: usize = 65_536;

/// Seconds that the time of an audit may be off the holder's clock.
pub const AUDIT_WINDOW_S: u64 = 300;

/// Bytes of an audit's challenge.
pub const AUDIT_CHALLENGE_BYTES: usize = 83;

/// Bytes of a signed answer to an audit.
pub const AUDIT_ANSWER_BYTES: usize = 200;
