//! Encryption of one segment: [`seal`] and [`open`] (`spec/content.md` §5).
//!
//! AES-256-GCM under a subkey of the segment's own. The encoder and the decoder call these;
//! others need them only to write another implementation.

use pop_wire::{Digest, SegmentIndex};
use zeroize::{Zeroize, Zeroizing};

use crate::ContentKey;
use crate::aead::{self, Context, TAG_LENGTH};

const SUBKEY_CONTEXT: &str = "POP 2026 segment key v1";
const ASSOCIATED_DATA_TAG: &[u8; 14] = b"POP segment v1";

/// Everything but the bytes that a segment's encryption depends on.
#[derive(Clone, Copy, Debug)]
pub struct SegmentSeal<'a> {
    /// The content's key.
    pub key: &'a ContentKey,
    /// The content's salt.
    pub salt: &'a Digest,
    /// Which segment.
    pub segment: SegmentIndex,
    /// Whether it is the content's last.
    pub last: bool,
}

/// A segment that does not open: wrong key, or not what was sealed. Says no more on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("segment: can't be opened")]
pub struct OpenError;

impl SegmentSeal<'_> {
    fn subkey(&self) -> Zeroizing<[u8; 32]> {
        let mut material = Zeroizing::new([0; 72]);
        material[..32].copy_from_slice(self.key.expose_secret());
        material[32..64].copy_from_slice(&self.salt.0);
        material[64..].copy_from_slice(&self.segment.0.to_be_bytes());
        Zeroizing::new(blake3::derive_key(SUBKEY_CONTEXT, material.as_slice()))
    }

    fn nonce(&self) -> [u8; 12] {
        let mut nonce = [0; 12];
        nonce[4..].copy_from_slice(&self.segment.0.to_be_bytes());
        nonce
    }

    fn associated_data(&self) -> [u8; 55] {
        let mut data = [0; 55];
        data[..14].copy_from_slice(ASSOCIATED_DATA_TAG);
        data[14..46].copy_from_slice(&self.salt.0);
        data[46..54].copy_from_slice(&self.segment.0.to_be_bytes());
        data[54] = u8::from(self.last);
        data
    }
}

/// Encrypt the first `plaintext_bytes` of `buffer` in place, append the tag and fill up with zeros.
///
/// # Panics
/// When `buffer` has no room for the tag.
pub fn seal(seal: &SegmentSeal<'_>, buffer: &mut [u8], plaintext_bytes: usize) {
    let (plaintext, rest) = buffer.split_at_mut(plaintext_bytes);
    let (key, nonce, data) = (seal.subkey(), seal.nonce(), seal.associated_data());
    let tag = aead::seal(&Context { key: &key, nonce, associated_data: &data }, plaintext);
    rest[..TAG_LENGTH].copy_from_slice(&tag);
    rest[TAG_LENGTH..].fill(0);
}

/// Decrypt the first `plaintext_bytes` of `buffer` in place, after checking the tag behind them.
///
/// # Errors
/// [`OpenError`]; `buffer` is zeroed then, so that nobody uses what was not authenticated.
pub fn open(
    seal: &SegmentSeal<'_>,
    buffer: &mut [u8],
    plaintext_bytes: usize,
) -> Result<(), OpenError> {
    let opened = buffer.split_at_mut_checked(plaintext_bytes).and_then(|(ciphertext, rest)| {
        let tag = rest.first_chunk::<TAG_LENGTH>()?;
        let (key, nonce, data) = (seal.subkey(), seal.nonce(), seal.associated_data());
        aead::open(&Context { key: &key, nonce, associated_data: &data }, ciphertext, tag)
    });
    opened.ok_or_else(|| {
        buffer.zeroize();
        OpenError
    })
}
