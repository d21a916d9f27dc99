//! The node's secret key on disk: one line of hex that only the owner can read.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use pop_wire::Keypair;
use zeroize::Zeroizing;

use super::StoreError;
use super::directory::{create_private, write_once};
use crate::clock;

fn key_path(data_dir: &Path) -> PathBuf {
    data_dir.join("identity.key")
}

/// Makes a new identity in `data_dir`. `pop-node init` calls it once.
///
/// # Errors
///
/// [`StoreError::IdentityExists`] when there is one: it is never overwritten, because it is also
/// the wallet.
pub fn create_identity(data_dir: &Path) -> Result<Keypair, StoreError> {
    create_private(data_dir)?;
    let path = key_path(data_dir);
    if path.exists() {
        return Err(StoreError::IdentityExists { path });
    }
    let keypair = loop {
        // One in 2^128 random numbers is not a key of the curve.
        let secret = Zeroizing::new(clock::random_bytes()?);
        if let Ok(keypair) = Keypair::from_secret_bytes(&secret) {
            break keypair;
        }
    };
    write_identity(data_dir, &keypair)?;
    Ok(keypair)
}

/// Keeps `keypair` as the identity in `data_dir`: one that came out of a mnemonic.
///
/// # Errors
///
/// [`StoreError::IdentityExists`] when there is one: it is never overwritten.
pub fn keep_identity(data_dir: &Path, keypair: &Keypair) -> Result<(), StoreError> {
    create_private(data_dir)?;
    write_identity(data_dir, keypair)
}

fn write_identity(data_dir: &Path, keypair: &Keypair) -> Result<(), StoreError> {
    let path = key_path(data_dir);
    let mut line = Zeroizing::new(hex::encode(keypair.secret_bytes()));
    line.push('\n');
    match write_once(&path, line.as_bytes()) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            Err(StoreError::IdentityExists { path })
        }
        written => written.map_err(StoreError::io("write", &path)),
    }
}

/// Reads the identity in `data_dir`.
///
/// # Errors
///
/// [`StoreError::NoIdentity`], [`StoreError::LooseMode`] when anybody but the owner can read it,
/// [`StoreError::BadIdentity`] when it is no key.
pub fn load_identity(data_dir: &Path) -> Result<Keypair, StoreError> {
    /// 64 hex digits and some white space.
    const FILE_BYTES_MAX: u64 = 128;
    let path = key_path(data_dir);
    let file = match File::open(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(StoreError::NoIdentity { path });
        }
        opened => opened.map_err(StoreError::io("open", &path))?,
    };
    let metadata = file.metadata().map_err(StoreError::io("read", &path))?;
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(StoreError::LooseMode { path, mode });
    }
    let mut text = Zeroizing::new(String::new());
    let mut secret = Zeroizing::new([0; 32]);
    let read = file.take(FILE_BYTES_MAX).read_to_string(&mut text);
    match read {
        Err(error) if error.kind() != ErrorKind::InvalidData => {
            return Err(StoreError::io("read", &path)(error));
        }
        Ok(_) if hex::decode_to_slice(text.trim(), secret.as_mut_slice()).is_ok() => {}
        _ => return Err(StoreError::BadIdentity { path }),
    }
    Keypair::from_secret_bytes(&secret).map_err(|_| StoreError::BadIdentity { path })
}
