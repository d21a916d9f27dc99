use pop_erasure::segment::{SegmentSeal, open, seal};
use pop_erasure::{ContentKey, DecodeError, Decoder, WrongKey};
use pop_wire::{Digest, SegmentIndex};

use crate::support::{Film, KEY, SALT, raw_shards, sign_anything};

#[test]
fn before_anything_is_decrypted() {
    let film = Film::new((3, 5), 64, 100);
    for bit in 0..256 {
        let mut key = KEY;
        key[bit / 8] ^= 1 << (bit % 8);
        let refused = Decoder::new(film.content.clone(), ContentKey::from_bytes(key)).unwrap_err();
        assert_eq!(refused, WrongKey { content: film.content.id() });
    }
}

#[test]
fn a_key_that_is_committed_to_but_not_used_opens_nothing() {
    let film = Film::new((3, 5), 64, 100);
    let other = ContentKey::from_bytes([8; 32]);
    let commitment = other.commitment(&Digest(SALT));
    let (content, shards) = sign_anything(&film, &raw_shards(&film), commitment);
    let mut decoder = Decoder::new(content, other).unwrap();
    // With the data shards, and with parity: the encoding is consistent, only not sealed so.
    for chosen in [&shards[..3], &shards[2..]] {
        let refused = decoder.decode(SegmentIndex(0), chosen).unwrap_err();
        assert_eq!(refused, DecodeError::Unsealable(SegmentIndex(0)));
    }
}

#[test]
fn the_commitment_depends_on_key_and_salt() {
    let commitment = ContentKey::from_bytes(KEY).commitment(&Digest(SALT));
    assert_ne!(commitment, ContentKey::from_bytes([8; 32]).commitment(&Digest(SALT)));
    assert_ne!(commitment, ContentKey::from_bytes(KEY).commitment(&Digest([8; 32])));
}

#[test]
fn keys_are_not_printed() {
    let film = Film::new((2, 3), 64, 1);
    let key = ContentKey::from_bytes([0xab; 32]);
    let printed = format!("{key:?} {:?}", film.decoder());
    assert!(!printed.contains("171, 171") && !printed.contains("7, 7"), "{printed}");
}

#[test]
fn every_flipped_bit_and_every_other_position_fails_to_open_and_leaves_zeros() {
    let (key, salt) = (ContentKey::from_bytes(KEY), Digest(SALT));
    let right = SegmentSeal { key: &key, salt: &salt, segment: SegmentIndex(5), last: false };
    let mut sealed = [0xff; 64];
    sealed[..20].copy_from_slice(b"twenty bytes of film");
    seal(&right, &mut sealed, 20);
    assert_eq!(sealed[36..], [0; 28], "padded with zeros");
    let mut opened = sealed;
    open(&right, &mut opened, 20).unwrap();
    assert_eq!(&opened[..20], b"twenty bytes of film");

    let refuse = |seal: &SegmentSeal<'_>, mut buffer: [u8; 64], length| {
        assert!(open(seal, &mut buffer, length).is_err());
        assert_eq!(buffer, [0; 64], "nobody uses what was not authenticated");
    };
    for bit in 0..36 * 8 {
        let mut flipped = sealed;
        flipped[bit / 8] ^= 1 << (bit % 8);
        refuse(&right, flipped, 20);
    }
    let other_salt = Digest([1; 32]);
    refuse(&SegmentSeal { segment: SegmentIndex(4), ..right }, sealed, 20);
    refuse(&SegmentSeal { last: true, ..right }, sealed, 20);
    refuse(&SegmentSeal { salt: &other_salt, ..right }, sealed, 20);
    refuse(&right, sealed, 19);
    refuse(&right, sealed, 49);
    refuse(&right, sealed, usize::MAX);
}
