//! Every decoder of the wire format: it never panics, allocates a bounded multiple of its input,
//! and what it accepts survives another round unchanged.

#![no_main]

use std::fmt::Debug;

use bytes::{Bytes, BytesMut};
use libfuzzer_sys::fuzz_target;
use pop_fuzz::memory::peak_bytes;
use pop_wire::{
    EquivocationEvidence, FrameSplitter, Manifest, MasternodeRecord, Message, ProviderRecord,
    RecordBundle, RecordEntry, Signed, SignedBody, WireError,
};

/// Bytes that a decoder may hold for each byte of its input.
const BYTES_PER_INPUT_BYTE_MAX: usize = 2;
/// The same whatever the input: lists of as many entries as the format allows, error values.
const BYTES_MAX: usize = 128 * 1024;

/// Decode within the bound on memory.
fn bounded<T>(input: &Bytes, decode: impl FnOnce(Bytes) -> Result<T, WireError>) -> Option<T> {
    let (result, peak) = peak_bytes(|| decode(input.clone()));
    let max = BYTES_MAX + BYTES_PER_INPUT_BYTE_MAX * input.len();
    assert!(peak <= max, "{} bytes of input made the decoder hold {peak}", input.len());
    match result {
        Ok(value) => Some(value),
        Err(error) => {
            assert!(!error.to_string().is_empty());
            None
        }
    }
}

/// Decode; what is accepted must encode to something that decodes to the same.
fn round<T: PartialEq + Debug>(
    input: &Bytes,
    decode: impl Fn(Bytes) -> Result<T, WireError>,
    encode: impl Fn(&T) -> Bytes,
) -> Option<T> {
    let value = bounded(input, &decode)?;
    let encoded = encode(&value);
    let again = decode(encoded.clone()).expect("what we encode we accept");
    assert_eq!(value, again);
    assert_eq!(encoded, encode(&again), "encoding is not stable");
    Some(value)
}

/// A body as bytes: parsed twice alike, and refused with a wrong signature.
fn body<T: SignedBody + PartialEq + Debug>(input: &Bytes) {
    round(input, |bytes| T::decode_body(&bytes), |value| value.encode_body().into());
}

fn envelope<T: SignedBody + PartialEq + Debug>(input: &Bytes) {
    if let Some(signed) = round(input, Signed::<T>::decode, Signed::encode) {
        verified(signed);
    }
}

/// Nobody but the fuzz crate's key signs here, and only the seeds carry its signatures: whatever
/// verifies stays verifiable.
fn verified<T: SignedBody + PartialEq + Debug>(signed: Signed<T>) {
    if let Ok(verified) = signed.verify() {
        assert_eq!(verified.encode_body(), *verified.signed().body());
        verified.signed().clone().verify().expect("what verified once verifies again");
    }
}

fn message(input: &Bytes) {
    let Some(message) = round(input, Message::decode, Message::encode) else { return };
    assert!(message.payload_bytes() <= input.len());
    let mut framed = BytesMut::new();
    message.encode_frame(&mut framed).expect("a message that came in a frame fits one");
    let mut splitter = FrameSplitter::new();
    splitter.push(&framed);
    let frame = splitter.next_frame().expect("our own frame").expect("the whole of it");
    assert_eq!(Message::decode(frame).as_ref(), Ok(&message));
}

fn bundle(input: &Bytes) {
    let Some(bundle) = round(input, RecordBundle::decode, RecordBundle::encode) else { return };
    for entry in bundle.entries {
        match entry {
            RecordEntry::Manifest(signed) => verified(signed),
            RecordEntry::Provider(signed) => verified(signed),
            RecordEntry::Masternode(signed) => verified(signed),
            _ => {}
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((selector, rest)) = data.split_first() else { return };
    let input = Bytes::copy_from_slice(rest);
    match selector % 9 {
        0 => message(&input),
        1 => bundle(&input),
        2 => envelope::<Manifest>(&input),
        3 => envelope::<ProviderRecord>(&input),
        4 => envelope::<MasternodeRecord>(&input),
        5 => body::<Manifest>(&input),
        6 => body::<ProviderRecord>(&input),
        7 => body::<MasternodeRecord>(&input),
        _ => {
            round(&input, EquivocationEvidence::decode, EquivocationEvidence::encode);
        }
    }
});
