//! A whole network inside one program: five masternodes, a publisher and a viewer.
//!
//! ```text
//! cargo run -p examples --example publish_and_fetch
//! ```

use std::path::PathBuf;

use futures::StreamExt as _;
use pop_node::fetch::Pace;
use pop_node::publish::PublishOptions;
use pop_node::settings::Settings;
use pop_node::{Node, clock, disk};
use pop_wire::Keypair;

type Error = Box<dyn std::error::Error>;

#[tokio::main]
async fn main() -> Result<(), Error> {
    let directory = tempfile::tempdir()?;
    let home = |name: &str| directory.path().join(name);

    // Masternodes keep columns. Each has an identity and a data directory of its own.
    let mut masternodes: Vec<Node> = Vec::new();
    for index in 0..5 {
        let home = home(&format!("masternode-{index}"));
        disk::create_identity(&home)?;
        let bootstrap = masternodes.first().map(Node::addresses).unwrap_or_default();
        masternodes.push(Node::masternode(settings(home, bootstrap)).await?);
    }
    let bootstrap: Vec<_> = masternodes.iter().flat_map(Node::addresses).collect();

    // A publisher keeps nothing: it encrypts, encodes and scatters.
    let film: Vec<u8> = (0..=250).cycle().take(3_000_000).collect();
    std::fs::write(home("film.mp4"), &film)?;
    let keypair = Keypair::from_secret_bytes(&clock::random_bytes()?)?;
    let publisher = Node::client(keypair, settings(home("publisher"), bootstrap.clone())).await?;
    publisher.find_masternodes().await;
    let options = PublishOptions::for_file(&home("film.mp4"))?;
    let published = publisher.publish(&home("film.mp4"), options, |_| {}).await?;
    let (k, n) = (published.geometry.k(), published.geometry.n());
    println!("published: any {k} of {n} shards rebuild a segment");
    println!("link: {}", published.link);

    // Whoever has the link can read any range of it. One masternode may well be gone by then.
    masternodes.remove(0).shutdown().await;
    let keypair = Keypair::from_secret_bytes(&clock::random_bytes()?)?;
    let viewer = Node::client(keypair, settings(home("viewer"), bootstrap)).await?;
    let opened = viewer.open(&published.link).await?;
    let mut pieces = std::pin::pin!(opened.read(1_000_000..2_000_000, Pace::Bulk)?);
    let mut read = Vec::new();
    while let Some(piece) = pieces.next().await {
        read.extend_from_slice(&piece?);
    }
    assert!(read == film[1_000_000..2_000_000], "the bytes differ");
    println!("read {} of {} bytes, and they are the same", read.len(), opened.length_bytes());

    viewer.shutdown().await;
    publisher.shutdown().await;
    for masternode in masternodes {
        masternode.shutdown().await;
    }
    Ok(())
}

/// Loopback only, any free port, no HTTP gateway.
fn settings(home: PathBuf, bootstrap: Vec<libp2p::Multiaddr>) -> Settings {
    let mut settings = Settings::default();
    settings.data_dir = home;
    settings.listen = vec!["/ip4/127.0.0.1/tcp/0".parse().expect("a constant address")];
    settings.bootstrap = bootstrap;
    settings.http_listen = None;
    settings.web_listen = None;
    // All nodes share one address here, which a real network would not allow.
    settings.diversity_exempt_loopback = true;
    settings
}
