//! One secret key, encrypted: Web3 Secret Storage, version 3.

use core::fmt;

use aes::Aes128;
use ctr::Ctr128BE;
use ctr::cipher::{KeyIvInit, StreamCipher};
use pop_wire::{Bound, Keypair, WalletAddress};
use sha3::{Digest as _, Keccak256};
use zeroize::Zeroizing;

use super::Passphrase;
use super::kdf::{Kdf, ScryptParameters};

mod json;

/// Why a text is no keystore, or does not give up its key.
///
/// Everything but [`Unlock`](Self::Unlock) is the file's fault: no passphrase helps. No variant
/// holds anything that was decrypted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeystoreError {
    /// Longer than any keystore.
    #[error("keystore: expected at most {max} bytes, got {got}: this is another file")]
    Length {
        /// Limit in bytes.
        max: usize,
        /// Bytes found.
        got: usize,
    },
    /// Not JSON.
    #[error(
        "keystore: line {line}, column {column} is not JSON: the file is damaged or another one; \
         take a copy of it, or restore from the mnemonic"
    )]
    NotJson {
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
    },
    /// A field is missing or is not what it has to be.
    #[error(
        "keystore: {field}: expected {expected}: the file is damaged or another one; take a copy \
         of it, or restore from the mnemonic"
    )]
    Field {
        /// Path of the field.
        field: &'static str,
        /// What belongs there.
        expected: &'static str,
    },
    /// A version or an algorithm that this program lacks.
    #[error(
        "keystore: {field}: this program reads {expected}, got {got:?}: unlock the file with the \
         program that wrote it and export the key as version 3"
    )]
    Unsupported {
        /// Path of the field.
        field: &'static str,
        /// What can be read.
        expected: &'static str,
        /// What the file has, its first 32 characters.
        got: String,
    },
    /// A number is outside the range that is read at all.
    #[error(
        "keystore: {field}: expected {expected}, got {got}: the file was damaged or made to \
         exhaust this machine"
    )]
    Range {
        /// Path of the field.
        field: &'static str,
        /// Allowed range.
        expected: Bound,
        /// Number found.
        got: u64,
    },
    /// scrypt is defined for powers of two only.
    #[error(
        "keystore: crypto.kdfparams.n: expected a power of two, got {got}: the file is damaged"
    )]
    NotPowerOfTwo {
        /// Number found.
        got: u64,
    },
    /// The numbers are within their ranges, but together ask for too much.
    #[error(
        "keystore: crypto.kdfparams: n, r and p ask for {got} {unit}, {max} are allowed: the file \
         was damaged or made to exhaust this machine"
    )]
    TooDear {
        /// What is counted.
        unit: &'static str,
        /// Limit.
        max: u64,
        /// What the file asks for.
        got: u64,
    },
    /// The checksum, which covers passphrase and ciphertext as one, does not fit.
    #[error(
        "keystore: the passphrase is wrong or the file is damaged, which its one checksum can't \
         tell apart: try the passphrase again, then a copy of the file, then the mnemonic"
    )]
    Unlock,
    /// The passphrase fits, but what it unlocks is zero or above the order of the curve.
    #[error("keystore: the passphrase is right, but the file holds no secp256k1 key")]
    NotKey,
    /// The passphrase fits, but the key is not that of the address that the file is labelled with.
    #[error(
        "keystore: the file says {labelled} but holds the key of {held}: its label was changed; \
         correct `address` if {held} is the wallet you mean"
    )]
    WrongAddress {
        /// In the file's clear text.
        labelled: WalletAddress,
        /// Of the key inside.
        held: WalletAddress,
    },
}

/// A key in its encrypted form. Reading one checks every number that decides what unlocking it will
/// cost, so that [`decrypt`](Self::decrypt) is bounded.
#[derive(Clone, PartialEq, Eq)]
pub struct Keystore {
    address: Option<WalletAddress>,
    /// A UUID; geth names accounts by it.
    id: Option<[u8; 16]>,
    kdf: Kdf,
    salt: Vec<u8>,
    iv: [u8; 16],
    /// 1 to 32 bytes: early versions of geth dropped leading zeros.
    ciphertext: Vec<u8>,
    mac: [u8; 32],
}

impl Keystore {
    /// Encrypts a key.
    ///
    /// `randomness` is the salt (32 bytes), the cipher's first counter (16) and the file's id (16).
    /// It must come from a good random source and be used once: a second key under the same
    /// passphrase and randomness would have the same key stream.
    pub fn encrypt(
        keypair: &Keypair,
        passphrase: &Passphrase,
        parameters: ScryptParameters,
        randomness: &[u8; 64],
    ) -> Self {
        let kdf = Kdf::Scrypt(parameters);
        let salt = randomness[..32].to_vec();
        let [mut iv, mut id] = [[0; 16]; 2];
        iv.copy_from_slice(&randomness[32..48]);
        id.copy_from_slice(&randomness[48..]);
        // RFC 9562: version 4 (random), variant 1.
        id[6] = 0x40 | (id[6] & 0x0f);
        id[8] = 0x80 | (id[8] & 0x3f);

        let derived = kdf.derive(passphrase, &salt);
        // From here on ciphertext only: it is encrypted in place.
        let mut secret = keypair.secret_bytes();
        apply_key_stream(&derived, &iv, secret.as_mut_slice());
        let ciphertext = secret.to_vec();
        let mac = mac(&derived, &ciphertext);
        let address = Some(keypair.peer_id().wallet_address());
        Self { address, id: Some(id), kdf, salt, iv, ciphertext, mac }
    }

    /// Reads the text of a keystore file.
    ///
    /// # Errors
    /// [`KeystoreError`], every variant of it that is not about the passphrase.
    pub fn from_json(text: &[u8]) -> Result<Self, KeystoreError> {
        json::read(text)
    }

    /// The text of a keystore file, with the fields in geth's order.
    pub fn to_json(&self) -> String {
        json::write(self)
    }

    /// Whose key the file says it is. Nothing vouches for it before [`decrypt`](Self::decrypt).
    pub fn address(&self) -> Option<WalletAddress> {
        self.address
    }

    /// Takes the key out. This computes for about a second and blocks the thread.
    ///
    /// # Errors
    /// [`KeystoreError::Unlock`] above all; [`KeystoreError::NotKey`] and
    /// [`KeystoreError::WrongAddress`] of a file that was written or edited wrongly.
    pub fn decrypt(&self, passphrase: &Passphrase) -> Result<Keypair, KeystoreError> {
        let derived = self.kdf.derive(passphrase, &self.salt);
        // In plain time: who can ask and measure has the file, and can compute the same.
        if mac(&derived, &self.ciphertext) != self.mac {
            return Err(KeystoreError::Unlock);
        }
        let mut secret = Zeroizing::new([0; 32]);
        let held = &mut secret[32 - self.ciphertext.len()..];
        held.copy_from_slice(&self.ciphertext);
        apply_key_stream(&derived, &self.iv, held);
        let keypair = Keypair::from_secret_bytes(&secret).map_err(|_| KeystoreError::NotKey)?;

        let held = keypair.peer_id().wallet_address();
        match self.address {
            Some(labelled) if labelled != held => {
                Err(KeystoreError::WrongAddress { labelled, held })
            }
            _ => Ok(keypair),
        }
    }
}

impl fmt::Debug for Keystore {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Keystore")
            .field("address", &self.address)
            .field("kdf", &self.kdf)
            .finish_non_exhaustive()
    }
}

/// AES-128 in counter mode, both ways, under the first half of the derived key.
fn apply_key_stream(derived: &[u8; 32], iv: &[u8; 16], bytes: &mut [u8]) {
    Ctr128BE::<Aes128>::new_from_slices(&derived[..16], iv)
        .expect("key and counter have 16 bytes each")
        .apply_keystream(bytes);
}

/// Keccak-256 over the second half of the derived key and the ciphertext.
fn mac(derived: &[u8; 32], ciphertext: &[u8]) -> [u8; 32] {
    Keccak256::new().chain_update(&derived[16..]).chain_update(ciphertext).finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_holds_no_key_says_so() {
        let passphrase = Passphrase::new("right".to_owned());
        let kdf = Kdf::Scrypt(ScryptParameters::new(2, 8, 1).unwrap());
        let derived = kdf.derive(&passphrase, &[1; 32]);
        for no_key in [vec![0; 32], vec![0; 1], vec![0xff; 32]] {
            let mut ciphertext = no_key;
            apply_key_stream(&derived, &[2; 16], &mut ciphertext);
            let mac = mac(&derived, &ciphertext);
            let (salt, iv) = (vec![1; 32], [2; 16]);
            let keystore = Keystore { address: None, id: None, kdf, salt, iv, ciphertext, mac };
            let keystore = Keystore::from_json(keystore.to_json().as_bytes()).unwrap();
            assert_eq!(keystore.decrypt(&passphrase).unwrap_err(), KeystoreError::NotKey);
            let wrong = Passphrase::new("wrong".to_owned());
            assert_eq!(keystore.decrypt(&wrong).unwrap_err(), KeystoreError::Unlock);
        }
    }
}
