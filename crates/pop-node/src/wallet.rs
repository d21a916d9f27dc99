//! Keystore files, and what goes wrong with the keys of a wallet.

use std::fs::File;
use std::io::{self, ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use pop_incentive::wallet::limits::KEYSTORE_BYTES_MAX;
use pop_incentive::wallet::{
    DerivationError, Keystore, KeystoreError, MnemonicError, Passphrase, ScryptParameters,
};
use pop_wire::Keypair;
use zeroize::Zeroizing;

use crate::clock::{self, NoEntropy};
use crate::disk::{create_private, write_once};

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WalletError {
    /// The file is no keystore, or its passphrase is another.
    #[error("{path}: {source}")]
    Keystore {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: KeystoreError,
    },
    /// The words are no mnemonic.
    #[error(transparent)]
    Mnemonic(#[from] MnemonicError),
    /// The words lead to no key.
    #[error(transparent)]
    Derivation(#[from] DerivationError),
    /// There is a file of that name.
    #[error("{path} exists already and is kept: it is a wallet")]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// A file can't be read or written.
    #[error("cannot {action} {path}: {source}")]
    File {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Nobody is there to be asked.
    #[error("cannot ask for the {what}: {source}")]
    NoTerminal {
        /// What for.
        what: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// A new passphrase that can't be taken.
    #[error("passphrase: {problem}")]
    Passphrase {
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The words of a new wallet would end up where they stay.
    #[error("standard output is no terminal: the words of the new wallet would end up in a file")]
    WordsWouldStay,
    /// The operating system gave no randomness for a key.
    #[error(transparent)]
    NoEntropy(#[from] NoEntropy),
}

impl WalletError {
    /// The process's exit code (`sysexits.h` where one fits).
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Keystore { source: KeystoreError::Unlock, .. } => 77,
            Self::Keystore { .. } | Self::Mnemonic(_) | Self::Derivation(_) => 65,
            Self::Exists { .. } => 73,
            Self::File { action: "write", .. } => 73,
            Self::File { .. } | Self::NoTerminal { .. } => 66,
            Self::Passphrase { .. } | Self::WordsWouldStay => 65,
            Self::NoEntropy(_) => 74,
        }
    }

    /// A short name for programs; never changes its meaning.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Keystore { source: KeystoreError::Unlock, .. } => "wrong_passphrase",
            Self::Keystore { .. } => "keystore",
            Self::Mnemonic(_) => "mnemonic",
            Self::Derivation(_) => "derivation",
            Self::Exists { .. } => "wallet_exists",
            Self::File { .. } | Self::NoEntropy(_) => "wallet_file",
            Self::NoTerminal { .. } => "no_terminal",
            Self::Passphrase { .. } => "passphrase",
            Self::WordsWouldStay => "words_would_stay",
        }
    }

    /// What the operator does next, where the message alone doesn't say it.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::Exists { .. } => "name another file with --keystore",
            Self::NoTerminal { .. } => {
                "in a script, give it in a file: --passphrase-file, --mnemonic-file"
            }
            Self::WordsWouldStay => "run it in a terminal; or with --json, and keep what comes out",
            _ => return None,
        })
    }
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> WalletError {
    let path = path.to_path_buf();
    move |source| WalletError::File { action, path, source }
}

/// Read a file of at most `max` bytes; what is beyond is cut off.
pub(crate) fn read_secret(path: &Path, max: usize) -> Result<Zeroizing<String>, WalletError> {
    let mut text = Zeroizing::new(String::new());
    let max = u64::try_from(max).unwrap_or(u64::MAX);
    let file = File::open(path).map_err(failed("read", path))?;
    file.take(max).read_to_string(&mut text).map_err(failed("read", path))?;
    Ok(text)
}

/// Read a keystore file. Nothing is decrypted.
///
/// # Errors
/// [`WalletError::File`] and [`WalletError::Keystore`].
pub fn read_keystore(path: &Path) -> Result<Keystore, WalletError> {
    let text = read_secret(path, KEYSTORE_BYTES_MAX + 1)?;
    Keystore::from_json(text.as_bytes())
        .map_err(|source| WalletError::Keystore { path: path.to_path_buf(), source })
}

/// Take the key out of a keystore file. Computes for about a second and blocks the thread.
///
/// # Errors
/// As for [`read_keystore`]; with [`KeystoreError::Unlock`] the passphrase is another.
pub fn unlock(path: &Path, passphrase: &Passphrase) -> Result<Keypair, WalletError> {
    read_keystore(path)?
        .decrypt(passphrase)
        .map_err(|source| WalletError::Keystore { path: path.to_path_buf(), source })
}

/// Write a key, encrypted, into a new file that only the owner can read.
///
/// # Errors
/// [`WalletError::Exists`]: a keystore is never overwritten.
pub fn write_keystore(
    path: &Path,
    keypair: &Keypair,
    passphrase: &Passphrase,
    parameters: ScryptParameters,
) -> Result<(), WalletError> {
    let exists = || WalletError::Exists { path: path.to_path_buf() };
    if path.exists() {
        return Err(exists());
    }
    let mut randomness = Zeroizing::new([0; 64]);
    for half in randomness.chunks_mut(32) {
        half.copy_from_slice(&clock::random_bytes()?);
    }
    let text = Keystore::encrypt(keypair, passphrase, parameters, &randomness).to_json();
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        create_private(folder).map_err(|error| failed("write", path)(io::Error::other(error)))?;
    }
    match write_once(path, text.as_bytes()) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Err(exists()),
        written => written.map_err(failed("write", path)),
    }
}
