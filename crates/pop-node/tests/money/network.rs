//! A ledger, masternodes that sell, and viewers with or without money.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use futures::StreamExt as _;
use libp2p::Multiaddr;
use pop_erasure::ContentLink;
use pop_incentive::ledger::names::vault_id;
use pop_incentive::ledger::{Account, LedgerParameters, Operation};
use pop_incentive::rate::{Rate, Tariff, Tier};
use pop_node::clock::monotonic_now;
use pop_node::fetch::Pace;
use pop_node::ledger::LedgerClient;
use pop_node::publish::PublishOptions;
use pop_node::settings::Settings;
use pop_node::{Node, NodeError, disk, ledger};
use pop_wire::{Amount, Keypair};
use tempfile::TempDir;

/// No wait here decides anything: what takes this long has hung.
pub(crate) const HANG: Duration = Duration::from_secs(60);

/// Bytes of the film.
pub(crate) const FILM_BYTES: usize = 3_000_000;

pub(crate) struct Network {
    directory: TempDir,
    /// Keeps the ledger, and nothing else: it sells nothing.
    pub(crate) keeper: Node,
    operator: Keypair,
    pub(crate) holders: Vec<Node>,
    /// Their wallets.
    pub(crate) keys: Vec<Keypair>,
    pub(crate) film: Vec<u8>,
    /// Where the film is, if it was published.
    pub(crate) link: Option<ContentLink>,
    /// What a holder lends to a newcomer.
    lend_fresh_bytes: u64,
    /// How often holders redeem that are started from now on.
    pub(crate) redeem_interval_s: u64,
    /// How often holders count live columns that are started from now on; 0 for never.
    pub(crate) scarcity_interval_s: u64,
}

pub(crate) fn pop(count: u128) -> Amount {
    Amount::ONE_POP.checked_mul(count).unwrap()
}

/// What bytes of a film without a playing time cost.
pub(crate) fn tariff() -> Tariff {
    let rate = Rate::new(Settings::default().price).unwrap();
    Tariff { rate, tier: Tier::of_kbps(1).unwrap() }
}

fn settings(home: &Path) -> Settings {
    let mut settings = Settings::default();
    settings.data_dir = home.to_path_buf();
    settings.listen = vec!["/ip4/127.0.0.1/tcp/0".parse().unwrap()];
    settings.http_listen = None;
    settings.web_listen = None;
    settings.diversity_exempt_loopback = true;
    settings.redeem_interval_s = 1;
    settings
}

impl Network {
    /// A ledger and so many holders.
    pub(crate) async fn start(holders: usize) -> Self {
        Self::start_lending(holders, Settings::default().lend_fresh_bytes).await
    }

    /// The same, where each holder lends so many bytes to a newcomer.
    pub(crate) async fn start_lending(holders: usize, lend_fresh_bytes: u64) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let home = directory.path().join("keeper");
        let operator = disk::create_identity(&home).unwrap();
        let parameters = LedgerParameters::new(operator.peer_id().wallet_address());
        ledger::create(&home, &operator, parameters).unwrap();
        let mut serving = settings(&home);
        serving.serve_ledger = true;
        serving.quota_bytes = 0;
        let keeper = Node::masternode(serving).await.unwrap();
        let film = (0..FILM_BYTES).map(|at| u8::try_from(at % 251).unwrap()).collect();
        let mut network = Self {
            directory,
            keeper,
            operator,
            holders: Vec::new(),
            keys: Vec::new(),
            film,
            link: None,
            lend_fresh_bytes,
            redeem_interval_s: 1,
            scarcity_interval_s: 0,
        };
        for index in 0..holders {
            let home = network.home(&format!("holder-{index}"));
            network.keys.push(disk::create_identity(&home).unwrap());
            let node = network.start_holder(index).await;
            network.holders.push(node);
        }
        network
    }

    pub(crate) fn home(&self, name: &str) -> std::path::PathBuf {
        self.directory.path().join(name)
    }

    fn address(&self) -> Multiaddr {
        self.keeper.addresses().remove(0)
    }

    /// Start a holder, or start it again.
    pub(crate) async fn start_holder(&self, index: usize) -> Node {
        let mut settings = settings(&self.home(&format!("holder-{index}")));
        settings.ledger = Some(self.address());
        settings.lend_fresh_bytes = self.lend_fresh_bytes;
        settings.redeem_interval_s = self.redeem_interval_s;
        settings.scarcity_interval_s = self.scarcity_interval_s;
        // What a holder fetches itself it pays for, or does without.
        settings.borrow = false;
        settings.bootstrap = vec![self.address()];
        Node::masternode(settings).await.unwrap()
    }

    /// A viewer, the same one for the same number.
    pub(crate) async fn viewer(&self, number: u8) -> Node {
        let mut settings = settings(&self.home(&format!("viewer-{number}")));
        settings.ledger = Some(self.address());
        settings.bootstrap = self.holders.iter().map(|node| node.addresses().remove(0)).collect();
        Node::client(key(number), settings).await.unwrap()
    }

    /// The same viewer, which borrows nothing.
    pub(crate) async fn viewer_without_credit(&self, number: u8) -> Node {
        let mut settings = settings(&self.home(&format!("viewer-{number}")));
        settings.ledger = Some(self.address());
        settings.borrow = false;
        settings.bootstrap = self.holders.iter().map(|node| node.addresses().remove(0)).collect();
        Node::client(key(number), settings).await.unwrap()
    }

    /// The same viewer, which pays less than anybody asks.
    pub(crate) async fn thrifty_viewer(&self, number: u8) -> Node {
        let mut settings = settings(&self.home(&format!("viewer-{number}")));
        settings.ledger = Some(self.address());
        settings.price_max = Amount::from_base_units(1);
        settings.bootstrap = self.holders.iter().map(|node| node.addresses().remove(0)).collect();
        Node::client(key(number), settings).await.unwrap()
    }

    /// Of the holders the one that served most: the scheduler may leave one of them alone.
    pub(crate) fn busiest(&self) -> usize {
        let served = |index: &usize| self.holders[*index].stats().served_bytes();
        (0..self.holders.len()).max_by_key(served).unwrap()
    }

    pub(crate) fn ledger(&self) -> LedgerClient {
        self.keeper.ledger().unwrap()
    }

    /// What the program says to the operator of a holder that isn't running.
    pub(crate) async fn verb(&self, holder: usize, arguments: &[&str]) -> String {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pop-node"));
        command.args(arguments).arg("--data-dir").arg(self.home(&format!("holder-{holder}")));
        command.arg("--ledger").arg(self.address().to_string());
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Give a viewer a vault with so much in it.
    pub(crate) async fn endow(&self, number: u8, deposit: Amount) {
        self.endow_wallet(&key(number), deposit).await;
    }

    /// Give a wallet a vault with so much in it.
    pub(crate) async fn endow_wallet(&self, wallet: &Keypair, deposit: Amount) {
        let ledger = self.ledger();
        let to = wallet.peer_id().wallet_address();
        let mint = Operation::Mint { to, amount: deposit };
        ledger.perform(&self.operator, mint).await.unwrap();
        let open = Operation::OpenVault { index: 0, deposit, penalty: Amount::ZERO };
        ledger.perform(wallet, open).await.unwrap();
    }

    /// What left a viewer's vault.
    pub(crate) async fn paid(&self, number: u8) -> Amount {
        let ledger = self.ledger();
        let owner = key(number).peer_id().wallet_address();
        let vault = vault_id(&ledger.domain().await.unwrap(), owner, 0);
        ledger.vault(vault).await.unwrap().unwrap().redeemed
    }

    /// What a holder has on its wallet.
    pub(crate) async fn earned(&self, holder: &Node) -> Amount {
        let wallet = holder.peer_id().wallet_address();
        self.ledger().balance(Account::Wallet(wallet)).await.unwrap()
    }

    /// Publish the film onto the holders.
    pub(crate) async fn publish(&self) -> ContentLink {
        let file = self.home("film.bin");
        std::fs::write(&file, &self.film).unwrap();
        let mut settings = settings(&self.home("publisher"));
        settings.bootstrap = self.holders.iter().map(|node| node.addresses().remove(0)).collect();
        let node = Node::client(key(99), settings).await.unwrap();
        let started = monotonic_now();
        while node.find_masternodes().await < self.holders.len() {
            assert!(started.elapsed() < HANG, "the holders don't find each other");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let options = PublishOptions::for_file(&file).unwrap();
        let published = node.publish(&file, options, |_| {}).await.unwrap();
        node.shutdown().await;
        published.link
    }
}

pub(crate) fn key(number: u8) -> Keypair {
    Keypair::from_secret_bytes(&[number; 32]).unwrap()
}

/// Fetch a whole content.
pub(crate) async fn fetch(node: &Node, link: &ContentLink) -> Result<Vec<u8>, NodeError> {
    let content = node.open(link).await?;
    let pieces = content.read(0..content.length_bytes(), Pace::Bulk)?;
    let mut pieces = std::pin::pin!(pieces);
    let mut bytes = Vec::new();
    while let Some(piece) = pieces.next().await {
        bytes.extend_from_slice(&piece?);
    }
    Ok(bytes)
}

/// Look again and again until it is so.
pub(crate) async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let started = monotonic_now();
    while !is_so().await {
        assert!(started.elapsed() < HANG, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
