//! Every bound of the incentive layer's formats and machines. Normative table:
//! `spec/incentive.md` §8.

/// Bytes of the first step: what a payer promises ahead, and a payee serves unpaid, at first.
pub const STEP_BYTES_FIRST: u64 = 64 * 1024;

/// Bytes of the greatest step.
pub const STEP_BYTES_MAX: u64 = 512 * 1024;

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

/// Vouchers of one overspend evidence: as many as one vault may have payees.
pub const EVIDENCE_VOUCHERS_MAX: usize = 4096;

/// Sources that one negotiation weighs.
pub const SOURCES_MAX: usize = 256;

/// Bytes of a signed voucher.
pub const VOUCHER_BYTES: usize = 150;

/// Bytes of a signed quote.
pub const QUOTE_BYTES: usize = 162;

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
