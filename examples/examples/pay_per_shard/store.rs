//! What is on the disk: the ledger, and one record of each side.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;

use pop_incentive::ledger::{LedgerParameters, LedgerState, LocalLedger, no_equivocation_check};

use crate::{Failure, domain, operator};

/// The buyer's record of the seller.
pub(crate) const PAYER: &str = "payer.record";
/// The seller's record of the buyer.
pub(crate) const PAYEE: &str = "payee.record";

/// Open the ledger; one program at a time can.
pub(crate) fn open_ledger(folder: &Path) -> Result<LocalLedger, Failure> {
    let parameters = LedgerParameters::new(operator().peer_id().wallet_address());
    let empty = LedgerState::new(domain(), parameters, no_equivocation_check)?;
    Ok(LocalLedger::open(folder.join("ledger.redb"), empty)?)
}

/// Replace a record: after a crash the old one is there or the new one.
pub(crate) fn write(folder: &Path, name: &str, record: &[u8]) -> Result<(), Failure> {
    let temporary = folder.join(format!("{name}.new"));
    let mut file = File::create(&temporary)?;
    file.write_all(record)?;
    file.sync_all()?;
    fs::rename(&temporary, folder.join(name))?;
    Ok(File::open(folder)?.sync_all()?)
}

/// The record that was written last, if any was.
pub(crate) fn read(folder: &Path, name: &str) -> Result<Option<Vec<u8>>, Failure> {
    match fs::read(folder.join(name)) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        read => Ok(Some(read?)),
    }
}
