//! The code against the slowest description of it: no tables, no vectors, one bit at a time.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use pop_erasure::{ContentKey, Encoder, Geometry, Media};
use pop_wire::{ColumnIndex, Keypair};

/// Product in GF(2^8) modulo x^8 + x^4 + x^3 + x^2 + 1, by shifting and adding.
fn product(left: u8, right: u8) -> u8 {
    let (mut left, mut sum) = (u16::from(left), 0);
    for bit in 0..8 {
        if right >> bit & 1 == 1 {
            sum ^= left;
        }
        left <<= 1;
        if left & 0x100 != 0 {
            left ^= 0x11d;
        }
    }
    u8::try_from(sum).unwrap()
}

/// The one value whose product with `value` is one, by trying all.
fn inverse(value: u8) -> u8 {
    (1..=255).find(|candidate| product(value, *candidate) == 1).unwrap()
}

/// spec/content.md §3.1: parity shard i is the sum over j of 1 / ((k + i) xor j) times data j.
fn parity(data: &[Vec<u8>], i: usize) -> Vec<u8> {
    let mut sum = vec![0; data[0].len()];
    for (j, shard) in data.iter().enumerate() {
        let factor = inverse(u8::try_from((data.len() + i) ^ j).unwrap());
        for (sum, byte) in sum.iter_mut().zip(shard) {
            *sum ^= product(factor, *byte);
        }
    }
    sum
}

fn shards(k: u16, n: u16) -> Vec<Vec<u8>> {
    let geometry = Geometry::danger_without_promise(k, n).unwrap();
    let key = ContentKey::from_bytes([k.to_be_bytes()[1]; 32]);
    let mut encoder = Encoder::new(geometry, 64, key, [n.to_be_bytes()[1]; 32]).unwrap();
    encoder.push(&vec![42; usize::from(k) * 64 - 16]).unwrap();
    encoder.end();
    let segment = encoder.poll().unwrap();
    assert_eq!(encoder.poll().map(|it| it.segment()), None);
    encoder.finish(&Keypair::from_secret_bytes(&[1; 32]).unwrap(), Media::default()).unwrap();
    ColumnIndex::first(n).map(|column| segment.shard(column).unwrap().to_vec()).collect()
}

fn compare(k: u16, n: u16, parity_shards: impl Iterator<Item = usize>) {
    let shards = shards(k, n);
    let (data, rest) = shards.split_at(usize::from(k));
    for i in parity_shards {
        assert_eq!(rest[i], parity(data, i), "parity {i} of ({k}, {n})");
    }
}

#[test]
fn every_small_code_is_the_documented_one() {
    for n in 3..=14 {
        for k in 2..n {
            compare(k, n, 0..usize::from(n - k));
        }
    }
}

#[test]
fn large_codes_are_the_documented_ones() {
    for (k, n) in [(19, 27), (30, 80), (56, 80), (81, 115), (2, 255), (128, 255), (254, 255)] {
        let last = usize::from(n - k) - 1;
        compare(k, n, [0, last / 2, last].into_iter());
    }
}

#[test]
fn every_square_part_of_a_small_code_has_an_inverse() {
    // The determinant of every 2 x 2 minor, which is what makes any k rows independent for k = 2.
    for (k, n) in [(2_usize, 255_usize), (5, 40)] {
        let entry = |i: usize, j: usize| inverse(u8::try_from((k + i) ^ j).unwrap());
        for i in 0..n - k {
            for other in i + 1..(n - k).min(i + 8) {
                for j in 1..k {
                    let one = product(entry(i, 0), entry(other, j));
                    assert_ne!(one, product(entry(i, j), entry(other, 0)));
                }
            }
        }
    }
}
