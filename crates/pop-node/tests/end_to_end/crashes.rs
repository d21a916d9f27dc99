//! SIGKILL in the middle of things, then the same again: nothing is lost and nothing is doubled.

use crate::support::cluster::Hanging;
use crate::support::program;
use crate::support::{Client, Cluster, files_below, sample, wait_for};

/// Bytes of a file that takes a while to encode and to upload.
const FILE_BYTES: usize = 24_000_000;

/// The same command again, and once more: one link, complete, and the bytes it was made of.
fn assert_goes_on(cluster: &Cluster, client: &Client, content: &[u8]) {
    let file = client.path("film");
    let report = client.publish(&file, &[]).report();
    assert_eq!(report["placement"].as_object().unwrap().len(), 5);
    assert_eq!(client.publish(&file, &[]).report()["link"], report["link"]);
    for node in &cluster.nodes {
        let status = node.status();
        assert_eq!((status["contents"].as_u64(), status["columns"].as_u64()), (Some(1), Some(1)));
        assert_eq!(node.partial_columns(), 0);
    }
    client.assert_gets(report["link"].as_str().unwrap(), content);
}

/// Wait until a client's first publication is past everything but encoding and uploading.
fn wait_until_encoding(client: &Client) {
    let staging = client.home().join("staging");
    wait_for("encoding has begun", || staging.is_dir().then_some(()));
}

#[test]
fn a_publisher_killed_while_it_encodes_goes_on_with_the_same_command() {
    let cluster = Cluster::start(5);
    let client = cluster.client();
    let content = sample("killed encoding", FILE_BYTES);
    let file = client.file("film", &content);
    let mut publisher = program::start(client.verb("publish").arg(&file));
    wait_until_encoding(&client);
    publisher.kill().unwrap();
    publisher.wait().unwrap();
    let left = files_below(&client.home().join("staging"));
    assert!(left.is_empty(), "shards nobody needs any more take room: {left:?}");
    assert_goes_on(&cluster, &client, &content);
}

#[test]
fn a_publisher_killed_while_it_uploads_goes_on_with_the_same_link() {
    let cluster = Cluster::start(5);
    let client = cluster.client();
    let content = sample("killed uploading", FILE_BYTES);
    let file = client.file("film", &content);
    let mut publisher = program::start(client.verb("publish").arg(&file));
    wait_until_encoding(&client);
    // One holder hangs, so that the publisher can't be done before it is killed.
    let (hanging, others) = cluster.nodes.split_last().unwrap();
    let hanging = Hanging::new([hanging]);
    wait_for("a column is stored", || {
        others.iter().any(|node| node.status()["columns"] == 1).then_some(())
    });
    publisher.kill().unwrap();
    assert!(!publisher.wait().unwrap().success(), "it was done before it was killed");
    drop(hanging);
    assert_goes_on(&cluster, &client, &content);
}

#[test]
fn a_holder_killed_in_mid_write_serves_its_sealed_columns_when_it_is_back() {
    let mut cluster = Cluster::start(5);
    let client = cluster.client();
    let sealed = sample("sealed", 150_000);
    let sealed_link = client.publish_link(&client.file("sealed", &sealed));
    let content = sample("mid-write", FILE_BYTES);
    let file = client.file("film", &content);

    let publisher = program::start(client.verb("publish").arg(&file));
    let victim = cluster.nodes.last_mut().unwrap();
    wait_for("a column is on its way in", || (victim.partial_columns() > 0).then_some(()));
    victim.kill();
    assert_eq!(victim.partial_columns(), 1, "it was not in mid-write");
    // What the dead one does not take, the others do.
    let report = program::finish(publisher).report();
    let victim = cluster.nodes.last_mut().unwrap();
    let placement = report["placement"].as_object().unwrap();
    assert_eq!(placement.len(), 5);
    assert!(placement.values().all(|peer| *peer != *victim.peer), "{report}");

    victim.restart();
    let status = victim.status();
    assert_eq!(
        (status["columns"].as_u64(), status["damaged_columns"].as_u64()),
        (Some(1), Some(0))
    );
    cluster.wait_until_known(4);
    let link = report["link"].as_str().unwrap();
    assert_eq!(cluster.client().repair(link).report()["live_columns"], 5);
    client.assert_gets(link, &content);

    // Three columns of the first content are needed, so the one that is back must serve its own.
    cluster.nodes[2].kill();
    cluster.nodes[3].kill();
    client.assert_gets(&sealed_link, &sealed);
}

#[test]
fn a_second_publisher_in_the_same_home_is_refused_and_the_first_goes_on() {
    let cluster = Cluster::start(5);
    let client = cluster.client();
    let content = sample("two publishers", FILE_BYTES);
    let file = client.file("film", &content);
    let publisher = program::start(client.verb("publish").arg(&file));
    wait_until_encoding(&client);
    let hanging = Hanging::new(cluster.nodes.last());
    client.publish(&file, &[]).refused(74, "store");
    drop(hanging);
    let link = program::finish(publisher).report()["link"].as_str().unwrap().to_owned();
    client.assert_gets(&link, &content);
}

#[test]
fn an_interrupted_fetch_leaves_nothing_behind() {
    let cluster = Cluster::start(5);
    let client = cluster.client();
    let link = client.publish_link(&client.file("film", &sample("interrupted", 100_000)));
    let directory = client.path("directory");
    std::fs::create_dir(&directory).unwrap();
    for name in ["INT", "TERM"] {
        let hanging = Hanging::new(&cluster.nodes[2..]);
        let mut get = client.verb("get");
        get.arg(&link).arg("-o").arg(directory.join("film"));
        let get = program::start(&mut get);
        wait_for("it has begun to write", || (!files_below(&directory).is_empty()).then_some(()));
        program::signal(get.id(), name);
        assert_eq!(program::finish(get).code, Some(130), "{name}");
        assert!(files_below(&directory).is_empty(), "{name}: half a file is left");
        drop(hanging);
    }
}
