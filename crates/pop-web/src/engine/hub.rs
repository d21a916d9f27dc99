//! What all parts of the engine share: time, keys, randomness, links, what is to be done.

use pop_erasure::VerifiedShard;
use pop_exchange::Introduction;
use pop_wire::sorted::{SortedMap, SortedSet};
use pop_wire::{Instant, Keypair, Message, PeerId, UnixTime};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

use super::cache::Cache;
use super::limits::{DIALS_FRESH_MAX, DIALS_MAX, LIARS_MAX};
use super::money::News;
use super::outbox::Outbox;
use super::wire::{Purpose, Shaking, Wires};
use super::{
    Address, CacheKey, EngineConfig, Event, LinkId, Output, Protocol, RtcId, SourceKind, Token,
    Transport,
};

pub(super) struct Hub {
    pub(super) now: Instant,
    pub(super) wall: UnixTime,
    pub(super) config: EngineConfig,
    pub(super) keypair: Keypair,
    pub(super) outbox: Outbox,
    pub(super) wires: Wires,
    pub(super) cache: Cache,
    pub(super) is_online: bool,
    /// Whether sources are paid.
    pub(super) pays: bool,
    /// For whoever keeps accounts.
    pub(super) news: Vec<News>,
    /// Connections to other viewers of which a channel was closed here.
    orphans: SortedSet<RtcId>,
    rng: ChaCha20Rng,
    /// Who broke a rule, and as which of all that did, the last time.
    liars: SortedMap<PeerId, u64>,
    accusations: u64,
    next_link: u64,
    next_token: u64,
}

impl Hub {
    pub(super) fn new(mut config: EngineConfig, keypair: Keypair) -> Self {
        let mut outbox = Outbox::default();
        let cached = core::mem::take(&mut config.cached);
        let cache = Cache::new(config.cache_bytes_max, &cached, &mut outbox);
        Self {
            now: Instant::default(),
            wall: UnixTime::default(),
            rng: ChaCha20Rng::from_seed(*config.seed),
            config,
            keypair,
            outbox,
            cache,
            wires: Wires::default(),
            is_online: true,
            pays: false,
            news: Vec::new(),
            orphans: SortedSet::new(),
            liars: SortedMap::new(),
            accusations: 0,
            next_link: 0,
            next_token: 0,
        }
    }

    pub(super) fn own_peer(&self) -> PeerId {
        self.keypair.peer_id()
    }

    pub(super) fn introduction() -> Introduction {
        let agent = concat!("pop-web/", env!("CARGO_PKG_VERSION")).to_owned();
        Introduction { agent, masternode: None }
    }

    pub(super) fn random(&mut self) -> [u8; 32] {
        let mut bytes = [0; 32];
        self.rng.fill_bytes(&mut bytes);
        bytes
    }

    pub(super) fn new_link(&mut self) -> LinkId {
        self.next_link += 1;
        LinkId(self.next_link)
    }

    pub(super) fn new_token(&mut self) -> Token {
        self.next_token += 1;
        Token(self.next_token)
    }

    /// Keep the k shards of a segment that was fetched.
    pub(super) fn keep(&mut self, key: CacheKey, shards: &[VerifiedShard]) {
        let token = self.new_token();
        self.cache.keep(key, shards, token, &mut self.outbox);
    }

    /// Have a segment loaded; whether it is in memory, or on its way.
    pub(super) fn load(&mut self, key: CacheKey) -> bool {
        let token = self.new_token();
        self.cache.load(key, token, &mut self.outbox)
    }

    pub(super) fn event(&mut self, event: Event) {
        self.outbox.push(Output::Event(event));
    }

    /// Whether another link may be dialled now.
    pub(super) fn may_dial(&self) -> bool {
        let (fresh, all) = self.wires.dialing(self.now);
        self.is_online && fresh < DIALS_FRESH_MAX && all < DIALS_MAX
    }

    pub(super) fn can_dial(&self, address: &Address) -> bool {
        let is_direct = matches!(address.transport, Transport::WebRtcDirect { .. });
        (address.is_secure() || !self.config.secure_page) && (self.config.webrtc || !is_direct)
    }

    /// Those that this browser can dial, WebSockets first.
    pub(super) fn dialable(&self, addresses: impl IntoIterator<Item = Address>) -> Vec<Address> {
        let mut found: Vec<Address> = Vec::new();
        for address in addresses {
            if self.can_dial(&address) && !found.contains(&address) {
                found.push(address);
            }
        }
        found.sort_by_key(|it| matches!(it.transport, Transport::WebRtcDirect { .. }));
        found
    }

    pub(super) fn dial(
        &mut self,
        address: Address,
        purpose: Purpose,
        expected: Option<PeerId>,
    ) -> LinkId {
        let link = self.new_link();
        let protocol = match purpose {
            Purpose::Ask => Protocol::Ask,
            Purpose::Signal => Protocol::Signal,
            Purpose::Ledger => Protocol::Ledger,
            Purpose::Fetch(_) | Purpose::FetchFromViewer(..) | Purpose::Serve(_) => Protocol::Fetch,
        };
        self.wires.insert(link, purpose, expected, self.now);
        self.outbox.push(Output::Dial { link, address, protocol });
        link
    }

    /// Begin the handshake of a link that is up.
    pub(super) fn shake(&mut self, link: LinkId) {
        let nonce = self.random();
        let with = Shaking { now: self.now, keypair: &self.keypair, nonce };
        self.wires.shake(link, with, &mut self.outbox);
    }

    pub(super) fn send(&mut self, link: LinkId, message: &Message) {
        if self.wires.is_open(link) {
            self.outbox.message(link, message);
        }
    }

    /// Send, and have it counted until the transport takes it.
    pub(super) fn send_counted(&mut self, link: LinkId, message: &Message) {
        if self.wires.is_open(link) {
            let bytes = self.outbox.message(link, message);
            self.wires.sent(link, bytes);
        }
    }

    /// Close a link that is of no use any more; whoever owns it knows.
    pub(super) fn close(&mut self, link: LinkId) {
        let Some((purpose, _)) = self.wires.remove(link) else { return };
        if let Purpose::Serve(rtc) | Purpose::FetchFromViewer(_, rtc) = purpose {
            self.orphans.insert(rtc);
        }
        self.outbox.push(Output::CloseLink { link });
    }

    /// Connections to other viewers that lost a channel since the last call: they have no use for
    /// the other.
    pub(super) fn take_orphans(&mut self) -> SortedSet<RtcId> {
        core::mem::take(&mut self.orphans)
    }

    /// A peer broke a rule: it is named, and asked for nothing any more.
    pub(super) fn accuse(&mut self, peer: PeerId, kind: SourceKind, rule: String) {
        if self.liars.len() >= LIARS_MAX && !self.is_liar(&peer) {
            let first = self.liars.iter().min_by_key(|(_, serial)| **serial);
            let first = first.map(|(peer, _)| *peer);
            first.and_then(|first| self.liars.remove(&first));
        }
        self.accusations += 1;
        self.liars.insert(peer, self.accusations);
        self.event(Event::PeerFault { peer, kind, rule });
    }

    pub(super) fn is_liar(&self, peer: &PeerId) -> bool {
        self.liars.contains_key(peer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(number: usize) -> PeerId {
        let mut secret = [3; 32];
        secret[30..].copy_from_slice(&u16::try_from(number).unwrap().to_be_bytes());
        Keypair::from_secret_bytes(&secret).unwrap().peer_id()
    }

    #[test]
    fn of_too_many_liars_the_last_are_known_and_every_one_is_named() {
        let config = EngineConfig::new([1; 32], [2; 32]);
        let keypair = Keypair::from_secret_bytes(&config.secret).unwrap();
        let mut hub = Hub::new(config, keypair);
        let liars: Vec<PeerId> = (0..LIARS_MAX + 10).map(peer).collect();
        for liar in &liars {
            // Twice in a row, as one who has two links.
            for _ in 0..2 {
                hub.accuse(*liar, SourceKind::Viewer, "it lied".to_owned());
            }
        }
        let named = core::iter::from_fn(|| hub.outbox.pop());
        let named = named.filter(|it| matches!(it, Output::Event(Event::PeerFault { .. })));
        assert_eq!(named.count(), 2 * liars.len());
        let known = |liar: &PeerId| hub.is_liar(liar);
        assert!(liars[10..].iter().all(known), "the last ones are refused");
        assert!(!liars[..10].iter().any(known), "the first are forgotten");
        assert_eq!(hub.liars.len(), LIARS_MAX);
    }
}
