//! What bounds an operation (`spec/incentive.md` §12.10).

/// Bytes of an operation in the journal: room for an equivocation proof.
pub const OPERATION_BYTES_MAX: usize = pop_wire::limits::EQUIVOCATION_PROOF_BYTES_MAX + 1024;

/// Entries of one operation: 64 vouchers, or shares, for borrowers with all their liens make 6,208.
pub const ENTRIES_MAX: usize = 8192;

/// Vouchers that one operation redeems. Evidence of overspending may hold
/// `EVIDENCE_VOUCHERS_MAX` of the crate's limits.
pub const REDEEM_MAX: usize = 64;

/// Members of a pool, judges of a bounty, payees of an emission.
pub const LIST_LEN_MAX: usize = 64;

/// Length of a Merkle path in a pool's claim: the members of a pool are at most 2^6.
pub const PATH_LEN_MAX: usize = 6;

/// Loans that a borrower has open at once, over which an earning is split: one with every holder of
/// a content, of whom there are at most 80; or three with each of the 30 that are needed.
pub const LOANS_OPEN_MAX: usize = 96;

/// Parts in a whole, for shares and interest.
pub const WHOLE_BPS: u64 = 10_000;
