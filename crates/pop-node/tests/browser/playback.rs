//! The clip from masternodes, and on when they die.

use crate::chromium;
use crate::support::Cluster;
use crate::viewer::{CLIP, Viewer, publish_clip};

/// 29.57 % of them, rounded up, are three.
const NODES: usize = 9;
const DYING: std::ops::Range<usize> = 1..4;

#[test]
fn the_clip_plays_on_and_seeks_anywhere_when_29_57_percent_of_the_masternodes_die() {
    let Some(_turn) = chromium::turn() else { return };
    let mut cluster = Cluster::start(NODES);
    let link = publish_clip(&cluster.client());
    let viewer = Viewer::watch(cluster.nodes[0].http, &link);
    viewer.plays_until(2.0);
    for node in &mut cluster.nodes[DYING] {
        node.kill();
    }
    viewer.plays_until(12.0);
    for seconds in [39.0, 0.5, 25.0, 14.0, 33.0] {
        viewer.seeks_to(seconds);
    }
    viewer.assert_undisturbed();
    assert!(viewer.bytes() == std::fs::read(CLIP).unwrap(), "the bytes differ");
    assert_eq!(viewer.stat("fromViewersBytes"), 0);
    assert!(viewer.stat("fromMasternodesBytes") > 0);
}
