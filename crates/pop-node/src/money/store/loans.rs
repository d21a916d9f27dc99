//! What was lent, and what of that was paid back.

use std::collections::BTreeMap;

use pop_incentive::lending::LentLoan;
use pop_wire::Amount;
use redb::{ReadableDatabase as _, ReadableTable as _, TableDefinition, WriteTransaction};

use super::entry::LENT;
use super::{MoneyStore, Write, broken};
use crate::error::NodeError;

/// Base units of loans that were paid back whole (`repaid`).
const LENT_TOTALS: TableDefinition<'_, &str, u128> = TableDefinition::new("lent_totals");

/// What a node lent.
#[derive(Debug, Clone, Default)]
pub(crate) struct Lent {
    /// Loans that are out, by the numbers of their notes.
    pub(in crate::money) loans: Vec<LentLoan>,
    /// Paid back, with interest, of these and of all before.
    pub(in crate::money) repaid: Amount,
}

/// A loan of so much is paid back.
pub(super) fn add_repaid(
    transaction: &WriteTransaction,
    amount: Amount,
) -> Result<(), redb::Error> {
    let mut totals = transaction.open_table(LENT_TOTALS)?;
    let before = totals.get("repaid")?.map_or(0, |total| total.value());
    totals.insert("repaid", before.saturating_add(amount.base_units()))?;
    Ok(())
}

/// Whoever asks before anything was lent finds nothing.
pub(super) fn open_tables(transaction: &WriteTransaction) -> Result<(), redb::Error> {
    transaction.open_table(LENT)?;
    transaction.open_table(LENT_TOTALS)?;
    Ok(())
}

impl MoneyStore {
    /// What was lent, as far as the ledger was asked.
    pub(in crate::money) fn lent(&self) -> Result<Lent, NodeError> {
        let recent = self.recent();
        let read = || -> Result<Lent, redb::Error> {
            let transaction = self.database.begin_read()?;
            let mut loans = BTreeMap::new();
            for row in transaction.open_table(LENT)?.iter()? {
                let loan = LentLoan::decode(row?.1.value());
                let loan = loan.map_err(|_| redb::Error::Corrupted("a loan".to_owned()))?;
                loans.insert(loan.note.number, loan);
            }
            let totals = transaction.open_table(LENT_TOTALS)?;
            let mut repaid = totals.get("repaid")?.map_or(0, |total| total.value());
            for entry in &recent.entries {
                match entry {
                    Write::Lent(loan) => drop(loans.insert(loan.note.number, *loan)),
                    Write::LoanGone(number) => drop(loans.remove(number)),
                    Write::LoanPaid { number, amount } => {
                        loans.remove(number);
                        repaid = repaid.saturating_add(amount.base_units());
                    }
                    _ => {}
                }
            }
            // What isn't on the ledger is not lent.
            let loans: Vec<_> = loans.into_values().filter(|loan| loan.settled).collect();
            let paid = |loan: &LentLoan| loan.note.owed()?.checked_sub(loan.owed);
            for part in loans.iter().filter_map(paid) {
                repaid = repaid.saturating_add(part.base_units());
            }
            Ok(Lent { loans, repaid: Amount::from_base_units(repaid) })
        };
        read().map_err(|error| broken(&self.path, &error))
    }
}
