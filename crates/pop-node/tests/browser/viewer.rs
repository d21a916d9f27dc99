//! Somebody who watches a film on the node's player page, in a browser of his own.

use std::net::SocketAddr;
use std::path::Path;

use data_encoding::BASE64;
use serde_json::Value;

use crate::chromium::{Browser, Page};
use crate::support::Client;

/// The clip that the demo plays.
pub(crate) const CLIP: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/big-buck-bunny.mp4");

/// Counts what goes wrong from here on. A stall is a wait that no seek explains.
const OBSERVE: &str = r"
    globalThis.video = document.querySelector('video');
    globalThis.observed = { stalls: 0, faults: [], problems: [] };
    video.muted = true;
    video.addEventListener('waiting', () => {
        if (video.currentTime > 0 && !video.seeking) observed.stalls++;
    });
    film.addEventListener('problem', ({ detail }) => observed.problems.push(detail.code));
    film.addEventListener('fault', ({ detail }) => observed.faults.push(detail));
";

/// The whole film as the page has it.
const BASE64_OF_FILM: &str = r"(async () => {
    const reader = new FileReader();
    const read = new Promise(resolve => reader.onload = resolve);
    reader.readAsDataURL(await film.blob());
    await read;
    return reader.result.slice(reader.result.indexOf(',') + 1);
})()";

/// Publish the clip; its link.
#[track_caller]
pub(crate) fn publish_clip(publisher: &Client) -> String {
    publisher.publish_link(Path::new(CLIP))
}

pub(crate) struct Viewer {
    pub(crate) page: Page,
    _browser: Browser,
}

impl Viewer {
    /// Open the page of this node's that plays a link, in a new browser, and begin to play.
    #[track_caller]
    pub(crate) fn watch(node: SocketAddr, link: &str) -> Self {
        let browser = Browser::start();
        let page = browser.open(&page_of(node, link));
        let viewer = Self { page, _browser: browser };
        viewer.play();
        viewer
    }

    /// Play what is on the page.
    #[track_caller]
    pub(crate) fn play(&self) {
        self.page.wait("the film is open", "Boolean(globalThis.film)");
        self.page.eval(OBSERVE);
        self.page.wait("the film is loaded", "video.readyState >= 2");
        self.page.eval("video.play()");
    }

    /// Wait until it played this far, in seconds of the film.
    #[track_caller]
    pub(crate) fn plays_until(&self, seconds: f64) {
        let what = format!("it plays until {seconds} s");
        self.page.wait(&what, &format!("video.currentTime >= {seconds}"));
    }

    /// Go there, and wait until it plays on from there.
    #[track_caller]
    pub(crate) fn seeks_to(&self, seconds: f64) {
        self.page.eval(&format!("video.currentTime = {seconds}"));
        let played_on = format!("!video.seeking && video.currentTime > {seconds}");
        self.page.wait(&format!("it plays on from {seconds} s"), &played_on);
    }

    /// Nothing went wrong since it began.
    #[track_caller]
    pub(crate) fn assert_undisturbed(&self) {
        let observed = self.page.eval("observed");
        assert_eq!(observed["stalls"], 0, "{observed}");
        assert_eq!(self.page.eval("video.error"), Value::Null);
    }

    /// The player's own figures, once there are some.
    #[track_caller]
    pub(crate) fn stats(&self) -> Value {
        self.page.wait("there are figures", "film.stats()")
    }

    /// One of them.
    #[track_caller]
    pub(crate) fn stat(&self, name: &str) -> u64 {
        let stats = self.stats();
        stats[name].as_u64().unwrap_or_else(|| panic!("{name}: {stats}"))
    }

    /// The whole film as the page has it, whatever it has to fetch for that.
    #[track_caller]
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let text = self.page.eval(BASE64_OF_FILM);
        BASE64.decode(text.as_str().unwrap().as_bytes()).unwrap()
    }
}

/// Address of the page that plays a link.
fn page_of(node: SocketAddr, link: &str) -> String {
    let (content, key) = link.strip_prefix("pop:").unwrap().split_once("?k=").unwrap();
    format!("http://{node}/play/{content}#k={key}")
}
