//! What a page learns from the node that serves it.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::network::{Network, wait_for};

/// The body of an answer of a node's gateway.
pub(crate) async fn get(gateway: std::net::SocketAddr, path: &str) -> String {
    let mut connection = TcpStream::connect(gateway).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {gateway}\r\nConnection: close\r\n\r\n");
    connection.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    answer.split_once("\r\n\r\n").unwrap().1.to_owned()
}

#[tokio::test]
async fn a_page_learns_where_browsers_are_welcome() {
    let network = Network::start_with(3, |index, settings| {
        settings.serve_ledger = index == 0;
        if index == 1 {
            settings.web_listen = None;
        }
    })
    .await;
    let client = network.client().await;
    wait_for(|| async { client.find_masternodes().await == 3 }).await;
    let body = get(client.http_address().unwrap(), "/api/v1/web").await;
    let told: serde_json::Value = serde_json::from_str(&body).unwrap();
    let mut entries: Vec<&str> =
        told["entries"].as_array().unwrap().iter().map(|it| it.as_str().unwrap()).collect();
    entries.sort_unstable();
    let mut expected: Vec<String> = [0, 2]
        .iter()
        .flat_map(|index| network.nodes[*index].web_addresses())
        .map(|address| address.to_string())
        .collect();
    expected.sort_unstable();
    assert_eq!(entries, expected);
    assert!(entries[0].contains("/ws/p2p/"), "{entries:?}");
    assert_eq!(told["ledger"].as_array().unwrap().len(), 0, "no ledger is named to this client");
    assert_eq!(told["price_max"], "0");
}
