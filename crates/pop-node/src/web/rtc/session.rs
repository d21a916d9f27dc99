//! One browser's WebRTC session: its str0m machine, its channels, and the task that drives them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;

use pop_signal::DtlsFingerprint;
use pop_signal::handshake::ChannelBinding;
use str0m::channel::{ChannelConfig, ChannelData};
use str0m::crypto::{CryptoProvider, Fingerprint};
use str0m::net::{Protocol, Receive};
use str0m::{Candidate, Event, Input, Output, Rtc, RtcConfig, RtcError};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio_util::compat::TokioAsyncReadCompatExt as _;

use super::certificate::Certificate;
use super::channel::{Channel, Overflow};
use super::credentials::Credentials;
use crate::clock::monotonic_now;
use crate::node::Inner;
use crate::web::admission::Admitted;
use crate::web::limits::{
    CHANNEL_MESSAGE_BYTES_MAX, DATAGRAMS_PER_TURN_MAX, SESSION_BUFFER_BYTES, SESSION_PROOF_TIMEOUT,
    SESSION_SILENCE_MAX,
};
use crate::web::proof;
use crate::web::reception::{Guest, Reception, Service};

/// The channels, by their number (`spec/exchange.md` §2.2).
const CHANNELS: [Service; 4] =
    [Service::Exchange, Service::Exchange, Service::Signal, Service::Ledger];

/// A datagram, and who sent it.
pub(super) type Datagram = (SocketAddr, Vec<u8>);

/// What sessions of one endpoint share.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) inner: Arc<Inner>,
    pub(super) reception: Reception,
    pub(super) socket: Arc<UdpSocket>,
    pub(super) certificate: Certificate,
    pub(super) crypto: Arc<CryptoProvider>,
    /// Where all datagrams are said to arrive: one address of ours is as good as another.
    pub(super) local: SocketAddr,
}

/// Why a session ends.
#[derive(Debug, thiserror::Error)]
enum End {
    #[error(transparent)]
    Rtc(#[from] RtcError),
    #[error(transparent)]
    Overflow(#[from] Overflow),
    #[error("expected binary messages, got a text")]
    Text,
    #[error("expected certificates with a fingerprint of SHA-256")]
    Fingerprint,
    #[error("expected a proof of who it is in time")]
    Unproven,
    #[error("it says nothing any more")]
    Silent,
    #[error("it was closed")]
    Closed,
}

/// A session that runs.
pub(super) struct Session {
    shared: Shared,
    rtc: Rtc,
    channels: Vec<Channel>,
    remote: SocketAddr,
    /// Told by each link whose other end has proven who it is.
    proofs: (mpsc::Sender<()>, mpsc::Receiver<()>),
    admitted: Admitted,
    is_proven: bool,
    started: Instant,
    heard: Instant,
}

impl Session {
    /// A session for a browser that asked for it with `credentials`.
    pub(super) fn new(
        shared: Shared,
        credentials: &Credentials,
        remote: SocketAddr,
        admitted: Admitted,
    ) -> Result<Self, RtcError> {
        let now = monotonic_now();
        let mut rtc = RtcConfig::new()
            .set_crypto_provider(Arc::clone(&shared.crypto))
            .set_dtls_cert(shared.certificate.dtls.clone())
            .set_ice_lite(true)
            // The handshake on each channel tells whom the browser's certificate belongs to.
            .set_fingerprint_verification(false)
            .set_sctp_max_buffered_amount(SESSION_BUFFER_BYTES)
            .set_sctp_max_message_size(CHANNEL_MESSAGE_BYTES_MAX)
            .clear_codecs()
            .build(now);
        let candidate = Candidate::host(shared.local, "udp").map_err(RtcError::from)?;
        rtc.add_local_candidate(candidate);
        let mut api = rtc.direct_api();
        api.set_local_ice_credentials(credentials.local());
        api.set_remote_ice_credentials(credentials.remote());
        api.set_ice_controlling(false);
        let anybody = Fingerprint { hash_func: "sha-256".to_owned(), bytes: vec![0; 32] };
        api.set_remote_fingerprint(anybody);
        api.start_dtls(false)?;
        api.start_sctp(false);
        let channels = (0..).zip(CHANNELS).map(|(number, service)| {
            let label = service.path().to_owned();
            let config = ChannelConfig { label, negotiated: Some(number), ..Default::default() };
            Channel::new(api.create_data_channel(config))
        });
        let channels = channels.collect();
        Ok(Self {
            shared,
            rtc,
            channels,
            remote,
            proofs: mpsc::channel(CHANNELS.len()),
            admitted,
            is_proven: false,
            started: now,
            heard: now,
        })
    }

    /// Run it until it ends.
    pub(super) async fn run(mut self, mut datagrams: mpsc::Receiver<Datagram>) {
        let remote = self.remote;
        let end = loop {
            if let Err(end) = self.turn(&mut datagrams).await {
                break end;
            }
        };
        tracing::debug!(%remote, %end, "a browser's session ends");
        if self.rtc.close().is_ok() {
            // A goodbye that the browser may miss.
            let _lost = self.drain().await;
        }
    }

    /// Wait for one thing to happen, and do it.
    async fn turn(&mut self, datagrams: &mut mpsc::Receiver<Datagram>) -> Result<(), End> {
        self.send_what_fits().await?;
        let timeout = self.drain().await?;
        let limit = if self.is_proven {
            self.heard + SESSION_SILENCE_MAX
        } else {
            self.started + SESSION_PROOF_TIMEOUT
        };
        let wake = timeout.min(limit);
        tokio::select! {
            datagram = datagrams.recv() => {
                self.receive(datagram.ok_or(End::Closed)?).await?;
                for _ in 1..DATAGRAMS_PER_TURN_MAX {
                    let Ok(datagram) = datagrams.try_recv() else { break };
                    self.receive(datagram).await?;
                }
            }
            Some(()) = self.proofs.1.recv() => {
                self.admitted.introduce();
                self.is_proven = true;
            }
            () = poll_channels(&mut self.channels) => {}
            () = tokio::time::sleep_until(wake.into()) => {
                let now = monotonic_now();
                if now >= limit {
                    return Err(if self.is_proven { End::Silent } else { End::Unproven });
                }
                self.rtc.handle_input(Input::Timeout(now))?;
            }
        }
        // Whoever has proven who it is and has no link any more has come for what it got.
        let is_over = self.is_proven && !self.channels.iter().any(Channel::is_used);
        if is_over || !self.rtc.is_alive() { Err(End::Closed) } else { Ok(()) }
    }

    async fn receive(&mut self, (source, bytes): Datagram) -> Result<(), End> {
        let now = monotonic_now();
        // What is no datagram of WebRTC is no reason to end a session: anybody can send it.
        let Ok(receive) = Receive::new(Protocol::Udp, source, self.shared.local, &bytes) else {
            return Ok(());
        };
        let input = Input::Receive(now, receive);
        if !self.rtc.accepts(&input) {
            return Ok(());
        }
        self.heard = now;
        self.rtc.handle_input(input)?;
        self.drain().await?;
        Ok(())
    }

    /// Carry out all that the machine wants, until it wants to be woken at some time.
    async fn drain(&mut self) -> Result<Instant, End> {
        loop {
            match self.rtc.poll_output()? {
                Output::Timeout(at) => return Ok(at),
                Output::Transmit(datagram) => {
                    let sending =
                        self.shared.socket.send_to(&datagram.contents, datagram.destination);
                    // What the network refuses is lost, as others are that it took.
                    if let Err(error) = sending.await {
                        tracing::debug!(%error, "a datagram is not sent");
                    }
                }
                Output::Event(event) => self.on_event(event)?,
            }
        }
    }

    fn on_event(&mut self, event: Event) -> Result<(), End> {
        match event {
            Event::ChannelData(data) => self.on_data(data),
            Event::ChannelClose(id) => {
                if let Some(channel) = self.channels.iter_mut().find(|channel| channel.id == id) {
                    channel.close();
                }
                Ok(())
            }
            Event::Closed => Err(End::Closed),
            _ => Ok(()),
        }
    }

    fn on_data(&mut self, data: ChannelData) -> Result<(), End> {
        if !data.binary {
            return Err(End::Text);
        }
        let numbered = self.channels.iter_mut().zip(CHANNELS);
        let found = numbered.into_iter().find(|(channel, _)| channel.id == data.id);
        // Channels that nobody agreed on, and services that this node doesn't have, lead nowhere.
        let Some((channel, service)) = found else { return Ok(()) };
        if !self.shared.reception.services().contains(&service) {
            return Ok(());
        }
        if let Some(stream) = channel.receive(data.data)? {
            let binding = self.binding().ok_or(End::Fingerprint)?;
            let (reception, remote) = (self.shared.reception.clone(), self.remote);
            let proven = self.proofs.0.clone();
            self.shared.inner.spawn(async move {
                let mut stream = stream.compat();
                let (keypair, clock) = (&reception.keypair, reception.clock);
                match proof::listen(&mut stream, keypair, binding, clock).await {
                    Ok(peer) => {
                        let _session_over = proven.send(()).await;
                        reception.receive(Guest { peer, remote, service }, stream).await;
                    }
                    Err(error) => {
                        tracing::debug!(%remote, %error, "a browser did not prove who it is");
                    }
                }
            });
        }
        Ok(())
    }

    /// What ties proofs to this session; none before DTLS is up.
    fn binding(&mut self) -> Option<ChannelBinding> {
        let api = self.rtc.direct_api();
        let theirs = api.remote_dtls_fingerprint().and_then(fingerprint)?;
        Some(ChannelBinding::webrtc(theirs, self.shared.certificate.fingerprint))
    }

    /// Hand pieces over to SCTP while it takes them.
    async fn send_what_fits(&mut self) -> Result<(), End> {
        for index in 0..self.channels.len() {
            loop {
                let channel = &mut self.channels[index];
                let piece = channel.outbound();
                let Some(mut open) = self.rtc.channel(channel.id).filter(|_| !piece.is_empty())
                else {
                    break;
                };
                if !open.write(true, piece)? {
                    break;
                }
                channel.sent();
                self.drain().await?;
                // The next piece, if it is there already.
                let channel = &mut self.channels[index];
                let more = std::future::poll_fn(|cx| Poll::Ready(channel.poll(cx))).await;
                if more.is_pending() {
                    break;
                }
            }
            if self.channels[index].take_end() {
                self.rtc.direct_api().close_data_channel(self.channels[index].id);
                self.drain().await?;
            }
        }
        Ok(())
    }
}

/// Until a channel has something to send, or has ended.
async fn poll_channels(channels: &mut [Channel]) {
    std::future::poll_fn(|cx| {
        let ready =
            channels.iter_mut().filter_map(|channel| channel.poll(cx).is_ready().then_some(()));
        if ready.count() > 0 { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

fn fingerprint(of: &Fingerprint) -> Option<DtlsFingerprint> {
    let is_sha256 = of.hash_func.eq_ignore_ascii_case("sha-256");
    let bytes = of.bytes.as_slice().try_into().ok().filter(|_| is_sha256)?;
    Some(DtlsFingerprint(bytes))
}
