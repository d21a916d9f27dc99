//! Two relays that know each other's addresses, in two swarms on loopback: a letter that a viewer of
//! one gives up arrives at a viewer of the other, through the behaviour of this crate.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::io::{AllowStdIo, Cursor, WriteHalf};
use futures::{AsyncReadExt as _, AsyncWriteExt as _, StreamExt as _};
use libp2p::identity::{Keypair as Identity, secp256k1};
use libp2p::swarm::SwarmEvent;
use libp2p::{Multiaddr, Swarm, SwarmBuilder};
use pop_signal::libp2p::{Behaviour, Event, SignalStream, behaviour};
use pop_signal::limits::FRAME_SMALL_BYTES;
use pop_signal::message::{Attachment, Destination};
use pop_signal::relay::{Input, Output, Relay, RelayConfig};
use pop_signal::stream::MessageReader;
use pop_signal::{Address, Envelope, LinkId, Prefix, RelayMessage, Rendezvous};
use pop_wire::{Instant, Keypair, PeerId, StreamError, WireError};
use tokio::sync::mpsc;

/// The link of the one viewer that each relay has.
const VIEWER: LinkId = LinkId(1_000);

type Heard = mpsc::UnboundedSender<(LinkId, RelayMessage)>;

/// A relay in a swarm of its own.
struct Node {
    swarm: Swarm<Behaviour>,
    relay: Relay,
    address: Multiaddr,
    others: BTreeMap<PeerId, Multiaddr>,
    streams: BTreeMap<LinkId, WriteHalf<SignalStream>>,
    heard: (Heard, mpsc::UnboundedReceiver<(LinkId, RelayMessage)>),
}

impl Node {
    async fn start(keypair: &Keypair, secret: [u8; 32], masternodes: &BTreeSet<PeerId>) -> Self {
        let secret = secp256k1::SecretKey::try_from_bytes(secret).unwrap();
        let identity = Identity::from(secp256k1::Keypair::from(secret));
        let mut swarm = SwarmBuilder::with_existing_identity(identity)
            .with_tokio()
            .with_tcp(
                Default::default(),
                libp2p::noise::Config::new,
                libp2p::yamux::Config::default,
            )
            .unwrap()
            .with_behaviour(|_| behaviour())
            .unwrap()
            .build();
        swarm.listen_on("/ip4/127.0.0.1/tcp/0".parse().unwrap()).unwrap();
        let address = loop {
            if let SwarmEvent::NewListenAddr { address, .. } = swarm.select_next_some().await {
                break address;
            }
        };
        let mut relay = Relay::new(keypair.peer_id(), RelayConfig::default(), [4; 32]);
        let masternodes = masternodes.clone();
        relay.handle(Instant(0), Input::Known { masternodes }).unwrap();
        let prefix = Prefix::of([192, 0, 2, 1].into());
        relay.handle(Instant(0), Input::ClientUp { link: VIEWER, prefix }).unwrap();
        let (others, streams, heard) =
            (BTreeMap::new(), BTreeMap::new(), mpsc::unbounded_channel());
        Self { swarm, relay, address, others, streams, heard }
    }

    fn viewer_says(&mut self, message: RelayMessage) {
        self.relay.handle(Instant(0), Input::Message { link: VIEWER, message }).unwrap();
    }

    fn stream_up(&mut self, peer: libp2p::PeerId, stream: SignalStream) {
        let link = LinkId(u64::try_from(self.streams.len()).unwrap());
        let (read, write) = stream.split();
        self.streams.insert(link, write);
        let heard = self.heard.0.clone();
        tokio::spawn(async move {
            let mut messages = MessageReader::new(read);
            while let Some(message) = messages.read().await.unwrap() {
                heard.send((link, message)).unwrap();
            }
        });
        let peer = PeerId::from_libp2p_bytes(&peer.to_bytes()).unwrap();
        self.relay.handle(Instant(0), Input::RelayUp { link, peer }).unwrap();
    }

    /// Do what the relay wants done. What it tells its viewer is returned.
    async fn carry_out(&mut self) -> Option<RelayMessage> {
        while let Some(output) = self.relay.poll() {
            match output {
                Output::Send { link: VIEWER, message } => return Some(message),
                Output::Send { link, message } => {
                    let mut frame = BytesMut::new();
                    message.encode_frame(&mut frame);
                    let stream = self.streams.get_mut(&link).unwrap();
                    stream.write_all(&frame).await.unwrap();
                    stream.flush().await.unwrap();
                }
                Output::Dial { peer } => {
                    let address = self.others[&peer].clone();
                    let peer = libp2p::PeerId::from_bytes(&peer.to_libp2p_bytes()).unwrap();
                    self.swarm.behaviour_mut().open(peer, [address]);
                }
                other => panic!("{other:?}"),
            }
        }
        None
    }

    /// Run until the viewer is told something.
    async fn run(&mut self) -> RelayMessage {
        loop {
            if let Some(message) = self.carry_out().await {
                return message;
            }
            tokio::select! {
                event = self.swarm.select_next_some() => match event {
                    SwarmEvent::Behaviour(
                        Event::Opened { peer, stream, .. } | Event::Inbound { peer, stream },
                    ) => self.stream_up(peer, stream),
                    SwarmEvent::Behaviour(other) => panic!("{other:?}"),
                    _ => {}
                },
                Some((link, message)) = self.heard.1.recv() => {
                    self.relay.handle(Instant(0), Input::Message { link, message }).unwrap();
                }
            }
        }
    }
}

#[tokio::test]
async fn a_letter_passes_from_a_viewer_of_one_relay_to_a_viewer_of_another() {
    let secrets = [[1; 32], [2; 32]];
    let keypairs = secrets.map(|secret| Keypair::from_secret_bytes(&secret).unwrap());
    let masternodes = keypairs.iter().map(Keypair::peer_id).collect();
    let mut here = Node::start(&keypairs[0], secrets[0], &masternodes).await;
    let mut there = Node::start(&keypairs[1], secrets[1], &masternodes).await;
    here.others.insert(keypairs[1].peer_id(), there.address.clone());

    let rendezvous = Rendezvous([3; 32]);
    there.viewer_says(RelayMessage::Attach { rendezvous, attachment: Attachment::Once });
    let to = Address { relay: keypairs[1].peer_id(), rendezvous };
    let envelope = Envelope::from_bytes(Bytes::from(vec![7; FRAME_SMALL_BYTES - 128])).unwrap();
    here.viewer_says(RelayMessage::Send { to, envelope: envelope.clone() });

    let arrived = tokio::time::timeout(Duration::from_secs(60), async {
        tokio::select! {
            message = there.run() => message,
            message = here.run() => panic!("{message:?} to the sender"),
        }
    });
    let to = Destination::Rendezvous(rendezvous);
    assert_eq!(arrived.await.unwrap(), RelayMessage::Deliver { to, envelope });
}

#[tokio::test]
async fn what_is_no_frame_of_a_relay_ends_the_stream_and_names_the_peer() {
    let mut frame = BytesMut::new();
    let attach =
        RelayMessage::Attach { rendezvous: Rendezvous([3; 32]), attachment: Attachment::Once };
    attach.encode_frame(&mut frame);

    let mut whole = MessageReader::new(Cursor::new(frame.clone()));
    assert_eq!(whole.read().await.unwrap(), Some(attach));
    assert_eq!(whole.read().await.unwrap(), None);

    let mut cut = MessageReader::new(AllowStdIo::new(&frame[..frame.len() - 1]));
    let error = cut.read().await.unwrap_err();
    assert!(matches!(error, StreamError::Truncated { got } if got == frame.len() - 1), "{error}");

    // A length that no relay's frame has is refused before its body comes.
    let mut long = MessageReader::new(Cursor::new([0xff, 0xff, 0x7f]));
    let error = long.read().await.unwrap_err();
    assert!(matches!(error, StreamError::Wire(WireError::FrameLength { .. })), "{error}");
}
