use bytes::Bytes;
use pop_erasure::merkle::{MerkleTree, path_length, root_from_path};
use pop_erasure::{ShardFault, ShardSet, VerifiedShard};
use pop_wire::{ColumnIndex, Digest, SegmentIndex};

use crate::support::{Film, column};

type Parts = (SegmentIndex, ColumnIndex, Bytes, Vec<Digest>, Vec<Digest>);

fn parts(shard: &VerifiedShard) -> Parts {
    let paths = (shard.segment_path().to_vec(), shard.content_path().to_vec());
    (shard.segment(), shard.column(), shard.payload().clone(), paths.0, paths.1)
}

fn check(film: &Film, (segment, column, payload, up, on): Parts) -> Result<(), ShardFault> {
    // One by one and as a set: both ways must say the same.
    let mut set = ShardSet::new(&film.content, segment);
    let as_set = set.insert(column, payload.clone(), up.clone(), on.clone());
    let alone = film.content.verify_shard(segment, column, payload, up, on).map(|_| ());
    assert_eq!(as_set, alone);
    alone
}

#[test]
fn every_position_verifies_and_no_other_does() {
    let film = Film::new((3, 5), 64, 6 * 176 + 3);
    let layout = *film.content.layout();
    for segment in layout.segments() {
        for column in layout.columns() {
            let right = parts(&film.shard(segment, column));
            for other_segment in layout.segments() {
                for other_column in layout.columns() {
                    let mut moved = right.clone();
                    (moved.0, moved.1) = (other_segment, other_column);
                    let is_right = (other_segment, other_column) == (segment, column);
                    assert_eq!(check(&film, moved).is_ok(), is_right);
                }
            }
        }
    }
}

#[test]
fn every_flipped_bit_of_shard_and_paths_is_refused() {
    let film = Film::new((3, 5), 64, 400);
    for segment in film.content.layout().segments() {
        for column in film.content.layout().columns() {
            let right = parts(&film.shard(segment, column));
            let not_committed = Err(ShardFault::NotCommitted { segment, column });
            for bit in 0..right.2.len() * 8 {
                let mut flipped = right.2.to_vec();
                flipped[bit / 8] ^= 1 << (bit % 8);
                let wrong = (segment, column, flipped.into(), right.3.clone(), right.4.clone());
                assert_eq!(check(&film, wrong), not_committed);
            }
            for bit in 0..(right.3.len() + right.4.len()) * 256 {
                let mut wrong = right.clone();
                let digest = wrong.3.iter_mut().chain(&mut wrong.4).nth(bit / 256).unwrap();
                digest.0[bit % 256 / 8] ^= 1 << (bit % 8);
                assert_eq!(check(&film, wrong), not_committed);
            }
        }
    }
}

#[test]
fn wrong_lengths_and_indices_are_named_with_numbers() {
    let film = Film::new((3, 5), 64, 400);
    let (first, fourth) = (SegmentIndex(0), column(3));
    let right = parts(&film.shard(first, fourth));

    let mut wrong = right.clone();
    wrong.0 = SegmentIndex(3);
    let fault = ShardFault::NoSuchSegment { segments: 3, segment: SegmentIndex(3) };
    assert_eq!(check(&film, wrong), Err(fault));

    let mut wrong = right.clone();
    wrong.1 = column(5);
    let fault = ShardFault::NoSuchColumn { columns: 5, column: column(5) };
    assert_eq!(check(&film, wrong), Err(fault));

    for got in [0, 63, 65, 1 << 20] {
        let mut wrong = right.clone();
        wrong.2 = vec![0; got].into();
        assert_eq!(check(&film, wrong), Err(ShardFault::Length { expected: 64, got }));
    }
    for (up, on) in [(0, 2), (2, 2), (4, 2), (3, 0), (3, 1), (3, 3)] {
        let mut wrong = right.clone();
        wrong.3.resize(up, Digest([0; 32]));
        wrong.4.resize(on, Digest([0; 32]));
        let fault = match on {
            2 => ShardFault::SegmentPath { expected: 3, got: up },
            _ => ShardFault::ContentPath { expected: 2, got: on },
        };
        assert_eq!(check(&film, wrong), Err(fault));
    }
}

#[test]
fn shards_of_another_content_are_refused() {
    let (film, other) = (Film::new((3, 5), 64, 400), Film::new((3, 5), 64, 401));
    for segment in film.content.layout().segments() {
        for column in film.content.layout().columns() {
            assert!(check(&film, parts(&other.shard(segment, column))).is_err());
        }
    }
}

#[test]
fn a_set_drops_the_wrong_and_the_doubled_and_keeps_the_right() {
    let film = Film::new((3, 5), 64, 400);
    let segment = SegmentIndex(1);
    let mut set = ShardSet::new(&film.content, segment);
    assert!(set.is_empty());
    for column in film.content.layout().columns().skip(2) {
        let (_, column, payload, up, on) = parts(&film.shard(segment, column));
        let wrong = vec![0; payload.len()];
        set.insert(column, wrong.into(), up.clone(), on.clone()).unwrap_err();
        assert!(!set.is_complete());
        set.insert(column, payload.clone(), up.clone(), on.clone()).unwrap();
        set.insert(column, payload, up, on).unwrap();
    }
    assert!(set.is_complete() && set.len() == 3);
    let read = film.decoder().decode(segment, &set.into_shards()).unwrap();
    assert_eq!(read, film.plaintext[176..352]);
}

#[test]
fn every_path_of_every_small_tree_leads_to_its_root_and_has_the_computed_length() {
    for count in 1_u8..=70 {
        let leaves: Vec<Digest> = (0..count).map(|leaf| Digest([leaf; 32])).collect();
        let tree = MerkleTree::new(leaves.clone());
        for (leaf, index) in leaves.iter().zip(0_u8..) {
            let path = tree.path(usize::from(index)).unwrap();
            let (index, count) = (u64::from(index), u64::from(count));
            assert_eq!(path.len(), path_length(index, count));
            assert_eq!(root_from_path(*leaf, index, count, &path), Some(tree.root()));
            for wrong in (0..count + 2).filter(|wrong| *wrong != index) {
                assert_ne!(root_from_path(*leaf, wrong, count, &path), Some(tree.root()));
            }
        }
        assert_eq!(tree.path(usize::from(count)), None);
    }
}
