//! Prints `spec/vectors/content.json`: small contents with every intermediate value. After a change
//! of the format:
//!
//! ```sh
//! cargo run -p examples --bin content_vectors > target/content.json
//! mv target/content.json spec/vectors/
//! ```

use std::error::Error;
use std::iter;

use pop_erasure::merkle::shard_hash;
use pop_erasure::{
    Content, ContentKey, ContentLink, EncodedSegment, Encoder, Geometry, Media, Publication,
};
use pop_wire::{Digest, Keypair};
use serde_json::{Value, json};

const KEY: [u8; 32] = [0x11; 32];
const SALT: [u8; 32] = [0x22; 32];
const PUBLISHER: [u8; 32] = [0x33; 32];

fn main() -> Result<(), Box<dyn Error>> {
    let cases = [
        case("empty", (2, 3), 16_384, 0)?,
        case("one byte", (2, 3), 16_384, 1)?,
        case("300 bytes in one segment", (3, 5), 16_384, 300)?,
        case("exactly one segment", (3, 5), 64, 176)?,
        case("two segments", (2, 3), 64, 200)?,
        case("five segments", (3, 5), 64, 750)?,
    ];
    let vectors = json!({
        "about": "Test vectors of spec/content.md. Bytes are hex. Byte i of every plaintext is \
                  i mod 251. Geometries are unsafe on purpose, to be small.",
        "key": hex::encode(KEY),
        "salt": hex::encode(SALT),
        "publisher_secret": hex::encode(PUBLISHER),
        "contents": cases,
    });
    println!("{vectors:#}");
    Ok(())
}

fn case(
    name: &str,
    (k, n): (u16, u16),
    shard_bytes: u32,
    length: usize,
) -> Result<Value, Box<dyn Error>> {
    let geometry = Geometry::danger_without_promise(k, n)?;
    let key = ContentKey::from_bytes(KEY);
    let mut encoder = Encoder::new(geometry, shard_bytes, key.clone(), SALT)?;
    let plaintext: Vec<u8> = (0..=250).cycle().take(length).collect();
    let (mut rest, mut encoded) = (&plaintext[..], Vec::new());
    while !rest.is_empty() {
        rest = &rest[encoder.push(rest)?..];
        encoded.extend(iter::from_fn(|| encoder.poll()));
    }
    encoder.end();
    encoded.extend(iter::from_fn(|| encoder.poll()));
    let publication = encoder.finish(&Keypair::from_secret_bytes(&PUBLISHER)?, Media::default())?;
    let content = Content::new(publication.manifest().clone())?;
    let manifest = publication.manifest();
    let segments: Option<Vec<Value>> =
        encoded.iter().map(|segment| segment_values(&content, &publication, segment)).collect();
    Ok(json!({
        "name": name,
        "data_shards": k,
        "total_shards": n,
        "shard_bytes": shard_bytes,
        "plaintext": hex::encode(&plaintext),
        "key_commitment": hex::encode(key.commitment(&Digest(SALT)).0),
        "segments": segments.ok_or("a segment of this content")?,
        "root": hex::encode(manifest.root.0),
        "manifest_body": hex::encode(manifest.signed().body()),
        "manifest_envelope": hex::encode(manifest.signed().encode()),
        "content_id": hex::encode(content.id().0),
        "link": ContentLink { content: content.id(), key: Some(key) }.to_string(),
    }))
}

fn segment_values(
    content: &Content,
    publication: &Publication,
    encoded: &EncodedSegment,
) -> Option<Value> {
    let (segment, layout) = (encoded.segment(), content.layout());
    let last = segment == layout.last_segment();
    let index = segment.0.to_be_bytes();
    // The library keeps these to itself; derived here once more, as the specification says.
    let subkey = blake3::derive_key("POP 2026 segment key v1", &[&KEY[..], &SALT, &index].concat());
    let nonce = [&[0; 4][..], &index].concat();
    let associated_data = [&b"POP segment v1"[..], &SALT, &index, &[u8::from(last)]].concat();
    let shards: Option<Vec<_>> = layout.columns().map(|column| encoded.shard(column)).collect();
    let shards = shards?;
    let hashes: Vec<_> = shards.iter().map(|shard| hex::encode(shard_hash(shard).0)).collect();
    let paths: Option<Vec<_>> = layout
        .columns()
        .map(|column| encoded.segment_path(column).map(|path| hashes_hex(&path)))
        .collect();
    let range = layout.plaintext_range(segment)?;
    Some(json!({
        "index": segment.0,
        "last": last,
        "plaintext_range": [range.start, range.end],
        "shard_bytes": encoded.shard_bytes(),
        "subkey": hex::encode(subkey),
        "nonce": hex::encode(nonce),
        "associated_data": hex::encode(associated_data),
        "sealed": hex::encode(shards[..usize::from(layout.geometry().k())].concat()),
        "shards": shards.iter().map(hex::encode).collect::<Vec<_>>(),
        "shard_hashes": hashes,
        "segment_paths": paths?,
        "segment_root": hex::encode(encoded.root().0),
        "leaf": hex::encode(encoded.leaf().0),
        "content_path": hashes_hex(&publication.content_path(segment)?),
    }))
}

fn hashes_hex(hashes: &[Digest]) -> Vec<String> {
    hashes.iter().map(|hash| hex::encode(hash.0)).collect()
}
