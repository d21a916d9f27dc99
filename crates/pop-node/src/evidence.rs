//! Proofs against publishers, kept as files that anybody can check.

use std::path::{Path, PathBuf};

use pop_erasure::EquivocationProof;

use crate::error::NodeError;

/// Write a proof into `directory`, under a name that tells what it is about.
pub(crate) fn keep(directory: &Path, proof: &EquivocationProof) -> Result<PathBuf, NodeError> {
    let path = directory.join(format!("{}-{}.pop-proof", proof.content(), proof.segment().0));
    let failed = |source| NodeError::Output { path: path.clone(), source };
    std::fs::create_dir_all(directory).map_err(failed)?;
    std::fs::write(&path, proof.encode()).map_err(failed)?;
    Ok(path)
}
