//! Input that can't work is refused by name, before anything is done to anybody.

use crate::support::program::{self, pop_node};
use crate::support::{Client, Cluster, sample};

/// Exit codes of `sysexits.h`.
const BAD_INPUT: i32 = 65;
const NO_INPUT: i32 = 66;
const UNAVAILABLE: i32 = 69;

#[test]
fn a_missing_file_is_refused() {
    let client = Client::new("/ip4/127.0.0.1/tcp/1".to_owned());
    let message = client.publish(&client.path("missing"), &[]).refused(NO_INPUT, "input");
    assert!(message.contains("missing"), "{message}");
}

#[test]
fn a_directory_is_no_file_to_publish() {
    let client = Client::new("/ip4/127.0.0.1/tcp/1".to_owned());
    let directory = client.path("directory");
    std::fs::create_dir(&directory).unwrap();
    client.publish(&directory, &[]).refused(NO_INPUT, "input");
    client.publish(&directory.join("below"), &[]).refused(NO_INPUT, "input");
}

#[test]
fn a_pipe_or_a_device_is_no_file_to_publish() {
    let client = Client::new("/ip4/127.0.0.1/tcp/1".to_owned());
    let pipe = client.path("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
    assert!(made.success());
    for irregular in [pipe.as_path(), "/dev/zero".as_ref()] {
        client.publish(irregular, &[]).refused(NO_INPUT, "input");
        let mut demo = pop_node();
        demo.arg("demo").arg(irregular).args(["--nodes", "3", "--exit", "--json"]);
        program::run(&mut demo).refused(NO_INPUT, "input");
    }
}

#[test]
fn a_path_through_a_file_can_not_be_read() {
    let client = Client::new("/ip4/127.0.0.1/tcp/1".to_owned());
    let file = client.file("file", b"no directory");
    client.publish(&file.join("below"), &[]).refused(NO_INPUT, "input");
}

#[test]
fn an_unknown_link_is_refused_and_leaves_no_file() {
    let cluster = Cluster::shared();
    let link = format!("pop:{}?k={}", "b".repeat(51) + "a", "a".repeat(52));
    cluster.client().assert_cannot_get(&link, UNAVAILABLE, "unknown_content");
    cluster.client().repair(&link).refused(UNAVAILABLE, "unknown_content");
}

#[test]
fn a_wrong_key_is_refused_before_anything_is_decrypted() {
    let cluster = Cluster::shared();
    let client = cluster.client();
    let link = client.publish_link(&client.file("file", &sample("wrong key", 1000)));
    let (name, key) = link.split_once("?k=").unwrap();
    let first = if key.starts_with('a') { 'b' } else { 'a' };
    let wrong = format!("{name}?k={first}{}", &key[1..]);
    client.assert_cannot_get(&wrong, BAD_INPUT, "wrong_key");
    client.assert_cannot_get(name, BAD_INPUT, "key_missing");
}

#[test]
fn a_link_cut_off_anywhere_is_refused() {
    let client = Client::new("/ip4/127.0.0.1/tcp/1".to_owned());
    let link = format!("pop:{}?k={}", "a".repeat(52), "a".repeat(52));
    for length in (0..link.len()).filter(|length| *length != "pop:".len() + 52) {
        let output = client.path("never");
        let message = client.get(&link[..length], &output, &[]).refused(BAD_INPUT, "bad_link");
        assert!(!message.contains("link: link"), "{message}");
        assert!(!output.exists());
    }
    client.repair(&link[..30]).refused(BAD_INPUT, "bad_link");
}

#[test]
fn more_data_shards_than_shards_are_refused() {
    let cluster = Cluster::shared();
    let client = cluster.client();
    let file = client.file("file", &sample("geometry", 1000));
    for (k, n) in [("4", "3"), ("5", "5"), ("0", "5"), ("1", "5"), ("3", "256")] {
        let geometry = ["--data-shards", k, "--total-shards", n];
        let message = client.publish(&file, &geometry).refused(BAD_INPUT, "geometry");
        assert!(message.contains(k) || message.contains(n), "{message}");
    }
}

#[test]
fn an_unsafe_geometry_is_refused_with_the_numbers() {
    let cluster = Cluster::shared();
    let client = cluster.client();
    let file = client.file("file", &sample("geometry", 1000));
    let geometry = ["--data-shards", "4", "--total-shards", "5"];
    let message = client.publish(&file, &geometry).refused(BAD_INPUT, "geometry");
    assert!(message.contains('5') && message.contains('2'), "{message}");
}

#[test]
fn a_geometry_wider_than_the_network_is_refused() {
    let cluster = Cluster::shared();
    let client = cluster.client();
    let file = client.file("file", &sample("geometry", 1000));
    let geometry = ["--data-shards", "7", "--total-shards", "10"];
    let message = client.publish(&file, &geometry).refused(BAD_INPUT, "geometry");
    assert!(message.contains("10") && message.contains('5'), "{message}");
}

#[test]
fn a_network_too_small_for_any_geometry_is_refused() {
    let cluster = Cluster::start(2);
    let client = cluster.client();
    let file = client.file("file", &sample("geometry", 1000));
    let message = client.publish(&file, &[]).refused(BAD_INPUT, "geometry");
    assert!(message.contains('3') && message.contains('2'), "{message}");
    assert_eq!(cluster.columns(), 0);
}

#[test]
fn publishing_without_an_identity_or_without_a_network_says_so() {
    let client = Client::new("/ip4/127.0.0.1/tcp/1".to_owned());
    let file = client.file("file", b"nobody is there");
    let nobody = "/ip4/127.0.0.1/tcp/1/p2p/16Uiu2HAmSJvXPrqub6rr7upTUtvmWFWnjZ6h7uYQDHipQvzqEbY3";
    client.publish(&file, &["--bootstrap", nobody]).refused(UNAVAILABLE, "bootstrap");
    let homeless = client.path("homeless");
    let mut command = pop_node();
    command.args(["publish", "--json", "--data-dir"]).arg(homeless).arg(&file);
    program::run(&mut command).refused(74, "store");
}

#[test]
fn a_range_outside_the_content_is_refused() {
    let cluster = Cluster::shared();
    let client = cluster.client();
    let link = client.publish_link(&client.file("file", &sample("range", 1000)));
    let output = client.path("never");
    for range in ["0-1000", "1000-", "1000-1000", "18446744073709551615-"] {
        let outcome = client.get(&link, &output, &["--range", range]);
        outcome.refused(BAD_INPUT, "bad_range");
        assert!(!output.exists());
    }
}

#[test]
fn an_output_that_can_not_be_written_is_refused() {
    let cluster = Cluster::shared();
    let client = cluster.client();
    let link = client.publish_link(&client.file("file", &sample("output", 1000)));
    let directory = client.path("directory");
    std::fs::create_dir(&directory).unwrap();
    for output in [directory.as_path(), &directory.join("missing/file")] {
        client.get(&link, output, &[]).refused(73, "output");
    }
    assert_eq!(std::fs::read_dir(&directory).unwrap().count(), 0);
}

#[test]
fn settings_that_can_not_be_used_are_refused() {
    let client = Client::new(String::new());
    let settings = client.file("config.toml", b"quota_byte = 1");
    let mut command = pop_node();
    command.args(["run", "--json", "--config"]).arg(&settings);
    let message = program::run(&mut command).refused(78, "settings");
    assert!(message.contains("quota_bytes"), "{message}");
}
