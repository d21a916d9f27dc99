//! Everything beside the content: pages, health, metrics, cross-origin rules.

use std::io::Read as _;

use flate2::read::GzDecoder;
use pop_node::http::Readiness;

use crate::client::ask;
use crate::gateway::{FILM, id, path, start};

#[tokio::test]
async fn the_root_lists_the_routes_for_programs_and_for_people() {
    let gateway = start().await;
    let answer = ask(gateway.address, "GET", "/", &[]).await;
    let routes = answer.json()["routes"].as_array().unwrap().clone();
    assert!(routes.iter().any(|route| route["path"] == "/content/{id}?k={key}"));
    let page = ask(gateway.address, "GET", "/", &["Accept: text/html,*/*;q=0.8"]).await;
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    assert!(String::from_utf8(page.body).unwrap().contains("/content/{id}"));
}

#[tokio::test]
async fn the_plain_page_talks_to_nobody_else_and_does_not_leak_its_address() {
    let gateway = start().await;
    let target = format!("/watch/{}", id(FILM));
    let page = ask(gateway.address, "GET", &target, &[]).await;
    assert_eq!(page.status, 200);
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    assert!(page.header("content-security-policy").unwrap().starts_with("default-src 'self'"));
    assert_eq!(page.header("referrer-policy"), Some("no-referrer"));
    assert!(String::from_utf8(page.body).unwrap().contains("<video"));
}

#[tokio::test]
async fn the_player_runs_its_own_scripts_only_and_does_not_leak_its_address() {
    let gateway = start().await;
    let page = ask(gateway.address, "GET", &format!("/play/{}", id(FILM)), &[]).await;
    assert_eq!(page.status, 200);
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    assert_eq!(page.header("referrer-policy"), Some("no-referrer"));
    let policy = page.header("content-security-policy").unwrap().to_owned();
    assert!(policy.contains("script-src 'self' 'wasm-unsafe-eval';"), "{policy}");
    assert!(String::from_utf8(page.body).unwrap().contains("/web/player.js"));
}

#[tokio::test]
async fn every_file_of_the_player_is_served_as_what_it_is() {
    let gateway = start().await;
    for file in pop_web::dist::FILES {
        let target = format!("/web/{}", file.name);
        let answer = ask(gateway.address, "GET", &target, &["Origin: https://films.example"]).await;
        assert_eq!(answer.status, 200, "{target}");
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"), "{target}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{target}");
        assert_eq!(answer.header("service-worker-allowed"), Some("/"), "{target}");
        let expected = match file.name.rsplit('.').next().unwrap() {
            "js" => "text/javascript; charset=utf-8",
            "wasm" => "application/wasm",
            "css" => "text/css; charset=utf-8",
            "html" => "text/html; charset=utf-8",
            "json" => "application/json",
            _ => "text/plain; charset=utf-8",
        };
        assert_eq!(answer.header("content-type"), Some(expected), "{target}");
        assert_eq!(answer.body, file.bytes, "{target}");
    }
    assert_eq!(ask(gateway.address, "GET", "/web/other.js", &[]).await.status, 404);
}

#[tokio::test]
async fn a_file_of_the_player_is_not_sent_again_while_it_is_the_same() {
    let gateway = start().await;
    let first = ask(gateway.address, "GET", "/web/pop.js", &[]).await;
    let tag = first.header("etag").unwrap().to_owned();
    let same = format!("If-None-Match: W/\"other\", {tag}");
    let again = ask(gateway.address, "GET", "/web/pop.js", &[&same]).await;
    assert_eq!((again.status, again.body.len()), (304, 0));
    let stale = ask(gateway.address, "GET", "/web/pop.js", &["If-None-Match: \"other\""]).await;
    assert_eq!(stale.status, 200);
}

#[tokio::test]
async fn the_player_comes_packed_to_those_who_take_gzip_and_plain_to_others() {
    let gateway = start().await;
    for file in pop_web::dist::FILES {
        let target = format!("/web/{}", file.name);
        let accept = ["Accept-Encoding: br, gzip;q=0.8"];
        let packed = ask(gateway.address, "GET", &target, &accept).await;
        assert_eq!((packed.status, packed.whole), (200, true), "{target}");
        assert_eq!(packed.header("content-encoding"), Some("gzip"), "{target}");
        let mut plain = Vec::new();
        GzDecoder::new(&packed.body[..]).read_to_end(&mut plain).unwrap();
        assert_eq!(plain, file.bytes, "{target}");
        let unpacked = ask(gateway.address, "GET", &target, &[]).await;
        assert_eq!(unpacked.header("content-encoding"), None, "{target}");
        assert_eq!(unpacked.body, file.bytes, "{target}");
        for same in ["content-type", "vary", "cache-control"] {
            assert_eq!(packed.header(same), unpacked.header(same), "{target}: {same}");
        }
        let varies = unpacked.header("vary").unwrap();
        assert!(varies.contains("accept-encoding"), "{target}: {varies}");
        assert_ne!(packed.header("etag"), unpacked.header("etag"), "{target}");
    }
    let page = format!("/play/{}", id(FILM));
    let page = ask(gateway.address, "GET", &page, &["Accept-Encoding: gzip"]).await;
    assert_eq!(page.header("content-encoding"), Some("gzip"));
}

#[tokio::test]
async fn the_packed_wasm_stays_wasm_and_is_the_same_file_each_time() {
    let gateway = start().await;
    let ask_wasm = async |method: &str, headers: &[&str]| {
        ask(gateway.address, method, "/web/pop_web_bg.wasm", headers).await
    };
    let first = ask_wasm("GET", &["Accept-Encoding: gzip"]).await;
    assert_eq!(first.header("content-type"), Some("application/wasm"));
    let raw = ask_wasm("GET", &[]).await.body.len();
    assert!(first.body.len() * 2 < raw, "{} of {raw} bytes", first.body.len());
    let head = ask_wasm("HEAD", &["Accept-Encoding: gzip"]).await;
    assert_eq!(head.header("content-length"), Some(&*first.body.len().to_string()));
    let tag = format!("If-None-Match: {}", first.header("etag").unwrap());
    let again = ask_wasm("GET", &["Accept-Encoding: gzip", &tag]).await;
    assert_eq!((again.status, again.body.len()), (304, 0));
    assert_eq!(again.header("etag"), first.header("etag"));
    // Who has it packed and wants it plain has other bytes than are meant.
    let plain = ask_wasm("GET", &[&tag]).await;
    assert_eq!((plain.status, plain.body.len()), (200, raw));
}

#[tokio::test]
async fn health_is_of_the_process_and_readiness_of_the_node() {
    let gateway = start().await;
    let status = async |target: &str| ask(gateway.address, "GET", target, &[]).await.status;
    assert_eq!(status("/healthz").await, 200);
    assert_eq!(status("/readyz").await, 503);
    let ready = Readiness { store_writable: true, peers: 3, peers_min: 3, draining: false };
    for (readiness, expected) in [
        (ready, 200),
        (Readiness { peers: 2, ..ready }, 503),
        (Readiness { store_writable: false, ..ready }, 503),
        (Readiness { draining: true, ..ready }, 503),
    ] {
        gateway.readiness.send(readiness).unwrap();
        assert_eq!(status("/readyz").await, expected, "{readiness:?}");
    }
    assert_eq!(status("/healthz").await, 200);
}

#[tokio::test]
async fn the_version_is_the_packages() {
    let gateway = start().await;
    let version = ask(gateway.address, "GET", "/version", &[]).await.json();
    assert_eq!(version["name"], "pop-node");
    assert_eq!(version["version"], env!("CARGO_PKG_VERSION"));
}

#[tokio::test]
async fn other_origins_may_read_content_and_nothing_else() {
    let gateway = start().await;
    let origin = ["Origin: https://films.example"];
    let content = ask(gateway.address, "GET", &path(FILM), &origin).await;
    assert_eq!(content.header("access-control-allow-origin"), Some("*"));
    assert_eq!(content.header("access-control-allow-credentials"), None);
    let exposed = content.header("access-control-expose-headers").unwrap();
    assert!(exposed.contains("content-range"), "{exposed}");
    for target in ["/", "/metrics", "/healthz", "/readyz", "/more"] {
        let answer = ask(gateway.address, "GET", target, &origin).await;
        assert_eq!(answer.header("access-control-allow-origin"), None, "{target}");
    }
    let preflight = [
        "Origin: https://films.example",
        "Access-Control-Request-Method: GET",
        "Access-Control-Request-Headers: range",
    ];
    let answer = ask(gateway.address, "OPTIONS", &path(FILM), &preflight).await;
    assert_eq!(answer.status, 200);
    assert!(answer.header("access-control-allow-headers").unwrap().contains("range"));
    assert_eq!(answer.header("access-control-allow-methods"), Some("GET,HEAD"));
}

#[tokio::test]
async fn further_routes_are_served_beside_the_gateways_own() {
    let gateway = start().await;
    assert_eq!(ask(gateway.address, "GET", "/more", &[]).await.body, b"more");
}
