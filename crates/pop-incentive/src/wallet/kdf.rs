//! From a passphrase to 32 bytes, slowly: scrypt, and PBKDF2 for files that were written with it.

use pbkdf2::pbkdf2_hmac;
use pbkdf2::sha2::Sha256;
use pop_wire::Bound;
use zeroize::Zeroizing;

use super::limits::{
    PBKDF2_ITERATIONS_MAX, SCRYPT_MEMORY_BYTES_MAX, SCRYPT_N_MAX, SCRYPT_P_MAX, SCRYPT_R_MAX,
    SCRYPT_WORK_MAX,
};
use super::{KeystoreError, Passphrase};

/// How dear one guess of the passphrase is: 128 * n * r bytes of memory, p times over.
///
/// A value of this type is within the [limits](super::limits).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScryptParameters {
    log2_n: u8,
    r: u32,
    p: u32,
}

impl ScryptParameters {
    /// n = 262,144, r = 8, p = 1: 256 MiB and about a second, as geth has it.
    pub const STANDARD: Self = Self { log2_n: 18, r: 8, p: 1 };

    /// n = 4,096, r = 8, p = 6: 4 MiB, geth's choice for small machines. A short passphrase is
    /// guessed some ten times as cheaply as with the standard, and on graphics cards.
    pub const LIGHT: Self = Self { log2_n: 12, r: 8, p: 6 };

    /// Checks the numbers one by one, then what they cost together. Nothing is allocated.
    ///
    /// # Errors
    /// [`KeystoreError::Range`], [`KeystoreError::NotPowerOfTwo`] or [`KeystoreError::TooDear`].
    pub fn new(n: u64, r: u64, p: u64) -> Result<Self, KeystoreError> {
        let n = within("crypto.kdfparams.n", n, 2, SCRYPT_N_MAX)?;
        if !n.is_power_of_two() {
            return Err(KeystoreError::NotPowerOfTwo { got: n });
        }
        let r = within("crypto.kdfparams.r", r, 1, SCRYPT_R_MAX)?;
        let p = within("crypto.kdfparams.p", p, 1, SCRYPT_P_MAX)?;
        // The bounds above keep these products below 2^36. The table, the p blocks that it mixes,
        // and one block of scratch.
        cost("bytes of memory", 128 * r * (n + p + 1), SCRYPT_MEMORY_BYTES_MAX)?;
        cost("block mixes", n * r * p, SCRYPT_WORK_MAX)?;
        let narrow = |number: u64| u32::try_from(number).expect("bounded by 64");
        let log2_n = u8::try_from(n.ilog2()).expect("n has 64 bits");
        Ok(Self { log2_n, r: narrow(r), p: narrow(p) })
    }

    /// Entries of the table, a power of two.
    pub fn n(&self) -> u64 {
        1 << self.log2_n
    }

    /// Blocks of an entry.
    pub fn r(&self) -> u32 {
        self.r
    }

    /// Runs.
    pub fn p(&self) -> u32 {
        self.p
    }
}

impl Default for ScryptParameters {
    fn default() -> Self {
        Self::STANDARD
    }
}

/// How a file's key comes out of its passphrase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kdf {
    Scrypt(ScryptParameters),
    /// With HMAC-SHA-256.
    Pbkdf2 {
        iterations: u32,
    },
}

impl Kdf {
    pub(super) fn pbkdf2(iterations: u64) -> Result<Self, KeystoreError> {
        let iterations = within("crypto.kdfparams.c", iterations, 1, PBKDF2_ITERATIONS_MAX)?;
        Ok(Self::Pbkdf2 { iterations: u32::try_from(iterations).expect("within the limit") })
    }

    /// The first 32 bytes of the derived key. Both functions make their output in blocks that do
    /// not depend on its length, so that a file with a greater `dklen` has the same 32.
    pub(super) fn derive(&self, passphrase: &Passphrase, salt: &[u8]) -> Zeroizing<[u8; 32]> {
        let mut derived = Zeroizing::new([0; 32]);
        let passphrase = passphrase.text().as_bytes();
        match *self {
            Self::Scrypt(ScryptParameters { log2_n, r, p }) => {
                let parameters = scrypt::Params::new(log2_n, r, p)
                    .expect("the limits are far inside what scrypt can express");
                scrypt::scrypt(passphrase, salt, &parameters, derived.as_mut_slice())
                    .expect("32 bytes are a possible length");
            }
            Self::Pbkdf2 { iterations } => {
                pbkdf2_hmac::<Sha256>(passphrase, salt, iterations, derived.as_mut_slice());
            }
        }
        derived
    }
}

pub(super) fn within(
    field: &'static str,
    got: u64,
    min: u64,
    max: u64,
) -> Result<u64, KeystoreError> {
    let expected = Bound { min, max };
    if (min..=max).contains(&got) {
        Ok(got)
    } else {
        Err(KeystoreError::Range { field, expected, got })
    }
}

fn cost(unit: &'static str, got: u64, max: u64) -> Result<(), KeystoreError> {
    if got > max { Err(KeystoreError::TooDear { unit, max, got }) } else { Ok(()) }
}
