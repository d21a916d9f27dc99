//! Two machines and a bare TCP socket: no libp2p, no DHT, no disk.
//!
//! A holder keeps an encrypted, erasure-coded film in memory and serves it; a viewer fetches every
//! segment, verifies each shard, decodes, decrypts and compares. Run with
//! `cargo run -p examples --example exchange_over_tcp`, or give a number of MiB.
//!
//! Over bare TCP nobody's identity is proven: do this only where both ends are yours.
#![expect(clippy::disallowed_methods, reason = "a program reads the clock that its machines lack")]

use std::collections::{BTreeMap, VecDeque};
use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant as Clock};

use futures::StreamExt as _;
use futures::channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};
use pop_erasure::{
    Content, ContentKey, Decoder, EncodedSegment, Encoder, Geometry, Media, Publication,
};
use pop_exchange::fetcher::{self, Fetcher, FetcherConfig, SourceKind};
use pop_exchange::link::{MessageReader, write_all};
use pop_exchange::provider::{self, Provider, ProviderConfig, StoreOperation, StoreResult};
use pop_exchange::{LinkId, ShardWithProof};
use pop_wire::message::RefusalReason;
use pop_wire::{ColumnIndex, ColumnSet, Instant, Keypair, Message, PeerId, SegmentIndex};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::compat::{TokioAsyncReadCompatExt, TokioAsyncWriteCompatExt};

type Failure = Box<dyn Error + Send + Sync>;

/// The only link of each side.
const LINK: LinkId = LinkId(1);

/// A published film with all its shards.
struct Film {
    publication: Publication,
    segments: BTreeMap<SegmentIndex, EncodedSegment>,
}

impl Film {
    fn publish(plaintext: &[u8], key: ContentKey, publisher: &Keypair) -> Result<Self, Failure> {
        let mut encoder = Encoder::new(Geometry::for_network(27)?, 32 * 1024, key, [5; 32])?;
        let (mut rest, mut segments) = (plaintext, BTreeMap::new());
        while !rest.is_empty() {
            rest = &rest[encoder.push(rest)?..];
            segments.extend(std::iter::from_fn(|| encoder.poll()).map(|s| (s.segment(), s)));
        }
        encoder.end();
        segments.extend(std::iter::from_fn(|| encoder.poll()).map(|s| (s.segment(), s)));
        Ok(Self { publication: encoder.finish(publisher, Media::default())?, segments })
    }

    fn shard(&self, segment: SegmentIndex, column: ColumnIndex) -> Option<ShardWithProof> {
        let encoded = self.segments.get(&segment)?;
        Some(ShardWithProof {
            payload: encoded.shard(column)?,
            segment_path: encoded.segment_path(column)?,
            content_path: self.publication.content_path(segment)?,
        })
    }
}

/// What a link tells its machine.
enum FromLink {
    Messages(VecDeque<Message>),
    Flushed(usize),
    Down,
}

/// Run both halves of a socket; give messages in, take what happens out.
fn run_link(socket: TcpStream) -> (UnboundedSender<Message>, UnboundedReceiver<FromLink>) {
    let (to_link, outgoing) = unbounded();
    let (from_link, events) = unbounded();
    let (read_half, write_half) = socket.into_split();
    let flushes = from_link.clone();
    tokio::spawn(async move {
        let flushed = |messages| {
            let _gone = flushes.unbounded_send(FromLink::Flushed(messages));
        };
        write_all(write_half.compat_write(), outgoing, flushed).await
    });
    tokio::spawn(async move {
        let mut reader = MessageReader::new(read_half.compat());
        let mut batch = VecDeque::new();
        while let Ok(true) = reader.read(&mut batch).await {
            let messages = std::mem::take(&mut batch);
            if from_link.unbounded_send(FromLink::Messages(messages)).is_err() {
                return;
            }
        }
        let _gone = from_link.unbounded_send(FromLink::Down);
    });
    (to_link, events)
}

/// The holder: a provider between a socket and a map.
async fn serve(listener: TcpListener, film: Arc<Film>, viewer: PeerId) -> Result<(), Failure> {
    let start = Clock::now();
    let now = || Instant(u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX));
    let (socket, _) = listener.accept().await?;
    socket.set_nodelay(true)?;
    let (to_link, mut events) = run_link(socket);
    let mut provider = Provider::new(ProviderConfig::default())?;
    provider.handle(now(), provider::Input::LinkUp { link: LINK, peer: viewer })?;
    loop {
        while let Some(output) = provider.poll() {
            match output {
                provider::Output::Send { message, .. } => to_link.unbounded_send(message)?,
                provider::Output::Store { token, operation } => {
                    let refused =
                        StoreResult::Refused { reason: RefusalReason::NotFound, retry_after_ms: 0 };
                    let result = match operation {
                        StoreOperation::ReadShard { segment, column, .. } => {
                            film.shard(segment, column).map_or(refused, StoreResult::Shard)
                        }
                        _ => refused,
                    };
                    provider.handle(now(), provider::Input::Store { token, result })?;
                }
                provider::Output::Close { .. } => return Ok(()),
                _ => {}
            }
        }
        let wait = provider.next_timeout().map_or(1_000, |at| at.since_ms(now()));
        let event = tokio::time::timeout(Duration::from_millis(wait), events.next());
        match event.await {
            Ok(Some(FromLink::Messages(messages))) => {
                for message in messages {
                    provider.handle(now(), provider::Input::Message { link: LINK, message })?;
                }
            }
            Ok(Some(FromLink::Flushed(messages))) => {
                provider.handle(now(), provider::Input::Flushed { link: LINK, messages })?;
            }
            Ok(Some(FromLink::Down) | None) => return Ok(()),
            Err(_) => provider.handle(now(), provider::Input::Tick)?,
        }
    }
}

/// The viewer: a fetcher between a socket and a decoder.
async fn fetch(
    socket: TcpStream,
    content: Content,
    key: ContentKey,
    holder: PeerId,
) -> Result<Vec<u8>, Failure> {
    let start = Clock::now();
    let now = || Instant(u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX));
    socket.set_nodelay(true)?;
    let (to_link, mut events) = run_link(socket);
    let count = content.layout().segment_count();
    let columns = ColumnSet::all(content.layout().geometry().n());
    let mut decoder = Decoder::new(content.clone(), key)?;
    let mut fetcher = Fetcher::new(content, FetcherConfig::default(), [6; 32])?;
    let kind = SourceKind::Masternode;
    fetcher.handle(now(), fetcher::Input::LinkUp { link: LINK, peer: holder, columns, kind })?;
    let segments = 0..count;
    let want = fetcher::Input::Want { segments, first_deadline: None, segment_duration_ms: 0 };
    fetcher.handle(now(), want)?;
    let mut plaintext = BTreeMap::new();
    loop {
        while let Some(output) = fetcher.poll() {
            match output {
                fetcher::Output::Send { message, .. } => to_link.unbounded_send(message)?,
                fetcher::Output::Segment { segment, shards } => {
                    plaintext.insert(segment, decoder.decode(segment, &shards)?);
                    fetcher.handle(now(), fetcher::Input::Release { segment })?;
                }
                fetcher::Output::Close { .. } => return Err("the holder broke a rule".into()),
                fetcher::Output::Event(event) => println!("viewer: {event:?}"),
                _ => {}
            }
        }
        if u64::try_from(plaintext.len()) == Ok(count) {
            return Ok(plaintext.into_values().flatten().collect());
        }
        let wait = fetcher.next_timeout().map_or(1_000, |at| at.since_ms(now()));
        let event = tokio::time::timeout(Duration::from_millis(wait), events.next());
        match event.await {
            Ok(Some(FromLink::Messages(messages))) => {
                for message in messages {
                    fetcher.handle(now(), fetcher::Input::Message { link: LINK, message })?;
                }
            }
            Ok(Some(FromLink::Flushed(_))) => {}
            Ok(Some(FromLink::Down) | None) => return Err("the holder went away".into()),
            Err(_) => fetcher.handle(now(), fetcher::Input::Tick)?,
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let mebibytes: usize = std::env::args().nth(1).map_or(Ok(16), |text| text.parse())?;
    let film: Vec<u8> = (0_u8..251).cycle().take(mebibytes * 1024 * 1024).collect();
    let publisher = Keypair::from_secret_bytes(&[1; 32])?;
    let viewer = Keypair::from_secret_bytes(&[2; 32])?.peer_id();
    let key = || ContentKey::from_bytes([3; 32]);
    let published = Arc::new(Film::publish(&film, key(), &publisher)?);
    let content = Content::new(published.publication.manifest().clone())?;
    println!("film: {mebibytes} MiB, {}", content.id());

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let socket = TcpStream::connect(listener.local_addr()?).await?;
    let serving = tokio::spawn(serve(listener, published, viewer));
    let start = Clock::now();
    let fetched = fetch(socket, content, key(), publisher.peer_id()).await?;
    let seconds = start.elapsed().as_secs_f64();
    assert!(fetched == film, "every byte is the film's");
    println!("fetched, verified and decrypted in {seconds:.2} s: every byte is the film's");
    serving.await??;
    Ok(())
}
