//! Repair needs no key, restores every missing column, and gives no node k of them.

use std::collections::BTreeMap;
use std::os::unix::fs::FileExt as _;

use crate::support::cluster::Hanging;
use crate::support::{Cluster, files_below, program, sample, wait_for};

#[test]
fn a_link_without_its_key_is_enough_to_repair() {
    let mut cluster = Cluster::start(7);
    let client = cluster.client();
    let content = sample("repair", 200_000);
    let report = client.publish(&client.file("file", &content), &[]).report();
    let link = report["link"].as_str().unwrap();
    let (k, n) = (report["k"].as_u64().unwrap(), report["n"].as_u64().unwrap());
    assert_eq!((k, n), (4, 7), "any 3 of 7 nodes may vanish");
    let (name, _key) = link.split_once("?k=").unwrap();

    for index in [1, 3, 5] {
        cluster.nodes[index].kill();
    }
    let repaired = cluster.client().repair(name).report();
    assert_eq!(repaired["repaired_columns"], 3);
    assert_eq!(repaired["live_columns"], n);
    assert_eq!(repaired["live_holders"], 4);
    let mut columns: BTreeMap<&str, u64> = BTreeMap::new();
    for peer in repaired["restored"].as_object().unwrap().values() {
        *columns.entry(peer.as_str().unwrap()).or_insert(1) += 1;
    }
    assert!(columns.values().all(|columns| *columns < k), "{columns:?}");
    client.assert_gets(link, &content);

    // One more may go now, though the network had lost all that it could.
    let victim = if cluster.nodes[6].is_alive() { 6 } else { 4 };
    cluster.nodes[victim].kill();
    client.assert_gets(link, &content);
    let again = cluster.client().repair(name).report();
    assert_eq!(again["live_columns"], n);
}

#[test]
fn repairing_what_is_whole_changes_nothing() {
    let cluster = Cluster::shared();
    let client = cluster.client();
    let link = client.publish_link(&client.file("file", &sample("whole", 1000)));
    let repaired = client.repair(&link).report();
    assert_eq!(repaired["repaired_columns"], 0);
    assert_eq!(repaired["live_columns"], 5);
}

#[test]
fn a_column_that_the_disk_damaged_is_not_served_and_is_repaired() {
    let cluster = Cluster::start(5);
    let client = cluster.client();
    let content = sample("damaged", 200_000);
    let link = client.publish_link(&client.file("file", &content));
    let damaged = &cluster.nodes[0];
    let files = files_below(&damaged.home.join("columns"));
    let [file] = &files[..] else { panic!("{files:?}") };
    let file = std::fs::File::options().read(true).write(true).open(file).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, 100).unwrap();
    file.write_all_at(&[byte[0] ^ 1], 100).unwrap();

    // Two others hang until the damage is seen, so that it must be.
    let output = client.path("fetched");
    let hanging = Hanging::new(&cluster.nodes[3..]);
    let get = program::start(client.verb("get").arg(&link).arg("-o").arg(&output));
    wait_for("the damage is seen", || (damaged.status()["damaged_columns"] == 1).then_some(()));
    drop(hanging);
    let outcome = program::finish(get);
    outcome.report();
    assert!(std::fs::read(&output).unwrap() == content, "the bytes differ");
    assert!(!outcome.stderr.contains("broke a rule"), "a broken disk is no lie: {outcome:?}");

    let repaired = client.repair(&link).report();
    assert_eq!((&repaired["repaired_columns"], &repaired["live_columns"]), (&1.into(), &5.into()));
    assert_eq!(cluster.columns(), 5);
    client.assert_gets(&link, &content);
}
