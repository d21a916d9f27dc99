//! Where records live: every subject has three keys, far apart, that anyone can compute
//! (`spec/dht.md` §2).

use core::fmt;

use pop_wire::{ContentId, PeerId};

use crate::RecordError;
use crate::limits::KEYS_PER_SUBJECT;

/// Context of the hash behind a content's keys.
const CONTENT_KEY_CONTEXT: &str = "POP 2026 dht content key v1";

/// Context of the hash behind a masternode's keys.
const MASTERNODE_KEY_CONTEXT: &str = "POP 2026 dht masternode key v1";

/// A key of the DHT: 32 bytes, a hash. Kademlia hashes it once more to get its place.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DhtKey(pub [u8; 32]);

impl DhtKey {
    /// Read a key off the wire.
    ///
    /// # Errors
    /// [`RecordError::KeyLength`] if it has not 32 bytes: the sender's fault.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, RecordError> {
        <[u8; 32]>::try_from(bytes)
            .map(Self)
            .map_err(|_| RecordError::KeyLength { got: bytes.len() })
    }
}

impl fmt::Display for DhtKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for DhtKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// What records are about, and lookups ask for.
///
/// ```
/// use pop_dht::Subject;
/// use pop_wire::ContentId;
///
/// let keys = Subject::Content(ContentId([7; 32])).keys();
/// assert_eq!(keys.len(), 3);
/// assert_ne!(keys[0], keys[1]);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// A content: its manifest and who holds columns of it.
    Content(ContentId),
    /// A masternode.
    Masternode(PeerId),
}

impl Subject {
    /// The keys under which the subject's records are put, and looked for, all three.
    pub fn keys(&self) -> [DhtKey; KEYS_PER_SUBJECT] {
        let (context, name) = match self {
            Self::Content(content) => (CONTENT_KEY_CONTEXT, &content.0[..]),
            Self::Masternode(peer) => (MASTERNODE_KEY_CONTEXT, &peer.public_key()[..]),
        };
        let mut keys = [DhtKey([0; 32]); KEYS_PER_SUBJECT];
        for (salt, key) in (0_u8..).zip(&mut keys) {
            let mut hasher = blake3::Hasher::new_derive_key(context);
            *key = DhtKey(*hasher.update(name).update(&[salt]).finalize().as_bytes());
        }
        keys
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Content(content) => write!(f, "content {content}"),
            Self::Masternode(peer) => write!(f, "masternode {peer}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_subject_has_three_keys_of_its_own() {
        let keypair = pop_wire::Keypair::from_secret_bytes(&[1; 32]).unwrap();
        let mut name = [0; 32];
        name.copy_from_slice(&keypair.peer_id().public_key()[1..]);
        let subjects = [
            Subject::Content(ContentId([1; 32])),
            Subject::Content(ContentId([2; 32])),
            Subject::Content(ContentId(name)),
            Subject::Masternode(keypair.peer_id()),
        ];
        let keys: BTreeSet<DhtKey> = subjects.iter().flat_map(Subject::keys).collect();
        assert_eq!(keys.len(), 12);
    }

    /// The keys are part of the format: a change here is a new version of the protocol.
    #[test]
    fn the_keys_are_those_of_the_specification() {
        let first = Subject::Content(ContentId([0; 32])).keys()[0];
        let mut input = [0; 33];
        input[32] = 0;
        assert_eq!(first.0, blake3::derive_key("POP 2026 dht content key v1", &input));
    }

    #[test]
    fn a_key_of_another_length_is_refused() {
        assert_eq!(DhtKey::from_bytes(&[0; 31]), Err(RecordError::KeyLength { got: 31 }));
        assert_eq!(DhtKey::from_bytes(&[9; 32]), Ok(DhtKey([9; 32])));
    }
}
