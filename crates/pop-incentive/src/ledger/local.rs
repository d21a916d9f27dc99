//! A ledger on one's own disk: [`LocalLedger`].

use std::error::Error;
use std::path::Path;

use pop_wire::{Amount, UnixTime, WalletAddress};
use redb::{
    Database, Durability, ReadableDatabase as _, ReadableTable as _, StorageBackend,
    TableDefinition, TableError,
};

use crate::ids::{OperationId, VaultId};
use crate::ledger::account::Account;
use crate::ledger::books::Record;
use crate::ledger::head::Head;
use crate::ledger::journal::{FileAnchor, HeadAnchor, JournalError, JournalRecord};
use crate::ledger::signed::{Receipt, SignedOperation};
use crate::ledger::state::LedgerState;
use crate::ledger::{Ledger, Refusal};
use crate::voucher::VaultInfo;

const JOURNAL: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("journal");
const ABOUT: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("about");
const FORMAT: u64 = 1;

/// Bytes that the database may keep in memory. The state is in memory anyway, and the journal is
/// read once.
const CACHE_BYTES: usize = 4 << 20;

/// The rules, with every operation in a journal on disk before it is acknowledged.
///
/// The journal is all there is on the disk: opening it folds it into the state. Records are
/// chained by hash, and an anchor beside the journal names the last one.
///
/// ```no_run
/// use pop_incentive::ledger::{
///     LedgerParameters, LedgerState, LocalLedger, no_equivocation_check,
/// };
/// use pop_incentive::typed_data::LedgerDomain;
/// use pop_wire::WalletAddress;
///
/// let operator = WalletAddress([1; 20]);
/// let domain = LedgerDomain::new(20_260, WalletAddress([2; 20]));
/// let empty =
///     LedgerState::new(domain, LedgerParameters::new(operator), no_equivocation_check)?;
/// let ledger = LocalLedger::open("ledger.redb", empty)?;
/// println!("{} operations", ledger.state().sequence());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct LocalLedger {
    database: Database,
    anchor: Box<dyn HeadAnchor>,
    empty: LedgerState,
    state: LedgerState,
    head: Head,
    stopped: bool,
}

impl LocalLedger {
    /// Open the ledger in a file, or begin one. The anchor is the file of the same name with the
    /// extension `head`; keep it on another disk with [`open_with`](Self::open_with) if you can.
    ///
    /// # Errors
    /// [`JournalError`], which says whose file it is or how it was damaged.
    pub fn open(path: impl AsRef<Path>, empty: LedgerState) -> Result<Self, JournalError> {
        let anchor = FileAnchor::new(path.as_ref().with_extension("head"));
        let database = redb::Builder::new().set_cache_size(CACHE_BYTES).create(path);
        Self::load(database.map_err(storage)?, Box::new(anchor), empty)
    }

    /// Open the ledger on any storage, with its anchor anywhere.
    ///
    /// # Errors
    /// As for [`open`](Self::open).
    pub fn open_with(
        backend: impl StorageBackend,
        anchor: Box<dyn HeadAnchor>,
        empty: LedgerState,
    ) -> Result<Self, JournalError> {
        let mut builder = redb::Builder::new();
        let database = builder.set_cache_size(CACHE_BYTES).create_with_backend(backend);
        Self::load(database.map_err(storage)?, anchor, empty)
    }

    fn load(
        database: Database,
        anchor: Box<dyn HeadAnchor>,
        empty: LedgerState,
    ) -> Result<Self, JournalError> {
        let ledger = empty.parameters().ledger_id(empty.domain());
        let head = Head::empty(ledger);
        let state = empty.clone();
        let mut this = Self { database, anchor, empty, state, head, stopped: false };
        this.identify(ledger)?;
        let anchored = this.anchor.load().map_err(JournalError::Anchor)?;
        let (state, head) = this.fold(anchored, false)?;
        (this.state, this.head) = (state, head);
        match anchored {
            None if head.count > 0 => {
                return Err(JournalError::AnchorMissing { count: head.count });
            }
            Some(anchored) if anchored.count > head.count => {
                let (expected, got) = (anchored.count, head.count);
                return Err(JournalError::RolledBack { expected, got });
            }
            // A crash came after a commit and before its anchor.
            _ if anchored != Some(head) => {
                this.anchor.store(head).map_err(JournalError::Anchor)?;
            }
            _ => {}
        }
        this.state.audit()?;
        Ok(this)
    }

    /// That the file is of this ledger, or becomes it if it is new.
    fn identify(&self, ledger: [u8; 32]) -> Result<(), JournalError> {
        let read = self.database.begin_read().map_err(storage)?;
        match read.open_table(ABOUT) {
            Ok(about) => {
                let format = about.get("format").map_err(storage)?;
                let format = format.and_then(|bytes| bytes.value().try_into().ok());
                let got = format.map_or(0, u64::from_be_bytes);
                if got != FORMAT {
                    return Err(JournalError::Format { expected: FORMAT, got });
                }
                let id = about.get("ledger").map_err(storage)?;
                if id.is_none_or(|id| id.value() != ledger) {
                    return Err(JournalError::OtherLedger);
                }
                Ok(())
            }
            Err(TableError::TableDoesNotExist(_)) => self.write(|write| {
                let mut about = write.open_table(ABOUT).map_err(storage)?;
                about.insert("format", &FORMAT.to_be_bytes()[..]).map_err(storage)?;
                about.insert("ledger", &ledger[..]).map_err(storage)?;
                write.open_table(JOURNAL).map_err(storage)?;
                Ok(())
            }),
            Err(error) => Err(storage(error)),
        }
    }

    /// Build the state from the journal alone, and refuse what spec/incentive.md §12.9 says MUST be
    /// refused.
    fn fold(
        &self,
        anchored: Option<Head>,
        authenticate: bool,
    ) -> Result<(LedgerState, Head), JournalError> {
        let mut state = self.empty.clone();
        let mut head = Head::empty(state.parameters().ledger_id(state.domain()));
        let read = self.database.begin_read().map_err(storage)?;
        let journal = read.open_table(JOURNAL).map_err(storage)?;
        for row in journal.iter().map_err(storage)? {
            check_anchor(anchored, head)?;
            let (key, bytes) = row.map_err(storage)?;
            let sequence = head.count;
            if key.value() != sequence {
                return Err(JournalError::Gap { expected: sequence, got: key.value() });
            }
            let record = JournalRecord::decode(bytes.value())
                .map_err(|source| JournalError::Record { sequence, source })?;
            if record.before != head {
                return Err(JournalError::Chain { sequence });
            }
            let applied = if authenticate {
                state.apply(record.time, &record.operation)
            } else {
                state.replay(record.time, &record.operation)
            };
            let fits = |receipt: Receipt| {
                (receipt.sequence, receipt.time) == (sequence, record.time)
                    && receipt.entries == record.entries
            };
            if !applied.is_ok_and(fits) {
                return Err(JournalError::Fold { sequence });
            }
            head = head.after(bytes.value());
        }
        check_anchor(anchored, head)?;
        Ok((state, head))
    }

    /// Fold the whole journal anew, this time with every signature in it checked, and compare
    /// with the state in memory. Takes about a fifth of a millisecond per operation.
    ///
    /// # Errors
    /// [`JournalError`]: the journal was tampered with.
    pub fn verify(&self) -> Result<(), JournalError> {
        let (state, head) = self.fold(Some(self.head), true)?;
        if state != self.state || head != self.head {
            return Err(JournalError::Fold { sequence: head.count });
        }
        Ok(self.state.audit()?)
    }

    /// Do what operations ask, all in one commit. One that is refused does not keep the others
    /// from taking effect. When this returns, what took effect is there to stay.
    ///
    /// # Errors
    /// [`JournalError`] if the storage fails. Then it is not known what took effect: open the
    /// ledger again and submit the same operations again, which is safe.
    pub fn submit_batch(
        &mut self,
        now: UnixTime,
        operations: &[SignedOperation],
    ) -> Result<Vec<Result<Receipt, Refusal>>, JournalError> {
        if self.stopped {
            return Err(JournalError::Stopped);
        }
        // Until the disk has it all: whoever returns early leaves memory ahead of the disk.
        self.stopped = true;
        let (mut results, mut records, mut head) = (Vec::new(), Vec::new(), self.head);
        for operation in operations {
            let result = self.state.apply(now, operation);
            if let Some(receipt) = result.as_ref().ok().filter(|new| new.sequence == head.count) {
                let record = JournalRecord::encode(head, operation, receipt);
                head = head.after(&record);
                records.push((receipt.sequence, record));
            }
            results.push(result);
        }
        if !records.is_empty() {
            self.write(|write| {
                let mut journal = write.open_table(JOURNAL).map_err(storage)?;
                for (sequence, record) in &records {
                    journal.insert(sequence, &record[..]).map_err(storage)?;
                }
                Ok(())
            })?;
            self.anchor.store(head).map_err(JournalError::Anchor)?;
            self.head = head;
        }
        self.stopped = false;
        Ok(results)
    }

    fn write(
        &self,
        fill: impl FnOnce(&redb::WriteTransaction) -> Result<(), JournalError>,
    ) -> Result<(), JournalError> {
        let mut write = self.database.begin_write().map_err(storage)?;
        write.set_durability(Durability::Immediate).map_err(storage)?;
        write.set_two_phase_commit(true);
        fill(&write)?;
        write.commit().map_err(storage)
    }

    /// Balances, vaults and all else.
    pub fn state(&self) -> &LedgerState {
        &self.state
    }

    /// Where the journal ends: to be written down elsewhere, or shown to others.
    pub fn head(&self) -> Head {
        self.head
    }
}

impl Ledger for LocalLedger {
    type Error = JournalError;

    fn submit(
        &mut self,
        now: UnixTime,
        operation: &SignedOperation,
    ) -> Result<Receipt, JournalError> {
        let mut results = self.submit_batch(now, std::slice::from_ref(operation))?;
        let result = results.pop().expect("one operation has one result");
        Ok(result?)
    }

    fn balance(&self, account: Account) -> Result<Amount, JournalError> {
        Ok(self.state.balance(account))
    }

    fn nonce(&self, actor: WalletAddress) -> Result<u64, JournalError> {
        Ok(self.state.nonce(actor))
    }

    fn receipt(&self, operation: OperationId) -> Result<Option<Receipt>, JournalError> {
        Ok(self.state.receipt(operation).cloned())
    }

    fn vault(&self, vault: VaultId) -> Result<Option<VaultInfo>, JournalError> {
        Ok(self.state.vault(vault))
    }

    fn record(&self, wallet: WalletAddress) -> Result<Record, JournalError> {
        Ok(self.state.record(wallet))
    }
}

fn check_anchor(anchored: Option<Head>, head: Head) -> Result<(), JournalError> {
    match anchored {
        Some(anchored) if anchored.count == head.count && anchored.hash != head.hash => {
            Err(JournalError::OtherTail { sequence: head.count.saturating_sub(1) })
        }
        _ => Ok(()),
    }
}

fn storage(error: impl Error + Send + Sync + 'static) -> JournalError {
    JournalError::Storage(Box::new(error))
}
