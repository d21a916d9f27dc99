//! A ledger's files: its genesis, its journal, and where it is served.
//!
//! ```text
//! <data dir>/ledger/            0700
//!   genesis                     domain and parameters; written once
//!   journal.redb, journal.head  the journal, and the anchor that names its last record
//!   serving                     addresses of the process that has the journal open
//! ```

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use libp2p::Multiaddr;
use pop_erasure::EquivocationProof;
use pop_incentive::ledger::protocol::Genesis;
use pop_incentive::ledger::{
    Account, Head, JournalError, LedgerParameters, LedgerState, LocalLedger,
};
use pop_incentive::typed_data::LedgerDomain;
use pop_wire::{Amount, Keypair, PeerId, UnixTime, WalletAddress};

use super::error::{LedgerClientError, LedgerFileError};
use crate::clock;
use crate::disk::{create_private, write_once};

/// Chain ids up to here belong to chains; a ledger without a chain takes a greater one
/// (spec/incentive.md §2.1).
const CHAIN_ID_MIN: u64 = 1 << 32;

/// Bytes of a genesis, with room to spare.
const GENESIS_BYTES_MAX: u64 = 4096;

pub(super) fn folder(data_dir: &Path) -> PathBuf {
    data_dir.join("ledger")
}

fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> LedgerFileError {
    let path = path.to_path_buf();
    move |source| LedgerFileError::Io { action, path, source }
}

/// Make a ledger in `data_dir`, once: a random name, `parameters` with the wallet of `operator` as
/// the one that may mint and emit, and an empty journal.
///
/// # Errors
/// [`LedgerFileError::Exists`] if there is one: it is never overwritten.
pub fn create(
    data_dir: &Path,
    operator: &Keypair,
    mut parameters: LedgerParameters,
) -> Result<Genesis, LedgerFileError> {
    parameters.operator = operator.peer_id().wallet_address();
    let random = clock::random_bytes()?;
    let (chain, rest) = random.split_at(8);
    let chain = chain.try_into().map_or(0, u64::from_be_bytes);
    // Within what every program can hold exactly in a double: JavaScript's numbers end at 2^53.
    let chain_id = CHAIN_ID_MIN + chain % ((1 << 53) - CHAIN_ID_MIN);
    let mut contract = [0; 20];
    contract.copy_from_slice(&rest[..20]);
    let domain = LedgerDomain::new(chain_id, WalletAddress(contract));
    let genesis = Genesis { domain, parameters };
    empty(&genesis)?;
    let folder = folder(data_dir);
    create_private(data_dir)
        .and_then(|()| create_private(&folder))
        .map_err(|error| io("create", &folder)(std::io::Error::other(error)))?;
    let path = folder.join("genesis");
    match write_once(&path, &genesis.encode()) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            return Err(LedgerFileError::Exists { path });
        }
        written => written.map_err(io("write", &path))?,
    }
    open(data_dir)?;
    Ok(genesis)
}

/// Open the ledger in `data_dir`, whose whole journal is read.
pub(super) fn open(data_dir: &Path) -> Result<LocalLedger, LedgerFileError> {
    let folder = folder(data_dir);
    let genesis = read_genesis(&folder.join("genesis"))?;
    let path = folder.join("journal.redb");
    LocalLedger::open(&path, empty(&genesis)?).map_err(|source| match &source {
        JournalError::Storage(storage) if is_locked(storage.as_ref()) => {
            LedgerFileError::Locked { path }
        }
        _ => LedgerFileError::Journal { path, source: Box::new(source) },
    })
}

fn is_locked(error: &(dyn std::error::Error + Send + Sync + 'static)) -> bool {
    let error = error.downcast_ref::<redb::DatabaseError>();
    matches!(error, Some(redb::DatabaseError::DatabaseAlreadyOpen))
}

fn read_genesis(path: &Path) -> Result<Genesis, LedgerFileError> {
    let missing = || LedgerFileError::Missing { path: path.to_path_buf() };
    let length = match fs::metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Err(missing()),
        found => found.map_err(io("read", path))?.len(),
    };
    let not_one = || LedgerFileError::Genesis { path: path.to_path_buf() };
    if length > GENESIS_BYTES_MAX {
        return Err(not_one());
    }
    let bytes = fs::read(path).map_err(io("read", path))?;
    Genesis::decode(&bytes).map_err(|_| not_one())
}

fn empty(genesis: &Genesis) -> Result<LedgerState, LedgerFileError> {
    LedgerState::new(genesis.domain, genesis.parameters.clone(), by_erasure_code)
        .map_err(|refusal| LedgerFileError::Parameters(Box::new(refusal)))
}

/// Whether shards are no codeword is for the erasure code to say.
fn by_erasure_code(bytes: &[u8]) -> Option<(PeerId, [u8; 32])> {
    let (proof, publisher) = EquivocationProof::verify(Bytes::copy_from_slice(bytes)).ok()?;
    Some((publisher, proof.content().0))
}

/// What a look through a whole ledger found.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct LedgerReport {
    /// Which ledger.
    pub genesis: Genesis,
    /// Where its journal ends.
    pub head: Head,
    /// Time of its last operation.
    pub time: UnixTime,
    /// Money there is, in base units: all that was ever made.
    pub emitted: Amount,
    /// Of that, burned.
    pub burned: Amount,
    /// Of that, waiting to pay for repairs.
    pub repair_fund: Amount,
    /// Accounts that hold something.
    pub accounts: u64,
}

/// Read the journal in `data_dir` anew, check each signature in it, and count the money. Takes
/// about a fifth of a millisecond for an operation and blocks the thread.
///
/// # Errors
/// [`LedgerFileError`]: missing, in use, or not what its operations make.
pub fn verify(data_dir: &Path) -> Result<LedgerReport, LedgerFileError> {
    let ledger = open(data_dir)?;
    ledger.verify().map_err(|source| {
        let path = folder(data_dir).join("journal.redb");
        LedgerFileError::Journal { path, source: Box::new(source) }
    })?;
    let state = ledger.state();
    let holding = state.balances().filter(|(_, amount)| *amount > Amount::ZERO).count();
    let (domain, parameters) = (*state.domain(), state.parameters().clone());
    Ok(LedgerReport {
        genesis: Genesis { domain, parameters },
        head: ledger.head(),
        time: state.time(),
        emitted: state.balance(Account::Emission),
        burned: state.balance(Account::Burned),
        repair_fund: state.balance(Account::RepairFund),
        accounts: u64::try_from(holding).unwrap_or(u64::MAX),
    })
}

/// Write down where this process serves the ledger.
pub(super) fn tell_serving(data_dir: &Path, addresses: &[Multiaddr]) -> std::io::Result<()> {
    let lines: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    fs::write(folder(data_dir).join("serving"), lines.join("\n"))
}

/// Where another process serves it.
pub(super) fn serving(data_dir: &Path) -> Result<Multiaddr, LedgerFileError> {
    let text = fs::read_to_string(folder(data_dir).join("serving")).unwrap_or_default();
    let first = text.lines().find_map(|line| line.parse().ok());
    first.ok_or_else(|| LedgerFileError::Locked { path: folder(data_dir).join("journal.redb") })
}

/// Where a node writes down which ledger it uses.
pub(super) fn pin_path(data_dir: &Path) -> PathBuf {
    data_dir.join("ledger.pin")
}

/// The ledger that this node used before, if any.
pub(super) fn pinned(data_dir: &Path) -> Result<Option<Genesis>, LedgerClientError> {
    let path = pin_path(data_dir);
    let failed = |source| LedgerClientError::Pin { action: "read", path: path.clone(), source };
    let bytes = match fs::read(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        read => read.map_err(failed)?,
    };
    let genesis = Genesis::decode(&bytes);
    genesis.map(Some).map_err(|error| failed(std::io::Error::other(error)))
}

/// Write down which ledger this node uses from now on. Whoever was faster wins.
pub(super) fn pin(data_dir: &Path, genesis: &Genesis) -> Result<(), LedgerClientError> {
    let path = pin_path(data_dir);
    let written = create_private(data_dir)
        .map_err(std::io::Error::other)
        .and_then(|()| write_once(&path, &genesis.encode()));
    match written {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        written => {
            written.map_err(|source| LedgerClientError::Pin { action: "write", path, source })
        }
    }
}
