//! A public key that is ready to check signatures: what a [`PeerId`] is in 33 bytes, unpacked once.

use core::fmt;

use sha3::{Digest as _, Keccak256};

use crate::curve::{self, Point, Secret};
use crate::identity::{PeerId, WalletAddress};
use crate::{Bound, WireError};

/// A public key, unpacked. Whoever checks many signatures of one signer keeps this: recovering the
/// key from each costs about an eighth more than checking by it (in Rust; in C the same).
///
/// ```
/// use pop_wire::{Keypair, VerifyingKey};
///
/// let signer = Keypair::from_secret_bytes(&[7; 32])?;
/// let first = signer.sign_digest_recoverable(&[1; 32]);
/// let key = VerifyingKey::recover(&[1; 32], &first)?;
/// assert_eq!(key.wallet_address(), signer.peer_id().wallet_address());
///
/// let next = signer.sign_digest_recoverable(&[2; 32]);
/// key.verify_recoverable(&[2; 32], &next)?;
/// # Ok::<(), pop_wire::WireError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct VerifyingKey(Point);

impl VerifyingKey {
    /// Whose signature this is, of the 65 bytes that [`Keypair::sign_digest_recoverable`] makes.
    ///
    /// Any digest and nearly any signature recover to some key: the result means something only
    /// when it is compared with the key that was expected.
    ///
    /// # Errors
    /// [`WireError::Signature`] if it is of nobody, is malleable (high s), or ends in a byte other
    /// than 27 and 28.
    ///
    /// [`Keypair::sign_digest_recoverable`]: crate::Keypair::sign_digest_recoverable
    pub fn recover(digest: &[u8; 32], signature: &[u8; 65]) -> Result<Self, WireError> {
        let (signature, is_y_odd) = split(signature)?;
        Point::recover(digest, signature, is_y_odd).map(Self).ok_or(WireError::Signature)
    }

    /// Check a signature of 65 bytes by the key. Accepts exactly those that [`recover`] to this
    /// key.
    ///
    /// # Errors
    /// [`WireError::Signature`] if [`recover`] gives another key or none.
    ///
    /// [`recover`]: Self::recover
    pub fn verify_recoverable(
        &self,
        digest: &[u8; 32],
        signature: &[u8; 65],
    ) -> Result<(), WireError> {
        let (signature, is_y_odd) = split(signature)?;
        let is_valid = self.0.verify_recoverable(digest, signature, is_y_odd);
        is_valid.then_some(()).ok_or(WireError::Signature)
    }

    /// Check a signature of 64 bytes, r || s.
    ///
    /// # Errors
    /// [`WireError::Signature`] if it doesn't verify or is malleable (high s).
    pub fn verify_digest(&self, digest: &[u8; 32], signature: &[u8; 64]) -> Result<(), WireError> {
        let is_valid = self.0.verify(digest, low(signature)?);
        is_valid.then_some(()).ok_or(WireError::Signature)
    }

    /// The peer that has this key.
    pub fn peer_id(&self) -> PeerId {
        PeerId::of_key(self)
    }

    /// The wallet that has this key: the last 20 bytes of the Keccak-256 of the point, as Ethereum
    /// has it.
    pub fn wallet_address(&self) -> WalletAddress {
        let hash = Keccak256::digest(&self.0.to_uncompressed()[1..]);
        let mut address = [0; 20];
        address.copy_from_slice(&hash[12..]);
        WalletAddress(address)
    }

    pub(crate) fn of_signer(signer: &Secret) -> Self {
        Self(signer.point())
    }

    pub(crate) fn from_compressed(field: &'static str, bytes: &[u8]) -> Result<Self, WireError> {
        let array = <[u8; 33]>::try_from(bytes).map_err(|_| WireError::Length {
            field,
            expected: Bound::exactly(33),
            got: bytes.len(),
        })?;
        // spec/wire.md §3.1: one key has one form; a library may also read SEC1's compact tag 05.
        if !matches!(array[0], 2 | 3) {
            return Err(WireError::Invalid { field, problem: "not a compressed point" });
        }
        let point = Point::from_compressed(&array);
        point.map(Self).ok_or(WireError::Invalid { field, problem: "not a point on secp256k1" })
    }

    pub(crate) fn to_compressed(self) -> [u8; 33] {
        self.0.to_compressed()
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "VerifyingKey({})", self.peer_id())
    }
}

fn low(signature: &[u8; 64]) -> Result<&[u8; 64], WireError> {
    // spec/wire.md §3.4: a signature with a high s MUST be refused.
    curve::is_low(signature).then_some(signature).ok_or(WireError::Signature)
}

/// r || s, and whether the point of which r is the x has an odd y.
fn split(signature: &[u8; 65]) -> Result<(&[u8; 64], bool), WireError> {
    let (signature, v) = signature.split_first_chunk().ok_or(WireError::Signature)?;
    let is_y_odd = match v {
        [27] => false,
        [28] => true,
        _ => return Err(WireError::Signature),
    };
    Ok((low(signature)?, is_y_odd))
}
