//! Repair needs no key, restores every missing column, and gives no node k of them.

use std::collections::BTreeMap;

use crate::support::{Cluster, sample};

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
