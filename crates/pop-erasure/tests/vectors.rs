//! `spec/vectors/content.json` is what this crate makes and reads.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::iter;

use bytes::Bytes;
use pop_erasure::segment::{SegmentSeal, open};
use pop_erasure::{
    Content, ContentKey, ContentLink, Decoder, Encoder, Geometry, Media, VerifiedShard,
};
use pop_wire::{Digest, Keypair, SegmentIndex, Signed};
use serde_json::Value;

const TEXT: &str = include_str!("../../../spec/vectors/content.json");

fn vectors() -> Value {
    serde_json::from_str(TEXT).unwrap()
}

fn bytes(value: &Value) -> Bytes {
    hex::decode(value.as_str().unwrap()).unwrap().into()
}

fn array(value: &Value) -> [u8; 32] {
    bytes(value).as_ref().try_into().unwrap()
}

fn path(value: &Value) -> Vec<Digest> {
    value.as_array().unwrap().iter().map(|hash| Digest(array(hash))).collect()
}

fn number<T: TryFrom<u64, Error: std::fmt::Debug>>(value: &Value) -> T {
    value.as_u64().unwrap().try_into().unwrap()
}

#[test]
fn the_encoder_makes_the_vectors() {
    let vectors = vectors();
    let publisher = Keypair::from_secret_bytes(&array(&vectors["publisher_secret"])).unwrap();
    for case in vectors["contents"].as_array().unwrap() {
        let (k, n) = (number(&case["data_shards"]), number(&case["total_shards"]));
        let geometry = Geometry::danger_without_promise(k, n).unwrap();
        let key = ContentKey::from_bytes(array(&vectors["key"]));
        let salt = array(&vectors["salt"]);
        assert_eq!(key.commitment(&Digest(salt)).0, array(&case["key_commitment"]));
        let shard_bytes = number(&case["shard_bytes"]);
        let mut encoder = Encoder::new(geometry, shard_bytes, key, salt).unwrap();
        let (plaintext, mut encoded) = (bytes(&case["plaintext"]), Vec::new());
        let mut rest = &plaintext[..];
        while !rest.is_empty() {
            rest = &rest[encoder.push(rest).unwrap()..];
            encoded.extend(iter::from_fn(|| encoder.poll()));
        }
        encoder.end();
        encoded.extend(iter::from_fn(|| encoder.poll()));
        let publication = encoder.finish(&publisher, Media::default()).unwrap();
        let segments = case["segments"].as_array().unwrap();
        assert_eq!(segments.len(), encoded.len());
        for (expected, got) in segments.iter().zip(&encoded) {
            assert_eq!(got.root().0, array(&expected["segment_root"]));
            assert_eq!(got.leaf().0, array(&expected["leaf"]));
            for column in pop_wire::ColumnIndex::first(n) {
                let i = column.as_usize();
                assert_eq!(got.shard(column).unwrap(), bytes(&expected["shards"][i]));
                let expected = path(&expected["segment_paths"][i]);
                assert_eq!(got.segment_path(column).unwrap(), expected);
            }
            let content_path = publication.content_path(got.segment()).unwrap();
            assert_eq!(content_path, path(&expected["content_path"]));
        }
        // ECDSA as in RFC 6979: the signature is the same every time.
        let signed = publication.manifest().signed();
        assert_eq!(signed.body(), &bytes(&case["manifest_body"]));
        assert_eq!(signed.encode(), bytes(&case["manifest_envelope"]));
    }
}

#[test]
fn the_decoder_reads_the_vectors_from_their_bytes_alone() {
    for case in vectors()["contents"].as_array().unwrap() {
        let link: ContentLink = case["link"].as_str().unwrap().parse().unwrap();
        let manifest = Signed::decode(bytes(&case["manifest_envelope"])).unwrap();
        let content = Content::new(manifest.verify().unwrap()).unwrap();
        assert_eq!(content.id().0, array(&case["content_id"]));
        assert_eq!(content.id(), link.content);
        let mut decoder = Decoder::new(content.clone(), link.key.unwrap()).unwrap();
        let k = usize::from(content.layout().geometry().k());
        for lost in 0..=usize::from(content.layout().geometry().n()) - k {
            let shards_of = |segment: SegmentIndex| -> Vec<VerifiedShard> {
                let values = &case["segments"][usize::try_from(segment.0).unwrap()];
                let columns = content.layout().columns().skip(lost).take(k);
                let shard = |column: pop_wire::ColumnIndex| {
                    let payload = bytes(&values["shards"][column.as_usize()]);
                    let up = path(&values["segment_paths"][column.as_usize()]);
                    let on = path(&values["content_path"]);
                    content.verify_shard(segment, column, payload, up, on).unwrap()
                };
                columns.map(shard).collect()
            };
            let whole = 0..content.layout().length_bytes();
            let read = decoder.decode_range(whole, shards_of).unwrap();
            assert_eq!(read, bytes(&case["plaintext"]));
        }
    }
}

#[test]
fn every_sealed_segment_opens_to_its_part_of_the_plaintext() {
    let vectors = vectors();
    let key = ContentKey::from_bytes(array(&vectors["key"]));
    let salt = Digest(array(&vectors["salt"]));
    for case in vectors["contents"].as_array().unwrap() {
        let plaintext = bytes(&case["plaintext"]);
        for values in case["segments"].as_array().unwrap() {
            let segment = SegmentIndex(number(&values["index"]));
            let last = values["last"].as_bool().unwrap();
            let seal = SegmentSeal { key: &key, salt: &salt, segment, last };
            let range: Vec<usize> =
                values["plaintext_range"].as_array().unwrap().iter().map(number).collect();
            let mut sealed = bytes(&values["sealed"]).to_vec();
            let length = range[1] - range[0];
            open(&seal, &mut sealed, length).unwrap();
            assert_eq!(sealed[..length], plaintext[range[0]..range[1]]);
        }
    }
}
