//! A browser's half of a WebRTC session, over real UDP, as the page builds it: an offer of its own,
//! an answer that it makes up from the node's address.

use std::net::SocketAddr;
use std::time::Duration;

use libp2p::Multiaddr;
use libp2p::multiaddr::Protocol;
use pop_node::clock::{monotonic_now, random_bytes};
use pop_signal::DtlsFingerprint;
use pop_signal::handshake::ChannelBinding;
use pop_wire::Keypair;
use str0m::channel::{ChannelConfig, ChannelId};
use str0m::crypto::Fingerprint;
use str0m::net::{Protocol as Transport, Receive};
use str0m::{Candidate, Event, IceCreds, Input, Output, Rtc, RtcConfig};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, WriteHalf};
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, oneshot};
use tokio_util::compat::TokioAsyncReadCompatExt as _;

use crate::browser::{Link, Pipe, fetch, greet, socket_address};
use crate::network::{HANG, Network, wait_for};

/// Bytes of a message that this browser sends.
const PIECE_BYTES: usize = 1_013;

/// What a page puts in front of its password.
const PREFIX: &str = "libp2p+webrtc+v2/";

/// The WebRTC address of a node.
fn rtc_address(node: &pop_node::Node) -> Multiaddr {
    let is_rtc = |address: &Multiaddr| address.iter().any(|part| part == Protocol::WebRTCDirect);
    node.web_addresses().into_iter().find(is_rtc).unwrap()
}

/// A session: a pipe a channel, and what ties proofs to it.
struct Dialled {
    pipes: Vec<Pipe>,
    binding: ChannelBinding,
}

struct Page {
    rtc: Rtc,
    socket: UdpSocket,
    local: SocketAddr,
    channels: Vec<ChannelId>,
    open: usize,
    links: Vec<WriteHalf<DuplexStream>>,
    connected: Option<oneshot::Sender<()>>,
}

/// Dial a node; none if it does not answer within `patience`.
async fn dial(address: &Multiaddr, patience: Duration) -> Option<Dialled> {
    let remote = socket_address(address);
    let certhash = address.iter().find_map(|part| match part {
        Protocol::Certhash(hash) => Some(<[u8; 32]>::try_from(hash.digest()).unwrap()),
        _ => None,
    });
    let certhash = certhash.unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let local = socket.local_addr().unwrap();
    let mut rtc = RtcConfig::new().clear_codecs().build(monotonic_now());
    rtc.add_local_candidate(Candidate::host(local, "udp").unwrap());
    rtc.add_remote_candidate(Candidate::host(remote, "udp").unwrap());
    let secret = hex::encode(random_bytes().unwrap());
    let (name, password) = (secret[..8].to_owned(), secret[8..32].to_owned());
    let theirs = format!("{PREFIX}{password}");
    let mut api = rtc.direct_api();
    api.set_local_ice_credentials(IceCreds { ufrag: name, pass: password });
    api.set_remote_ice_credentials(IceCreds { ufrag: theirs.clone(), pass: theirs });
    api.set_ice_controlling(true);
    api.set_remote_fingerprint(Fingerprint {
        hash_func: "sha-256".to_owned(),
        bytes: certhash.to_vec(),
    });
    let ours = api.local_dtls_fingerprint().bytes.as_slice().try_into().unwrap();
    let binding = ChannelBinding::webrtc(DtlsFingerprint(ours), DtlsFingerprint(certhash));
    api.start_dtls(true).unwrap();
    api.start_sctp(true);
    let config = |number| ChannelConfig { negotiated: Some(number), ..Default::default() };
    let channels = (0..4).map(|number| api.create_data_channel(config(number))).collect();
    let (mut pipes, mut links, (pieces, queue)) = (Vec::new(), Vec::new(), mpsc::channel(1));
    for index in 0..4 {
        let (near, far) = tokio::io::duplex(1 << 16);
        let (mut read_half, write_half) = tokio::io::split(far);
        let pieces = pieces.clone();
        tokio::spawn(async move {
            let mut piece = vec![0; PIECE_BYTES];
            while let Ok(bytes @ 1..) = read_half.read(&mut piece).await {
                if pieces.send((index, piece[..bytes].to_vec())).await.is_err() {
                    return;
                }
            }
        });
        pipes.push(near.compat());
        links.push(write_half);
    }
    let (connected, is_connected) = oneshot::channel();
    let page = Page { rtc, socket, local, channels, open: 0, links, connected: Some(connected) };
    tokio::spawn(page.run(queue));
    tokio::time::timeout(patience, is_connected).await.ok()?.ok()?;
    Some(Dialled { pipes, binding })
}

impl Page {
    async fn run(mut self, mut pieces: mpsc::Receiver<(usize, Vec<u8>)>) {
        let mut waiting: Option<(usize, Vec<u8>)> = None;
        let mut buffer = vec![0; 2_048];
        loop {
            if let Some((index, piece)) = &waiting {
                let channel = self.rtc.channel(self.channels[*index]);
                if channel.is_none_or(|mut channel| channel.write(true, piece).unwrap_or(true)) {
                    waiting = None;
                }
            }
            let Some(wake) = self.drain().await else { return };
            tokio::select! {
                received = self.socket.recv_from(&mut buffer) => {
                    let Ok((bytes, source)) = received else { continue };
                    let receive = Receive::new(Transport::Udp, source, self.local, &buffer[..bytes]);
                    let input = Input::Receive(monotonic_now(), receive.unwrap());
                    if self.rtc.accepts(&input) && self.rtc.handle_input(input).is_err() {
                        return;
                    }
                }
                piece = pieces.recv(), if waiting.is_none() && self.connected.is_none() => {
                    match piece {
                        Some(piece) => waiting = Some(piece),
                        // The test is done with it: an abrupt end, as of a closed tab.
                        None => return,
                    }
                }
                () = tokio::time::sleep_until(wake.into()) => {
                    if self.rtc.handle_input(Input::Timeout(monotonic_now())).is_err() {
                        return;
                    }
                }
            }
        }
    }

    async fn drain(&mut self) -> Option<std::time::Instant> {
        loop {
            match self.rtc.poll_output().ok()? {
                Output::Timeout(at) => return Some(at),
                Output::Transmit(datagram) => {
                    let _lost = self.socket.send_to(&datagram.contents, datagram.destination).await;
                }
                Output::Event(Event::ChannelOpen(..)) => {
                    self.open += 1;
                    if self.open == self.channels.len() {
                        self.connected.take().map(|connected| connected.send(()));
                    }
                }
                Output::Event(Event::ChannelData(data)) => {
                    let index = self.channels.iter().position(|id| *id == data.id).unwrap();
                    self.links[index].write_all(&data.data).await.ok()?;
                }
                Output::Event(Event::ChannelClose(id)) => {
                    let index = self.channels.iter().position(|channel| *channel == id).unwrap();
                    self.links[index].shutdown().await.ok()?;
                }
                Output::Event(Event::Closed) => return None,
                Output::Event(_) => {}
            }
        }
    }
}

fn keypair(number: u8) -> Keypair {
    Keypair::from_secret_bytes(&[number; 32]).unwrap()
}

#[tokio::test]
async fn a_browser_fetches_a_film_over_webrtc() {
    let network = Network::start(5).await;
    let film = network.publish().await;
    let mut links = Vec::new();
    for node in &network.nodes {
        let address = rtc_address(node);
        let mut dialled = dial(&address, HANG).await.unwrap();
        let mut pipe = dialled.pipes.swap_remove(0);
        greet(&mut pipe, &keypair(81), &address, dialled.binding.clone()).await;
        links.push((Link::start(pipe).await, dialled));
    }
    let (mut links, _others): (Vec<Link>, Vec<Dialled>) = links.into_iter().unzip();
    assert!(fetch(&film, &mut links).await == film.bytes);
}

#[tokio::test]
async fn both_exchange_channels_serve_and_the_ledgers_is_silent_where_there_is_none() {
    let network = Network::start(3).await;
    let film = network.publish().await;
    let address = rtc_address(&network.nodes[0]);
    let Dialled { mut pipes, binding } = dial(&address, HANG).await.unwrap();
    let mut ledger = pipes.pop().unwrap();
    let mut questions = pipes.swap_remove(1);
    let mut fetching = pipes.swap_remove(0);
    greet(&mut questions, &keypair(82), &address, binding.clone()).await;
    greet(&mut fetching, &keypair(82), &address, binding).await;
    let mut questions = Link::start(questions).await;
    let mut fetching = Link::start(fetching).await;
    assert_eq!(questions.manifest(film.link.content).await.id(), film.link.content);
    assert!(!fetching.holdings(film.link.content).await.is_empty());
    futures::AsyncWriteExt::write_all(&mut ledger, &[1; 100]).await.unwrap();
    assert!(!fetching.holdings(film.link.content).await.is_empty());
}

#[tokio::test]
async fn a_proof_for_another_channel_does_not_count() {
    let network = Network::start(1).await;
    let address = rtc_address(&network.nodes[0]);
    let Dialled { mut pipes, binding } = dial(&address, HANG).await.unwrap();
    let mut pipe = pipes.swap_remove(0);
    // Somebody in the middle has another certificate than the one that the browser signs for.
    let (mut handshake, first) = pop_signal::Handshake::new_dialer(
        &keypair(83),
        None,
        [9; 32],
        ChannelBinding::none(),
        pop_wire::Instant(0),
    );
    futures::AsyncWriteExt::write_all(&mut pipe, &first).await.unwrap();
    let body = crate::browser::frame(&mut pipe).await;
    let refused = handshake.receive(pop_wire::Instant(0), &body);
    assert_eq!(refused, Err(pop_signal::handshake::HandshakeError::BadProof));
    // And the node's side of it: a good signature over the wrong channel.
    let mut other = pipes.swap_remove(1);
    let (mut handshake, first) = pop_signal::Handshake::new_dialer(
        &keypair(83),
        None,
        [8; 32],
        binding,
        pop_wire::Instant(0),
    );
    futures::AsyncWriteExt::write_all(&mut other, &first).await.unwrap();
    let body = crate::browser::frame(&mut other).await;
    let proof = handshake.receive(pop_wire::Instant(0), &body).unwrap().send.unwrap();
    let mut wrong = proof.to_vec();
    *wrong.last_mut().unwrap() ^= 1;
    futures::AsyncWriteExt::write_all(&mut other, &wrong).await.unwrap();
    let mut rest = Vec::new();
    let ending = futures::AsyncReadExt::read_to_end(&mut other, &mut rest);
    tokio::time::timeout(HANG, ending).await.expect("it did not hang up").unwrap();
    assert!(rest.is_empty(), "a hello for nobody");
}

#[tokio::test]
async fn one_address_has_so_many_sessions_and_gets_them_back() {
    let network = Network::start(1).await;
    let address = rtc_address(&network.nodes[0]);
    let mut sessions = Vec::new();
    for _ in 0..64 {
        sessions.push(dial(&address, HANG).await.unwrap());
    }
    assert!(dial(&address, Duration::from_secs(2)).await.is_none());
    // Unproven, they end by themselves.
    wait_for(|| async { dial(&address, Duration::from_secs(1)).await.is_some() }).await;
}
