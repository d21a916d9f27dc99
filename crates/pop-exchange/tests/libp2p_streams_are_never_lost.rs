//! Eight streams opened at once, thirty times over: each arrives, and carries messages.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::VecDeque;
use std::time::Duration;

use futures::{AsyncReadExt as _, AsyncWriteExt as _, StreamExt as _};
use libp2p::swarm::SwarmEvent;
use libp2p::{Multiaddr, PeerId, Swarm, SwarmBuilder};
use pop_exchange::libp2p::{
    Behaviour, Event, ExchangeStream, INBOUND_STREAMS_PER_CONNECTION_MAX, OpenError,
};
use pop_exchange::link::{MessageReader, MessageWriter};
use pop_wire::Message;
use pop_wire::message::Credit;
use tokio::sync::mpsc;

type Node = Swarm<Behaviour>;

fn node() -> Node {
    SwarmBuilder::with_new_identity()
        .with_tokio()
        .with_tcp(Default::default(), libp2p::noise::Config::new, libp2p::yamux::Config::default)
        .unwrap()
        .with_behaviour(|_| Behaviour::new())
        .unwrap()
        .build()
}

async fn listening(node: &mut Node) -> Multiaddr {
    node.listen_on("/ip4/127.0.0.1/tcp/0".parse().unwrap()).unwrap();
    loop {
        if let SwarmEvent::NewListenAddr { address, .. } = node.select_next_some().await {
            return address;
        }
    }
}

/// Says one number and hears it back.
async fn say(stream: ExchangeStream, number: u64) {
    let (read, write) = stream.split();
    let mut writer = MessageWriter::new(write);
    let message = Message::Credit(Credit { bytes: number });
    writer.push(&message).unwrap();
    writer.flush().await.unwrap();
    let mut heard = VecDeque::new();
    assert!(MessageReader::new(read).read(&mut heard).await.unwrap());
    assert_eq!(heard, [message]);
}

async fn echo(mut stream: ExchangeStream) {
    let mut buffer = [0; 64];
    while let Ok(count @ 1..) = stream.read(&mut buffer).await {
        stream.write_all(&buffer[..count]).await.unwrap();
        stream.flush().await.unwrap();
    }
}

/// A node that echoes on every inbound stream, and says when it refused one.
fn echoing(mut node: Node) -> mpsc::UnboundedReceiver<usize> {
    let (refused, refusals) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        loop {
            match node.select_next_some().await {
                SwarmEvent::Behaviour(Event::Inbound { stream, .. }) => {
                    tokio::spawn(echo(stream));
                }
                SwarmEvent::Behaviour(Event::InboundRefused { max, .. }) => {
                    let _test_over = refused.send(max);
                }
                _ => {}
            }
        }
    });
    refusals
}

async fn next_event(node: &mut Node) -> Event {
    loop {
        if let SwarmEvent::Behaviour(event) = node.select_next_some().await {
            return event;
        }
    }
}

async fn within_a_minute<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), work).await.expect("a hang is a failure")
}

#[tokio::test]
async fn eight_streams_at_once_thirty_times() {
    within_a_minute(async {
        let (mut here, mut there) = (node(), node());
        let address = listening(&mut there).await;
        let peer = *there.local_peer_id();
        let _refusals = echoing(there);
        for round in 0..30 {
            // The first round dials, the others find the connection up.
            for _ in 0..8 {
                here.behaviour_mut().open(peer, [address.clone()]);
            }
            let mut talks = Vec::new();
            while talks.len() < 8 {
                match next_event(&mut here).await {
                    Event::Opened { stream, .. } => {
                        let number = round * 8 + u64::try_from(talks.len()).unwrap() + 1;
                        talks.push(tokio::spawn(say(stream, number)));
                    }
                    other => panic!("round {round}: {other:?}"),
                }
            }
            let mut talks = futures::future::join_all(talks);
            loop {
                tokio::select! {
                    done = &mut talks => {
                        done.into_iter().for_each(|talk| talk.unwrap());
                        break;
                    }
                    _ = here.select_next_some() => {}
                }
            }
        }
    })
    .await;
}

#[tokio::test]
async fn streams_beyond_the_limit_are_refused_with_an_event() {
    within_a_minute(async {
        let (mut here, mut there) = (node(), node());
        let address = listening(&mut there).await;
        let peer = *there.local_peer_id();
        let mut refusals = echoing(there);
        let mut open = Vec::new();
        for _ in 0..=INBOUND_STREAMS_PER_CONNECTION_MAX {
            here.behaviour_mut().open(peer, [address.clone()]);
            let Event::Opened { mut stream, .. } = next_event(&mut here).await else {
                panic!("expected a stream");
            };
            // libp2p negotiates with the first bytes; the refused stream may be gone already.
            let _refused = stream.write_all(b"x").await;
            let _refused = stream.flush().await;
            open.push(stream);
        }
        let refused = async {
            loop {
                tokio::select! {
                    max = refusals.recv() => return max,
                    _ = here.select_next_some() => {}
                }
            }
        };
        assert_eq!(refused.await, Some(INBOUND_STREAMS_PER_CONNECTION_MAX));
    })
    .await;
}

#[tokio::test]
async fn a_peer_that_cannot_be_reached_is_reported_once_for_each_attempt() {
    within_a_minute(async {
        let mut here = node();
        let nobody = PeerId::random();
        let closed: Multiaddr = "/ip4/127.0.0.1/tcp/1".parse().unwrap();
        let mut ids =
            [(); 3].map(|()| here.behaviour_mut().open(nobody, [closed.clone()])).to_vec();
        while !ids.is_empty() {
            let Event::OpenFailed { id, error, .. } = next_event(&mut here).await else {
                panic!("expected a failure");
            };
            assert!(matches!(error, OpenError::Dial(_)));
            assert!(ids.contains(&id), "once each");
            ids.retain(|other| *other != id);
        }
    })
    .await;
}
