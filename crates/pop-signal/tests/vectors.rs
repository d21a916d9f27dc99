//! `spec/vectors/signal.json`: what this crate makes is what the vectors say, and what they say is
//! refused it refuses. After a change of the format:
//!
//! ```sh
//! POP_UPDATE_VECTORS=1 cargo test -p pop-signal --test vectors
//! ```

#![expect(clippy::unwrap_used, reason = "a test panics where it fails")]

use bytes::{Bytes, BytesMut};
use pop_signal::envelope::{Envelope, Letter, SessionId};
use pop_signal::handshake::{ChannelBinding, Handshake};
use pop_signal::message::{Attachment, Destination, RefusedReason, RelayMessage};
use pop_signal::relay::{self, Relay, RelayConfig};
use pop_signal::topic::{Contact, Meeting, PresenceNote, Topic};
use pop_signal::{Address, DtlsFingerprint, LinkId, Prefix, Rendezvous, SealKeypair};
use pop_wire::{ContentId, Instant, Keypair, PeerId, UnixTime};
use serde_json::{Value, json};

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../spec/vectors/signal.json");
const NOW: UnixTime = UnixTime(1_800_000_000);

fn hex(bytes: impl AsRef<[u8]>) -> String {
    bytes.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &Value) -> Vec<u8> {
    let text = text.as_str().unwrap();
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

fn keypair(byte: u8) -> Keypair {
    Keypair::from_secret_bytes(&[byte; 32]).unwrap()
}

fn public(peer: PeerId) -> String {
    hex(peer.public_key())
}

fn address(byte: u8) -> Address {
    Address { relay: keypair(8).peer_id(), rendezvous: Rendezvous([byte; 32]) }
}

fn vectors() -> Value {
    json!({
        "about": "Test vectors of spec/signal.md. Bytes are hex; secrets of nobody.",
        "handshakes": [
            handshake(ChannelBinding::none(), ""),
            handshake(
                ChannelBinding::webrtc(DtlsFingerprint([0xa1; 32]), DtlsFingerprint([0xa2; 32])),
                &hex([&b"webrtc"[..], &[0xa1; 32], &[0xa2; 32]].concat()),
            ),
        ],
        "envelopes": [letter(b"hello"), letter(&[])],
        "presence": presence(),
        "frames": frames(),
        "homes": homes(),
        "refused": refused(),
    })
}

fn handshake(binding: ChannelBinding, binding_hex: &str) -> Value {
    let now = Instant(0);
    let (mut dialer, challenge) =
        Handshake::new_dialer(&keypair(1), None, [0x11; 32], binding.clone(), now);
    let mut listener = Handshake::new_listener(&keypair(2), None, [0x22; 32], binding, now);
    // Each is shorter than 128 bytes but the answer, so the length has one byte or two.
    let body = |frame: &Bytes| frame.slice(if frame[0] < 0x80 { 1.. } else { 2.. });
    let answer = listener.receive(now, &body(&challenge)).unwrap().send.unwrap();
    let proof = dialer.receive(now, &body(&answer)).unwrap().send.unwrap();
    listener.receive(now, &body(&proof)).unwrap().done.unwrap();
    json!({
        "dialer": public(keypair(1).peer_id()),
        "listener": public(keypair(2).peer_id()),
        "binding": binding_hex,
        "challenge": hex(challenge),
        "answer": hex(answer),
        "proof": hex(proof),
    })
}

fn letter(body: &[u8]) -> Value {
    let letter = Letter {
        seal_key: SealKeypair::from_secret_bytes([3; 32]).public(),
        reply_to: address(5),
        expires_at: NOW.after_s(60),
        session: SessionId([6; 16]),
        sequence: 7,
        body: body.to_vec(),
    };
    let reader = SealKeypair::from_secret_bytes([4; 32]);
    let envelope = Envelope::seal(&letter, &keypair(1), &reader.public(), [9; 32]).unwrap();
    assert_eq!(envelope.open(&reader, NOW).unwrap(), (keypair(1).peer_id(), letter.clone()));
    json!({
        "randomness": hex([9; 32]),
        "reader_secret": hex([4; 32]),
        "reader_seal_key": hex(reader.public().0),
        "sender": public(keypair(1).peer_id()),
        "seal_key": hex(letter.seal_key.0),
        "relay": public(letter.reply_to.relay),
        "rendezvous": hex(letter.reply_to.rendezvous.0),
        "expires_at_s": letter.expires_at.0,
        "session": hex(letter.session.0),
        "sequence": letter.sequence,
        "body": hex(body),
        "envelope": hex(envelope.as_bytes()),
    })
}

fn presence() -> Value {
    let (key, content) = ([0x31; 32], ContentId([0x32; 32]));
    let meeting = &Meeting::at(&key, &content, NOW)[0];
    let contact = Contact {
        peer: keypair(1).peer_id(),
        seal_key: SealKeypair::from_secret_bytes([3; 32]).public(),
        address: address(5),
    };
    let note = PresenceNote { contact, expires_at: NOW.after_s(120) };
    let envelope = note.seal(meeting, &keypair(1), [9; 32]).unwrap();
    assert_eq!(PresenceNote::open(&envelope, meeting, NOW).unwrap(), note);
    json!({
        "content_key": hex(key),
        "content": hex(content.0),
        "now_s": NOW.0,
        "epoch": Topic::epoch(NOW),
        "topic": hex(meeting.topic().0),
        "randomness": hex([9; 32]),
        "peer": public(contact.peer),
        "seal_key": hex(contact.seal_key.0),
        "relay": public(contact.address.relay),
        "rendezvous": hex(contact.address.rendezvous.0),
        "expires_at_s": note.expires_at.0,
        "envelope": hex(envelope.as_bytes()),
    })
}

/// One of every kind. An envelope is 896 bytes of 0xee.
fn messages() -> Vec<(&'static str, RelayMessage)> {
    let (rendezvous, topic) = (Rendezvous([0x41; 32]), Topic([0x42; 32]));
    let envelope = Envelope::from_bytes(Bytes::from(vec![0xee; 896])).unwrap();
    let at = Destination::Rendezvous(rendezvous);
    let with = || envelope.clone();
    vec![
        ("attach", RelayMessage::Attach { rendezvous, attachment: Attachment::Once }),
        ("attach", RelayMessage::Attach { rendezvous, attachment: Attachment::Session }),
        ("detach", RelayMessage::Detach { rendezvous }),
        ("join", RelayMessage::Join { topic }),
        ("leave", RelayMessage::Leave { topic }),
        ("send", RelayMessage::Send { to: address(0x41), envelope: with() }),
        ("announce", RelayMessage::Announce { topic, envelope: with() }),
        ("deliver", RelayMessage::Deliver { to: at, envelope: with() }),
        ("deliver", RelayMessage::Deliver { to: Destination::Topic(topic), envelope: with() }),
        ("refused", RelayMessage::Refused { reason: RefusedReason::Rate, retry_after_ms: 60_000 }),
        ("forward", RelayMessage::Forward { to: at, last: true, envelope: with() }),
        (
            "forward",
            RelayMessage::Forward { to: Destination::Topic(topic), last: false, envelope: with() },
        ),
        ("members", RelayMessage::Members { topic, count: 300 }),
        ("elsewhere", RelayMessage::Elsewhere { topic, count: 0 }),
    ]
}

fn frames() -> Value {
    let frame = |(name, message): (&str, RelayMessage)| {
        let mut out = BytesMut::new();
        message.encode_frame(&mut out);
        assert_eq!(RelayMessage::decode(out.clone().freeze().slice(2..)).unwrap(), message);
        json!({ "name": name, "bytes": out.len(), "start": hex(&out[..FRAME_START]) })
    };
    messages().into_iter().map(frame).collect()
}

/// Bytes of a frame that are in the vectors: what follows are zeros, or the envelope.
const FRAME_START: usize = 128;

/// Of ten masternodes the homes of a topic: to which one that is none reports, in turn.
fn homes() -> Value {
    let masternodes: Vec<PeerId> = (51..61).map(|byte| keypair(byte).peer_id()).collect();
    let topic = Topic([0x42; 32]);
    let mut homes = Vec::new();
    // Another one than those that are found is asked; a second look excludes the first.
    for me in &masternodes {
        let mut relay = Relay::new(*me, RelayConfig::default(), [0; 32]);
        let known = masternodes.iter().copied().collect();
        let mut input = |input| {
            relay.handle(Instant(0), input).unwrap();
            std::iter::from_fn(|| relay.poll()).collect::<Vec<_>>()
        };
        input(relay::Input::Known { masternodes: known });
        let prefix = Prefix::of([192, 0, 2, 1].into());
        input(relay::Input::ClientUp { link: LinkId(1), prefix });
        let mut told = Vec::new();
        for _ in 0..3 {
            let message = RelayMessage::Join { topic };
            for output in input(relay::Input::Message { link: LinkId(1), message }) {
                if let relay::Output::Dial { peer } = output {
                    told.push(peer);
                }
            }
        }
        if told.len() == 2 {
            homes.push(told);
        }
    }
    assert_eq!(homes.len(), 8, "two of the ten are homes themselves");
    assert!(homes.iter().all(|told| *told == homes[0]));
    json!({
        "topic": hex(topic.0),
        "masternodes": masternodes.iter().copied().map(public).collect::<Vec<_>>(),
        "homes": homes[0].iter().copied().map(public).collect::<Vec<_>>(),
    })
}

fn refused() -> Value {
    let attach = &frames()[0]["start"];
    let mut padded = unhex(attach);
    padded.resize(256, 0);
    let with = |at: usize, byte: u8| {
        let mut frame = padded.clone();
        frame[at] = byte;
        frame
    };
    let mut longer = padded.clone();
    longer.push(0);
    let mut attach_with_envelope = padded.clone();
    attach_with_envelope.resize(1_024, 0);
    attach_with_envelope[0..2].copy_from_slice(&[0xfe, 0x07]);
    let cases = [
        ("a byte after the fields that is not zero", with(255, 1)),
        ("an attachment of no kind", with(35, 3)),
        ("a frame of no kind", with(2, 12)),
        ("a kind without an envelope that has one", attach_with_envelope),
        ("a kind with an envelope that has none", with(2, 5)),
        ("no length of a relay frame", longer),
    ];
    let case = |(why, frame): (&str, Vec<u8>)| {
        let body = Bytes::from(frame.clone()).slice(2..);
        assert!(RelayMessage::decode(body).is_err(), "{why}");
        json!({ "why": why, "frame": hex(frame) })
    };
    cases.into_iter().map(case).collect()
}

#[test]
fn the_vectors_are_what_this_crate_makes() {
    let fresh = vectors();
    if std::env::var_os("POP_UPDATE_VECTORS").is_some() {
        std::fs::write(PATH, format!("{fresh:#}\n")).unwrap();
    }
    let stored: Value = serde_json::from_str(&std::fs::read_to_string(PATH).unwrap()).unwrap();
    assert!(stored == fresh, "stale: the head of this test says what to run");
}
