//! What the node's payer and payee have promised, on disk: one record a peer, in redb. A thread of
//! its own writes whatever waits in one commit, and says so once it is durable.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use pop_incentive::ids::{LoanId, VaultId};
use pop_incentive::lending::LentLoan;
use pop_incentive::record::{PayeeRecord, PayerRecord};
use pop_incentive::voucher::VaultInfo;
use pop_wire::{Amount, ContentId, PeerId, UnixTime, WalletAddress};
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction};
use tokio::sync::mpsc::UnboundedSender;

use crate::error::NodeError;

/// redb's default cache is 1 GiB; a record is 200 bytes.
const CACHE_BYTES: usize = 4 << 20;

/// Writes that wait for the disk; more slows down who pays and who is paid.
const WRITES_MAX: usize = 4_096;

/// Time in which promises gather that are then written in one commit.
const GATHERING: Duration = Duration::from_millis(1);

/// Numbers of quotes that are taken at once, so that none is used twice after a crash.
const SERIALS_RESERVED: u64 = 1 << 20;

const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
const PAYEES: TableDefinition<'_, &[u8; 20], &[u8]> = TableDefinition::new("payees");
const PAYERS: TableDefinition<'_, &[u8; 32], &[u8]> = TableDefinition::new("payers");
const VAULTS: TableDefinition<'_, &[u8; 32], &[u8]> = TableDefinition::new("vaults");
/// Loans that are out, by the numbers of their notes.
const LENT: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("lent");
/// Newest loan of a borrower, and bytes of its loans that it didn't take yet.
const CREDITS: TableDefinition<'_, &[u8; 20], (&[u8; 32], u64)> = TableDefinition::new("credits");
/// Content and payer.
type EarningKey = (&'static [u8; 32], &'static [u8; 33]);
/// Bytes served, and base units promised for them.
const EARNINGS: TableDefinition<'_, EarningKey, (u64, u128)> = TableDefinition::new("earnings");

/// Something to be stored.
#[derive(Debug)]
pub(super) enum Write {
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
    /// The loan of this number is paid back, or never came about.
    LoanGone(u64),
    /// A payer has gone, and nothing of it is left to redeem.
    PayerGone(VaultId),
    /// What a borrower may take.
    Credit(Credit),
}

/// Bytes that were lent and not taken yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Credit {
    pub(super) borrower: WalletAddress,
    /// The newest of the loans.
    pub(super) loan: LoanId,
    pub(super) bytes: u64,
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

/// A record is durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stored {
    Payer(WalletAddress),
    Payee(VaultId),
    /// The loan of this number.
    Lent(u64),
}

/// The records of one node.
#[derive(Debug)]
pub(super) struct MoneyStore {
    database: Database,
    path: PathBuf,
}

/// Hands records to the writing thread.
#[derive(Debug, Clone)]
pub(super) struct Writer {
    writes: SyncSender<(Write, Option<UnboundedSender<Stored>>)>,
}

impl Writer {
    /// Store `write`; `told` hears of it once it is durable. Waits while the disk is far behind.
    pub(super) fn store(&self, write: Write, told: Option<&UnboundedSender<Stored>>) {
        if self.writes.send((write, told.cloned())).is_err() {
            tracing::error!("records of payments can't be stored any more: paying stops");
        }
    }
}

/// What was stored before.
#[derive(Debug, Default)]
pub(crate) struct Loaded {
    pub(super) payers: Vec<PayerRecord>,
    pub(super) payees: Vec<PayeeRecord>,
    pub(super) vaults: BTreeMap<VaultId, VaultInfo>,
    pub(super) lent: Vec<LentLoan>,
    pub(super) credits: Vec<Credit>,
    /// First number for quotes that was never used.
    pub(super) serial: u64,
}

/// Where the records lie.
pub(super) fn path_in(data_dir: &Path) -> PathBuf {
    data_dir.join("money.redb")
}

impl MoneyStore {
    /// Open or create the records of the node in `data_dir`.
    pub(super) fn open(data_dir: &Path) -> Result<Self, NodeError> {
        let path = path_in(data_dir);
        std::fs::create_dir_all(data_dir)
            .map_err(|source| NodeError::Io { action: "create the data directory", source })?;
        let mut builder = Database::builder();
        builder.set_cache_size(CACHE_BYTES);
        let database = builder.create(&path).map_err(|error| match error {
            redb::DatabaseError::DatabaseAlreadyOpen => {
                NodeError::WalletInUse { path: path.clone() }
            }
            other => broken(&path, &other.into()),
        })?;
        Ok(Self { database, path })
    }

    /// Everything that was stored, and numbers for new quotes.
    pub(super) fn load(&self) -> Result<Loaded, NodeError> {
        self.try_load().map_err(|error| broken(&self.path, &error))
    }

    fn try_load(&self) -> Result<Loaded, redb::Error> {
        let mut loaded = Loaded::default();
        let transaction = self.database.begin_write()?;
        {
            let corrupted = |what: &str| redb::Error::Corrupted(what.to_owned());
            for row in transaction.open_table(PAYEES)?.iter()? {
                let record = PayerRecord::decode(row?.1.value());
                loaded.payers.push(record.map_err(|_| corrupted("a payer's record"))?);
            }
            for row in transaction.open_table(PAYERS)?.iter()? {
                let record = PayeeRecord::decode(row?.1.value());
                loaded.payees.push(record.map_err(|_| corrupted("a payee's record"))?);
            }
            for row in transaction.open_table(VAULTS)?.iter()? {
                let (vault, info) = row?;
                let info = decode_vault(VaultId(*vault.value()), info.value());
                let info = info.ok_or_else(|| corrupted("a vault"))?;
                loaded.vaults.insert(info.vault, info);
            }
            for row in transaction.open_table(LENT)?.iter()? {
                let loan = LentLoan::decode(row?.1.value());
                loaded.lent.push(loan.map_err(|_| corrupted("a loan"))?);
            }
            for row in transaction.open_table(CREDITS)?.iter()? {
                let (borrower, value) = row?;
                let (borrower, (loan, bytes)) = (WalletAddress(*borrower.value()), value.value());
                loaded.credits.push(Credit { borrower, loan: LoanId(*loan), bytes });
            }
            transaction.open_table(EARNINGS)?;
            let mut meta = transaction.open_table(META)?;
            loaded.serial = meta.get("serial")?.map_or(0, |serial| serial.value());
            meta.insert("serial", loaded.serial.saturating_add(SERIALS_RESERVED))?;
        }
        transaction.commit()?;
        Ok(loaded)
    }

    /// What was earned, by content and payer.
    pub(super) fn earnings(&self) -> Result<Vec<Earned>, NodeError> {
        let read = || -> Result<Vec<Earned>, redb::Error> {
            let mut earnings = Vec::new();
            for row in self.database.begin_read()?.open_table(EARNINGS)?.iter()? {
                let (key, value) = row?;
                let ((content, payer), (bytes, amount)) = (key.value(), value.value());
                let payer = PeerId::from_public_key(payer)
                    .map_err(|_| redb::Error::Corrupted("a payer's name".to_owned()))?;
                let amount = Amount::from_base_units(amount);
                earnings.push(Earned { content: ContentId(*content), payer, bytes, amount });
            }
            Ok(earnings)
        };
        read().map_err(|error| broken(&self.path, &error))
    }

    /// Store what the ledger says of a vault, at once.
    pub(super) fn store_vault(&self, info: VaultInfo) -> Result<(), NodeError> {
        let written = self.write(std::iter::once(&Write::Vault(info)));
        written.map_err(|error| broken(&self.path, &error))
    }

    /// Start the thread that writes. It ends when the last [`Writer`] is gone.
    pub(super) fn start_writing(
        self: std::sync::Arc<Self>,
    ) -> Result<(Writer, JoinHandle<()>), NodeError> {
        let (writes, queue) = sync_channel(WRITES_MAX);
        let thread = std::thread::Builder::new()
            .name("money".to_owned())
            .spawn(move || self.write_all(&queue))
            .map_err(|source| NodeError::Io {
                action: "start the thread that stores money",
                source,
            })?;
        Ok((Writer { writes }, thread))
    }

    /// Write what waits, as much as waits, in one commit. What can't be written is never told to be
    /// stored: the machines then neither send nor allow anything more.
    fn write_all(&self, queue: &Receiver<(Write, Option<UnboundedSender<Stored>>)>) {
        while let Ok(first) = queue.recv() {
            // A payer has many payees, and one commit for all costs as much as for one; a payee's
            // next bytes wait for each.
            if matches!(first, (Write::Payer(_), _)) {
                std::thread::sleep(GATHERING);
            }
            let batch: Vec<_> = std::iter::once(first).chain(queue.try_iter()).collect();
            if let Err(error) = self.write(batch.iter().map(|(write, _)| write)) {
                tracing::error!(%error, path = %self.path.display(), "payments stop");
                return;
            }
            for (write, told) in &batch {
                let stored = match write {
                    Write::Payer(record) => Stored::Payer(record.payee),
                    Write::Payee(record) => Stored::Payee(record.signed.voucher.vault),
                    Write::Lent(loan) => Stored::Lent(loan.note.number),
                    Write::Vault(_)
                    | Write::Earned(_)
                    | Write::LoanGone(_)
                    | Write::PayerGone(_)
                    | Write::Credit(_) => {
                        continue;
                    }
                };
                let _gone = told.as_ref().map(|told| told.send(stored));
            }
        }
    }

    fn write<'a>(&self, writes: impl Iterator<Item = &'a Write>) -> Result<(), redb::Error> {
        let transaction = self.database.begin_write()?;
        for write in writes {
            put(&transaction, write)?;
        }
        transaction.commit()?;
        Ok(())
    }
}

fn put(transaction: &WriteTransaction, write: &Write) -> Result<(), redb::Error> {
    match write {
        Write::Payer(record) => {
            let bytes = record.encode();
            transaction.open_table(PAYEES)?.insert(&record.payee.0, bytes.as_slice())?;
        }
        Write::Payee(record) => {
            let (vault, bytes) = (record.signed.voucher.vault, record.encode());
            transaction.open_table(PAYERS)?.insert(&vault.0, bytes.as_slice())?;
        }
        Write::Vault(info) => {
            let bytes = encode_vault(info);
            transaction.open_table(VAULTS)?.insert(&info.vault.0, bytes.as_slice())?;
        }
        Write::Lent(loan) => {
            let bytes = loan.encode();
            transaction.open_table(LENT)?.insert(loan.note.number, bytes.as_slice())?;
        }
        Write::PayerGone(vault) => {
            transaction.open_table(PAYERS)?.remove(&vault.0)?;
            transaction.open_table(VAULTS)?.remove(&vault.0)?;
        }
        Write::LoanGone(number) => {
            transaction.open_table(LENT)?.remove(number)?;
        }
        Write::Credit(Credit { borrower, bytes: 0, .. }) => {
            transaction.open_table(CREDITS)?.remove(&borrower.0)?;
        }
        Write::Credit(Credit { borrower, loan, bytes }) => {
            transaction.open_table(CREDITS)?.insert(&borrower.0, (&loan.0, *bytes))?;
        }
        Write::Earned(earned) => {
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

fn broken(path: &Path, error: &redb::Error) -> NodeError {
    NodeError::MoneyStore { path: path.to_path_buf(), problem: error.to_string() }
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

fn decode_vault(vault: VaultId, bytes: &[u8]) -> Option<VaultInfo> {
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
