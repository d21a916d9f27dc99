//! Keys are sold for money: either the buyer has the key and the seller the money, or neither, and
//! whoever is away or killed meanwhile loses nothing.

use std::process::Command;

use pop_incentive::ids::LockId;
use pop_incentive::ledger::names::lock_id;
use pop_incentive::ledger::{Account, LockState, Operation};
use pop_node::clock::unix_now;
use pop_node::disk::PublishJournal;
use pop_node::disk::SourceFile;
use pop_node::ledger::LedgerClient;
use pop_node::settings::Settings;
use pop_node::{Node, disk};
use pop_wire::{Amount, Keypair, Manifest, Verified, WalletAddress};

use crate::support::cluster::Masternode;
use crate::support::program::{self, Outcome, pop_node};
use crate::support::{Client, Cluster, sample, wait_for};

/// What the film's key costs, in POP: `PRICE` and as an amount.
const PRICE: &str = "12.5";
const PRICE_UNITS: u128 = 12_500_000_000_000_000_000;

/// A ledger, three holders that ask nothing, and a publisher that sells the key of its film.
struct Market {
    runtime: tokio::runtime::Runtime,
    node: Node,
    operator: Keypair,
    ledger: String,
    seller: Client,
    selling: Cluster,
    film: Vec<u8>,
    sale_link: String,
    manifest: Verified<Manifest>,
    cluster: Cluster,
    _keeper: Cluster,
    _founder: Client,
}

fn arguments(given: &[&str]) -> Vec<String> {
    given.iter().map(|it| (*it).to_owned()).collect()
}

fn units(count: u128) -> Amount {
    Amount::from_base_units(count)
}

fn wallet_of(client: &Client) -> Keypair {
    disk::load_identity(&client.home()).unwrap()
}

async fn client_of(ledger: &str, home: &std::path::Path) -> Node {
    let mut settings = Settings::default();
    settings.data_dir = home.to_path_buf();
    settings.ledger = Some(ledger.parse().unwrap());
    settings.http_listen = None;
    settings.price_max = Amount::ZERO;
    Node::client(Keypair::from_secret_bytes(&[0x42; 32]).unwrap(), settings).await.unwrap()
}

impl Market {
    fn open() -> Self {
        let founder = Client::new(String::new());
        let mut create = pop_node();
        create.args(["ledger", "create", "--json"]);
        program::run(create.arg("--data-dir").arg(founder.home())).report();
        let operator = wallet_of(&founder);
        let keeper = Cluster::start_with(1, |_, keeper| {
            keeper.home = Some(founder.home());
            keeper.arguments = arguments(&["--serve-ledger"]);
        });
        let ledger = keeper.nodes[0].address.clone();
        let cluster = Cluster::start_with(3, |_, holder| {
            holder.arguments = arguments(&["--ledger", &ledger, "--price", "0"]);
        });
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let node = runtime.block_on(client_of(&ledger, &founder.path("observer")));
        let (seller, film) = (cluster.client(), sample("a film for money", 100_000));
        let file = seller.file("film", &film);
        let report = seller.publish(&file, &["--sell-key", PRICE]).report();
        assert_eq!(report["key_price"], PRICE);
        let sale_link = report["sale_link"].as_str().unwrap().to_owned();
        assert!(report["link"].as_str().unwrap().starts_with(&format!("{sale_link}?k=")));
        let journal = PublishJournal::open(&seller.home()).unwrap();
        let known = journal.lookup(&SourceFile::at(&file).unwrap()).unwrap().unwrap();
        let manifest = known.manifest.unwrap();
        drop(journal);
        let selling = Cluster::start_with(1, |_, node| {
            node.home = Some(seller.home());
            let more = ["--ledger", &ledger, "--key-sale-interval-s", "1", "--price", "0"];
            node.arguments = arguments(&more);
        });
        Self {
            runtime,
            node,
            operator,
            ledger,
            seller,
            selling,
            film,
            sale_link,
            manifest,
            cluster,
            _keeper: keeper,
            _founder: founder,
        }
    }

    fn ledger(&self) -> LedgerClient {
        self.node.ledger().unwrap()
    }

    fn has(&self, wallet: WalletAddress) -> u128 {
        let account = Account::Wallet(wallet);
        self.runtime.block_on(self.ledger().balance(account)).unwrap().base_units()
    }

    fn seller_has(&self) -> u128 {
        self.has(wallet_of(&self.seller).peer_id().wallet_address())
    }

    fn act(&self, actor: &Keypair, operation: Operation) {
        self.runtime.block_on(self.ledger().perform(actor, operation)).unwrap();
    }

    /// Somebody who has so many POP.
    fn buyer(&self, pop: u128) -> (Client, WalletAddress) {
        let client = self.cluster.client();
        let to = wallet_of(&client).peer_id().wallet_address();
        let amount = Amount::ONE_POP.checked_mul(pop).unwrap();
        self.act(&self.operator, Operation::Mint { to, amount });
        (client, to)
    }

    /// `get` by the link without a key, into the file `bought`.
    fn get(&self, buyer: &Client, more: &[&str]) -> Command {
        let mut get = buyer.verb("get");
        get.arg(&self.sale_link).arg("-o").arg(buyer.path("bought")).args(more);
        get.args(["--ledger", &self.ledger, "--price-max", "0"]);
        get
    }

    fn buy(&self, buyer: &Client, more: &[&str]) -> Outcome {
        program::run(&mut self.get(buyer, more))
    }

    /// It came, whole, and this was paid for the key.
    #[track_caller]
    fn assert_sold(&self, buyer: &Client, outcome: &Outcome, paid: &str) {
        assert_eq!(outcome.report()["key_paid"], paid);
        let bytes = std::fs::read(buyer.path("bought")).unwrap();
        assert!(bytes == self.film, "the bytes differ");
        std::fs::remove_file(buyer.path("bought")).unwrap();
    }

    fn selling(&mut self) -> &mut Masternode {
        &mut self.selling.nodes[0]
    }

    /// Start to buy, and be killed as soon as the money is locked.
    fn killed_after_the_lock(&self, buyer: &Client, wallet: WalletAddress, more: &[&str]) {
        let before = self.has(wallet);
        let mut get = program::start(&mut self.get(buyer, more));
        wait_for("the money is locked", || (self.has(wallet) < before).then_some(()));
        get.kill().unwrap();
        get.wait().unwrap();
        assert_eq!(self.has(wallet), before - PRICE_UNITS);
    }

    fn lock_state(&self, lock: LockId) -> LockState {
        self.runtime.block_on(self.ledger().lock(lock)).unwrap().unwrap().state
    }
}

const POP: u128 = Amount::ONE_POP.base_units();

#[test]
fn a_key_is_sold_for_its_price_to_the_unit_or_not_at_all() {
    let mut market = Market::open();
    nothing_is_locked_without_consent(&market);
    a_buyer_pays_once_for_bytes_that_are_the_films(&market);
    a_lock_that_never_left_is_made_anew(&market);
    locks_that_do_not_pay_are_left_alone(&market);
    market.selling().kill();
    a_seller_that_was_away_and_a_buyer_that_was_killed(&mut market);
    market.selling().kill();
    the_money_comes_back_if_nobody_sells(&market);
}

fn nothing_is_locked_without_consent(market: &Market) {
    let (buyer, wallet) = market.buyer(20);
    let told = market.buy(&buyer, &[]).refused(65, "key_for_sale");
    assert!(told.contains("12.5 POP"), "{told}");
    let told = market.buy(&buyer, &["--buy-key", "12.4"]).refused(77, "key_too_dear");
    assert!(told.contains("12.5 POP") && told.contains("nothing was locked"), "{told}");
    let free = market.seller.file("free", &sample("a free film", 1_000));
    let free = market.seller.publish(&free, &[]).report();
    assert_eq!((&free["sale_link"], &free["key_price"]), (&().into(), &().into()));
    // Another price is another manifest, so another content.
    let file = market.seller.path("free");
    let dear = market.seller.publish(&file, &["--sell-key", "3"]).report();
    assert_eq!(dear["key_price"], "3");
    assert_ne!(dear["content"], free["content"]);
    assert_eq!(market.seller.publish(&file, &[]).report()["sale_link"], dear["sale_link"]);
    assert_eq!(market.seller.publish(&file, &["--sell-key", "0"]).code, Some(2));
    let mut get = buyer.verb("get");
    get.arg(free["content"].as_str().unwrap()).args(["--buy-key", "20", "--ledger"]);
    program::run(get.args([&market.ledger, "--price-max", "0"])).refused(65, "key_not_for_sale");
    let (poor, _) = market.buyer(12);
    let poor_home = poor.home();
    market.buy(&poor, &["--buy-key", "20"]).refused(77, "ledger_refused");
    assert_eq!(std::fs::read_dir(poor_home.join("keys")).unwrap().count(), 0);
    assert_eq!((market.has(wallet), market.seller_has()), (20 * POP, 0));
}

fn a_buyer_pays_once_for_bytes_that_are_the_films(market: &Market) {
    let (buyer, wallet) = market.buyer(20);
    let bought = market.buy(&buyer, &["--buy-key", PRICE]);
    market.assert_sold(&buyer, &bought, PRICE);
    assert!(bought.stderr.contains("are locked for the key until"), "{}", bought.stderr);
    assert_eq!((market.has(wallet), market.seller_has()), (20 * POP - PRICE_UNITS, PRICE_UNITS));
    // The key is kept, and opens it without a ledger.
    let mut again = buyer.verb("get");
    again.arg(&market.sale_link).arg("-o").arg(buyer.path("bought"));
    market.assert_sold(&buyer, &program::run(&mut again), "0");
    // Even without the file: the ledger still has the lock that this wallet paid.
    std::fs::remove_dir_all(buyer.home().join("keys")).unwrap();
    market.assert_sold(&buyer, &market.buy(&buyer, &["--buy-key", PRICE]), PRICE);
    assert_eq!((market.has(wallet), market.seller_has()), (20 * POP - PRICE_UNITS, PRICE_UNITS));
}

/// Killed after a lock was written down and before it left.
fn a_lock_that_never_left_is_made_anew(market: &Market) {
    let (buyer, wallet) = market.buyer(20);
    let (before, keys) = (market.seller_has(), buyer.home().join("keys"));
    let pending = keys.join(format!("{}.lock", market.manifest.content_id()));
    let deadline_s = unix_now().after_s(3_600).0;
    let head = [&7_u64.to_be_bytes()[..], &[1; 32], &PRICE_UNITS.to_be_bytes()].concat();
    let manifest = market.manifest.signed().encode();
    let bytes = [&head[..], &deadline_s.to_be_bytes(), &manifest].concat();
    std::fs::create_dir(&keys).unwrap();
    std::fs::write(&pending, &bytes[1..]).unwrap();
    market.buy(&buyer, &["--buy-key", "20"]).refused(74, "key_file");
    std::fs::write(&pending, &bytes).unwrap();
    market.buy(&buyer, &[]).refused(65, "key_for_sale");
    assert_eq!(market.has(wallet), 20 * POP);
    market.assert_sold(&buyer, &market.buy(&buyer, &["--buy-key", "20"]), PRICE);
    assert!(!pending.exists());
    let expected = (20 * POP - PRICE_UNITS, before + PRICE_UNITS);
    assert_eq!((market.has(wallet), market.seller_has()), expected);
}

fn locks_that_do_not_pay_are_left_alone(market: &Market) {
    let (buyer, wallet) = market.buyer(100);
    let (keypair, before) = (wallet_of(&buyer), market.seller_has());
    let domain = market.runtime.block_on(market.ledger().domain()).unwrap();
    let in_an_hour = unix_now().after_s(3_600);
    let lock = |index, units_locked, deadline| {
        Operation::lock_for_key(&market.manifest, index, units(units_locked), deadline)
    };
    let mut other = lock(1, 2 * PRICE_UNITS, in_an_hour);
    if let Operation::OpenLock { commitment, .. } = &mut other {
        commitment.0[0] ^= 1;
    }
    let hasty = lock(2, PRICE_UNITS, unix_now().after_s(30));
    let bad = [lock(0, PRICE_UNITS - 1, in_an_hour), other, hasty];
    for operation in bad {
        market.act(&keypair, operation);
    }
    // Whoever claims these two has read the list at least once after the others were in it.
    for index in 3..5 {
        market.act(&keypair, lock(index, PRICE_UNITS, in_an_hour));
        let name = lock_id(&domain, wallet, index);
        wait_for("a lock that pays is claimed", || {
            matches!(market.lock_state(name), LockState::Claimed { .. }).then_some(())
        });
    }
    assert_eq!(market.seller_has(), before + 2 * PRICE_UNITS);
    for index in 0..3 {
        assert_eq!(market.lock_state(lock_id(&domain, wallet, index)), LockState::Open);
    }
    let log = market.selling.nodes[0].log();
    for reason in ["too little", "a key that is not sold here", "s or more to its deadline"] {
        assert_eq!(log.matches(reason).count(), 1, "{reason}: {log}");
    }
}

fn a_seller_that_was_away_and_a_buyer_that_was_killed(market: &mut Market) {
    let (buyer, wallet) = market.buyer(20);
    let before = market.seller_has();
    market.killed_after_the_lock(&buyer, wallet, &["--buy-key", "20"]);
    assert_eq!(market.seller_has(), before);
    market.selling().restart();
    wait_for("the seller claims", || (market.seller_has() > before).then_some(()));
    // Nobody needs to consent again to what is locked already.
    market.assert_sold(&buyer, &market.buy(&buyer, &[]), PRICE);
    assert_eq!(
        (market.has(wallet), market.seller_has()),
        (20 * POP - PRICE_UNITS, before + PRICE_UNITS)
    );
}

fn the_money_comes_back_if_nobody_sells(market: &Market) {
    let (buyer, wallet) = market.buyer(20);
    let before = market.seller_has();
    let order = ["--buy-key", "20", "--key-lock-s", "4"];
    market.killed_after_the_lock(&buyer, wallet, &order);
    let late = market.buy(&buyer, &order);
    let told = late.refused(69, "key_not_delivered");
    assert!(told.contains("12.5 POP are back"), "{told}");
    assert_eq!((market.has(wallet), market.seller_has()), (20 * POP, before));
    assert!(!buyer.path("bought").exists());
    market.buy(&buyer, &[]).refused(65, "key_for_sale");
    assert_eq!(market.has(wallet), 20 * POP);
}
