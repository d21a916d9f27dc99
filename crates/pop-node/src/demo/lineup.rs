//! Who takes part in the demo: the masternodes' processes, and the node with the gateway.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use futures::StreamExt as _;
use pop_wire::{ColumnSet, Keypair, PeerId};

use super::DemoOptions;
use super::bank;
use super::cluster::{self, Masternode};
use super::scene::Board;
use crate::error::NodeError;
use crate::http_client;
use crate::node::Node;
use crate::publish::Published;
use crate::settings::Settings;
use crate::status::Status;

/// Masternodes started at once.
const STARTING_MAX: usize = 4;

pub(super) async fn start_masternodes(
    directory: &Path,
    count: u32,
    quota_bytes: u64,
    started: &mut impl FnMut(usize),
) -> Result<Vec<Masternode>, NodeError> {
    let place = |index| bank::place(directory, index);
    let first = cluster::start(place(0), None, quota_bytes).await?;
    let bootstrap = first.address.clone();
    let mut masternodes = vec![first];
    started(masternodes.len());
    let mut starting = futures::stream::iter(1..count)
        .map(|index| cluster::start(place(index), Some(bootstrap.clone()), quota_bytes))
        .buffer_unordered(STARTING_MAX);
    while let Some(node) = starting.next().await {
        masternodes.push(node?);
        started(masternodes.len());
    }
    Ok(masternodes)
}

pub(super) async fn start_client(
    directory: &Path,
    options: &DemoOptions,
    (masternodes, keypair): (&[Masternode], &Keypair),
) -> Result<Node, NodeError> {
    let settings = Settings {
        data_dir: directory.join("client"),
        diversity_exempt_loopback: true,
        http_listen: Some(std::net::SocketAddr::from(([127, 0, 0, 1], options.http_port))),
        ledger: masternodes.first().map(|node| node.address.clone()),
        bootstrap: masternodes.iter().take(3).map(|node| node.address.clone()).collect(),
        ..Settings::default()
    };
    Node::client(keypair.clone(), settings).await
}

/// Ask each node once a second how much it served, for as long as it answers.
pub(super) async fn watch_served(nodes: Vec<std::net::SocketAddr>, board: Board) {
    let mut tick = tokio::time::interval(Duration::from_secs(1));
    loop {
        tick.tick().await;
        let asking = nodes.iter().map(|address| async {
            let response = http_client::get(*address, "/api/v1/status", None).await.ok()?;
            let status: Status = serde_json::from_slice(&response.all().await.ok()?).ok()?;
            Some(status.served_bytes)
        });
        let served = futures::future::join_all(asking).await;
        board.change(|scene| {
            for node in &mut scene.nodes {
                let now = served.get(node.index).copied().flatten();
                node.bytes_served = now.unwrap_or(node.bytes_served);
            }
        });
    }
}

/// Which columns each masternode was given when the film was published.
pub(super) fn holdings_of(published: &Published) -> Vec<(PeerId, ColumnSet)> {
    let mut holdings = BTreeMap::<PeerId, ColumnSet>::new();
    for (column, peer) in &published.placement {
        holdings.entry(*peer).or_default().insert(*column);
    }
    holdings.into_iter().collect()
}
