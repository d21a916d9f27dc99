//! A ledger on a disk, beside the commits that it can't do without.

use std::cell::RefCell;
use std::path::Path;

use criterion::Criterion;
use pop_incentive::ledger::{
    FileAnchor, Head, HeadAnchor as _, LedgerParameters, LedgerState, LocalLedger, Operation as Op,
    SignedOperation, no_equivocation_check,
};
use pop_incentive::typed_data::LedgerDomain;
use pop_wire::{Amount, Keypair, UnixTime, WalletAddress};
use redb::{Database, Durability, TableDefinition};

use crate::{Operation, Ratio, measure};

/// Operations of one batch, and of a large one.
const BATCHES: [u32; 2] = [64, 1024];
const ROUNDS: usize = 41;
/// Bytes of a transfer in the journal: number, hash, time, length, operation, one entry.
const RECORD_BYTES: usize = 8 + 32 + 8 + 4 + (20 + 8 + 65 + 1 + 20 + 16) + 4 + 2 * 21 + 16;

/// A ledger, and one actor who pays somebody again and again.
struct Payments {
    ledger: LocalLedger,
    actor: Keypair,
    next: Vec<SignedOperation>,
}

impl Payments {
    fn new(folder: &Path) -> Self {
        let actor = Keypair::from_secret_bytes(&[7; 32]).expect("a valid key");
        let wallet = actor.peer_id().wallet_address();
        let domain = LedgerDomain::new(5_000_000_001, WalletAddress([9; 20]));
        let empty = LedgerState::new(domain, LedgerParameters::new(wallet), no_equivocation_check)
            .expect("sound parameters");
        let ledger = LocalLedger::open(folder.join("ledger.redb"), empty).expect("a new file");
        let mut this = Self { ledger, actor, next: Vec::new() };
        this.sign(Op::Mint { to: wallet, amount: Amount::ONE_POP }, 0);
        this.submit();
        this
    }

    fn sign(&mut self, operation: Op, ahead: u64) {
        let state = self.ledger.state();
        let nonce = state.nonce(self.actor.peer_id().wallet_address()) + ahead;
        let domain = *state.domain();
        self.next.push(SignedOperation::sign(operation, nonce, &self.actor, &domain));
    }

    fn prepare(&mut self, count: u32) {
        self.next.clear();
        for ahead in 0..count {
            let (to, amount) = (WalletAddress([3; 20]), Amount::from_base_units(1));
            self.sign(Op::Transfer { to, amount }, ahead.into());
        }
    }

    fn submit(&mut self) {
        let results = self.ledger.submit_batch(UnixTime(1), &self.next).expect("a working disk");
        assert!(results.iter().all(Result::is_ok));
    }
}

/// The limit: records of the same size into redb, with the same durability.
struct Bare {
    database: Database,
    anchor: FileAnchor,
    next: u64,
}

const TABLE: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("journal");

impl Bare {
    fn new(folder: &Path) -> Self {
        let mut builder = redb::Builder::new();
        let database = builder.set_cache_size(4 << 20).create(folder.join("bare.redb"));
        let anchor = FileAnchor::new(folder.join("bare.head"));
        Self { database: database.expect("a new file"), anchor, next: 0 }
    }

    fn commit(&mut self, count: u32) {
        let mut write = self.database.begin_write().expect("one writer");
        write.set_durability(Durability::Immediate).expect("no savepoint");
        write.set_two_phase_commit(true);
        {
            let mut table = write.open_table(TABLE).expect("one type");
            for _ in 0..count {
                table.insert(self.next, &[0x5a; RECORD_BYTES][..]).expect("a working disk");
                self.next += 1;
            }
        }
        write.commit().expect("a working disk");
    }

    fn anchor(&mut self) {
        let head = Head { count: self.next, hash: [1; 32] };
        self.anchor.store(head).expect("a working disk");
    }
}

fn once<'a>(name: &'static str, count: u32, run: impl FnMut() + 'a) -> Operation<'a> {
    Operation { name, count, prepare: Box::new(|| {}), run: Box::new(run) }
}

pub(crate) fn run(criterion: &mut Criterion) {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let (payments, bare) = (Payments::new(folder.path()), Bare::new(folder.path()));
    let (payments, bare) = (RefCell::new(payments), RefCell::new(bare));
    let ledger = |name, count| Operation {
        name,
        count,
        prepare: Box::new({
            let payments = &payments;
            move || payments.borrow_mut().prepare(count)
        }),
        run: Box::new(|| payments.borrow_mut().submit()),
    };
    let [batch, large] = BATCHES;
    let mut operations = [
        once("redb commit", 1, || bare.borrow_mut().commit(1)),
        once("redb commit and anchor", 1, || {
            bare.borrow_mut().commit(1);
            bare.borrow_mut().anchor();
        }),
        ledger("ledger operation", 1),
        once("redb commit, batch", batch, || bare.borrow_mut().commit(batch)),
        ledger("ledger operations, batch", batch),
        once("redb commit, large batch", large, || bare.borrow_mut().commit(large)),
        ledger("ledger operations, large batch", large),
    ];
    let ratio = |of, to| Ratio { of, to, wanted: "" };
    let ratios = [
        ratio("ledger operation", "redb commit"),
        ratio("ledger operation", "redb commit and anchor"),
        ratio("ledger operations, batch", "redb commit, batch"),
        ratio("ledger operations, large batch", "redb commit, large batch"),
    ];
    measure(criterion, ROUNDS, &mut operations, &ratios);
}
