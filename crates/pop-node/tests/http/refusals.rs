//! Every refusal has a status, a code and a next step.

use crate::client::ask;
use crate::gateway::{FILM, HOLDERLESS, id, key_text, path, start};

#[tokio::test]
async fn bad_links_wrong_keys_and_missing_holders_are_told_apart() {
    let gateway = start().await;
    let film = id(FILM).to_string();
    let key = key_text(FILM);
    let table = [
        (format!("/content/{film}"), 400, "bad_link"),
        (format!("/content/{film}?k="), 400, "bad_link"),
        (format!("/content/{film}?k={}", &key[..51]), 400, "bad_link"),
        (format!("/content/{film}?k={key}a"), 400, "bad_link"),
        (format!("/content/{film}?k={}", "!".repeat(52)), 400, "bad_link"),
        (format!("/content/{film}?k={key}&k={key}"), 400, "bad_link"),
        (format!("/content/{}?k={key}", &film[..40]), 400, "bad_link"),
        (format!("/content/nonsense?k={key}"), 400, "bad_link"),
        (format!("/content/%FF?k={key}"), 400, "bad_link"),
        (format!("/content/{}?k={key}", id(99)), 404, "unknown_content"),
        (format!("/content/{film}?k={}", key_text(2)), 403, "wrong_key"),
        (path(HOLDERLESS), 503, "not_enough_holders"),
        ("/content/".to_owned(), 404, "unknown_route"),
        ("/no/such/route".to_owned(), 404, "unknown_route"),
    ];
    for (target, status, code) in table {
        let answer = ask(gateway.address, "GET", &target, &[]).await;
        assert_eq!(answer.status, status, "{target}");
        let body = answer.json();
        assert_eq!(body["code"], code, "{target}");
        assert!(!body["next_step"].as_str().unwrap().is_empty(), "{target}");
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{target}");
        assert_eq!(answer.header("retry-after").is_some(), status == 503, "{target}");
    }
}

#[tokio::test]
async fn a_refused_key_gives_no_304() {
    let gateway = start().await;
    let target = format!("/content/{}?k={}", id(FILM), key_text(2));
    let answer = ask(gateway.address, "GET", &target, &["If-None-Match: *"]).await;
    assert_eq!(answer.status, 403);
}

#[tokio::test]
async fn only_reading_is_allowed() {
    let gateway = start().await;
    for method in ["POST", "PUT", "DELETE", "PATCH", "TRACE"] {
        let answer = ask(gateway.address, method, &path(FILM), &[]).await;
        assert_eq!(answer.status, 405, "{method}");
        assert_eq!(answer.header("allow"), Some("GET,HEAD"), "{method}");
    }
}

#[tokio::test]
async fn a_foreign_host_name_is_refused_everywhere() {
    let gateway = start().await;
    for target in [path(FILM).as_str(), "/", "/metrics", "/more", "/no/such/route"] {
        let answer = ask(gateway.address, "GET", target, &["Host: evil.example"]).await;
        assert_eq!(answer.status, 421, "{target}");
        assert_eq!(answer.json()["code"], "unknown_host");
    }
    for host in ["localhost:4780", "127.0.0.1", "[::1]:80", "pop.example.org"] {
        let header = format!("Host: {host}");
        let answer = ask(gateway.address, "GET", "/healthz", &[&header]).await;
        assert_eq!(answer.status, 200, "{host}");
    }
    let twice = ["Host: localhost", "Host: evil.example"];
    assert_ne!(ask(gateway.address, "GET", "/metrics", &twice).await.status, 200);
}
