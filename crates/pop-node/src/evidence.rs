//! Proofs against publishers and holders, kept as files that anybody can check.

use std::path::{Path, PathBuf};

use pop_erasure::EquivocationProof;
use pop_incentive::audit::FailedAuditEvidence;
use pop_incentive::ledger::Evidence;

use crate::error::NodeError;

/// Where they are kept, in the data directory.
pub(crate) const DIRECTORY: &str = "proofs";

/// Write a proof into `directory`, under a name that tells what it is about.
pub(crate) fn keep(directory: &Path, proof: &EquivocationProof) -> Result<PathBuf, NodeError> {
    let name = format!("{}-{}.pop-proof", proof.content(), proof.segment().0);
    write(directory, &name, &proof.encode())
}

/// The same for a wrong answer to an audit.
pub(crate) fn keep_failed_audit(
    directory: &Path,
    failed: FailedAuditEvidence,
) -> Result<PathBuf, NodeError> {
    let asked = failed.answer.answer.challenge;
    let (segment, column, holder) = (asked.segment.0, asked.column, failed.answer.answer.holder);
    let name = format!("{}-{segment}-{}-{holder}.pop-proof", asked.content, column.get());
    write(directory, &name, &Evidence::FailedAudit(Box::new(failed)).encode())
}

fn write(directory: &Path, name: &str, bytes: &[u8]) -> Result<PathBuf, NodeError> {
    let path = directory.join(name);
    let failed = |source| NodeError::Output { path: path.clone(), source };
    std::fs::create_dir_all(directory).map_err(failed)?;
    std::fs::write(&path, bytes).map_err(failed)?;
    Ok(path)
}
