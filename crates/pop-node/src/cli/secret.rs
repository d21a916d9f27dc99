//! Where secrets come from: a prompt that shows nothing, or a file. Never the command line, which
//! everybody on the machine can read.

use std::path::{Path, PathBuf};

use pop_incentive::wallet::{Mnemonic, Passphrase};
use pop_wire::Keypair;
use zeroize::Zeroizing;

use crate::error::NodeError;
use crate::wallet::{self, WalletError};

/// Bytes of a file with a passphrase or a mnemonic.
const SECRET_BYTES_MAX: usize = 4096;

/// Where a keystore's passphrase comes from.
#[derive(Debug, clap::Args)]
pub(super) struct PassphraseSource {
    /// File whose first line is the keystore's passphrase; asked for on the terminal if absent
    #[arg(long, value_name = "FILE", env = "POP_PASSPHRASE_FILE")]
    passphrase_file: Option<PathBuf>,
}

impl PassphraseSource {
    /// The passphrase of a keystore that there is.
    fn known(&self, keystore: &Path) -> Result<Passphrase, WalletError> {
        match &self.passphrase_file {
            Some(path) => first_line(path),
            None => {
                let text = ask("passphrase", &format!("Passphrase of {}: ", keystore.display()))?;
                Ok(Passphrase::new(text))
            }
        }
    }

    /// The passphrase of a keystore that is being made.
    pub(super) fn new_one(&self, keystore: &Path) -> Result<Passphrase, WalletError> {
        let refused = |problem| Err(WalletError::Passphrase { problem });
        let text = match &self.passphrase_file {
            Some(path) => first_line_text(path)?,
            None => {
                let prompt = format!("New passphrase for {}: ", keystore.display());
                let text = Zeroizing::new(ask("passphrase", &prompt)?);
                let again = Zeroizing::new(ask("passphrase", "The same again: ")?);
                if text != again {
                    return refused("the two are different");
                }
                text
            }
        };
        if text.is_empty() {
            return refused("expected one: without it anybody who has the file has the key");
        }
        Ok(Passphrase::new(text.to_string()))
    }

    /// The key in a keystore.
    pub(super) fn unlock(&self, keystore: &Path) -> Result<Keypair, NodeError> {
        // A file that is no keystore is refused before anybody is asked for its passphrase.
        wallet::read_keystore(keystore)?;
        Ok(wallet::unlock(keystore, &self.known(keystore)?)?)
    }
}

/// The words of a wallet, from a file or as they are typed.
pub(super) fn mnemonic(file: Option<&Path>) -> Result<Mnemonic, WalletError> {
    let text = match file {
        Some(path) => wallet::read_secret(path, SECRET_BYTES_MAX)?,
        None => Zeroizing::new(ask("mnemonic", "The words of the wallet (nothing is shown): ")?),
    };
    Ok(Mnemonic::parse(&text)?)
}

fn first_line(path: &Path) -> Result<Passphrase, WalletError> {
    Ok(Passphrase::new(first_line_text(path)?.to_string()))
}

fn first_line_text(path: &Path) -> Result<Zeroizing<String>, WalletError> {
    let text = wallet::read_secret(path, SECRET_BYTES_MAX)?;
    Ok(Zeroizing::new(text.lines().next().unwrap_or_default().to_owned()))
}

fn ask(what: &'static str, prompt: &str) -> Result<String, WalletError> {
    rpassword::prompt_password(prompt).map_err(|source| WalletError::NoTerminal { what, source })
}
