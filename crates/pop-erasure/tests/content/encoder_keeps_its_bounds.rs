use std::collections::BTreeSet;
use std::iter;

use pop_erasure::{ContentKey, EncodeError, Encoder, Geometry, LayoutError, Media};
use proptest::prelude::*;

use crate::support::{Film, KEY, SALT, bytes, encode, publisher};

fn encoder((k, n): (u16, u16), shard_bytes: u32) -> Encoder {
    let geometry = Geometry::danger_without_promise(k, n).unwrap();
    Encoder::new(geometry, shard_bytes, ContentKey::from_bytes(KEY), SALT).unwrap()
}

#[test]
fn long_contents_are_encoded_in_bounded_memory() {
    for (shape, shard_bytes) in [((19, 27), 32_768), ((30, 80), 32_768), ((81, 115), 16_384)] {
        let mut encoder = encoder(shape, shard_bytes);
        let bound = encoder.buffered_bytes_max();
        assert!(bound < 128 << 20, "{shape:?}: {bound} bytes");
        let length: u64 = if shape == (19, 27) { 256 << 20 } else { 32 << 20 };
        let mut memory = BTreeSet::new();
        while encoder.length_bytes() < length {
            // What the memory held before is plaintext enough.
            let room = encoder.space().len();
            encoder.advance(room).unwrap();
            assert!(encoder.buffered_bytes() <= bound);
            while let Some(segment) = encoder.poll() {
                memory.insert(segment.shard(crate::support::column(0)).unwrap().as_ptr());
            }
        }
        encoder.end();
        assert!(encoder.buffered_bytes() <= bound);
        let segment_bytes = usize::from(shape.1) * usize::try_from(shard_bytes).unwrap();
        assert!(memory.len() <= bound / segment_bytes, "memory that was given back is used again");
    }
}

#[test]
fn any_recommended_shape_is_encoded_in_less_than_128_mib() {
    for n in 3..=255 {
        for shard_bytes in [16 << 10, 32 << 10, 128 << 10] {
            assert!(encoder((2, n), shard_bytes).buffered_bytes_max() <= 128 << 20);
        }
    }
}

#[test]
fn segments_that_are_kept_are_never_written_again() {
    let film = Film::new((2, 3), 64, 20_000);
    let again = Film::new((2, 3), 64, 20_000);
    for (one, other) in film.encoded.iter().zip(&again.encoded) {
        for column in film.content.layout().columns() {
            assert_eq!(one.shard(column), other.shard(column));
        }
    }
}

#[test]
fn the_key_the_salt_and_the_bytes_decide() {
    let id = |shape, shard_bytes, key: [u8; 32], salt, length: usize| {
        let geometry = Geometry::danger_without_promise(2, shape).unwrap();
        let key = ContentKey::from_bytes(key);
        let mut encoder = Encoder::new(geometry, shard_bytes, key, salt).unwrap();
        encode(&mut encoder, &bytes(length));
        encoder.finish(&publisher(), Media::default()).unwrap().manifest().content_id()
    };
    let first = id(3, 64, KEY, SALT, 500);
    assert_eq!(first, id(3, 64, KEY, SALT, 500));
    let others = [
        id(4, 64, KEY, SALT, 500),
        id(3, 128, KEY, SALT, 500),
        id(3, 64, SALT, SALT, 500),
        id(3, 64, KEY, KEY, 500),
        id(3, 64, KEY, SALT, 501),
    ];
    assert!(others.iter().all(|other| *other != first));
}

#[test]
fn misuse_is_refused_with_numbers() {
    let bad = Geometry::danger_without_promise(2, 3)
        .map(|geometry| Encoder::new(geometry, 65, ContentKey::from_bytes(KEY), SALT).unwrap_err());
    assert!(matches!(
        bad,
        Ok(EncodeError::Layout(LayoutError::ShardBytes { shard_bytes: 65, .. }))
    ));

    let mut early = encoder((2, 3), 64);
    let room = early.space().len();
    assert_eq!(room, 112);
    let refused = early.advance(room + 1).unwrap_err();
    assert_eq!(refused, EncodeError::NoRoom { room, written: room + 1 });
    let refused = early.finish(&publisher(), Media::default()).unwrap_err();
    assert_eq!(refused, EncodeError::NotDrained);

    let mut ended = encoder((2, 3), 64);
    ended.end();
    ended.end();
    assert_eq!(ended.push(b"late").unwrap_err(), EncodeError::AfterEnd { got: 4 });
    assert!(ended.space().is_empty());
    assert_eq!(iter::from_fn(|| ended.poll()).count(), 1);

    let media = Media { media_type: "x".repeat(65), ..Media::default() };
    assert!(matches!(ended.finish(&publisher(), media), Err(EncodeError::Manifest(_))));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_sizes_of_the_pieces_pushed_make_no_difference(
        length in 0_usize..5_000,
        pieces in proptest::collection::vec(1_usize..700, 1..20),
    ) {
        let film = Film::new((3, 5), 64, length);
        let mut encoder = encoder((3, 5), 64);
        let (mut rest, mut encoded, mut sizes) = (&film.plaintext[..], Vec::new(), pieces.iter().cycle());
        while !rest.is_empty() {
            let piece = rest.len().min(*sizes.next().unwrap());
            rest = &rest[encoder.push(&rest[..piece]).unwrap()..];
            encoded.extend(iter::from_fn(|| encoder.poll()));
        }
        encoder.end();
        encoded.extend(iter::from_fn(|| encoder.poll()));
        prop_assert_eq!(encoded.len(), film.encoded.len());
        let publication = encoder.finish(&publisher(), Media::default()).unwrap();
        prop_assert_eq!(publication.manifest().content_id(), film.content.id());
    }
}
