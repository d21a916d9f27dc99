//! POP inside a swarm of one's own: its two behaviours beside a ping, in two swarms. One of them
//! announces a content, the other finds it, opens an exchange stream and fetches one segment.
//!
//! ```text
//! cargo run -p examples --example own_swarm
//! ```

use std::collections::VecDeque;

use futures::{AsyncReadExt as _, StreamExt as _};
use libp2p::swarm::{NetworkBehaviour, SwarmEvent};
use libp2p::{Multiaddr, PeerId, Swarm, SwarmBuilder, identity, noise, ping, tcp, yamux};
use pop_erasure::{Content, ContentKey, Decoder, Encoder, Geometry, Media};
use pop_exchange::fetcher::{self, Fetcher, FetcherConfig, SourceKind};
use pop_exchange::libp2p::ExchangeStream;
use pop_exchange::link::{MessageReader, MessageWriter};
use pop_exchange::provider::{self, Provider, ProviderConfig, StoreOperation, StoreResult};
use pop_exchange::{LinkId, ShardWithProof};
use pop_node::clock::{self, Clock};
use pop_wire::message::RefusalReason;
use pop_wire::{ColumnIndex, ColumnSet, Keypair, ProviderRecord, SegmentIndex, Verified};

type Error = Box<dyn std::error::Error + Send + Sync>;

const LINK: LinkId = LinkId(1);
const TEXT: &[u8] = b"It was a bright cold day in April, and the clocks were striking thirteen.";

/// What runs on every connection: yours and POP's.
#[derive(NetworkBehaviour)]
struct Behaviours {
    ping: ping::Behaviour,
    dht: pop_dht::Behaviour,
    exchange: pop_exchange::libp2p::Behaviour,
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let (holder_key, viewer_key) = (keypair()?, keypair()?);
    let (film, shards) = encode(&holder_key)?;
    let content = film.id();
    let mut holder = swarm(&holder_key)?;
    let mut viewer = swarm(&viewer_key)?;

    // The holder listens, and announces what it holds.
    holder.listen_on("/ip4/127.0.0.1/tcp/0".parse()?)?;
    let address = loop {
        if let SwarmEvent::NewListenAddr { address, .. } = holder.select_next_some().await {
            break address;
        }
    };
    let now = clock::unix_now();
    let record = ProviderRecord {
        peer: holder_key.peer_id(),
        content,
        columns: ColumnSet::all(shards.len().try_into()?),
        addresses: vec![address.to_vec().into()],
        issued_at: now,
        expires_at: now.after_s(24 * 60 * 60),
    };
    let record = Verified::sign(record, &holder_key)?;
    holder.behaviour_mut().dht.announce_content(film.manifest().clone(), record)?;
    tokio::spawn(run_holder(holder, shards));

    // The viewer knows one peer, and asks the DHT who has the content.
    let first = PeerId::from_bytes(&holder_key.peer_id().to_libp2p_bytes())?;
    viewer.behaviour_mut().dht.add_peer(first, address)?;
    let lookup = viewer.behaviour_mut().dht.find_content(content)?;
    let (mut manifest, mut stream) = (None, None);
    while manifest.is_none() || stream.is_none() {
        match viewer.select_next_some().await {
            SwarmEvent::Behaviour(BehavioursEvent::Ping(pong)) => {
                println!("ping: {:?}", pong.result);
            }
            SwarmEvent::Behaviour(BehavioursEvent::Dht(pop_dht::Event::ContentFound {
                manifest: found,
                providers,
                ..
            })) => {
                manifest = manifest.or(found);
                if let Some(provider) = providers.first() {
                    println!("found: {} columns", provider.columns.len());
                    let peer = PeerId::from_bytes(&provider.peer.to_libp2p_bytes())?;
                    let addresses = provider.addresses.iter().cloned();
                    let addresses =
                        addresses.filter_map(|it| Multiaddr::try_from(it.to_vec()).ok());
                    viewer.behaviour_mut().exchange.open(peer, addresses);
                }
            }
            SwarmEvent::Behaviour(BehavioursEvent::Exchange(
                pop_exchange::libp2p::Event::Opened { stream: opened, .. },
            )) => stream = Some(opened),
            SwarmEvent::Behaviour(BehavioursEvent::Exchange(
                pop_exchange::libp2p::Event::OpenFailed { error, .. },
            )) => return Err(error.into()),
            _ => {}
        }
    }
    viewer.behaviour_mut().dht.cancel(lookup);
    let running = tokio::spawn(async move { while viewer.next().await.is_some() {} });
    let (Some(manifest), Some(stream)) = (manifest, stream) else { return Ok(()) };
    let content = Content::new(manifest)?;
    let plaintext = fetch(&content, holder_key.peer_id(), stream).await?;
    println!("fetched: {}", String::from_utf8_lossy(&plaintext));
    assert_eq!(plaintext, TEXT);
    running.abort();
    Ok(())
}

fn keypair() -> Result<Keypair, Error> {
    Ok(Keypair::from_secret_bytes(&clock::random_bytes()?)?)
}

fn swarm(keypair: &Keypair) -> Result<Swarm<Behaviours>, Error> {
    // POP's identities are secp256k1 keys; the swarm uses the same one.
    let secret = identity::secp256k1::SecretKey::try_from_bytes(*keypair.secret_bytes())?;
    let key: identity::Keypair = identity::secp256k1::Keypair::from(secret).into();
    let mut config = pop_dht::Config::default();
    config.seed = clock::random_bytes()?;
    config.diversity.loopback_exempt = true;
    let dht = pop_dht::Behaviour::new(keypair.peer_id(), clock::unix_now(), config);
    let swarm = SwarmBuilder::with_existing_identity(key)
        .with_tokio()
        .with_tcp(tcp::Config::default(), noise::Config::new, yamux::Config::default)?
        .with_behaviour(|_| Behaviours {
            ping: ping::Behaviour::default(),
            dht,
            exchange: pop_exchange::libp2p::Behaviour::new(),
        })?
        .build();
    Ok(swarm)
}

/// Encode the text 2 of 3 and keep k of its shards. A masternode never holds so many.
fn encode(publisher: &Keypair) -> Result<(Content, Vec<ShardWithProof>), Error> {
    let geometry = Geometry::for_network(3)?;
    let shard_bytes = pop_erasure::recommended_shard_bytes(geometry, TEXT.len().try_into()?, None);
    let mut encoder = Encoder::new(geometry, shard_bytes, key(), [7; 32])?;
    encoder.push(TEXT)?;
    encoder.end();
    let segment = encoder.poll().ok_or("expected one segment")?;
    let publication = encoder.finish(publisher, Media::default())?;
    let shard = |column| {
        Some(ShardWithProof {
            payload: segment.shard(column)?,
            segment_path: segment.segment_path(column)?,
            content_path: publication.content_path(SegmentIndex(0))?,
        })
    };
    let shards = ColumnIndex::first(geometry.k()).filter_map(shard).collect();
    Ok((Content::new(publication.manifest().clone())?, shards))
}

/// It is in the link that viewers are given, and nowhere on the wire.
fn key() -> ContentKey {
    ContentKey::from_bytes([42; 32])
}

async fn run_holder(mut swarm: Swarm<Behaviours>, shards: Vec<ShardWithProof>) {
    loop {
        let event = swarm.select_next_some().await;
        if let SwarmEvent::Behaviour(BehavioursEvent::Exchange(
            pop_exchange::libp2p::Event::Inbound { peer, stream },
        )) = event
        {
            let shards = shards.clone();
            tokio::spawn(async move {
                if let Err(error) = serve(peer, stream, &shards).await {
                    eprintln!("holder: {error}");
                }
            });
        }
    }
}

/// The serving machine on one stream: messages in, messages and questions to a store out.
async fn serve(
    peer: PeerId,
    stream: ExchangeStream,
    shards: &[ShardWithProof],
) -> Result<(), Error> {
    let peer = pop_wire::PeerId::from_libp2p_bytes(&peer.to_bytes())?;
    let (mut provider, clock) = (Provider::new(ProviderConfig::default())?, Clock::start());
    let (reader, writer) = stream.split();
    let (mut reader, mut writer) = (MessageReader::new(reader), MessageWriter::new(writer));
    let mut messages = VecDeque::new();
    provider.handle(clock.now(), provider::Input::LinkUp { link: LINK, peer })?;
    loop {
        while let Some(output) = provider.poll() {
            match output {
                provider::Output::Send { message, .. } => {
                    writer.push(&message)?;
                    let messages = writer.flush().await?;
                    let flushed = provider::Input::Flushed { link: LINK, messages };
                    provider.handle(clock.now(), flushed)?;
                }
                provider::Output::Store { token, operation } => {
                    let held = match operation {
                        StoreOperation::ReadShard { column, .. } => shards.get(column.as_usize()),
                        _ => None,
                    };
                    let (reason, retry_after_ms) = (RefusalReason::NotFound, 0);
                    let result = match held {
                        Some(shard) => StoreResult::Shard(shard.clone()),
                        None => StoreResult::Refused { reason, retry_after_ms },
                    };
                    provider.handle(clock.now(), provider::Input::Store { token, result })?;
                }
                provider::Output::Close { .. } => return Ok(()),
                _ => {}
            }
        }
        if !reader.read(&mut messages).await? {
            return Ok(());
        }
        for message in messages.drain(..) {
            provider.handle(clock.now(), provider::Input::Message { link: LINK, message })?;
        }
    }
}

/// The fetching machine on one stream: what is wanted in, segments out.
async fn fetch(
    content: &Content,
    peer: pop_wire::PeerId,
    stream: ExchangeStream,
) -> Result<Vec<u8>, Error> {
    let seed = clock::random_bytes()?;
    let (mut fetcher, clock) =
        (Fetcher::new(content.clone(), FetcherConfig::default(), seed)?, Clock::start());
    let (reader, writer) = stream.split();
    let (mut reader, mut writer) = (MessageReader::new(reader), MessageWriter::new(writer));
    let mut messages = VecDeque::new();
    let (columns, kind) = (ColumnSet::all(2), SourceKind::Masternode);
    fetcher.handle(clock.now(), fetcher::Input::LinkUp { link: LINK, peer, columns, kind })?;
    let want = fetcher::Input::Want {
        segments: 0..content.layout().segment_count(),
        first_deadline: None,
        segment_duration_ms: 0,
    };
    fetcher.handle(clock.now(), want)?;
    loop {
        while let Some(output) = fetcher.poll() {
            match output {
                fetcher::Output::Send { message, .. } => {
                    writer.push(&message)?;
                }
                fetcher::Output::Segment { segment, shards } => {
                    let mut decoder = Decoder::new(content.clone(), key())?;
                    return Ok(decoder.decode(segment, &shards)?.to_vec());
                }
                fetcher::Output::Close { .. } => return Err("the holder broke a rule".into()),
                _ => {}
            }
        }
        writer.flush().await?;
        if !reader.read(&mut messages).await? {
            return Err("the holder hung up".into());
        }
        for message in messages.drain(..) {
            fetcher.handle(clock.now(), fetcher::Input::Message { link: LINK, message })?;
        }
    }
}
