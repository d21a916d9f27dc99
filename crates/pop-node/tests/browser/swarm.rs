//! Viewers that give to each other.

use crate::chromium;
use crate::support::Cluster;
use crate::viewer::{CLIP, CLIP_SECONDS, Viewer, publish_clip};

#[track_caller]
fn assert_mostly_from_viewers(viewer: &Viewer) {
    let (viewers, masternodes) =
        (viewer.stat("fromViewersBytes"), viewer.stat("fromMasternodesBytes"));
    assert!(viewers > masternodes, "{viewers} bytes from viewers, {masternodes} from masternodes");
}

#[test]
fn later_viewers_live_on_earlier_ones_and_play_on_when_the_first_is_gone() {
    let Some(_turn) = chromium::turn() else { return };
    let cluster = Cluster::start(5);
    let clip = std::fs::read(CLIP).unwrap();
    let link = publish_clip(&cluster.client());
    let first = Viewer::watch(cluster.nodes[0].http, &link);
    assert!(first.bytes() == clip, "the bytes differ");

    let second = Viewer::watch(cluster.nodes[1].http, &link);
    second.plays_until(8.0);
    let third = Viewer::watch(cluster.nodes[0].http, &link);
    third.plays_until(4.0);
    first.leave_abruptly();
    second.plays_until(CLIP_SECONDS / 2.0);
    third.plays_until(CLIP_SECONDS / 3.0);
    for viewer in [&second, &third] {
        viewer.assert_undisturbed();
        assert!(viewer.bytes() == clip, "the bytes differ");
        assert_mostly_from_viewers(viewer);
    }
}

#[test]
fn a_film_outlives_its_masternodes_when_viewers_have_it() {
    let Some(_turn) = chromium::turn() else { return };
    let mut cluster = Cluster::start(5);
    let clip = std::fs::read(CLIP).unwrap();
    let link = publish_clip(&cluster.client());
    let first = Viewer::watch(cluster.nodes[0].http, &link);
    assert!(first.bytes() == clip, "the bytes differ");
    // The first, which is the relay, has one column of those that rebuild a segment.
    for node in &mut cluster.nodes[1..] {
        node.kill();
    }
    let newcomer = Viewer::watch(cluster.nodes[0].http, &link);
    newcomer.plays_until(5.0);
    newcomer.seeks_to(35.0);
    assert!(newcomer.bytes() == clip, "the bytes differ");
    assert_mostly_from_viewers(&newcomer);
}
