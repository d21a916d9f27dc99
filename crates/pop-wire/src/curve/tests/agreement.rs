//! Both libraries sign with the same bytes, and accept and refuse the same keys and signatures.

use k256::Scalar;
use k256::elliptic_curve::PrimeField;
use proptest::prelude::*;

use super::super::{in_c, in_rust, is_low};

/// Order of the curve, big endian.
const ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe,
    0xba, 0xae, 0xdc, 0xe6, 0xaf, 0x48, 0xa0, 0x3b, 0xbf, 0xd2, 0x5e, 0x8c, 0xd0, 0x36, 0x41, 0x41,
];

/// Number of elements of the field in which x and y are, big endian.
const FIELD: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe, 0xfc, 0x2f,
];

/// A number plus a small one, which may be negative.
fn near(number: [u8; 32], more: i8) -> [u8; 32] {
    let (head, tail) = number.split_first_chunk::<24>().unwrap();
    let tail = u64::from_be_bytes(tail.try_into().unwrap()).wrapping_add_signed(more.into());
    let mut bytes = [0; 32];
    bytes[..24].copy_from_slice(head);
    bytes[24..].copy_from_slice(&tail.to_be_bytes());
    bytes
}

/// Zero, one, the ends of the scalars and of the field, and all ones.
fn edges() -> Vec<[u8; 32]> {
    let mut edges = vec![[0; 32], near([0; 32], 1), near([0; 32], 2), [0xff; 32]];
    for more in -3..=3 {
        edges.extend([near(ORDER, more), near(FIELD, more), near(super::HALF_ORDER, more)]);
    }
    edges
}

fn joined(r: [u8; 32], s: [u8; 32]) -> [u8; 64] {
    let mut signature = [0; 64];
    signature[..32].copy_from_slice(&r);
    signature[32..].copy_from_slice(&s);
    signature
}

/// The same key by both, if it is one; tag 2 or 3.
fn key(bytes: &[u8; 33]) -> Option<(in_c::Point, in_rust::Point)> {
    let (c, rust) = (in_c::Point::from_compressed(bytes), in_rust::Point::from_compressed(bytes));
    assert_eq!(c.is_some(), rust.is_some(), "{bytes:02x?}");
    let (c, rust) = (c?, rust?);
    assert_eq!(c.to_compressed(), *bytes);
    assert_eq!(rust.to_compressed(), *bytes);
    assert_eq!(c.to_uncompressed(), rust.to_uncompressed());
    Some((c, rust))
}

/// Signs by both; what comes out if the secret is one.
fn signed(secret: &[u8; 32], digest: &[u8; 32]) -> Option<([u8; 33], [u8; 64], bool)> {
    let (c, rust) = (in_c::Secret::from_bytes(secret), in_rust::Secret::from_bytes(secret));
    assert_eq!(c.is_some(), rust.is_some(), "{secret:02x?}");
    let (c, rust) = (c?, rust?);
    assert_eq!((*c.to_bytes(), *rust.to_bytes()), (*secret, *secret));
    let (signature, is_y_odd) = c.sign(digest);
    assert_eq!((signature, is_y_odd), rust.sign(digest), "{secret:02x?} {digest:02x?}");
    assert!(is_low(&signature));
    let point = c.point().to_compressed();
    assert_eq!(point, rust.point().to_compressed());
    Some((point, signature, is_y_odd))
}

/// What both say of a signature with a low s: whether the key made it, and with which parity.
fn judged(compressed: &[u8; 33], digest: &[u8; 32], signature: &[u8; 64]) -> (bool, [bool; 2]) {
    let (c, rust) = key(compressed).unwrap();
    if !is_low(signature) {
        return (false, [false; 2]);
    }
    let context = format!("{compressed:02x?} {digest:02x?} {signature:02x?}");
    let verified = c.verify(digest, signature);
    assert_eq!(verified, rust.verify(digest, signature), "{context}");
    let by_parity = [false, true].map(|is_y_odd| {
        let recovered = in_c::Point::recover(digest, signature, is_y_odd);
        let by_rust = in_rust::Point::recover(digest, signature, is_y_odd);
        let bytes = recovered.map(in_c::Point::to_compressed);
        assert_eq!(bytes, by_rust.map(in_rust::Point::to_compressed), "{context}");
        let accepted = c.verify_recoverable(digest, signature, is_y_odd);
        assert_eq!(accepted, rust.verify_recoverable(digest, signature, is_y_odd), "{context}");
        assert_eq!(accepted, bytes == Some(*compressed), "{context}");
        accepted
    });
    (verified, by_parity)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn on_signatures_valid_and_damaged(
        secret in any::<[u8; 32]>(),
        digest in any::<[u8; 32]>(),
        other in any::<[u8; 32]>(),
        bit in 0_usize..64 * 8,
    ) {
        let (key, signature, is_y_odd) = signed(&secret, &digest).unwrap();
        prop_assert_eq!(judged(&key, &digest, &signature), (true, [!is_y_odd, is_y_odd]));
        prop_assert_eq!(judged(&key, &other, &signature), (false, [false; 2]));
        let mut flipped = signature;
        flipped[bit / 8] ^= 1 << (bit % 8);
        prop_assert_eq!(judged(&key, &digest, &flipped), (false, [false; 2]));
        let (stranger, ..) = signed(&[9; 32], &digest).unwrap();
        prop_assert_eq!(judged(&stranger, &digest, &signature), (false, [false; 2]));
    }

    /// Numbers that nobody chose as a signature: about half of them recover to some key.
    #[test]
    fn on_any_numbers(
        digest in any::<[u8; 32]>(),
        r in any::<[u8; 32]>(),
        mut s in any::<[u8; 32]>(),
        tag in 2_u8..=3,
    ) {
        s[0] &= 0x7f;
        let (known, ..) = signed(&[7; 32], &digest).unwrap();
        judged(&known, &digest, &joined(r, s));
        let mut bytes = [tag; 33];
        bytes[1..].copy_from_slice(&r);
        key(&bytes);
    }
}

#[test]
fn on_numbers_at_the_edges() {
    let (known, ..) = signed(&[7; 32], &[1; 32]).unwrap();
    for first in edges() {
        for tag in [2, 3] {
            let mut bytes = [tag; 33];
            bytes[1..].copy_from_slice(&first);
            key(&bytes);
        }
        for digest in edges() {
            // Digests at and above the order are reduced before the nonce is made of them.
            if let Some((key, signature, is_y_odd)) = signed(&first, &digest) {
                let accepted = judged(&key, &digest, &signature);
                assert_eq!(accepted, (true, [!is_y_odd, is_y_odd]), "{first:02x?} {digest:02x?}");
            }
        }
        for s in edges() {
            judged(&known, &[3; 32], &joined(first, s));
        }
    }
}

#[test]
fn on_a_point_whose_x_is_above_the_order() {
    let mut tried = 0;
    for more in 1..100_u8 {
        // x is n + more, so r is `more`: what recovery by x as it is must not find.
        let mut at = [2; 33];
        at[1..].copy_from_slice(&near(ORDER, i8::try_from(more).unwrap()));
        let Some((_, point)) = key(&at) else { continue };
        let point = k256::PublicKey::from_sec1_bytes(&point.to_compressed()).unwrap();
        let (r, s, z) = (Scalar::from(u64::from(more)), Scalar::from(3_u64), Scalar::from(5_u64));
        let public = (point.to_projective() * s - k256::ProjectivePoint::GENERATOR * z)
            * r.invert().unwrap();
        let public = k256::PublicKey::from_affine(public.to_affine()).unwrap();
        let compressed: [u8; 33] = public.to_sec1_bytes()[..].try_into().unwrap();
        let (digest, signature) = (near([0; 32], 5), joined(near([0; 32], 0), near([0; 32], 3)));
        let mut signature = signature;
        signature[..32].copy_from_slice(&r.to_repr());
        assert_eq!(judged(&compressed, &digest, &signature), (true, [false; 2]));
        tried += 1;
    }
    assert!(tried > 20, "{tried} points");
}
