//! Signalling through relays that don't know what they hand on.

use std::collections::HashSet;
use std::io::{BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};
use std::net::Ipv4Addr;
use std::process::{Child, Command, Stdio};

use bytes::{Bytes, BytesMut};
use futures::{AsyncReadExt as _, AsyncWriteExt as _};
use libp2p::Multiaddr;
use pop_node::clock::{random_bytes, unix_now};
use pop_signal::envelope::Letter;
use pop_signal::handshake::ChannelBinding;
use pop_signal::message::{Attachment, Destination};
use pop_signal::{Address, Envelope, RelayMessage, Rendezvous, SealKeypair, SessionId};
use pop_wire::{FrameSplitter, Keypair, PeerId};
use tokio::net::{TcpSocket, TcpStream};

use crate::browser::{Pipe, greet, pipe, socket, socket_address};
use crate::entries::get;
use crate::network::{HANG, Network, wait_for};

/// A browser's link to its relay.
struct Client {
    pipe: Pipe,
    splitter: FrameSplitter,
}

impl Client {
    async fn over(mut pipe: Pipe, keypair: &Keypair, address: &Multiaddr) -> Self {
        greet(&mut pipe, keypair, address, ChannelBinding::none()).await;
        Self { pipe, splitter: FrameSplitter::new() }
    }

    async fn dial(address: &Multiaddr, number: u8) -> Self {
        let keypair = Keypair::from_secret_bytes(&[number; 32]).unwrap();
        let pipe = pipe(socket(address, "/pop/signal/1").await.unwrap());
        Self::over(pipe, &keypair, address).await
    }

    async fn say(&mut self, message: RelayMessage) {
        let mut frame = BytesMut::new();
        message.encode_frame(&mut frame);
        self.pipe.write_all(&frame).await.unwrap();
        self.pipe.flush().await.unwrap();
    }

    async fn attach(&mut self, rendezvous: Rendezvous) {
        self.say(RelayMessage::Attach { rendezvous, attachment: Attachment::Session }).await;
    }

    async fn hear(&mut self) -> RelayMessage {
        let hearing = async {
            loop {
                if let Some(body) = self.splitter.next_frame().unwrap() {
                    return RelayMessage::decode(body).unwrap();
                }
                let mut piece = [0; 4_096];
                let bytes = self.pipe.read(&mut piece).await.unwrap();
                assert!(bytes > 0, "the relay hung up");
                self.splitter.push(&piece[..bytes]);
            }
        };
        tokio::time::timeout(HANG, hearing).await.expect("the relay says nothing")
    }
}

fn sealed(text: &[u8], to: &SealKeypair) -> Envelope {
    let nobody = Keypair::from_secret_bytes(&[95; 32]).unwrap().peer_id();
    let letter = Letter {
        seal_key: to.public(),
        reply_to: Address { relay: nobody, rendezvous: Rendezvous([0; 32]) },
        expires_at: unix_now().after_s(60),
        session: SessionId([7; 16]),
        sequence: 0,
        body: text.to_vec(),
    };
    let sender = Keypair::from_secret_bytes(&[91; 32]).unwrap();
    Envelope::seal(&letter, &sender, &to.public(), random_bytes().unwrap()).unwrap()
}

#[tokio::test]
async fn browsers_on_two_nodes_exchange_sealed_envelopes_both_ways_and_their_relays_count_them() {
    let network = Network::start_with(2, |_, settings| {
        settings.http_listen = Some("127.0.0.1:0".parse().unwrap());
    })
    .await;
    let at = |index: usize| network.nodes[index].web_addresses()[0].clone();
    let relay = |index: usize| network.nodes[index].peer_id();
    let mut alice = Client::dial(&at(0), 92).await;
    let mut bob = Client::dial(&at(1), 93).await;
    let (to_alice, to_bob) = (Rendezvous([1; 32]), Rendezvous([2; 32]));
    alice.attach(to_alice).await;
    bob.attach(to_bob).await;
    let key = SealKeypair::from_secret_bytes([94; 32]);
    for round in 0..5_u8 {
        let envelope = sealed(&[round; 40], &key);
        let to = Address { relay: relay(1), rendezvous: to_bob };
        // Nothing is confirmed: what came before Bob was attached is gone, so it is said again.
        let heard = loop {
            alice.say(RelayMessage::Send { to, envelope: envelope.clone() }).await;
            let hearing = tokio::time::timeout(std::time::Duration::from_secs(1), bob.hear());
            match hearing.await {
                Ok(heard) if heard.envelope() == Some(&envelope) => break heard,
                // One that was said again after all.
                Ok(_) | Err(_) => {}
            }
        };
        let RelayMessage::Deliver { to, envelope: got } = heard else { panic!("{heard:?}") };
        assert_eq!(to, Destination::Rendezvous(to_bob));
        let (sender, letter) = got.open(&key, unix_now()).unwrap();
        assert_eq!(sender, Keypair::from_secret_bytes(&[91; 32]).unwrap().peer_id());
        assert_eq!(letter.body, [round; 40]);
        let to = Address { relay: relay(0), rendezvous: to_alice };
        bob.say(RelayMessage::Send { to, envelope: got.clone() }).await;
        while alice.hear().await.envelope() != Some(&got) {}
    }
    for node in &network.nodes {
        assert_counted(node).await;
    }
    // A letter to a relay that there is not.
    let gateway = network.nodes[0].http_address().unwrap();
    let unknown = "pop_relay_refused_total{rule=\"unknown_relay\"}";
    let before = figure(&get(gateway, "/metrics").await, unknown);
    let nobody = Keypair::from_secret_bytes(&[95; 32]).unwrap().peer_id();
    let to = Address { relay: nobody, rendezvous: to_bob };
    alice.say(RelayMessage::Send { to, envelope: sealed(&[0; 40], &key) }).await;
    wait_for(|| async { figure(&get(gateway, "/metrics").await, unknown) == before + 1 }).await;
}

/// A value in the text of `/metrics`.
fn figure(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("{name} is not in\n{text}")).parse().unwrap()
}

/// What `/metrics` says of a relay with one viewer, who sent and got five letters over another.
async fn assert_counted(node: &pop_node::Node) {
    let gateway = node.http_address().unwrap();
    let letters = ["letters_in", "letters_out", "taken_over", "handed_over"];
    // The relay shows its figures after what it does.
    wait_for(|| async {
        let text = get(gateway, "/metrics").await;
        letters.iter().all(|it| figure(&text, &format!("pop_relay_{it}_total")) >= 5)
    })
    .await;
    let text = get(gateway, "/metrics").await;
    for (name, expected) in [
        ("pop_relay_refused_total{rule=\"rate\"}", 0),
        ("pop_relay_sessions_total", 1),
        ("pop_relay_clients", 1),
        ("pop_relay_rendezvous", 1),
        ("pop_relay_topics", 0),
        ("pop_relay_frames_dropped_total", 0),
    ] {
        assert_eq!(figure(&text, name), expected, "{name}\n{text}");
    }
    for name in ["peers", "received_bytes_total", "sent_bytes_total"] {
        assert!(figure(&text, &format!("pop_relay_{name}")) > 0, "{name}\n{text}");
    }
}

/// A masternode in a process of its own.
struct Process {
    child: Child,
    web: Multiaddr,
    peer: PeerId,
    home: tempfile::TempDir,
}

impl Process {
    fn start() -> Self {
        let home = tempfile::tempdir().unwrap();
        let log = std::fs::File::create(home.path().join("log")).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_pop-node"));
        command.args(["run", "--init", "--no-stake", "--json", "--exit-on-stdin-eof"]);
        command.args(["--listen", "/ip4/127.0.0.1/tcp/0", "--http-listen", "off"]);
        command.args(["--web-listen", "127.0.0.1:0", "--data-dir"]).arg(home.path().join("data"));
        command.env("POP_LOG", "debug");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log);
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let ready: serde_json::Value = serde_json::from_str(&line).unwrap();
        let web = ready["web"][0].as_str().unwrap().parse().unwrap();
        let peer = ready["peer"].as_str().unwrap().parse().unwrap();
        Self { child, web, peer, home }
    }

    /// Every region of its memory that can be read, one after the other.
    fn search_memory(&self, mut look: impl FnMut(&[u8])) {
        let process = format!("/proc/{}", self.child.id());
        let maps = std::fs::read_to_string(format!("{process}/maps")).unwrap();
        let mut memory = std::fs::File::open(format!("{process}/mem")).unwrap();
        let mut searched = 0;
        for line in maps.lines().filter(|line| !line.contains("[v")) {
            let (range, rest) = line.split_once(' ').unwrap();
            if !rest.starts_with('r') {
                continue;
            }
            let (start, end) = range.split_once('-').unwrap();
            let [start, end] = [start, end].map(|it| u64::from_str_radix(it, 16).unwrap());
            let mut bytes = vec![0; usize::try_from(end - start).unwrap()];
            memory.seek(SeekFrom::Start(start)).unwrap();
            if memory.read_exact(&mut bytes).is_ok() {
                searched += bytes.len();
                look(&bytes);
            }
        }
        assert!(searched > 1 << 20, "only {searched} bytes of memory were searched");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}

/// Texts that all have one length, to be searched for.
struct Needles<'a> {
    texts: HashSet<&'a [u8]>,
    /// By their first three bytes, which spares nearly all of the comparisons.
    may_begin: Vec<bool>,
}

impl<'a> Needles<'a> {
    const BEGINNING: usize = 3;

    fn new(texts: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let texts: HashSet<&[u8]> = texts.into_iter().collect();
        let mut may_begin = vec![false; 1 << 24];
        texts.iter().for_each(|text| may_begin[Self::beginning(text)] = true);
        Self { texts, may_begin }
    }

    fn beginning(text: &[u8]) -> usize {
        text[..Self::BEGINNING].iter().fold(0, |number, byte| number << 8 | usize::from(*byte))
    }

    /// How often one of them is in `hay`.
    fn count(&self, hay: &[u8]) -> usize {
        let length = self.texts.iter().next().unwrap().len();
        let mut beginning = 0;
        let mut count = 0;
        for (at, byte) in hay.iter().enumerate() {
            beginning = (beginning << 8 | usize::from(*byte)) & 0xff_ffff;
            if self.may_begin[beginning]
                && let Some(start) = (at + 1).checked_sub(Self::BEGINNING)
                && hay.get(start..start + length).is_some_and(|text| self.texts.contains(text))
            {
                count += 1;
            }
        }
        count
    }
}

/// A WebSocket from an address of its own on this machine: what a household may send is bounded.
async fn dial_from(from: Ipv4Addr, address: &Multiaddr, number: u8) -> Client {
    let remote = socket_address(address);
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((from, 0).into()).unwrap();
    let connection: TcpStream = socket.connect(remote).await.unwrap();
    let url = format!("ws://{remote}/pop/signal/1");
    let (socket, _) = tokio_tungstenite::client_async(url, connection).await.unwrap();
    let keypair = Keypair::from_secret_bytes(&[number; 32]).unwrap();
    Client::over(pipe(socket), &keypair, address).await
}

#[tokio::test]
async fn of_10_000_canaries_none_is_in_the_relays_memory_and_nothing_of_them_on_its_disk() {
    const CLIENTS: u8 = 200;
    const ROUNDS: usize = 50;
    let process = Process::start();
    // 24 bytes that are nowhere else, in every letter; the test's own key opens it, the relay's not.
    let canary = random_bytes().unwrap();
    let key = SealKeypair::from_secret_bytes(random_bytes().unwrap());
    let mut clients = Vec::new();
    for number in 1..=CLIENTS {
        let from = Ipv4Addr::new(127, 0, 1, number);
        let mut client = dial_from(from, &process.web, number).await;
        client.attach(Rendezvous([number; 32])).await;
        clients.push(client);
    }
    let mut envelopes: Vec<Bytes> = Vec::new();
    let mut delivered = 0;
    for _ in 0..ROUNDS {
        for (number, client) in (1_u8..).zip(&mut clients) {
            let envelope = sealed(&canary[..24], &key);
            envelopes.push(envelope.as_bytes().clone());
            let rendezvous = Rendezvous([number % CLIENTS + 1; 32]);
            let to = Address { relay: process.peer, rendezvous };
            client.say(RelayMessage::Send { to, envelope }).await;
        }
        for client in &mut clients {
            let RelayMessage::Deliver { envelope, .. } = client.hear().await else { panic!() };
            let (_, letter) = envelope.open(&key, unix_now()).unwrap();
            assert_eq!(letter.body, canary[..24]);
            delivered += 1;
        }
    }
    assert_eq!(delivered, 10_000);
    let plain = Needles::new([&canary[..24]]);
    assert_eq!(plain.count(&[&[1, 2][..], &canary[..24], &canary[..]].concat()), 2);
    let mut in_memory = 0;
    process.search_memory(|bytes| in_memory += plain.count(bytes));
    assert_eq!(in_memory, 0, "of 10,000");
    drop(clients);
    let sealed = Needles::new(envelopes.iter().map(|envelope| &envelope[33..57]));
    assert_eq!(sealed.texts.len(), 10_000);
    let mut files = vec![process.home.path().to_path_buf()];
    let mut searched = 0;
    while let Some(path) = files.pop() {
        if path.is_dir() {
            files.extend(std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        let bytes = std::fs::read(&path).unwrap();
        searched += bytes.len();
        assert_eq!(plain.count(&bytes) + sealed.count(&bytes), 0, "{}", path.display());
    }
    assert!(searched > 10_000, "only {searched} bytes of files were searched");
}
