//! One loan as its lender remembers it: [`LentLoan`].

use pop_wire::{Amount, UnixTime, WalletAddress};

use crate::exposure::IpPrefix;
use crate::fixed_layout::{Reader, Writer};
use crate::ledger::limits::WHOLE_BPS;
use crate::ledger::{LoanNote, portion};
use crate::limits::LENT_LOAN_BYTES;
use crate::rate::{Rate, Tariff, Tier};
use crate::voucher::FormatError;

/// A loan that is out. A node stores it under its number whenever it changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct LentLoan {
    /// The terms; before it is settled, with the bytes and the price of the offer.
    pub note: LoanNote,
    /// What the bytes were sold for.
    pub tariff: Tariff,
    /// Where the borrower asked from.
    pub prefix: IpPrefix,
    /// Whether the borrower had no age then.
    pub fresh: bool,
    /// Principal and interest that are still to be paid.
    pub owed: Amount,
    /// Whether it is known how many bytes went.
    pub settled: bool,
}

impl LentLoan {
    /// Whether its time is over.
    pub fn is_overdue(&self, now: UnixTime) -> bool {
        now >= self.note.due
    }

    /// Bytes that are still out, in proportion to what is owed, rounded up.
    pub fn out_bytes(&self) -> u64 {
        let whole = self.note.owed().unwrap_or(self.owed);
        let bytes = Amount::from_base_units(self.note.bytes.into());
        let paid = whole.checked_sub(self.owed).unwrap_or(Amount::ZERO);
        let back = portion(bytes, paid.base_units(), whole.base_units()).unwrap_or(Amount::ZERO);
        self.note.bytes.saturating_sub(u64::try_from(back.base_units()).unwrap_or(0))
    }

    /// Bytes that its interest is the price of, rounded down.
    pub(super) fn interest_bytes(&self) -> u64 {
        let (bytes, bps) = (u128::from(self.note.bytes), u128::from(self.note.interest_bps));
        u64::try_from(bytes * bps / u128::from(WHOLE_BPS)).unwrap_or(u64::MAX)
    }

    /// Its form on the disk, of [`LENT_LOAN_BYTES`].
    pub fn encode(&self) -> [u8; LENT_LOAN_BYTES] {
        let note = &self.note;
        let (kind, prefix) = match self.prefix {
            IpPrefix::Unknown => (0, [0; 6]),
            IpPrefix::V4([a, b, c]) => (4, [a, b, c, 0, 0, 0]),
            IpPrefix::V6(prefix) => (6, prefix),
        };
        Writer::new()
            .bytes(&note.lender.0)
            .bytes(&note.borrower.0)
            .amount(note.principal)
            .u64(note.bytes)
            .u64(note.interest_bps)
            .u64(note.due.0)
            .u64(note.number)
            .amount(self.tariff.rate.amount())
            .u32(self.tariff.tier.count())
            .bytes(&[kind])
            .bytes(&prefix)
            .bytes(&[self.fresh.into(), self.settled.into()])
            .amount(self.owed)
            .finish()
    }

    /// Read what [`encode`](Self::encode) wrote.
    ///
    /// # Errors
    /// [`FormatError`]: the file is not one of ours.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut reader = Reader::<LENT_LOAN_BYTES>::new("loan", bytes)?;
        let note = LoanNote {
            lender: reader.address(),
            borrower: WalletAddress(reader.array()),
            principal: reader.amount(),
            bytes: reader.u64(),
            interest_bps: reader.u64(),
            due: UnixTime(reader.u64()),
            number: reader.u64(),
        };
        let rate: Rate = reader.rate()?;
        let tier = reader.u32().checked_mul(100).and_then(Tier::of_kbps);
        let tier = tier.ok_or(FormatError::Range { field: "tier" })?;
        let [kind] = reader.array();
        let prefix: [u8; 6] = reader.array();
        let prefix = match (kind, prefix) {
            (0, [0, 0, 0, 0, 0, 0]) => IpPrefix::Unknown,
            (4, [a, b, c, 0, 0, 0]) => IpPrefix::V4([a, b, c]),
            (6, prefix) => IpPrefix::V6(prefix),
            _ => return Err(FormatError::Range { field: "prefix" }),
        };
        let mut flag = || match reader.array() {
            [0] => Ok(false),
            [1] => Ok(true),
            _ => Err(FormatError::Range { field: "flag" }),
        };
        let (fresh, settled) = (flag()?, flag()?);
        let tariff = Tariff { rate, tier };
        Ok(Self { note, tariff, prefix, fresh, owed: reader.amount(), settled })
    }
}
