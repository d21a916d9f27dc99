//! Holders are asked to prove that they have what they say: honest ones do, one whose disk is
//! damaged is silent and loses nothing, and one that signs what isn't so loses collateral.

use std::collections::VecDeque;

use bytes::Bytes;
use futures::AsyncReadExt as _;
use pop_exchange::limits::AUDITS_BURST;
use pop_exchange::link::{MessageReader, MessageWriter};
use pop_incentive::audit::{AuditChallenge, SignedAnswer};
use pop_incentive::ledger::{Account, Operation};
use pop_incentive::limits::AUDIT_WINDOW_S;
use pop_node::clock::unix_now;
use pop_node::ledger::LedgerClient;
use pop_node::settings::Settings;
use pop_node::{Node, disk};
use pop_wire::message::{Audit, RefusalReason};
use pop_wire::{
    Amount, ColumnIndex, ContentId, Keypair, Message, PeerId, RequestId, SegmentIndex, UnixTime,
};
use serde_json::Value;

use crate::support::cluster::Masternode;
use crate::support::program::{self, Outcome, pop_node};
use crate::support::rogue::{self, Lie, Rogue};
use crate::support::stranger::{self, Stranger};
use crate::support::{Client, Cluster, files_below, sample};

/// Audits that one network may ask of a node at once, and how many come back a second
/// (spec/exchange.md §12).
const PREFIX_BURST: u64 = 128;
const PREFIX_PER_S: u64 = 4;

/// A ledger, three honest holders, and one that says it holds everything.
struct Scene {
    runtime: tokio::runtime::Runtime,
    node: Node,
    operator: Keypair,
    ledger: String,
    client: Client,
    rogue: Rogue,
    content: String,
    cluster: Cluster,
    _keeper: Cluster,
    _founder: Client,
}

impl Scene {
    fn set() -> Self {
        let founder = Client::new(String::new());
        let mut create = pop_node();
        create.args(["ledger", "create", "--json", "--collateral-min=100"]);
        program::run(create.arg("--data-dir").arg(founder.home())).report();
        let operator = disk::load_identity(&founder.home()).unwrap();
        let keeper = Cluster::start_with(1, |_, keeper| {
            keeper.home = Some(founder.home());
            keeper.arguments.push("--serve-ledger".to_owned());
        });
        let ledger = keeper.nodes[0].address.clone();
        let cluster = Cluster::start_with(3, |_, holder| {
            let arguments = ["--ledger", &ledger, "--price", "0"];
            holder.arguments = arguments.map(str::to_owned).to_vec();
        });
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let node = runtime.block_on(client_of(&ledger));
        let domain = runtime.block_on(node.ledger().unwrap().domain()).unwrap();
        let rogue = Rogue::join_audited(&cluster.nodes[0].address, Some(domain));
        cluster.wait_until_known(3);
        let client = cluster.client();
        let file = client.file("film", &sample("audits", 1_000_000));
        let report = client.publish(&file, &[]).report();
        rogue.wait_for_claim();
        let content = report["content"].as_str().unwrap().to_owned();
        Self {
            runtime,
            node,
            operator,
            ledger,
            client,
            rogue,
            content,
            cluster,
            _keeper: keeper,
            _founder: founder,
        }
    }

    fn audit(&self, more: &[&str]) -> Outcome {
        let mut audit = self.client.verb("audit");
        audit.arg(&self.content).args(["--ledger", &self.ledger]).args(more);
        program::run(&mut audit)
    }

    fn report(&self, proof: &str) -> Outcome {
        let mut report = pop_node();
        report.args(["report", proof, "--json", "--ledger", &self.ledger]);
        program::run(report.arg("--data-dir").arg(self.client.home()))
    }

    fn ledger(&self) -> LedgerClient {
        self.node.ledger().unwrap()
    }

    fn balance(&self, account: Account) -> Amount {
        self.runtime.block_on(self.ledger().balance(account)).unwrap()
    }

    /// Collateral for the rogue, as a masternode that earns has it.
    fn stake_rogue(&self) {
        let (rogue, amount) = (rogue::keypair(), pop(100));
        let to = rogue.peer_id().wallet_address();
        let register = Operation::RegisterCollateral { operator: rogue.peer_id(), amount };
        self.runtime.block_on(async {
            let ledger = self.ledger();
            ledger.perform(&self.operator, Operation::Mint { to, amount }).await.unwrap();
            ledger.perform(&rogue, register).await.unwrap();
        });
    }
}

fn pop(count: u128) -> Amount {
    Amount::ONE_POP.checked_mul(count).unwrap()
}

async fn client_of(ledger: &str) -> Node {
    let mut settings = Settings::default();
    settings.data_dir = tempfile::tempdir().unwrap().keep();
    settings.ledger = Some(ledger.parse().unwrap());
    settings.http_listen = None;
    settings.price_max = Amount::ZERO;
    Node::client(Keypair::from_secret_bytes(&[0x41; 32]).unwrap(), settings).await.unwrap()
}

/// What an audit found of a holder: right, wrong, unchecked, silent.
fn found(report: &Value, peer: &str) -> [u64; 4] {
    let holders = report["holders"].as_array().unwrap();
    let holder = holders.iter().find(|it| it["peer"] == peer).unwrap_or_else(|| panic!("{report}"));
    ["right", "wrong", "unchecked", "silent"].map(|name| holder[name].as_u64().unwrap())
}

/// Overwrite every column that a holder has.
fn damage(holder: &Masternode) {
    for file in files_below(&holder.home.join("columns")) {
        let length = std::fs::metadata(&file).unwrap().len();
        // In place: the holder has it open.
        let handle = std::fs::OpenOptions::new().write(true).open(&file).unwrap();
        let garbage = vec![0x55; usize::try_from(length).unwrap()];
        std::os::unix::fs::FileExt::write_all_at(&handle, &garbage, 0).unwrap();
    }
}

#[test]
fn honest_holders_pass_damaged_ones_are_silent_and_liars_lose_collateral() {
    let scene = Scene::set();
    scene.rogue.tell(Lie::WrongAnswer);
    let liar = scene.rogue.peer.to_string();
    let all = scene.audit(&["--samples", "3", "--check", "3"]);
    assert_eq!(all.code, Some(76), "{all:?}");
    let report = all.json();
    for holder in &scene.cluster.nodes {
        assert_eq!(found(&report, &holder.peer), [3, 0, 0, 0], "{report}");
    }
    assert_eq!(found(&report, &liar), [0, 3, 0, 0], "{report}");
    assert!(report["holders"][0]["median_ms"].is_number(), "{report}");
    let honest = &scene.cluster.nodes[0];
    let alone = scene.audit(&["--holder", &honest.peer, "--samples", "2", "--check", "0"]).report();
    assert_eq!(found(&alone, &honest.peer), [0, 0, 2, 0], "{alone}");
    assert_eq!(alone["holders"].as_array().unwrap().len(), 1);

    let proofs = report["proofs"].as_array().unwrap();
    let proofs: Vec<&str> = proofs.iter().map(|it| it.as_str().unwrap()).collect();
    assert_eq!(proofs.len(), 3, "{report}");
    the_liar_is_slashed(&scene, &proofs);

    let holder = &scene.cluster.nodes[1];
    damage(holder);
    let report = scene.audit(&["--holder", &holder.peer, "--samples", "3"]).report();
    assert_eq!(found(&report, &holder.peer), [0, 0, 0, 3], "{report}");
    assert_eq!(report["proofs"], Value::Array(Vec::new()), "silence is no evidence");
    let nobody = Keypair::from_secret_bytes(&[0x77; 32]).unwrap().peer_id().to_string();
    scene.audit(&["--holder", &nobody]).refused(69, "no_node");

    scene.runtime.block_on(a_node_answers_what_is_due_and_not_too_much(&scene));
}

fn the_liar_is_slashed(scene: &Scene, proofs: &[&str]) {
    let nothing_to_take = scene.report(proofs[0]);
    nothing_to_take.refused(77, "ledger_refused");
    scene.stake_rogue();
    let reporter = disk::load_identity(&scene.client.home()).unwrap().peer_id();
    let done = scene.report(proofs[0]).report();
    assert_eq!((&done["slashed"], &done["reward"]), (&"20".into(), &"2".into()), "{done}");
    assert_eq!(done["holder"], scene.rogue.peer.to_string());
    let peer = scene.rogue.peer;
    let owner = peer.wallet_address();
    // A fifth of the least collateral: a tenth of it to who reported, four to repair, half burned.
    assert_eq!(scene.balance(Account::Collateral { owner, operator: peer }), pop(80));
    assert_eq!(scene.balance(Account::Wallet(reporter.wallet_address())), pop(2));
    assert_eq!(scene.balance(Account::RepairFund), pop(8));
    assert_eq!(scene.balance(Account::Burned), pop(10));
    let record = scene.runtime.block_on(scene.ledger().record(owner)).unwrap();
    assert_eq!((record.slashes, record.slashed), (1, pop(20)));
    // All wrong answers of an epoch are one wrong.
    scene.report(proofs[1]).refused(77, "ledger_refused");
    let cut = scene.client.path("cut.pop-proof");
    let bytes = std::fs::read(proofs[1]).unwrap();
    std::fs::write(&cut, &bytes[..bytes.len() - 1]).unwrap();
    scene.report(cut.to_str().unwrap()).refused(65, "bad_input");
}

/// A link to a node on which audits are asked by hand.
struct Line {
    reader: MessageReader<futures::io::ReadHalf<pop_exchange::libp2p::ExchangeStream>>,
    writer: MessageWriter<futures::io::WriteHalf<pop_exchange::libp2p::ExchangeStream>>,
    heard: VecDeque<Message>,
}

impl Line {
    async fn open(stranger: &Stranger, holder: &Masternode) -> Self {
        let (reader, writer) = stranger.open(&holder.address).await.split();
        let (reader, writer) = (MessageReader::new(reader), MessageWriter::new(writer));
        let mut line = Self { reader, writer, heard: VecDeque::new() };
        line.writer.push(&stranger::hello()).unwrap();
        line.writer.flush().await.unwrap();
        assert!(matches!(line.hear().await, Message::Hello(_)));
        line
    }

    async fn hear(&mut self) -> Message {
        while self.heard.is_empty() {
            assert!(self.reader.read(&mut self.heard).await.unwrap(), "the node hung up");
        }
        self.heard.pop_front().unwrap()
    }

    /// Ask; the answer, or why there is none.
    async fn ask(&mut self, id: u64, challenge: &[u8]) -> Result<Bytes, RefusalReason> {
        let challenge = Bytes::copy_from_slice(challenge);
        let audit = Message::Audit(Audit { id: RequestId(id), challenge });
        self.writer.push(&audit).unwrap();
        self.writer.flush().await.unwrap();
        match self.hear().await {
            Message::AuditAnswer(answer) if answer.id == RequestId(id) => Ok(answer.answer),
            Message::Refusal(refusal) if refusal.id == RequestId(id) => Err(refusal.reason),
            other => panic!("{other:?}"),
        }
    }
}

async fn a_node_answers_what_is_due_and_not_too_much(scene: &Scene) {
    let (stranger, holder) = (Stranger::new(), &scene.cluster.nodes[2]);
    let mut line = Line::open(&stranger, holder).await;
    let content: ContentId = scene.content.parse().unwrap();
    let (now, segment, nonce) = (unix_now(), SegmentIndex(1), [9; 32]);
    let holds = |column: &ColumnIndex| -> AuditChallenge {
        AuditChallenge { content, segment, column: *column, nonce, asked_at: now }
    };
    let mut held = None;
    for column in ColumnIndex::first(4) {
        match line.ask(1, &holds(&column).encode()).await {
            Ok(answer) => held = Some((column, answer)),
            Err(reason) => assert_eq!(reason, RefusalReason::NotFound),
        }
    }
    let (column, answer) = held.unwrap();
    let due = holds(&column);
    let domain = scene.ledger().domain().await.unwrap();
    let peer: PeerId = holder.peer.parse().unwrap();
    SignedAnswer::decode(&answer).unwrap().verify(&domain, peer, &due).unwrap();
    let late = AuditChallenge { asked_at: UnixTime(now.0 - AUDIT_WINDOW_S - 1), ..due };
    let early = AuditChallenge { asked_at: UnixTime(now.0 + AUDIT_WINDOW_S + 60), ..due };
    let nowhere = AuditChallenge { segment: SegmentIndex(1 << 20), ..due };
    let unknown = AuditChallenge { content: ContentId([1; 32]), ..due };
    for (challenge, reason) in [
        (late, RefusalReason::NotAccepted),
        (early, RefusalReason::NotAccepted),
        (nowhere, RefusalReason::Malformed),
        (unknown, RefusalReason::NotFound),
    ] {
        assert_eq!(line.ask(2, &challenge.encode()).await, Err(reason));
    }
    // More than a network may ask at once, on more links than one, each below its own limit.
    let started = unix_now();
    let (mut heard, mut busy) = (0, 0);
    for _ in 0..2 * PREFIX_BURST / AUDITS_BURST {
        let mut line = Line::open(&stranger, holder).await;
        for id in 0..AUDITS_BURST {
            match line.ask(id, b"no challenge").await {
                Err(RefusalReason::Malformed) => heard += 1,
                Err(RefusalReason::Busy) => busy += 1,
                other => panic!("{other:?}"),
            }
        }
    }
    let passed_s = unix_now().0 - started.0 + 1;
    assert!(heard <= PREFIX_BURST + passed_s * PREFIX_PER_S, "{heard} in {passed_s} s");
    assert!(busy > 0 && heard + busy == 2 * PREFIX_BURST);
}
