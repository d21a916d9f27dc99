//! Manifests with any field values: what can be signed verifies to the same, has one name, gives
//! sizes that add up, and no single flipped bit of it verifies.

#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use pop_fuzz::keypair;
use pop_wire::limits::{ENVELOPE_BYTES_MAX, SEGMENTS_MAX};
use pop_wire::{Amount, Digest, Manifest, Signed, Verified};

/// The fields of a manifest, unchecked, and a bit to flip.
#[derive(Debug, Arbitrary)]
struct Fields {
    length_bytes: u64,
    shard_grains: u16,
    shard_bytes_off: u8,
    data_shards: u16,
    total_shards: u16,
    hashes: [u8; 3],
    price: u128,
    key_price: Option<u128>,
    media_type: String,
    duration_ms: u64,
    flipped_bit: u16,
}

fn manifest(fields: &Fields) -> Manifest {
    let shard_bytes = u32::from(fields.shard_grains) * 64 + u32::from(fields.shard_bytes_off % 2);
    let mut manifest = Manifest::new(
        keypair().peer_id(),
        fields.length_bytes,
        shard_bytes,
        (fields.data_shards, fields.total_shards),
        fields.hashes.map(|byte| Digest([byte; 32])),
    );
    manifest.price = Amount::from_base_units(fields.price);
    manifest.key_price = Amount::from_base_units(fields.key_price.unwrap_or(0));
    manifest.media_type.clone_from(&fields.media_type);
    manifest.duration_ms = fields.duration_ms;
    manifest
}

fuzz_target!(|fields: Fields| {
    let Ok(verified) = Verified::sign(manifest(&fields), &keypair()) else { return };
    let envelope = verified.signed().encode();
    assert!(envelope.len() <= ENVELOPE_BYTES_MAX);
    assert!(envelope.len() < 512, "a manifest has a constant size of a few hundred bytes");

    let segments = verified.segment_count();
    assert!((1..=SEGMENTS_MAX).contains(&segments));
    let capacity = u128::from(segments) * u128::from(verified.segment_bytes());
    assert!(capacity >= u128::from(verified.length_bytes));

    let received = Signed::<Manifest>::decode(envelope.clone()).expect("our own envelope");
    let again = received.verify().expect("our own signature");
    assert_eq!(again, verified);
    assert_eq!(again.content_id(), verified.content_id());
    let _ = pop_erasure::Content::new(again);

    let mut forged = envelope.to_vec();
    let bit = usize::from(fields.flipped_bit) % (forged.len() * 8);
    forged[bit / 8] ^= 1 << (bit % 8);
    if let Ok(signed) = Signed::<Manifest>::decode(forged.into()) {
        assert!(signed.verify().is_err(), "bit {bit} flipped and nobody noticed");
    }
});
