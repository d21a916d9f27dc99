//! What a node earned, for its operator: the body of `GET /api/v1/earnings`.

use std::collections::BTreeMap;
use std::path::Path;

use pop_incentive::lending::LentLoan;
use pop_wire::Amount;
use serde::{Deserialize, Serialize};

use super::Earned;
use super::store::{Lent, MoneyStore, path_in};
use crate::error::NodeError;

/// Rows of one table; the greatest come first.
const ROWS_MAX: usize = 100;

/// What a node earned since it has records. The field names are the interface of
/// `GET /api/v1/earnings`; amounts are exact, in POP.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Earnings {
    /// Promised to this node by vouchers, in all.
    pub earned: String,
    /// Bytes of shards that were served for it.
    pub bytes: u64,
    /// Paid back of loans, with interest: bytes that were served on credit earn this, and no voucher.
    #[serde(default)]
    pub repaid: String,
    /// Still owed to this node by borrowers, as of the last look at the ledger.
    #[serde(default)]
    pub outstanding: String,
    /// Loans that are out, the greatest first.
    #[serde(default)]
    pub loans: Vec<LoanRow>,
    /// By content, the greatest first.
    pub contents: Vec<Row>,
    /// By peer, the greatest first.
    pub peers: Vec<Row>,
}

/// One content or one peer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Row {
    /// Content id or peer id.
    pub name: String,
    /// Bytes of shards that were served.
    pub bytes: u64,
    /// Promised for them.
    pub earned: String,
}

/// One loan that is out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LoanRow {
    /// Its name on the ledger, in hex.
    pub loan: String,
    /// Address of who owes it.
    pub borrower: String,
    /// What is still owed, in POP.
    pub outstanding: String,
}

type Sums = BTreeMap<String, (u64, Amount)>;

impl Earnings {
    /// Add up what was earned.
    #[must_use]
    pub fn of(earned: &[Earned]) -> Self {
        let (mut contents, mut peers, mut all) = (Sums::new(), Sums::new(), Sums::new());
        for one in earned {
            let sums = [
                (&mut contents, one.content.to_string()),
                (&mut peers, one.payer.to_string()),
                (&mut all, String::new()),
            ];
            for (sums, name) in sums {
                let (bytes, amount) = sums.entry(name).or_insert((0, Amount::ZERO));
                *bytes = bytes.saturating_add(one.bytes);
                *amount = amount.checked_add(one.amount).unwrap_or(*amount);
            }
        }
        let (bytes, amount) = all.remove("").unwrap_or((0, Amount::ZERO));
        Self {
            earned: pop(amount),
            bytes,
            contents: rows(contents),
            peers: rows(peers),
            ..Self::default().with_loans(&Lent::default())
        }
    }

    /// Add what was lent.
    pub(crate) fn with_loans(self, lent: &Lent) -> Self {
        let mut loans: Vec<_> = lent.loans.iter().collect();
        loans.sort_by_key(|loan| (core::cmp::Reverse(loan.owed), loan.note.number));
        let owed =
            loans.iter().fold(Amount::ZERO, |sum, loan| sum.checked_add(loan.owed).unwrap_or(sum));
        let row = |loan: &LentLoan| LoanRow {
            loan: loan.note.id().to_string(),
            borrower: loan.note.borrower.to_string(),
            outstanding: pop(loan.owed),
        };
        let loans = loans.into_iter().map(row).collect();
        Self { repaid: pop(lent.repaid), outstanding: pop(owed), loans, ..self }
    }

    /// Those of a node that isn't running, from its records; none if it has no records.
    ///
    /// # Errors
    /// [`NodeError::WalletInUse`] if it is running; or the records can't be read.
    pub fn stored(data_dir: &Path) -> Result<Self, NodeError> {
        if !path_in(data_dir).exists() {
            return Ok(Self::of(&[]));
        }
        let store = MoneyStore::open(data_dir)?;
        store.load()?;
        Ok(Self::of(&store.earnings()?).with_loans(&store.lent()?))
    }
}

fn rows(sums: Sums) -> Vec<Row> {
    let mut sums: Vec<_> = sums.into_iter().collect();
    sums.sort_by_key(|(_, (_, amount))| core::cmp::Reverse(*amount));
    sums.truncate(ROWS_MAX);
    let row = |(name, (bytes, amount))| Row { name, bytes, earned: pop(amount) };
    sums.into_iter().map(row).collect()
}

fn pop(amount: Amount) -> String {
    amount.to_string().trim_end_matches(" POP").to_owned()
}

#[cfg(test)]
mod tests {
    use pop_wire::{ContentId, Keypair};

    use super::*;

    #[test]
    fn earnings_are_added_up_by_content_and_by_peer() {
        let peer = |number| Keypair::from_secret_bytes(&[number; 32]).unwrap().peer_id();
        let one = |content, payer, bytes, units| Earned {
            content: ContentId([content; 32]),
            payer: peer(payer),
            bytes,
            amount: Amount::from_base_units(units),
        };
        let earned = [one(1, 1, 10, 5), one(1, 2, 20, 7), one(2, 2, 30, 100)];
        let earnings = Earnings::of(&earned);
        assert_eq!(earnings.earned, "0.000000000000000112");
        assert_eq!(earnings.bytes, 60);
        let contents: Vec<_> = earnings.contents.iter().map(|row| row.bytes).collect();
        assert_eq!(contents, [30, 30]);
        assert_eq!(earnings.contents[0].name, ContentId([2; 32]).to_string());
        let peers: Vec<_> = earnings.peers.iter().map(|row| (row.bytes, &row.name)).collect();
        assert_eq!(peers, [(50, &peer(2).to_string()), (10, &peer(1).to_string())]);
        let zero = || "0".to_owned();
        let none = Earnings { repaid: zero(), outstanding: zero(), ..Earnings::default() };
        assert_eq!(Earnings::of(&[]), Earnings { earned: "0".to_owned(), ..none });
    }
}
