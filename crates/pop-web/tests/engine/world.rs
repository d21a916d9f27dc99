//! Virtual time, and connections with latency and bandwidth between viewers and masternodes.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::rc::Rc;

use bytes::Bytes;
use pop_signal::RelayMessage;
use pop_web::engine::{
    Candidate, EngineConfig, Input, LinkId, Output, Protocol, RtcCommand, RtcEvent, RtcId,
};
use pop_wire::{ColumnIndex, ColumnSet, Instant, PeerId};

use crate::masternode::{Act, Masternode, Published};
use crate::viewer::Viewer;

/// How often players look at their clocks, in milliseconds.
const PLAYER_TICK_MS: u64 = 50;

/// How long a peer connection stays silent before it is given up, in milliseconds.
const RTC_SILENCE_MS: u64 = 7_000;

/// Bytes that arrive at once.
const PIECE_BYTES: usize = 16 * 1024;

/// Numbers of links between relays begin here.
const RELAY_LINKS: u64 = 1 << 32;

/// An end of a connection.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Viewer(usize, LinkId),
    Node(usize),
}

/// A peer connection as one browser has it.
struct Rtc {
    viewer: usize,
    rtc: RtcId,
    links: [LinkId; 2],
    sdp: String,
    /// The other browser's.
    remote: Option<usize>,
    is_open: bool,
}

/// A connection.
struct Connection {
    /// The first one dialled.
    ends: [End; 2],
    protocol: Protocol,
    latency_ms: u64,
    bytes_per_ms: u64,
    /// When the last byte each way is through the pipe, and at its end.
    busy_until: [u64; 2],
    there_at: [u64; 2],
    is_up: bool,
    /// Dialled by a browser, and neither up nor refused yet.
    is_pending: bool,
}

enum Happening {
    /// The connection reaches the masternode.
    Arrive(usize),
    /// Nobody is where a viewer dialled.
    Refused(usize, LinkId),
    /// Both ends are told.
    Up(usize),
    /// Bytes reach an end of a connection.
    Bytes(usize, usize, Bytes),
    /// The end has time for them.
    TakenIn(usize, usize, Bytes),
    Down(usize),
    Flushed(usize, usize, u64),
    /// A peer connection says something to its page.
    Rtc(usize, RtcEvent),
    /// A frame from one relay to the other.
    Forward {
        node: usize,
        link: u64,
        message: RelayMessage,
    },
    Player,
}

pub(crate) struct World {
    pub(crate) now: u64,
    seed: u64,
    pub(crate) nodes: Vec<Masternode>,
    pub(crate) alive: Vec<bool>,
    pub(crate) viewers: Vec<Viewer>,
    connections: Vec<Connection>,
    rtcs: Vec<Rtc>,
    /// Links between relays: the number at this node leads to that node.
    relay_links: BTreeMap<(usize, u64), usize>,
    queue: BTreeMap<(u64, u64), Happening>,
    serial: u64,
    pub(crate) trace: DefaultHasher,
    /// What browsers take to connect once they agreed how.
    pub(crate) rtc_ms: u64,
    /// Latency in milliseconds and bytes a millisecond of every link, if they are not to differ.
    pub(crate) link: Option<(u64, u64)>,
    /// What a browser takes in of all its links together in a millisecond, if that is little, in
    /// bytes: it verifies what comes, on one thread.
    pub(crate) intake_bytes_per_ms: Option<u64>,
    /// Up to so much is added to the latency of each piece, in milliseconds; no piece overtakes another.
    pub(crate) jitter_ms: u64,
    /// When each browser has taken in what is there.
    taken_in_at: BTreeMap<usize, u64>,
    /// Addresses of no node that were dialled.
    pub(crate) dialled_in_vain: BTreeSet<String>,
    /// Who dials such an address now.
    pub(crate) dialling_in_vain: BTreeSet<(usize, LinkId)>,
    /// Nobody says there that nobody is there.
    pub(crate) swallows_dials: bool,
    /// Candidates that a browser finds before it has described its side.
    pub(crate) early_candidates: usize,
    /// Of the other's candidates, those that each viewer was told.
    pub(crate) candidates_told: BTreeMap<usize, usize>,
    /// Dead masternodes say nothing at all; else they refuse.
    pub(crate) dead_are_silent: bool,
}

pub(crate) fn seed() -> u64 {
    let seed = std::env::var("POP_TEST_SEED").ok().and_then(|text| text.parse().ok());
    let seed = seed.unwrap_or(1);
    println!("POP_TEST_SEED={seed}");
    seed
}

impl World {
    /// `count` masternodes, each with a column of the film, all known to each other.
    pub(crate) fn new(seed: u64, count: u8, film: &Rc<Published>) -> Self {
        let mut nodes: Vec<Masternode> = (0..count).map(|at| Masternode::new(at + 1)).collect();
        for (at, node) in (0..).zip(&mut nodes) {
            let column: ColumnSet = [ColumnIndex::new(at).unwrap()].into_iter().collect();
            node.held.insert(film.id(), (Rc::clone(film), column));
        }
        let providers: Vec<_> = nodes.iter().map(|node| node.provider_record(film.id())).collect();
        let records: Vec<_> = nodes.iter().map(Masternode::masternode_record).collect();
        let peers: BTreeSet<PeerId> = nodes.iter().map(Masternode::peer).collect();
        for node in &mut nodes {
            node.know(Instant(0), peers.clone());
            node.known.clone_from(&providers);
            node.known_masternodes.clone_from(&records);
        }
        let mut world = Self {
            now: 0,
            seed,
            alive: vec![true; nodes.len()],
            nodes,
            viewers: Vec::new(),
            connections: Vec::new(),
            rtcs: Vec::new(),
            relay_links: BTreeMap::new(),
            queue: BTreeMap::new(),
            serial: 0,
            trace: DefaultHasher::new(),
            rtc_ms: 60,
            link: None,
            intake_bytes_per_ms: None,
            jitter_ms: 0,
            taken_in_at: BTreeMap::new(),
            dialled_in_vain: BTreeSet::new(),
            dialling_in_vain: BTreeSet::new(),
            swallows_dials: false,
            early_candidates: 0,
            candidates_told: BTreeMap::new(),
            dead_are_silent: false,
        };
        world.at(PLAYER_TICK_MS, Happening::Player);
        world
    }

    /// Another film for all masternodes, a column each.
    pub(crate) fn publish(&mut self, film: &Rc<Published>) {
        for (at, node) in (0..).zip(&mut self.nodes) {
            let column: ColumnSet = [ColumnIndex::new(at).unwrap()].into_iter().collect();
            node.held.insert(film.id(), (Rc::clone(film), column));
        }
        let records = self.nodes.iter().map(|node| node.provider_record(film.id()));
        let records: Vec<_> = records.collect();
        self.nodes.iter_mut().for_each(|node| node.known.extend(records.iter().cloned()));
    }

    /// A browser whose page names the first masternodes.
    pub(crate) fn viewer(&mut self, change: impl FnOnce(&mut EngineConfig)) -> usize {
        let number = u8::try_from(self.viewers.len()).unwrap() + 1;
        let mut config = EngineConfig::new([number; 32], [number + 50; 32]);
        let entries = self.nodes.iter().take(2).map(|node| node.address.parse().unwrap());
        config.entries = entries.collect();
        config.window_bytes = 1 << 20;
        change(&mut config);
        self.viewers.push(Viewer::new(config));
        self.viewers.len() - 1
    }

    pub(crate) fn random(&mut self) -> u64 {
        // SplitMix64.
        self.seed = self.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.seed;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn at(&mut self, time: u64, happening: Happening) {
        self.serial += 1;
        self.queue.insert((time.max(self.now), self.serial), happening);
    }

    /// A masternode is gone: SIGKILL.
    pub(crate) fn kill(&mut self, node: usize) {
        self.alive[node] = false;
        for number in 0..self.connections.len() {
            let connection = &self.connections[number];
            if connection.ends.contains(&End::Node(node)) && connection.is_up {
                let at = self.now + connection.latency_ms;
                self.at(at, Happening::Down(number));
            }
        }
    }

    pub(crate) fn revive(&mut self, node: usize) {
        self.alive[node] = true;
    }

    /// A browser is gone without a word; the others' connections notice after a while.
    pub(crate) fn leave(&mut self, viewer: usize) {
        self.viewers[viewer].is_gone = true;
        // Its sockets close with the tab; peer connections only fall silent.
        for number in 0..self.connections.len() {
            let Connection { ends, is_up, .. } = self.connections[number];
            if let (End::Viewer(from, _), End::Node(_), true) = (ends[0], ends[1], is_up)
                && from == viewer
            {
                self.hang_up(number, 0);
            }
        }
        for number in 0..self.rtcs.len() {
            if self.rtcs[number].viewer == viewer
                && let Some(remote) = self.rtcs[number].remote
            {
                self.at(self.now + RTC_SILENCE_MS, Happening::Rtc(remote, RtcEvent::Down));
            }
        }
    }

    /// Go on until `until` says so, for `limit_ms` at most; whether it did.
    pub(crate) fn run(&mut self, limit_ms: u64, mut until: impl FnMut(&Self) -> bool) -> bool {
        let end = self.now + limit_ms;
        loop {
            (0..self.viewers.len()).for_each(|viewer| self.carry_out(viewer));
            if until(self) {
                return true;
            }
            let queued = self.queue.first_key_value().map(|((time, _), _)| *time);
            let nodes = self.nodes.iter().zip(&self.alive).filter(|(_, alive)| **alive);
            let nodes = nodes.filter_map(|(node, _)| node.next_timeout());
            let viewers = self.viewers.iter().filter(|viewer| !viewer.is_gone);
            let viewers = viewers.filter_map(|viewer| viewer.engine.next_timeout());
            let timer = nodes.chain(viewers).map(|at| at.0.max(self.now + 1)).min();
            let next = queued.into_iter().chain(timer).min().unwrap_or(end);
            if next > end {
                self.now = end;
                return false;
            }
            self.now = self.now.max(next);
            self.ticks();
            while let Some(entry) = self.queue.first_entry() {
                if entry.key().0 > self.now {
                    break;
                }
                let happening = entry.remove();
                self.happen(happening);
            }
        }
    }

    fn ticks(&mut self) {
        let now = Instant(self.now);
        for node in 0..self.nodes.len() {
            if self.alive[node] && self.nodes[node].next_timeout().is_some_and(|at| at <= now) {
                let acts = self.nodes[node].tick(now);
                self.act(node, acts);
            }
        }
        for viewer in self.viewers.iter_mut().filter(|viewer| !viewer.is_gone) {
            if viewer.engine.next_timeout().is_some_and(|at| at <= now) {
                viewer.tell(now.0, Input::Tick);
            }
        }
    }

    fn happen(&mut self, happening: Happening) {
        let now = self.now;
        match happening {
            Happening::Player => {
                let viewers = self.viewers.iter_mut().filter(|viewer| !viewer.is_gone);
                viewers.for_each(|viewer| viewer.pull(now));
                self.at(now + PLAYER_TICK_MS, Happening::Player);
            }
            Happening::Arrive(number) => {
                let (end, latency_ms) =
                    (self.connections[number].ends[1], self.connections[number].latency_ms);
                let End::Node(node) = end else { return };
                if !self.alive[node] && self.dead_are_silent {
                    return;
                }
                if !self.alive[node] {
                    return self.at(now + latency_ms, Happening::Down(number));
                }
                let nonce = [u8::try_from(self.random() % 256).unwrap(); 32];
                let link = u64::try_from(number).unwrap();
                let protocol = self.connections[number].protocol;
                self.nodes[node].accept(Instant(now), link, protocol, nonce);
                self.connections[number].is_up = true;
                self.at(now + latency_ms, Happening::Up(number));
            }
            Happening::Refused(viewer, link) => {
                if self.dialling_in_vain.remove(&(viewer, link)) {
                    self.viewers[viewer].tell(now, Input::LinkDown { link });
                }
            }
            Happening::Up(number) => {
                self.connections[number].is_pending = false;
                for side in [0, 1] {
                    let up = |link| Input::LinkUp { link, fingerprints: None };
                    self.tell_viewer(number, side, up);
                }
            }
            Happening::Bytes(number, side, bytes) => {
                if let (Some(rate), End::Viewer(viewer, _)) =
                    (self.intake_bytes_per_ms, self.connections[number].ends[side])
                {
                    let free_at = self.taken_in_at.get(&viewer).copied().unwrap_or(0).max(now);
                    let at = free_at + u64::try_from(bytes.len()).unwrap().div_ceil(rate);
                    self.taken_in_at.insert(viewer, at);
                    return self.at(at, Happening::TakenIn(number, side, bytes));
                }
                self.happen(Happening::TakenIn(number, side, bytes));
            }
            Happening::TakenIn(number, side, bytes) => {
                (now, &bytes).hash(&mut self.trace);
                match self.connections[number].ends[side] {
                    End::Viewer(..) => {
                        self.tell_viewer(number, side, |link| Input::LinkBytes { link, bytes });
                    }
                    End::Node(node) if self.connections[number].is_up && self.alive[node] => {
                        let link = u64::try_from(number).unwrap();
                        let acts = self.nodes[node].bytes(Instant(now), link, &bytes);
                        self.act(node, acts);
                    }
                    End::Node(_) => {}
                }
            }
            Happening::Flushed(number, side, bytes) => {
                self.tell_viewer(number, side, |link| Input::LinkFlushed { link, bytes });
            }
            Happening::Down(number) => {
                for side in [0, 1] {
                    self.tell_viewer(number, side, |link| Input::LinkDown { link });
                }
                self.connections[number].is_up = false;
                self.connections[number].is_pending = false;
            }
            Happening::Rtc(number, event) => {
                let Rtc { viewer, rtc, is_open, .. } = self.rtcs[number];
                if is_open && !self.viewers[viewer].is_gone {
                    self.viewers[viewer].tell(now, Input::Rtc { rtc, event });
                }
            }
            Happening::Forward { node, link, message } => {
                if self.alive[node] {
                    let acts = self.nodes[node].forwarded(Instant(now), link, message);
                    self.act(node, acts);
                }
            }
        }
    }

    fn tell_viewer(&mut self, number: usize, side: usize, input: impl FnOnce(LinkId) -> Input) {
        let End::Viewer(viewer, link) = self.connections[number].ends[side] else { return };
        let viewer = &mut self.viewers[viewer];
        if viewer.connections.get(&link) == Some(&(number, side)) && !viewer.is_gone {
            viewer.tell(self.now, input(link));
        }
    }

    fn act(&mut self, node: usize, acts: Vec<Act>) {
        for act in acts {
            match act {
                Act::Send(link, bytes) => {
                    self.carry(usize::try_from(link).unwrap(), 1, bytes);
                }
                Act::Close(link) => {
                    let number = usize::try_from(link).unwrap();
                    let at = self.now + self.connections[number].latency_ms;
                    self.at(at, Happening::Down(number));
                }
                Act::Dial(peer) => self.link_relays(node, peer),
                Act::Forward(link, message) => {
                    let other = self.relay_links[&(node, link)];
                    self.at(self.now + 10, Happening::Forward { node: other, link, message });
                }
            }
        }
    }

    fn link_relays(&mut self, node: usize, peer: PeerId) {
        let now = Instant(self.now);
        let other = self.nodes.iter().position(|it| it.peer() == peer);
        let Some(other) = other.filter(|other| self.alive[*other]) else {
            return self.nodes[node].dial_failed(now, peer);
        };
        let link = RELAY_LINKS + u64::try_from(self.relay_links.len()).unwrap();
        self.relay_links.extend([((node, link), other), ((other, link), node)]);
        let own = self.nodes[node].peer();
        let acts = self.nodes[other].relay_up(now, link, own);
        self.act(other, acts);
        let acts = self.nodes[node].relay_up(now, link, peer);
        self.act(node, acts);
    }

    /// When so many bytes are through.
    fn through(&mut self, number: usize, way: usize, bytes: usize) -> u64 {
        let jitter_ms = if self.jitter_ms > 0 { self.random() % self.jitter_ms } else { 0 };
        let connection = &mut self.connections[number];
        let takes = u64::try_from(bytes).unwrap() / connection.bytes_per_ms;
        let busy = connection.busy_until[way].max(self.now) + takes;
        connection.busy_until[way] = busy;
        let at = busy + connection.latency_ms + jitter_ms;
        connection.there_at[way] = connection.there_at[way].max(at);
        connection.there_at[way]
    }

    /// Carry bytes to the other end, piece by piece; when the last are there.
    fn carry(&mut self, number: usize, from: usize, mut bytes: Bytes) -> u64 {
        let mut at = self.now;
        while !bytes.is_empty() {
            let piece = bytes.split_to(bytes.len().min(PIECE_BYTES));
            at = self.through(number, from, piece.len());
            self.at(at, Happening::Bytes(number, 1 - from, piece));
        }
        at
    }

    fn connect(&mut self, ends: [End; 2], protocol: Protocol) -> usize {
        let number = self.connections.len();
        let drawn = (5 + self.random() % 40, 200 + self.random() % 800);
        let (latency_ms, bytes_per_ms) = self.link.unwrap_or(drawn);
        let busy_until = [0; 2];
        let there_at = [0; 2];
        let connection = Connection {
            ends,
            protocol,
            latency_ms,
            bytes_per_ms,
            busy_until,
            there_at,
            is_up: false,
            is_pending: false,
        };
        self.connections.push(connection);
        for (side, end) in ends.into_iter().enumerate() {
            if let End::Viewer(viewer, link) = end {
                self.viewers[viewer].connections.insert(link, (number, side));
            }
        }
        number
    }

    /// Connections that a viewer is dialling now.
    pub(crate) fn pending(&self, viewer: usize) -> usize {
        let pending = self.connections.iter().filter(|it| it.is_pending);
        pending.filter(|it| matches!(it.ends[0], End::Viewer(of, _) if of == viewer)).count()
    }

    /// Connections that a viewer dialled so far to have shards over them.
    pub(crate) fn dialed(&self, viewer: usize) -> usize {
        let of = |it: &&Connection| matches!(it.ends, [End::Viewer(of, _), End::Node(_)] if of == viewer);
        let of_viewer = self.connections.iter().filter(of);
        of_viewer.filter(|it| it.protocol == Protocol::Fetch).count()
    }

    /// For how long Chromium delays a WebSocket, by how many its process has pending.
    fn throttle_ms(&mut self, viewer: usize) -> u64 {
        let pending = self.pending(viewer).min(16);
        ((1_000 + self.random() % 4_000) << pending) >> 16
    }

    fn carry_out(&mut self, viewer: usize) {
        while let Some(output) = self.viewers[viewer].engine.poll() {
            if self.viewers[viewer].is_gone {
                continue;
            }
            let Some(output) = self.viewers[viewer].on(self.now, output) else { continue };
            match output {
                Output::Dial { link, address, protocol } => {
                    let text = address.to_string();
                    (self.now, link, &text).hash(&mut self.trace);
                    let node = self.nodes.iter().position(|node| text.starts_with(&node.address));
                    let Some(node) = node else {
                        self.dialled_in_vain.insert(text);
                        self.dialling_in_vain.insert((viewer, link));
                        if !self.swallows_dials {
                            self.at(self.now + 1, Happening::Refused(viewer, link));
                        }
                        continue;
                    };
                    let ends = [End::Viewer(viewer, link), End::Node(node)];
                    let number = self.connect(ends, protocol);
                    self.connections[number].is_pending = true;
                    let delay_ms = self.throttle_ms(viewer);
                    let at = self.now + delay_ms + self.connections[number].latency_ms;
                    self.at(at, Happening::Arrive(number));
                }
                Output::Send { link, bytes } => self.send(viewer, link, bytes),
                Output::CloseLink { link } => {
                    self.dialling_in_vain.remove(&(viewer, link));
                    let connection = self.viewers[viewer].connections.remove(&link);
                    let Some((number, side)) = connection else { continue };
                    self.hang_up(number, side);
                }
                Output::Rtc { rtc, command } => self.rtc(viewer, rtc, command),
                _ => {}
            }
        }
    }

    fn send(&mut self, viewer: usize, link: LinkId, mut bytes: Bytes) {
        (self.now, link, &bytes).hash(&mut self.trace);
        let Some((number, side)) = self.viewers[viewer].connections.get(&link).copied() else {
            return;
        };
        let to_viewer = matches!(self.connections[number].ends[1 - side], End::Viewer(..));
        if self.viewers[viewer].lies && to_viewer && bytes.len() > 1_000 {
            let mut lie = bytes.to_vec();
            let middle = lie.len() - 100;
            lie[middle] ^= 1;
            bytes = lie.into();
        }
        let taken = u64::try_from(bytes.len()).unwrap();
        if let Some(rate) = self.viewers[viewer].uplink_bytes_per_ms.filter(|_| to_viewer) {
            self.connections[number].bytes_per_ms = rate;
        }
        let withholds = self.viewers[viewer].withholds && to_viewer && bytes.len() > 1_000;
        let at = if withholds { self.now } else { self.carry(number, side, bytes) };
        self.at(at, Happening::Flushed(number, side, taken));
    }

    fn hang_up(&mut self, number: usize, side: usize) {
        self.connections[number].is_up = false;
        self.connections[number].is_pending = false;
        match self.connections[number].ends[1 - side] {
            End::Node(node) if self.alive[node] => {
                let link = u64::try_from(number).unwrap();
                self.nodes[node].link_down(Instant(self.now), link);
            }
            End::Node(_) => {}
            End::Viewer(..) => {
                let at = self.now + self.connections[number].latency_ms;
                self.at(at, Happening::Down(number));
            }
        }
    }

    fn rtc(&mut self, viewer: usize, rtc: RtcId, command: RtcCommand) {
        let known = self.rtcs.iter().position(|it| (it.viewer, it.rtc) == (viewer, rtc));
        match command {
            RtcCommand::Offer { links } => self.describe(viewer, rtc, links, None),
            RtcCommand::Answer { links, offer } => {
                let remote = self.rtcs.iter().position(|it| it.sdp == offer);
                let remote = remote.expect("an offer as it was made");
                self.describe(viewer, rtc, links, Some(remote));
            }
            RtcCommand::SetAnswer { sdp } => {
                let number = known.expect("a connection that was made");
                let remote = self.rtcs.iter().position(|it| it.sdp == sdp);
                let remote = remote.expect("an answer as it was made");
                self.rtcs[number].remote = Some(remote);
                let other = self.rtcs[remote].viewer;
                for (mine, theirs) in
                    self.rtcs[number].links.into_iter().zip(self.rtcs[remote].links)
                {
                    let ends = [End::Viewer(viewer, mine), End::Viewer(other, theirs)];
                    let connection = self.connect(ends, Protocol::Fetch);
                    self.at(self.now + self.rtc_ms, Happening::Up(connection));
                }
            }
            RtcCommand::AddCandidate(candidate) => {
                assert!(candidate.candidate.starts_with("candidate:"));
                *self.candidates_told.entry(viewer).or_default() += 1;
            }
            RtcCommand::Close => {
                let number = known.expect("a connection that was made");
                self.rtcs[number].is_open = false;
                for link in self.rtcs[number].links {
                    self.viewers[viewer].connections.remove(&link);
                }
                if let Some(remote) = self.rtcs[number].remote {
                    self.at(self.now + 30, Happening::Rtc(remote, RtcEvent::Down));
                }
            }
            other => panic!("{other:?}"),
        }
    }

    fn describe(&mut self, viewer: usize, rtc: RtcId, links: [LinkId; 2], remote: Option<usize>) {
        let number = self.rtcs.len();
        let fingerprint = vec![format!("{number:02X}"); 32].join(":");
        let sdp = format!("v=0\r\na=fingerprint:sha-256 {fingerprint}\r\n");
        self.rtcs.push(Rtc { viewer, rtc, links, sdp: sdp.clone(), remote, is_open: true });
        let candidate = Candidate {
            candidate: format!("candidate:{number} 1 udp 1 192.0.2.1 9 typ host"),
            sdp_mid: Some("0".to_owned()),
            sdp_m_line_index: Some(0),
        };
        let found = || Happening::Rtc(number, RtcEvent::LocalCandidate(candidate.clone()));
        (0..self.early_candidates).for_each(|_| self.at(self.now + 4, found()));
        self.at(self.now + 5, Happening::Rtc(number, RtcEvent::LocalDescription { sdp }));
        self.at(self.now + 6, found());
        self.at(self.now + 7, Happening::Rtc(number, RtcEvent::CandidatesDone));
    }

    pub(crate) fn fingerprint(&self) -> u64 {
        self.trace.finish()
    }
}
