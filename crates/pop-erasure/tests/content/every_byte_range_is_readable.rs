use std::collections::BTreeMap;

use pop_erasure::{DecodeError, VerifiedShard};
use pop_wire::SegmentIndex;
use proptest::prelude::*;

use crate::support::Film;

fn worst_of_all(film: &Film) -> BTreeMap<SegmentIndex, Vec<VerifiedShard>> {
    film.content.layout().segments().map(|segment| (segment, film.worst(segment))).collect()
}

#[test]
fn every_range_of_a_small_content() {
    // Segments of 112 bytes: 112, 112 and 6.
    let film = Film::new((2, 3), 64, 230);
    let (shards, mut decoder) = (worst_of_all(&film), film.decoder());
    for start in 0..=230 {
        for end in start..=230 {
            let range = u64::try_from(start).unwrap()..u64::try_from(end).unwrap();
            let read = decoder.decode_range(range, |segment| shards[&segment].clone()).unwrap();
            assert_eq!(read, film.plaintext[start..end], "{start}..{end}");
        }
    }
}

#[test]
fn a_range_behind_the_end_is_refused_with_numbers() {
    let film = Film::new((2, 3), 64, 230);
    let shards = worst_of_all(&film);
    let refused = film.decoder().decode_range(229..231, |segment| shards[&segment].clone());
    assert_eq!(refused, Err(DecodeError::OutOfRange { length_bytes: 230, end: 231 }));
    let refused = film.decoder().decode(SegmentIndex(3), &[]).unwrap_err();
    assert!(matches!(
        refused,
        DecodeError::TooFewShards { .. } | DecodeError::OutOfRange { length_bytes: 3, end: 4 }
    ));
}

#[test]
fn slices_lie_side_by_side_and_touch_no_segment_in_vain() {
    let layout = *Film::new((3, 5), 64, 1_000).content.layout();
    let size = layout.segment_bytes();
    for start in (0..=1_000).step_by(7) {
        for end in (start..=1_100).step_by(11) {
            let mut position = start;
            for slice in layout.slices(start..end) {
                assert!(!slice.range.is_empty());
                let from = slice.segment.0 * size + u64::try_from(slice.range.start).unwrap();
                assert_eq!(from, position);
                position += u64::try_from(slice.range.len()).unwrap();
            }
            assert_eq!(position, end.min(1_000).max(start));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_range_of_any_content(
        length in 1_usize..30_000,
        ends in any::<(prop::sample::Index, prop::sample::Index)>(),
    ) {
        let film = Film::new((5, 8), 256, length);
        let (one, other) = (ends.0.index(length + 1), ends.1.index(length + 1));
        let (start, end) = (one.min(other), one.max(other));
        let range = u64::try_from(start).unwrap()..u64::try_from(end).unwrap();
        let read = film.decoder().decode_range(range, |segment| film.worst(segment)).unwrap();
        prop_assert_eq!(&read, &film.plaintext[start..end]);
    }
}
