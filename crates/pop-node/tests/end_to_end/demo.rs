//! The demo's interface, and that nothing of it outlives it.

use std::collections::BTreeSet;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;

use serde_json::Value;

use crate::support::program::{self, pop_node};
use crate::support::{Cluster, http, sample, wait_for};

/// Fields of the last line of `demo --json`.
const FIELDS: [&str; 24] = [
    "nodes",
    "killed",
    "k",
    "n",
    "bytes",
    "identical",
    "stalls",
    "stall_ms",
    "seeks",
    "seek_p95_ms",
    "first_byte_ms",
    "fetch_mb_s",
    "publish_mb_s",
    "cpu_s_per_gb",
    "repaired_columns",
    "redundancy_after_repair",
    "second_fetch_identical",
    "paid",
    "earned_total",
    "earned_min",
    "earned_max",
    "vouchers",
    "voucher_bytes_overhead",
    "slashed",
];

/// Children of a process that are alive.
fn children(parent: u32) -> BTreeSet<u32> {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let numbers = processes.filter_map(|it| it.file_name().to_str()?.parse().ok());
    numbers.filter(|process: &u32| parent_of(*process) == Some(parent)).collect()
}

/// The parent of a living process that is no zombie.
fn parent_of(process: u32) -> Option<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let mut fields = stat.rsplit(')').next()?.split_whitespace();
    let state = fields.next()?;
    let parent = fields.next()?.parse().ok()?;
    (state != "Z" && state != "X").then_some(parent)
}

/// Wait until none of them lives. A number that the system gave away again is not ours.
fn assert_gone(processes: &BTreeSet<u32>) {
    wait_for("the children are gone", || {
        let alive = |process: &&u32| {
            let path = format!("/proc/{process}/exe");
            let program = std::fs::read_link(path).unwrap_or_default();
            parent_of(**process).is_some() && is_ours(&program)
        };
        processes.iter().find(alive).is_none().then_some(())
    });
}

fn is_ours(program: &Path) -> bool {
    program.to_string_lossy().contains("pop-node")
}

#[test]
fn the_demo_reports_every_field_and_leaves_no_process() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("film");
    std::fs::write(&file, sample("demo", 1_000_000)).unwrap();
    let mut command = pop_node();
    command.arg("demo").arg(&file).args(["--nodes", "5", "--exit", "--json", "--pace", "8"]);
    command.env("TMPDIR", directory.path());
    let demo = program::start(&mut command);
    let parent = demo.id();
    let started = wait_for("the nodes are started", || {
        let started = children(parent);
        (started.len() == 5).then_some(started)
    });
    let report = program::finish(demo).report();
    assert_gone(&started);
    let left = std::fs::read_dir(directory.path()).unwrap().count();
    assert_eq!(left, 1, "the demo leaves files behind");

    for field in FIELDS {
        assert!(report.get(field).is_some(), "{field} is missing: {report}");
    }
    assert_eq!((&report["nodes"], &report["killed"]), (&Value::from(5), &Value::from(2)));
    assert_eq!((&report["k"], &report["n"]), (&Value::from(3), &Value::from(5)));
    assert_eq!(report["bytes"], 1_000_000);
    assert_eq!(
        (&report["identical"], &report["second_fetch_identical"]),
        (&true.into(), &true.into())
    );
    assert_eq!(report["repaired_columns"], 2);
    assert_eq!(report["redundancy_after_repair"], 5);
    for number in ["stalls", "stall_ms", "seek_p95_ms", "first_byte_ms"] {
        assert!(report[number].is_u64(), "{number}: {report}");
    }
    for rate in ["fetch_mb_s", "publish_mb_s", "cpu_s_per_gb"] {
        assert!(report[rate].is_f64(), "{rate}: {report}");
    }
    assert!(report["seeks"].as_u64().unwrap() > 0);
}

#[test]
fn a_film_of_one_byte_or_none_is_shown_too_though_three_nodes_leave_no_room_for_repair() {
    let directory = tempfile::tempdir().unwrap();
    for bytes in [0, 1] {
        let file = directory.path().join("film");
        std::fs::write(&file, sample("tiny", bytes)).unwrap();
        let mut command = pop_node();
        command.arg("demo").arg(&file).args(["--nodes", "3", "--exit", "--json"]);
        let report = program::run(&mut command).report();
        assert_eq!(report["bytes"], bytes);
        assert_eq!(report["identical"], true);
        assert_eq!(report["second_fetch_identical"], true);
        assert_eq!((&report["k"], &report["n"]), (&Value::from(2), &Value::from(3)));
        assert_eq!(report["repaired_columns"], 0);
        assert_eq!(report["redundancy_after_repair"], 2);
    }
}

#[test]
fn a_killed_demo_leaves_no_process() {
    let directory = tempfile::tempdir().unwrap();
    let mut command = pop_node();
    command.args(["demo", "--nodes", "5", "--json"]).env("TMPDIR", directory.path());
    let mut demo = program::start(&mut command);
    let parent = demo.id();
    let started = wait_for("the nodes are started", || {
        let started = children(parent);
        (started.len() == 5).then_some(started)
    });
    demo.kill().unwrap();
    demo.wait().unwrap();
    assert_gone(&started);
}

#[test]
fn a_demo_of_a_file_that_can_not_be_read_is_refused() {
    let mut command = pop_node();
    command.args(["demo", "/nonexistent/film", "--nodes", "3", "--exit", "--json"]);
    let outcome = program::run(&mut command);
    assert_eq!(outcome.code, Some(66), "{outcome:?}");
    assert_eq!(outcome.json()["error"], "input");
}

#[test]
fn a_demo_funds_each_wallet_once_and_nobody_else_funds_any() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("film");
    std::fs::write(&file, sample("funded", 1)).unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut command = pop_node();
    command.arg("demo").arg(&file).args(["--nodes", "3", "--json", "--port", &port.to_string()]);
    let mut demo = program::start(command.env("TMPDIR", directory.path()));
    let gateway = SocketAddr::from(([127, 0, 0, 1], port));
    let json = "Content-Type: application/json";
    let ask = |body: &str, kind: &str| http::post(gateway, "/api/v1/demo/wallet", body, &[kind]);
    let wallet = |number: u8| format!(r#"{{"address":"0x{}"}}"#, hex::encode([number; 20]));

    let first = wait_for("the faucet runs", || {
        let answer = TcpStream::connect(gateway).ok().map(|_| ask(&wallet(1), json))?;
        // Nobody gives before the network is up.
        (answer.status != 404).then_some(answer)
    });
    assert_eq!((first.status, &first.json()["funded"]), (200, &Value::from("100")));
    assert_eq!(ask(&wallet(1), json).status, 409, "once is enough");
    assert_eq!(ask(&wallet(2), json).status, 200);
    for wrong in ["0x12", "", "0xzz"] {
        assert_eq!(ask(&format!(r#"{{"address":"{wrong}"}}"#), json).status, 400, "{wrong}");
    }
    assert_eq!(ask("{}", json).status, 422);
    assert_eq!(ask("no JSON", json).status, 400);
    assert_eq!(ask(&wallet(3), "Content-Type: text/plain").status, 415, "any page can send that");
    assert_eq!(ask(&" ".repeat(2_000), json).status, 413);
    assert_eq!(http::get(gateway, "/api/v1/demo/wallet", &[]).status, 405);
    let given = (3..=u8::MAX).map(|number| ask(&wallet(number), json).status);
    assert!(given.eq(std::iter::repeat_n(200, 253)), "256 wallets are funded, two were before");
    assert_eq!(ask(&wallet(0), json).status, 200);
    let more = format!(r#"{{"address":"0x{}01"}}"#, hex::encode([0; 19]));
    let refused = ask(&more, json);
    assert_eq!(refused.status, 429, "{refused:?}");
    demo.kill().unwrap();
    demo.wait().unwrap();

    let cluster = Cluster::shared();
    let elsewhere = http::post(cluster.nodes[0].http, "/api/v1/demo/wallet", &wallet(1), &[json]);
    assert_eq!(elsewhere.status, 404);
}
