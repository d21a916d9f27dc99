//! The page of the node's gateway, which needs no player of ours in the browser.

use std::path::Path;

use crate::chromium::{self, Browser};
use crate::support::Cluster;

/// The clip that the demo plays.
const CLIP: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/big-buck-bunny.mp4");

/// Frames of the clip that were decoded.
const FRAMES: &str = "document.querySelector('video').getVideoPlaybackQuality().totalVideoFrames";

#[test]
fn the_gateways_page_plays_the_clip_and_seeks_in_it() {
    let Some(_turn) = chromium::turn() else { return };
    let cluster = Cluster::start(3);
    let link = cluster.client().publish_link(Path::new(CLIP));
    let (content, key) = link.strip_prefix("pop:").unwrap().split_once("?k=").unwrap();
    let browser = Browser::start();
    let page = browser.open(&format!("http://{}/watch/{content}#k={key}", cluster.nodes[1].http));

    page.wait("the film is known", "document.querySelector('video').duration === 41.4");
    page.eval("document.querySelector('video').play()");
    page.wait("frames are shown", &format!("{FRAMES} >= 10"));

    page.eval("document.querySelector('video').currentTime = 35");
    let frames = page.eval(FRAMES);
    let position = "document.querySelector('video').currentTime";
    page.wait("it goes on from there", &format!("{position} > 35 && {FRAMES} > {frames} + 10"));
    assert_eq!(page.eval("document.querySelector('video').error"), serde_json::Value::Null);
}
