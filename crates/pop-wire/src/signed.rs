//! Signed bodies. Bytes off the wire become a [`Signed`]; only [`Signed::verify`] makes a
//! [`Verified`], and whatever must not be forged takes a [`Verified`]. Normative: `spec/wire.md` §4.

use core::marker::PhantomData;
use core::ops::Deref;

use bytes::Bytes;
use prost::Message as _;
use sha3::{Digest as _, Keccak256};

use crate::limits::{ENVELOPE_BYTES_MAX, RECORD_BODY_BYTES_MAX};
use crate::{Bound, Keypair, PeerId, WireError, proto};

/// A body that somebody signs. Sealed: the signed bodies are those of this crate.
pub trait SignedBody: Sized + Clone + sealed::Sealed {
    /// Separates this body's signatures from those of every other kind.
    const DOMAIN: &'static str;

    /// Who must have signed it.
    fn signer(&self) -> PeerId;

    #[doc(hidden)]
    fn decode_body(bytes: &[u8]) -> Result<Self, WireError>;

    #[doc(hidden)]
    fn encode_body(&self) -> Vec<u8>;
}

pub(crate) mod sealed {
    pub trait Sealed {}
}

/// A body with a signature that nobody has checked yet.
#[derive(Clone, PartialEq, Eq)]
pub struct Signed<T> {
    body: Bytes,
    signature: [u8; 64],
    kind: PhantomData<T>,
}

impl<T: SignedBody> Signed<T> {
    /// Read an envelope. Checks sizes only.
    ///
    /// # Errors
    /// [`WireError`]: the sender's fault.
    pub fn decode(bytes: Bytes) -> Result<Self, WireError> {
        check_length("envelope", bytes.len(), 0, ENVELOPE_BYTES_MAX)?;
        let envelope = proto::SignedEnvelope::decode(bytes)
            .map_err(|_| WireError::Protobuf { message: "signed envelope" })?;
        check_length("envelope.body", envelope.body.len(), 1, RECORD_BODY_BYTES_MAX)?;
        let signature =
            <[u8; 64]>::try_from(&envelope.signature[..]).map_err(|_| WireError::Length {
                field: "envelope.signature",
                expected: Bound::exactly(64),
                got: envelope.signature.len(),
            })?;
        Ok(Self { body: envelope.body, signature, kind: PhantomData })
    }

    /// The envelope's bytes.
    pub fn encode(&self) -> Bytes {
        let envelope = proto::SignedEnvelope {
            body: self.body.clone(),
            signature: Bytes::copy_from_slice(&self.signature),
        };
        envelope.encode_to_vec().into()
    }

    /// The body's bytes as received.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// The signature as received. Of two envelopes with the same one, both are the same or one of
    /// them doesn't verify: what was verified before need not be again.
    pub fn signature(&self) -> &[u8; 64] {
        &self.signature
    }

    /// Parse the body and check that its signer signed exactly these bytes.
    ///
    /// # Errors
    /// [`WireError`]: the sender's fault, unless the caller mixed up kinds.
    pub fn verify(self) -> Result<Verified<T>, WireError> {
        let value = T::decode_body(&self.body)?;
        // spec/wire.md §4: a signed body MUST be canonical, so that two implementations that
        // know different fields can't read the same signature differently.
        if value.encode_body() != self.body {
            return Err(WireError::NotCanonical { message: T::DOMAIN });
        }
        value.signer().verify_digest(&signing_digest(T::DOMAIN, &self.body), &self.signature)?;
        Ok(Verified { value, signed: self })
    }
}

impl<T> core::fmt::Debug for Signed<T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Signed({} bytes)", self.body.len())
    }
}

/// A body whose signature was checked. Dereferences to the body.
#[derive(Clone, PartialEq, Eq)]
pub struct Verified<T> {
    value: T,
    signed: Signed<T>,
}

impl<T: SignedBody> Verified<T> {
    /// Sign `value`.
    ///
    /// # Errors
    /// [`WireError::Invalid`] if `keypair` is not the signer that the body names, or a
    /// [`WireError`] naming the field that the format doesn't allow. Both are the caller's fault.
    pub fn sign(value: T, keypair: &Keypair) -> Result<Self, WireError> {
        if value.signer() != keypair.peer_id() {
            return Err(WireError::Invalid {
                field: "signer",
                problem: "the body names another signer than this key",
            });
        }
        let body = value.encode_body();
        check_length("envelope.body", body.len(), 1, RECORD_BODY_BYTES_MAX)?;
        // What we sign is what a receiver will accept.
        T::decode_body(&body)?;
        let signature = keypair.sign_digest(&signing_digest(T::DOMAIN, &body));
        Ok(Self { value, signed: Signed { body: body.into(), signature, kind: PhantomData } })
    }

    /// The signed form, to be sent on.
    pub fn signed(&self) -> &Signed<T> {
        &self.signed
    }

    /// The body alone.
    pub fn into_value(self) -> T {
        self.value
    }
}

impl<T> Deref for Verified<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: core::fmt::Debug> core::fmt::Debug for Verified<T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Verified({:?})", self.value)
    }
}

/// What is signed: Keccak-256 over tag, domain and body (`spec/wire.md` §4). Keccak, so that a
/// contract can check the same signature.
fn signing_digest(domain: &'static str, body: &[u8]) -> [u8; 32] {
    let domain_len = u8::try_from(domain.len()).expect("domains are short constants");
    Keccak256::new()
        .chain_update(b"POP signed v1")
        .chain_update([domain_len])
        .chain_update(domain)
        .chain_update(body)
        .finalize()
        .into()
}

pub(crate) fn check_length(
    field: &'static str,
    got: usize,
    min: usize,
    max: usize,
) -> Result<(), WireError> {
    if (min..=max).contains(&got) {
        return Ok(());
    }
    let to_u64 = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
    Err(WireError::Length { field, expected: Bound { min: to_u64(min), max: to_u64(max) }, got })
}

pub(crate) fn check_range(
    field: &'static str,
    got: u64,
    min: u64,
    max: u64,
) -> Result<(), WireError> {
    if (min..=max).contains(&got) {
        return Ok(());
    }
    Err(WireError::Range { field, expected: Bound { min, max }, got })
}
