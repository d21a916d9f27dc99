//! Files of every awkward size go in and come out the same.

use crate::support::{Cluster, sample};

/// Plaintext bytes of a full segment with k = 3 and shards of 16 KiB, the sizes that a small file
/// gets in a network of five.
const SEGMENT_BYTES: usize = 3 * 16 * 1024 - 16;

#[track_caller]
fn survives(bytes: usize, segments: u64) {
    let cluster = Cluster::shared();
    let client = cluster.client();
    let content = sample("awkward size", bytes);
    let report = client.publish(&client.file("file", &content), &[]).report();
    assert_eq!((report["k"].as_u64(), report["n"].as_u64()), (Some(3), Some(5)));
    assert_eq!(report["segments"], segments);
    assert_eq!(report["placement"].as_object().unwrap().len(), 5);
    assert_eq!(report["survives_any_29_57_percent"], true);
    assert_eq!(report["loss_probability_at_random_29_57_percent"].to_string(), "0.0");
    client.assert_gets(report["link"].as_str().unwrap(), &content);
}

#[test]
fn an_empty_file_is_published_and_fetched_empty() {
    survives(0, 1);
}

#[test]
fn a_file_of_one_byte_survives() {
    survives(1, 1);
}

#[test]
fn a_file_one_byte_short_of_a_segment_survives() {
    survives(SEGMENT_BYTES - 1, 1);
}

#[test]
fn a_file_of_exactly_one_segment_survives() {
    survives(SEGMENT_BYTES, 1);
}

#[test]
fn a_file_one_byte_longer_than_a_segment_survives() {
    survives(SEGMENT_BYTES + 1, 2);
}

#[test]
fn publishing_the_same_file_again_gives_the_same_link_and_uploads_nothing() {
    let cluster = Cluster::shared();
    let client = cluster.client();
    let file = client.file("file", &sample("twice", 100_000));
    let first = client.publish(&file, &[]).report();
    let stored = cluster.columns();
    let second = client.publish(&file, &[]).report();
    assert_eq!(first["link"], second["link"]);
    assert_eq!(first["placement"], second["placement"]);
    assert!(cluster.columns() <= stored + 5, "other tests publish five at a time");
}

#[test]
fn a_file_that_changed_gets_a_link_of_its_own() {
    let cluster = Cluster::shared();
    let client = cluster.client();
    let (before, after) = (sample("before", 100_000), sample("after", 100_000));
    let first = client.publish_link(&client.file("file", &before));
    let second = client.publish_link(&client.file("file", &after));
    assert_ne!(first, second);
    client.assert_gets(&first, &before);
    client.assert_gets(&second, &after);
}

#[test]
fn another_geometry_makes_another_content() {
    let cluster = Cluster::shared();
    let client = cluster.client();
    let content = sample("geometry", 10_000);
    let file = client.file("file", &content);
    let first = client.publish(&file, &[]).report();
    let narrow = ["--data-shards", "2", "--total-shards", "4"];
    let second = client.publish(&file, &narrow).report();
    assert_eq!((second["k"].as_u64(), second["n"].as_u64()), (Some(2), Some(4)));
    assert_ne!(first["link"], second["link"]);
    client.assert_gets(first["link"].as_str().unwrap(), &content);
    client.assert_gets(second["link"].as_str().unwrap(), &content);
}
