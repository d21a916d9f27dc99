//! The file that is played, and what is drawn at random.

use std::ops::RangeInclusive;
use std::path::Path;

use super::SEEK_BYTES;
use crate::clock;
use crate::error::NodeError;
use crate::publish::open_input;

pub(super) fn readable_length(file: &Path) -> Result<u64, NodeError> {
    let unreadable = |source| NodeError::Input { path: file.to_path_buf(), source };
    Ok(open_input(file)?.metadata().map_err(unreadable)?.len())
}

pub(super) fn digest(file: &Path) -> Result<blake3::Hash, NodeError> {
    let mut hasher = blake3::Hasher::new();
    std::fs::File::open(file)
        .and_then(|mut source| std::io::copy(&mut source, &mut hasher))
        .map_err(|source| NodeError::Input { path: file.to_path_buf(), source })?;
    Ok(hasher.finalize())
}

pub(super) fn read_range(file: &Path, range: &RangeInclusive<u64>) -> Result<Vec<u8>, NodeError> {
    use std::os::unix::fs::FileExt as _;
    let length = usize::try_from(range.end() - range.start() + 1).unwrap_or(0);
    let mut bytes = vec![0; length];
    std::fs::File::open(file)
        .and_then(|source| source.read_exact_at(&mut bytes, *range.start()))
        .map_err(|source| NodeError::Input { path: file.to_path_buf(), source })?;
    Ok(bytes)
}

/// A range of the length of a seek, or the whole of a small file; `None` of an empty one.
pub(super) fn random_range(bytes: u64) -> Result<Option<RangeInclusive<u64>>, NodeError> {
    let Some(last) = bytes.checked_sub(1) else { return Ok(None) };
    let start = random_below(bytes.saturating_sub(SEEK_BYTES).max(1))?;
    Ok(Some(start..=last.min(start + SEEK_BYTES - 1)))
}

/// A random number below `limit`, which is not zero. The bias is below 2^-40 for any file.
pub(super) fn random_below(limit: u64) -> Result<u64, NodeError> {
    let bytes = clock::random_bytes().map_err(crate::disk::StoreError::from)?;
    let mut first = [0; 16];
    first.copy_from_slice(&bytes[..16]);
    let drawn = u128::from_le_bytes(first) % u128::from(limit.max(1));
    Ok(u64::try_from(drawn).unwrap_or(0))
}
