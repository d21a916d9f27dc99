use core::fmt;

use pop_wire::Keypair;
use zeroize::Zeroizing;

use crate::primitives::{x25519, x25519_public};

const IDENTITY_CONTEXT: &str = "POP 2026 seal key v1";

/// X25519 public key, 32 bytes: to whom an envelope is sealed. A masternode's stands in its
/// record, a viewer's in its note of presence; either signs it with its identity.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SealPublicKey(pub [u8; 32]);

impl fmt::Display for SealPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for SealPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// The key that opens envelopes. Zeroised when dropped; never printed.
#[derive(Clone)]
pub struct SealKeypair {
    secret: Zeroizing<[u8; 32]>,
    public: SealPublicKey,
}

impl SealKeypair {
    /// From 32 secret bytes, which the caller got from a good random source. A viewer takes fresh
    /// ones each time it starts: what was sealed to the old ones can't be read any more.
    pub fn from_secret_bytes(secret: [u8; 32]) -> Self {
        let secret = Zeroizing::new(secret);
        let public = SealPublicKey(x25519_public(&secret));
        Self { secret, public }
    }

    /// The key that goes with an identity: for a masternode, whose record outlives its process.
    /// It follows from the identity's secret, which doesn't follow from it.
    pub fn of_identity(keypair: &Keypair) -> Self {
        let secret = keypair.secret_bytes();
        Self::from_secret_bytes(blake3::derive_key(IDENTITY_CONTEXT, &secret[..]))
    }

    /// What others seal to.
    pub fn public(&self) -> SealPublicKey {
        self.public
    }

    /// The secret shared with the holder of `public`; `None` if that is of low order.
    pub(crate) fn shared(&self, public: &[u8; 32]) -> Option<Zeroizing<[u8; 32]>> {
        x25519(&self.secret, public)
    }
}

impl fmt::Debug for SealKeypair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealKeypair").field("public", &self.public).finish_non_exhaustive()
    }
}
