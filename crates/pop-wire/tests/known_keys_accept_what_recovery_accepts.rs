//! A check by a known key accepts exactly the signatures from which that key is recovered.

#![expect(clippy::unwrap_used, reason = "a test panics where it fails")]

use k256::elliptic_curve::ops::Reduce;
use k256::elliptic_curve::point::DecompressPoint;
use k256::elliptic_curve::sec1::ToSec1Point;
use k256::{AffinePoint, FieldBytes, ProjectivePoint, Scalar};
use pop_wire::{Keypair, PeerId, VerifyingKey};
use proptest::prelude::*;

/// Order of secp256k1, big endian.
const ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe,
    0xba, 0xae, 0xdc, 0xe6, 0xaf, 0x48, 0xa0, 0x3b, 0xbf, 0xd2, 0x5e, 0x8c, 0xd0, 0x36, 0x41, 0x41,
];

fn scalar(bytes: &[u8; 32]) -> Scalar {
    <Scalar as Reduce<FieldBytes>>::reduce(&FieldBytes::from(*bytes))
}

fn low(s: Scalar) -> Scalar {
    let negative = -s;
    if s.to_bytes() <= negative.to_bytes() { s } else { negative }
}

fn joined(r: [u8; 32], s: Scalar, v: u8) -> [u8; 65] {
    let mut signature = [v; 65];
    signature[..32].copy_from_slice(&r);
    signature[32..64].copy_from_slice(&s.to_bytes());
    signature
}

/// What recovery says, after checking that the known key says the same.
fn is_accepted(key: &VerifyingKey, digest: &[u8; 32], signature: &[u8; 65]) -> bool {
    let recovered = VerifyingKey::recover(digest, signature).ok();
    let accepted = key.verify_recoverable(digest, signature).is_ok();
    assert_eq!(accepted, recovered == Some(*key), "{key:?} {digest:02x?} {signature:02x?}");
    // Whoever is recovered must be accepted, whichever signature it is.
    if let Some(recovered) = recovered {
        assert!(recovered.verify_recoverable(digest, signature).is_ok(), "{recovered:?}");
        let peer = recovered.peer_id();
        assert_eq!(peer.verifying_key(), recovered);
        assert!(peer.verify_digest(digest, signature[..64].try_into().unwrap()).is_ok());
    }
    accepted
}

/// n plus a small number.
fn above_order(more: u8) -> [u8; 32] {
    let mut bytes = ORDER;
    bytes[31] = bytes[31].checked_add(more).unwrap();
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn valid_and_damaged_signatures(
        secret in 1_u64..,
        digest in any::<[u8; 32]>(),
        other in any::<[u8; 32]>(),
        bit in 0_usize..65 * 8,
        v in any::<u8>(),
    ) {
        let mut bytes = [0; 32];
        bytes[24..].copy_from_slice(&secret.to_be_bytes());
        let keypair = Keypair::from_secret_bytes(&bytes).unwrap();
        let key = keypair.peer_id().verifying_key();
        let signature = keypair.sign_digest_recoverable(&digest);
        prop_assert!(is_accepted(&key, &digest, &signature));
        prop_assert!(!is_accepted(&key, &other, &signature));

        let mut wrong_v = signature;
        wrong_v[64] = 55 - signature[64];
        prop_assert!(!is_accepted(&key, &digest, &wrong_v));
        wrong_v[64] = v;
        prop_assert_eq!(is_accepted(&key, &digest, &wrong_v), v == signature[64]);

        let mut flipped = signature;
        flipped[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(!is_accepted(&key, &digest, &flipped));

        let s: [u8; 32] = signature[32..64].try_into().unwrap();
        let r: [u8; 32] = signature[..32].try_into().unwrap();
        for v in [27, 28] {
            prop_assert!(!is_accepted(&key, &digest, &joined(r, -scalar(&s), v)), "high s");
        }

        let stranger = Keypair::from_secret_bytes(&[9; 32]).unwrap().peer_id().verifying_key();
        prop_assert!(!is_accepted(&stranger, &digest, &signature));
    }

    /// Numbers that nobody chose as a signature: about half of them recover to some key.
    #[test]
    fn any_numbers(
        digest in any::<[u8; 32]>(),
        r in any::<[u8; 32]>(),
        s in any::<[u8; 32]>(),
        v in 27_u8..=28,
    ) {
        let key = Keypair::from_secret_bytes(&[7; 32]).unwrap().peer_id().verifying_key();
        is_accepted(&key, &digest, &joined(r, low(scalar(&s)), v));
        is_accepted(&key, &digest, &joined(r, scalar(&s), v));
    }
}

#[test]
fn an_x_above_the_order_is_named_by_no_v() {
    let mut tried = 0;
    for more in 1..100_u8 {
        // A point whose x is n + more: ECDSA compares x modulo n, so r is `more`.
        let x = FieldBytes::from(above_order(more));
        let Some(point) = AffinePoint::decompress(&x, 0.into()).into_option() else { continue };
        let (digest, s) = ([more; 32], low(scalar(&[3; 32])));
        let r = Scalar::from(u64::from(more));
        let inverse = r.invert().unwrap();
        let point = ProjectivePoint::from(point);
        let key = point * (s * inverse) - ProjectivePoint::GENERATOR * (scalar(&digest) * inverse);
        let key = key.to_affine().to_sec1_point(true);
        let peer = PeerId::from_public_key(key.as_bytes()).unwrap();

        let signature = joined(r.to_bytes().into(), s, 27);
        let bare = signature[..64].try_into().unwrap();
        assert!(peer.verify_digest(&digest, bare).is_ok(), "ECDSA alone accepts it");
        for v in [27, 28] {
            let signature = joined(r.to_bytes().into(), s, v);
            assert!(!is_accepted(&peer.verifying_key(), &digest, &signature));
            // r written as n + r is no number of a signature at all.
            let above = joined(above_order(more), s, v);
            assert!(!is_accepted(&peer.verifying_key(), &digest, &above));
        }
        tried += 1;
    }
    assert!(tried > 20, "{tried} points");
}

#[test]
fn numbers_at_the_edges_are_judged_alike() {
    let key = Keypair::from_secret_bytes(&[7; 32]).unwrap().peer_id().verifying_key();
    let mut below = ORDER;
    below[31] -= 1;
    let mut one = [0; 32];
    one[31] = 1;
    let edges = [[0; 32], one, below, ORDER, above_order(1), [0xff; 32]];
    let scalars = [Scalar::ZERO, Scalar::ONE, -Scalar::ONE, low(scalar(&[0x80; 32]))];
    for digest in edges {
        for r in edges {
            for s in scalars {
                for v in [0, 1, 26, 27, 28, 29, 255] {
                    is_accepted(&key, &digest, &joined(r, s, v));
                }
            }
        }
    }
}
