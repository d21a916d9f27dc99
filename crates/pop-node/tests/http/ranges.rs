//! Status, headers and bytes for every kind of range and condition.

use crate::client::{Client, ask};
use crate::gateway::{EMPTY, FILM, FILM_BYTES, film, id, path, start};

#[tokio::test]
async fn ranges_are_served_to_the_byte() {
    let gateway = start().await;
    let film = film();
    // Range header, status, Content-Range, bytes.
    let whole = (200, None, 0..FILM_BYTES);
    let table = [
        ("", whole.clone()),
        ("bytes=0-", (206, Some("bytes 0-99999/100000"), 0..FILM_BYTES)),
        ("bytes=0-0", (206, Some("bytes 0-0/100000"), 0..1)),
        ("bytes=5-9", (206, Some("bytes 5-9/100000"), 5..10)),
        ("bytes=99999-", (206, Some("bytes 99999-99999/100000"), 99_999..FILM_BYTES)),
        ("bytes=99990-200000", (206, Some("bytes 99990-99999/100000"), 99_990..FILM_BYTES)),
        ("bytes=-500", (206, Some("bytes 99500-99999/100000"), 99_500..FILM_BYTES)),
        ("bytes=-200000", (206, Some("bytes 0-99999/100000"), 0..FILM_BYTES)),
        ("bytes=100000-", (416, Some("bytes */100000"), 0..0)),
        ("bytes=-0", (416, Some("bytes */100000"), 0..0)),
        ("bytes=9-5", whole.clone()),
        ("bytes=x", whole.clone()),
        ("chapters=1-2", whole.clone()),
        ("bytes=0-1,5-9", whole),
    ];
    let mut client = Client::connect(gateway.address).await;
    for (range, (status, content_range, bytes)) in table {
        let header = format!("Range: {range}");
        let headers: &[&str] = if range.is_empty() { &[] } else { &[&header] };
        let answer = client.ask("GET", &path(FILM), headers).await;
        assert_eq!(answer.status, status, "{range}");
        assert_eq!(answer.header("content-range"), content_range, "{range}");
        assert_eq!(answer.header("accept-ranges"), Some("bytes"), "{range}");
        if status == 416 {
            assert_eq!(answer.json()["code"], "range_not_satisfiable");
            continue;
        }
        let position = |position: u64| usize::try_from(position).unwrap();
        assert!(answer.whole);
        assert!(answer.body == film[position(bytes.start)..position(bytes.end)], "{range}");
    }
}

#[tokio::test]
async fn an_empty_content_is_served_empty_whatever_the_range() {
    let gateway = start().await;
    let mut client = Client::connect(gateway.address).await;
    for headers in [&[][..], &["Range: bytes=0-"], &["Range: bytes=-1"], &["Range: bytes=5-6"]] {
        let answer = client.ask("GET", &path(EMPTY), headers).await;
        assert_eq!(answer.status, 200, "{headers:?}");
        assert_eq!(answer.header("content-length"), Some("0"));
        assert_eq!(answer.header("content-range"), None);
    }
}

#[tokio::test]
async fn head_says_what_get_would_and_ignores_ranges() {
    let gateway = start().await;
    let mut client = Client::connect(gateway.address).await;
    let get = client.ask("GET", &path(FILM), &[]).await;
    for headers in [&[][..], &["Range: bytes=5-9"], &["Range: bytes=100000-"]] {
        let head = client.ask("HEAD", &path(FILM), headers).await;
        assert_eq!(head.status, 200, "{headers:?}");
        let without_date = |answer: &crate::client::Answer| {
            let headers = answer.headers.iter().filter(|(name, _)| name != "date");
            headers.cloned().collect::<Vec<_>>()
        };
        assert_eq!(without_date(&head), without_date(&get));
    }
    // The connection is still in step: HEAD sent no body.
    assert_eq!(client.ask("GET", &path(FILM), &["Range: bytes=1-3"]).await.body, [1, 2, 3]);
}

#[tokio::test]
async fn a_known_tag_is_not_sent_again() {
    let gateway = start().await;
    let mut client = Client::connect(gateway.address).await;
    let tag = format!("\"{}\"", id(FILM));
    let answer = client.ask("GET", &path(FILM), &[]).await;
    assert_eq!(answer.header("etag"), Some(tag.as_str()));
    let table = [
        (format!("If-None-Match: {tag}"), 304),
        (format!("If-None-Match: W/{tag}"), 304),
        (format!("If-None-Match: \"other\", {tag}"), 304),
        ("If-None-Match: *".to_owned(), 304),
        ("If-None-Match: \"other\"".to_owned(), 200),
        (format!("If-Match: {tag}"), 200),
        ("If-Match: *".to_owned(), 200),
        ("If-Match: \"other\"".to_owned(), 412),
        // The strong comparison: a weak tag never fits.
        (format!("If-Match: W/{tag}"), 412),
    ];
    for (header, status) in table {
        for method in ["GET", "HEAD"] {
            let answer = client.ask(method, &path(FILM), &[&header]).await;
            assert_eq!(answer.status, status, "{method} {header}");
            if status == 304 {
                assert_eq!(answer.header("etag"), Some(tag.as_str()));
                assert!(answer.header("cache-control").unwrap().contains("immutable"));
            }
        }
    }
    // A known tag goes before a range.
    let both = [format!("If-None-Match: {tag}"), "Range: bytes=100000-".to_owned()];
    let answer = client.ask("GET", &path(FILM), &[&both[0], &both[1]]).await;
    assert_eq!(answer.status, 304);
}

#[tokio::test]
async fn if_range_holds_with_the_same_strong_tag_only() {
    let gateway = start().await;
    let tag = format!("\"{}\"", id(FILM));
    let table = [
        (tag.clone(), 206),
        (format!("W/{tag}"), 200),
        ("\"other\"".to_owned(), 200),
        ("Sat, 21 Nov 2026 00:00:00 GMT".to_owned(), 200),
    ];
    for (value, status) in table {
        let header = format!("If-Range: {value}");
        let headers = ["Range: bytes=10-19", header.as_str()];
        let answer = ask(gateway.address, "GET", &path(FILM), &headers).await;
        assert_eq!(answer.status, status, "{header}");
        let expected_bytes = if status == 206 { 10 } else { film().len() };
        assert_eq!(answer.body.len(), expected_bytes, "{header}");
    }
    // A range that would not be satisfiable is not looked at when the condition fails.
    let headers = ["Range: bytes=100000-", "If-Range: \"other\""];
    assert_eq!(ask(gateway.address, "GET", &path(FILM), &headers).await.status, 200);
}
