//! What browsers and networks do to a page while it plays.

use crate::chromium;
use crate::support::Cluster;
use crate::support::cluster::{Hanging, Masternode};
use crate::viewer::{CLIP, Viewer, page_of, publish_clip};

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

#[test]
fn two_tabs_of_one_browser_play_different_films_and_go_on_in_the_background() {
    let Some(_turn) = chromium::turn() else { return };
    let cluster = Cluster::shared();
    let publisher = cluster.client();
    let clip = std::fs::read(CLIP).unwrap();
    let link = publish_clip(&publisher);
    // The same film with room at its end, which players skip: a box of 4,096 bytes.
    let mut longer = clip.clone();
    longer.extend([0, 0, 0x10, 0]);
    longer.extend(b"free");
    longer.resize(clip.len() + 4096, 7);
    let other_link = publisher.publish_link(&publisher.file("longer.mp4", &longer));

    let node = cluster.nodes[0].http;
    let behind = Viewer::watch(node, &link);
    // Chromium lets nobody play on unseen who is not heard either.
    behind.page.eval("video.muted = false");
    behind.plays_until(1.0);
    let front = behind.open_beside(&page_of(node, &other_link, ""));
    behind.page.wait("the first tab is hidden", "document.hidden");
    assert_ne!(behind.key().peer_id(), front.key().peer_id(), "two tabs are one peer");
    front.plays_until(4.0);
    behind.plays_on(3.0);
    front.seeks_to(35.0);
    behind.seeks_to(25.0);
    assert_eq!(behind.page.eval("document.hidden"), true);
    behind.page.activate();
    behind.plays_on(1.0);
    for (viewer, film) in [(&behind, &clip), (&front, &longer)] {
        viewer.assert_undisturbed();
        assert!(viewer.bytes() == *film, "the bytes differ");
    }
}

#[test]
fn offline_and_back_it_says_so_and_plays_on() {
    let Some(_turn) = chromium::turn() else { return };
    let cluster = Cluster::shared();
    let link = publish_clip(&cluster.client());
    let viewer = Viewer::watch(cluster.nodes[0].http, &link);
    viewer.plays_until(2.0);
    // The browser says that it is offline, and stopped processes answer nothing: what was open
    // stays so, as when a cable is pulled.
    let cut = Hanging::new(&cluster.nodes);
    viewer.page.set_offline(true);
    viewer.page.wait("it is told", "observed.problems.includes('offline')");
    viewer.page.wait("there is a notice", "!document.getElementById('notice').hidden");
    viewer.page.eval("video.currentTime = 30");
    viewer.page.wait("nothing is left to play", "video.readyState < 3");
    drop(cut);
    viewer.page.set_offline(false);
    viewer.page.wait("it plays on", "video.currentTime > 31");
    viewer.page.wait("the notice is gone", "document.getElementById('notice').hidden");
    assert!(viewer.bytes() == std::fs::read(CLIP).unwrap(), "the bytes differ");
}

#[test]
fn all_sources_gone_is_told_and_it_plays_on_when_they_are_back() {
    let Some(_turn) = chromium::turn() else { return };
    let mut cluster = Cluster::start(5);
    let link = publish_clip(&cluster.client());
    let viewer = Viewer::watch(cluster.nodes[0].http, &link);
    viewer.plays_until(2.0);
    cluster.nodes.iter_mut().for_each(Masternode::kill);
    viewer.page.eval("video.currentTime = 30");
    viewer.page.wait("it is told", "observed.problems.includes('sources_gone')");
    let shown = "document.getElementById('notice-text').textContent";
    let notice = viewer.page.eval(shown);
    assert!(notice.as_str().unwrap().contains("pieces that are needed"), "{notice}");
    viewer.page.wait("the relay is missed", "observed.problems.includes('relay_gone')");
    cluster.nodes.iter_mut().for_each(Masternode::restart);
    viewer.page.wait("it plays on", "observed.recovered > 0 && video.currentTime > 31");
    viewer.page.wait("the notice is gone", "document.getElementById('notice').hidden");
    viewer.page.wait("a relay is there", "film.stats().engine.relaysUp === 1");
    assert!(viewer.bytes() == std::fs::read(CLIP).unwrap(), "the bytes differ");
}
