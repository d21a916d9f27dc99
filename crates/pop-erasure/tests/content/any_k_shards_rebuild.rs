use pop_erasure::{DecodeError, ReEncodeCheck, Repairer};
use pop_wire::{ColumnIndex, ColumnSet, SegmentIndex};
use proptest::prelude::*;

use crate::support::{Film, column, subsets};

#[test]
fn every_subset_of_a_small_code_gives_the_same_bytes() {
    for (k, n) in [(2, 3), (3, 5), (2, 8), (5, 8), (7, 8), (6, 12), (2, 12), (11, 12)] {
        let film = Film::new((k, n), 64, usize::from(k) * 64 - 16);
        let mut decoder = film.decoder();
        let mut auditor = film.decoder().with_check(ReEncodeCheck::Always);
        for subset in subsets(k, n) {
            let shards = film.shards(SegmentIndex(0), subset.iter().copied());
            let read = decoder.decode(SegmentIndex(0), &shards).unwrap();
            assert_eq!(read, film.plaintext, "({k}, {n}) from {subset:?}");
            let read = auditor.decode(SegmentIndex(0), &shards).unwrap();
            assert_eq!(read, film.plaintext, "({k}, {n}) from {subset:?}, audited");
        }
    }
}

#[test]
fn one_decoder_opens_long_and_short_segments_in_any_order() {
    let (k, n) = (3, 6);
    let film = Film::new((k, n), 256, 2 * (3 * 256 - 16) + 50);
    let mut decoder = film.decoder().with_check(ReEncodeCheck::Always);
    for segment in [0, 2, 1, 2, 2, 0].map(SegmentIndex) {
        let start = usize::try_from(segment.0).unwrap() * (3 * 256 - 16);
        let end = film.plaintext.len().min(start + 3 * 256 - 16);
        for subset in subsets(k, n) {
            let shards = film.shards(segment, subset);
            assert_eq!(decoder.decode(segment, &shards).unwrap(), film.plaintext[start..end]);
        }
    }
    // What was given out is the caller's: the decoder never writes there again.
    let kept = decoder.decode(SegmentIndex(0), &film.worst(SegmentIndex(0))).unwrap();
    decoder.decode(SegmentIndex(1), &film.worst(SegmentIndex(1))).unwrap();
    assert_eq!(kept, film.plaintext[..3 * 256 - 16]);
}

#[test]
fn every_subset_of_a_small_code_repairs_every_column() {
    for (k, n) in [(2, 3), (3, 5), (5, 8), (4, 10)] {
        let film = Film::new((k, n), 64, 3 * (usize::from(k) * 64 - 16) - 50);
        let mut repairer = Repairer::new(film.content.clone());
        for segment in film.content.layout().segments() {
            let all = film.shards(segment, film.content.layout().columns());
            for subset in subsets(k, n) {
                let shards = film.shards(segment, subset);
                let rebuilt = repairer.rebuild(segment, &shards, ColumnSet::all(n)).unwrap();
                assert_eq!(rebuilt, all);
            }
        }
    }
}

#[test]
fn too_few_twice_the_same_and_foreign_shards_are_refused_with_numbers() {
    let film = Film::new((3, 5), 64, 400);
    let (first, second) = (SegmentIndex(0), SegmentIndex(1));
    let mut decoder = film.decoder();
    let one = film.shard(first, column(4));
    let too_few = decoder.decode(first, &[one.clone(), one.clone(), one.clone()]).unwrap_err();
    assert_eq!(too_few, DecodeError::TooFewShards { segment: first, needed: 3, got: 1 });

    let mut shards = film.worst(first);
    shards.push(film.shard(second, column(0)));
    let foreign = decoder.decode(first, &shards).unwrap_err();
    assert_eq!(foreign, DecodeError::ForeignShard { segment: first, got: second });

    let other = Film::new((3, 5), 64, 401);
    let foreign = decoder.decode(first, &other.worst(first)).unwrap_err();
    assert_eq!(foreign, DecodeError::ForeignShard { segment: first, got: first });

    let shards = film.worst(first);
    let absent = [column(5)].into_iter().collect();
    let refused = Repairer::new(film.content.clone()).rebuild(first, &shards, absent).unwrap_err();
    assert_eq!(refused, DecodeError::NoSuchColumn { columns: 5, column: column(5) });
}

fn geometry_and_columns() -> impl Strategy<Value = ((u16, u16), Vec<ColumnIndex>)> {
    let shape = prop_oneof![
        Just((19_u16, 27_u16)),
        Just((30, 80)),
        Just((56, 80)),
        Just((81, 115)),
        Just((2, 255)),
        Just((128, 255)),
        Just((254, 255)),
    ];
    shape.prop_flat_map(|(k, n)| {
        let all: Vec<ColumnIndex> = ColumnIndex::first(n).collect();
        let chosen = proptest::sample::subsequence(all, usize::from(k)).prop_shuffle();
        (Just((k, n)), chosen)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_subset_of_a_large_code_rebuilds(
        ((k, n), columns) in geometry_and_columns(),
        length in 0_usize..40_000,
    ) {
        let film = Film::new((k, n), 128, length);
        let (mut decoder, mut repairer) = (film.decoder(), Repairer::new(film.content.clone()));
        let mut read = Vec::new();
        for segment in film.content.layout().segments() {
            let shards = film.shards(segment, columns.iter().copied());
            read.extend_from_slice(&decoder.decode(segment, &shards).unwrap());
            let whole = repairer.rebuild(segment, &shards, ColumnSet::all(n)).unwrap();
            prop_assert_eq!(whole, film.shards(segment, film.content.layout().columns()));
        }
        prop_assert_eq!(read, film.plaintext);
    }
}
