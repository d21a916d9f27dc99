//! Holders without room: the columns go elsewhere, or the publisher is told.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{Cluster, files_below, program, sample};

#[track_caller]
fn assert_placed_elsewhere(cluster: &mut Cluster, full: usize, bytes: usize) {
    let client = cluster.client();
    let content = sample("no room", bytes);
    let report = client.publish(&client.file("film", &content), &[]).report();
    let full = &cluster.nodes[full];
    let placement = report["placement"].as_object().unwrap();
    assert_eq!(placement.len(), 5);
    assert!(placement.values().all(|peer| *peer != *full.peer), "{report}");
    client.assert_gets(report["link"].as_str().unwrap(), &content);
    // It goes on with what it has room for.
    assert!(full.is_alive());
    assert_eq!(full.status()["columns"], 0);
    let small = sample("room", 1000);
    let report = client.publish(&client.file("small", &small), &[]).report();
    client.assert_gets(report["link"].as_str().unwrap(), &small);
}

#[test]
fn a_holder_over_its_quota_is_left_out() {
    let mut cluster = Cluster::start_with(5, |index, node| {
        if index == 3 {
            node.arguments = vec!["--quota-bytes=100kB".to_owned()];
        }
    });
    assert_placed_elsewhere(&mut cluster, 3, 1_000_000);
}

#[test]
fn a_holder_that_can_write_no_more_is_replaced_in_mid_upload() {
    // 2 MiB a file, and columns of more than that.
    let mut cluster = Cluster::start_with(5, |index, node| {
        if index == 3 {
            node.file_blocks_max = Some(4096);
        }
    });
    assert_placed_elsewhere(&mut cluster, 3, 9_000_000);
    assert!(cluster.nodes[3].log().contains("no space left"), "{}", cluster.nodes[3].log());
}

#[test]
fn a_holder_on_a_full_file_system_is_replaced_in_mid_upload() {
    let directory = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::mount(directory.path(), "size=2m") else {
        assert!(std::env::var_os("CI").is_none(), "CI must be able to mount a small disk");
        eprintln!("skipped: this user may mount nothing; the limit on file sizes is tested");
        return;
    };
    let mut cluster = Cluster::start_with(5, |index, node| {
        if index == 3 {
            node.home = Some(disk.0.join("node"));
        }
    });
    assert_placed_elsewhere(&mut cluster, 3, 9_000_000);
    assert!(cluster.nodes[3].log().contains("no space left"), "{}", cluster.nodes[3].log());
    drop(cluster);
}

#[test]
fn a_network_without_room_is_told_as_such_and_nothing_is_kept() {
    let cluster = Cluster::start_with(3, |_, node| {
        node.arguments = vec!["--quota-bytes=100kB".to_owned()];
    });
    let client = cluster.client();
    let file = client.file("film", &sample("no room at all", 1_000_000));
    client.publish(&file, &[]).refused(69, "placement");
    assert_eq!(cluster.columns(), 0);
    for node in &cluster.nodes {
        assert_eq!(node.status()["used_bytes"], 0);
    }
}

#[test]
fn a_network_that_fills_up_refuses_more_and_keeps_what_it_has() {
    let cluster = Cluster::start_with(5, |_, node| {
        node.arguments = vec!["--quota-bytes=1MB".to_owned()];
    });
    let client = cluster.client();
    let mut kept = Vec::new();
    // A column of one takes a third of a megabyte: more than two don't fit.
    for name in ["first", "second"] {
        let content = sample(name, 1_000_000);
        kept.push((client.publish_link(&client.file(name, &content)), content));
    }
    let third = client.file("third", &sample("third", 1_000_000));
    let refused = client.publish(&third, &[]).refused(69, "not_placed");
    assert!(refused.contains("full"), "{refused}");
    for (link, content) in &kept {
        client.assert_gets(link, content);
    }
}

#[test]
fn a_publisher_without_room_for_the_shards_is_told_and_leaves_nothing() {
    let cluster = Cluster::shared();
    let client = cluster.client();
    let file = client.file("film", &sample("publisher", 9_000_000));
    let mut publish = program::limited(client.verb("publish").arg(&file), 8192);
    program::run(&mut publish).refused(73, "disk_full");
    assert_eq!(files_below(&client.home().join("staging")), [] as [PathBuf; 0]);
    // With room, the same command works.
    let link = client.publish_link(&file);
    client.assert_gets(&link, &sample("publisher", 9_000_000));
}

#[test]
fn a_viewer_without_room_for_the_bytes_is_told_and_leaves_nothing() {
    let cluster = Cluster::shared();
    let client = cluster.client();
    let link = client.publish_link(&client.file("film", &sample("viewer", 3_000_000)));
    let directory = client.path("directory");
    std::fs::create_dir(&directory).unwrap();
    let mut get = client.verb("get");
    get.arg(&link).arg("-o").arg(directory.join("film"));
    program::run(&mut program::limited(&get, 2048)).refused(73, "output");
    assert_eq!(files_below(&directory), [] as [PathBuf; 0]);
}

/// A file system of its own, unmounted in the end.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: &Path, options: &str) -> Option<Self> {
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(at);
        let mounted = mount.output().is_ok_and(|output| output.status.success());
        mounted.then(|| Self(at.to_path_buf()))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg("-l").arg(&self.0).status();
        assert!(unmounted.is_ok_and(|status| status.success()) || std::thread::panicking());
    }
}
