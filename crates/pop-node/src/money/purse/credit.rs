//! Fetching on credit: what to ask of whom, and what came of it.

use pop_incentive::ids::LoanId;
use pop_incentive::ledger::{LoanNote, OfferedNote};
use pop_incentive::lending::LenderPolicy;
use pop_incentive::limits::STEP_BYTES_FIRST;
use pop_incentive::message::{CreditRequest, Objection, PaymentMessage};
use pop_incentive::purse::Offer;
use pop_wire::WalletAddress;

use super::Driver;
use crate::clock;

/// Bytes of the first loan of a holder, which may serve nothing for it.
const FIRST_BYTES: u64 = 1 << 20;

/// Each further loan is so many times the last: three give 73 MiB, which is a column of a film of
/// two hours, and 30 holders with three loans each are within the ledger's limit.
const GROWTH: u64 = 8;

/// Bytes of the greatest loan.
const GREATEST_BYTES: u64 = 64 << 20;

/// Looks at what stands still that a refusal is good for; one comes every two seconds.
const REFUSED_FOR_LOOKS: u32 = 5;

/// What one holder lends us.
#[derive(Debug, Default)]
pub(super) struct Debt {
    /// Bytes that were lent and have not come yet.
    left: u64,
    /// Bytes asked of it and come from it, paid or not.
    asked: u64,
    received: u64,
    /// Bytes that are to be had of it in all.
    expected: u64,
    /// Bytes of the last loan.
    last: u64,
    pending: Option<LoanNote>,
    /// Looks until it is asked again.
    refused: u32,
}

impl Debt {
    /// So many bytes more may be had of this holder.
    pub(super) fn expect(&mut self, bytes: u64) {
        self.expected = self.expected.saturating_add(bytes);
    }

    /// Count what went on; returns how much of it came on credit. What comes is on credit first, on
    /// both sides.
    pub(super) fn count(&mut self, asked: u64, received: u64) -> u64 {
        self.asked = self.asked.saturating_add(asked);
        self.received = self.received.saturating_add(received);
        let on_credit = received.min(self.left);
        self.left -= on_credit;
        on_credit
    }

    /// Bytes asked of it in all.
    pub(super) fn asked(&self) -> u64 {
        self.asked
    }

    /// It said no to something.
    pub(super) fn objected(&mut self, objection: Objection) {
        match objection {
            Objection::NoCredit => (self.pending, self.refused) = (None, REFUSED_FOR_LOOKS),
            Objection::Ledger | Objection::Terms => self.pending = None,
            _ => {}
        }
    }

    /// Bytes to ask for now, if any are missing. Before it stands still there may be a float.
    fn need(&mut self, stands_still: bool) -> Option<u64> {
        if self.refused > 0 {
            self.refused -= u32::from(stands_still);
            return None;
        }
        let float = if stands_still { 0 } else { STEP_BYTES_FIRST / 2 };
        let missing = self.asked.saturating_sub(self.received).saturating_sub(self.left);
        if missing <= float || self.pending.is_some() {
            return None;
        }
        let next = self.last.saturating_mul(GROWTH).clamp(FIRST_BYTES, GREATEST_BYTES);
        let rest = self.expected.saturating_sub(self.received).saturating_sub(self.left);
        // Some may be lost on the way.
        Some(rest.max(missing).saturating_add(STEP_BYTES_FIRST).min(next))
    }
}

impl Driver {
    pub(super) fn say_that_there_is_no_vault(&self) {
        match self.bank.settings.borrow_bps {
            Some(interest_bps) => tracing::info!(
                interest_bps,
                "no vault to pay from: fetching on credit, which what this wallet earns pays back"
            ),
            None => tracing::warn!("no vault to pay from: `pop-node wallet deposit` opens one"),
        }
    }

    /// Ask those who have served what they serve for nothing.
    pub(super) fn borrow_where_it_stands_still(&mut self) {
        let sellers: Vec<_> = self.debts.keys().copied().collect();
        sellers.into_iter().for_each(|payee| self.borrow(payee, true));
    }

    /// Ask a holder for credit if there is nothing to pay it with and something is wanted of it.
    pub(super) fn borrow(&mut self, payee: WalletAddress, stands_still: bool) {
        let Some(interest_bps) = self.bank.settings.borrow_bps else { return };
        let is_poor = !self.machine.has_vault() && self.has_vault == Some(false);
        let Some(Offer { line, serial, tariff }) = self.machine.offer(payee) else { return };
        let Some(debt) = self.debts.get_mut(&payee) else { return };
        let vault_is_short = self.machine.is_open(payee) && stands_still;
        if !(is_poor || vault_is_short) {
            return;
        }
        let Some(bytes) = debt.need(stands_still) else { return };
        let (Some(principal), Ok(random)) = (tariff.price(bytes), clock::random_bytes()) else {
            return;
        };
        // A lender takes numbers below 2^63, and none twice.
        let number = random.iter().take(7).fold(0, |number, byte| number << 8 | u64::from(*byte));
        let note = LoanNote {
            lender: payee,
            borrower: self.bank.address(),
            principal,
            bytes,
            interest_bps,
            due: clock::unix_now().after_s(LenderPolicy::default().term_s),
            number,
        };
        debt.pending = Some(note);
        let borrower = note.sign(&self.bank.domain, &self.bank.keypair);
        let note = OfferedNote { note, borrower };
        self.say(line, &PaymentMessage::CreditRequest(CreditRequest { serial, note }));
    }

    /// A holder lends, or says how much of an earlier loan is left.
    pub(super) fn lent(&mut self, payee: WalletAddress, loan: LoanId, bytes: u64) {
        let Some(debt) = self.debts.get_mut(&payee) else { return };
        debt.left = bytes;
        let Some(note) = debt.pending.take_if(|note| note.id() == loan) else { return };
        debt.last = note.bytes;
        if let Some(owed) = note.owed() {
            let interest_bps = note.interest_bps;
            tracing::info!(%payee, bytes = note.bytes, %owed, interest_bps, "fetching on credit");
        }
        self.borrowed.push(note);
        self.borrow(payee, false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loan_is_for_what_is_wanted_and_grows_with_what_the_holder_lent_before() {
        let mut debt = Debt::default();
        debt.expect(100 << 20);
        assert_eq!(debt.need(true), None);
        debt.count(STEP_BYTES_FIRST / 2, 0);
        assert_eq!(debt.need(false), None);
        assert_eq!(debt.need(true), Some(FIRST_BYTES));
        debt.last = FIRST_BYTES;
        assert_eq!(debt.need(true), Some(GROWTH * FIRST_BYTES));
        debt.last = GREATEST_BYTES;
        assert_eq!(debt.need(true), Some(GREATEST_BYTES));
        let mut small = Debt::default();
        small.expect(1 << 19);
        small.count(1 << 18, 0);
        assert_eq!(small.need(false), Some((1 << 19) + STEP_BYTES_FIRST));
        let wanted = small.need(true);
        small.objected(Objection::NoCredit);
        for _ in 0..REFUSED_FOR_LOOKS {
            assert_eq!((small.need(false), small.need(true)), (None, None));
        }
        assert_eq!(small.need(true), wanted);
    }
}
