//! Relay frames have four lengths on the wire and one form each.

#![expect(clippy::unwrap_used, reason = "a test panics where it fails")]

use std::collections::BTreeSet;

use bytes::{Bytes, BytesMut};
use pop_signal::limits::{
    ENVELOPE_LARGE_BYTES, ENVELOPE_MEDIUM_BYTES, ENVELOPE_SMALL_BYTES, FRAME_CONTROL_BYTES,
    FRAME_HEADER_BYTES, FRAME_LARGE_BYTES, FRAME_MEDIUM_BYTES, FRAME_SMALL_BYTES,
    RETRY_AFTER_MS_MAX,
};
use pop_signal::message::{Attachment, BODY_BYTES_MAX, Destination, RefusedReason, RelayMessage};
use pop_signal::topic::Topic;
use pop_signal::{Address, Envelope, Rendezvous};
use pop_wire::{FrameSplitter, Keypair};
use proptest::prelude::*;

/// One of every kind, with every size of envelope where it carries one.
fn every_message() -> Vec<RelayMessage> {
    let (rendezvous, topic) = (Rendezvous([1; 32]), Topic([2; 32]));
    let relay = Keypair::from_secret_bytes(&[3; 32]).unwrap().peer_id();
    let to = Address { relay, rendezvous };
    let mut all = vec![
        RelayMessage::Attach { rendezvous, attachment: Attachment::Once },
        RelayMessage::Attach { rendezvous, attachment: Attachment::Session },
        RelayMessage::Detach { rendezvous },
        RelayMessage::Join { topic },
        RelayMessage::Leave { topic },
        RelayMessage::Members { topic, count: u32::MAX },
        RelayMessage::Elsewhere { topic, count: 0 },
    ];
    all.extend(
        [
            RefusedReason::Rate,
            RefusedReason::Rendezvous,
            RefusedReason::Topics,
            RefusedReason::Full,
            RefusedReason::UnknownRelay,
        ]
        .map(|reason| RelayMessage::Refused { reason, retry_after_ms: RETRY_AFTER_MS_MAX }),
    );
    for bytes in [ENVELOPE_SMALL_BYTES, ENVELOPE_MEDIUM_BYTES, ENVELOPE_LARGE_BYTES] {
        let envelope = Envelope::from_bytes(Bytes::from(vec![0xff; bytes])).unwrap();
        all.push(RelayMessage::Send { to, envelope: envelope.clone() });
        all.push(RelayMessage::Announce { topic, envelope: envelope.clone() });
        for to in [Destination::Rendezvous(rendezvous), Destination::Topic(topic)] {
            all.push(RelayMessage::Deliver { to, envelope: envelope.clone() });
            all.push(RelayMessage::Forward { to, last: true, envelope: envelope.clone() });
        }
        let to = Destination::Topic(topic);
        all.push(RelayMessage::Forward { to, last: false, envelope: envelope.clone() });
    }
    all
}

fn frame(message: &RelayMessage) -> BytesMut {
    let mut out = BytesMut::new();
    message.encode_frame(&mut out);
    out
}

fn body(message: &RelayMessage) -> Bytes {
    frame(message).freeze().slice(2..)
}

#[test]
fn every_message_survives_the_wire() {
    let mut splitter = FrameSplitter::new();
    splitter.limit_bodies(BODY_BYTES_MAX);
    for message in every_message() {
        splitter.push(&frame(&message));
        let body = splitter.next_frame().unwrap().unwrap();
        assert_eq!(RelayMessage::decode(body).unwrap(), message);
    }
    assert_eq!(splitter.buffered_bytes(), 0);
}

#[test]
fn there_are_four_lengths_on_the_wire() {
    let four = [FRAME_CONTROL_BYTES, FRAME_SMALL_BYTES, FRAME_MEDIUM_BYTES, FRAME_LARGE_BYTES];
    let seen: BTreeSet<usize> = every_message()
        .iter()
        .map(|message| {
            let length = frame(message).len();
            assert_eq!(length, message.frame_bytes());
            length
        })
        .collect();
    assert_eq!(seen, four.into());
    for message in every_message() {
        for length in [0, 1, body(&message).len() - 1, body(&message).len() + 1] {
            let mut other = body(&message).to_vec();
            other.resize(length, 0);
            assert!(RelayMessage::decode(other.into()).is_err());
        }
    }
}

#[test]
fn a_kind_with_an_envelope_is_refused_without_and_the_other_way() {
    for message in every_message() {
        let mut bytes = body(&message).to_vec();
        if message.envelope().is_some() {
            bytes.truncate(FRAME_CONTROL_BYTES - 2);
        } else {
            bytes.resize(FRAME_SMALL_BYTES - 2, 0);
        }
        assert!(RelayMessage::decode(bytes.into()).is_err(), "{message:?}");
    }
}

#[test]
fn a_rendezvous_is_at_one_relay() {
    let envelope = Envelope::from_bytes(Bytes::from(vec![0xff; ENVELOPE_SMALL_BYTES])).unwrap();
    let to = Destination::Rendezvous(Rendezvous([1; 32]));
    let last = RelayMessage::Forward { to, last: true, envelope: envelope.clone() };
    let mut bytes = body(&last).to_vec();
    bytes[1 + 33] = 0;
    assert!(RelayMessage::decode(bytes.into()).is_err());
    let further = RelayMessage::Forward { to, last: false, envelope };
    assert_eq!(body(&further), body(&last), "never sent otherwise");
}

#[test]
fn a_wait_over_the_limit_is_refused() {
    let refused =
        RelayMessage::Refused { reason: RefusedReason::Rate, retry_after_ms: RETRY_AFTER_MS_MAX };
    let mut bytes = body(&refused).to_vec();
    bytes[2..6].copy_from_slice(&(RETRY_AFTER_MS_MAX + 1).to_be_bytes());
    assert!(RelayMessage::decode(bytes.into()).is_err());
    let longer = RelayMessage::Refused { reason: RefusedReason::Rate, retry_after_ms: u32::MAX };
    assert_eq!(RelayMessage::decode(body(&longer)).unwrap(), refused, "never sent longer");
}

proptest! {
    #[test]
    fn a_message_has_one_form(which in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), flip in 1_u8..) {
        let all = every_message();
        let message = which.get(&all);
        let mut bytes = body(message).to_vec();
        let at = at.index(bytes.len().min(FRAME_HEADER_BYTES - 2));
        bytes[at] ^= flip;
        if let Ok(other) = RelayMessage::decode(bytes.clone().into()) {
            prop_assert_ne!(&other, message);
            prop_assert_eq!(&body(&other)[..], &bytes[..]);
        }
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(
        kind in 0_u8..14, start in prop::collection::vec(any::<u8>(), 0..80), size in 0_usize..4,
    ) {
        let sizes = [FRAME_CONTROL_BYTES, FRAME_SMALL_BYTES, FRAME_MEDIUM_BYTES, FRAME_LARGE_BYTES];
        let mut bytes = [&[kind][..], &start].concat();
        bytes.resize(sizes[size] - 2, 0);
        if let Ok(message) = RelayMessage::decode(bytes.clone().into()) {
            prop_assert_eq!(&body(&message)[..], &bytes[..]);
        }
    }
}
