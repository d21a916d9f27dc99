//! What a browser must not do.

use bytes::Bytes;
use futures::{AsyncReadExt as _, AsyncWriteExt as _, SinkExt as _, StreamExt as _};
use pop_signal::handshake::ChannelBinding;
use pop_wire::Keypair;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message as Frame;

use crate::browser::{Link, greet, pipe, proof, socket, socket_address};
use crate::network::{HANG, Network};

fn keypair() -> Keypair {
    Keypair::from_secret_bytes(&[79; 32]).unwrap()
}

#[tokio::test]
async fn other_paths_and_other_protocols_are_refused() {
    let network = Network::start(1).await;
    let address = &network.nodes[0].web_addresses()[0];
    for path in ["/", "/pop/exchange/2", "/pop/exchange/1/", "/pop/ledger/1"] {
        assert_eq!(socket(address, path).await.unwrap_err(), 404, "{path}");
    }
    for start in [&b"GET / HTTP/1.1\r\n\r\n"[..], b"\x13/multistream/1.0.0\n", &[0; 70_000]] {
        let mut connection = TcpStream::connect(socket_address(address)).await.unwrap();
        let _cut_off = connection.write_all(start).await;
        let mut answer = Vec::new();
        let ending = connection.read_to_end(&mut answer);
        let _reset = tokio::time::timeout(HANG, ending).await.expect("it did not hang up");
    }
    Link::dial(address, &keypair()).await;
}

#[tokio::test]
async fn who_proves_nothing_is_dropped() {
    let network = Network::start(1).await;
    let address = &network.nodes[0].web_addresses()[0];
    let garbage = [&b"\x05hello"[..], &[0xff; 400], b"\x00", b"\x81\x00", &[0; 300]];
    for first in garbage {
        let mut stranger = socket(address, "/pop/exchange/1").await.unwrap();
        stranger.send(Frame::Binary(Bytes::copy_from_slice(first))).await.unwrap();
        let end = tokio::time::timeout(HANG, stranger.next()).await.expect("it did not hang up");
        assert!(!matches!(end, Some(Ok(Frame::Binary(_)))), "{end:?}");
    }
    let mut link = pipe(socket(address, "/pop/exchange/1").await.unwrap());
    let mut proof = proof(&mut link, &keypair(), address, ChannelBinding::none()).await;
    *proof.last_mut().unwrap() ^= 1;
    link.write_all(&proof).await.unwrap();
    link.flush().await.unwrap();
    let mut rest = Vec::new();
    let ending = tokio::time::timeout(HANG, link.read_to_end(&mut rest)).await;
    ending.expect("it did not hang up").unwrap();
    assert!(rest.is_empty(), "a hello for nobody");
}

#[tokio::test]
async fn texts_and_messages_over_the_limit_end_a_link() {
    let network = Network::start(1).await;
    let address = &network.nodes[0].web_addresses()[0];
    let text = Frame::Text("hello".into());
    let large = Frame::Binary(vec![0; 256 * 1024 + 1].into());
    for message in [text, large] {
        let mut stranger = socket(address, "/pop/exchange/1").await.unwrap();
        let _cut_off = stranger.send(message).await;
        let end = tokio::time::timeout(HANG, stranger.next()).await.expect("it did not hang up");
        assert!(!matches!(end, Some(Ok(Frame::Binary(_) | Frame::Text(_)))), "{end:?}");
    }
}

#[tokio::test]
async fn one_address_has_so_many_links_and_gets_them_back() {
    let network = Network::start(1).await;
    let address = &network.nodes[0].web_addresses()[0];
    let mut links = Vec::new();
    // 64 from one prefix, and of one peer the exchange allows 32.
    for number in 0..64_u8 {
        let key = Keypair::from_secret_bytes(&[number + 1; 32]).unwrap();
        let mut pipe = pipe(socket(address, "/pop/exchange/1").await.unwrap());
        greet(&mut pipe, &key, address, ChannelBinding::none()).await;
        links.push(pipe);
    }
    assert_eq!(socket(address, "/pop/exchange/1").await.unwrap_err(), 0);
    drop(links);
    crate::network::wait_for(|| async { socket(address, "/pop/exchange/1").await.is_ok() }).await;
}
