//! The TLS upgrade and the muxer, each against libp2p's own on the other side.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use futures::future::{join, join_all, poll_fn, select, try_join};
use futures::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use futures_rustls::{TlsAcceptor, TlsConnector};
use libp2p::core::muxing::{StreamMuxer, StreamMuxerExt as _};
use libp2p::core::upgrade::{InboundConnectionUpgrade as _, OutboundConnectionUpgrade as _};
use libp2p::{identity, yamux};
use pop_node::{muxer, tls};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{CipherSuite, ClientConfig, DigitallySignedStruct, ServerConfig, SignatureScheme};
use tokio::sync::Barrier;
use tokio_util::compat::{Compat, TokioAsyncReadCompatExt as _};

const TLS: &str = "/tls/1.0.0";
const YAMUX: &str = "/yamux/1.0.0";

/// More than any buffer on the way.
const BYTES: usize = 3_000_000;

type Pipe = Compat<tokio::io::DuplexStream>;

fn pipe() -> (Pipe, Pipe) {
    let (left, right) = tokio::io::duplex(100_000);
    (left.compat(), right.compat())
}

fn keys() -> [identity::Keypair; 2] {
    [identity::Keypair::generate_secp256k1(), identity::Keypair::generate_secp256k1()]
}

fn pattern(seed: u8) -> Vec<u8> {
    (0..BYTES).map(|at| seed ^ u8::try_from(at % 251).unwrap()).collect()
}

/// Write one pattern, flush, and read the other.
async fn talk(stream: impl AsyncRead + AsyncWrite, says: u8, hears: u8) {
    let (mut reader, mut writer) = stream.split();
    let mut heard = vec![0; BYTES];
    let say = async {
        writer.write_all(&pattern(says)).await?;
        writer.flush().await
    };
    try_join(say, async { reader.read_exact(&mut heard).await }).await.unwrap();
    assert_eq!(heard, pattern(hears));
}

/// Shake hands; both sides must succeed.
async fn shake<A, B, E, F>(
    here: impl Future<Output = Result<A, E>>,
    there: impl Future<Output = Result<B, F>>,
) -> (A, B)
where
    E: std::fmt::Debug,
    F: std::fmt::Debug,
{
    let (here, there) = join(here, there).await;
    (here.unwrap(), there.unwrap())
}

#[tokio::test]
async fn libp2ps_own_tls_may_answer() {
    let [ours, theirs] = keys();
    let (here, there) = pipe();
    let dialler = tls::Config::new(&ours).unwrap().upgrade_outbound(here, TLS);
    let listener = libp2p::tls::Config::new(&theirs).unwrap().upgrade_inbound(there, TLS);
    let ((peer, stream), (other_peer, other)) = shake(dialler, listener).await;
    assert_eq!(peer, theirs.public().to_peer_id());
    assert_eq!(other_peer, ours.public().to_peer_id());
    join(talk(stream, 1, 2), talk(other, 2, 1)).await;
}

#[tokio::test]
async fn libp2ps_own_tls_may_dial() {
    let [ours, theirs] = keys();
    let (here, there) = pipe();
    let listener = tls::Config::new(&ours).unwrap().upgrade_inbound(here, TLS);
    let dialler = libp2p::tls::Config::new(&theirs).unwrap().upgrade_outbound(there, TLS);
    let ((peer, stream), (other_peer, other)) = shake(listener, dialler).await;
    assert_eq!(peer, theirs.public().to_peer_id());
    assert_eq!(other_peer, ours.public().to_peer_id());
    join(talk(stream, 3, 4), talk(other, 4, 3)).await;
}

#[tokio::test]
async fn the_cipher_is_the_one_that_the_processor_computes_itself() {
    let [ours, theirs] = keys();
    let (here, there) = pipe();
    let dialler = tls::Config::new(&ours).unwrap().upgrade_outbound(here, TLS);
    let listener = tls::Config::new(&theirs).unwrap().upgrade_inbound(there, TLS);
    let ((_, stream), _) = shake(dialler, listener).await;
    let suite = stream.get_ref().get_ref().1.negotiated_cipher_suite().unwrap().suite();
    #[cfg(target_arch = "x86_64")]
    let aes = std::arch::is_x86_feature_detected!("aes");
    #[cfg(target_arch = "aarch64")]
    let aes = std::arch::is_aarch64_feature_detected!("aes");
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let aes = false;
    let expected = match aes {
        true => CipherSuite::TLS13_AES_128_GCM_SHA256,
        false => CipherSuite::TLS13_CHACHA20_POLY1305_SHA256,
    };
    assert_eq!(suite, expected);
}

#[tokio::test]
async fn a_dialler_without_a_certificate_is_refused() {
    let [ours, _] = keys();
    let (here, there) = pipe();
    let listener = tls::Config::new(&ours).unwrap().upgrade_inbound(here, TLS);
    let anonymous = async {
        let mut client = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_root_certificates(rustls::RootCertStore::empty())
            .with_no_client_auth();
        client.alpn_protocols = vec![b"libp2p".to_vec()];
        client.dangerous().set_certificate_verifier(Arc::new(AcceptAnything));
        let name = ServerName::try_from("localhost").unwrap();
        let mut stream = TlsConnector::from(Arc::new(client)).connect(name, there).await?;
        stream.read(&mut [0]).await
    };
    let (refused, anonymous) = join(listener, anonymous).await;
    assert!(matches!(refused, Err(tls::TlsError::Handshake(_))));
    assert!(anonymous.is_err());
}

#[tokio::test]
async fn a_certificate_that_no_libp2p_key_vouches_for_is_refused() {
    let [ours, theirs] = keys();
    let (here, there) = pipe();
    let dialler = tls::Config::new(&ours).unwrap().upgrade_outbound(here, TLS);
    let (certificate, key) = libp2p::tls::certificate::generate(&theirs).unwrap();
    let mut certificate = certificate.to_vec();
    // The extension's number, 1.3.6.1.4.1.53594.1.1, in DER: made into another one.
    let number = [0x2b, 6, 1, 4, 1, 0x83, 0xa2, 0x5a, 1, 1];
    let at = certificate.windows(number.len()).position(|it| it == number).unwrap();
    certificate[at + number.len() - 1] = 2;
    let key = provider().key_provider.load_private_key(key).unwrap();
    let shown = CertifiedKey::new(vec![certificate.into()], key);
    let server = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(shown)));
    let (refused, _) = join(dialler, TlsAcceptor::from(Arc::new(server)).accept(there)).await;
    assert!(matches!(refused, Err(tls::TlsError::Handshake(_))));
}

#[tokio::test]
async fn libp2ps_own_yamux_may_dial_and_answer() {
    let (ours, theirs) = (muxer::Config::default(), yamux::Config::default());
    let (here, there) = pipe();
    let dialler = ours.clone().upgrade_outbound(here, YAMUX).await.unwrap();
    let listener = theirs.clone().upgrade_inbound(there, YAMUX).await.unwrap();
    talk_over(dialler, listener).await;
    let (here, there) = pipe();
    let dialler = theirs.upgrade_outbound(here, YAMUX).await.unwrap();
    let listener = ours.upgrade_inbound(there, YAMUX).await.unwrap();
    talk_over(dialler, listener).await;
}

#[tokio::test]
async fn a_peer_that_opens_more_streams_than_allowed_loses_its_connection() {
    let (here, there) = pipe();
    let mut ours = muxer::Config::default().upgrade_inbound(here, YAMUX).await.unwrap();
    let mut greedy = yamux::Config::default().upgrade_outbound(there, YAMUX).await.unwrap();
    let opening = async {
        let mut held = Vec::new();
        for _ in 0..=muxer::STREAMS_MAX {
            let mut stream = poll_fn(|cx| greedy.poll_outbound_unpin(cx)).await.unwrap();
            stream.write_all(b"!").await.unwrap();
            stream.flush().await.unwrap();
            held.push(stream);
        }
        // Until the other side has had enough.
        poll_fn(|cx| greedy.poll_unpin(cx)).await.unwrap_err();
        std::future::pending().await
    };
    let accepting = async {
        let mut taken = Vec::new();
        while let Ok(stream) = poll_fn(|cx| ours.poll_inbound_unpin(cx)).await {
            taken.push(stream);
        }
        taken.len()
    };
    tokio::select! {
        taken = accepting => assert_eq!(taken, muxer::STREAMS_MAX),
        () = opening => {}
    }
}

const STREAMS: u8 = 3;

/// Several streams at once, each with more than its window both ways.
async fn talk_over<D, L>(mut dialler: D, mut listener: L)
where
    D: StreamMuxer + Unpin,
    D::Substream: Unpin,
    L: StreamMuxer + Unpin,
    L::Substream: Unpin,
{
    // Neither goes before both have heard everything.
    let done = Barrier::new(2);
    let dial = async {
        let mut talks = Vec::new();
        for number in 0..STREAMS {
            let stream = poll_fn(|cx| dialler.poll_outbound_unpin(cx)).await.unwrap();
            talks.push(talk(stream, 2 * number, 2 * number + 1));
        }
        drive(dialler, async { (join_all(talks).await, done.wait().await) }).await;
    };
    let answer = async {
        let mut talks = Vec::new();
        for number in 0..STREAMS {
            let stream = poll_fn(|cx| listener.poll_inbound_unpin(cx)).await.unwrap();
            talks.push(talk(stream, 2 * number + 1, 2 * number));
        }
        drive(listener, async { (join_all(talks).await, done.wait().await) }).await;
    };
    join(dial, answer).await;
}

/// Keep `muxer` going until `work` is done.
async fn drive<M: StreamMuxer + Unpin>(mut muxer: M, work: impl Future) {
    let going = poll_fn(|cx| -> Poll<()> {
        assert!(!matches!(muxer.poll_unpin(cx), Poll::Ready(Err(_))));
        Poll::Pending
    });
    select(pin!(work), pin!(going)).await;
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// For the test of a dialler that has nothing to show.
#[derive(Debug)]
struct AcceptAnything;

impl ServerCertVerifier for AcceptAnything {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ECDSA_NISTP256_SHA256]
    }
}
