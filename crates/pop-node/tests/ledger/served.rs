//! One node serves a ledger and others ask it, in one process.

use std::path::Path;

use futures::StreamExt as _;
use libp2p::Multiaddr;
use pop_incentive::ledger::names::vault_id;
use pop_incentive::ledger::{
    Account, LedgerParameters, Operation, Receipt, Refusal, SignedOperation,
};
use pop_node::ledger::{LedgerClientError, LedgerFileError};
use pop_node::settings::Settings;
use pop_node::{Node, NodeError, disk, ledger};
use pop_wire::{Amount, Keypair, WalletAddress};
use tempfile::TempDir;

fn settings(home: &Path) -> Settings {
    let mut settings = Settings::default();
    settings.data_dir = home.to_path_buf();
    settings.listen = vec!["/ip4/127.0.0.1/tcp/0".parse().unwrap()];
    settings.http_listen = None;
    settings.web_listen = None;
    settings.diversity_exempt_loopback = true;
    settings
}

fn key(number: u8) -> Keypair {
    Keypair::from_secret_bytes(&[number; 32]).unwrap()
}

fn pop(count: u128) -> Amount {
    Amount::ONE_POP.checked_mul(count).unwrap()
}

/// A node that serves a new ledger, whose operator it is.
struct Bank {
    home: TempDir,
    operator: Keypair,
    node: Node,
}

impl Bank {
    async fn open() -> Self {
        let home = tempfile::tempdir().unwrap();
        let operator = disk::create_identity(home.path()).unwrap();
        let parameters = LedgerParameters::new(operator.peer_id().wallet_address());
        ledger::create(home.path(), &operator, parameters).unwrap();
        let node = Self::serve(home.path()).await.unwrap();
        Self { home, operator, node }
    }

    async fn serve(home: &Path) -> Result<Node, NodeError> {
        let mut settings = settings(home);
        settings.serve_ledger = true;
        Node::masternode(settings).await
    }

    fn address(&self) -> Multiaddr {
        self.node.addresses().remove(0)
    }

    async fn mint(&self, to: WalletAddress, amount: Amount) {
        let mint = Operation::Mint { to, amount };
        self.node.ledger().unwrap().perform(&self.operator, mint).await.unwrap();
    }
}

/// Somebody else, with the ledger that is at `address`.
async fn customer(number: u8, home: &Path, address: Multiaddr) -> Node {
    let mut settings = settings(home);
    settings.ledger = Some(address);
    Node::client(key(number), settings).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn money_moves_over_the_wire_and_every_question_has_an_answer() {
    let (bank, home) = (Bank::open().await, tempfile::tempdir().unwrap());
    let (user, wallet) = (key(20), key(20).peer_id().wallet_address());
    bank.mint(wallet, pop(100_000)).await;
    let node = customer(21, home.path(), bank.address()).await;
    let client = node.ledger().unwrap();
    assert_eq!(client.balance(Account::Wallet(wallet)).await.unwrap(), pop(100_000));

    let domain = client.domain().await.unwrap();
    let open = Operation::OpenVault { index: 0, deposit: pop(5), penalty: pop(1) };
    let signed = SignedOperation::sign(open, client.nonce(wallet).await.unwrap(), &user, &domain);
    let receipt: Receipt = client.submit(signed.clone()).await.unwrap();
    assert_eq!(client.submit(signed.clone()).await.unwrap(), receipt, "the same, and once");
    assert_eq!(client.receipt(signed.id()).await.unwrap(), Some(receipt));
    let vault = vault_id(&domain, wallet, 0);
    assert_eq!(client.vault(vault).await.unwrap().unwrap().funded, pop(5));
    assert_eq!(client.redeemed(vault, wallet, 0).await.unwrap(), Amount::ZERO);

    let operator = key(22).peer_id();
    assert_eq!(client.registration(wallet, operator).await.unwrap(), None);
    let register = Operation::RegisterCollateral { operator, amount: pop(50_000) };
    client.perform(&user, register).await.unwrap();
    let registration = client.registration(wallet, operator).await.unwrap().unwrap();
    assert!(registration.is_masternode);
    assert_eq!(registration.collateral, pop(50_000));
    assert!(client.record(wallet).await.unwrap().since.0 > 0);
    assert!(client.liens(wallet).await.unwrap().is_empty());
    assert_eq!(client.info().await.unwrap().head.count, 3);

    // A refusal says over there what it says here.
    let too_much = Operation::Transfer { to: wallet, amount: pop(50_000) };
    let account = Account::Wallet(wallet);
    let (available, needed) = (pop(100_000 - 50_000 - 6), pop(50_000));
    match client.perform(&user, too_much).await {
        Err(LedgerClientError::Refused(refusal)) => {
            assert_eq!(refusal, Refusal::Insufficient { account, available, needed });
        }
        other => panic!("{other:?}"),
    }
    assert!(node.stats().ledger_requests() > 10);
    node.shutdown().await;
    bank.node.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_operations_are_one_commit_and_one_refusal_keeps_no_other() {
    let (bank, home) = (Bank::open().await, tempfile::tempdir().unwrap());
    let (user, wallet) = (key(30), key(30).peer_id().wallet_address());
    bank.mint(wallet, pop(100)).await;
    let node = customer(31, home.path(), bank.address()).await;
    let client = node.ledger().unwrap();
    let domain = client.domain().await.unwrap();
    let to = WalletAddress([9; 20]);
    let sign = |nonce: u64| {
        let amount = if nonce == 64 { pop(1_000) } else { pop(1) };
        SignedOperation::sign(Operation::Transfer { to, amount }, nonce, &user, &domain)
    };
    let results = client.submit_batch((0..70).map(sign).collect()).await.unwrap();
    let done = results.iter().filter(|result| result.is_ok()).count();
    assert_eq!((results.len(), done), (70, 64));
    assert!(matches!(results[64], Err(Refusal::Insufficient { .. })), "{:?}", results[64]);
    assert!(matches!(results[65], Err(Refusal::Nonce { expected: 64, got: 65 })));
    assert_eq!(client.balance(Account::Wallet(to)).await.unwrap(), pop(64));
    // Three tasks of one program at once: none is refused, and each takes effect.
    let transfer = || client.perform(&user, Operation::Transfer { to, amount: pop(1) });
    let (one, two, three) = tokio::join!(transfer(), transfer(), transfer());
    assert!(one.is_ok() && two.is_ok() && three.is_ok());
    assert_eq!(client.balance(Account::Wallet(to)).await.unwrap(), pop(67));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_ledger_is_refused_and_the_pin_needs_no_trip() {
    let (bank, other) = (Bank::open().await, Bank::open().await);
    let home = tempfile::tempdir().unwrap();
    let node = customer(40, home.path(), bank.address()).await;
    let pinned = node.ledger().unwrap().genesis().await.unwrap();
    node.shutdown().await;

    let node = customer(40, home.path(), other.address()).await;
    let client = node.ledger().unwrap();
    assert_eq!(client.genesis().await.unwrap(), pinned);
    assert_eq!(node.stats().ledger_requests(), 0, "the pin is enough");
    let refused = client.nonce(WalletAddress([1; 20])).await.unwrap_err();
    assert!(matches!(refused, LedgerClientError::OtherLedger { .. }), "{refused}");
    assert!(refused.to_string().contains("ledger.pin"), "{refused}");
    node.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_that_is_gone_is_an_error_and_one_that_is_back_goes_on() {
    let (bank, home) = (Bank::open().await, tempfile::tempdir().unwrap());
    bank.mint(WalletAddress([1; 20]), pop(3)).await;
    let (address, bank_home) = (bank.address(), bank.home);
    let node = customer(50, home.path(), address.clone()).await;
    let client = node.ledger().unwrap();
    client.info().await.unwrap();
    bank.node.shutdown().await;
    let gone = client.info().await.unwrap_err();
    assert!(matches!(gone, LedgerClientError::Unreachable { .. }), "{gone}");
    assert_eq!((gone.exit_code(), gone.code()), (69, "ledger_unreachable"));

    // Nothing of it is in memory alone.
    let again = Bank::serve(bank_home.path()).await.unwrap();
    let client = again.ledger().unwrap();
    let account = Account::Wallet(WalletAddress([1; 20]));
    assert_eq!(client.balance(account).await.unwrap(), pop(3));
    again.shutdown().await;
    let report = ledger::verify(bank_home.path()).unwrap();
    assert_eq!((report.head.count, report.emitted), (1, pop(3)));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_too_much_is_told_to_wait_and_others_are_served() {
    let bank = Bank::open().await;
    let (greedy_home, modest_home) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let greedy = customer(60, greedy_home.path(), bank.address()).await;
    let modest = customer(61, modest_home.path(), bank.address()).await;
    let client = greedy.ledger().unwrap();
    client.info().await.unwrap();
    let wallet = WalletAddress([1; 20]);
    let asked = 600;
    let asking = futures::stream::iter((0..asked).map(|_| client.nonce(wallet)));
    let answers: Vec<_> = asking.buffer_unordered(16).collect().await;
    assert!(answers.iter().all(|answer| matches!(answer, Ok(0))), "waiting is all it takes");
    let sent = greedy.stats().ledger_requests();
    assert!(sent > asked + 1, "nobody was told to wait: {sent}");
    assert_eq!(modest.ledger().unwrap().nonce(wallet).await.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_does_not_ask_itself() {
    let home = tempfile::tempdir().unwrap();
    let mut settings = settings(home.path());
    let address = format!("/ip4/127.0.0.1/tcp/1/p2p/{}", key(70).peer_id());
    settings.ledger = Some(address.parse().unwrap());
    let refused = Node::client(key(70), settings).await.unwrap_err();
    assert!(refused.to_string().contains("serve_ledger"), "{refused}");
}

#[tokio::test]
async fn a_ledger_is_created_once() {
    let home = tempfile::tempdir().unwrap();
    let create = |parameters| ledger::create(home.path(), &key(1), parameters);
    let parameters = LedgerParameters::new(WalletAddress([0; 20]));
    let mut unsound = parameters.clone();
    unsound.reporter_bps = 9_000;
    let refused = create(unsound).unwrap_err();
    assert!(matches!(refused, LedgerFileError::Parameters(_)), "{refused}");
    let genesis = create(parameters.clone()).unwrap();
    assert_eq!(genesis.parameters.operator, key(1).peer_id().wallet_address());
    assert!(genesis.domain.chain_id() > 1 << 32);
    let again = create(parameters).unwrap_err();
    assert!(matches!(again, LedgerFileError::Exists { .. }), "{again}");
    assert_eq!(ledger::verify(home.path()).unwrap().genesis, genesis);
}
