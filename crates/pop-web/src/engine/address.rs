//! Where a browser can dial: the few forms of multiaddr that name a WebSocket or a masternode's
//! own WebRTC endpoint.

use core::fmt;
use core::net::{Ipv4Addr, Ipv6Addr};
use core::str::FromStr;

use data_encoding::BASE64URL_NOPAD;
use pop_wire::PeerId;

use super::limits::{ADDRESS_CHARS_MAX, HOST_NAME_BYTES_MAX};

/// Code of a part of a binary multiaddr.
mod code {
    pub(super) const IP4: u64 = 4;
    pub(super) const TCP: u64 = 6;
    pub(super) const IP6: u64 = 41;
    pub(super) const DNS: u64 = 53;
    pub(super) const DNS4: u64 = 54;
    pub(super) const DNS6: u64 = 55;
    pub(super) const UDP: u64 = 273;
    pub(super) const WEBRTC_DIRECT: u64 = 280;
    pub(super) const P2P: u64 = 421;
    pub(super) const TLS: u64 = 448;
    pub(super) const SNI: u64 = 449;
    pub(super) const CERTHASH: u64 = 466;
    pub(super) const WS: u64 = 477;
    pub(super) const WSS: u64 = 478;
}

/// First bytes of a multihash of SHA-256.
const SHA2_256: [u8; 2] = [0x12, 0x20];

/// Where a node is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Host {
    /// An IPv4 address.
    Ip4(Ipv4Addr),
    /// An IPv6 address.
    Ip6(Ipv6Addr),
    /// A name that the browser looks up: letters, digits, hyphens and dots.
    Name(String),
}

/// How it is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Transport {
    /// `ws:`; a page that came over https may not.
    WebSocket,
    /// `wss:`, with a certificate that the browser trusts.
    SecureWebSocket,
    /// WebRTC without signalling, to an endpoint whose certificate has this SHA-256.
    WebRtcDirect {
        /// SHA-256 of the certificate.
        certificate: [u8; 32],
    },
}

/// An address that a browser can dial. Reads and writes multiaddrs, textual with [`FromStr`] and
/// `Display`:
///
/// ```
/// use pop_web::engine::{Address, Protocol};
///
/// let address: Address = "/dns/node.example/tcp/443/tls/ws".parse()?;
/// assert_eq!(address.url(Protocol::Fetch).unwrap(), "wss://node.example:443/pop/exchange/1");
/// # Ok::<(), pop_web::engine::AddressError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Address {
    /// Where.
    pub host: Host,
    /// TCP port of a WebSocket, UDP port of a WebRTC endpoint.
    pub port: u16,
    /// How.
    pub transport: Transport,
    /// Who is expected there; `None` takes anybody who proves who it is.
    pub peer: Option<PeerId>,
}

/// What is spoken on a link, and so which path of a WebSocket or which channel of a peer
/// connection it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    /// Exchange: shards. Path `/pop/exchange/1`, channel 0.
    Fetch,
    /// Exchange: questions. Path `/pop/exchange/1`, channel 1.
    Ask,
    /// Signalling. Path `/pop/signal/1`, channel 2.
    Signal,
    /// The ledger. Path `/pop/ledger/1`, channel 3.
    Ledger,
}

impl Protocol {
    /// Path of a WebSocket.
    pub fn path(self) -> &'static str {
        match self {
            Self::Fetch | Self::Ask => "/pop/exchange/1",
            Self::Signal => "/pop/signal/1",
            Self::Ledger => "/pop/ledger/1",
        }
    }

    /// Number of the pre-negotiated data channel.
    pub fn channel(self) -> u16 {
        match self {
            Self::Fetch => 0,
            Self::Ask => 1,
            Self::Signal => 2,
            Self::Ledger => 3,
        }
    }
}

/// Why a text or some bytes are no address that a browser can dial.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// It ends too early, or has a field that can't be.
    #[error("address: malformed")]
    Malformed,
    /// It is well-formed as far as it was read, but names nothing that a browser can dial.
    #[error("address: expected a WebSocket or a WebRTC endpoint")]
    NotDialable,
}

/// One part of a multiaddr.
enum Part {
    Host(Host),
    Tcp(u16),
    Udp(u16),
    Ws,
    Wss,
    Tls,
    WebRtcDirect,
    Certificate([u8; 32]),
    /// A certificate hash of another kind than SHA-256; there may be several.
    OtherCertificate,
    Peer(PeerId),
    /// The name in the certificate: a browser takes the host's.
    ServerName,
}

impl Address {
    /// Read the binary form, as records carry it.
    ///
    /// # Errors
    /// [`AddressError`]. An address for other kinds of nodes is no fault of anybody.
    pub fn from_binary(mut bytes: &[u8]) -> Result<Self, AddressError> {
        let mut parts = Vec::new();
        while !bytes.is_empty() {
            parts.push(binary_part(&mut bytes)?);
        }
        Self::of_parts(parts)
    }

    /// What to hand to a WebSocket; `None` for WebRTC.
    pub fn url(&self, protocol: Protocol) -> Option<String> {
        let scheme = match self.transport {
            Transport::WebSocket => "ws",
            Transport::SecureWebSocket => "wss",
            Transport::WebRtcDirect { .. } => return None,
        };
        let path = protocol.path();
        Some(match &self.host {
            Host::Ip4(ip) => format!("{scheme}://{ip}:{}{path}", self.port),
            Host::Ip6(ip) => format!("{scheme}://[{ip}]:{}{path}", self.port),
            Host::Name(name) => format!("{scheme}://{name}:{}{path}", self.port),
        })
    }

    /// Whether a page that came over https may dial it.
    pub fn is_secure(&self) -> bool {
        self.transport != Transport::WebSocket
    }

    fn of_parts(parts: Vec<Part>) -> Result<Self, AddressError> {
        let mut parts = parts.into_iter().peekable();
        let Some(Part::Host(host)) = parts.next() else { return Err(AddressError::NotDialable) };
        let (port, transport) = match parts.next() {
            Some(Part::Tcp(port)) => (port, web_socket(&mut parts)?),
            Some(Part::Udp(port)) => (port, web_rtc(&mut parts, &host)?),
            _ => return Err(AddressError::NotDialable),
        };
        let peer = match parts.next() {
            None => None,
            Some(Part::Peer(peer)) => Some(peer),
            Some(_) => return Err(AddressError::NotDialable),
        };
        match parts.next() {
            None if port > 0 => Ok(Self { host, port, transport, peer }),
            _ => Err(AddressError::NotDialable),
        }
    }
}

type Parts = core::iter::Peekable<std::vec::IntoIter<Part>>;

fn web_socket(parts: &mut Parts) -> Result<Transport, AddressError> {
    match parts.next() {
        Some(Part::Ws) => Ok(Transport::WebSocket),
        Some(Part::Wss) => Ok(Transport::SecureWebSocket),
        Some(Part::Tls) => {
            while parts.next_if(|part| matches!(part, Part::ServerName)).is_some() {}
            match parts.next() {
                Some(Part::Ws) => Ok(Transport::SecureWebSocket),
                _ => Err(AddressError::NotDialable),
            }
        }
        _ => Err(AddressError::NotDialable),
    }
}

/// The peer connection is made from the address alone, so it must be one, and no name.
fn web_rtc(parts: &mut Parts, host: &Host) -> Result<Transport, AddressError> {
    if matches!(host, Host::Name(_)) || !matches!(parts.next(), Some(Part::WebRtcDirect)) {
        return Err(AddressError::NotDialable);
    }
    let mut found = None;
    while let Some(part) =
        parts.next_if(|it| matches!(it, Part::Certificate(_) | Part::OtherCertificate))
    {
        if let Part::Certificate(certificate) = part {
            found.get_or_insert(certificate);
        }
    }
    let certificate = found.ok_or(AddressError::NotDialable)?;
    Ok(Transport::WebRtcDirect { certificate })
}

fn binary_part(bytes: &mut &[u8]) -> Result<Part, AddressError> {
    Ok(match varint(bytes)? {
        code::IP4 => Part::Host(Host::Ip4(Ipv4Addr::from(fixed::<4>(bytes)?))),
        code::IP6 => Part::Host(Host::Ip6(Ipv6Addr::from(fixed::<16>(bytes)?))),
        code::DNS | code::DNS4 | code::DNS6 => {
            let name =
                core::str::from_utf8(counted(bytes)?).map_err(|_| AddressError::Malformed)?;
            Part::Host(Host::Name(host_name(name)?))
        }
        code::TCP => Part::Tcp(u16::from_be_bytes(fixed(bytes)?)),
        code::UDP => Part::Udp(u16::from_be_bytes(fixed(bytes)?)),
        code::WS => Part::Ws,
        code::WSS => Part::Wss,
        code::TLS => Part::Tls,
        code::SNI => {
            counted(bytes)?;
            Part::ServerName
        }
        code::WEBRTC_DIRECT => Part::WebRtcDirect,
        code::CERTHASH => certificate(counted(bytes)?),
        code::P2P => {
            let peer = PeerId::from_libp2p_bytes(counted(bytes)?);
            Part::Peer(peer.map_err(|_| AddressError::Malformed)?)
        }
        _ => return Err(AddressError::NotDialable),
    })
}

fn varint(bytes: &mut &[u8]) -> Result<u64, AddressError> {
    let mut value = 0_u64;
    for shift in [0, 7, 14, 21] {
        let (first, rest) = bytes.split_first().ok_or(AddressError::Malformed)?;
        *bytes = rest;
        value |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(AddressError::Malformed)
}

fn fixed<const N: usize>(bytes: &mut &[u8]) -> Result<[u8; N], AddressError> {
    let (first, rest) = bytes.split_first_chunk().ok_or(AddressError::Malformed)?;
    *bytes = rest;
    Ok(*first)
}

fn counted<'a>(bytes: &mut &'a [u8]) -> Result<&'a [u8], AddressError> {
    let length = usize::try_from(varint(bytes)?).map_err(|_| AddressError::Malformed)?;
    let (field, rest) = bytes.split_at_checked(length).ok_or(AddressError::Malformed)?;
    *bytes = rest;
    Ok(field)
}

fn certificate(multihash: &[u8]) -> Part {
    let hash = multihash.strip_prefix(&SHA2_256).and_then(|hash| hash.try_into().ok());
    hash.map_or(Part::OtherCertificate, Part::Certificate)
}

/// A name goes into a URL: nothing but what a name is made of may be in it.
fn host_name(name: &str) -> Result<String, AddressError> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.';
    let fits = (1..=HOST_NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(plain);
    if fits { Ok(name.to_ascii_lowercase()) } else { Err(AddressError::Malformed) }
}

impl FromStr for Address {
    type Err = AddressError;

    /// Reads a textual multiaddr.
    fn from_str(text: &str) -> Result<Self, AddressError> {
        let malformed = AddressError::Malformed;
        if text.len() > ADDRESS_CHARS_MAX {
            return Err(malformed);
        }
        let mut words = text.strip_prefix('/').ok_or(malformed)?.split('/');
        let mut parts = Vec::new();
        while let Some(name) = words.next() {
            let mut value = || words.next().ok_or(malformed);
            parts.push(match name {
                "ip4" => Part::Host(Host::Ip4(value()?.parse().map_err(|_| malformed)?)),
                "ip6" => Part::Host(Host::Ip6(value()?.parse().map_err(|_| malformed)?)),
                "dns" | "dns4" | "dns6" => Part::Host(Host::Name(host_name(value()?)?)),
                "tcp" => Part::Tcp(value()?.parse().map_err(|_| malformed)?),
                "udp" => Part::Udp(value()?.parse().map_err(|_| malformed)?),
                "ws" => Part::Ws,
                "wss" => Part::Wss,
                "tls" => Part::Tls,
                "sni" => {
                    value()?;
                    Part::ServerName
                }
                "webrtc-direct" => Part::WebRtcDirect,
                "certhash" => {
                    // spec of multibase: `u` is base64url without padding.
                    let encoded = value()?.strip_prefix('u').ok_or(malformed)?;
                    let decoded = BASE64URL_NOPAD.decode(encoded.as_bytes());
                    certificate(&decoded.map_err(|_| malformed)?)
                }
                "p2p" => Part::Peer(value()?.parse().map_err(|_| malformed)?),
                _ => return Err(AddressError::NotDialable),
            });
        }
        Self::of_parts(parts)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Ip4(ip) => write!(f, "/ip4/{ip}")?,
            Host::Ip6(ip) => write!(f, "/ip6/{ip}")?,
            Host::Name(name) => write!(f, "/dns/{name}")?,
        }
        let port = self.port;
        match self.transport {
            Transport::WebSocket => write!(f, "/tcp/{port}/ws")?,
            Transport::SecureWebSocket => write!(f, "/tcp/{port}/tls/ws")?,
            Transport::WebRtcDirect { certificate } => {
                let multihash = [&SHA2_256[..], &certificate].concat();
                let text = BASE64URL_NOPAD.encode(&multihash);
                write!(f, "/udp/{port}/webrtc-direct/certhash/u{text}")?;
            }
        }
        match self.peer {
            Some(peer) => write!(f, "/p2p/{peer}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HASH: &str = "uEiAqKioqKioqKioqKioqKioqKioqKioqKioqKioqKioqKg";

    #[test]
    fn what_a_browser_can_dial_is_read_and_written_back() {
        for text in [
            "/ip4/127.0.0.1/tcp/4782/ws".to_owned(),
            "/ip6/2001:db8::7/tcp/1/tls/ws".to_owned(),
            "/dns/node.example/tcp/443/tls/ws".to_owned(),
            format!("/ip4/192.0.2.1/udp/4782/webrtc-direct/certhash/{HASH}"),
            format!("/ip6/::1/udp/9/webrtc-direct/certhash/{HASH}"),
        ] {
            let address: Address = text.parse().unwrap();
            assert_eq!(address.to_string(), text);
            let peer = pop_wire::Keypair::from_secret_bytes(&[3; 32]).unwrap().peer_id();
            let with_peer: Address = format!("{text}/p2p/{peer}").parse().unwrap();
            assert_eq!(with_peer, Address { peer: Some(peer), ..address });
        }
    }

    #[test]
    fn the_binary_form_says_the_same() {
        let tcp = [4, 127, 0, 0, 1, 6, 0x12, 0xae];
        let ws = [&tcp[..], &[0xdd, 0x03]].concat();
        assert_eq!(Address::from_binary(&ws).unwrap().to_string(), "/ip4/127.0.0.1/tcp/4782/ws");
        let tls_ws = [&tcp[..], &[0xc0, 0x03, 0xdd, 0x03]].concat();
        assert!(Address::from_binary(&tls_ws).unwrap().is_secure());
        let udp = [4, 192, 0, 2, 1, 0x91, 0x02, 0x12, 0xae, 0x98, 0x02, 0xd2, 0x03, 34, 0x12, 0x20];
        let direct = [&udp[..], &[42; 32]].concat();
        let text = format!("/ip4/192.0.2.1/udp/4782/webrtc-direct/certhash/{HASH}");
        assert_eq!(Address::from_binary(&direct).unwrap().to_string(), text);
        assert_eq!(Address::from_binary(&direct).unwrap().url(Protocol::Ask), None);
        assert_eq!(Address::from_binary(&tcp), Err(AddressError::NotDialable));
        assert_eq!(Address::from_binary(&ws[..9]), Err(AddressError::Malformed));
    }

    #[test]
    fn what_no_browser_dials_is_refused() {
        for text in [
            "/ip4/127.0.0.1/tcp/4781",
            "/ip4/127.0.0.1/udp/4781/quic-v1",
            "/ip4/127.0.0.1/tcp/0/ws",
            "/ip4/127.0.0.1/tcp/4781/ws/ws",
            "/tcp/1/ws",
            "/dns/a/udp/1/webrtc-direct",
            "/ip4/1.2.3.4/udp/1/webrtc-direct",
            "ip4/127.0.0.1/tcp/1/ws",
            "/dns/evil.example@host/tcp/1/ws",
            "/dns//tcp/1/ws",
            "/ip4/127.0.0.1/tcp/70000/ws",
        ] {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
        let long = format!("/dns/{}/tcp/1/ws", "a".repeat(HOST_NAME_BYTES_MAX + 1));
        assert_eq!(long.parse::<Address>(), Err(AddressError::Malformed));
        let longer = format!("/dns/a/tcp/1/ws{}", "/ws".repeat(ADDRESS_CHARS_MAX));
        assert_eq!(longer.parse::<Address>(), Err(AddressError::Malformed));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..128)) {
            if let Ok(address) = Address::from_binary(&bytes) {
                prop_assert_eq!(address.to_string().parse::<Address>(), Ok(address));
            }
        }
    }
}
