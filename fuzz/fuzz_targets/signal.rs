//! Signalling: bytes as frames of relays, handshakes, envelopes, descriptions; and a relay under any
//! order of clients, relays, messages and times. No panic; one form of each frame; no proof and no
//! letter out of bytes of nobody; a relay never sends more than it got, nor holds more than it may.

#![no_main]

use std::cell::LazyCell;

use arbitrary::{Arbitrary, Unstructured};
use bytes::{Bytes, BytesMut};
use libfuzzer_sys::fuzz_target;
use pop_fuzz::keypair;
use pop_signal::handshake::{ChannelBinding, Handshake};
use pop_signal::message::{Attachment, Destination, RelayMessage};
use pop_signal::relay::{Input, Output, Relay, RelayConfig};
use pop_signal::topic::{Meeting, PresenceNote, Topic};
use pop_signal::{Address, DtlsFingerprint, Envelope, LinkId, Prefix, Rendezvous, SealKeypair};
use pop_wire::{ContentId, Instant, Keypair, PeerId, UnixTime};

fuzz_target!(|data: &[u8]| {
    let Some((selector, rest)) = data.split_first() else { return };
    match selector % 5 {
        0 => frame(rest),
        1 => handshake(rest),
        2 => envelope(rest),
        3 => {
            if let Ok(sdp) = core::str::from_utf8(rest) {
                let _read = DtlsFingerprint::from_sdp(sdp);
            }
        }
        _ => {
            let _too_short = operate(&mut Unstructured::new(rest));
        }
    }
});

fn frame(start: &[u8]) {
    let Some((size, start)) = start.split_first() else { return };
    let mut body = start.to_vec();
    body.resize([256, 1_024, 4_096, 16_384][usize::from(size % 4)] - 2, 0);
    if let Ok(message) = RelayMessage::decode(body.clone().into()) {
        let mut out = BytesMut::new();
        message.encode_frame(&mut out);
        assert_eq!(&out[2..], &body[..], "a message has one form");
    }
}

fn handshake(body: &[u8]) {
    let (now, binding) = (Instant(0), ChannelBinding::none());
    let mut listener = Handshake::new_listener(&keypair(), None, [1; 32], binding.clone(), now);
    if let Ok(step) = listener.receive(now, body) {
        assert!(step.done.is_none(), "a challenge proves nothing");
        assert!(listener.receive(now, body).is_err());
    }
    let (mut dialer, _) = Handshake::new_dialer(&keypair(), None, [1; 32], binding, now);
    if let Ok(step) = dialer.receive(now, body) {
        // A listener with an empty binding and our nonce may have been recorded by nobody.
        assert!(step.done.is_none(), "nobody knows this nonce");
    }
}

fn envelope(start: &[u8]) {
    let Some((size, start)) = start.split_first() else { return };
    let mut bytes = start.to_vec();
    bytes.resize([896, 3_968, 16_256][usize::from(size % 3)], 0);
    let envelope = Envelope::from_bytes(bytes.into()).expect("one of the sizes");
    let reader = SealKeypair::from_secret_bytes([2; 32]);
    assert!(envelope.open(&reader, UnixTime(1_800_000_000)).is_err());
    let meeting = Meeting::new(&[3; 32], &ContentId([4; 32]), 500_000);
    assert!(PresenceNote::open(&envelope, &meeting, UnixTime(1_800_000_000)).is_err());
}

#[derive(Debug, Arbitrary)]
enum Operation {
    Client { link: u8, prefix: u8 },
    Relay { link: u8, peer: u8 },
    Down { link: u8 },
    Failed { peer: u8 },
    Known { peers: [bool; PEERS] },
    Message { link: u8, kind: u8, place: u8, peer: u8, large: bool },
    Wait { ms: u16 },
}

const PEERS: usize = 4;

thread_local! {
    static IDS: LazyCell<[PeerId; PEERS]> = LazyCell::new(|| {
        [1, 2, 3, 4].map(|byte| Keypair::from_secret_bytes(&[byte; 32]).expect("valid").peer_id())
    });
}

fn peer(number: u8) -> PeerId {
    IDS.with(|ids| ids[usize::from(number) % PEERS])
}

fn message(kind: u8, place: u8, at: u8, large: bool) -> RelayMessage {
    let (rendezvous, topic) = (Rendezvous([place % 8; 32]), Topic([place % 4; 32]));
    let bytes = if large { 3_968 } else { 896 };
    let envelope = Envelope::from_bytes(Bytes::from(vec![place; bytes])).expect("a size");
    let to =
        if at & 8 == 0 { Destination::Rendezvous(rendezvous) } else { Destination::Topic(topic) };
    match kind % 12 {
        0 => RelayMessage::Attach { rendezvous, attachment: Attachment::Once },
        1 => RelayMessage::Attach { rendezvous, attachment: Attachment::Session },
        2 => RelayMessage::Detach { rendezvous },
        3 => RelayMessage::Join { topic },
        4 => RelayMessage::Leave { topic },
        5 | 6 => RelayMessage::Send { to: Address { relay: peer(at), rendezvous }, envelope },
        7 | 8 => RelayMessage::Announce { topic, envelope },
        9 => RelayMessage::Forward { to, last: at & 16 != 0, envelope },
        10 => RelayMessage::Members { topic, count: at.into() },
        _ => RelayMessage::Elsewhere { topic, count: at.into() },
    }
}

fn operate(input: &mut Unstructured<'_>) -> arbitrary::Result<()> {
    let mut config = RelayConfig::default();
    config.clients_max = 6;
    config.clients_per_prefix_max = 3;
    config.rendezvous_max = 5;
    config.rendezvous_per_client_max = 3;
    config.topics_max = 3;
    config.topics_per_client_max = 2;
    config.relays_max = 3;
    config.prefixes_max = 4;
    config.dials_max = 2;
    config.waiting_bytes_max = 8 * 1_024;
    config.prefix_rate.messages_burst = 40;
    let mut relay = Relay::new(peer(0), config.clone(), [5; 32]);
    let mut now = Instant(0);
    while !input.is_empty() {
        let event = match Operation::arbitrary(input)? {
            Operation::Client { link, prefix } => {
                let prefix = if prefix == 0 { Prefix::Own } else { Prefix::V4([prefix % 6; 4]) };
                Input::ClientUp { link: LinkId((link % 16).into()), prefix }
            }
            Operation::Relay { link, peer: who } => {
                Input::RelayUp { link: LinkId((link % 16).into()), peer: peer(who) }
            }
            Operation::Down { link } => Input::LinkDown { link: LinkId((link % 16).into()) },
            Operation::Failed { peer: who } => Input::DialFailed { peer: peer(who) },
            Operation::Known { peers } => {
                let known = (0_u8..).zip(peers).filter(|(_, known)| *known);
                Input::Known { masternodes: known.map(|(number, _)| peer(number)).collect() }
            }
            Operation::Message { link, kind, place, peer, large } => {
                let message = message(kind, place, peer, large);
                Input::Message { link: LinkId((link % 16).into()), message }
            }
            Operation::Wait { ms } => {
                now = now.after_ms(u64::from(ms) * 8);
                Input::Tick
            }
        };
        let _link_in_use = relay.handle(now, event);
        let mut messages = 0;
        while let Some(output) = relay.poll() {
            messages += usize::from(matches!(output, Output::Send { .. }));
        }
        let (stats, holdings) = (relay.stats(), relay.holdings());
        assert!(stats.sent <= stats.received && stats.sent_bytes <= stats.received_bytes);
        assert!(messages <= 1 || holdings.relays > 0, "only what waited goes out together");
        assert_eq!((holdings.outputs, holdings.output_bytes), (0, 0));
        assert!(holdings.rendezvous <= config.rendezvous_max + 1, "and the relay's own");
        assert!(holdings.topics <= config.topics_max);
        assert!(holdings.relays <= config.relays_max);
        assert!(holdings.prefixes <= config.prefixes_max);
        assert!(holdings.waiting_bytes <= config.waiting_bytes_max);
    }
    Ok(())
}
