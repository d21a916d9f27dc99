//! Holders that lie, say nothing, or take for ever: the bytes come from the others, and a liar is
//! named.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::support::cluster::Hanging;
use crate::support::rogue::{Lie, Rogue};
use crate::support::{Client, Cluster, http, program, sample, wait_for};

/// Four honest nodes and a rogue, with one content on them.
struct Scene {
    client: Client,
    rogue: Rogue,
    link: String,
    content: Vec<u8>,
    cluster: Cluster,
}

impl Scene {
    fn set() -> Self {
        let cluster = Cluster::start(4);
        let rogue = Rogue::join(&cluster.nodes[0].address);
        cluster.wait_until_known(4);
        let client = cluster.client();
        let content = sample("liars", 2_000_000);
        let report = client.publish(&client.file("file", &content), &[]).report();
        let placement = report["placement"].as_object().unwrap();
        assert!(placement.values().any(|peer| *peer == rogue.peer.to_string()), "{report}");
        rogue.wait_for_claim();
        let link = report["link"].as_str().unwrap().to_owned();
        Self { client, rogue, link, content, cluster }
    }

    /// Fetch while the rogue does this; what people are told meanwhile.
    fn fetch_despite(&self, lie: Lie) -> String {
        let output = self.client.path("fetched");
        let mut get = self.client.verb("get");
        get.arg(&self.link).arg("-o").arg(&output);
        let get = self.while_needed(lie, || program::start(&mut get));
        let outcome = program::finish(get);
        outcome.report();
        assert!(std::fs::read(&output).unwrap() == self.content, "the bytes differ");
        outcome.stderr
    }

    /// Start something that needs the rogue, because two of the honest ones hang until it was
    /// asked.
    fn while_needed<T>(&self, lie: Lie, start: impl FnOnce() -> T) -> T {
        self.rogue.tell(lie);
        let before = self.rogue.requests();
        let hanging = Hanging::new(&self.cluster.nodes[2..]);
        let started = start();
        wait_for("the rogue is asked", || (self.rogue.requests() > before).then_some(()));
        drop(hanging);
        started
    }

    fn assert_named_for(&self, lie: Lie) {
        let said = self.fetch_despite(lie);
        let named = said.lines().any(|line| {
            line.contains(&self.rogue.peer.to_string()) && line.contains("broke a rule")
        });
        assert!(named, "{lie:?}: {said}");
        assert!(said.contains("does not fit the manifest"), "{lie:?}: {said}");
    }
}

/// One test at a time, on one scene for as many as follow each other. The last takes it down.
#[track_caller]
fn with_scene(test: impl FnOnce(&Scene)) {
    static SHARED: Mutex<Weak<Scene>> = Mutex::new(Weak::new());
    static TURN: Mutex<()> = Mutex::new(());
    let scene = {
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let scene = Arc::new(Scene::set());
            *shared = Arc::downgrade(&scene);
            scene
        })
    };
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    test(&scene);
}

#[test]
fn a_holder_that_keeps_to_the_rules_is_not_blamed() {
    with_scene(|scene| {
        let said = scene.fetch_despite(Lie::None);
        assert!(!said.contains("broke a rule"), "{said}");
    });
}

#[test]
fn a_holder_that_flips_a_bit_is_named_and_the_bytes_are_right() {
    with_scene(|scene| scene.assert_named_for(Lie::FlippedBit));
}

#[test]
fn a_holder_that_gives_another_column_is_named_and_the_bytes_are_right() {
    with_scene(|scene| scene.assert_named_for(Lie::WrongColumn));
}

#[test]
fn a_holder_that_gives_a_wrong_proof_is_named_and_the_bytes_are_right() {
    with_scene(|scene| scene.assert_named_for(Lie::WrongProof));
}

#[test]
fn a_holder_that_replays_a_shard_is_named_and_the_bytes_are_right() {
    with_scene(|scene| scene.assert_named_for(Lie::Replay));
}

#[test]
fn a_holder_that_never_answers_is_left_alone() {
    with_scene(|scene| drop(scene.fetch_despite(Lie::NoAnswer)));
}

#[test]
fn a_holder_that_never_greets_is_left_alone() {
    with_scene(|scene| drop(scene.fetch_despite(Lie::NoGreeting)));
}

#[test]
fn a_holder_that_sends_a_byte_a_second_is_left_alone() {
    with_scene(|scene| drop(scene.fetch_despite(Lie::OneByteASecond)));
}

#[test]
fn a_gateway_counts_a_liar_among_the_faults() {
    with_scene(|scene| {
        let gateway = scene.cluster.nodes[1].http;
        let faults = || scene.cluster.nodes[1].status()["peer_faults"].as_u64().unwrap();
        let before = faults();
        let path = format!("/content/{}", scene.link.strip_prefix("pop:").unwrap());
        let fetch = move || std::thread::spawn(move || http::get(gateway, &path, &[]));
        let answer = scene.while_needed(Lie::FlippedBit, fetch).join().unwrap();
        assert!(answer.status == 200 && answer.body == scene.content, "{}", answer.status);
        assert!(faults() > before);
        let metrics = http::get(gateway, "/metrics", &[]).body;
        let metrics = String::from_utf8(metrics).unwrap();
        let line = format!("pop_peer_faults_total {}", faults());
        assert!(metrics.contains(&line), "{metrics}");
    });
}
