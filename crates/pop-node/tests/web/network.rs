//! Some masternodes in this process, and a film on them.

use std::path::Path;
use std::time::Duration;

use pop_erasure::{ContentKey, ContentLink};
use pop_incentive::ledger::LedgerParameters;
use pop_node::disk;
use pop_node::publish::PublishOptions;
use pop_node::settings::Settings;
use pop_node::{Node, ledger};
use pop_wire::Keypair;
use tempfile::TempDir;

/// No wait in these tests decides anything: what takes this long has hung.
pub(crate) const HANG: Duration = Duration::from_secs(60);

/// Bytes of the film.
const FILM_BYTES: usize = 300_000;

pub(crate) struct Network {
    pub(crate) nodes: Vec<Node>,
    directory: TempDir,
}

/// A film that was published.
pub(crate) struct Film {
    pub(crate) link: ContentLink,
    pub(crate) bytes: Vec<u8>,
}

impl Film {
    pub(crate) fn key(&self) -> ContentKey {
        self.link.key.clone().unwrap()
    }
}

impl Network {
    /// So many masternodes that know each other, without a ledger.
    pub(crate) async fn start(count: usize) -> Self {
        Self::start_with(count, |_, _| {}).await
    }

    /// The same, with settings of their own.
    pub(crate) async fn start_with(count: usize, change: impl Fn(usize, &mut Settings)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut nodes: Vec<Node> = Vec::new();
        for index in 0..count {
            let mut settings = settings(&directory.path().join(format!("node-{index}")));
            disk::create_identity(&settings.data_dir).unwrap();
            settings.bootstrap =
                nodes.iter().take(1).map(|node| node.addresses().remove(0)).collect();
            settings.web_listen = Some("127.0.0.1:0".parse().unwrap());
            change(index, &mut settings);
            if settings.serve_ledger {
                let key = disk::load_identity(&settings.data_dir).unwrap();
                let parameters = LedgerParameters::new(key.peer_id().wallet_address());
                ledger::create(&settings.data_dir, &key, parameters).unwrap();
            }
            nodes.push(Node::masternode(settings).await.unwrap());
        }
        let network = Self { nodes, directory };
        for node in &network.nodes {
            wait_for(|| async { node.find_masternodes().await + 1 >= count }).await;
        }
        network
    }

    /// Somebody who publishes and fetches over libp2p, with a gateway.
    pub(crate) async fn client(&self) -> Node {
        let mut settings = settings(&self.directory.path().join("client"));
        settings.bootstrap = self.nodes.iter().map(|node| node.addresses().remove(0)).collect();
        settings.http_listen = Some("127.0.0.1:0".parse().unwrap());
        let keypair = Keypair::from_secret_bytes(&[201; 32]).unwrap();
        Node::client(keypair, settings).await.unwrap()
    }

    pub(crate) async fn publish(&self) -> Film {
        let client = self.client().await;
        let mut bytes = vec![0; FILM_BYTES];
        blake3::Hasher::new_derive_key("film").finalize_xof().fill(&mut bytes);
        let file = self.directory.path().join("film");
        std::fs::write(&file, &bytes).unwrap();
        let options = PublishOptions::for_file(&file).unwrap();
        let published = client.publish(&file, options, |_| {}).await.unwrap();
        client.shutdown().await;
        Film { link: published.link, bytes }
    }
}

fn settings(home: &Path) -> Settings {
    let mut settings = Settings::default();
    settings.data_dir = home.to_path_buf();
    settings.listen = vec!["/ip4/127.0.0.1/tcp/0".parse().unwrap()];
    settings.http_listen = None;
    settings.price = pop_wire::Amount::ZERO;
    settings.price_max = pop_wire::Amount::ZERO;
    settings.diversity_exempt_loopback = true;
    settings
}

/// Try until it is so.
pub(crate) async fn wait_for<F: Future<Output = bool>>(mut is_so: impl FnMut() -> F) {
    let waiting = async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(HANG, waiting).await.expect("waited in vain");
}
