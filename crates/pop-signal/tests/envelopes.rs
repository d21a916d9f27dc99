//! Only who an envelope is for reads it, and he reads what was sealed or nothing.

#![expect(clippy::unwrap_used, reason = "a test panics where it fails")]

use std::collections::BTreeSet;

use bytes::Bytes;
use pop_signal::envelope::{Envelope, EnvelopeError, Letter, SessionId};
use pop_signal::limits::{
    CLOCK_SKEW_S, ENVELOPE_LARGE_BYTES, ENVELOPE_MEDIUM_BYTES, ENVELOPE_OVERHEAD_BYTES,
    ENVELOPE_SMALL_BYTES, LETTER_BODY_BYTES_MAX, LETTER_HEADER_BYTES, LETTER_LIFE_S_MAX,
};
use pop_signal::topic::{Contact, Meeting, PresenceNote};
use pop_signal::{Address, Rendezvous, SealKeypair, SealPublicKey};
use pop_wire::{ContentId, Keypair, UnixTime};
use proptest::prelude::*;

const NOW: UnixTime = UnixTime(1_800_000_000);

fn keypair(byte: u8) -> Keypair {
    Keypair::from_secret_bytes(&[byte; 32]).unwrap()
}

fn seal_keypair(byte: u8) -> SealKeypair {
    SealKeypair::from_secret_bytes([byte; 32])
}

fn address() -> Address {
    Address { relay: keypair(8).peer_id(), rendezvous: Rendezvous([5; 32]) }
}

fn letter(body: Vec<u8>) -> Letter {
    Letter {
        seal_key: seal_keypair(3).public(),
        reply_to: address(),
        expires_at: NOW.after_s(30),
        session: SessionId([6; 16]),
        sequence: 7,
        body,
    }
}

fn sealed(body: Vec<u8>) -> Envelope {
    Envelope::seal(&letter(body), &keypair(1), &seal_keypair(4).public(), [9; 32]).unwrap()
}

fn meeting() -> Meeting {
    Meeting::new(&[1; 32], &ContentId([2; 32]), 500_000)
}

fn note() -> PresenceNote {
    let contact = Contact {
        peer: keypair(1).peer_id(),
        seal_key: seal_keypair(3).public(),
        address: address(),
    };
    PresenceNote { contact, expires_at: NOW.after_s(60) }
}

#[test]
fn an_envelope_has_one_of_three_lengths() {
    let lengths: BTreeSet<usize> = (0..=LETTER_BODY_BYTES_MAX)
        .step_by(97)
        .map(|n| sealed(vec![1; n]).as_bytes().len())
        .collect();
    let three = [ENVELOPE_SMALL_BYTES, ENVELOPE_MEDIUM_BYTES, ENVELOPE_LARGE_BYTES];
    assert_eq!(lengths, three.into());
    let room = ENVELOPE_SMALL_BYTES - ENVELOPE_OVERHEAD_BYTES - LETTER_HEADER_BYTES;
    assert_eq!(sealed(vec![1; room]).as_bytes().len(), ENVELOPE_SMALL_BYTES);
    assert_eq!(sealed(vec![1; room + 1]).as_bytes().len(), ENVELOPE_MEDIUM_BYTES);
    assert_eq!(sealed(vec![1; LETTER_BODY_BYTES_MAX]).as_bytes().len(), ENVELOPE_LARGE_BYTES);
    for length in (0..ENVELOPE_LARGE_BYTES + 2).filter(|length| !three.contains(length)) {
        let refused = Envelope::from_bytes(Bytes::from(vec![1; length]));
        assert_eq!(refused, Err(EnvelopeError::Length { got: length }));
    }
}

#[test]
fn a_body_over_the_limit_is_not_sealed() {
    let too_long = letter(vec![1; LETTER_BODY_BYTES_MAX + 1]);
    let refused = Envelope::seal(&too_long, &keypair(1), &seal_keypair(4).public(), [9; 32]);
    assert!(matches!(refused, Err(EnvelopeError::TooLong { .. })));
}

#[test]
fn who_it_is_not_for_reads_nothing() {
    assert_eq!(sealed(vec![1]).open(&seal_keypair(5), NOW), Err(EnvelopeError::Closed));
    let other = Meeting::new(&[9; 32], &ContentId([2; 32]), 500_000);
    let envelope = note().seal(&meeting(), &keypair(1), [9; 32]).unwrap();
    assert_eq!(PresenceNote::open(&envelope, &other, NOW), Err(EnvelopeError::Closed));
}

#[test]
fn keys_of_low_order_are_refused() {
    // 0, 1 and the two points of order eight, of RFC 7748's implementations' lists.
    let weak: [[u8; 32]; 4] = [
        [0; 32],
        core::array::from_fn(|at| u8::from(at == 0)),
        hex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
        hex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
    ];
    for key in weak {
        let refused = Envelope::seal(&letter(vec![]), &keypair(1), &SealPublicKey(key), [9; 32]);
        assert_eq!(refused, Err(EnvelopeError::WeakKey));
        let mut bytes = sealed(vec![1]).as_bytes().to_vec();
        bytes[1..33].copy_from_slice(&key);
        let envelope = Envelope::from_bytes(bytes.into()).unwrap();
        assert_eq!(envelope.open(&seal_keypair(4), NOW), Err(EnvelopeError::WeakKey));
    }
}

fn hex(text: &str) -> [u8; 32] {
    core::array::from_fn(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap())
}

#[test]
fn a_letter_counts_for_two_minutes_at_most() {
    let open_at = |expires_at: UnixTime, now| {
        let letter = Letter { expires_at, ..letter(vec![1]) };
        let envelope =
            Envelope::seal(&letter, &keypair(1), &seal_keypair(4).public(), [9; 32]).unwrap();
        let note = PresenceNote { expires_at, ..note() };
        let announced = note.seal(&meeting(), &keypair(1), [9; 32]).unwrap();
        let read = envelope.open(&seal_keypair(4), now).is_ok();
        assert_eq!(PresenceNote::open(&announced, &meeting(), now).is_ok(), read);
        read
    };
    let furthest = LETTER_LIFE_S_MAX + CLOCK_SKEW_S;
    assert!(open_at(NOW.after_s(furthest), NOW));
    assert!(!open_at(NOW.after_s(furthest + 1), NOW));
    assert!(open_at(NOW, NOW.after_s(CLOCK_SKEW_S - 1)));
    assert!(!open_at(NOW, NOW.after_s(CLOCK_SKEW_S)));
    assert!(!open_at(UnixTime(u64::MAX), NOW));
}

#[test]
fn the_reader_cannot_seal_a_letter_on_to_somebody_else() {
    // Whoever reads a letter has its signature; it names the envelope and the reader.
    let bob = Envelope::seal(&letter(vec![1]), &keypair(1), &seal_keypair(4).public(), [9; 32]);
    let carol = Envelope::seal(&letter(vec![1]), &keypair(1), &seal_keypair(5).public(), [9; 32]);
    let (bob, carol) = (bob.unwrap(), carol.unwrap());
    assert_ne!(bob.as_bytes()[1..33], carol.as_bytes()[1..33], "one randomness, two keys");
}

#[test]
fn the_same_randomness_for_two_letters_gives_two_keys() {
    let keys: BTreeSet<Vec<u8>> =
        (0..20).map(|n| sealed(vec![n]).as_bytes()[1..33].to_vec()).collect();
    assert_eq!(keys.len(), 20);
    assert_eq!(sealed(vec![1]), sealed(vec![1]));
}

#[test]
fn a_note_is_signed_by_who_it_is_about() {
    let refused = note().seal(&meeting(), &keypair(2), [9; 32]);
    assert_eq!(refused, Err(EnvelopeError::Signature));
}

#[test]
fn letters_and_notes_are_not_taken_for_each_other() {
    let envelope = note().seal(&meeting(), &keypair(1), [9; 32]).unwrap();
    assert_eq!(
        envelope.open(&seal_keypair(4), NOW),
        Err(EnvelopeError::Version { expected: 1, got: 2 })
    );
    assert_eq!(
        PresenceNote::open(&sealed(vec![1]), &meeting(), NOW),
        Err(EnvelopeError::Version { expected: 2, got: 1 })
    );
}

#[test]
fn a_seal_key_follows_from_an_identity() {
    let key = SealKeypair::of_identity(&keypair(1)).public();
    assert_eq!(key, SealKeypair::of_identity(&keypair(1)).public());
    assert_ne!(key, SealKeypair::of_identity(&keypair(2)).public());
    assert_ne!(key, seal_keypair(1).public());
    assert!(!format!("{:?}", seal_keypair(0x42)).contains("4242"));
}

proptest! {
    #[test]
    fn what_is_sealed_is_what_is_read(
        body in prop::collection::vec(any::<u8>(), 0..2_000), sequence in any::<u32>(),
        session in any::<[u8; 16]>(), life in 0..LETTER_LIFE_S_MAX, randomness in any::<[u8; 32]>(),
    ) {
        let letter = Letter {
            sequence, session: SessionId(session), expires_at: NOW.after_s(life), ..letter(body)
        };
        let envelope =
            Envelope::seal(&letter, &keypair(1), &seal_keypair(4).public(), randomness).unwrap();
        let read = envelope.open(&seal_keypair(4), NOW).unwrap();
        prop_assert_eq!(read, (keypair(1).peer_id(), letter));
    }

    #[test]
    fn any_flipped_bit_is_refused(at in any::<prop::sample::Index>(), size in 0_usize..2) {
        let envelope = sealed(vec![1; size * 1_000]);
        let announced = note().seal(&meeting(), &keypair(1), [9; 32]).unwrap();
        let flipped = |envelope: &Envelope| {
            let mut bytes = envelope.as_bytes().to_vec();
            let bit = at.index(bytes.len() * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
            Envelope::from_bytes(bytes.into()).unwrap()
        };
        prop_assert!(flipped(&envelope).open(&seal_keypair(4), NOW).is_err());
        prop_assert!(PresenceNote::open(&flipped(&announced), &meeting(), NOW).is_err());
    }

    #[test]
    fn any_bytes_are_refused_without_a_panic(seed in any::<[u8; 32]>(), version in 0_u8..4) {
        let mut bytes: Vec<u8> = seed.into_iter().cycle().take(ENVELOPE_SMALL_BYTES).collect();
        bytes[0] = version;
        let envelope = Envelope::from_bytes(bytes.into()).unwrap();
        prop_assert!(envelope.open(&seal_keypair(4), NOW).is_err());
        prop_assert!(PresenceNote::open(&envelope, &meeting(), NOW).is_err());
    }
}
