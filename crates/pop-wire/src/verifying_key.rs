//! A public key that is ready to check signatures: what a [`PeerId`] is in 33 bytes, unpacked once.

use core::fmt;

use k256::ecdsa::signature::hazmat::PrehashVerifier;
use k256::ecdsa::{RecoveryId, Signature};
use k256::elliptic_curve::ops::{Invert, MulByGeneratorVartime, Reduce};
use k256::elliptic_curve::point::AffineCoordinates;
use k256::{FieldBytes, ProjectivePoint, Scalar};
use sha3::{Digest as _, Keccak256};

use crate::identity::{PeerId, WalletAddress};
use crate::{Bound, WireError};

/// A public key, unpacked. Whoever checks many signatures of one signer keeps this: recovering the
/// key from each costs about an eighth more than checking by it.
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
pub struct VerifyingKey(k256::ecdsa::VerifyingKey);

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
        let (signature, is_y_odd) = parse_recoverable(signature)?;
        let recovery = RecoveryId::new(is_y_odd, false);
        k256::ecdsa::VerifyingKey::recover_from_prehash(digest, &signature, recovery)
            .map(Self)
            .map_err(|_| WireError::Signature)
    }

    /// Check a signature of 65 bytes by the key. Accepts exactly those that [`recover`] to this
    /// key, without the square root: the point R of the signature is computed from the key, and must be
    /// the one that r and v name.
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
        let (parsed, is_y_odd) = parse_recoverable(signature)?;
        let (r, s) = parsed.split_scalars();
        let digest = <Scalar as Reduce<FieldBytes>>::reduce(&FieldBytes::from(*digest));
        let s_inverse = *s.invert_vartime();
        let point = ProjectivePoint::mul_by_generator_and_mul_add_vartime(
            &(digest * s_inverse),
            &(*r * s_inverse),
            &ProjectivePoint::from(*self.0.as_affine()),
        )
        .to_affine();
        // Not modulo the order, as ECDSA alone compares: an x above the order is one that neither
        // 27 nor 28 names.
        let is_named = point.x()[..] == signature[..32];
        if is_named && bool::from(point.y_is_odd()) == is_y_odd {
            Ok(())
        } else {
            Err(WireError::Signature)
        }
    }

    /// Check a signature of 64 bytes, r || s.
    ///
    /// # Errors
    /// [`WireError::Signature`] if it doesn't verify or is malleable (high s).
    pub fn verify_digest(&self, digest: &[u8; 32], signature: &[u8; 64]) -> Result<(), WireError> {
        let signature = parse(signature)?;
        self.0.verify_prehash(digest, &signature).map_err(|_| WireError::Signature)
    }

    /// The peer that has this key.
    pub fn peer_id(&self) -> PeerId {
        PeerId::of_key(self)
    }

    /// The wallet that has this key: the last 20 bytes of the Keccak-256 of the point, as Ethereum
    /// has it.
    pub fn wallet_address(&self) -> WalletAddress {
        let point = self.0.to_sec1_point(false);
        let hash = Keccak256::digest(&point.as_bytes()[1..]);
        let mut address = [0; 20];
        address.copy_from_slice(&hash[12..]);
        WalletAddress(address)
    }

    pub(crate) fn of_signer(signer: &k256::ecdsa::SigningKey) -> Self {
        Self(*signer.verifying_key())
    }

    pub(crate) fn from_compressed(field: &'static str, bytes: &[u8]) -> Result<Self, WireError> {
        let array = <[u8; 33]>::try_from(bytes).map_err(|_| WireError::Length {
            field,
            expected: Bound::exactly(33),
            got: bytes.len(),
        })?;
        // spec/wire.md §3.1: one key has one form; the library also reads SEC1's compact tag 05.
        if !matches!(array[0], 2 | 3) {
            return Err(WireError::Invalid { field, problem: "not a compressed point" });
        }
        k256::ecdsa::VerifyingKey::from_sec1_bytes(&array)
            .map(Self)
            .map_err(|_| WireError::Invalid { field, problem: "not a point on secp256k1" })
    }

    pub(crate) fn to_compressed(self) -> [u8; 33] {
        let mut bytes = [0; 33];
        bytes.copy_from_slice(self.0.to_sec1_point(true).as_bytes());
        bytes
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "VerifyingKey({})", self.peer_id())
    }
}

fn parse(signature: &[u8]) -> Result<Signature, WireError> {
    let signature = Signature::from_slice(signature).map_err(|_| WireError::Signature)?;
    // spec/wire.md §3.4: a signature with a high s MUST be refused.
    if signature.normalize_s() != signature {
        return Err(WireError::Signature);
    }
    Ok(signature)
}

/// r and s, and whether the point of which r is the x has an odd y.
fn parse_recoverable(signature: &[u8; 65]) -> Result<(Signature, bool), WireError> {
    let is_y_odd = match signature[64] {
        27 => false,
        28 => true,
        _ => return Err(WireError::Signature),
    };
    Ok((parse(&signature[..64])?, is_y_odd))
}
