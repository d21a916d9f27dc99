//! What browsers do to a page while it plays.

use crate::chromium;
use crate::support::Cluster;
use crate::viewer::{CLIP, Viewer, publish_clip};

#[test]
fn a_killed_service_worker_and_a_hard_reload_end_no_film() {
    let Some(_turn) = chromium::turn() else { return };
    let cluster = Cluster::shared();
    let link = publish_clip(&cluster.client());
    let viewer = Viewer::watch(cluster.nodes[0].http, &link);
    viewer.plays_until(2.0);
    viewer.page.stop_service_workers();
    viewer.plays_until(6.0);
    viewer.seeks_to(30.0);
    viewer.page.stop_service_workers();
    viewer.seeks_to(15.0);
    viewer.assert_undisturbed();

    viewer.page.reload_hard();
    viewer.play();
    viewer.plays_until(2.0);
    viewer.seeks_to(30.0);
    viewer.assert_undisturbed();
    assert!(viewer.bytes() == std::fs::read(CLIP).unwrap(), "the bytes differ");
}
