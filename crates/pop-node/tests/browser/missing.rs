//! What is said when something is missing, and that the film plays where it can.

use std::net::{IpAddr, SocketAddr};

use crate::chromium::{self, Browser, Preparation};
use crate::support::Cluster;
use crate::viewer::{CLIP, Viewer, page_of, publish_clip};

/// A browser that has the least.
const POOR: &str = r"
    delete globalThis.RTCPeerConnection;
    delete Navigator.prototype.serviceWorker;
";

/// Where nothing may be stored.
const NO_STORAGE: &str = r"
    StorageManager.prototype.getDirectory = () => Promise.reject(new DOMException('', 'SecurityError'));
    IDBFactory.prototype.open = () => { throw new DOMException('', 'SecurityError'); };
";

/// A worker without WebSockets, as behind a proxy that knows none.
const NO_SOCKETS: &str = r"
    globalThis.WebSocket = class { constructor() { throw new DOMException('', 'SecurityError'); } };
";

#[test]
fn without_webrtc_service_worker_and_storage_it_says_so_and_plays() {
    let Some(_turn) = chromium::turn() else { return };
    let cluster = Cluster::shared();
    let link = publish_clip(&cluster.client());
    let poor = Preparation { page: POOR, workers: NO_STORAGE };
    let viewer = Viewer::watch_at(&page_of(cluster.nodes[0].http, &link, ""), &poor);
    viewer.plays_until(1.0);
    viewer.seeks_to(30.0);
    let problems = viewer.page.eval("observed.problems");
    for code in ["no_webrtc", "no_service_worker", "storage_blocked"] {
        assert!(problems.as_array().unwrap().iter().any(|it| it == code), "{code}: {problems}");
    }
    let told = viewer.page.eval("document.getElementById('log').textContent");
    for sentence in ["has no WebRTC", "have a service worker", "refuses to store"] {
        assert!(told.as_str().unwrap().contains(sentence), "{sentence}: {told}");
    }
    viewer.assert_undisturbed();
    assert!(viewer.bytes() == std::fs::read(CLIP).unwrap(), "the bytes differ");
}

#[test]
fn on_a_page_of_another_machine_without_a_certificate_it_says_so_and_plays() {
    let Some(_turn) = chromium::turn() else { return };
    let cluster = Cluster::shared();
    let link = publish_clip(&cluster.client());
    let node = cluster.nodes[0].http;
    // As the browser sees it, an address in the network of somebody's home; it leads back here.
    let away = SocketAddr::new(IpAddr::from([192, 168, 99, 9]), node.port());
    let leads_back = format!("--host-resolver-rules=MAP {} {}", away.ip(), node.ip());
    let browser = Browser::start_with(&[&leads_back]);
    let url = page_of(away, &link, "");
    let viewer = Viewer::arrive_with(browser, &url, &Preparation::default());
    assert_eq!(viewer.page.eval("isSecureContext"), false);
    viewer.play();
    viewer.plays_until(1.0);
    let problems = viewer.page.eval("observed.problems");
    for code in ["no_service_worker", "storage_blocked"] {
        assert!(problems.as_array().unwrap().iter().any(|it| it == code), "{code}: {problems}");
    }
    viewer.assert_undisturbed();
    assert!(viewer.bytes() == std::fs::read(CLIP).unwrap(), "the bytes differ");
}

#[test]
fn without_websockets_it_plays_over_webrtc_from_the_masternodes() {
    let Some(_turn) = chromium::turn() else { return };
    let cluster = Cluster::shared();
    let link = publish_clip(&cluster.client());
    let url = page_of(cluster.nodes[0].http, &link, "");
    let viewer = Viewer::watch_at(&url, &Preparation { page: "", workers: NO_SOCKETS });
    viewer.plays_until(2.0);
    viewer.seeks_to(35.0);
    viewer.assert_undisturbed();
    assert!(viewer.bytes() == std::fs::read(CLIP).unwrap(), "the bytes differ");
    assert_eq!(viewer.stat("fromViewersBytes"), 0);
    assert!(viewer.stat("fromMasternodesBytes") > 0);
}

#[test]
fn a_wrong_key_and_an_unknown_content_are_told_and_the_right_link_plays() {
    let Some(_turn) = chromium::turn() else { return };
    let cluster = Cluster::shared();
    let link = publish_clip(&cluster.client());
    let (content, key) = link.split_once("?k=").unwrap();
    let other = |text: &str| {
        let middle = text.len() / 2;
        let letter = if &text[middle..=middle] == "a" { "b" } else { "a" };
        format!("{}{letter}{}", &text[..middle], &text[middle + 1..])
    };
    let browser = Browser::start();
    let told = |link: &str, sentence: &str, next: &str| {
        let page = browser.open(&page_of(cluster.nodes[0].http, link, ""));
        let shown = "!document.getElementById('notice').hidden && \
                     document.getElementById('notice').textContent";
        let text = page.wait("there is a notice", shown);
        let text = text.as_str().unwrap();
        assert!(text.contains(sentence) && text.contains(next), "{text}");
        page
    };
    let wrong = format!("{content}?k={}", other(key));
    let page = told(&wrong, "does not open this content", "Ask for the link again");
    let unknown = format!("pop:{}?k={key}", other(content.strip_prefix("pop:").unwrap()));
    told(&unknown, "none knows this content", "Check the link").close();

    // A player begins in a tab that is seen.
    page.activate();
    page.eval(&format!(
        "document.getElementById('link-input').value = '{key}'; \
         document.querySelector('#link-form button').click()"
    ));
    page.wait("it plays", "document.getElementById('film').currentTime > 0.5");
    page.wait("the notice is gone", "document.getElementById('notice').hidden");
}
