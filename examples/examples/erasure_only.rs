//! The content layer alone: encode a file in memory, lose all shards that may be lost, read a range.
//!
//! ```sh
//! cargo run -p examples --example erasure_only -- README.md
//! ```

use std::error::Error;

use pop_erasure::{
    Content, ContentKey, Decoder, Encoder, Geometry, Media, ShardSet, recommended_shard_bytes,
};
use pop_wire::{Keypair, SegmentIndex};

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("expected the path of a file")?;
    let file = std::fs::read(path)?;
    let length_bytes = u64::try_from(file.len())?;

    // Constants for the example only: a real key, salt and secret come from a random source.
    let (key, salt) = (ContentKey::from_bytes([1; 32]), [2; 32]);
    let publisher = Keypair::from_secret_bytes(&[3; 32])?;

    let geometry = Geometry::for_network(27)?;
    println!("{}", geometry.durability(27));
    let shard_bytes = recommended_shard_bytes(geometry, length_bytes, None);
    let mut encoder = Encoder::new(geometry, shard_bytes, key.clone(), salt)?;
    let (mut rest, mut encoded) = (&file[..], Vec::new());
    while !rest.is_empty() {
        rest = &rest[encoder.push(rest)?..];
        encoded.extend(std::iter::from_fn(|| encoder.poll()));
    }
    encoder.end();
    encoded.extend(std::iter::from_fn(|| encoder.poll()));
    let publication = encoder.finish(&publisher, Media::default())?;
    println!("{length_bytes} bytes are {} segments of 27 shards", encoded.len());

    // From here on nothing of the publisher is used but the manifest and what holders were given.
    let manifest = publication.manifest().signed().clone().verify()?;
    let content = Content::new(manifest)?;
    let mut decoder = Decoder::new(content.clone(), key)?;
    let lost = usize::from(geometry.n() - geometry.k());
    println!("columns 0 to {} are lost", lost - 1);
    let shards_of = |segment: SegmentIndex| {
        let mut shards = ShardSet::new(&content, segment);
        let held = usize::try_from(segment.0).ok().and_then(|index| encoded.get(index));
        for column in content.layout().columns().skip(lost) {
            let Some(payload) = held.and_then(|it| it.shard(column)) else { continue };
            let segment_path = held.and_then(|it| it.segment_path(column)).unwrap_or_default();
            let content_path = publication.content_path(segment).unwrap_or_default();
            if let Err(fault) = shards.insert(column, payload, segment_path, content_path) {
                println!("dropped: {fault}");
            }
        }
        shards.into_shards()
    };
    let (start, end) = (length_bytes / 3, length_bytes / 3 * 2);
    let read = decoder.decode_range(start..end, shards_of)?;
    let same = read == file[usize::try_from(start)?..usize::try_from(end)?];
    println!("bytes {start} to {end} read from the other 19: identical: {same}");
    Ok(())
}
