//! The WebRTC endpoint: one UDP socket, any number of sessions within bounds, no signalling
//! (`spec/exchange.md` §2.2).
//!
//! ```text
//!  datagram --+-- of a known address -------------> its session
//!             +-- binding request, valid name -----> the session of that name, or a new one
//!             `-- anything else -------------------> dropped
//! ```

mod certificate;
mod channel;
mod credentials;
mod session;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use libp2p::multiaddr::Protocol;
use str0m::crypto::CryptoProvider;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;

use self::certificate::Certificate;
use self::credentials::Credentials;
use self::session::{Datagram, Session, Shared};
use super::admission::Admission;
use super::limits::{
    DATAGRAM_BYTES_MAX, DATAGRAMS_WAITING_MAX, SESSION_ADDRESSES_MAX, SESSIONS_MAX,
};
use super::reception::Reception;
use crate::error::NodeError;
use crate::node::Inner;

/// How often sessions that have ended are forgotten.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// The bound endpoint, before it takes anybody.
#[derive(Debug)]
pub(super) struct RtcListener {
    socket: UdpSocket,
    certificate: Certificate,
    crypto: Arc<CryptoProvider>,
}

impl RtcListener {
    /// Bind to `address`, with the certificate in `data_dir`.
    pub(super) async fn bind(address: SocketAddr, data_dir: &Path) -> Result<Self, NodeError> {
        let socket = UdpSocket::bind(address).await.map_err(|error| NodeError::Listen {
            address: format!("{address} (UDP)"),
            reason: error.to_string(),
        })?;
        let crypto = Arc::new(str0m::crypto::from_feature_flags());
        let certificate = Certificate::load_or_make(data_dir, &crypto)?;
        Ok(Self { socket, certificate, crypto })
    }

    /// Its certificate, as it stands in an address.
    pub(super) fn certhash(&self) -> Protocol<'static> {
        self.certificate.part_of_address()
    }

    /// Take browsers until the node stops.
    pub(super) fn start(self, inner: &Arc<Inner>, door: Admission, reception: Reception) {
        let bound = self.socket.local_addr().map_or(0, |bound| bound.port());
        let shared = Shared {
            inner: Arc::clone(inner),
            reception,
            socket: Arc::new(self.socket),
            certificate: self.certificate,
            crypto: self.crypto,
            local: SocketAddr::from((Ipv4Addr::LOCALHOST, bound.max(1))),
        };
        let endpoint =
            Endpoint { shared, door, sessions: BTreeMap::new(), by_address: BTreeMap::new() };
        inner.spawn(endpoint.run());
    }
}

/// Who gets which datagram.
struct Endpoint {
    shared: Shared,
    door: Admission,
    sessions: BTreeMap<Credentials, Known>,
    by_address: BTreeMap<SocketAddr, mpsc::Sender<Datagram>>,
}

/// A session that runs, or has just ended.
struct Known {
    datagrams: mpsc::Sender<Datagram>,
    addresses: usize,
}

impl Endpoint {
    async fn run(mut self) {
        let socket = Arc::clone(&self.shared.socket);
        let mut sweep = tokio::time::interval(SWEEP_INTERVAL);
        let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
        loop {
            tokio::select! {
                received = socket.recv_from(&mut buffer) => match received {
                    Ok((bytes, source)) => self.receive(source, &buffer[..bytes]),
                    // An ICMP message about a datagram of ours: of no concern to others.
                    Err(error) => tracing::debug!(%error, "receiving from browsers"),
                },
                _ = sweep.tick() => {
                    self.sessions.retain(|_, known| !known.datagrams.is_closed());
                    self.by_address.retain(|_, datagrams| !datagrams.is_closed());
                }
            }
        }
    }

    fn receive(&mut self, source: SocketAddr, bytes: &[u8]) {
        if let Some(datagrams) = self.by_address.get(&source) {
            if !datagrams.is_closed() {
                // A session that is behind loses datagrams, as on any full line.
                let _full = datagrams.try_send((source, bytes.to_vec()));
                return;
            }
            self.by_address.remove(&source);
        }
        let hmac = self.shared.crypto.sha1_hmac_provider;
        let asked = Credentials::of(bytes, |key, parts| hmac.sha1_hmac(key, parts));
        let Some(credentials) = asked else { return };
        if let Some(datagrams) = self.session(credentials, source) {
            self.by_address.insert(source, datagrams.clone());
            let _full = datagrams.try_send((source, bytes.to_vec()));
        }
    }

    /// The session of these credentials, which `source` may use, too; a new one if there is room.
    fn session(
        &mut self,
        credentials: Credentials,
        source: SocketAddr,
    ) -> Option<mpsc::Sender<Datagram>> {
        if let Some(known) = self.sessions.get_mut(&credentials) {
            // spec/exchange.md §2.2: a session MUST NOT have addresses without bound.
            let room = known.addresses < SESSION_ADDRESSES_MAX;
            known.addresses += usize::from(room);
            return room.then(|| known.datagrams.clone());
        }
        if self.sessions.len() >= SESSIONS_MAX {
            tracing::debug!(%source, "no room for a browser's session");
            return None;
        }
        let admitted = self.door.admit(source.ip())?;
        let session = Session::new(self.shared.clone(), &credentials, source, admitted);
        let session = session.inspect_err(|error| tracing::warn!(%error, "no session")).ok()?;
        let (datagrams, queue) = mpsc::channel(DATAGRAMS_WAITING_MAX);
        self.shared.inner.spawn(session.run(queue));
        self.sessions.insert(credentials, Known { datagrams: datagrams.clone(), addresses: 1 });
        Some(datagrams)
    }
}
