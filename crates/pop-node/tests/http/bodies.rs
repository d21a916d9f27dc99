//! What a body is: typed, safe, on its way at once, and honest when it breaks off.

use crate::client::{Client, ask};
use crate::gateway::{
    DYING, ENDLESS, FILM, FILM_BYTES, HTML, LONG, SHORT, STALLED, UNTYPED, film, path, start,
};

#[tokio::test]
async fn content_carries_its_type_and_what_keeps_a_browser_safe() {
    let gateway = start().await;
    let answer = ask(gateway.address, "GET", &path(FILM), &[]).await;
    assert_eq!(answer.header("content-type"), Some("video/mp4"));
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
    assert_eq!(answer.header("cache-control"), Some("private, max-age=31536000, immutable"));
    assert_eq!(answer.header("content-disposition"), None);
    let answer = ask(gateway.address, "GET", &path(UNTYPED), &[]).await;
    assert_eq!(answer.header("content-type"), Some("application/octet-stream"));
    let answer = ask(gateway.address, "GET", &path(HTML), &[]).await;
    assert!(answer.header("content-security-policy").unwrap().starts_with("sandbox"));
}

#[tokio::test]
async fn a_download_gets_its_name_and_a_name_adds_no_header() {
    let gateway = start().await;
    let disposition = async |query: &str| {
        let target = format!("{}&{query}", path(FILM));
        let answer = ask(gateway.address, "HEAD", &target, &[]).await;
        answer.header("content-disposition").unwrap_or_default().to_owned()
    };
    assert_eq!(disposition("download=1").await, "attachment");
    assert_eq!(disposition("filename=a.mp4").await, "inline; filename*=UTF-8''a.mp4");
    assert_eq!(
        disposition("filename=Gr%C3%BC%C3%9Fe%20%221%22.mp4&download=1").await,
        "attachment; filename*=UTF-8''Gr%C3%BC%C3%9Fe%20%221%22.mp4"
    );
    assert_eq!(
        disposition("filename=..%2Fx%0D%0ASet-Cookie:a=b&download=0").await,
        "inline; filename*=UTF-8''..%2Fx%0D%0ASet-Cookie%3Aa%3Db"
    );
}

#[tokio::test]
async fn headers_come_before_the_first_byte_is_had() {
    let gateway = start().await;
    let mut client = Client::connect(gateway.address).await;
    client.send(&format!("GET {} HTTP/1.1\r\nHost: localhost\r\n\r\n", path(STALLED))).await;
    // The source never gives a byte, so this would wait for ever if headers waited for it.
    let head = client.head().await.unwrap();
    assert_eq!(head.status, 200);
    assert_eq!(head.header("content-length"), Some("100000"));
}

#[tokio::test]
async fn a_source_that_dies_breaks_the_body_off() {
    let gateway = start().await;
    for (kind, most_bytes) in [(DYING, FILM_BYTES / 2), (SHORT, FILM_BYTES - 1)] {
        let answer = ask(gateway.address, "GET", &path(kind), &[]).await;
        assert_eq!(answer.status, 200);
        assert!(!answer.whole, "a broken body must not look whole");
        assert!(u64::try_from(answer.body.len()).unwrap() <= most_bytes);
        assert!(film().starts_with(&answer.body));
    }
    assert_eq!(gateway.metrics.http_streams_failed.get(), 2);
    // A part that does not reach the fault is whole.
    let answer = ask(gateway.address, "GET", &path(FILM), &["Range: bytes=0-99"]).await;
    assert!(answer.whole);
}

#[tokio::test]
async fn a_source_never_sends_past_the_length_it_said() {
    let gateway = start().await;
    let mut client = Client::connect(gateway.address).await;
    let request = format!("GET {} HTTP/1.1\r\nHost: localhost\r\n\r\n", path(LONG));
    client.send(&request).await;
    assert_eq!(client.head().await.unwrap().header("content-length"), Some("100000"));
    let sent = client.until_closed().await;
    assert!(sent.len() <= film().len() && film().starts_with(&sent));
}

#[tokio::test]
async fn a_client_that_goes_away_ends_the_stream() {
    let gateway = start().await;
    let mut client = Client::connect(gateway.address).await;
    client.send(&format!("GET {} HTTP/1.1\r\nHost: localhost\r\n\r\n", path(ENDLESS))).await;
    client.head().await.unwrap();
    assert_eq!(gateway.metrics.http_streams.get(), 1);
    drop(client);
    while gateway.metrics.http_streams.get() > 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn sent_bytes_and_requests_are_counted_and_the_key_is_not() {
    let gateway = start().await;
    ask(gateway.address, "GET", &path(FILM), &["Range: bytes=0-99"]).await;
    ask(gateway.address, "GET", "/no/such/route?k=secret", &[]).await;
    let metrics = ask(gateway.address, "GET", "/metrics", &[]).await;
    let text = String::from_utf8(metrics.body).unwrap();
    for line in [
        "pop_http_content_bytes_total 100",
        "pop_http_requests_total{route=\"/content/{id}\",status=\"206\"} 1",
        "pop_http_requests_total{route=\"none\",status=\"404\"} 1",
        "pop_http_first_byte_seconds_count 1",
        "# EOF",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
    }
    assert!(!text.contains("secret") && !text.contains("?k="));
}
