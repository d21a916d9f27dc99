//! AES-256-GCM, in place and with the tag apart. Two crates compute the same bytes, and are named
//! in this file only: `aes-gcm` everywhere, and `ring` where feature `ring` is on.

use crate::limits::TAG_BYTES;

#[cfg(feature = "ring")]
pub(crate) use assembly::{open, seal};
#[cfg(not(feature = "ring"))]
pub(crate) use portable::{open, seal};

pub(crate) const TAG_LENGTH: usize = TAG_BYTES as usize;

/// What a key may be used with once only, and what the tag binds beside the text.
#[derive(Clone, Copy)]
pub(crate) struct Context<'a> {
    pub(crate) key: &'a [u8; 32],
    pub(crate) nonce: [u8; 12],
    pub(crate) associated_data: &'a [u8],
}

#[cfg(feature = "ring")]
mod assembly {
    use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, Tag, UnboundKey};

    use super::{Context, TAG_LENGTH};

    /// Unlike the portable one it does not wipe the key's schedule: what stays on the stack opens one
    /// segment, in the memory of a program that has just opened it.
    fn cipher(context: &Context<'_>) -> LessSafeKey {
        let key = UnboundKey::new(&AES_256_GCM, context.key).expect("its keys have 32 bytes");
        LessSafeKey::new(key)
    }

    /// Encrypt `text`; the tag.
    pub(crate) fn seal(context: &Context<'_>, text: &mut [u8]) -> [u8; TAG_LENGTH] {
        let nonce = Nonce::assume_unique_for_key(context.nonce);
        let tag = cipher(context)
            .seal_in_place_separate_tag(nonce, Aad::from(context.associated_data), text)
            .expect("a segment is far shorter than AES-GCM's limit of 64 GiB");
        *tag.as_ref().first_chunk().expect("its tags have 16 bytes")
    }

    /// Check `tag` and decrypt `text`. After `None` it holds nothing that may be used.
    pub(crate) fn open(
        context: &Context<'_>,
        text: &mut [u8],
        tag: &[u8; TAG_LENGTH],
    ) -> Option<()> {
        let nonce = Nonce::assume_unique_for_key(context.nonce);
        let data = Aad::from(context.associated_data);
        let tag = Tag::from(*tag);
        cipher(context).open_in_place_separate_tag(nonce, data, tag, text, 0..).ok().map(|_| ())
    }
}

#[cfg(any(not(feature = "ring"), test))]
mod portable {
    use aes_gcm::aead::AeadInOut;
    use aes_gcm::{Aes256Gcm, KeyInit, Nonce, Tag};

    use super::{Context, TAG_LENGTH};

    /// Encrypt `text`; the tag.
    pub(crate) fn seal(context: &Context<'_>, text: &mut [u8]) -> [u8; TAG_LENGTH] {
        Aes256Gcm::new(context.key.into())
            .encrypt_inout_detached(
                &Nonce::from(context.nonce),
                context.associated_data,
                text.into(),
            )
            .expect("a segment is far shorter than AES-GCM's limit of 64 GiB")
            .into()
    }

    /// Check `tag` and decrypt `text`. After `None` it holds nothing that may be used.
    pub(crate) fn open(
        context: &Context<'_>,
        text: &mut [u8],
        tag: &[u8; TAG_LENGTH],
    ) -> Option<()> {
        let (nonce, tag) = (Nonce::from(context.nonce), Tag::from(*tag));
        Aes256Gcm::new(context.key.into())
            .decrypt_inout_detached(&nonce, context.associated_data, text.into(), &tag)
            .ok()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::{Context, open, portable, seal};

    fn bytes<const N: usize>(text: &str) -> [u8; N] {
        hex::decode(text).unwrap().try_into().unwrap()
    }

    #[test]
    fn the_published_vector_is_met() {
        // The Galois/Counter Mode of Operation (McGrew, Viega), test case 16.
        let context = Context {
            key: &bytes("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308"),
            nonce: bytes("cafebabefacedbaddecaf888"),
            associated_data: &bytes::<20>("feedfacedeadbeeffeedfacedeadbeefabaddad2"),
        };
        let plaintext: [u8; 60] = bytes(
            "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72\
             1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
        );
        let sealed: [u8; 60] = bytes(
            "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa\
             8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662",
        );
        for (seal, open) in both() {
            let mut text = plaintext;
            let tag = seal(&context, &mut text);
            assert_eq!((text, tag), (sealed, bytes("76fc6ece0f4e1768cddf8853bb2d551b")));
            open(&context, &mut text, &tag).unwrap();
            assert_eq!(text, plaintext);
        }
    }

    #[test]
    fn whatever_one_implementation_seals_the_other_opens() {
        for length in (0..600).chain([4_095, 4_096, 4_097, 100_000, 19 * 32 * 1024 - 16]) {
            let number = u8::try_from(length % 251).unwrap();
            let associated_data = vec![number; length % 80];
            let (key, nonce) = ([number; 32], [number ^ 1; 12]);
            let context = Context { key: &key, nonce, associated_data: &associated_data };
            let plaintext: Vec<u8> = (0..=250).cycle().skip(length % 7).take(length).collect();
            let (mut text, mut other) = (plaintext.clone(), plaintext.clone());
            let tag = seal(&context, &mut text);
            assert_eq!(tag, portable::seal(&context, &mut other), "{length} bytes");
            assert!(text == other, "{length} bytes");
            portable::open(&context, &mut text, &tag).unwrap();
            open(&context, &mut other, &tag).unwrap();
            assert!(text == plaintext && other == plaintext, "{length} bytes");
        }
    }

    #[test]
    fn each_refuses_what_the_other_refuses() {
        let (key, other_key) = ([1; 32], [2; 32]);
        let right = Context { key: &key, nonce: [3; 12], associated_data: b"bound" };
        let mut sealed = *b"twenty bytes of film";
        let tag = seal(&right, &mut sealed);
        let wrong = [
            (Context { key: &other_key, ..right }, sealed, tag),
            (Context { nonce: [4; 12], ..right }, sealed, tag),
            (Context { associated_data: b"bounds", ..right }, sealed, tag),
            (right, [sealed[0]; 20], tag),
            (right, sealed, [tag[0]; 16]),
        ];
        for (_, open) in both() {
            for (context, mut text, tag) in wrong {
                assert_eq!(open(&context, &mut text, &tag), None);
            }
            assert_eq!(open(&right, &mut sealed.clone(), &tag), Some(()));
        }
    }

    type Seal = fn(&Context<'_>, &mut [u8]) -> [u8; 16];
    type Open = fn(&Context<'_>, &mut [u8], &[u8; 16]) -> Option<()>;

    /// The one in use, and the portable one: the same without feature `ring`.
    fn both() -> [(Seal, Open); 2] {
        [(seal, open), (portable::seal, portable::open)]
    }
}
