use pop_erasure::{Geometry, Layout, LayoutError, recommended_shard_bytes};
use pop_wire::limits::{CONTENT_BYTES_MAX, SEGMENTS_MAX};
use pop_wire::{ColumnIndex, SegmentIndex};

use crate::support::{Film, column};

fn roundtrip(shape: (u16, u16), shard_bytes: u32, length: usize) -> Film {
    let film = Film::new(shape, shard_bytes, length);
    let layout = *film.content.layout();
    let mut read = Vec::new();
    for segment in layout.segments() {
        let shards = film.worst(segment);
        for shard in &shards {
            let shard_bytes = usize::try_from(layout.shard_bytes(segment).unwrap()).unwrap();
            assert_eq!(shard.payload().len(), shard_bytes);
        }
        read.extend_from_slice(&film.decoder().decode(segment, &shards).unwrap());
    }
    assert_eq!(read, film.plaintext, "{length} bytes");
    assert_eq!(u64::try_from(film.encoded.len()).unwrap(), layout.segment_count());
    let column_bytes: usize =
        film.encoded.iter().map(|segment| segment.shard(column(0)).unwrap().len()).sum();
    assert_eq!(u64::try_from(column_bytes).unwrap(), layout.column_bytes());
    film
}

#[test]
fn sizes_around_segment_boundaries() {
    for (shape, shard_bytes) in [((2, 3), 64), ((3, 5), 1_024), ((19, 27), 16_384)] {
        let segment = usize::from(shape.0) * usize::try_from(shard_bytes).unwrap() - 16;
        for length in [0, 1, 2, 63, 64, 65, segment - 1, segment, segment + 1, 3 * segment + 5] {
            let film = roundtrip(shape, shard_bytes, length);
            assert_eq!(film.encoded.len(), length.div_ceil(segment).max(1));
        }
    }
}

#[test]
fn every_small_size() {
    for length in 0..400 {
        roundtrip((2, 3), 64, length);
    }
}

#[test]
fn an_empty_content_is_one_segment_of_a_tag() {
    let film = roundtrip((19, 27), 32_768, 0);
    assert_eq!(film.content.layout().shard_bytes(SegmentIndex(0)), Some(64));
    assert_eq!(film.content.layout().plaintext_range(SegmentIndex(0)), Some(0..0));
    assert_eq!(film.content.layout().plaintext_range(SegmentIndex(1)), None);
    assert_eq!(film.content.layout().slices(0..10).count(), 0);
}

#[test]
fn the_last_segment_has_short_shards() {
    // 112 bytes a segment; 30 bytes and a tag are left: 23 bytes a shard, in grains of 64.
    let layout = Layout::new(Geometry::danger_without_promise(2, 3).unwrap(), 128, 270).unwrap();
    assert_eq!((layout.segment_bytes(), layout.segment_count()), (240, 2));
    assert_eq!(layout.shard_bytes(SegmentIndex(0)), Some(128));
    assert_eq!(layout.shard_bytes(SegmentIndex(1)), Some(64));
    assert_eq!(layout.column_bytes(), 192);
}

#[test]
fn impossible_layouts_are_refused_with_numbers() {
    let geometry = Geometry::danger_without_promise(2, 3).unwrap();
    for shard_bytes in [0, 1, 63, 65, 262_208, u32::MAX] {
        let refused = Layout::new(geometry, shard_bytes, 0);
        let maximum = 262_144;
        assert_eq!(refused, Err(LayoutError::ShardBytes { grain: 64, maximum, shard_bytes }));
    }
    let length_bytes = CONTENT_BYTES_MAX + 1;
    assert_eq!(
        Layout::new(geometry, 262_144, length_bytes),
        Err(LayoutError::TooLong { maximum_bytes: CONTENT_BYTES_MAX, length_bytes })
    );
    let fits = SEGMENTS_MAX * 112;
    assert!(Layout::new(geometry, 64, fits).is_ok());
    assert_eq!(
        Layout::new(geometry, 64, fits + 1),
        Err(LayoutError::TooManySegments { maximum: SEGMENTS_MAX, segments: SEGMENTS_MAX + 1 })
    );
}

#[test]
fn the_longest_content_overflows_nothing() {
    for (k, n) in [(2, 3), (19, 27), (254, 255)] {
        let geometry = Geometry::danger_without_promise(k, n).unwrap();
        let layout = Layout::new(geometry, 262_144, CONTENT_BYTES_MAX).unwrap();
        let last = layout.last_segment();
        assert_eq!(layout.plaintext_range(last).unwrap().end, CONTENT_BYTES_MAX);
        assert!(layout.column_bytes() * u64::from(k) > CONTENT_BYTES_MAX);
        assert!(layout.content_path_length(SegmentIndex(0)) <= 32);
        assert_eq!(layout.slices(CONTENT_BYTES_MAX - 1..u64::MAX).count(), 1);
        assert_eq!(layout.plaintext_range(SegmentIndex(u64::MAX)), None);
        assert!(ColumnIndex::first(n).all(|it| layout.segment_path_length(it) <= 8));
    }
}

#[test]
fn shards_are_short_for_short_or_slow_media() {
    let geometry = Geometry::for_network(27).unwrap();
    let segment = 19 * 32_768 - 16;
    let recommended = |length, duration| recommended_shard_bytes(geometry, length, duration);
    assert_eq!(recommended(0, None), 16_384);
    assert_eq!(recommended(15 * segment, None), 16_384);
    assert_eq!(recommended(15 * segment + 1, None), 32_768);
    assert_eq!(recommended(1 << 40, None), 32_768);
    // Exactly four seconds a segment, and a little more.
    assert_eq!(recommended(100 * segment, Some(400_000)), 32_768);
    assert_eq!(recommended(100 * segment, Some(400_001)), 16_384);
    assert_eq!(recommended(1 << 50, Some(u64::MAX)), 16_384);
}
