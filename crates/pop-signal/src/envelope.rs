//! Envelopes: what a relay carries and can't read. Normative text: `spec/signal.md` §3.
//!
//! ```
//! use pop_signal::envelope::{Envelope, Letter, SessionId};
//! use pop_signal::{Address, Rendezvous, SealKeypair};
//! use pop_wire::{Keypair, UnixTime};
//!
//! let alice = Keypair::from_secret_bytes(&[1; 32])?;
//! let relay = Keypair::from_secret_bytes(&[2; 32])?.peer_id();
//! let (alice_seal, bob_seal) =
//!     (SealKeypair::from_secret_bytes([3; 32]), SealKeypair::from_secret_bytes([4; 32]));
//! let now = UnixTime(1_800_000_000);
//! let letter = Letter {
//!     seal_key: alice_seal.public(),
//!     reply_to: Address { relay, rendezvous: Rendezvous([5; 32]) },
//!     expires_at: now.after_s(30),
//!     session: SessionId([6; 16]),
//!     sequence: 0,
//!     body: b"hello".to_vec(),
//! };
//! // The last argument comes from the system's randomness.
//! let envelope = Envelope::seal(&letter, &alice, &bob_seal.public(), [7; 32])?;
//! assert_eq!(envelope.as_bytes().len(), 896, "whatever is in it");
//! let (sender, read) = envelope.open(&bob_seal, now)?;
//! assert_eq!((sender, read), (alice.peer_id(), letter));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use core::fmt;

use bytes::Bytes;
use pop_wire::{Keypair, PeerId, UnixTime, WireError};
use zeroize::Zeroizing;

use crate::layout::Reader;
use crate::limits::{
    CLOCK_SKEW_S, ENVELOPE_LARGE_BYTES, ENVELOPE_MEDIUM_BYTES, ENVELOPE_OVERHEAD_BYTES,
    ENVELOPE_SMALL_BYTES, LETTER_BODY_BYTES_MAX, LETTER_HEADER_BYTES, LETTER_LIFE_S_MAX,
};
use crate::primitives::{TAG_BYTES, aes_open, aes_seal, x25519, x25519_public};
use crate::{Address, SealKeypair, SealPublicKey};

const VERSION: u8 = 1;
const EPHEMERAL_CONTEXT: &str = "POP 2026 envelope ephemeral v1";
const KEY_CONTEXT: &str = "POP 2026 envelope key v1";
const SIGNATURE_CONTEXT: &str = "POP 2026 envelope signature v1";

/// A key is used for one envelope, so its nonce says nothing.
const NONCE: [u8; 12] = [0; 12];

/// Sealed bytes of one of three lengths. A relay passes them on; only who has the key opens them.
#[derive(Clone, PartialEq, Eq)]
pub struct Envelope(Bytes);

/// Name of a negotiation between two peers: 16 random bytes, chosen by who offers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub [u8; 16]);

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// What is inside an envelope, beside its sender and his signature.
#[derive(Clone, PartialEq, Eq)]
pub struct Letter {
    /// To which the answer is sealed.
    pub seal_key: SealPublicKey,
    /// Where the answer goes.
    pub reply_to: Address,
    /// When the letter is void, at most [`LETTER_LIFE_S_MAX`] ahead.
    pub expires_at: UnixTime,
    /// To which negotiation it belongs.
    pub session: SessionId,
    /// Number of the letter within the session and direction, from zero.
    pub sequence: u32,
    /// At most [`LETTER_BODY_BYTES_MAX`] bytes.
    pub body: Vec<u8>,
}

impl fmt::Debug for Letter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Letter({}, {}, {} bytes)", self.session, self.sequence, self.body.len())
    }
}

/// Why an envelope can't be made or opened. Who gets one that can't be opened drops it and says
/// nothing; all but [`TooLong`](Self::TooLong) and [`Life`](Self::Life) when sealing are the
/// sender's doing, or a relay's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EnvelopeError {
    /// The body doesn't fit.
    #[error("letter: expected a body of at most {max} bytes, got {got}")]
    TooLong {
        /// Limit in bytes.
        max: usize,
        /// Bytes handed in.
        got: usize,
    },
    /// Not one of the three lengths.
    #[error("envelope: expected 896, 3968 or 16256 bytes, got {got}")]
    Length {
        /// Bytes found.
        got: usize,
    },
    /// Sealed in a way that this version doesn't know.
    #[error("envelope: expected version {expected}, got {got}")]
    Version {
        /// What was expected.
        expected: u8,
        /// Version found.
        got: u8,
    },
    /// A public key of low order: anybody could read what is sealed with it.
    #[error("envelope: the public key is of low order")]
    WeakKey,
    /// It is not for this key, or somebody changed it.
    #[error("envelope: does not open")]
    Closed,
    /// The padding is not zero.
    #[error("envelope: expected padding of zeros")]
    Padding,
    /// A field that can't be.
    #[error("envelope: {0}")]
    Field(#[from] WireError),
    /// The signature is not that of the peer it names, or was made for another envelope.
    #[error("envelope: the signature does not verify")]
    Signature,
    /// It is void, or would be for longer than allowed.
    #[error("envelope: expected to expire within {max_s} s of {now}, got {expires_at}")]
    Life {
        /// Limit in seconds.
        max_s: u64,
        /// The reader's clock.
        now: UnixTime,
        /// What it says.
        expires_at: UnixTime,
    },
}

impl Envelope {
    /// Take bytes that claim to be an envelope. Checks the length only.
    ///
    /// # Errors
    /// [`EnvelopeError::Length`] if it is none of the three.
    pub fn from_bytes(bytes: Bytes) -> Result<Self, EnvelopeError> {
        match bytes.len() {
            ENVELOPE_SMALL_BYTES | ENVELOPE_MEDIUM_BYTES | ENVELOPE_LARGE_BYTES => Ok(Self(bytes)),
            got => Err(EnvelopeError::Length { got }),
        }
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &Bytes {
        &self.0
    }

    /// Seal a letter, signed by `sender`, to the holder of `recipient`, in the smallest size that
    /// takes it.
    ///
    /// `randomness` is 32 fresh random bytes. If they ever come twice, what suffers is that two
    /// envelopes with the very same letter look the same.
    ///
    /// # Errors
    /// [`EnvelopeError::TooLong`] or [`EnvelopeError::WeakKey`]: nothing is sealed then.
    pub fn seal(
        letter: &Letter,
        sender: &Keypair,
        recipient: &SealPublicKey,
        randomness: [u8; 32],
    ) -> Result<Self, EnvelopeError> {
        let signed = letter.signed_part(&sender.peer_id())?;
        let mut seed = Zeroizing::new(Vec::with_capacity(64 + signed.len()));
        seed.extend_from_slice(&randomness);
        seed.extend_from_slice(&recipient.0);
        seed.extend_from_slice(&signed);
        let ephemeral = Zeroizing::new(blake3::derive_key(EPHEMERAL_CONTEXT, &seed));
        let public = x25519_public(&ephemeral);
        let shared = x25519(&ephemeral, &recipient.0).ok_or(EnvelopeError::WeakKey)?;
        let key = envelope_key(&public, recipient, &shared);
        let signature = sender.sign_digest(&signing_digest(&public, recipient, &signed));
        let text = [&signature[..], &signed].concat();
        Ok(close(VERSION, &public, &key, &text))
    }

    /// Open an envelope: who signed the letter, and the letter.
    ///
    /// # Errors
    /// [`EnvelopeError`]: drop it, and tell nobody.
    pub fn open(
        &self,
        recipient: &SealKeypair,
        now: UnixTime,
    ) -> Result<(PeerId, Letter), EnvelopeError> {
        let public = self.header(VERSION)?;
        // spec/signal.md §3.3: a public key of low order MUST be refused.
        let shared = recipient.shared(public).ok_or(EnvelopeError::WeakKey)?;
        let key = envelope_key(public, &recipient.public(), &shared);
        let text = self.text(&key)?;
        let mut reader = Reader::at_least("letter", &text, LETTER_HEADER_BYTES)?;
        let signature = reader.array()?;
        let signed_from = text.len() - reader.left();
        let (sender, letter) = Letter::take(&mut reader)?;
        let signed_to = text.len() - reader.left();
        check_padding(reader.rest())?;
        check_life(letter.expires_at, now)?;
        let digest = signing_digest(public, &recipient.public(), &text[signed_from..signed_to]);
        sender.verify_digest(&digest, &signature).map_err(|_| EnvelopeError::Signature)?;
        Ok((sender, letter))
    }

    /// Bytes of the envelope for a letter with a body of `body_bytes`.
    pub(crate) fn bytes_for(body_bytes: usize) -> usize {
        size_for(LETTER_HEADER_BYTES + body_bytes)
    }

    /// The same in memory of its own: a slice of what was read keeps all of that alive.
    pub(crate) fn detached(&self) -> Self {
        Self(Bytes::copy_from_slice(&self.0))
    }

    /// The 32 bytes after the version.
    pub(crate) fn header(&self, version: u8) -> Result<&[u8; 32], EnvelopeError> {
        let got = self.0[0];
        if got != version {
            return Err(EnvelopeError::Version { expected: version, got });
        }
        Ok(self.0[1..].first_chunk().expect("an envelope is longer"))
    }

    /// What is inside, with its padding.
    pub(crate) fn text(&self, key: &[u8; 32]) -> Result<Vec<u8>, EnvelopeError> {
        let (associated_data, sealed) = self.0.split_at(33);
        let (text, tag) = sealed.split_last_chunk::<TAG_BYTES>().expect("an envelope is longer");
        let mut text = text.to_vec();
        aes_open(key, NONCE, associated_data, &mut text, tag).ok_or(EnvelopeError::Closed)?;
        Ok(text)
    }
}

impl fmt::Debug for Envelope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Envelope({} bytes)", self.0.len())
    }
}

impl Letter {
    /// The fields that are signed, and how they are written; `sender` is one of them.
    fn signed_part(&self, sender: &PeerId) -> Result<Vec<u8>, EnvelopeError> {
        let too_long = EnvelopeError::TooLong { max: LETTER_BODY_BYTES_MAX, got: self.body.len() };
        if self.body.len() > LETTER_BODY_BYTES_MAX {
            return Err(too_long);
        }
        let body_len = u16::try_from(self.body.len()).map_err(|_| too_long)?;
        let mut out = Vec::with_capacity(LETTER_HEADER_BYTES + self.body.len());
        out.extend_from_slice(sender.public_key());
        out.extend_from_slice(&self.seal_key.0);
        self.reply_to.put(&mut out);
        out.extend_from_slice(&self.expires_at.0.to_be_bytes());
        out.extend_from_slice(&self.session.0);
        out.extend_from_slice(&self.sequence.to_be_bytes());
        out.extend_from_slice(&body_len.to_be_bytes());
        out.extend_from_slice(&self.body);
        Ok(out)
    }

    fn take(reader: &mut Reader<'_>) -> Result<(PeerId, Self), WireError> {
        let sender = reader.peer()?;
        let seal_key = SealPublicKey(reader.array()?);
        let reply_to = Address::take(reader)?;
        let expires_at = UnixTime(reader.u64()?);
        let session = SessionId(reader.array()?);
        let sequence = reader.u32()?;
        let body_len = usize::from(reader.u16()?);
        let body = reader.bytes(body_len)?.to_vec();
        Ok((sender, Self { seal_key, reply_to, expires_at, session, sequence, body }))
    }
}

/// Pad `text` to the next size and seal it: version, `header`, ciphertext, tag.
pub(crate) fn close(version: u8, header: &[u8; 32], key: &[u8; 32], text: &[u8]) -> Envelope {
    let size = size_for(text.len());
    let mut out = Vec::with_capacity(size);
    out.push(version);
    out.extend_from_slice(header);
    out.extend_from_slice(text);
    out.resize(size - TAG_BYTES, 0);
    let (associated_data, text) = out.split_at_mut(33);
    let tag = aes_seal(key, NONCE, associated_data, text);
    out.extend_from_slice(&tag);
    Envelope(out.into())
}

/// The smallest size that takes so many bytes inside.
fn size_for(text_bytes: usize) -> usize {
    match ENVELOPE_OVERHEAD_BYTES + text_bytes {
        needed if needed <= ENVELOPE_SMALL_BYTES => ENVELOPE_SMALL_BYTES,
        needed if needed <= ENVELOPE_MEDIUM_BYTES => ENVELOPE_MEDIUM_BYTES,
        _ => ENVELOPE_LARGE_BYTES,
    }
}

/// Padding that may be anything would be a channel beside the signature.
pub(crate) fn check_padding(padding: &[u8]) -> Result<(), EnvelopeError> {
    if padding.iter().all(|byte| *byte == 0) { Ok(()) } else { Err(EnvelopeError::Padding) }
}

/// spec/signal.md §3.3: what is void, or would be valid for longer than two minutes, MUST be
/// refused, give or take the difference of two clocks.
pub(crate) fn check_life(expires_at: UnixTime, now: UnixTime) -> Result<(), EnvelopeError> {
    let void = now >= expires_at.after_s(CLOCK_SKEW_S);
    if void || expires_at > now.after_s(LETTER_LIFE_S_MAX + CLOCK_SKEW_S) {
        return Err(EnvelopeError::Life { max_s: LETTER_LIFE_S_MAX, now, expires_at });
    }
    Ok(())
}

fn envelope_key(
    ephemeral: &[u8; 32],
    recipient: &SealPublicKey,
    shared: &[u8; 32],
) -> Zeroizing<[u8; 32]> {
    let mut material = Zeroizing::new([0; 96]);
    material[..32].copy_from_slice(ephemeral);
    material[32..64].copy_from_slice(&recipient.0);
    material[64..].copy_from_slice(shared);
    Zeroizing::new(blake3::derive_key(KEY_CONTEXT, &material[..]))
}

/// It names this envelope and this recipient, who therefore can't seal the letter again to
/// somebody else.
fn signing_digest(ephemeral: &[u8; 32], recipient: &SealPublicKey, signed: &[u8]) -> [u8; 32] {
    blake3::derive_key(SIGNATURE_CONTEXT, &[&ephemeral[..], &recipient.0, signed].concat())
}

#[cfg(test)]
mod tests {
    use pop_wire::Keypair;

    use super::*;
    use crate::Rendezvous;

    const NOW: UnixTime = UnixTime(1_800_000_000);

    fn letter(sender: &Keypair) -> Vec<u8> {
        let letter = Letter {
            seal_key: SealPublicKey([1; 32]),
            reply_to: Address { relay: sender.peer_id(), rendezvous: Rendezvous([2; 32]) },
            expires_at: NOW,
            session: SessionId([3; 16]),
            sequence: 0,
            body: vec![4; 10],
        };
        letter.signed_part(&sender.peer_id()).unwrap()
    }

    /// What somebody sends who seals as it should be done, but puts other things inside.
    fn opened(inside: impl FnOnce(&[u8; 32], &SealPublicKey) -> Vec<u8>) -> Option<EnvelopeError> {
        let recipient = SealKeypair::from_secret_bytes([5; 32]);
        let public = x25519_public(&[6; 32]);
        let shared = x25519(&[6; 32], &recipient.public().0).unwrap();
        let key = envelope_key(&public, &recipient.public(), &shared);
        let text = inside(&public, &recipient.public());
        close(VERSION, &public, &key, &text).open(&recipient, NOW).err()
    }

    #[test]
    fn a_signature_for_another_envelope_reader_or_signer_is_refused() {
        let (alice, mallory) = (
            Keypair::from_secret_bytes(&[7; 32]).unwrap(),
            Keypair::from_secret_bytes(&[8; 32]).unwrap(),
        );
        let signed = letter(&alice);
        let with = |digest: [u8; 32], signer: &Keypair| {
            [&signer.sign_digest(&digest)[..], &signed].concat()
        };
        let good = opened(|key, to| with(signing_digest(key, to, &signed), &alice));
        assert_eq!(good, None);
        let for_another_reader =
            opened(|key, _| with(signing_digest(key, &SealPublicKey([9; 32]), &signed), &alice));
        assert_eq!(for_another_reader, Some(EnvelopeError::Signature));
        let of_another_envelope =
            opened(|_, to| with(signing_digest(&[9; 32], to, &signed), &alice));
        assert_eq!(of_another_envelope, Some(EnvelopeError::Signature));
        let by_another = opened(|key, to| with(signing_digest(key, to, &signed), &mallory));
        assert_eq!(by_another, Some(EnvelopeError::Signature));
    }

    #[test]
    fn padding_and_fields_that_cannot_be_are_refused() {
        let alice = Keypair::from_secret_bytes(&[7; 32]).unwrap();
        let signed = letter(&alice);
        let around = |key: &[u8; 32], to: &SealPublicKey, signed: &[u8], more: &[u8]| {
            let digest = signing_digest(key, to, signed);
            [&alice.sign_digest(&digest)[..], signed, more].concat()
        };
        let padded = opened(|key, to| around(key, to, &signed, &[0, 0, 1]));
        assert_eq!(padded, Some(EnvelopeError::Padding));
        let length_at = LETTER_HEADER_BYTES - 64 - 2;
        let mut longer = signed.clone();
        longer[length_at..length_at + 2].copy_from_slice(&u16::MAX.to_be_bytes());
        let beyond = opened(|key, to| around(key, to, &longer, &[]));
        assert!(matches!(beyond, Some(EnvelopeError::Field(WireError::Length { .. }))));
        let mut nobody = signed.clone();
        nobody[..33].copy_from_slice(&[5; 33]);
        let off_the_curve = opened(|key, to| around(key, to, &nobody, &[]));
        assert!(matches!(off_the_curve, Some(EnvelopeError::Field(_))));
    }
}
