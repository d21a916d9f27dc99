//! The node as a library: a whole network inside one process.

use futures::StreamExt as _;
use pop_node::disk::create_identity;
use pop_node::fetch::Pace;
use pop_node::publish::PublishOptions;
use pop_node::settings::Settings;
use pop_node::{Node, NodeError};
use pop_wire::Keypair;

use crate::support::sample;

fn settings(home: std::path::PathBuf, bootstrap: &[libp2p::Multiaddr]) -> Settings {
    let mut settings = Settings::default();
    settings.data_dir = home;
    settings.listen = vec!["/ip4/127.0.0.1/tcp/0".parse().unwrap()];
    settings.bootstrap = bootstrap.to_vec();
    settings.http_listen = None;
    settings.web_listen = None;
    settings.diversity_exempt_loopback = true;
    settings
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_publishes_reads_and_repairs_with_nodes_of_its_own() -> Result<(), NodeError> {
    let directory = tempfile::tempdir().unwrap();
    let mut masternodes: Vec<Node> = Vec::new();
    for index in 0..3 {
        let home = directory.path().join(index.to_string());
        create_identity(&home)?;
        let bootstrap = masternodes.first().map(Node::addresses).unwrap_or_default();
        masternodes.push(Node::masternode(settings(home, &bootstrap)).await?);
    }
    let bootstrap: Vec<_> = masternodes.iter().flat_map(Node::addresses).collect();
    let keypair = Keypair::from_secret_bytes(&[5; 32])?;
    let client =
        Node::client(keypair, settings(directory.path().join("client"), &bootstrap)).await?;
    assert_eq!(client.find_masternodes().await, 3);

    let content = sample("library", 200_000);
    let file = directory.path().join("film.mp4");
    std::fs::write(&file, &content).unwrap();
    let options = PublishOptions::for_file(&file)?;
    let published = client.publish(&file, options, |_| {}).await?;
    assert_eq!((published.geometry.k(), published.geometry.n()), (2, 3));

    let opened = client.open(&published.link).await?;
    assert_eq!(opened.length_bytes(), 200_000);
    assert_eq!(opened.manifest().media_type, "video/mp4");
    let mut pieces = std::pin::pin!(opened.read(1_000..150_000, Pace::Bulk)?);
    let mut read = Vec::new();
    while let Some(piece) = pieces.next().await {
        read.extend_from_slice(&piece?);
    }
    assert!(read == content[1_000..150_000], "the bytes differ");
    assert!(matches!(opened.read(0..200_001, Pace::Bulk), Err(NodeError::Range { .. })));

    let repaired = client.repair(published.content, |_| {}).await?;
    assert!(repaired.restored.is_empty());
    assert_eq!(repaired.live_columns().len(), 3);

    // A masternode reads as well as a client does.
    let opened = masternodes[2].open(&published.link).await?;
    let last = opened.read(199_999..200_000, Pace::Playback)?;
    let last: Vec<_> = last.collect().await;
    assert_eq!(last.len(), 1);
    client.shutdown().await;
    for masternode in masternodes {
        masternode.shutdown().await;
    }
    Ok(())
}
