//! What the node's payer and payee have promised, on disk: one record a peer, in tables of redb, and a
//! log before them. A thread of its own appends whatever waits at once, and says so once it is durable.

mod entry;
mod loans;
mod log;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use pop_incentive::ids::{LoanId, VaultId};
use pop_incentive::lending::LentLoan;
use pop_incentive::record::{PayeeRecord, PayerRecord};
use pop_incentive::voucher::VaultInfo;
use pop_wire::{Amount, ContentId, PeerId, WalletAddress};
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use tokio::sync::mpsc::UnboundedSender;

use self::entry::{CREDITS, EARNINGS, LENT, PAYEES, PAYERS, VAULTS, decode_vault};
use self::log::Log;
use super::News;
use crate::error::NodeError;

pub use self::entry::Earned;
pub(super) use self::entry::{Credit, Write};
pub(crate) use self::loans::Lent;

/// redb's default cache is 1 GiB; a record is 200 bytes.
const CACHE_BYTES: usize = 4 << 20;

/// Writes that wait for the disk; more slows down who pays and who is paid.
const WRITES_MAX: usize = 4_096;

/// Time in which promises gather that are then written at once.
const GATHERING: Duration = Duration::from_millis(1);

/// Numbers of quotes that are taken at once, so that none is used twice after a crash.
const SERIALS_RESERVED: u64 = 1 << 20;

/// Length from which on the log's records go into the tables, in bytes: some 5,000 records.
const LOG_BYTES_MAX: u64 = 1 << 20;

/// Generation of the log (`generation`), and the first number for quotes that was never used (`serial`).
const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");

/// A record is durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stored {
    Payer(WalletAddress),
    Payee(VaultId),
    /// The loan of this number.
    Lent(u64),
}

/// Who hears that a record is durable.
#[derive(Debug, Clone)]
pub(super) enum Listener {
    Purse(UnboundedSender<Stored>),
    Till(UnboundedSender<News>),
}

impl Listener {
    fn tell(&self, stored: Stored) {
        // After its end nobody needs to know any more.
        let _gone = match self {
            Self::Purse(purse) => purse.send(stored).is_ok(),
            Self::Till(till) => till.send(News::Stored(stored)).is_ok(),
        };
    }
}

/// The records of one node.
#[derive(Debug)]
pub(super) struct MoneyStore {
    database: Database,
    path: PathBuf,
    recent: Mutex<Recent>,
}

/// What is durable and not in the tables yet.
#[derive(Debug)]
struct Recent {
    log: Log,
    entries: Vec<Write>,
}

/// Hands records to the writing thread.
#[derive(Debug, Clone)]
pub(super) struct Writer {
    orders: SyncSender<Order>,
}

/// What is written at once.
#[derive(Debug)]
struct Order {
    /// Goes with it, and nobody waits for it.
    along: Option<Write>,
    write: Write,
    told: Option<Listener>,
}

impl Order {
    fn writes(&self) -> impl Iterator<Item = Write> + Clone {
        self.along.into_iter().chain([self.write])
    }
}

impl Writer {
    /// Store `write`; `told` hears of it once it is durable. Waits while the disk is far behind.
    pub(super) fn store(&self, write: Write, told: Option<&Listener>) {
        self.store_with(None, write, told);
    }

    /// The same, and `along` at once with it: one wake-up of the thread and one sync for both.
    pub(super) fn store_with(&self, along: Option<Write>, write: Write, told: Option<&Listener>) {
        if self.orders.send(Order { along, write, told: told.cloned() }).is_err() {
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
            other => broken(&path, &other),
        })?;
        let generation = generation(&database).map_err(|error| broken(&path, &error))?;
        let (log, entries) = Log::open(&path.with_extension("log"), generation)
            .map_err(|error| broken(&path, &error))?;
        let recent = Mutex::new(Recent { log, entries });
        let store = Self { database, path, recent };
        // Also an empty log begins anew: behind its end may lie whole entries of a write that was cut
        // short, which must never follow what is appended now.
        store.fold(&mut store.recent()).map_err(|error| broken(&store.path, &error))?;
        Ok(store)
    }

    fn recent(&self) -> MutexGuard<'_, Recent> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Take what the log has over into the tables, once, whatever comes in between.
    fn fold(&self, recent: &mut Recent) -> Result<(), redb::Error> {
        let generation = recent.log.generation() + 1;
        let transaction = self.database.begin_write()?;
        for entry in &recent.entries {
            entry.put(&transaction)?;
        }
        transaction.open_table(META)?.insert("generation", generation)?;
        // Whoever asks for earnings before there are any finds none.
        transaction.open_table(EARNINGS)?;
        loans::open_tables(&transaction)?;
        transaction.commit()?;
        recent.log.begin(generation);
        recent.entries.clear();
        Ok(())
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
            let mut meta = transaction.open_table(META)?;
            loaded.serial = meta.get("serial")?.map_or(0, |serial| serial.value());
            meta.insert("serial", loaded.serial.saturating_add(SERIALS_RESERVED))?;
        }
        transaction.commit()?;
        Ok(loaded)
    }

    /// What was earned, by content and payer.
    pub(super) fn earnings(&self) -> Result<Vec<Earned>, NodeError> {
        let recent = self.recent();
        let read = || -> Result<Vec<Earned>, redb::Error> {
            let mut earnings: Vec<_> = recent.entries.iter().filter_map(Write::earned).collect();
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
        let written = self.write(std::iter::once(Write::Vault(info)));
        written.map_err(|error| broken(&self.path, &error))
    }

    /// Start the thread that writes. It ends when the last [`Writer`] is gone.
    pub(super) fn start_writing(
        self: std::sync::Arc<Self>,
    ) -> Result<(Writer, JoinHandle<()>), NodeError> {
        let (orders, queue) = sync_channel(WRITES_MAX);
        let thread = std::thread::Builder::new()
            .name("money".to_owned())
            .spawn(move || self.write_all(&queue))
            .map_err(|source| NodeError::Io {
                action: "start the thread that stores money",
                source,
            })?;
        Ok((Writer { orders }, thread))
    }

    /// Append what waits, as much as waits, at once. What can't be written is never told to be
    /// stored: the machines then neither send nor allow anything more.
    fn write_all(&self, queue: &Receiver<Order>) {
        while let Ok(first) = queue.recv() {
            // A payer has many payees, and one write for all costs as much as for one; a payee's
            // next bytes wait for each.
            if matches!(first.write, Write::Payer(_)) {
                std::thread::sleep(GATHERING);
            }
            let batch: Vec<_> = std::iter::once(first).chain(queue.try_iter()).collect();
            if let Err(error) = self.write(batch.iter().flat_map(Order::writes)) {
                tracing::error!(%error, path = %self.path.display(), "payments stop");
                return;
            }
            for Order { write, told, .. } in &batch {
                if let (Some(told), Some(stored)) = (told, write.stored()) {
                    told.tell(stored);
                }
            }
        }
        if let Err(error) = self.fold(&mut self.recent()) {
            tracing::warn!(%error, path = %self.path.display(), "what was stored stays in the log");
        }
    }

    fn write(&self, writes: impl Iterator<Item = Write> + Clone) -> Result<(), redb::Error> {
        let mut recent = self.recent();
        recent.log.append(writes.clone())?;
        recent.entries.extend(writes);
        match recent.log.length_bytes() < LOG_BYTES_MAX {
            true => Ok(()),
            false => self.fold(&mut recent),
        }
    }
}

fn generation(database: &Database) -> Result<u64, redb::Error> {
    match database.begin_read()?.open_table(META) {
        Ok(meta) => Ok(meta.get("generation")?.map_or(0, |generation| generation.value())),
        Err(redb::TableError::TableDoesNotExist(_)) => Ok(0),
        Err(error) => Err(error.into()),
    }
}

fn broken(path: &Path, error: &dyn core::fmt::Display) -> NodeError {
    NodeError::MoneyStore { path: path.to_path_buf(), problem: error.to_string() }
}

#[cfg(test)]
mod tests;
