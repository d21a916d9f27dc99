//! Whom a lender lends bytes to, and how many (`spec/incentive.md` §13).
//!
//! A machine without I/O: it is told who asks, from where, and what the ledger knows about them,
//! and it remembers what is out. What it doesn't offer can't be lost.
//!
//! ```text
//!          settled, bytes > 0           repaid in full
//! offered --------------------> lent ------------------> gone; the interest is room from now on
//!    |  settled, no bytes         |  due
//!    v                            v            write-off
//!   gone                       overdue --------------------------------> gone
//! ```
//!
//! ```
//! use pop_incentive::exposure::IpPrefix;
//! use pop_incentive::ledger::Record;
//! use pop_incentive::lending::{Lender, LenderPolicy, LoanRequest};
//! use pop_incentive::rate::{Rate, Tariff, Tier};
//! use pop_wire::{Amount, UnixTime, WalletAddress};
//!
//! let mut lender = Lender::new(LenderPolicy::default(), WalletAddress([1; 20]), []);
//! let tariff = Tariff {
//!     rate: Rate::new(Amount::from_base_units(1_000_000)).unwrap(),
//!     tier: Tier::of_kbps(5_000).unwrap(),
//! };
//! let borrower = WalletAddress([2; 20]);
//! let request = LoanRequest { borrower, bytes: 1 << 20, tariff, open_loans: 0 };
//! let prefix = IpPrefix::V4([192, 0, 2]);
//! let offer = lender.consider(&request, &Record::default(), prefix, UnixTime(1_000)).unwrap();
//! let note = lender.settled(offer.note.number, 1 << 20).unwrap();
//! assert_eq!(note.principal, tariff.price(1 << 20).unwrap());
//! let owed = note.owed().unwrap();
//! assert_eq!(owed.base_units(), note.principal.base_units() * 11 / 10);
//! assert_eq!(lender.repaid(note.number, owed), Some(Amount::ZERO));
//! ```

mod book;
mod policy;

use std::collections::BTreeMap;

use pop_wire::{Amount, UnixTime, WalletAddress};

use crate::exposure::IpPrefix;
use crate::ledger::{LoanNote, Record};
use crate::limits::{ACCOUNTS_MAX, LOANS_MAX, STEP_BYTES_FIRST};
use crate::rate::Tariff;

pub use book::LentLoan;
pub use policy::{LenderPolicy, LendingBound, LoanRefusal};

/// Seconds that the borrower's clock may be ahead of the lender's.
const CLOCKS_APART_S: u64 = 3_600;

/// Greatest number of a note that a borrower may choose: above it are enough for the lender's own.
const NUMBER_MAX: u64 = u64::MAX / 2;

/// Somebody wants bytes now and will pay for them later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoanRequest {
    /// Who owes.
    pub borrower: WalletAddress,
    /// How many bytes at most.
    pub bytes: u64,
    /// What the lender sells them for.
    pub tariff: Tariff,
    /// How many loans of this borrower the ledger shows as open, with whichever lender: these are
    /// paid first.
    pub open_loans: u64,
}

/// What a lender is ready to lend. The room is taken until [`Lender::settled`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoanOffer {
    /// The note to be signed by both if all of the bytes go. Its number names the loan.
    pub note: LoanNote,
}

/// What is out, with whom, and who may have more.
#[derive(Debug, Clone)]
pub struct Lender {
    policy: LenderPolicy,
    lender: WalletAddress,
    next_number: u64,
    loans: BTreeMap<u64, LentLoan>,
    /// Bytes that a borrower may owe on top, because it paid as much in interest.
    grown: BTreeMap<WalletAddress, u64>,
}

impl Lender {
    /// A lender with what it lent before it stopped, as [`loans`](Self::loans) gave it.
    pub fn new(
        policy: LenderPolicy,
        lender: WalletAddress,
        loans: impl IntoIterator<Item = LentLoan>,
    ) -> Self {
        let loans: BTreeMap<_, _> =
            loans.into_iter().map(|loan| (loan.note.number, loan)).collect();
        let next_number = loans.keys().next_back().map_or(0, |last| last.saturating_add(1));
        Self { policy, lender, next_number, loans, grown: BTreeMap::new() }
    }

    /// Decide about a request. `record` is what the ledger knows about the borrower, `prefix` is
    /// where it asks from. The offer may be for fewer bytes than were asked for.
    ///
    /// # Errors
    /// [`LoanRefusal`], with nothing changed.
    pub fn consider(
        &mut self,
        request: &LoanRequest,
        record: &Record,
        prefix: IpPrefix,
        now: UnixTime,
    ) -> Result<LoanOffer, LoanRefusal> {
        let policy = self.policy;
        let (fresh, bytes) = self.weigh(request, record, prefix, now)?;
        while self.loans.contains_key(&self.next_number.max(now.0)) {
            self.next_number = self.next_number.max(now.0).saturating_add(1);
        }
        let principal = request.tariff.price(bytes).ok_or(LoanRefusal::Overflow)?;
        let note = LoanNote {
            lender: self.lender,
            borrower: request.borrower,
            principal,
            bytes,
            interest_bps: policy.interest_bps,
            due: now.after_s(policy.term_s),
            // The time is a number that no earlier run gave out, if it forgot which it did.
            number: self.next_number.max(now.0),
        };
        let owed = note.owed().ok_or(LoanRefusal::Overflow)?;
        self.next_number = note.number.checked_add(1).ok_or(LoanRefusal::Overflow)?;
        let loan = LentLoan { note, tariff: request.tariff, prefix, fresh, owed, settled: false };
        self.loans.insert(note.number, loan);
        Ok(LoanOffer { note })
    }

    /// Decide about a note that the borrower proposes, all of it or nothing. Its signature is the
    /// caller's to check. The room is taken until [`settled`](Self::settled), as for an offer.
    ///
    /// # Errors
    /// [`LoanRefusal`], with nothing changed.
    pub fn accept(
        &mut self,
        note: LoanNote,
        (tariff, open_loans): (Tariff, u64),
        record: &Record,
        prefix: IpPrefix,
        now: UnixTime,
    ) -> Result<(), LoanRefusal> {
        let latest = now.after_s(self.policy.term_s).after_s(CLOCKS_APART_S);
        let term = if note.lender != self.lender {
            Some("lender")
        } else if Some(note.principal) != tariff.price(note.bytes) {
            Some("principal")
        } else if note.interest_bps < self.policy.interest_bps {
            Some("interest")
        } else if note.due <= now || note.due > latest {
            Some("due time")
        } else if note.number > NUMBER_MAX || self.loans.contains_key(&note.number) {
            Some("number")
        } else {
            None
        };
        if let Some(term) = term {
            return Err(LoanRefusal::Terms { term });
        }
        let owed = note.owed().ok_or(LoanRefusal::Overflow)?;
        let LoanNote { borrower, bytes, .. } = note;
        let request = LoanRequest { borrower, bytes, tariff, open_loans };
        let (fresh, room) = self.weigh(&request, record, prefix, now)?;
        if room < bytes {
            return Err(LoanRefusal::Room { max: room, got: bytes });
        }
        let loan = LentLoan { note, tariff, prefix, fresh, owed, settled: false };
        self.loans.insert(note.number, loan);
        Ok(())
    }

    /// Whether the borrower has no age, and how many bytes there are for it.
    fn weigh(
        &mut self,
        request: &LoanRequest,
        record: &Record,
        prefix: IpPrefix,
        now: UnixTime,
    ) -> Result<(bool, u64), LoanRefusal> {
        if request.bytes == 0 {
            return Err(LoanRefusal::Nothing);
        }
        self.write_off(now);
        self.policy.check_record(record, request.open_loans)?;
        let mine = |loan: &&LentLoan| loan.note.borrower == request.borrower;
        if self.loans.values().filter(mine).any(|loan| loan.is_overdue(now)) {
            return Err(LoanRefusal::Overdue);
        }
        if self.loans.len() >= LOANS_MAX {
            return Err(LoanRefusal::Full { max: LOANS_MAX });
        }
        let fresh = self.policy.is_fresh(record, now);
        Ok((fresh, self.room(request, fresh, prefix)?))
    }

    /// How many bytes there are for this request, by each limit in turn.
    fn room(
        &self,
        request: &LoanRequest,
        fresh: bool,
        prefix: IpPrefix,
    ) -> Result<u64, LoanRefusal> {
        let policy = &self.policy;
        // Less than a first step helps nobody, unless no more was asked for.
        let needed = request.bytes.min(STEP_BYTES_FIRST);
        let grown = self.grown.get(&request.borrower).copied().unwrap_or(0);
        let base = if fresh { policy.fresh_bytes } else { policy.aged_bytes };
        let borrower = |loan: &LentLoan| loan.note.borrower == request.borrower;
        let left = |limit: u64, taken| limit.saturating_sub(taken);
        let mut bytes = request.bytes;
        let mut within = |limit, taken, refusal: fn(u64, u64) -> LoanRefusal| {
            bytes = bytes.min(left(limit, taken));
            if bytes < needed { Err(refusal(limit, taken)) } else { Ok(()) }
        };
        within(base.saturating_add(grown), self.out(borrower), |limit, taken| {
            LoanRefusal::Borrower { limit, taken }
        })?;
        within(policy.prefix_bytes, self.out(|loan| loan.prefix == prefix), |limit, taken| {
            LoanRefusal::Prefix { limit, taken }
        })?;
        if fresh {
            within(policy.fresh_total_bytes, self.out(|loan| loan.fresh), |limit, taken| {
                LoanRefusal::Fresh { limit, taken }
            })?;
        }
        within(policy.total_bytes, self.out(|_| true), |limit, taken| LoanRefusal::Total {
            limit,
            taken,
        })?;
        Ok(bytes)
    }

    /// So many bytes went, which may be fewer than were offered. Returns the note that both sign,
    /// or `None` if nothing is owed: no bytes went, or the loan is unknown or settled already.
    ///
    /// Call it also when the borrower leaves without having signed: then nobody will ever repay,
    /// but the room stays taken from its prefix until the loan is written off.
    pub fn settled(&mut self, number: u64, bytes: u64) -> Option<LoanNote> {
        let loan = self.loans.get_mut(&number).filter(|loan| !loan.settled)?;
        let bytes = bytes.min(loan.note.bytes);
        if bytes == 0 {
            self.loans.remove(&number);
            return None;
        }
        // Fewer bytes than were offered cost no more than they did: both fit.
        let principal = loan.tariff.price(bytes)?;
        let note = LoanNote { bytes, principal, ..loan.note };
        *loan = LentLoan { note, owed: note.owed()?, settled: true, ..*loan };
        Some(note)
    }

    /// So much was paid back, by the borrower's earnings or by hand. Room comes back in
    /// proportion; with the last of it, the interest becomes room that the borrower has on top.
    /// Returns what is still owed; `None` if the loan is unknown.
    pub fn repaid(&mut self, number: u64, amount: Amount) -> Option<Amount> {
        let loan = self.loans.get_mut(&number)?;
        loan.owed = loan.owed.checked_sub(amount).unwrap_or(Amount::ZERO);
        if loan.owed > Amount::ZERO {
            return Some(loan.owed);
        }
        let loan = self.loans.remove(&number)?;
        let earned = loan.interest_bytes();
        if self.grown.len() < ACCOUNTS_MAX || self.grown.contains_key(&loan.note.borrower) {
            let grown = self.grown.entry(loan.note.borrower).or_default();
            *grown = grown.saturating_add(earned).min(self.policy.grown_bytes_max);
        }
        Some(Amount::ZERO)
    }

    /// Forget what has been overdue for so long that nobody will pay it: its prefix has other
    /// customers by now. The ledger doesn't forget a default that was declared.
    fn write_off(&mut self, now: UnixTime) {
        let write_off_s = self.policy.write_off_s;
        self.loans.retain(|_, loan| now < loan.note.due.after_s(write_off_s));
    }

    /// Loans whose time is over, for `DeclareDefault` on the ledger, so that the next lender sees
    /// it.
    pub fn overdue(&self, now: UnixTime) -> impl Iterator<Item = &LentLoan> {
        self.loans.values().filter(move |loan| loan.is_overdue(now))
    }

    /// All that is out, to be stored and given to [`new`](Self::new) again.
    pub fn loans(&self) -> impl Iterator<Item = &LentLoan> {
        self.loans.values()
    }

    /// What can be lost at worst.
    pub fn bound(&self) -> LendingBound {
        let mut prefixes = BTreeMap::<IpPrefix, u64>::new();
        let mut owed = Amount::ZERO;
        for loan in self.loans.values() {
            *prefixes.entry(loan.prefix).or_default() += loan.out_bytes();
            owed = owed.checked_add(loan.owed).unwrap_or(Amount::from_base_units(u128::MAX));
        }
        LendingBound {
            loans: self.loans.len(),
            now_bytes: self.out(|_| true),
            owed,
            worst_prefix_bytes: prefixes.values().copied().max().unwrap_or(0),
            policy: self.policy,
        }
    }

    fn out(&self, of: impl Fn(&LentLoan) -> bool) -> u64 {
        let bytes = self.loans.values().filter(|loan| of(loan)).map(LentLoan::out_bytes);
        bytes.fold(0, u64::saturating_add)
    }
}
