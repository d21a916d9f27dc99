//! The network: what is on its way, and what both ends of every link do.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::BytesMut;
use pop_signal::handshake::ChannelBinding;
use pop_signal::message::RefusedReason;
use pop_signal::relay::{self, Relay, RelayConfig};
use pop_signal::session::{Event, Now, Output, Sessions, SessionsConfig};
use pop_signal::{DtlsFingerprint, LinkId, Prefix, RelayMessage, SealKeypair, SessionId};
use pop_wire::{ContentId, FrameSplitter, Instant, Keypair, PeerId, UnixTime};

/// What kind of network.
#[derive(Clone, Copy)]
pub(crate) struct Setting {
    pub(crate) relays: usize,
    pub(crate) viewers: usize,
    /// Viewer `n` watches content `n` modulo this.
    pub(crate) contents: usize,
    /// Messages that don't arrive.
    pub(crate) loss_percent: u64,
    /// Whether links break.
    pub(crate) churn: bool,
}

impl Default for Setting {
    fn default() -> Self {
        Self { relays: 1, viewers: 2, contents: 1, loss_percent: 0, churn: false }
    }
}

/// One end of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum End {
    Relay(usize),
    Viewer(usize),
}

#[derive(Debug)]
enum Happening {
    Frame { link: LinkId, to: End, frame: Vec<u8> },
    LinkUp { viewer: usize, relay: usize },
    Dialled { from: usize, to: usize },
    Break,
    Wake,
}

struct Viewer {
    sessions: Sessions,
    relay: usize,
    link: Option<LinkId>,
    /// Sessions that it offered, and with whom it has agreed.
    bindings: BTreeMap<SessionId, (PeerId, ChannelBinding)>,
    asked: BTreeSet<PeerId>,
}

pub(crate) struct World {
    setting: Setting,
    random: u64,
    now_ms: u64,
    relays: Vec<Relay>,
    relay_peers: Vec<PeerId>,
    viewers: Vec<Viewer>,
    viewer_peers: Vec<PeerId>,
    links: BTreeMap<LinkId, (End, End)>,
    next_link: u64,
    queue: BTreeMap<(u64, u64), Happening>,
    next_happening: u64,
    lengths: BTreeSet<usize>,
    broken: usize,
    trace: blake3::Hasher,
}

fn keypair(kind: u8, n: usize) -> Keypair {
    let mut secret = [kind; 32];
    secret[..8].copy_from_slice(&(n + 1).to_be_bytes());
    Keypair::from_secret_bytes(&secret).unwrap()
}

fn sdp(viewer: usize) -> String {
    let fingerprint = DtlsFingerprint([u8::try_from(viewer).unwrap(); 32]);
    format!("v=0\r\na=fingerprint:sha-256 {fingerprint}\r\n{}", "a=more\r\n".repeat(120))
}

impl World {
    pub(crate) fn new(seed: u64, setting: Setting) -> Self {
        let relay_peers: Vec<PeerId> =
            (0..setting.relays).map(|n| keypair(1, n).peer_id()).collect();
        let mut world = Self {
            setting,
            random: seed,
            now_ms: 1_000,
            relays: Vec::new(),
            relay_peers: relay_peers.clone(),
            viewers: Vec::new(),
            viewer_peers: (0..setting.viewers).map(|n| keypair(2, n).peer_id()).collect(),
            links: BTreeMap::new(),
            next_link: 0,
            queue: BTreeMap::new(),
            next_happening: 0,
            lengths: BTreeSet::new(),
            broken: 0,
            trace: blake3::Hasher::new(),
        };
        for peer in &relay_peers {
            let seed = world.seed();
            let mut relay = Relay::new(*peer, RelayConfig::default(), seed);
            let masternodes = relay_peers.iter().copied().collect();
            relay.handle(Instant(0), relay::Input::Known { masternodes }).unwrap();
            world.relays.push(relay);
        }
        for n in 0..setting.viewers {
            let keypair = keypair(2, n);
            let seal = SealKeypair::from_secret_bytes(world.seed());
            let seed = world.seed();
            let mut sessions = Sessions::new(&keypair, seal, SessionsConfig::default(), seed);
            let content = u8::try_from(n % setting.contents).unwrap();
            let now = world.now();
            sessions.attend(now, ContentId([content; 32]), &[content; 32], true).unwrap();
            let relay = n % setting.relays;
            world.viewers.push(Viewer {
                sessions,
                relay,
                link: None,
                bindings: BTreeMap::new(),
                asked: BTreeSet::new(),
            });
            let after_ms = world.below(3_000);
            world.later(after_ms, Happening::LinkUp { viewer: n, relay });
        }
        world.later(5_000, Happening::Break);
        world.later(0, Happening::Wake);
        world
    }

    pub(crate) fn run_until(&mut self, end_ms: u64) {
        while let Some(((at_ms, _), happening)) = self.queue.pop_first() {
            if at_ms > end_ms {
                break;
            }
            self.now_ms = at_ms;
            self.happen(happening);
            self.compare();
        }
    }

    /// Pairs of viewers that both have the same of one session.
    pub(crate) fn agreed(&self) -> BTreeSet<(usize, usize)> {
        let mut pairs = BTreeSet::new();
        for (one, viewer) in self.viewers.iter().enumerate() {
            for (session, (peer, binding)) in &viewer.bindings {
                let other = self.viewer_peers.iter().position(|id| id == peer).unwrap();
                if let Some((back, theirs)) = self.viewers[other].bindings.get(session) {
                    assert_eq!((back, theirs), (&self.viewer_peers[one], binding));
                    pairs.insert((one.min(other), one.max(other)));
                }
            }
        }
        pairs
    }

    /// With how many others each viewer has agreed.
    pub(crate) fn partners(&self) -> Vec<usize> {
        let agreed = self.agreed();
        let of = |n| agreed.iter().filter(|(one, other)| *one == n || *other == n).count();
        (0..self.viewers.len()).map(of).collect()
    }

    pub(crate) fn relay_of(&self, viewer: usize) -> usize {
        self.viewers[viewer].relay
    }

    pub(crate) fn broken(&self) -> usize {
        self.broken
    }

    pub(crate) fn lengths(&self) -> &BTreeSet<usize> {
        &self.lengths
    }

    #[expect(clippy::cast_precision_loss, reason = "for people to read")]
    pub(crate) fn amplification(&self) -> Vec<f64> {
        let of = |relay: &Relay| {
            let stats = relay.stats();
            stats.sent_bytes as f64 / stats.received_bytes.max(1) as f64
        };
        self.relays.iter().map(of).collect()
    }

    pub(crate) fn trace(&self) -> blake3::Hash {
        self.trace.finalize()
    }

    /// After every step: no relay has sent more than it got, in bytes and in messages.
    fn compare(&self) {
        for relay in &self.relays {
            let stats = relay.stats();
            assert!(stats.sent_bytes <= stats.received_bytes, "{stats:?}");
            assert!(stats.sent <= stats.received, "{stats:?}");
            let holdings = relay.holdings();
            assert_eq!((holdings.outputs, holdings.output_bytes), (0, 0));
        }
    }

    fn now(&self) -> Now {
        let unix = UnixTime(1_800_000_000 + self.now_ms / 1_000);
        Now { instant: Instant(self.now_ms), unix }
    }

    fn below(&mut self, bound: u64) -> u64 {
        // SplitMix64.
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }

    fn seed(&mut self) -> [u8; 32] {
        core::array::from_fn(|_| u8::try_from(self.below(256)).unwrap())
    }

    fn later(&mut self, after_ms: u64, happening: Happening) {
        self.next_happening += 1;
        self.queue.insert((self.now_ms + after_ms, self.next_happening), happening);
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Wake => {
                for n in 0..self.relays.len() {
                    self.relay(n, relay::Input::Tick);
                }
                for n in 0..self.viewers.len() {
                    let now = self.now();
                    self.viewers[n].sessions.tick(now);
                    self.viewer(n);
                }
                self.later(250, Happening::Wake);
            }
            Happening::LinkUp { viewer, relay } => self.link_up(viewer, relay),
            Happening::Dialled { from, to } => {
                let link = self.new_link(End::Relay(from), End::Relay(to));
                self.relay(to, relay::Input::RelayUp { link, peer: self.relay_peers[from] });
                self.relay(from, relay::Input::RelayUp { link, peer: self.relay_peers[to] });
            }
            Happening::Frame { link, to, frame } => self.arrive(link, to, &frame),
            Happening::Break => {
                if self.setting.churn && !self.links.is_empty() {
                    let at = self.below(u64::try_from(self.links.len()).unwrap());
                    let link = *self.links.keys().nth(usize::try_from(at).unwrap()).unwrap();
                    self.break_link(link);
                    self.broken += 1;
                }
                self.later(2_000, Happening::Break);
            }
        }
    }

    fn new_link(&mut self, one: End, other: End) -> LinkId {
        self.next_link += 1;
        let link = LinkId(self.next_link);
        self.links.insert(link, (one, other));
        link
    }

    fn link_up(&mut self, viewer: usize, relay: usize) {
        let link = self.new_link(End::Viewer(viewer), End::Relay(relay));
        let address = [10, 0, 0, u8::try_from(viewer).unwrap()];
        self.relay(relay, relay::Input::ClientUp { link, prefix: Prefix::of(address.into()) });
        let (now, peer) = (self.now(), self.relay_peers[relay]);
        let it = &mut self.viewers[viewer];
        it.link = Some(link);
        it.relay = relay;
        it.sessions.relay_up(now, peer);
        self.viewer(viewer);
    }

    /// Both ends notice; a viewer goes to another relay.
    fn break_link(&mut self, link: LinkId) {
        let Some((one, other)) = self.links.remove(&link) else { return };
        for end in [one, other] {
            match end {
                End::Relay(n) => self.relay(n, relay::Input::LinkDown { link }),
                End::Viewer(n) => {
                    self.viewers[n].link = None;
                    self.viewers[n].sessions.relay_down();
                    let relay = (self.viewers[n].relay + 1) % self.relays.len();
                    self.later(500, Happening::LinkUp { viewer: n, relay });
                }
            }
        }
    }

    fn arrive(&mut self, link: LinkId, to: End, frame: &[u8]) {
        if !self.links.contains_key(&link) {
            return;
        }
        let mut splitter = FrameSplitter::new();
        splitter.push(frame);
        let body = splitter.next_frame().unwrap().unwrap();
        let message = RelayMessage::decode(body).unwrap();
        match to {
            End::Relay(n) => self.relay(n, relay::Input::Message { link, message }),
            End::Viewer(n) => {
                let now = self.now();
                self.viewers[n].sessions.receive(now, message);
                self.viewer(n);
            }
        }
    }

    fn send(&mut self, link: LinkId, from: End, message: &RelayMessage) {
        let mut frame = BytesMut::new();
        message.encode_frame(&mut frame);
        self.lengths.insert(frame.len());
        self.trace.update(&self.now_ms.to_be_bytes()).update(&link.0.to_be_bytes()).update(&frame);
        let Some((one, other)) = self.links.get(&link).copied() else { return };
        let to = if one == from { other } else { one };
        if self.below(100) >= self.setting.loss_percent {
            // Of one link in order, as a stream is.
            let latency_ms = 10 + link.0 % 7 * 10;
            self.later(latency_ms, Happening::Frame { link, to, frame: frame.to_vec() });
        }
    }

    fn relay(&mut self, n: usize, input: relay::Input) {
        self.relays[n].handle(Instant(self.now_ms), input).unwrap();
        let outputs: VecDeque<_> = std::iter::from_fn(|| self.relays[n].poll()).collect();
        for output in outputs {
            match output {
                relay::Output::Send { link, message } => {
                    self.send(link, End::Relay(n), &message);
                }
                relay::Output::Close { link, .. } => self.break_link(link),
                relay::Output::Dial { peer } => {
                    let to = self.relay_peers.iter().position(|id| *id == peer).unwrap();
                    self.later(60, Happening::Dialled { from: n, to });
                }
                other => panic!("{other:?}"),
            }
        }
    }

    /// Do what a viewer's machine says.
    fn viewer(&mut self, n: usize) {
        let now = self.now();
        while let Some(output) = self.viewers[n].sessions.poll() {
            let event = match output {
                Output::Send(message) => {
                    let link = self.viewers[n].link.unwrap();
                    self.send(link, End::Viewer(n), &message);
                    continue;
                }
                Output::Event(event) => event,
                other => panic!("{other:?}"),
            };
            let viewer = &mut self.viewers[n];
            match event {
                Event::Met { contact, .. } => {
                    if viewer.asked.insert(contact.peer) {
                        // A relay may be away just now, or there are enough sessions.
                        let _ = viewer.sessions.offer(now, &contact, sdp(n));
                    }
                }
                Event::Offered { session, peer, .. } => {
                    let binding = viewer.sessions.answer(now, session, sdp(n)).unwrap();
                    viewer.bindings.insert(session, (peer, binding));
                }
                Event::Answered { session, peer, binding, .. } => {
                    viewer.bindings.insert(session, (peer, binding));
                    viewer.sessions.connected(now, session);
                }
                Event::Ended { peer, .. } => {
                    viewer.asked.remove(&peer);
                }
                // Its join was lost on the way; it will join again.
                Event::RelayRefused { reason, .. } => assert_eq!(reason, RefusedReason::Topics),
                Event::Candidates { .. } | Event::Refused(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }
}
