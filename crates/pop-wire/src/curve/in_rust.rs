//! The curve as `k256` has it.

use k256::ecdsa::signature::hazmat::PrehashVerifier;
use k256::ecdsa::{RecoveryId, Signature, SigningKey, VerifyingKey};
use k256::elliptic_curve::ops::{Invert, MulByGeneratorVartime, Reduce};
use k256::elliptic_curve::point::AffineCoordinates;
use k256::{FieldBytes, ProjectivePoint, Scalar};
use zeroize::Zeroizing;

/// A secret key. Zeroised when dropped.
#[derive(Clone)]
pub(crate) struct Secret(SigningKey);

impl Secret {
    /// None if the number is zero or not below the order.
    pub(crate) fn from_bytes(bytes: &[u8; 32]) -> Option<Self> {
        SigningKey::from_slice(bytes).ok().map(Self)
    }

    pub(crate) fn to_bytes(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.0.to_bytes().into())
    }

    pub(crate) fn point(&self) -> Point {
        Point(*self.0.verifying_key())
    }

    /// r || s with a low s, and whether the point of which r is the x has an odd y.
    pub(crate) fn sign(&self, digest: &[u8; 32]) -> ([u8; 64], bool) {
        let (signature, recovery) = self.0.sign_prehash_recoverable(digest);
        (signature.to_bytes().into(), recovery.is_y_odd())
    }
}

/// A point on the curve, not the one at infinity: a public key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Point(VerifyingKey);

impl Point {
    /// From tag and x. The tag must be 2 or 3.
    pub(crate) fn from_compressed(bytes: &[u8; 33]) -> Option<Self> {
        VerifyingKey::from_sec1_bytes(bytes).ok().map(Self)
    }

    pub(crate) fn to_compressed(self) -> [u8; 33] {
        let mut bytes = [0; 33];
        bytes.copy_from_slice(self.0.to_sec1_point(true).as_bytes());
        bytes
    }

    /// The tag 4, x and y.
    pub(crate) fn to_uncompressed(self) -> [u8; 65] {
        let mut bytes = [0; 65];
        bytes.copy_from_slice(self.0.to_sec1_point(false).as_bytes());
        bytes
    }

    /// Whose signature r || s, with a low s, is. r is the x of a point as it is, not modulo the order.
    pub(crate) fn recover(digest: &[u8; 32], signature: &[u8; 64], is_y_odd: bool) -> Option<Self> {
        let signature = Signature::from_slice(signature).ok()?;
        let recovery = RecoveryId::new(is_y_odd, false);
        VerifyingKey::recover_from_prehash(digest, &signature, recovery).ok().map(Self)
    }

    /// Whether r || s, with a low s, is a signature by this key.
    pub(crate) fn verify(&self, digest: &[u8; 32], signature: &[u8; 64]) -> bool {
        let Ok(signature) = Signature::from_slice(signature) else { return false };
        self.0.verify_prehash(digest, &signature).is_ok()
    }

    /// Whether [`recover`](Self::recover) gives this key, found without the square root: the point of
    /// which r is the x is computed from the key.
    pub(crate) fn verify_recoverable(
        &self,
        digest: &[u8; 32],
        signature: &[u8; 64],
        is_y_odd: bool,
    ) -> bool {
        let Ok(parsed) = Signature::from_slice(signature) else { return false };
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
        is_named && bool::from(point.y_is_odd()) == is_y_odd
    }
}
