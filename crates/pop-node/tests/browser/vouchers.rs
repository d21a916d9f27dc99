//! Viewers who pay each other and the masternodes, and a ledger that shows it.

use std::path::{Path, PathBuf};

use pop_node::disk;
use pop_wire::{Amount, Keypair};
use serde_json::Value;
use tempfile::TempDir;

use crate::chromium::{self, Preparation};
use crate::support::program::{pop_node, run};
use crate::support::{Cluster, wait_for};
use crate::viewer::{CLIP, Viewer, page_of, publish_clip};

/// What this network's masternodes ask, and what the viewers here ask: POP per megabit and started
/// 100 kbit/s.
const PRICE: &str = "?price=0.00000002";

/// POP that each viewer gets, and what it puts into its vault.
const GIFT: &str = "100";
const DEPOSIT: &str = "40";

/// Masternodes of which the first keeps the ledger; everybody's homes.
struct Economy {
    cluster: Cluster,
    homes: TempDir,
}

impl Economy {
    fn start() -> Self {
        let homes = tempfile::Builder::new().prefix("pop-economy-").tempdir().unwrap();
        let bank = homes.path().join("bank");
        disk::create_identity(&bank).unwrap();
        verb(&bank, &["ledger", "create"]);
        let cluster = Cluster::start_with(5, |index, node| {
            node.has_ledger = true;
            node.home = (index == 0).then(|| bank.clone());
            node.arguments = vec!["--redeem-interval-s=1".to_owned()];
        });
        Self { cluster, homes }
    }

    /// What the ledger says of whoever lives there.
    fn balance(&self, home: &Path) -> Value {
        let ledger = format!("--ledger={}", self.cluster.nodes[0].address);
        verb(home, &["wallet", "balance", &ledger])
    }

    /// A home for the key that a viewer's browser made.
    fn home_of(&self, key: &Keypair) -> PathBuf {
        let home = self.homes.path().join(key.peer_id().to_string());
        disk::keep_identity(&home, key).unwrap();
        home
    }

    /// Give a viewer money and wait until a part of it is in its vault.
    fn fund(&self, viewer: &Viewer) {
        let wallet = viewer.page.eval("film.pop.wallet");
        let bank = &self.cluster.nodes[0].home;
        verb(bank, &["ledger", "mint", "--to", wallet.as_str().unwrap(), GIFT]);
        viewer.page.eval(&format!("film.pop.deposit('{DEPOSIT}')"));
        let vault = format!("observed.wallets.some((it) => parseFloat(it.vault) === {DEPOSIT})");
        viewer.page.wait("the vault is funded", &vault);
    }
}

#[track_caller]
fn verb(home: &Path, arguments: &[&str]) -> Value {
    let mut command = pop_node();
    command.args(arguments).args(["--json", "--diversity-exempt-loopback"]);
    run(command.arg("--data-dir").arg(home)).report()
}

/// An exact amount, in base units.
#[track_caller]
fn amount(value: &Value) -> u128 {
    let text = value.as_str().unwrap_or_else(|| panic!("{value}"));
    text.trim_end_matches(" POP").parse::<Amount>().unwrap().base_units()
}

#[test]
fn viewers_earn_and_what_left_the_vaults_is_what_came_to_the_wallets() {
    let Some(_turn) = chromium::turn() else { return };
    let economy = Economy::start();
    let clip = std::fs::read(CLIP).unwrap();
    let link = publish_clip(&economy.cluster.client());
    let watch = |node: usize| {
        let url = page_of(economy.cluster.nodes[node].http, &link, PRICE);
        let viewer = Viewer::arrive(&url, &Preparation::default());
        economy.fund(&viewer);
        viewer.play();
        assert!(viewer.bytes() == clip, "the bytes differ");
        viewer
    };
    let seller = watch(0);
    let buyer = watch(1);
    assert!(buyer.stat("fromViewersBytes") > 0);
    let said = |viewer: &Viewer, what: &str| {
        amount(&viewer.page.eval(&format!("film.stats().engine.{what}")))
    };
    let homes = [&seller, &buyer].map(|viewer| economy.home_of(&viewer.key()));

    // The seller cashes in what it was promised; masternodes do so by themselves.
    seller.page.eval("film.pop.redeem()");
    let ledger = |home: &PathBuf| economy.balance(home);
    wait_for("all that was promised is redeemed", || {
        let promised = said(&seller, "spent") + said(&buyer, "spent");
        let redeemed: u128 = homes.iter().map(|it| amount(&ledger(it)["vault_redeemed"])).sum();
        (promised == redeemed).then_some(())
    });
    let [of_seller, of_buyer] = homes.each_ref().map(ledger);
    let (gift, deposit) = (amount(&GIFT.into()), amount(&DEPOSIT.into()));
    let earned = amount(&of_seller["balance"]) - (gift - deposit);
    assert!(earned > 0);
    assert_eq!(earned, said(&seller, "earned"), "its player says something else than the ledger");
    assert_eq!(amount(&of_buyer["balance"]), gift - deposit, "nobody bought there");
    let of_masternodes: u128 =
        economy.cluster.nodes.iter().map(|node| amount(&ledger(&node.home)["balance"])).sum();
    let left_vaults = [&of_seller, &of_buyer].map(|it| amount(&it["vault_redeemed"]));
    assert_eq!(left_vaults.iter().sum::<u128>(), of_masternodes + earned);
    for it in [&of_seller, &of_buyer] {
        let left = amount(&it["vault_funded"]) - amount(&it["vault_redeemed"]);
        assert_eq!((amount(&it["vault_funded"]), amount(&it["vault_balance"])), (deposit, left));
    }
    let shown = seller.page.eval("document.getElementById('earned').textContent");
    assert_ne!(shown, "0 POP");
}
