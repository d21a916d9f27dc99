//! Disk operations of the serving machine, on two threads of their own: a write that waits for
//! the disk never delays a read.

use std::collections::BTreeMap;
use std::sync::mpsc as blocking;
use std::thread;

use pop_exchange::ShardWithProof;
use pop_exchange::provider::{StoreOperation, StoreResult, Token};
use pop_wire::message::RefusalReason;
use pop_wire::{ColumnIndex, ContentId, Manifest, SegmentIndex, Verified};
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;

use super::audits::Auditee;
use crate::clock;
use crate::disk::{ColumnStore, ColumnWriter, OpenedColumn, StoreError};
use crate::error::NodeError;

/// When to try again what another upload is doing just now, in milliseconds.
const BUSY_RETRY_MS: u32 = 1_000;

/// Operations carried out before their results are handed over: enough to spare the machine and
/// the link most of the wake-ups, few enough that the first result is not long in coming.
const OPERATIONS_PER_BATCH_MAX: usize = 16;

/// Results in the order in which operations ended. Unbounded, because the machine bounds the
/// operations that are under way.
pub(super) type Results = mpsc::UnboundedReceiver<Vec<(Token, StoreResult)>>;

/// Hands operations to the threads; they end when it is dropped.
pub(super) struct StoreWorker {
    reads: blocking::Sender<(Token, StoreOperation)>,
    writes: blocking::Sender<(Token, StoreOperation)>,
}

impl StoreWorker {
    /// Start the threads. `tasks` waits for their end, and so for the directory's lock.
    pub(super) fn start(
        (store, auditee): (ColumnStore, Auditee),
        tasks: &TaskTracker,
    ) -> Result<(Self, Results), NodeError> {
        let (results, receiver) = mpsc::unbounded_channel();
        let (reads, read_queue) = blocking::channel();
        let (writes, write_queue) = blocking::channel();
        let reader = Reader { store: store.clone(), auditee };
        let mut writer = Writer { store, open: BTreeMap::new() };
        let read_results = results.clone();
        let reading = spawn("store-read", move || {
            in_batches(&read_queue, &read_results, |operation| Some(reader.carry_out(operation)));
        })?;
        let writing = spawn("store-write", move || {
            in_batches(&write_queue, &results, |operation| writer.carry_out(operation));
        })?;
        tasks.spawn_blocking(move || {
            for thread in [reading, writing] {
                if thread.join().is_err() {
                    tracing::error!("a store thread panicked");
                }
            }
        });
        Ok((Self { reads, writes }, receiver))
    }

    /// Start an operation. Operations on one column are carried out in order.
    pub(super) fn start_operation(&self, token: Token, operation: StoreOperation) {
        let queue = match operation {
            StoreOperation::ReadShard { .. }
            | StoreOperation::ReadManifest { .. }
            | StoreOperation::ReadHoldings { .. }
            | StoreOperation::Audit { .. }
            | StoreOperation::FindHolders { .. } => &self.reads,
            _ => &self.writes,
        };
        if queue.send((token, operation)).is_err() {
            tracing::error!("a store thread is gone");
        }
    }
}

fn spawn(
    name: &str,
    work: impl FnOnce() + Send + 'static,
) -> Result<thread::JoinHandle<()>, NodeError> {
    let builder = thread::Builder::new().name(name.to_owned());
    let spawned = builder.spawn(work);
    spawned.map_err(|source| NodeError::Io { action: "start a store thread", source })
}

/// Carry out what `queue` yields until it ends, as much at a time as is there.
fn in_batches(
    queue: &blocking::Receiver<(Token, StoreOperation)>,
    results: &mpsc::UnboundedSender<Vec<(Token, StoreResult)>>,
    mut carry_out: impl FnMut(StoreOperation) -> Option<StoreResult>,
) {
    while let Ok(first) = queue.recv() {
        let operations = std::iter::once(first).chain(queue.try_iter());
        let batch: Vec<_> = operations
            .take(OPERATIONS_PER_BATCH_MAX)
            .filter_map(|(token, operation)| Some((token, carry_out(operation)?)))
            .collect();
        let _machine_gone = results.send(batch);
    }
}

struct Reader {
    store: ColumnStore,
    auditee: Auditee,
}

impl Reader {
    fn carry_out(&self, operation: StoreOperation) -> StoreResult {
        match operation {
            StoreOperation::ReadShard { content, segment, column } => {
                match self.store.read(&content, segment, column) {
                    Ok(shard) => StoreResult::Shard(ShardWithProof {
                        payload: shard.payload,
                        segment_path: shard.segment_path,
                        content_path: shard.content_path,
                    }),
                    Err(error) => refusal(&error),
                }
            }
            StoreOperation::ReadManifest { content } => match self.store.manifest(&content) {
                Some(manifest) => StoreResult::Manifest(manifest.signed().clone()),
                None => refused(RefusalReason::NotFound, 0),
            },
            StoreOperation::ReadHoldings { content } => {
                StoreResult::Holdings(self.store.holdings(&content))
            }
            StoreOperation::Audit { challenge, .. } => {
                match self.auditee.answer(&self.store, clock::unix_now(), &challenge) {
                    Ok(answer) => StoreResult::AuditAnswer(answer),
                    Err(reason) => refused(reason, 0),
                }
            }
            // Nobody is looked up for others here.
            StoreOperation::FindHolders { .. } => refused(RefusalReason::NotAccepted, 0),
            _ => refused(RefusalReason::Malformed, 0),
        }
    }
}

struct Writer {
    store: ColumnStore,
    open: BTreeMap<(ContentId, ColumnIndex), ColumnWriter>,
}

impl Writer {
    fn carry_out(&mut self, operation: StoreOperation) -> Option<StoreResult> {
        match operation {
            StoreOperation::OpenColumn { manifest, column, .. } => {
                Some(self.open(&manifest, column))
            }
            StoreOperation::WriteShard { content, column, segment, shard } => {
                Some(self.write((content, column), segment, &shard))
            }
            StoreOperation::SealColumn { content, column } => Some(self.seal((content, column))),
            StoreOperation::LeaveColumn { content, column } => {
                self.open.remove(&(content, column));
                None
            }
            _ => Some(refused(RefusalReason::Malformed, 0)),
        }
    }

    fn open(&mut self, manifest: &Verified<Manifest>, column: ColumnIndex) -> StoreResult {
        let content = manifest.content_id();
        if self.would_hold_too_much(manifest, column) {
            return refused(RefusalReason::NotAccepted, 0);
        }
        match self.store.open_column(manifest, column) {
            Ok(OpenedColumn::Already) => StoreResult::ColumnStored,
            Ok(OpenedColumn::Writer(writer)) => {
                let next_segment = writer.next_segment();
                self.open.insert((content, column), writer);
                StoreResult::ColumnOpened { next_segment }
            }
            Err(error) => refusal(&error),
        }
    }

    /// spec/content.md: no holder ever gets k columns, whoever asks it to.
    fn would_hold_too_much(&self, manifest: &Verified<Manifest>, column: ColumnIndex) -> bool {
        let content = manifest.content_id();
        let mut columns = self.store.holdings(&content);
        columns.insert(column);
        self.open.keys().filter(|(open, _)| *open == content).for_each(|(_, open)| {
            columns.insert(*open);
        });
        columns.len() >= usize::from(manifest.data_shards)
    }

    fn write(
        &mut self,
        key: (ContentId, ColumnIndex),
        segment: SegmentIndex,
        shard: &ShardWithProof,
    ) -> StoreResult {
        let Some(writer) = self.open.get_mut(&key) else {
            return refused(RefusalReason::Malformed, 0);
        };
        match writer.write(segment, &shard.payload, &shard.segment_path, &shard.content_path) {
            Ok(()) => StoreResult::Written,
            Err(error) => {
                self.open.remove(&key);
                refusal(&error)
            }
        }
    }

    fn seal(&mut self, key: (ContentId, ColumnIndex)) -> StoreResult {
        let Some(writer) = self.open.remove(&key) else {
            return refused(RefusalReason::Malformed, 0);
        };
        match writer.seal() {
            Ok(()) => StoreResult::ColumnStored,
            Err(error) => refusal(&error),
        }
    }
}

fn refused(reason: RefusalReason, retry_after_ms: u32) -> StoreResult {
    StoreResult::Refused { reason, retry_after_ms }
}

/// What a peer is told of a failure of our disk: as much as it needs to go on elsewhere.
fn refusal(error: &StoreError) -> StoreResult {
    match error {
        StoreError::NotHeld { .. } => refused(RefusalReason::NotFound, 0),
        StoreError::Damaged { .. } => refused(RefusalReason::Damaged, 0),
        StoreError::Busy { .. } => refused(RefusalReason::Busy, BUSY_RETRY_MS),
        StoreError::QuotaExceeded { .. } | StoreError::DiskFull { .. } => {
            tracing::warn!(%error, "a column is refused");
            refused(RefusalReason::Full, 0)
        }
        StoreError::WrongShape { .. }
        | StoreError::OutOfOrder { .. }
        | StoreError::Incomplete { .. } => refused(RefusalReason::Malformed, 0),
        other => {
            tracing::error!(error = %other, "the store failed");
            refused(RefusalReason::NotAccepted, 0)
        }
    }
}
