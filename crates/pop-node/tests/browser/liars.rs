//! A viewer that lies to the others: a real tab of the real player, whose peer connections carry
//! something else than it says.

use std::rc::Rc;
use std::sync::Arc;

use pop_wire::Keypair;
use serde_json::Value;

use crate::chromium::{self, Browser, Preparation};
use crate::support::Cluster;
use crate::viewer::{CLIP, Viewer, page_of, publish_clip};

const LIAR: &str = include_str!("liars/liar.js");

/// Each lie, and the rule that the honest viewer names.
const LIES: [(&str, &str); 7] = [
    ("flippedBit", "the shard does not fit the manifest"),
    ("wrongProof", "the shard does not fit the manifest"),
    ("replayedShard", "the shard does not fit the manifest"),
    ("unaskedShard", "expected no answer"),
    ("absurdMessage", "message"),
    ("endlessMessage", "frame"),
    ("tenThousandMessages", "messages a second"),
];

/// Of the clip, some ten seconds: what viewers are asked for lies within, and those who have just
/// come fetch it at once.
const BEGINNING_BYTES: usize = 1_200_000;

/// Honest viewers that come for one lie at most.
const MEETINGS_MAX: usize = 4;

struct Stage {
    cluster: Arc<Cluster>,
    link: String,
    clip: Vec<u8>,
    liar: Viewer,
    /// The liar's.
    key: Keypair,
}

impl Stage {
    fn new() -> Self {
        let cluster = Cluster::shared();
        let (link, clip) = (publish_clip(&cluster.client()), std::fs::read(CLIP).unwrap());
        let url = page_of(cluster.nodes[0].http, &link, "");
        let liar = Viewer::watch_at(&url, &Preparation { page: LIAR, workers: "" });
        assert!(liar.beginning(BEGINNING_BYTES) == clip[..BEGINNING_BYTES], "the bytes differ");
        let key = liar.key();
        Self { cluster, link, clip, liar, key }
    }

    /// An honest viewer that is told this lie, and the fault that it names. One that fetched the
    /// whole film before it met the liar has nothing to ask it for, so another one comes then.
    #[track_caller]
    fn meet(&self, browser: &Rc<Browser>, lie: &str) -> (Viewer, Value) {
        let url = page_of(self.cluster.nodes[1].http, &self.link, "");
        let seen = "observed.faults[0] ?? \
                    film.stats()?.engine.cachedBytes >= film.info.lengthBytes";
        for _ in 0..MEETINGS_MAX {
            self.liar.page.eval(&format!("[lie, told] = ['{lie}', 0]"));
            let honest = Viewer::stranger_in(browser, &url);
            honest.page.wait(&format!("{lie} is told, or too late"), seen);
            if self.liar.page.eval("told") == 0 {
                honest.page.close();
                continue;
            }
            let fault = honest.page.wait(&format!("{lie} is noticed"), "observed.faults[0]");
            return (honest, fault);
        }
        panic!("{lie}: {MEETINGS_MAX} viewers met the liar too late");
    }

    /// An honest viewer hears this lie, names who told it, and plays on.
    #[track_caller]
    fn tell(&self, browser: &Rc<Browser>, lie: &str, rule: &str) -> Viewer {
        let (honest, fault) = self.meet(browser, lie);
        assert_eq!(fault["peer"], self.key.peer_id().to_string(), "{lie}: {fault}");
        assert_eq!(fault["kind"], "viewer", "{lie}: {fault}");
        assert!(fault["rule"].as_str().unwrap().contains(rule), "{lie}: {fault}");
        honest.plays_on(1.0);
        let beginning = honest.beginning(BEGINNING_BYTES);
        assert!(beginning == self.clip[..BEGINNING_BYTES], "{lie}: the bytes differ");
        honest.assert_undisturbed();
        let observed = honest.page.eval("observed");
        assert_eq!(observed["faults"].as_array().unwrap().len(), 1, "{lie}: {observed}");
        let sources = honest.page.eval("film.stats().sources");
        let lives = |it: &&Value| it["peer"] == fault["peer"] && it["state"] == "live";
        assert_eq!(
            sources.as_array().unwrap().iter().find(lives),
            None,
            "{lie}: it is still there"
        );
        honest
    }
}

#[test]
fn a_viewer_that_lies_is_dropped_and_named_and_playing_goes_on() {
    let Some(_turn) = chromium::turn() else { return };
    let stage = Stage::new();
    let browser = Rc::new(Browser::start());
    let mut honest: Option<Viewer> = None;
    for (lie, rule) in LIES {
        if let Some(before) = honest.take() {
            before.page.close();
        }
        honest = Some(stage.tell(&browser, lie, rule));
    }
    assert!(honest.unwrap().bytes() == stage.clip, "the bytes differ");
}
