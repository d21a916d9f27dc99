//! The keys of a wallet: a mnemonic on paper, an encrypted file on disk, one
//! [`Keypair`](pop_wire::Keypair) in use (`spec/incentive.md`, section "Wallet").
//!
//! Nobody else ever holds a key: there is no account to open and no one to ask for a new password.
//! The same secp256k1 key is peer id and wallet address, in the formats that Ethereum's programs
//! read, so that a wallet can be moved into and out of POP.
//!
//! | on paper | on disk | in use |
//! |---|---|---|
//! | [`Mnemonic`] (BIP-39) → [`Seed`] (BIP-32) → | [`Keystore`] (Web3 Secret Storage 3) → | `Keypair` |
//!
//! Nothing here reads a file, a clock or the operating system's randomness: text and random bytes
//! come from the caller.
//!
//! ```
//! use pop_incentive::wallet::{Keystore, Mnemonic, Passphrase, Role, ScryptParameters};
//!
//! // In earnest, both arrays come from the operating system's random source.
//! let mnemonic = Mnemonic::of_24_words(&[7; 32]);
//! let seed = mnemonic.seed(&Passphrase::default());
//! let operator = seed.key(Role::Operator(0))?;
//!
//! let passphrase = Passphrase::new("correct horse battery staple".to_owned());
//! let parameters = ScryptParameters::STANDARD;
//! let file = Keystore::encrypt(&operator, &passphrase, parameters, &[9; 64]).to_json();
//!
//! let keystore = Keystore::from_json(file.as_bytes())?;
//! assert_eq!(keystore.address(), Some(operator.peer_id().wallet_address()));
//! assert_eq!(keystore.decrypt(&passphrase)?.peer_id(), operator.peer_id());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Whose code
//!
//! Word list and seed are `bip39`'s, the key tree is `bip32`'s, both kept up with the same `k256`
//! as the rest. The file is put together here from RustCrypto's `scrypt`, `pbkdf2`, `aes`, `ctr`
//! and `sha3`: the crate that does it, `eth-keystore`, has had no release since 2022, reads and
//! writes files by itself, draws its own randomness and lets a file choose how much memory scrypt
//! takes.
//!
//! # What is wiped
//!
//! Passphrases, mnemonics, seeds, derived keys and decrypted keys are overwritten when dropped and
//! never appear in `Debug` or in an error. Out of reach are the scratch memory of scrypt, PBKDF2
//! and HMAC, the chain codes of a derivation (of use only together with a key), and copies that the
//! operating system makes when it swaps.

use core::fmt;

use zeroize::Zeroizing;

mod kdf;
mod keystore;
pub mod limits;
mod mnemonic;
mod roles;

pub use kdf::ScryptParameters;
pub use keystore::{Keystore, KeystoreError};
pub use mnemonic::{Mnemonic, MnemonicError};
pub use roles::{DerivationError, Role, Seed};

/// A secret that a person remembers. Wiped when dropped, never printed.
///
/// For a keystore its UTF-8 bytes count as they are, which is what geth does; for a mnemonic they
/// are brought to NFKD first, which is what BIP-39 says. The empty one, which is the default, is
/// the usual one for a mnemonic and no protection at all for a keystore.
#[derive(Clone, Default)]
pub struct Passphrase(Zeroizing<String>);

impl Passphrase {
    /// Takes the text over. A line end that a prompt or a file left on it is the caller's to strip.
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    fn text(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Passphrase(secret)")
    }
}
