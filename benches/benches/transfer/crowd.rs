//! A holder's memory while 1,000 peers ask at once and read nothing.
//!
//! The holder is a `pop-node run` process with its default settings. Each link grants credit for
//! everything, asks for 256 shards and never reads: the worst that a polite peer may do for the
//! 30 seconds after which it is dropped.

use std::time::Duration;

use benches::Error;
use benches::network::{self, Stack};
use benches::process::Peer;
use libp2p::Multiaddr;
use pop_exchange::link::MessageWriter;
use pop_node::publish::PublishOptions;
use pop_node::settings::Settings;
use pop_node::{Node, clock};
use pop_wire::message::{GetShard, Hello};
use pop_wire::{ColumnIndex, ContentId, Keypair, Message, RequestId, SegmentIndex, VersionRange};

use super::first_byte::settings;

/// Peers, each with so many links: the most that one peer may have.
const PEERS: usize = 32;
const LINKS_PER_PEER: usize = 32;
const LINKS: usize = 1_000;
const REQUESTS_PER_LINK: u64 = 256;

/// Size of the content, in bytes.
const FILM_BYTES: u64 = 64 << 20;

/// What one link and one connection may take beside the shards (`crates/pop-node/README.md`).
const LINK_BYTES_MAX: u64 = 656 * 1024;
const CONNECTION_BYTES_MAX: u64 = 256 * 1024;

/// Looks at the holder's memory, so far apart.
const LOOKS: usize = 40;
const BETWEEN_LOOKS: Duration = Duration::from_millis(500);

/// Print the configured bound and what was measured.
pub(crate) async fn run() -> Result<(), Error> {
    let directory = match std::path::Path::new("/dev/shm").is_dir() {
        true => tempfile::tempdir_in("/dev/shm")?,
        false => tempfile::tempdir()?,
    };
    let mut holders: Vec<(Peer, Multiaddr)> = Vec::new();
    for index in 0..3 {
        let home = directory.path().join(index.to_string());
        let first = holders.first().map(|(_, address)| address.clone());
        holders.push(start(&home.to_string_lossy(), first)?);
    }
    let bootstrap: Vec<_> = holders.iter().map(|(_, address)| address.clone()).collect();
    let (content, placement) = publish(directory.path(), &bootstrap).await?;
    let (holder, address) = &holders[0];
    let Some((column, _)) = placement.iter().find(|(_, at)| address.to_string().ends_with(at))
    else {
        return Err("expected a column on every holder".into());
    };
    let before = holder.resident_bytes();
    let (mut streams, mut swarms) = (Vec::new(), Vec::new());
    for _ in 0..PEERS {
        let mut swarm = network::swarm(clock::random_bytes()?, Stack::Pop)?;
        for _ in 0..LINKS_PER_PEER.min(LINKS - streams.len()) {
            streams.push(network::open(&mut swarm, address).await?.1);
        }
        swarms.push(network::spawn(swarm));
    }
    let idle = holder.resident_bytes();
    for stream in &mut streams {
        ask(stream, content, *column).await?;
    }
    let mut most = 0;
    for _ in 0..LOOKS {
        most = most.max(holder.resident_bytes());
        tokio::time::sleep(BETWEEN_LOOKS).await;
    }
    let links = u64::try_from(streams.len())?;
    let connections = u64::try_from(swarms.len())?;
    let shards = Settings::default().serve_bytes_max;
    let bound = 2 * shards + links * LINK_BYTES_MAX + connections * CONNECTION_BYTES_MAX;
    let mib = |bytes: u64| bytes / (1 << 20);
    println!(
        "transfer/crowd: {links} links that ask and don't read: serve_bytes_max {} MiB; resident \
         {} MiB before, {} MiB with the links open, {} MiB at most while they ask: {} MiB more, \
         bound {} MiB",
        mib(shards),
        mib(before),
        mib(idle),
        mib(most),
        mib(most.saturating_sub(before)),
        mib(bound),
    );
    swarms.iter().for_each(tokio::task::JoinHandle::abort);
    if most.saturating_sub(before) > bound {
        return Err("the holder takes more memory than its bound".into());
    }
    Ok(())
}

fn start(home: &str, first: Option<Multiaddr>) -> Result<(Peer, Multiaddr), Error> {
    let data_dir = format!("--data-dir={home}");
    let bootstrap = first.map(|address| format!("--bootstrap={address}"));
    let mut arguments =
        vec!["node", "run", "--init", "--no-stake", "--json", "--exit-on-stdin-eof"];
    arguments.extend(["--http-listen=off", "--web-listen=off"]);
    arguments.extend(["--listen=/ip4/127.0.0.1/tcp/0"]);
    arguments.extend(["--diversity-exempt-loopback", &data_dir]);
    arguments.extend(bootstrap.as_deref());
    let peer = Peer::start(crate::PEER, &arguments)?;
    let ready: serde_json::Value = serde_json::from_str(peer.ready())?;
    let address = ready["addresses"][0].as_str().ok_or("expected an address")?.parse()?;
    Ok((peer, address))
}

/// Publish something; its id, and who holds which column.
async fn publish(
    directory: &std::path::Path,
    bootstrap: &[Multiaddr],
) -> Result<(ContentId, Vec<(ColumnIndex, String)>), Error> {
    let file = directory.join("film.bin");
    std::fs::File::create(&file)?.set_len(FILM_BYTES)?;
    let keypair = Keypair::from_secret_bytes(&clock::random_bytes()?)?;
    let node = Node::client(keypair, settings(directory.join("publisher"), bootstrap)).await?;
    let published = node.publish(&file, PublishOptions::for_file(&file)?, |_| {}).await?;
    node.shutdown().await;
    let placement = published.placement.iter();
    Ok((published.content, placement.map(|(at, peer)| (*at, peer.to_string())).collect()))
}

async fn ask(
    stream: &mut (impl futures::AsyncWrite + Unpin),
    content: ContentId,
    column: ColumnIndex,
) -> Result<(), Error> {
    let mut writer = MessageWriter::new(stream);
    let hello = Hello {
        versions: VersionRange::SUPPORTED,
        credit_bytes: 1 << 30,
        agent: "crowd".to_owned(),
        masternode: None,
    };
    writer.push(&Message::Hello(hello))?;
    for id in 0..REQUESTS_PER_LINK {
        let (id, segment) = (RequestId(id), SegmentIndex(id));
        writer.push(&Message::GetShard(GetShard {
            id,
            content,
            segment,
            column,
            deadline_ms: 0,
        }))?;
    }
    writer.flush().await?;
    Ok(())
}
