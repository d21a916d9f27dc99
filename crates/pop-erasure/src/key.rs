//! The secret of a content: [`ContentKey`].

use std::fmt;

use pop_wire::Digest;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

/// 32 secret bytes that open a content, fresh from a good random source for every content.
///
/// Zeroised when dropped and never printed. It is on nobody's disk but the publisher's and the
/// viewer's: holders work on ciphertext.
#[derive(Clone)]
pub struct ContentKey(Zeroizing<[u8; 32]>);

impl ContentKey {
    /// The key with these bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The secret bytes, for whoever must store or send them.
    #[must_use]
    pub fn expose_secret(&self) -> &[u8; 32] {
        &self.0
    }

    /// What the manifest says of the key: it fits one key only and tells nothing about it.
    /// SHA-256, so that a contract can check a key that is sold against it.
    #[must_use]
    pub fn commitment(&self, salt: &Digest) -> Digest {
        let hash = Sha256::new()
            .chain_update(b"POP key commitment v1")
            .chain_update(salt.0)
            .chain_update(self.0.as_slice());
        Digest(hash.finalize().into())
    }
}

impl fmt::Debug for ContentKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ContentKey(..)")
    }
}
