//! Directories and files as the store needs them: private, locked, forced to the disk.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt as _};
use std::path::Path;

use super::StoreError;

/// Owner only.
const DIRECTORY_MODE: u32 = 0o700;
/// Owner only.
pub(super) const FILE_MODE: u32 = 0o600;

/// Keeps every other process out of a data directory until dropped, also by a crash.
#[derive(Debug)]
pub struct DirectoryLock {
    _file: File,
}

impl DirectoryLock {
    /// Creates `directory` if need be and locks it.
    ///
    /// # Errors
    ///
    /// [`StoreError::Locked`] while another process holds it.
    pub fn acquire(directory: &Path) -> Result<Self, StoreError> {
        create_private(directory)?;
        let path = directory.join("lock");
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(FILE_MODE)
            .open(&path)
            .map_err(StoreError::io("open", &path))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(StoreError::Locked { path }),
            Err(TryLockError::Error(source)) => Err(StoreError::io("lock", &path)(source)),
        }
    }
}

/// Creates a directory, and those above it, that only the owner can enter. An existing one is
/// left as it is.
pub(crate) fn create_private(directory: &Path) -> Result<(), StoreError> {
    DirBuilder::new()
        .recursive(true)
        .mode(DIRECTORY_MODE)
        .create(directory)
        .map_err(StoreError::io("create", directory))
}

/// Forces a directory's entries to the disk: what a new or renamed file needs to be found after
/// a power cut.
pub(super) fn sync_directory(directory: &Path) -> Result<(), StoreError> {
    File::open(directory)
        .and_then(|handle| handle.sync_all())
        .map_err(StoreError::io("sync", directory))
}

/// Removes a file, for good when this returns; one that isn't there is removed already.
pub(crate) fn remove_durably(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        removed => removed?,
    }
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

/// Writes a file that only the owner can read and that is never overwritten. A crash leaves all of
/// it or nothing, and of two who write at once one wins: a whole file is made under another name,
/// and giving it this one fails with [`io::ErrorKind::AlreadyExists`] if it is taken.
pub(crate) fn write_once(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let mode = std::fs::Permissions::from_mode(FILE_MODE);
    let mut file =
        tempfile::Builder::new().prefix(".new-").permissions(mode).tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist_noclobber(path)?;
    File::open(folder)?.sync_all()
}
