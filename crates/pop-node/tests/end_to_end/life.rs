//! A node's life as its operator sees it.

use pop_node::clock::unix_now;
use serde_json::Value;

use crate::support::program::{self, pop_node};
use crate::support::{Client, Cluster, http, sample, wait_for};

#[test]
fn sigterm_ends_a_node_with_exit_code_zero() {
    let mut cluster = Cluster::start(3);
    assert_eq!(cluster.nodes[2].terminate(), Some(0));
    assert_eq!(cluster.nodes[0].terminate(), Some(0), "with peers connected");
    // Its data is free again.
    cluster.nodes[2].restart();
}

#[test]
fn a_node_ends_when_its_standard_input_closes() {
    let home = tempfile::tempdir().unwrap();
    let mut command = pop_node();
    command.args([
        "run",
        "--init",
        "--no-stake",
        "--exit-on-stdin-eof",
        "--http-listen=off",
        "--web-listen=off",
        "--data-dir",
    ]);
    command.arg(home.path()).args(["--listen", "/ip4/127.0.0.1/tcp/0"]);
    assert_eq!(program::run(&mut command).code, Some(0));
}

#[test]
fn status_tells_programs_what_a_node_does() {
    let cluster = Cluster::shared();
    let node = &cluster.nodes[1];
    let mut command = pop_node();
    let address = node.http.to_string();
    command.args(["status", "--json", "--http-listen", &address]);
    let status = program::run(&mut command).report();
    assert_eq!(status["peer"], *node.peer);
    assert_eq!(status["role"], "masternode");
    assert_eq!(status["writable"], true);
    assert_eq!(status["addresses"][0], *node.address);
    let numbers = [
        "known_masternodes",
        "contents",
        "columns",
        "damaged_columns",
        "used_bytes",
        "quota_bytes",
        "served_bytes",
        "fetched_bytes",
        "peer_faults",
    ];
    for number in numbers {
        assert!(status[number].is_u64(), "{number}: {status}");
    }
}

#[test]
fn metrics_and_health_are_served_beside_the_content() {
    let cluster = Cluster::shared();
    let node = &cluster.nodes[1];
    let metrics = http::get(node.http, "/metrics", &[]);
    assert_eq!(metrics.status, 200);
    let text = String::from_utf8(metrics.body).unwrap();
    for name in ["pop_peer_faults_total", "pop_served_bytes_total", "pop_known_masternodes"] {
        assert!(text.contains(name), "{name}: {text}");
    }
    assert_eq!(http::get(node.http, "/healthz", &[]).status, 200);
}

#[test]
fn status_of_no_node_is_an_error_with_a_name() {
    let mut command = pop_node();
    command.args(["status", "--json", "--http-listen", "127.0.0.1:1"]);
    let message = program::run(&mut command).refused(69, "no_node");
    assert!(message.contains("127.0.0.1:1"), "{message}");
}

#[test]
fn an_error_carries_its_name_and_exit_code_and_what_to_do_next() {
    let client = Client::new(String::new());
    let outcome = client.get("pop:short", &client.path("never"), &[]);
    outcome.refused(65, "bad_link");
    let report = outcome.json();
    let fields: Vec<&String> = report.as_object().unwrap().keys().collect();
    assert_eq!(fields, ["error", "exit_code", "hint", "message"]);
    assert!(report["hint"].is_string());
    assert!(outcome.stderr.contains(report["hint"].as_str().unwrap()));
}

#[test]
fn a_node_that_is_back_at_another_address_is_found_at_once() {
    let mut cluster = Cluster::start(3);
    cluster.nodes[2].kill();
    // Records are dated in seconds, and each of a node's is later than the one before.
    let later = unix_now().after_s(5);
    wait_for("the next record is newer", || (unix_now() > later).then_some(()));
    cluster.nodes[2].restart_elsewhere();
    wait_for("it has asked around", || {
        (cluster.nodes[2].status()["known_masternodes"].as_u64() >= Some(2)).then_some(())
    });
    let client = Client::new(cluster.nodes[0].address.clone());
    let content = sample("moved", 10_000);
    let report = client.publish(&client.file("file", &content), &[]).report();
    let placement = report["placement"].as_object().unwrap();
    assert!(placement.values().any(|peer| *peer == *cluster.nodes[2].peer), "{report}");
}

#[test]
fn two_nodes_do_not_share_a_home() {
    let cluster = Cluster::shared();
    let mut command = pop_node();
    command.args([
        "run",
        "--no-stake",
        "--json",
        "--http-listen=off",
        "--web-listen=off",
        "--listen",
        "/ip4/127.0.0.1/tcp/0",
    ]);
    command.arg("--data-dir").arg(&cluster.nodes[1].home);
    program::run(&mut command).refused(74, "store");
}

#[test]
fn bad_usage_is_exit_code_two() {
    for arguments in [&["get"][..], &["publish"], &["demo", "--nodes", "2"], &["fly"]] {
        let outcome = program::run(pop_node().args(arguments));
        assert_eq!(outcome.code, Some(2), "{outcome:?}");
    }
    let version = program::run(pop_node().arg("--version"));
    assert_eq!(version.code, Some(0));
    assert_ne!(Value::from(version.stdout), Value::Null);
}
