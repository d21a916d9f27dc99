//! What is stored, its form in the log, and its place in the tables.

use pop_incentive::ids::{LoanId, VaultId};
use pop_incentive::lending::LentLoan;
use pop_incentive::record::{PayeeRecord, PayerRecord};
use pop_incentive::voucher::VaultInfo;
use pop_wire::{Amount, ContentId, PeerId, UnixTime, WalletAddress};
use redb::{ReadableTable as _, TableDefinition, WriteTransaction};

use super::Stored;
use super::loans::add_repaid;

pub(super) const PAYEES: TableDefinition<'_, &[u8; 20], &[u8]> = TableDefinition::new("payees");
pub(super) const PAYERS: TableDefinition<'_, &[u8; 32], &[u8]> = TableDefinition::new("payers");
pub(super) const VAULTS: TableDefinition<'_, &[u8; 32], &[u8]> = TableDefinition::new("vaults");
/// Loans that are out, by the numbers of their notes.
pub(super) const LENT: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("lent");
/// Newest loan of a borrower, and bytes of its loans that it didn't take yet.
pub(super) const CREDITS: TableDefinition<'_, &[u8; 20], (&[u8; 32], u64)> =
    TableDefinition::new("credits");
/// Content and payer.
type EarningKey = (&'static [u8; 32], &'static [u8; 33]);
/// Bytes served, and base units promised for them.
pub(super) const EARNINGS: TableDefinition<'_, EarningKey, (u64, u128)> =
    TableDefinition::new("earnings");

/// Something to be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::money) enum Write {
    /// What we promised a payee.
    Payer(PayerRecord),
    /// What a payer promised us.
    Payee(PayeeRecord),
    /// What the ledger said of a vault: good enough to start with next time.
    Vault(VaultInfo),
    /// More was served and paid.
    Earned(Earned),
    /// What we lent.
    Lent(LentLoan),
    /// The loan of this number never came about.
    LoanGone(u64),
    /// The loan of this number is paid back, with interest.
    LoanPaid { number: u64, amount: Amount },
    /// A payer has gone, and nothing of it is left to redeem.
    PayerGone(VaultId),
    /// What a borrower may take.
    Credit(Credit),
}

/// Bytes that were lent and not taken yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::money) struct Credit {
    pub(in crate::money) borrower: WalletAddress,
    /// The newest of the loans.
    pub(in crate::money) loan: LoanId,
    pub(in crate::money) bytes: u64,
}

/// What one peer took and promised for one content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Earned {
    /// What was served.
    pub content: ContentId,
    /// To whom.
    pub payer: PeerId,
    /// Bytes of shards.
    pub bytes: u64,
    /// Base units promised for them by vouchers.
    pub amount: Amount,
}

impl Write {
    /// What whoever waits for it is told; `None` if nobody does.
    pub(super) fn stored(&self) -> Option<Stored> {
        match self {
            Self::Payer(record) => Some(Stored::Payer(record.payee)),
            Self::Payee(record) => Some(Stored::Payee(record.signed.voucher.vault)),
            Self::Lent(loan) => Some(Stored::Lent(loan.note.number)),
            _ => None,
        }
    }

    /// What was earned, if it says so.
    pub(super) fn earned(&self) -> Option<Earned> {
        match self {
            Self::Earned(earned) => Some(*earned),
            _ => None,
        }
    }

    /// Append the form in the log: a byte of kind, and the fields.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Payer(record) => put_fields(out, 1, &[&record.encode()]),
            Self::Payee(record) => put_fields(out, 2, &[&record.encode()]),
            Self::Vault(info) => put_fields(out, 3, &[&info.vault.0, &encode_vault(info)]),
            Self::Earned(earned) => {
                let (bytes, amount) = (earned.bytes, earned.amount.base_units());
                let (content, payer) = (&earned.content.0, earned.payer.public_key());
                put_fields(out, 4, &[content, payer, &bytes.to_be_bytes(), &amount.to_be_bytes()]);
            }
            Self::Lent(loan) => put_fields(out, 5, &[&loan.encode()]),
            Self::LoanGone(number) => put_fields(out, 6, &[&number.to_be_bytes()]),
            Self::PayerGone(vault) => put_fields(out, 7, &[&vault.0]),
            Self::Credit(credit) => {
                let bytes = credit.bytes.to_be_bytes();
                put_fields(out, 8, &[&credit.borrower.0, &credit.loan.0, &bytes]);
            }
            Self::LoanPaid { number, amount } => {
                let amount = amount.base_units().to_be_bytes();
                put_fields(out, 9, &[&number.to_be_bytes(), &amount]);
            }
        }
    }

    /// What [`encode`](Self::encode) wrote; `None` if it didn't write this.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (kind, rest) = bytes.split_first()?;
        match kind {
            1 => PayerRecord::decode(rest).ok().map(Self::Payer),
            2 => PayeeRecord::decode(rest).ok().map(Self::Payee),
            3 => {
                let (vault, info) = rest.split_first_chunk()?;
                decode_vault(VaultId(*vault), info).map(Self::Vault)
            }
            4 => decode_earned(rest).map(Self::Earned),
            5 => LentLoan::decode(rest).ok().map(Self::Lent),
            6 => Some(Self::LoanGone(u64::from_be_bytes(rest.try_into().ok()?))),
            7 => Some(Self::PayerGone(VaultId(rest.try_into().ok()?))),
            8 => {
                let (borrower, rest) = rest.split_first_chunk()?;
                let (loan, bytes) = rest.split_first_chunk()?;
                let bytes = u64::from_be_bytes(bytes.try_into().ok()?);
                let (borrower, loan) = (WalletAddress(*borrower), LoanId(*loan));
                Some(Self::Credit(Credit { borrower, loan, bytes }))
            }
            9 => {
                let (number, amount) = rest.split_first_chunk()?;
                let amount = u128::from_be_bytes(amount.try_into().ok()?);
                let (number, amount) =
                    (u64::from_be_bytes(*number), Amount::from_base_units(amount));
                Some(Self::LoanPaid { number, amount })
            }
            _ => None,
        }
    }

    /// Put it into its table.
    pub(super) fn put(&self, transaction: &WriteTransaction) -> Result<(), redb::Error> {
        match self {
            Self::Payer(record) => {
                let bytes = record.encode();
                transaction.open_table(PAYEES)?.insert(&record.payee.0, bytes.as_slice())?;
            }
            Self::Payee(record) => {
                let (vault, bytes) = (record.signed.voucher.vault, record.encode());
                transaction.open_table(PAYERS)?.insert(&vault.0, bytes.as_slice())?;
            }
            Self::Vault(info) => {
                let bytes = encode_vault(info);
                transaction.open_table(VAULTS)?.insert(&info.vault.0, bytes.as_slice())?;
            }
            Self::Lent(loan) => {
                let bytes = loan.encode();
                transaction.open_table(LENT)?.insert(loan.note.number, bytes.as_slice())?;
            }
            Self::PayerGone(vault) => {
                transaction.open_table(PAYERS)?.remove(&vault.0)?;
                transaction.open_table(VAULTS)?.remove(&vault.0)?;
            }
            Self::LoanGone(number) => {
                transaction.open_table(LENT)?.remove(number)?;
            }
            Self::LoanPaid { number, amount } => {
                transaction.open_table(LENT)?.remove(number)?;
                add_repaid(transaction, *amount)?;
            }
            Self::Credit(Credit { borrower, bytes: 0, .. }) => {
                transaction.open_table(CREDITS)?.remove(&borrower.0)?;
            }
            Self::Credit(Credit { borrower, loan, bytes }) => {
                transaction.open_table(CREDITS)?.insert(&borrower.0, (&loan.0, *bytes))?;
            }
            Self::Earned(earned) => {
                let mut table = transaction.open_table(EARNINGS)?;
                let payer = *earned.payer.public_key();
                let key = (&earned.content.0, &payer);
                let (bytes, amount) = table.get(key)?.map_or((0, 0), |row| row.value());
                let bytes = bytes.saturating_add(earned.bytes);
                let amount = amount.saturating_add(earned.amount.base_units());
                table.insert(key, (bytes, amount))?;
            }
        }
        Ok(())
    }
}

fn put_fields(out: &mut Vec<u8>, kind: u8, fields: &[&[u8]]) {
    out.push(kind);
    fields.iter().for_each(|field| out.extend_from_slice(field));
}

fn decode_earned(bytes: &[u8]) -> Option<Earned> {
    let (content, rest) = bytes.split_first_chunk()?;
    let (payer, rest) = rest.split_first_chunk::<33>()?;
    let (bytes, amount) = rest.split_first_chunk()?;
    Some(Earned {
        content: ContentId(*content),
        payer: PeerId::from_public_key(payer).ok()?,
        bytes: u64::from_be_bytes(*bytes),
        amount: Amount::from_base_units(u128::from_be_bytes(amount.try_into().ok()?)),
    })
}

fn encode_vault(info: &VaultInfo) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(84);
    bytes.extend_from_slice(&info.owner.0);
    bytes.extend_from_slice(&info.epoch.to_be_bytes());
    for amount in [info.funded, info.redeemed, info.penalty] {
        bytes.extend_from_slice(&amount.base_units().to_be_bytes());
    }
    // Zero for a vault that is not being closed: nothing closes in 1970.
    bytes.extend_from_slice(&info.closes.map_or(0, |closes| closes.0).to_be_bytes());
    bytes
}

pub(super) fn decode_vault(vault: VaultId, bytes: &[u8]) -> Option<VaultInfo> {
    let bytes: &[u8; 84] = bytes.try_into().ok()?;
    let number = |at: usize| bytes[at..at + 8].try_into().ok().map(u64::from_be_bytes);
    let amount = |at: usize| {
        let units = bytes[at..at + 16].try_into().ok().map(u128::from_be_bytes);
        units.map(Amount::from_base_units)
    };
    Some(VaultInfo {
        vault,
        owner: WalletAddress(bytes[..20].try_into().ok()?),
        epoch: number(20)?,
        funded: amount(28)?,
        redeemed: amount(44)?,
        penalty: amount(60)?,
        closes: number(76)?.ne(&0).then_some(UnixTime(number(76)?)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vault_is_read_back_as_it_was_written() {
        for closes in [None, Some(UnixTime(7))] {
            let amount = |units| Amount::from_base_units(units);
            let info = VaultInfo {
                vault: VaultId([1; 32]),
                owner: WalletAddress([2; 20]),
                epoch: 3,
                funded: amount(u128::MAX),
                redeemed: amount(5),
                penalty: amount(6),
                closes,
            };
            assert_eq!(decode_vault(info.vault, &encode_vault(&info)), Some(info));
        }
        assert_eq!(decode_vault(VaultId([1; 32]), &[0; 83]), None);
    }
}
