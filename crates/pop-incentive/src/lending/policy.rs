//! What a lender is ready to lose, and why it refuses.

use core::fmt;

use pop_wire::{Amount, UnixTime};

use crate::ledger::Record;
use crate::ledger::limits::LOANS_OPEN_MAX;

const MIB: u64 = 1 << 20;
const DAY_S: u64 = 86_400;

/// A lender's own choice; nobody has to agree. All bytes are those that are out at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct LenderPolicy {
    /// Parts in 10,000 of the principal owed on top. 1,000: 1.1 are owed per 1 given.
    pub interest_bps: u64,
    /// Seconds until a loan is overdue. 30 days: a node that serves a little has earned a film.
    pub term_s: u64,
    /// Bytes that an identity without age may owe. 256 MiB: more than a column of a film of two
    /// hours (`spec/incentive.md` §15.1), of which a newcomer takes one from each holder.
    pub fresh_bytes: u64,
    /// Bytes that an identity with age may owe.
    pub aged_bytes: u64,
    /// Bytes that a borrower may owe on top, at most, because it paid as much in interest.
    pub grown_bytes_max: u64,
    /// Seconds after its first operation on the ledger from when on an identity has age. 30 days.
    pub aged_after_s: u64,
    /// Bytes that all borrowers of one IP prefix (/24, /48) may owe together.
    pub prefix_bytes: u64,
    /// Bytes that all identities without age may owe together, whatever their prefixes.
    pub fresh_total_bytes: u64,
    /// Bytes that all may owe together.
    pub total_bytes: u64,
    /// Defaults on the ledger's record that are forgiven. None.
    pub defaults_max: u64,
    /// Proven wrongs on the ledger's record (slashes, overspends) that are forgiven. None.
    pub wrongs_max: u64,
    /// Open loans with whichever lender, above which another is not made: they are paid first.
    /// The ledger itself takes no more than this default.
    pub open_loans_max: u64,
    /// Seconds for which an overdue loan takes room. 90 days; a prefix has other customers then.
    pub write_off_s: u64,
}

impl Default for LenderPolicy {
    fn default() -> Self {
        Self {
            interest_bps: 1_000,
            term_s: 30 * DAY_S,
            fresh_bytes: 256 * MIB,
            aged_bytes: 512 * MIB,
            grown_bytes_max: 512 * MIB,
            aged_after_s: 30 * DAY_S,
            prefix_bytes: 1024 * MIB,
            fresh_total_bytes: 8 * 1024 * MIB,
            total_bytes: 16 * 1024 * MIB,
            defaults_max: 0,
            wrongs_max: 0,
            open_loans_max: u64::try_from(LOANS_OPEN_MAX - 1).unwrap_or(0),
            write_off_s: 90 * DAY_S,
        }
    }
}

impl LenderPolicy {
    /// Whether an identity has no age yet. One that never did anything on the ledger has none.
    pub fn is_fresh(&self, record: &Record, now: UnixTime) -> bool {
        record.since == UnixTime(0) || now < record.since.after_s(self.aged_after_s)
    }

    pub(super) fn check_record(&self, record: &Record, open_loans: u64) -> Result<(), LoanRefusal> {
        let (max, got) = (self.defaults_max, record.defaults);
        if got > max {
            return Err(LoanRefusal::Defaults { max, got });
        }
        let (max, got) = (self.wrongs_max, record.slashes.saturating_add(record.overspends));
        if got > max {
            return Err(LoanRefusal::Wrongs { max, got });
        }
        let (max, got) = (self.open_loans_max, open_loans);
        if got > max {
            return Err(LoanRefusal::OpenLoans { max, got });
        }
        Ok(())
    }
}

/// Why a lender doesn't lend. The borrower may be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LoanRefusal {
    /// No bytes were asked for: the borrower's fault.
    #[error("a loan of no bytes")]
    Nothing,
    /// It didn't pay back others: the borrower's fault.
    #[error("defaults on record: expected at most {max}, got {got}")]
    Defaults {
        /// Forgiven.
        max: u64,
        /// On the ledger.
        got: u64,
    },
    /// It was slashed or promised more than it had: the borrower's fault.
    #[error("proven wrongs on record: expected at most {max}, got {got}")]
    Wrongs {
        /// Forgiven.
        max: u64,
        /// On the ledger.
        got: u64,
    },
    /// The note that was proposed says something else than this lender: the borrower's fault.
    #[error("the note's {term} is not this lender's")]
    Terms {
        /// What of it.
        term: &'static str,
    },
    /// All that was asked for is more than there is room for.
    #[error("bytes: expected at most {max}, got {got}")]
    Room {
        /// Bytes.
        max: u64,
        /// In the note.
        got: u64,
    },
    /// Too many lenders would be paid first.
    #[error("open loans: expected at most {max}, got {got}")]
    OpenLoans {
        /// Allowed.
        max: u64,
        /// On the ledger.
        got: u64,
    },
    /// It owes this lender something that is overdue: the borrower's fault.
    #[error("a loan from here is overdue")]
    Overdue,
    /// The borrower has as much as it may have.
    #[error("bytes lent to this borrower: {taken} of at most {limit}")]
    Borrower {
        /// Bytes.
        limit: u64,
        /// Of them out.
        taken: u64,
    },
    /// Its IP prefix has as much as it may have. Not the borrower's fault.
    #[error("bytes lent to this IP prefix: {taken} of at most {limit}")]
    Prefix {
        /// Bytes.
        limit: u64,
        /// Of them out.
        taken: u64,
    },
    /// Identities without age have as much as they may have together. Not the borrower's fault.
    #[error("bytes lent to new identities: {taken} of at most {limit}")]
    Fresh {
        /// Bytes.
        limit: u64,
        /// Of them out.
        taken: u64,
    },
    /// All have as much as they may have together: a limit of the lender's.
    #[error("bytes lent in all: {taken} of at most {limit}")]
    Total {
        /// Bytes.
        limit: u64,
        /// Of them out.
        taken: u64,
    },
    /// As many loans are out as are remembered: a limit of the lender's.
    #[error("loans: at most {max} at once")]
    Full {
        /// Loans.
        max: usize,
    },
    /// The price of the bytes is more than an amount can be: the lender's own rate is to blame.
    #[error("the price of the loan is more than an amount can be")]
    Overflow,
}

/// The most that a lender can lose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LendingBound {
    /// Loans that are out.
    pub loans: usize,
    /// Bytes lost if nobody paid anything from now on.
    pub now_bytes: u64,
    /// The same with interest, in money.
    pub owed: Amount,
    /// Of these bytes, with the prefix that has most.
    pub worst_prefix_bytes: u64,
    /// What neither can pass.
    pub policy: LenderPolicy,
}

impl fmt::Display for LendingBound {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{} loans out: {} of at most {} bytes, {} owed; one prefix has {} of at most {}",
            self.loans,
            self.now_bytes,
            self.policy.total_bytes,
            self.owed,
            self.worst_prefix_bytes,
            self.policy.prefix_bytes,
        )
    }
}
