//! The handshake proves who is at either end, and nothing else gets through it.

#![expect(clippy::unwrap_used, reason = "a test panics where it fails")]

use bytes::Bytes;
use pop_signal::DtlsFingerprint;
use pop_signal::handshake::{ChannelBinding, Handshake, HandshakeError, Proven};
use pop_signal::limits::{
    CHANNEL_BINDING_BYTES_MAX, HANDSHAKE_FRAME_BYTES_MAX, HANDSHAKE_TIMEOUT_MS,
};
use pop_wire::{FrameSplitter, Instant, Keypair, ProtocolVersion, WireError};
use proptest::prelude::*;

const START: Instant = Instant(1_000);

fn keypair(byte: u8) -> Keypair {
    Keypair::from_secret_bytes(&[byte; 32]).unwrap()
}

fn body(frame: &[u8]) -> Bytes {
    let mut splitter = FrameSplitter::new();
    splitter.limit_bodies(HANDSHAKE_FRAME_BYTES_MAX);
    splitter.push(frame);
    let body = splitter.next_frame().unwrap().unwrap();
    assert_eq!(splitter.buffered_bytes(), 0, "one frame");
    body
}

fn dialer(nonce: u8, binding: ChannelBinding) -> (Handshake, Bytes) {
    let expected = Some(keypair(2).peer_id());
    let (handshake, challenge) =
        Handshake::new_dialer(&keypair(1), expected, [nonce; 32], binding, START);
    (handshake, body(&challenge))
}

fn listener(nonce: u8, binding: ChannelBinding) -> Handshake {
    Handshake::new_listener(&keypair(2), None, [nonce; 32], binding, START)
}

/// Bodies of answer and proof of a handshake that succeeds.
fn conversation() -> [Bytes; 3] {
    let (mut alice, challenge) = dialer(3, ChannelBinding::none());
    let answer = body(
        &listener(4, ChannelBinding::none()).receive(START, &challenge).unwrap().send.unwrap(),
    );
    let proof = body(&alice.receive(START, &answer).unwrap().send.unwrap());
    [challenge, answer, proof]
}

#[test]
fn both_ends_learn_who_is_there() {
    let webrtc = ChannelBinding::webrtc(DtlsFingerprint([5; 32]), DtlsFingerprint([6; 32]));
    for binding in [ChannelBinding::none(), webrtc] {
        let (mut alice, challenge) = dialer(3, binding.clone());
        let mut bob = listener(4, binding);
        let step = bob.receive(START, &challenge).unwrap();
        assert_eq!(step.done, None, "not proven yet");
        let step = alice.receive(START, &body(&step.send.unwrap())).unwrap();
        let version = ProtocolVersion::V1;
        assert_eq!(step.done, Some(Proven { peer: keypair(2).peer_id(), version }));
        let step = bob.receive(START, &body(&step.send.unwrap())).unwrap();
        assert_eq!(step.done, Some(Proven { peer: keypair(1).peer_id(), version }));
        assert_eq!(step.send, None);
        assert_eq!(bob.receive(START, &challenge), Err(HandshakeError::Over));
    }
}

#[test]
fn a_peer_that_was_not_expected_is_refused_by_either_side() {
    let (keys, stranger) = ((keypair(1), keypair(2)), keypair(9).peer_id());
    let none = ChannelBinding::none;
    let (mut alice, challenge) =
        Handshake::new_dialer(&keys.0, Some(stranger), [3; 32], none(), START);
    let mut bob = listener(4, none());
    let answer = bob.receive(START, &body(&challenge)).unwrap().send.unwrap();
    let expected = HandshakeError::WrongPeer { expected: stranger, got: keys.1.peer_id() };
    assert_eq!(alice.receive(START, &body(&answer)), Err(expected));

    let mut bob = Handshake::new_listener(&keys.1, Some(stranger), [4; 32], none(), START);
    let expected = HandshakeError::WrongPeer { expected: stranger, got: keys.0.peer_id() };
    assert_eq!(bob.receive(START, &body(&challenge)), Err(expected));
}

#[test]
fn a_proof_for_another_channel_is_worth_nothing() {
    let (one, other) = (DtlsFingerprint([5; 32]), DtlsFingerprint([6; 32]));
    let channels = [
        ChannelBinding::none(),
        ChannelBinding::webrtc(one, other),
        ChannelBinding::webrtc(other, one),
        ChannelBinding::of_bytes(&[7; 32]).unwrap(),
    ];
    for (at, mine) in channels.iter().enumerate() {
        for (there, theirs) in channels.iter().enumerate() {
            let (mut alice, challenge) = dialer(3, mine.clone());
            let answer = listener(4, theirs.clone()).receive(START, &challenge).unwrap();
            let step = alice.receive(START, &body(&answer.send.unwrap()));
            assert_eq!(step.is_ok(), at == there, "{mine:?} and {theirs:?}");
        }
    }
}

#[test]
fn a_mirror_is_refused() {
    let (mut alice, challenge) = dialer(3, ChannelBinding::none());
    assert!(matches!(
        alice.receive(START, &challenge),
        Err(HandshakeError::Unexpected { expected: "an answer" })
    ));
    // A second link of ours, to which our own challenge is passed on.
    let mut ourselves =
        Handshake::new_listener(&keypair(1), None, [4; 32], ChannelBinding::none(), START);
    assert_eq!(ourselves.receive(START, &challenge), Err(HandshakeError::Ourselves));
    // A listener's proof is none of a dialer, though all else is the same.
    let mut bob = listener(4, ChannelBinding::none());
    let answer = body(&bob.receive(START, &challenge).unwrap().send.unwrap());
    let mut mirrored = vec![3];
    mirrored.extend_from_slice(&answer[answer.len() - 64..]);
    assert_eq!(bob.receive(START, &mirrored), Err(HandshakeError::BadProof));
}

#[test]
fn frames_of_an_earlier_handshake_are_worth_nothing() {
    let [challenge, answer, proof] = conversation();
    let (mut alice, _) = dialer(33, ChannelBinding::none());
    assert_eq!(alice.receive(START, &answer), Err(HandshakeError::BadProof));
    let mut bob = listener(44, ChannelBinding::none());
    bob.receive(START, &challenge).unwrap();
    assert_eq!(bob.receive(START, &proof), Err(HandshakeError::BadProof));
}

#[test]
fn a_handshake_that_takes_too_long_fails() {
    let [challenge, ..] = conversation();
    let mut bob = listener(4, ChannelBinding::none());
    assert_eq!(bob.deadline(), START.after_ms(HANDSHAKE_TIMEOUT_MS));
    let late = Err(HandshakeError::Late { limit_ms: HANDSHAKE_TIMEOUT_MS });
    assert_eq!(bob.receive(bob.deadline(), &challenge), late);
    assert_eq!(bob.receive(START, &challenge), Err(HandshakeError::Over));
    let mut bob = listener(4, ChannelBinding::none());
    assert!(bob.receive(Instant(bob.deadline().0 - 1), &challenge).is_ok());
}

#[test]
fn versions_without_overlap_are_refused_before_anything_is_signed() {
    let [challenge, ..] = conversation();
    let mut newer = challenge.to_vec();
    newer[1..5].copy_from_slice(&[0, 2, 0, 9]);
    let refused = listener(4, ChannelBinding::none()).receive(START, &newer);
    assert!(matches!(refused, Err(HandshakeError::Frame(WireError::Version { .. }))));
    // A range that begins with ours is fine, but changing it on the way is noticed.
    newer[1..5].copy_from_slice(&[0, 1, 0, 9]);
    let mut bob = listener(4, ChannelBinding::none());
    let answer = body(&bob.receive(START, &newer).unwrap().send.unwrap());
    let (mut alice, _) = dialer(3, ChannelBinding::none());
    assert_eq!(alice.receive(START, &answer), Err(HandshakeError::BadProof));
}

#[test]
fn frames_out_of_order_are_refused() {
    let [challenge, answer, proof] = conversation();
    for wrong in [&answer, &proof] {
        let mut bob = listener(4, ChannelBinding::none());
        let refused = HandshakeError::Unexpected { expected: "a challenge" };
        assert_eq!(bob.receive(START, wrong), Err(refused));
    }
    for wrong in [&challenge, &answer] {
        let mut bob = listener(4, ChannelBinding::none());
        bob.receive(START, &challenge).unwrap();
        let refused = HandshakeError::Unexpected { expected: "a proof" };
        assert_eq!(bob.receive(START, wrong), Err(refused));
    }
}

#[test]
fn a_channel_binding_has_a_limit() {
    assert!(ChannelBinding::of_bytes(&[0; CHANNEL_BINDING_BYTES_MAX]).is_ok());
    assert!(ChannelBinding::of_bytes(&[0; CHANNEL_BINDING_BYTES_MAX + 1]).is_err());
}

proptest! {
    #[test]
    fn no_frame_survives_a_flipped_bit(which in 0_usize..3, bit in any::<prop::sample::Index>()) {
        let mut frames = conversation().map(|frame| frame.to_vec());
        let at = bit.index(frames[which].len() * 8);
        frames[which][at / 8] ^= 1 << (at % 8);
        let (mut alice, _) = dialer(3, ChannelBinding::none());
        let mut bob = listener(4, ChannelBinding::none());
        let proven = match which {
            0 => bob.receive(START, &frames[0]).is_ok_and(|step| {
                alice.receive(START, &body(&step.send.unwrap())).is_ok()
            }),
            1 => alice.receive(START, &frames[1]).is_ok(),
            _ => {
                bob.receive(START, &frames[0]).unwrap();
                bob.receive(START, &frames[2]).is_ok()
            }
        };
        prop_assert!(!proven);
    }

    #[test]
    fn any_bytes_are_refused_without_a_panic(
        kind in 0_u8..5, bytes in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let frame = [&[kind][..], &bytes].concat();
        let (mut alice, _) = dialer(3, ChannelBinding::none());
        prop_assert!(alice.receive(START, &frame).is_err());
        let mut bob = listener(4, ChannelBinding::none());
        prop_assert!(bob.receive(START, &frame).is_err());
        prop_assert!(bob.receive(START, &bytes).is_err());
    }
}
