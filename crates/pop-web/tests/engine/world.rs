//! Virtual time, and connections with latency and bandwidth between viewers and masternodes.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::rc::Rc;

use bytes::Bytes;
use pop_web::engine::{EngineConfig, Input, LinkId, Output};
use pop_wire::{ColumnIndex, ColumnSet, Instant};

use crate::masternode::{Act, Masternode, Published};
use crate::viewer::Viewer;

/// How often players look at their clocks, in milliseconds.
const PLAYER_TICK_MS: u64 = 50;

struct Connection {
    viewer: usize,
    link: LinkId,
    node: usize,
    latency_ms: u64,
    bytes_per_ms: u64,
    /// When the last byte each way is through the pipe.
    busy_until: [u64; 2],
    is_up: bool,
}

enum Happening {
    /// The connection reaches the masternode.
    Arrive(usize),
    /// The browser is told.
    Up(usize),
    ToViewer(usize, Bytes),
    ToNode(usize, Bytes),
    Down(usize),
    Flushed(usize, u64),
    Player,
}

pub struct World {
    pub now: u64,
    seed: u64,
    pub nodes: Vec<Masternode>,
    pub alive: Vec<bool>,
    pub viewers: Vec<Viewer>,
    connections: Vec<Connection>,
    queue: BTreeMap<(u64, u64), Happening>,
    serial: u64,
    pub trace: DefaultHasher,
}

pub fn seed() -> u64 {
    let seed = std::env::var("POP_TEST_SEED").ok().and_then(|text| text.parse().ok());
    let seed = seed.unwrap_or(1);
    println!("POP_TEST_SEED={seed}");
    seed
}

impl World {
    /// `count` masternodes, each with a column of the film, all known to each other.
    pub fn new(seed: u64, count: u8, film: &Rc<Published>) -> Self {
        let mut nodes: Vec<Masternode> = (0..count).map(|at| Masternode::new(at + 1)).collect();
        for (at, node) in (0..).zip(&mut nodes) {
            let column: ColumnSet = [ColumnIndex::new(at).unwrap()].into_iter().collect();
            node.held.insert(film.id(), (Rc::clone(film), column));
        }
        let providers: Vec<_> = nodes.iter().map(|node| node.provider_record(film.id())).collect();
        let records: Vec<_> = nodes.iter().map(Masternode::masternode_record).collect();
        for node in &mut nodes {
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
            queue: BTreeMap::new(),
            serial: 0,
            trace: DefaultHasher::new(),
        };
        world.at(PLAYER_TICK_MS, Happening::Player);
        world
    }

    /// A browser whose page names the first masternodes.
    pub fn viewer(&mut self, change: impl FnOnce(&mut EngineConfig)) -> usize {
        let number = u8::try_from(self.viewers.len()).unwrap() + 1;
        let mut config = EngineConfig::new([number; 32], [number + 50; 32]);
        let entries = self.nodes.iter().take(2).map(|node| node.address.parse().unwrap());
        config.entries = entries.collect();
        config.window_bytes = 1 << 20;
        change(&mut config);
        self.viewers.push(Viewer::new(config));
        self.viewers.len() - 1
    }

    pub fn random(&mut self) -> u64 {
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
    pub fn kill(&mut self, node: usize) {
        self.alive[node] = false;
        for connection in 0..self.connections.len() {
            if self.connections[connection].node == node && self.connections[connection].is_up {
                let at = self.now + self.connections[connection].latency_ms;
                self.at(at, Happening::Down(connection));
            }
        }
    }

    pub fn revive(&mut self, node: usize) {
        self.alive[node] = true;
    }

    /// Go on until `until` says so, for `limit_ms` at most; whether it did.
    pub fn run(&mut self, limit_ms: u64, mut until: impl FnMut(&Self) -> bool) -> bool {
        let end = self.now + limit_ms;
        loop {
            (0..self.viewers.len()).for_each(|viewer| self.carry_out(viewer));
            if until(self) {
                return true;
            }
            let queued = self.queue.first_key_value().map(|((time, _), _)| *time);
            let nodes = self.nodes.iter().zip(&self.alive).filter(|(_, alive)| **alive);
            let nodes = nodes.filter_map(|(node, _)| node.next_timeout());
            let viewers = self.viewers.iter().filter_map(|viewer| viewer.engine.next_timeout());
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
                self.act(acts);
            }
        }
        for viewer in &mut self.viewers {
            if viewer.engine.next_timeout().is_some_and(|at| at <= now) {
                viewer.tell(now.0, Input::Tick);
            }
        }
    }

    fn happen(&mut self, happening: Happening) {
        let now = self.now;
        match happening {
            Happening::Player => {
                self.viewers.iter_mut().for_each(|viewer| viewer.pull(now));
                self.at(now + PLAYER_TICK_MS, Happening::Player);
            }
            Happening::Arrive(number) => {
                let (node, latency_ms) =
                    (self.connections[number].node, self.connections[number].latency_ms);
                if !self.alive[node] {
                    return self.at(now + latency_ms, Happening::Down(number));
                }
                let nonce = [u8::try_from(self.random() % 256).unwrap(); 32];
                let link = u64::try_from(number).unwrap();
                self.nodes[node].accept(Instant(now), link, nonce);
                self.connections[number].is_up = true;
                self.at(now + latency_ms, Happening::Up(number));
            }
            Happening::Up(number) => {
                self.to_viewer(number, |link| Input::LinkUp { link, fingerprints: None })
            }
            Happening::ToViewer(number, bytes) => {
                bytes.hash(&mut self.trace);
                self.to_viewer(number, |link| Input::LinkBytes { link, bytes });
            }
            Happening::Flushed(number, bytes) => {
                self.to_viewer(number, |link| Input::LinkFlushed { link, bytes });
            }
            Happening::ToNode(number, bytes) => {
                let node = self.connections[number].node;
                if self.connections[number].is_up && self.alive[node] {
                    let link = u64::try_from(number).unwrap();
                    let acts = self.nodes[node].bytes(Instant(now), link, &bytes);
                    self.act(acts);
                }
            }
            Happening::Down(number) => {
                self.to_viewer(number, |link| Input::LinkDown { link });
                self.connections[number].is_up = false;
            }
        }
    }

    fn to_viewer(&mut self, number: usize, input: impl FnOnce(LinkId) -> Input) {
        let Connection { viewer, link, .. } = self.connections[number];
        let viewer = &mut self.viewers[viewer];
        if viewer.connections.get(&link) == Some(&number) {
            viewer.tell(self.now, input(link));
        }
    }

    fn act(&mut self, acts: Vec<Act>) {
        for act in acts {
            match act {
                Act::Send(link, bytes) => {
                    let number = usize::try_from(link).unwrap();
                    let at = self.through(number, 1, bytes.len());
                    self.at(at, Happening::ToViewer(number, bytes));
                }
                Act::Close(link) => {
                    let number = usize::try_from(link).unwrap();
                    let at = self.now + self.connections[number].latency_ms;
                    self.at(at, Happening::Down(number));
                }
            }
        }
    }

    /// When so many bytes are through.
    fn through(&mut self, number: usize, way: usize, bytes: usize) -> u64 {
        let connection = &mut self.connections[number];
        let takes = u64::try_from(bytes).unwrap() / connection.bytes_per_ms;
        let busy = connection.busy_until[way].max(self.now) + takes;
        connection.busy_until[way] = busy;
        busy + connection.latency_ms
    }

    fn carry_out(&mut self, viewer: usize) {
        while let Some(output) = self.viewers[viewer].engine.poll() {
            let Some(output) = self.viewers[viewer].on(self.now, output) else { continue };
            match output {
                Output::Dial { link, address, .. } => {
                    let text = address.to_string();
                    (self.now, link, &text).hash(&mut self.trace);
                    let node = self.nodes.iter().position(|node| text.starts_with(&node.address));
                    let node = node.expect("an address of this network");
                    let number = self.connections.len();
                    let latency_ms = 5 + self.random() % 40;
                    let bytes_per_ms = 200 + self.random() % 800;
                    self.connections.push(Connection {
                        viewer,
                        link,
                        node,
                        latency_ms,
                        bytes_per_ms,
                        busy_until: [0; 2],
                        is_up: false,
                    });
                    self.viewers[viewer].connections.insert(link, number);
                    self.at(self.now + latency_ms, Happening::Arrive(number));
                }
                Output::Send { link, bytes } => {
                    (self.now, link, &bytes).hash(&mut self.trace);
                    let Some(number) = self.viewers[viewer].connections.get(&link).copied() else {
                        continue;
                    };
                    let at = self.through(number, 0, bytes.len());
                    let taken = u64::try_from(bytes.len()).unwrap();
                    self.at(at, Happening::ToNode(number, bytes));
                    self.at(at, Happening::Flushed(number, taken));
                }
                Output::CloseLink { link } => {
                    let Some(number) = self.viewers[viewer].connections.remove(&link) else {
                        continue;
                    };
                    let node = self.connections[number].node;
                    self.connections[number].is_up = false;
                    if self.alive[node] {
                        let link = u64::try_from(number).unwrap();
                        self.nodes[node].link_down(Instant(self.now), link);
                    }
                }
                _ => {}
            }
        }
    }

    pub fn fingerprint(&self) -> u64 {
        self.trace.finish()
    }
}
