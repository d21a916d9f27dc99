//! Somebody who watches a film on the node's player page.

use std::net::SocketAddr;
use std::path::Path;
use std::rc::Rc;

use data_encoding::BASE64;
use pop_wire::Keypair;
use serde_json::Value;

use crate::chromium::{Browser, Page, Preparation};
use crate::support::Client;

/// The clip that the demo plays, and how long it is in seconds.
pub(crate) const CLIP: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/big-buck-bunny.mp4");
pub(crate) const CLIP_SECONDS: f64 = 41.4;

/// Notes what goes wrong, from the moment on in which the page has its film: `observed`. A stall is
/// a wait that no seek explains.
const OBSERVE: &str = r"{
    let opened;
    globalThis.observed = { stalls: 0, faults: [], problems: [], recovered: 0, wallets: [] };
    Object.defineProperty(globalThis, 'film', { get: () => opened, set(film) {
        opened = film;
        if (!film) return;
        globalThis.video = document.querySelector('video');
        video.muted = true;
        video.addEventListener('waiting', () => {
            if (video.currentTime > 0 && !video.seeking) observed.stalls++;
        });
        observed.problems.push(...film.pop.problems.map(({ code }) => code));
        film.addEventListener('problem', ({ detail }) => observed.problems.push(detail.code));
        film.addEventListener('peerFault', ({ detail }) => observed.faults.push(detail));
        film.addEventListener('recovered', () => observed.recovered++);
        film.addEventListener('wallet', ({ detail }) => observed.wallets.push(detail));
    } });
}
";

const OBSERVED: Preparation<'static> = Preparation { page: OBSERVE, workers: "" };

/// A function of a promise of bytes.
const BASE64_OF: &str = r"async (bytes) => {
    const reader = new FileReader();
    const read = new Promise(resolve => reader.onload = resolve);
    reader.readAsDataURL(new Blob([await bytes]));
    await read;
    return reader.result.slice(reader.result.indexOf(',') + 1);
}";

/// Publish the clip; its link.
#[track_caller]
pub(crate) fn publish_clip(publisher: &Client) -> String {
    publisher.publish_link(Path::new(CLIP))
}

pub(crate) struct Viewer {
    pub(crate) page: Page,
    browser: Rc<Browser>,
}

impl Viewer {
    /// Open the page of this node's that plays a link, in a new browser, and begin to play.
    #[track_caller]
    pub(crate) fn watch(node: SocketAddr, link: &str) -> Self {
        Self::watch_at(&page_of(node, link, ""), &Preparation::default())
    }

    /// The same at another address, in a tab that is prepared.
    #[track_caller]
    pub(crate) fn watch_at(url: &str, preparation: &Preparation<'_>) -> Self {
        let viewer = Self::arrive(url, preparation);
        viewer.play();
        viewer
    }

    /// The same, and do not play yet.
    #[track_caller]
    pub(crate) fn arrive(url: &str, preparation: &Preparation<'_>) -> Self {
        Self::arrive_with(Browser::start(), url, preparation)
    }

    /// The same in this browser.
    #[track_caller]
    pub(crate) fn arrive_with(browser: Browser, url: &str, preparation: &Preparation<'_>) -> Self {
        let browser = Rc::new(browser);
        let script = format!("{OBSERVE}{}", preparation.page);
        let observed = Preparation { page: &script, ..*preparation };
        let page = browser.open_prepared(url, &observed);
        let viewer = Self { page, browser };
        viewer.has_film();
        viewer
    }

    /// The same person with another tab.
    #[track_caller]
    pub(crate) fn open_beside(&self, url: &str) -> Self {
        let page = self.browser.open_prepared(url, &OBSERVED);
        let viewer = Self { page, browser: Rc::clone(&self.browser) };
        viewer.play();
        viewer
    }

    /// Somebody else, in a profile of this browser to save time.
    #[track_caller]
    pub(crate) fn stranger_in(browser: &Rc<Browser>, url: &str) -> Self {
        let page = browser.open_as_stranger(url, &OBSERVED);
        let viewer = Self { page, browser: Rc::clone(browser) };
        viewer.play();
        viewer
    }

    #[track_caller]
    fn has_film(&self) {
        self.page.wait("the film is open", "Boolean(globalThis.film)");
    }

    /// Play what is on the page.
    #[track_caller]
    pub(crate) fn play(&self) {
        self.has_film();
        self.page.wait("the film is loaded", "video.readyState >= 2");
        self.page.eval("video.play()");
    }

    /// Wait until it played this far, in seconds of the film.
    #[track_caller]
    pub(crate) fn plays_until(&self, seconds: f64) {
        let what = format!("it plays until {seconds} s");
        self.page.wait(&what, &format!("video.currentTime >= {seconds}"));
    }

    /// Wait until it played so many seconds more.
    #[track_caller]
    pub(crate) fn plays_on(&self, seconds: f64) {
        let at = self.page.eval("video.currentTime").as_f64().unwrap();
        self.plays_until(at + seconds);
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

    /// SIGKILL of the whole browser: nobody is told.
    pub(crate) fn leave_abruptly(self) {
        drop(self);
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

    /// The key that this viewer's browser made: its peer id and its wallet.
    #[track_caller]
    pub(crate) fn key(&self) -> Keypair {
        let secret = self.page.eval("film.pop.exportKey().then((secret) => Array.from(secret))");
        let secret: [u8; 32] = serde_json::from_value(secret).unwrap();
        Keypair::from_secret_bytes(&secret).unwrap()
    }

    /// The film as the page has it, from its beginning to before `end`.
    #[track_caller]
    pub(crate) fn beginning(&self, end: usize) -> Vec<u8> {
        self.decoded(&format!("film.read(0, {end})"))
    }

    /// The whole film as the page has it, whatever it has to fetch for that.
    #[track_caller]
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.decoded("film.blob()")
    }

    #[track_caller]
    fn decoded(&self, bytes: &str) -> Vec<u8> {
        let text = self.page.eval(&format!("({BASE64_OF})({bytes})"));
        BASE64.decode(text.as_str().unwrap().as_bytes()).unwrap()
    }
}

/// Address of the page that plays a link, with a query such as `?price=1`.
pub(crate) fn page_of(node: SocketAddr, link: &str, query: &str) -> String {
    let (content, key) = link.strip_prefix("pop:").unwrap().split_once("?k=").unwrap();
    format!("http://{node}/play/{content}{query}#k={key}")
}
