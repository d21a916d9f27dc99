//! Every example runs to its end, so that none can rot.

use std::path::PathBuf;
use std::process::Command;

/// Run an example that cargo has built beside this test.
fn run(name: &str, arguments: &[&str]) {
    // target/debug/deps/this-test -> target/debug/examples/name
    let mut path: PathBuf = std::env::current_exe().expect("a running program has a path");
    path.pop();
    path.pop();
    path.push("examples");
    path.push(name);
    let output = Command::new(&path).args(arguments).output().unwrap_or_else(|error| {
        panic!("{}: {error}; `cargo test -p examples` builds it", path.display())
    });
    let (out, err) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{name}: {}\n{out}\n{err}", output.status);
}

#[test]
fn publish_and_fetch() {
    run("publish_and_fetch", &[]);
}

#[test]
fn own_swarm() {
    run("own_swarm", &[]);
}

#[test]
fn exchange_over_tcp() {
    run("exchange_over_tcp", &[]);
}

#[test]
fn erasure_only() {
    run("erasure_only", &[concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")]);
}

#[test]
fn pay_per_shard() {
    run("pay_per_shard", &["2"]);
}

#[test]
fn seed_pool_epoch() {
    run("seed_pool_epoch", &[]);
}

#[test]
fn ledger_only() {
    run("ledger_only", &[]);
}

#[test]
fn signal_through_relay() {
    run("signal_through_relay", &[]);
}
