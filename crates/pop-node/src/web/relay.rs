//! The relay of this node: pop-signal's machine, driven over browsers' links and over streams to
//! other masternodes.
//!
//! ```text
//!  browser  == link ==>.          .<== /pop/signal/1 == other relay
//!                       RelayDesk
//!  browser  == link ==>'          '=== /pop/signal/1 ==> other relay, dialled when needed
//! ```
//!
//! Nothing that passes is written to a disk or to the log. What a link doesn't take is dropped.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use pop_signal::limits::DIAL_TIMEOUT_MS;
use pop_signal::relay::{Input, Output, Relay, RelayConfig};
use pop_signal::stream::MessageReader;
use pop_signal::{LinkId, Prefix, RelayMessage};
use pop_wire::PeerId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::figures::RelayFigures;
use super::limits::{
    RELAY_BYTES_WAITING_MAX, RELAY_CENSUS_INTERVAL, RELAY_FRAMES_WAITING_MAX,
    RELAY_MESSAGES_WAITING_MAX,
};
use crate::clock::{self, Clock};
use crate::directory;
use crate::error::NodeError;
use crate::node::Inner;
use crate::serve::ByteStream;

/// Links and dials that wait for the relay.
const REQUESTS_MAX: usize = 64;

/// Handle on the relay; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct RelayDesk {
    requests: mpsc::Sender<Request>,
}

enum Request {
    Client(IpAddr, Box<dyn ByteStream>),
    Relay(PeerId, Box<dyn ByteStream>),
    Unreachable(PeerId),
}

/// What comes of a link.
enum LinkEvent {
    Message(RelayMessage),
    Down,
}

impl RelayDesk {
    /// Start the relay of this node.
    pub(crate) fn start(inner: &Arc<Inner>) -> Result<Self, NodeError> {
        let seed = clock::random_bytes().map_err(crate::disk::StoreError::from)?;
        let relay = Relay::new(inner.keypair.peer_id(), RelayConfig::default(), seed);
        let (requests, queue) = mpsc::channel(REQUESTS_MAX);
        let (events, link_queue) = mpsc::channel(RELAY_MESSAGES_WAITING_MAX);
        let desk = Self { requests };
        let driver = Driver {
            inner: Arc::clone(inner),
            figures: inner.relay.clone().unwrap_or_default(),
            relay,
            clock: Clock::start(),
            desk: desk.clone(),
            links: BTreeMap::new(),
            next_link: 0,
            events,
            room: Arc::new(Semaphore::new(RELAY_BYTES_WAITING_MAX)),
        };
        inner.spawn(driver.run(queue, link_queue));
        Ok(desk)
    }

    /// Take a client that has proven who it is, which the relay has no use for.
    pub(super) async fn take_client(&self, from: IpAddr, stream: impl ByteStream + 'static) {
        self.send(Request::Client(from, Box::new(stream))).await;
    }

    /// Take a stream that another relay opened.
    pub(crate) async fn take_relay(&self, peer: PeerId, stream: impl ByteStream + 'static) {
        self.send(Request::Relay(peer, Box::new(stream))).await;
    }

    async fn send(&self, request: Request) {
        if self.requests.send(request).await.is_err() {
            tracing::debug!("link to the relay after shutdown");
        }
    }
}

/// A link, seen from the relay. Dropping it closes the link.
struct Link {
    frames: mpsc::Sender<Frame>,
    _open: DropGuard,
}

/// A frame on its way, and the room that it takes.
struct Frame {
    bytes: Bytes,
    _room: OwnedSemaphorePermit,
}

struct Driver {
    inner: Arc<Inner>,
    figures: Arc<RelayFigures>,
    relay: Relay,
    clock: Clock,
    /// Where dialled streams go.
    desk: RelayDesk,
    links: BTreeMap<LinkId, Link>,
    next_link: u64,
    events: mpsc::Sender<(LinkId, LinkEvent)>,
    room: Arc<Semaphore>,
}

impl Driver {
    async fn run(
        mut self,
        mut requests: mpsc::Receiver<Request>,
        mut links: mpsc::Receiver<(LinkId, LinkEvent)>,
    ) {
        let mut census = tokio::time::interval(RELAY_CENSUS_INTERVAL);
        loop {
            let wait = self.relay.next_timeout().map_or(Duration::from_secs(3600), |at| {
                Duration::from_millis(at.since_ms(self.clock.now()))
            });
            tokio::select! {
                request = requests.recv() => match request {
                    Some(request) => self.on_request(request),
                    None => return,
                },
                Some((link, event)) = links.recv() => self.on_link(link, event),
                _ = census.tick() => self.count(),
                () = tokio::time::sleep(wait) => self.handle(Input::Tick),
            }
            self.drain();
            self.figures.are(self.relay.stats(), self.relay.holdings());
        }
    }

    /// Tell the relay which masternodes there are.
    fn count(&mut self) {
        let alive = self.inner.directory.alive();
        let others = alive.iter().map(|record| record.peer);
        let masternodes: BTreeSet<PeerId> = others.chain([self.inner.keypair.peer_id()]).collect();
        self.handle(Input::Known { masternodes });
    }

    fn on_request(&mut self, request: Request) {
        match request {
            Request::Client(from, stream) => {
                let link = self.open(stream);
                self.handle(Input::ClientUp { link, prefix: Prefix::of(from) });
            }
            Request::Relay(peer, stream) => {
                // Whoever has just appeared may be in the directory since the last census.
                self.count();
                let link = self.open(stream);
                self.handle(Input::RelayUp { link, peer });
            }
            Request::Unreachable(peer) => self.handle(Input::DialFailed { peer }),
        }
    }

    fn open(&mut self, stream: Box<dyn ByteStream>) -> LinkId {
        let link = LinkId(self.next_link);
        self.next_link += 1;
        let (frames, queue) = mpsc::channel(RELAY_FRAMES_WAITING_MAX);
        let stop = self.inner.stop.child_token();
        let (read_half, write_half) = stream.split();
        let reading = read(link, read_half, self.events.clone(), stop.clone());
        self.inner.tasks.spawn(reading);
        self.inner.tasks.spawn(write(write_half, queue, stop.clone()));
        self.links.insert(link, Link { frames, _open: stop.drop_guard() });
        link
    }

    fn on_link(&mut self, link: LinkId, event: LinkEvent) {
        match event {
            LinkEvent::Message(message) => self.handle(Input::Message { link, message }),
            LinkEvent::Down => {
                // One that the relay closed is gone already, for it too.
                if self.links.remove(&link).is_some() {
                    self.handle(Input::LinkDown { link });
                }
            }
        }
    }

    /// An error of the machine is a bug of this driver; it goes on unchanged.
    fn handle(&mut self, input: Input) {
        if let Err(error) = self.relay.handle(self.clock.now(), input) {
            tracing::error!(%error, "the relay refused an input");
        }
    }

    fn drain(&mut self) {
        while let Some(output) = self.relay.poll() {
            match output {
                Output::Send { link, message } => self.send(link, &message),
                Output::Close { link, reason } => {
                    tracing::debug!(%link, %reason, "the relay closes");
                    self.links.remove(&link);
                }
                Output::Dial { peer } => self.dial(peer),
                _ => tracing::warn!("unknown output of the relay"),
            }
        }
    }

    /// Queue a frame, or drop it: waiting costs memory, and nobody counts on a relay.
    fn send(&self, link: LinkId, message: &RelayMessage) {
        let Some(link) = self.links.get(&link) else { return };
        let bytes = u32::try_from(message.frame_bytes()).unwrap_or(u32::MAX);
        let Ok(room) = Arc::clone(&self.room).try_acquire_many_owned(bytes) else {
            return self.figures.dropped_frame();
        };
        let mut frame = BytesMut::with_capacity(message.frame_bytes());
        message.encode_frame(&mut frame);
        if link.frames.try_send(Frame { bytes: frame.freeze(), _room: room }).is_err() {
            self.figures.dropped_frame();
        }
    }

    fn dial(&self, peer: PeerId) {
        let record = self.inner.directory.record(&peer);
        let addresses = record.map(|record| directory::addresses(&record)).unwrap_or_default();
        let (network, desk) = (self.inner.network.clone(), self.desk.clone());
        self.inner.spawn(async move {
            let limit = Duration::from_millis(DIAL_TIMEOUT_MS);
            let dialling = tokio::time::timeout(limit, network.open_relay(peer, addresses));
            match dialling.await {
                Ok(Ok(stream)) => desk.take_relay(peer, stream).await,
                _ => desk.send(Request::Unreachable(peer)).await,
            }
        });
    }
}

async fn read<R: AsyncRead + Unpin>(
    link: LinkId,
    stream: R,
    events: mpsc::Sender<(LinkId, LinkEvent)>,
    stop: CancellationToken,
) {
    let reading = async {
        let mut messages = MessageReader::new(stream);
        // spec/signal.md §6.1: a frame that is none ends the link.
        while let Ok(Some(message)) = messages.read().await {
            if events.send((link, LinkEvent::Message(message))).await.is_err() {
                return;
            }
        }
    };
    stop.run_until_cancelled(reading).await;
    stop.cancel();
    let _relay_gone = events.send((link, LinkEvent::Down)).await;
}

async fn write<W: AsyncWrite + Unpin>(
    mut stream: W,
    mut frames: mpsc::Receiver<Frame>,
    stop: CancellationToken,
) {
    let writing = async {
        while let Some(frame) = frames.recv().await {
            if stream.write_all(&frame.bytes).await.is_err() {
                return;
            }
            if frames.is_empty() && stream.flush().await.is_err() {
                return;
            }
        }
    };
    stop.run_until_cancelled(writing).await;
    let _gone = stream.close().await;
    stop.cancel();
}
