//! Loans of bytes: liens on what a borrower earns.

use pop_wire::{Amount, WalletAddress};

use crate::ids::LoanId;
use crate::ledger::account::Account;
use crate::ledger::limits::LOANS_OPEN_MAX;
use crate::ledger::note::{LoanNote, SignedNote};
use crate::ledger::refusal::Refusal;
use crate::ledger::state::{Call, LedgerState};

const OVERFLOW: Refusal = Refusal::Overflow { what: "loan" };

/// A loan on the ledger. It stays there when it is paid back, so that its note can't be
/// registered again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Loan {
    /// The terms.
    pub note: LoanNote,
    /// What is still owed.
    pub outstanding: Amount,
    /// Whether it was declared overdue.
    pub defaulted: bool,
}

impl LedgerState {
    pub(super) fn lend(&mut self, call: Call, signed: &SignedNote) -> Result<(), Refusal> {
        let note = signed.note;
        let id = note.id();
        if self.books.loans.contains(&id) {
            return Err(Refusal::Exists { what: "loan" });
        }
        if note.lender == note.borrower {
            return Err(Refusal::State { what: "note", expected: "between two" });
        }
        let most = self.parameters.interest_max_bps;
        if note.interest_bps > most {
            let got = note.interest_bps;
            return Err(Refusal::Count { what: "interest", least: 0, most, got });
        }
        if note.principal == Amount::ZERO {
            let (least, most) = (Amount::from_base_units(1), Amount::from_base_units(u128::MAX));
            return Err(Refusal::Amount { what: "principal", least, most, got: note.principal });
        }
        if call.authenticate {
            signed.verify(&self.domain)?;
        }
        let mut liens = self.liens(note.borrower).to_vec();
        if liens.len() >= LOANS_OPEN_MAX {
            let most = u64::try_from(LOANS_OPEN_MAX).unwrap_or(u64::MAX);
            let got = most.saturating_add(1);
            return Err(Refusal::Count { what: "open loans", least: 0, most, got });
        }
        liens.push(id);
        self.books.liens.set(note.borrower, liens);
        let outstanding = note.owed().ok_or(OVERFLOW)?;
        self.books.loans.set(id, Loan { note, outstanding, defaulted: false });
        Ok(())
    }

    pub(super) fn repay(
        &mut self,
        call: Call,
        loan: LoanId,
        amount: Amount,
    ) -> Result<(), Refusal> {
        let owed = self.loan(loan).ok_or(Refusal::Unknown { what: "loan" })?.outstanding;
        let part = owed.min(amount);
        self.pay_loan(Account::Wallet(call.actor), loan, part)
    }

    pub(super) fn declare_default(&mut self, call: Call, id: LoanId) -> Result<(), Refusal> {
        let mut loan = self.loan(id).ok_or(Refusal::Unknown { what: "loan" })?;
        if call.now < loan.note.due {
            return Err(Refusal::TooEarly { what: "default", from: loan.note.due, now: call.now });
        }
        if loan.outstanding == Amount::ZERO || loan.defaulted {
            return Err(Refusal::State { what: "loan", expected: "open and not in default" });
        }
        loan.defaulted = true;
        self.books.loans.set(id, loan);
        let mut record = self.record(loan.note.borrower);
        record.defaults = record.defaults.checked_add(1).ok_or(OVERFLOW)?;
        self.books.records.set(loan.note.borrower, record);
        Ok(())
    }

    /// Pay what somebody earned: to its lenders first, in the order in which the liens came.
    pub(crate) fn pay_earnings(
        &mut self,
        from: Account,
        to: WalletAddress,
        amount: Amount,
    ) -> Result<(), Refusal> {
        let mut rest = amount;
        for id in self.liens(to).to_vec() {
            let owed = self.loan(id).ok_or(Refusal::Unknown { what: "loan" })?.outstanding;
            let part = owed.min(rest);
            self.pay_loan(from, id, part)?;
            rest = rest.checked_sub(part).ok_or(OVERFLOW)?;
        }
        self.post(from, Account::Wallet(to), rest)
    }

    fn pay_loan(&mut self, from: Account, id: LoanId, part: Amount) -> Result<(), Refusal> {
        let mut loan = self.loan(id).ok_or(Refusal::Unknown { what: "loan" })?;
        if part == Amount::ZERO {
            return Ok(());
        }
        self.post(from, Account::Wallet(loan.note.lender), part)?;
        loan.outstanding = loan.outstanding.checked_sub(part).ok_or(OVERFLOW)?;
        self.books.loans.set(id, loan);
        if loan.outstanding > Amount::ZERO {
            return Ok(());
        }
        let borrower = loan.note.borrower;
        let mut liens = self.liens(borrower).to_vec();
        liens.retain(|open| *open != id);
        if liens.is_empty() {
            self.books.liens.remove(&borrower);
        } else {
            self.books.liens.set(borrower, liens);
        }
        let mut record = self.record(borrower);
        record.loans_repaid = record.loans_repaid.checked_add(1).ok_or(OVERFLOW)?;
        self.books.records.set(borrower, record);
        Ok(())
    }
}
