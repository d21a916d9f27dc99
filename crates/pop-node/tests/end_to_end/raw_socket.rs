//! Garbage on the wire costs its sender the connection and nobody else anything.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use bytes::{BufMut as _, BytesMut};
use futures::{AsyncReadExt as _, AsyncWriteExt as _};
use pop_exchange::libp2p::ExchangeStream;
use pop_wire::limits::FRAME_BYTES_MAX;

use crate::support::stranger::{Stranger, hello};
use crate::support::{Cluster, HANG, sample};

#[track_caller]
fn assert_unimpressed(cluster: &Cluster, process: u32) {
    assert_eq!(cluster.nodes[1].process(), process);
    assert!(!cluster.nodes[1].log().contains("panicked"), "{}", cluster.nodes[1].log());
    let client = cluster.client();
    let content = sample("after garbage", 100_000);
    let report = client.publish(&client.file("file", &content), &[]).report();
    let placement = report["placement"].as_object().unwrap();
    assert!(placement.values().any(|peer| *peer == *cluster.nodes[1].peer), "{report}");
    client.assert_gets(report["link"].as_str().unwrap(), &content);
}

#[test]
fn garbage_on_the_listening_port_does_no_harm() {
    let cluster = Cluster::shared();
    let process = cluster.nodes[1].process();
    let port = cluster.nodes[1].address.split('/').nth(4).unwrap().parse::<u16>().unwrap();
    let garbage = sample("garbage", 1 << 20);
    let greeting = b"\x13/multistream/1.0.0\n";
    for start in
        [&b""[..], b"GET / HTTP/1.1\r\n\r\n", greeting, b"\x13/multistream/1.0.0\n\x07/noise\n"]
    {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        // The node may hang up at any byte of it.
        let _refused = stream.write_all(start).and_then(|()| stream.write_all(&garbage));
        let mut answer = Vec::new();
        let ended = stream.read_to_end(&mut answer);
        assert!(
            ended
                .as_ref()
                .map_or_else(|e| e.kind() == std::io::ErrorKind::ConnectionReset, |_| true),
            "the node did not hang up: {ended:?}"
        );
    }
    // And those that say nothing at all.
    let silent: Vec<_> = (0..20).map(|_| TcpStream::connect(("127.0.0.1", port))).collect();
    assert_unimpressed(&cluster, process);
    drop(silent);
}

/// What the node says after `bytes`, until it hangs up.
async fn answer_to(stranger: &Stranger, address: &str, bytes: &[u8]) -> Vec<u8> {
    let mut stream: ExchangeStream = stranger.open(address).await;
    let _refused = stream.write_all(bytes).await;
    let _refused = stream.flush().await;
    let mut answer = Vec::new();
    let reading = tokio::time::timeout(HANG, stream.read_to_end(&mut answer)).await;
    let _reset = reading.expect("the node did not hang up");
    answer
}

#[test]
fn garbage_and_oversized_frames_on_an_exchange_stream_end_it() {
    let cluster = Cluster::shared();
    let (process, address) = (cluster.nodes[1].process(), cluster.nodes[1].address.clone());
    let mut greeting = BytesMut::new();
    hello().encode_frame(&mut greeting).unwrap();
    let mut oversized = greeting.clone();
    // A varint of one byte more than a frame may have.
    let mut length = FRAME_BYTES_MAX + 1;
    while length >= 0x80 {
        oversized.put_u8(u8::try_from(length & 0x7f).unwrap() | 0x80);
        length >>= 7;
    }
    oversized.put_u8(u8::try_from(length).unwrap());
    let mut garbage = greeting.clone();
    garbage.put_slice(&[4, 0xff, 0xff, 0xff, 0xff]);
    let mut endless = greeting.clone();
    endless.put_slice(&[0xff; 16]);
    let mut twice = greeting.clone();
    twice.put_slice(&greeting);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let stranger = Stranger::new();
        let random = sample("frames", 10_000);
        for bytes in [&oversized[..], &garbage, &endless, &twice, &[1, 0], &random] {
            answer_to(&stranger, &address, bytes).await;
        }
    });
    assert_unimpressed(&cluster, process);
}
