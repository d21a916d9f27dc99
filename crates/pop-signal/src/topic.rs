//! How viewers of one content find each other without telling anybody else what they watch.
//! Normative text: `spec/signal.md` §4.
//!
//! ```
//! use pop_signal::topic::{Contact, Meeting, PresenceNote};
//! use pop_signal::{Address, Rendezvous, SealKeypair};
//! use pop_wire::{ContentId, Keypair, UnixTime};
//!
//! let (alice, relay) =
//!     (Keypair::from_secret_bytes(&[1; 32])?, Keypair::from_secret_bytes(&[2; 32])?.peer_id());
//! let now = UnixTime(1_800_000_000);
//! // Everybody who has the link has the content's key.
//! let meetings = Meeting::at(&[3; 32], &ContentId([4; 32]), now);
//! let note = PresenceNote {
//!     contact: Contact {
//!         peer: alice.peer_id(),
//!         seal_key: SealKeypair::from_secret_bytes([5; 32]).public(),
//!         address: Address { relay, rendezvous: Rendezvous([6; 32]) },
//!     },
//!     expires_at: now.after_s(60),
//! };
//! let envelope = note.seal(&meetings[0], &alice, [7; 32])?;
//! // To be announced under `meetings[0].topic()`; whoever gets it:
//! assert_eq!(PresenceNote::open(&envelope, &meetings[0], now)?, note);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use core::fmt;

use pop_wire::{ContentId, Keypair, PeerId, UnixTime, WireError};
use zeroize::Zeroizing;

use crate::envelope::{Envelope, EnvelopeError, check_life, check_padding, close};
use crate::layout::Reader;
use crate::limits::{TOPIC_EPOCH_S, TOPIC_GRACE_S};
use crate::{Address, SealPublicKey};

const VERSION: u8 = 2;
const TOPIC_CONTEXT: &str = "POP 2026 topic v1";
const SALT_CONTEXT: &str = "POP 2026 presence salt v1";
const KEY_CONTEXT: &str = "POP 2026 presence key v1";
const SIGNATURE_CONTEXT: &str = "POP 2026 presence signature v1";
const SIGNED_BYTES: usize = 33 + 32 + Address::BYTES + 8;
const NOTE_BYTES: usize = 64 + SIGNED_BYTES;

/// Name under which the viewers of one content meet for an hour: 32 bytes that tell nobody without
/// the content's key which content it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Topic(pub [u8; 32]);

impl Topic {
    /// The topic of `content`, whose key is `key`, in the given [`epoch`](Self::epoch).
    pub fn derive(key: &[u8; 32], content: &ContentId, epoch: u64) -> Self {
        Self(blake3::derive_key(TOPIC_CONTEXT, &material(key, content, epoch)[..]))
    }

    /// The epoch of a moment: hours since 1970.
    pub fn epoch(now: UnixTime) -> u64 {
        now.0 / TOPIC_EPOCH_S
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// One content in one epoch: the topic, and the secret that opens what is announced there.
#[derive(Clone, PartialEq, Eq)]
pub struct Meeting {
    topic: Topic,
    /// Content key, content id, epoch.
    secret: Zeroizing<[u8; 72]>,
}

impl Meeting {
    /// The meeting of one epoch.
    pub fn new(key: &[u8; 32], content: &ContentId, epoch: u64) -> Self {
        Self { topic: Topic::derive(key, content, epoch), secret: material(key, content, epoch) }
    }

    /// The meetings that a viewer should have joined at `now`: that of the current epoch first, and
    /// around its change the other as well, since clocks differ and a film goes on.
    pub fn at(key: &[u8; 32], content: &ContentId, now: UnixTime) -> Vec<Self> {
        let epoch = Topic::epoch(now);
        let mut epochs = vec![epoch];
        for other in [now.0.saturating_sub(TOPIC_GRACE_S), now.after_s(TOPIC_GRACE_S).0] {
            let other = Topic::epoch(UnixTime(other));
            if other != epoch {
                epochs.push(other);
            }
        }
        epochs.into_iter().map(|epoch| Self::new(key, content, epoch)).collect()
    }

    /// Where to announce and listen.
    pub fn topic(&self) -> Topic {
        self.topic
    }

    fn note_key(&self, salt: &[u8; 32]) -> Zeroizing<[u8; 32]> {
        let mut material = Zeroizing::new([0; 72 + 32]);
        material[..72].copy_from_slice(&self.secret[..]);
        material[72..].copy_from_slice(salt);
        Zeroizing::new(blake3::derive_key(KEY_CONTEXT, &material[..]))
    }

    fn signing_digest(&self, salt: &[u8; 32], signed: &[u8]) -> [u8; 32] {
        blake3::derive_key(SIGNATURE_CONTEXT, &[&self.topic.0[..], salt, signed].concat())
    }
}

impl fmt::Debug for Meeting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Meeting({})", self.topic)
    }
}

/// Who somebody is, and how a letter reaches him.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Contact {
    /// Who signs his letters.
    pub peer: PeerId,
    /// To which letters for him are sealed.
    pub seal_key: SealPublicKey,
    /// Where he picks them up.
    pub address: Address,
}

/// "I watch this, too, and this is how you reach me." One note has one reader, and its rendezvous
/// takes one letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PresenceNote {
    /// The viewer, who signs.
    pub contact: Contact,
    /// When the note is void: at most [`LETTER_LIFE_S_MAX`](crate::limits::LETTER_LIFE_S_MAX) ahead.
    pub expires_at: UnixTime,
}

impl PresenceNote {
    /// Seal the note for those at the meeting. `randomness` is 32 fresh random bytes.
    ///
    /// # Errors
    /// [`EnvelopeError::Signature`] if `keypair` is not that of the note's peer (the caller's
    /// fault).
    pub fn seal(
        &self,
        meeting: &Meeting,
        keypair: &Keypair,
        randomness: [u8; 32],
    ) -> Result<Envelope, EnvelopeError> {
        if keypair.peer_id() != self.contact.peer {
            return Err(EnvelopeError::Signature);
        }
        let signed = self.signed_part();
        let salt = blake3::derive_key(SALT_CONTEXT, &[&randomness[..], &signed].concat());
        let signature = keypair.sign_digest(&meeting.signing_digest(&salt, &signed));
        let text = [&signature[..], &signed].concat();
        Ok(close(VERSION, &salt, &meeting.note_key(&salt), &text))
    }

    /// Open what was announced at the meeting.
    ///
    /// # Errors
    /// [`EnvelopeError`]: drop it.
    pub fn open(
        envelope: &Envelope,
        meeting: &Meeting,
        now: UnixTime,
    ) -> Result<Self, EnvelopeError> {
        let salt = envelope.header(VERSION)?;
        let text = envelope.text(&meeting.note_key(salt))?;
        let mut reader = Reader::at_least("note of presence", &text, NOTE_BYTES)?;
        let signature = reader.array()?;
        let signed = reader.bytes(SIGNED_BYTES)?;
        check_padding(reader.rest())?;
        let note = Self::take(&mut Reader::exact("note of presence", signed, SIGNED_BYTES)?)?;
        check_life(note.expires_at, now)?;
        let digest = meeting.signing_digest(salt, signed);
        note.contact
            .peer
            .verify_digest(&digest, &signature)
            .map_err(|_| EnvelopeError::Signature)?;
        Ok(note)
    }

    fn signed_part(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(SIGNED_BYTES);
        out.extend_from_slice(self.contact.peer.public_key());
        out.extend_from_slice(&self.contact.seal_key.0);
        self.contact.address.put(&mut out);
        out.extend_from_slice(&self.expires_at.0.to_be_bytes());
        out
    }

    fn take(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        let contact = Contact {
            peer: reader.peer()?,
            seal_key: SealPublicKey(reader.array()?),
            address: Address::take(reader)?,
        };
        Ok(Self { contact, expires_at: UnixTime(reader.u64()?) })
    }
}

fn material(key: &[u8; 32], content: &ContentId, epoch: u64) -> Zeroizing<[u8; 72]> {
    let mut material = Zeroizing::new([0; 72]);
    material[..32].copy_from_slice(key);
    material[32..64].copy_from_slice(&content.0);
    material[64..].copy_from_slice(&epoch.to_be_bytes());
    material
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn around_the_change_of_an_epoch_both_topics_hold() {
        let at = |now| {
            let meetings = Meeting::at(&[1; 32], &ContentId([2; 32]), UnixTime(now));
            meetings.iter().map(Meeting::topic).collect::<Vec<_>>()
        };
        let topic = |epoch| Topic::derive(&[1; 32], &ContentId([2; 32]), epoch);
        let change = 1_000 * TOPIC_EPOCH_S;
        assert_eq!(at(change + TOPIC_GRACE_S), [topic(1_000)]);
        assert_eq!(at(change + TOPIC_GRACE_S - 1), [topic(1_000), topic(999)]);
        assert_eq!(at(change), [topic(1_000), topic(999)]);
        assert_eq!(at(change - 1), [topic(999), topic(1_000)]);
        assert_eq!(at(change - TOPIC_GRACE_S), [topic(999), topic(1_000)]);
        assert_eq!(at(change - TOPIC_GRACE_S - 1), [topic(999)]);
        assert_eq!(at(0), [topic(0)], "there is nothing before");
        assert_eq!(at(u64::MAX)[0], topic(u64::MAX / TOPIC_EPOCH_S), "nor after the end of time");
    }

    #[test]
    fn a_topic_is_of_one_key_content_and_epoch() {
        let topic = Topic::derive(&[1; 32], &ContentId([2; 32]), 3);
        assert_ne!(topic, Topic::derive(&[9; 32], &ContentId([2; 32]), 3));
        assert_ne!(topic, Topic::derive(&[1; 32], &ContentId([9; 32]), 3));
        assert_ne!(topic, Topic::derive(&[1; 32], &ContentId([2; 32]), 9));
    }
}
