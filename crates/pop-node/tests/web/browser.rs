//! A peer that speaks as a browser does: WebSockets, the handshake, then frames.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;

use bytes::Bytes;
use futures::{AsyncReadExt as _, AsyncWriteExt as _, SinkExt as _, StreamExt as _};
use libp2p::Multiaddr;
use libp2p::multiaddr::Protocol;
use pop_erasure::{Content, Decoder};
use pop_exchange::link::{MessageReader, MessageWriter};
use pop_signal::Handshake;
use pop_signal::handshake::ChannelBinding;
use pop_wire::message::{GetHoldings, GetManifest, GetShard, Hello, Message};
use pop_wire::{ColumnSet, ContentId, FrameSplitter, Instant, Keypair, RequestId, VersionRange};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message as Frame;
use tokio_util::compat::{Compat, TokioAsyncReadCompatExt as _};

use crate::network::{Film, HANG};

/// Bytes of a piece of the stream that is put into one message: small, and no multiple of anything.
const PIECE_BYTES: usize = 997;

pub(crate) type Pipe = Compat<DuplexStream>;

/// IP address and port of a multiaddr.
pub(crate) fn socket_address(address: &Multiaddr) -> SocketAddr {
    let mut parts = address.iter();
    match (parts.next(), parts.next()) {
        (Some(Protocol::Ip4(ip)), Some(Protocol::Tcp(port) | Protocol::Udp(port))) => {
            (ip, port).into()
        }
        other => panic!("{other:?}"),
    }
}

/// A WebSocket to `path`, or the status with which it was refused.
pub(crate) async fn socket(
    address: &Multiaddr,
    path: &str,
) -> Result<WebSocketStream<TcpStream>, u16> {
    let remote = socket_address(address);
    let connection = TcpStream::connect(remote).await.unwrap();
    let url = format!("ws://{remote}{path}");
    match tokio_tungstenite::client_async(url, connection).await {
        Ok((socket, _)) => Ok(socket),
        Err(tokio_tungstenite::tungstenite::Error::Http(response)) => {
            Err(response.status().as_u16())
        }
        Err(_) => Err(0),
    }
}

/// The byte stream that a socket carries.
pub(crate) fn pipe(mut socket: WebSocketStream<TcpStream>) -> Pipe {
    let (near, mut far) = tokio::io::duplex(1 << 16);
    tokio::spawn(async move {
        let mut piece = [0; PIECE_BYTES];
        loop {
            tokio::select! {
                read = far.read(&mut piece) => match read {
                    Ok(0) | Err(_) => return,
                    Ok(bytes) => {
                        let message = Frame::Binary(Bytes::copy_from_slice(&piece[..bytes]));
                        if socket.send(message).await.is_err() {
                            return;
                        }
                    }
                },
                message = socket.next() => match message {
                    Some(Ok(Frame::Binary(bytes))) => {
                        if far.write_all(&bytes).await.is_err() {
                            return;
                        }
                    }
                    Some(Ok(_)) => {}
                    Some(Err(_)) | None => return,
                },
            }
        }
    });
    near.compat()
}

/// Prove who we are, and that it is the node that we dialled.
pub(crate) async fn greet(
    pipe: &mut Pipe,
    keypair: &Keypair,
    address: &Multiaddr,
    binding: ChannelBinding,
) {
    let proof = proof(pipe, keypair, address, binding).await;
    // Not flushed: what follows goes with it, and a listener must not lose it.
    pipe.write_all(&proof).await.unwrap();
}

/// All of the handshake but its last frame, which is returned.
pub(crate) async fn proof(
    pipe: &mut Pipe,
    keypair: &Keypair,
    address: &Multiaddr,
    binding: ChannelBinding,
) -> Vec<u8> {
    let Some(Protocol::P2p(expected)) = address.iter().last() else { panic!("{address}") };
    let expected = pop_wire::PeerId::from_libp2p_bytes(&expected.to_bytes()).unwrap();
    let nonce = *blake3::hash(format!("{address}{pipe:p}").as_bytes()).as_bytes();
    let now = Instant(0);
    let (mut handshake, first) =
        Handshake::new_dialer(keypair, Some(expected), nonce, binding, now);
    pipe.write_all(&first).await.unwrap();
    pipe.flush().await.unwrap();
    let body = frame(pipe).await;
    let step = handshake.receive(now, &body).unwrap();
    assert_eq!(step.done.unwrap().peer, expected);
    step.send.unwrap().to_vec()
}

/// The body of the next frame, and not a byte more.
pub(crate) async fn frame(pipe: &mut Pipe) -> Bytes {
    let mut splitter = FrameSplitter::new();
    loop {
        if let Some(body) = splitter.next_frame().unwrap() {
            return body;
        }
        let mut byte = [0];
        tokio::time::timeout(HANG, pipe.read_exact(&mut byte)).await.unwrap().unwrap();
        splitter.push(&byte);
    }
}

/// An exchange link.
pub(crate) struct Link {
    reader: MessageReader<futures::io::ReadHalf<Pipe>>,
    writer: MessageWriter<futures::io::WriteHalf<Pipe>>,
    messages: VecDeque<Message>,
    next_id: u64,
}

impl Link {
    /// Over a WebSocket.
    pub(crate) async fn dial(address: &Multiaddr, keypair: &Keypair) -> Self {
        let mut pipe = pipe(socket(address, "/pop/exchange/1").await.unwrap());
        greet(&mut pipe, keypair, address, ChannelBinding::none()).await;
        Self::start(pipe).await
    }

    /// Over any stream whose ends know each other.
    pub(crate) async fn start(pipe: Pipe) -> Self {
        let (read_half, write_half) = pipe.split();
        let (reader, writer) = (MessageReader::new(read_half), MessageWriter::new(write_half));
        let mut link = Self { reader, writer, messages: VecDeque::new(), next_id: 0 };
        let hello = Hello {
            versions: VersionRange::SUPPORTED,
            credit_bytes: 64 << 20,
            agent: "browser".to_owned(),
            masternode: None,
        };
        link.say(&Message::Hello(hello)).await;
        let Some(Message::Hello(_)) = link.hear().await else { panic!("no hello") };
        link
    }

    pub(crate) async fn say(&mut self, message: &Message) {
        self.writer.push(message).unwrap();
        self.writer.flush().await.unwrap();
    }

    /// The next message but for credit; none once the link has ended.
    pub(crate) async fn hear(&mut self) -> Option<Message> {
        let hearing = async {
            loop {
                match self.messages.pop_front() {
                    Some(Message::Credit(_)) => {}
                    Some(message) => return Some(message),
                    None => {
                        if !self.reader.read(&mut self.messages).await.unwrap_or(false) {
                            return None;
                        }
                    }
                }
            }
        };
        tokio::time::timeout(HANG, hearing).await.expect("the node says nothing")
    }

    pub(crate) fn id(&mut self) -> RequestId {
        self.next_id += 1;
        RequestId(self.next_id)
    }

    pub(crate) async fn manifest(&mut self, content: ContentId) -> Content {
        let id = self.id();
        self.say(&Message::GetManifest(GetManifest { id, content })).await;
        match self.hear().await {
            Some(Message::ManifestReply(reply)) => {
                Content::new(reply.manifest.verify().unwrap()).unwrap()
            }
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn holdings(&mut self, content: ContentId) -> ColumnSet {
        let id = self.id();
        self.say(&Message::GetHoldings(GetHoldings { id, content })).await;
        match self.hear().await {
            Some(Message::Holdings(holdings)) => holdings.columns,
            other => panic!("{other:?}"),
        }
    }
}

/// Fetch the whole film over `links`, every shard verified.
pub(crate) async fn fetch(film: &Film, links: &mut [Link]) -> Vec<u8> {
    let content = links[0].manifest(film.link.content).await;
    let mut shards = BTreeMap::<_, Vec<_>>::new();
    let k = usize::from(content.manifest().data_shards);
    for link in links.iter_mut() {
        let columns = link.holdings(content.id()).await;
        for segment in content.layout().segments() {
            for column in columns.iter() {
                let have = shards.entry(segment).or_default();
                if have.len() == k {
                    continue;
                }
                let id = link.id();
                let get = GetShard { id, content: content.id(), segment, column, deadline_ms: 0 };
                link.say(&Message::GetShard(get)).await;
                let Some(Message::Shard(shard)) = link.hear().await else { panic!("no shard") };
                let verified = content
                    .verify_shard(
                        segment,
                        column,
                        shard.payload,
                        shard.segment_path,
                        shard.content_path,
                    )
                    .unwrap();
                have.push(verified);
            }
        }
    }
    let mut decoder = Decoder::new(content, film.key()).unwrap();
    let pieces = shards.iter().map(|(segment, shards)| decoder.decode(*segment, shards).unwrap());
    pieces.flatten().collect()
}
