//! libp2p's TLS handshake with a cipher that the processor computes itself.
//!
//! The protocol on the wire is libp2p's own `/tls/1.0.0`: any libp2p node that speaks it can be
//! the other side. `libp2p::tls` asks for ChaCha20 first, whatever the machine; this upgrade asks
//! for AES-GCM first where the processor has instructions for it, which costs a quarter of the
//! time (`benches/README.md`). Certificates are made and checked by `libp2p::tls`.
//!
//! Source: libp2p specification, `tls/tls.md`; RFC 8446 §9.1 and §B.4 for the cipher suites.

use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;

use futures::future::{BoxFuture, FutureExt as _};
use futures::io::{AsyncRead, AsyncWrite, BufReader, BufWriter};
use futures_rustls::{TlsAcceptor, TlsConnector, TlsStream};
use libp2p::core::upgrade::{InboundConnectionUpgrade, OutboundConnectionUpgrade, UpgradeInfo};
use libp2p::{PeerId, identity, tls::certificate};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs;
use rustls::crypto::ring::cipher_suite;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, OtherError,
    ServerConfig, SignatureScheme, SupportedCipherSuite,
};

/// The protocol's name in the negotiation of a connection.
const PROTOCOL: &str = "/tls/1.0.0";

/// What both sides say they speak inside TLS.
const ALPN: &[u8] = b"libp2p";

/// Bytes read from the socket at once: four of TLS's largest records. Without it rustls reads
/// 4 KiB at a time.
const READ_BYTES: usize = 64 * 1024;

/// Bytes gathered before they are sealed and written. Yamux hands over a header of 12 bytes and a
/// body at a time: without it each becomes a record and a system call of its own.
const WRITE_BYTES: usize = 64 * 1024;

/// A secured connection, buffered both ways; what is written leaves with a flush at the latest.
pub type Secured<C> = BufWriter<TlsStream<BufReader<C>>>;

/// Best first, on a processor with instructions for AES.
const WITH_AES: [SupportedCipherSuite; 3] = [
    cipher_suite::TLS13_AES_128_GCM_SHA256,
    cipher_suite::TLS13_AES_256_GCM_SHA384,
    cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
];

/// Best first, on any other.
const WITHOUT_AES: [SupportedCipherSuite; 3] = [
    cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
    cipher_suite::TLS13_AES_128_GCM_SHA256,
    cipher_suite::TLS13_AES_256_GCM_SHA384,
];

/// Why a connection could not be secured.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// No certificate could be made for our own key.
    #[error("make a certificate for the node's key: {0}")]
    Certificate(#[from] certificate::GenError),
    /// The TLS library refused our own configuration.
    #[error("configure TLS: {0}")]
    Configuration(#[from] rustls::Error),
    /// The handshake failed: the peer's fault, or the connection's.
    #[error("TLS handshake: {0}")]
    Handshake(#[from] io::Error),
    /// The peer showed a certificate that names no peer.
    #[error("the peer's certificate: {0}")]
    PeerCertificate(#[from] certificate::ParseError),
}

/// The security upgrade of a TCP connection; give it to
/// [`with_tcp`](libp2p::SwarmBuilder) in place of `libp2p::tls::Config::new`.
#[derive(Debug, Clone)]
pub struct Config {
    server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
}

impl Config {
    /// A configuration with a new certificate for `identity`.
    ///
    /// # Errors
    /// [`TlsError::Certificate`] and [`TlsError::Configuration`], if the library fails.
    pub fn new(identity: &identity::Keypair) -> Result<Self, TlsError> {
        let (certificate, key) = certificate::generate(identity)?;
        let provider = Arc::new(provider());
        let own = Arc::new(certified(certificate, &key, &provider)?);
        let mut server = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_client_cert_verifier(Arc::new(PeerVerifier))
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(Arc::clone(&own))));
        server.alpn_protocols = vec![ALPN.to_vec()];
        let mut client = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(PeerVerifier))
            .with_client_cert_resolver(Arc::new(SingleCertAndKey::from(own)));
        client.alpn_protocols = vec![ALPN.to_vec()];
        Ok(Self { server: Arc::new(server), client: Arc::new(client) })
    }
}

/// Key exchange by AWS-LC, which has the one that a quantum computer doesn't break; records by ring,
/// whose AES-GCM takes half the time where a processor has wide AES instructions but no AVX-512.
fn provider() -> CryptoProvider {
    let cipher_suites = if has_aes() { WITH_AES } else { WITHOUT_AES };
    CryptoProvider { cipher_suites: cipher_suites.to_vec(), ..aws_lc_rs::default_provider() }
}

fn has_aes() -> bool {
    #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
    let has = std::arch::is_x86_feature_detected!("aes");
    #[cfg(target_arch = "aarch64")]
    let has = std::arch::is_aarch64_feature_detected!("aes");
    #[cfg(not(any(target_arch = "x86", target_arch = "x86_64", target_arch = "aarch64")))]
    let has = false;
    has
}

fn certified(
    certificate: CertificateDer<'static>,
    key: &PrivateKeyDer<'_>,
    provider: &CryptoProvider,
) -> Result<CertifiedKey, rustls::Error> {
    let key = provider.key_provider.load_private_key(key.clone_key())?;
    Ok(CertifiedKey::new(vec![certificate], key))
}

impl UpgradeInfo for Config {
    type Info = &'static str;
    type InfoIter = std::iter::Once<Self::Info>;

    fn protocol_info(&self) -> Self::InfoIter {
        std::iter::once(PROTOCOL)
    }
}

impl<C> InboundConnectionUpgrade<C> for Config
where
    C: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    type Output = (PeerId, Secured<C>);
    type Error = TlsError;
    type Future = BoxFuture<'static, Result<Self::Output, Self::Error>>;

    fn upgrade_inbound(self, socket: C, _: Self::Info) -> Self::Future {
        async move {
            let socket = BufReader::with_capacity(READ_BYTES, socket);
            let stream = TlsAcceptor::from(self.server).accept(socket).await?;
            identified(stream.into())
        }
        .boxed()
    }
}

impl<C> OutboundConnectionUpgrade<C> for Config
where
    C: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    type Output = (PeerId, Secured<C>);
    type Error = TlsError;
    type Future = BoxFuture<'static, Result<Self::Output, Self::Error>>;

    fn upgrade_outbound(self, socket: C, _: Self::Info) -> Self::Future {
        async move {
            let socket = BufReader::with_capacity(READ_BYTES, socket);
            // An address in place of a name keeps the name out of the handshake, as the
            // specification demands.
            let nameless = ServerName::from(std::net::IpAddr::V4(Ipv4Addr::UNSPECIFIED));
            let stream = TlsConnector::from(self.client).connect(nameless, socket).await?;
            identified(stream.into())
        }
        .boxed()
    }
}

/// The stream with the peer that its certificate names; the swarm compares it to the one dialled.
fn identified<C: AsyncRead + AsyncWrite + Unpin>(
    stream: TlsStream<BufReader<C>>,
) -> Result<(PeerId, Secured<C>), TlsError> {
    let peer = match stream.get_ref().1.peer_certificates() {
        Some([certificate]) => certificate::parse(certificate)?.peer_id(),
        _ => return Err(TlsError::Handshake(io::ErrorKind::InvalidData.into())),
    };
    Ok((peer, BufWriter::with_capacity(WRITE_BYTES, stream)))
}

/// Accepts exactly one certificate, signed by itself, in which a libp2p key vouches for the key of
/// the certificate. Whose key it is, is not decided here.
#[derive(Debug)]
struct PeerVerifier;

impl PeerVerifier {
    fn check(
        certificate: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
    ) -> Result<(), rustls::Error> {
        if !chain.is_empty() {
            return Err(rustls::Error::General("expected exactly one certificate".into()));
        }
        certificate::parse(certificate).map(drop).map_err(invalid)
    }

    fn check_signature(
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let certificate = certificate::parse(certificate).map_err(invalid)?;
        certificate
            .verify_signature(signed.scheme, message, signed.signature())
            .map_err(invalid)?;
        Ok(HandshakeSignatureValid::assertion())
    }

    /// Elliptic curves only: every libp2p node can, and RSA is slow to check.
    fn schemes() -> Vec<SignatureScheme> {
        vec![
            SignatureScheme::ECDSA_NISTP256_SHA256,
            SignatureScheme::ECDSA_NISTP384_SHA384,
            SignatureScheme::ED25519,
        ]
    }
}

fn invalid(error: impl std::error::Error + Send + Sync + 'static) -> rustls::Error {
    CertificateError::Other(OtherError(Arc::new(error))).into()
}

impl ServerCertVerifier for PeerVerifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Self::check(certificate, chain).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("only TLS 1.3 is spoken here".into()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Self::check_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        Self::schemes()
    }
}

impl ClientCertVerifier for PeerVerifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Self::check(certificate, chain).map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        ServerCertVerifier::verify_tls12_signature(self, message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Self::check_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        Self::schemes()
    }
}
