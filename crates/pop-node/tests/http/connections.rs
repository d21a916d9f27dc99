//! Connections: how long, how many, and how they end.

use std::time::Duration;

use pop_node::http::ServeLimits;

use crate::client::{Client, ask};
use crate::gateway::{ENDLESS, FILM, FILM_BYTES, path, start, start_with};

fn limits(change: impl FnOnce(&mut ServeLimits)) -> ServeLimits {
    let mut limits = ServeLimits::default();
    change(&mut limits);
    limits
}

#[tokio::test]
async fn a_client_that_never_finishes_its_headers_is_cut_off() {
    let short = limits(|limits| limits.header_timeout = Duration::from_millis(500));
    let gateway = start_with(short).await;
    // None of these would ever end without a timeout.
    let mut slow = Vec::new();
    for sent in ["", "G", "GET / HTTP/1.1\r\n", "GET / HTTP/1.1\r\nHost: localhost\r\nX: "] {
        let mut client = Client::connect(gateway.address).await;
        client.send(sent).await;
        slow.push(client);
    }
    for client in &mut slow {
        let said = String::from_utf8(client.until_closed().await).unwrap();
        assert!(said.is_empty() || said.starts_with("HTTP/1.1 408"), "{said}");
    }
    // An honest one is served all the while.
    assert_eq!(ask(gateway.address, "GET", "/healthz", &[]).await.status, 200);
}

#[tokio::test]
async fn bytes_that_trickle_do_not_buy_time() {
    let short = limits(|limits| limits.header_timeout = Duration::from_millis(500));
    let gateway = start_with(short).await;
    let stream = tokio::net::TcpStream::connect(gateway.address).await.unwrap();
    let (mut reading, mut writing) = stream.into_split();
    let trickle = tokio::spawn(async move {
        use tokio::io::AsyncWriteExt;
        writing.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nX: ").await?;
        loop {
            tokio::time::sleep(Duration::from_millis(5)).await;
            writing.write_all(b"x").await?;
        }
        #[expect(unreachable_code, reason = "gives the block its type")]
        Ok::<(), std::io::Error>(())
    });
    let mut said = Vec::new();
    let _ = tokio::io::AsyncReadExt::read_to_end(&mut reading, &mut said).await;
    drop(reading);
    assert!(trickle.await.unwrap().is_err(), "writing ends when the gateway has closed");
}

#[tokio::test]
async fn oversized_headers_and_garbage_are_refused() {
    let gateway = start().await;
    let mut client = Client::connect(gateway.address).await;
    let long = format!("GET / HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n", "x".repeat(200_000));
    // The gateway may close while we still write.
    client.try_send(&long).await;
    let said = String::from_utf8_lossy(&client.until_closed().await).into_owned();
    assert!(said.is_empty() || said.starts_with("HTTP/1.1 431"), "{said}");
    for garbage in ["\0\0\0\0\r\n\r\n", "\x16\x03\x01\x02\x00\x01", "GET\r\n\r\n"] {
        let mut client = Client::connect(gateway.address).await;
        client.send(garbage).await;
        let said = String::from_utf8_lossy(&client.until_closed().await).into_owned();
        assert!(said.is_empty() || said.starts_with("HTTP/1.1 400"), "{said}");
    }
    assert_eq!(ask(gateway.address, "GET", "/healthz", &[]).await.status, 200);
}

#[tokio::test]
async fn connections_over_the_limit_wait_and_are_served_in_turn() {
    let gateway = start_with(limits(|limits| limits.connections_max = 2)).await;
    let mut first = Client::connect(gateway.address).await;
    let mut second = Client::connect(gateway.address).await;
    assert_eq!(first.ask("GET", "/healthz", &[]).await.status, 200);
    assert_eq!(second.ask("GET", "/healthz", &[]).await.status, 200);
    let address = gateway.address;
    let third = tokio::spawn(async move { ask(address, "GET", "/healthz", &[]).await.status });
    assert_eq!(first.ask("GET", "/healthz", &[]).await.status, 200);
    assert_eq!(gateway.metrics.http_connections.get(), 2);
    assert!(!third.is_finished());
    drop(first);
    assert_eq!(third.await.unwrap(), 200);
}

#[tokio::test]
async fn a_connection_is_used_again() {
    let gateway = start().await;
    let mut client = Client::connect(gateway.address).await;
    for _ in 0..20 {
        let answer = client.ask("GET", &path(FILM), &["Range: bytes=-10"]).await;
        assert_eq!(answer.body.len(), 10);
    }
}

#[tokio::test]
async fn shutting_down_finishes_what_is_being_sent_and_closes_the_rest() {
    let gateway = start().await;
    let mut idle = Client::connect(gateway.address).await;
    assert_eq!(idle.ask("GET", "/healthz", &[]).await.status, 200);
    let mut busy = Client::connect(gateway.address).await;
    busy.send(&format!("GET {} HTTP/1.1\r\nHost: localhost\r\n\r\n", path(FILM))).await;
    busy.head().await.unwrap();
    gateway.shutdown.cancel();
    let body = busy.until_closed().await;
    assert_eq!(u64::try_from(body.len()).unwrap(), FILM_BYTES);
    assert!(idle.until_closed().await.is_empty());
    gateway.serving.await.unwrap();
    assert!(tokio::net::TcpStream::connect(gateway.address).await.is_err());
}

#[tokio::test]
async fn shutting_down_cuts_off_what_does_not_end() {
    let short = limits(|limits| limits.drain_timeout = Duration::from_millis(20));
    let gateway = start_with(short).await;
    let mut endless = Client::connect(gateway.address).await;
    endless.send(&format!("GET {} HTTP/1.1\r\nHost: localhost\r\n\r\n", path(ENDLESS))).await;
    endless.head().await.unwrap();
    gateway.shutdown.cancel();
    gateway.serving.await.unwrap();
    assert_eq!(gateway.metrics.http_connections.get(), 0);
}
