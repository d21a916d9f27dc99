//! The mode in which a viewer sends what its player shows: pictures that nobody can verify.

use serde_json::json;

use crate::chromium::{self, Browser, Page, Preparation};
use crate::support::Cluster;
use crate::viewer::publish_clip;

/// A page with nothing but POP, opened with these options; connections are noted.
const WATCH: &str = r"
    globalThis.connections = [];
    globalThis.tracks = [];
    globalThis.RTCPeerConnection = class extends RTCPeerConnection {
        constructor(...all) { super(...all); connections.push(this); }
    };
    globalThis.watch = async (link, options) => {
        const { Pop } = await import('/web/pop.js');
        globalThis.film = await Pop.open(link, options);
        film.addEventListener('liveTrack', ({ detail }) => tracks.push(detail));
        globalThis.video = document.body.appendChild(document.createElement('video'));
        video.muted = true;
    };
";

/// Frames that came over a peer connection and were decoded.
const FRAMES: &str = r"(async () => {
    let frames = 0;
    for (const connection of connections)
        for (const report of (await connection.getStats()).values())
            if (report.type === 'inbound-rtp' && report.kind === 'video')
                frames += report.framesDecoded;
    return frames;
})()";

/// How many of 4,096 points of the picture are neither black nor all the same.
const COLOURS: &str = r"(() => {
    const canvas = new OffscreenCanvas(64, 64), context = canvas.getContext('2d');
    context.drawImage(video, 0, 0, 64, 64);
    const points = new Uint32Array(context.getImageData(0, 0, 64, 64).data.buffer);
    return new Set(points).size;
})()";

#[track_caller]
fn watch(browser: &Browser, cluster: &Cluster, link: &str, options: &serde_json::Value) -> Page {
    let blank = format!("http://{}/web/player.css", cluster.nodes[0].http);
    let page = browser.open_prepared(&blank, &Preparation { page: WATCH, workers: "" });
    page.eval(&format!("watch('{link}', {options})"));
    page
}

#[test]
fn a_live_track_is_decoded_at_the_far_end_and_marked_and_never_kept() {
    let Some(_turn) = chromium::turn() else { return };
    let cluster = Cluster::shared();
    let link = publish_clip(&cluster.client());
    let (near, far) = (Browser::start(), Browser::start());
    let sender = watch(&near, &cluster, &link, &json!({ "restream": "srtp" }));
    sender.eval("film.attach(video).then(() => video.play())");
    sender.wait("the sender plays", "video.currentTime > 0.5");
    // It reads nothing of the film: whatever it sees came as a track.
    let viewer = watch(&far, &cluster, &link, &json!({ "live": true }));
    viewer.wait("a track came", "tracks.some(({ track }) => track.kind === 'video')");
    viewer.eval(
        "video.srcObject = tracks.find(({ track }) => track.kind === 'video').stream; video.play()",
    );
    viewer.wait("frames are decoded", &format!("{FRAMES}.then((frames) => frames > 10)"));
    viewer.wait("there is a picture", &format!("{COLOURS} > 50"));
    assert_eq!(viewer.eval("tracks.every(({ verified }) => verified === false)"), true);
    viewer.wait("there are figures", "film.stats()");
    let stats = viewer.eval("film.stats()");
    assert_eq!(stats["engine"]["cachedBytes"], 0, "{stats}");
    assert_eq!(
        (&stats["fromViewersBytes"], &stats["fromMasternodesBytes"]),
        (&json!(0), &json!(0))
    );
    assert_eq!(stats["held"], json!([]));
    let kept = viewer.eval(
        "(async () => { let all = 0; \
         const root = await navigator.storage.getDirectory(); \
         for await (const slot of (await root.getDirectoryHandle('pop')).values()) \
             for await (const _file of slot.keys()) all += 1; \
         return all; })()",
    );
    assert_eq!(kept, 0, "something is in the cache");
}
