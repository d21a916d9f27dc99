//! The curve as `libsecp256k1` has it.

use std::sync::LazyLock;

use secp256k1::ecdsa::{RecoverableSignature, RecoveryId, Signature};
use secp256k1::{All, Message, PublicKey, Secp256k1, SecretKey};
use zeroize::Zeroizing;

/// Not blinded by random numbers, which this crate has none of: operations on secrets take the same
/// time whatever the secrets are without that.
static CURVE: LazyLock<Secp256k1<All>> = LazyLock::new(Secp256k1::new);

/// A secret key. Zeroised when dropped.
#[derive(Clone)]
pub(crate) struct Secret(SecretKey);

impl Secret {
    /// None if the number is zero or not below the order.
    pub(crate) fn from_bytes(bytes: &[u8; 32]) -> Option<Self> {
        SecretKey::from_byte_array(*bytes).ok().map(Self)
    }

    pub(crate) fn to_bytes(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.0.secret_bytes())
    }

    pub(crate) fn point(&self) -> Point {
        Point(PublicKey::from_secret_key(&CURVE, &self.0))
    }

    /// r || s with a low s, and whether the point of which r is the x has an odd y.
    pub(crate) fn sign(&self, digest: &[u8; 32]) -> ([u8; 64], bool) {
        let message = Message::from_digest(*digest);
        let signature = CURVE.sign_ecdsa_recoverable(message, &self.0);
        let (recovery, bytes) = signature.serialize_compact();
        (bytes, matches!(recovery, RecoveryId::One | RecoveryId::Three))
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.non_secure_erase();
    }
}

/// A point on the curve, not the one at infinity: a public key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Point(PublicKey);

impl Point {
    /// From tag and x. The tag must be 2 or 3.
    pub(crate) fn from_compressed(bytes: &[u8; 33]) -> Option<Self> {
        PublicKey::from_byte_array_compressed(*bytes).ok().map(Self)
    }

    pub(crate) fn to_compressed(self) -> [u8; 33] {
        self.0.serialize()
    }

    /// The tag 4, x and y.
    pub(crate) fn to_uncompressed(self) -> [u8; 65] {
        self.0.serialize_uncompressed()
    }

    /// Whose signature r || s, with a low s, is. r is the x of a point as it is, not modulo the order.
    pub(crate) fn recover(digest: &[u8; 32], signature: &[u8; 64], is_y_odd: bool) -> Option<Self> {
        let recovery = if is_y_odd { RecoveryId::One } else { RecoveryId::Zero };
        let signature = RecoverableSignature::from_compact(signature, recovery).ok()?;
        CURVE.recover_ecdsa(Message::from_digest(*digest), &signature).ok().map(Self)
    }

    /// Whether r || s, with a low s, is a signature by this key.
    pub(crate) fn verify(&self, digest: &[u8; 32], signature: &[u8; 64]) -> bool {
        let Ok(signature) = Signature::from_compact(signature) else { return false };
        CURVE.verify_ecdsa(Message::from_digest(*digest), &signature, &self.0).is_ok()
    }

    /// Whether [`recover`](Self::recover) gives this key. Only recovery compares r and the parity of
    /// its point with what the signature names.
    pub(crate) fn verify_recoverable(
        &self,
        digest: &[u8; 32],
        signature: &[u8; 64],
        is_y_odd: bool,
    ) -> bool {
        Self::recover(digest, signature, is_y_odd) == Some(*self)
    }
}
