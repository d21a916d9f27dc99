//! Serving on credit (`spec/incentive.md` §13): the ledger is asked about the borrower, the loan is
//! stored, then registered, and only then may the bytes be taken. They are counted here and nowhere
//! else: what is on credit is neither float nor to be paid by voucher.

use std::collections::{BTreeMap, BTreeSet};

use pop_exchange::LinkId;
use pop_incentive::ids::LoanId;
use pop_incentive::ledger::{Loan, Operation, Record, SignedNote};
use pop_incentive::lending::{Lender, LentLoan};
use pop_incentive::message::{CreditRequest, Objection, PaymentMessage};
use pop_incentive::rate::Tariff;
use pop_wire::{Amount, PeerId, WalletAddress};

use super::{Action, News, Till};
use crate::clock;
use crate::ledger::LedgerClientError;
use crate::money::Bank;
use crate::money::store::{Credit, Write};

/// Seconds after which somebody who was refused is looked up again: each look costs trips to the
/// ledger.
const REFUSED_FOR_TICKS: u64 = 5;

/// What is lent to whom.
#[derive(Debug)]
pub(super) struct Lending {
    lender: Lender,
    credits: BTreeMap<WalletAddress, Credit>,
    /// Whose credit is another than on the disk.
    changed: BTreeSet<WalletAddress>,
    /// On their way to the disk and the ledger, by number.
    pending: BTreeMap<u64, Pending>,
    looking: bool,
}

#[derive(Debug, Clone, Copy)]
struct Pending {
    peer: PeerId,
    link: LinkId,
    note: SignedNote,
}

/// A request for credit with what the ledger says of who makes it.
#[derive(Debug)]
pub(crate) struct Answer {
    peer: PeerId,
    link: LinkId,
    asked: CreditRequest,
    tariff: Tariff,
    found: Result<Found, LedgerClientError>,
}

#[derive(Debug)]
struct Found {
    record: Record,
    open_loans: u64,
    /// This very note was registered before: nothing is lent for it twice.
    is_old: bool,
}

/// What the ledger says of a loan, by its number here.
pub(crate) type Looked = (u64, Option<Loan>);

impl Lending {
    pub(super) fn new(bank: &Bank, lent: Vec<LentLoan>, credits: Vec<Credit>) -> Self {
        let policy = bank.settings.lend.unwrap_or_default();
        Self {
            lender: Lender::new(policy, bank.address(), lent),
            credits: credits.into_iter().map(|credit| (credit.borrower, credit)).collect(),
            changed: BTreeSet::new(),
            pending: BTreeMap::new(),
            looking: false,
        }
    }

    /// Bytes that somebody may take on credit.
    pub(super) fn left(&self, borrower: WalletAddress) -> u64 {
        self.credits.get(&borrower).map_or(0, |credit| credit.bytes)
    }

    /// So many bytes went; returns how many of them are on credit.
    pub(super) fn take(&mut self, borrower: WalletAddress, bytes: u64) -> u64 {
        let Some(credit) = self.credits.get_mut(&borrower) else { return 0 };
        let taken = bytes.min(credit.bytes);
        credit.bytes -= taken;
        if taken > 0 {
            self.changed.insert(borrower);
        }
        taken
    }

    fn give(&mut self, borrower: WalletAddress, loan: LoanId, bytes: u64) -> Credit {
        let none = Credit { borrower, loan, bytes: 0 };
        let credit = self.credits.entry(borrower).or_insert(none);
        *credit = Credit { borrower, loan, bytes: credit.bytes.saturating_add(bytes) };
        *credit
    }
}

impl Till {
    /// Somebody wants credit: ask the ledger about it, once at a time.
    pub(super) fn credit_asked(&mut self, link: LinkId, peer: PeerId, asked: &CreditRequest) {
        let tariff = self.tariff(asked.serial);
        let Some(customer) = self.customers.get_mut(&peer) else { return };
        let is_refused = |at: u64| self.ticks < at.saturating_add(REFUSED_FOR_TICKS);
        if customer.credit_refused.is_some_and(is_refused) {
            return self.say(link, PaymentMessage::Objection(Objection::NoCredit));
        }
        if customer.asks_credit {
            // The answer may go to a link that is about to end.
            return self.say(link, PaymentMessage::Objection(Objection::Ledger));
        }
        let note = asked.note.note;
        let is_its_own =
            note.borrower == customer.payer && asked.note.verify(&self.bank.domain).is_ok();
        let objection = if self.bank.settings.lend.is_none() || !is_its_own {
            Objection::NoCredit
        } else if let Some(tariff) = tariff {
            customer.asks_credit = true;
            return self.ask_about((link, peer), *asked, tariff);
        } else {
            Objection::Terms
        };
        self.say(link, PaymentMessage::Objection(objection));
    }

    /// What a byte costs by the quote of this number, if it is ours and still valid.
    fn tariff(&self, serial: u64) -> Option<Tariff> {
        self.machine.quote(serial, clock::unix_now())?.tariff()
    }

    fn ask_about(&self, (link, peer): (LinkId, PeerId), asked: CreditRequest, tariff: Tariff) {
        let (ledger, news) = (self.bank.ledger.clone(), self.news.clone());
        let note = asked.note.note;
        self.bank.spawn(async move {
            let find = async {
                let record = ledger.record(note.borrower).await?;
                let open_loans = ledger.liens(note.borrower).await?.len();
                let is_old = ledger.loan(note.id()).await?.is_some();
                let open_loans = u64::try_from(open_loans).unwrap_or(u64::MAX);
                Ok(Found { record, open_loans, is_old })
            };
            let answer = Answer { peer, link, asked, tariff, found: find.await };
            let _stopped = news.send(News::Borrower(Box::new(answer)));
        });
    }

    /// Decide, and store what is decided before anything else.
    pub(super) fn on_borrower(&mut self, answer: Answer) {
        let Answer { peer, link, asked, tariff, found } = answer;
        let Some(customer) = self.customers.get_mut(&peer) else { return };
        let found = match found {
            Ok(found) => found,
            Err(error) => {
                tracing::warn!(%peer, %error, "a borrower can't be looked up");
                return self.no_credit(peer, link, Objection::Ledger);
            }
        };
        let (note, now) = (asked.note.note, clock::unix_now());
        let (terms, prefix) = ((tariff, found.open_loans), customer.prefix);
        let lender = &mut self.lending.lender;
        let refused = match lender.accept(note, terms, &found.record, prefix, now) {
            Ok(()) if !found.is_old => None,
            Ok(()) => {
                lender.settled(note.number, 0);
                Some("the note was registered before".to_owned())
            }
            Err(refusal) => Some(refusal.to_string()),
        };
        if let Some(refusal) = refused {
            tracing::info!(%peer, bytes = note.bytes, %refusal, "no credit");
            return self.no_credit(peer, link, Objection::NoCredit);
        }
        let note = asked.note.countersign(&self.bank.domain, &self.bank.keypair);
        self.lending.pending.insert(note.note.number, Pending { peer, link, note });
        self.store_loan(note.note.number);
    }

    fn no_credit(&mut self, peer: PeerId, link: LinkId, objection: Objection) {
        if let Some(customer) = self.customers.get_mut(&peer) {
            customer.asks_credit = false;
            customer.credit_refused = (objection == Objection::NoCredit).then_some(self.ticks);
            self.say(link, PaymentMessage::Objection(objection));
        }
    }

    fn store_loan(&self, number: u64) {
        let loan = self.lending.lender.loans().find(|loan| loan.note.number == number);
        if let Some(loan) = loan {
            self.bank.writer.store(Write::Lent(*loan), Some(&self.stored));
        }
    }

    /// A loan is stored: put it on the ledger, unless it is there.
    pub(super) fn lend(&mut self, number: u64) {
        let Some(Pending { note, .. }) = self.lending.pending.get(&number).copied() else { return };
        let (bank, news) = (self.bank.clone(), self.news.clone());
        self.bank.spawn(async move {
            let operation = Operation::Lend { note };
            let done = match bank.ledger.perform(&bank.keypair, operation).await {
                Ok(_) => Ok(()),
                // It may have taken effect after all.
                Err(error) => match bank.ledger.loan(note.note.id()).await {
                    Ok(Some(_)) => Ok(()),
                    _ => Err(error),
                },
            };
            let _stopped = news.send(News::Lent { number, done });
        });
    }

    pub(super) fn on_lent(&mut self, number: u64, done: Result<(), LedgerClientError>) {
        let Some(Pending { peer, link, .. }) = self.lending.pending.remove(&number) else { return };
        match done {
            Ok(()) => {
                self.grant(number);
                if let Some(customer) = self.customers.get_mut(&peer) {
                    customer.asks_credit = false;
                    self.say_credit(link, peer);
                }
            }
            Err(error) => {
                tracing::warn!(%peer, %error, "a loan is not registered");
                let is_refused = matches!(error, LedgerClientError::Refused(_));
                let objection = if is_refused { Objection::NoCredit } else { Objection::Ledger };
                // If it is not known, the next look at the ledger will tell.
                if is_refused {
                    self.forget_loan(number);
                }
                self.no_credit(peer, link, objection);
            }
        }
    }

    /// The ledger has the loan: its bytes may be taken.
    fn grant(&mut self, number: u64) {
        let Some(note) = self.lending.lender.settled(number, u64::MAX) else { return };
        let credit = self.lending.give(note.borrower, note.id(), note.bytes);
        let (bytes, principal) = (note.bytes, note.principal);
        tracing::info!(borrower = %note.borrower, bytes, %principal, "lent");
        self.bank.writer.store(Write::Credit(credit), None);
        self.store_loan(number);
    }

    fn forget_loan(&mut self, number: u64) {
        self.lending.lender.settled(number, 0);
        self.bank.writer.store(Write::LoanGone(number), None);
    }

    /// Say how much somebody has on credit, if it has, and let it take that.
    pub(super) fn say_credit(&mut self, link: LinkId, peer: PeerId) {
        let Some(customer) = self.customers.get(&peer) else { return };
        let credit = self.lending.credits.get(&customer.payer).copied();
        if let Some(Credit { loan, bytes, .. }) = credit.filter(|credit| credit.bytes > 0) {
            self.say(link, PaymentMessage::Credit { loan, bytes });
            self.actions.push_back(Action::Allow { peer, bytes: 0 });
        }
    }

    /// Store what was taken since the last time: as much is served twice after a crash, at most.
    pub(super) fn store_credits(&mut self) {
        for borrower in core::mem::take(&mut self.lending.changed) {
            let Some(credit) = self.lending.credits.get(&borrower).copied() else { continue };
            self.bank.writer.store(Write::Credit(credit), None);
            if credit.bytes == 0 {
                self.lending.credits.remove(&borrower);
            }
        }
    }

    /// Ask the ledger what was paid back, and declare what is overdue.
    pub(super) fn look_after_loans(&mut self) {
        let lending = &mut self.lending;
        let pending = |loan: &&LentLoan| !lending.pending.contains_key(&loan.note.number);
        let loans: Vec<_> = lending.lender.loans().filter(pending).copied().collect();
        if lending.looking || loans.is_empty() {
            return;
        }
        lending.looking = true;
        let (bank, news) = (self.bank.clone(), self.news.clone());
        self.bank.spawn(async move {
            let looked = look_at(&bank, &loans).await;
            let _stopped = news.send(News::Loans(looked));
        });
    }

    pub(super) fn on_loans(&mut self, looked: Vec<Looked>) {
        self.lending.looking = false;
        for (number, found) in looked {
            let known = self.lending.lender.loans().find(|loan| loan.note.number == number);
            let Some(known) = known.copied() else { continue };
            match found {
                // A crash, or a ledger out of reach, came between: only now is it known.
                Some(_) if !known.settled => self.grant(number),
                None if !known.settled => self.forget_loan(number),
                None => tracing::error!(number, "the ledger doesn't know a loan any more"),
                Some(loan) => self.on_repaid(&known, loan.outstanding),
            }
        }
    }

    fn on_repaid(&mut self, known: &LentLoan, outstanding: Amount) {
        let Some(paid) = known.owed.checked_sub(outstanding).filter(|it| *it > Amount::ZERO) else {
            return;
        };
        let (number, borrower) = (known.note.number, known.note.borrower);
        match self.lending.lender.repaid(number, paid) {
            Some(Amount::ZERO) => {
                tracing::info!(%borrower, %paid, "a loan is paid back");
                let amount = known.note.owed().unwrap_or(paid);
                self.bank.writer.store(Write::LoanPaid { number, amount }, None);
            }
            _ => self.store_loan(number),
        }
    }
}

async fn look_at(bank: &Bank, loans: &[LentLoan]) -> Vec<Looked> {
    let mut looked = Vec::new();
    for lent in loans {
        let id = lent.note.id();
        let found = match bank.ledger.loan(id).await {
            Ok(found) => found,
            Err(error) => {
                tracing::warn!(%error, "not known what was paid back");
                return looked;
            }
        };
        let is_open = found.is_some_and(|it| it.outstanding > Amount::ZERO && !it.defaulted);
        if is_open && lent.is_overdue(clock::unix_now()) {
            let operation = Operation::DeclareDefault { loan: id };
            if let Err(error) = bank.ledger.perform(&bank.keypair, operation).await {
                tracing::warn!(%error, "a default is not declared");
            }
        }
        looked.push((lent.note.number, found));
    }
    looked
}

#[cfg(test)]
mod tests {
    use pop_incentive::lending::LenderPolicy;

    use super::*;

    #[test]
    fn every_byte_is_taken_from_the_credit_or_left_to_the_payee_and_none_from_both() {
        let borrower = WalletAddress([1; 20]);
        let mut lending = Lending {
            lender: Lender::new(LenderPolicy::default(), WalletAddress([2; 20]), []),
            credits: BTreeMap::new(),
            changed: BTreeSet::new(),
            pending: BTreeMap::new(),
            looking: false,
        };
        assert_eq!(lending.take(borrower, 10), 0);
        let (mut given, mut on_credit) = (0, 0);
        for step in 0..500_u64 {
            if step.is_multiple_of(100) {
                lending.give(borrower, LoanId([3; 32]), 2_000);
                given += 2_000;
            }
            let (before, bytes) = (lending.left(borrower), step * 37 % 101);
            let taken = lending.take(borrower, bytes);
            assert_eq!(taken, bytes.min(before));
            assert_eq!(lending.left(borrower), before - taken);
            // Others have nothing of it.
            assert_eq!(lending.take(WalletAddress([4; 20]), bytes), 0);
            on_credit += taken;
        }
        assert_eq!(on_credit + lending.left(borrower), given);
    }
}
