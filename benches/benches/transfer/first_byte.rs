//! From nothing to the first plaintext byte, against the size of the content: a node is started,
//! finds the content and its holders, connects, fetches and decrypts the first segment.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use benches::Error;
use criterion::{BenchmarkId, Criterion, SamplingMode};
use futures::StreamExt as _;
use libp2p::Multiaddr;
use pop_erasure::ContentLink;
use pop_node::fetch::Pace;
use pop_node::publish::PublishOptions;
use pop_node::settings::Settings;
use pop_node::{Node, clock, disk};
use pop_wire::Keypair;
use tokio::runtime::Runtime;

/// Sizes of the contents, in bytes. The files are sparse; their shards are not.
const SIZES: [u64; 2] = [1_000_000, 1_000_000_000];

const MASTERNODES: usize = 5;

/// The criterion cases.
pub(crate) fn run(criterion: &mut Criterion, runtime: &Runtime) -> Result<(), Error> {
    let directory = match Path::new("/dev/shm").is_dir() {
        true => tempfile::tempdir_in("/dev/shm")?,
        false => tempfile::tempdir()?,
    };
    let (masternodes, bootstrap) = runtime.block_on(start(directory.path()))?;
    let mut group = criterion.benchmark_group("transfer/first_byte");
    group.sample_size(10).sampling_mode(SamplingMode::Flat);
    for bytes in SIZES {
        let link = runtime.block_on(publish(directory.path(), &bootstrap, bytes))?;
        group.bench_function(BenchmarkId::from_parameter(bytes), |bencher| {
            bencher.iter_custom(|iterations| {
                let once = |_| {
                    let opening = first_byte(directory.path(), &bootstrap, &link);
                    runtime.block_on(opening).expect("the masternodes are up")
                };
                (0..iterations).map(once).sum()
            });
        });
    }
    group.finish();
    for masternode in masternodes {
        runtime.block_on(masternode.shutdown());
    }
    Ok(())
}

async fn first_byte(
    directory: &Path,
    bootstrap: &[Multiaddr],
    link: &ContentLink,
) -> Result<Duration, Error> {
    let started = clock::monotonic_now();
    let keypair = Keypair::from_secret_bytes(&clock::random_bytes()?)?;
    let viewer = Node::client(keypair, settings(directory.join("viewer"), bootstrap)).await?;
    let opened = viewer.open(link).await?;
    let mut pieces = std::pin::pin!(opened.read(0..opened.length_bytes(), Pace::Playback)?);
    pieces.next().await.ok_or("expected a byte")??;
    let elapsed = started.elapsed();
    viewer.shutdown().await;
    Ok(elapsed)
}

async fn start(directory: &Path) -> Result<(Vec<Node>, Vec<Multiaddr>), Error> {
    let mut masternodes: Vec<Node> = Vec::new();
    for index in 0..MASTERNODES {
        let home = directory.join(format!("masternode-{index}"));
        disk::create_identity(&home)?;
        let first = masternodes.first().map(Node::addresses).unwrap_or_default();
        masternodes.push(Node::masternode(settings(home, &first)).await?);
    }
    let bootstrap = masternodes.iter().flat_map(Node::addresses).collect();
    Ok((masternodes, bootstrap))
}

async fn publish(
    directory: &Path,
    bootstrap: &[Multiaddr],
    bytes: u64,
) -> Result<ContentLink, Error> {
    let file = directory.join(format!("{bytes}.bin"));
    File::create(&file)?.set_len(bytes)?;
    let keypair = Keypair::from_secret_bytes(&clock::random_bytes()?)?;
    let node = Node::client(keypair, settings(directory.join("publisher"), bootstrap)).await?;
    let published = node.publish(&file, PublishOptions::for_file(&file)?, |_| {}).await?;
    node.shutdown().await;
    Ok(published.link)
}

pub(crate) fn settings(home: PathBuf, bootstrap: &[Multiaddr]) -> Settings {
    let mut settings = Settings::default();
    settings.data_dir = home;
    settings.listen = vec!["/ip4/127.0.0.1/tcp/0".parse().expect("a constant address")];
    settings.bootstrap = bootstrap.to_vec();
    settings.http_listen = None;
    settings.web_listen = None;
    settings.diversity_exempt_loopback = true;
    settings
}
