//! The relay: hands envelopes over to whoever is attached now, learns nothing else and keeps
//! nothing. Normative text: `spec/signal.md` §6 and §7.
//!
//! ```text
//!  viewer ══ link ══► Relay ── Send{link, …} ──► viewer
//!                       │ ▲
//!              Forward, │ │ Forward,
//!              Members  ▼ │ Elsewhere
//!                    other relays
//! ```
//!
//! ```
//! use bytes::Bytes;
//! use pop_signal::message::{Attachment, Destination};
//! use pop_signal::relay::{Input, Output, Relay, RelayConfig};
//! use pop_signal::{Address, Envelope, LinkId, Prefix, RelayMessage, Rendezvous};
//! use pop_wire::{Instant, Keypair};
//!
//! let me = Keypair::from_secret_bytes(&[1; 32])?.peer_id();
//! let mut relay = Relay::new(me, RelayConfig::default(), [2; 32]);
//! let now = Instant(0);
//! let (alice, bob) = (LinkId(1), LinkId(2));
//! let prefix = |last| Prefix::of([192, 0, 2, last].into());
//! relay.handle(now, Input::ClientUp { link: alice, prefix: prefix(1) })?;
//! relay.handle(now, Input::ClientUp { link: bob, prefix: prefix(2) })?;
//!
//! let rendezvous = Rendezvous([3; 32]);
//! let message = RelayMessage::Attach { rendezvous, attachment: Attachment::Once };
//! relay.handle(now, Input::Message { link: bob, message })?;
//! let envelope = Envelope::from_bytes(Bytes::from(vec![0; 896]))?;
//! let to = Address { relay: me, rendezvous };
//! let message = RelayMessage::Send { to, envelope: envelope.clone() };
//! relay.handle(now, Input::Message { link: alice, message })?;
//!
//! let to = Destination::Rendezvous(rendezvous);
//! let message = RelayMessage::Deliver { to, envelope };
//! assert_eq!(relay.poll(), Some(Output::Send { link: bob, message }));
//! assert_eq!(relay.poll(), None);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod attached;
mod bucket;
mod clients;
mod config;
mod gatherings;
mod memory;
mod peers;
mod port;
mod serving;

use std::collections::VecDeque;

use pop_wire::{Instant, PeerId};

use self::attached::Attached;
use self::clients::Clients;
use self::gatherings::{Gatherings, Route};
use self::peers::{Peers, Way};
use crate::entropy::Entropy;
use crate::envelope::Envelope;
use crate::limits::{MASTERNODES_MAX, SWEEP_MS};
use crate::message::Destination;
use crate::topic::Topic;
use crate::{LinkId, Prefix, RelayMessage, Rendezvous};

pub use self::bucket::Rate;
pub use self::config::RelayConfig;
pub use self::port::{CloseReason, Input, Output, Refusals, RelayHoldings, RelayStats};

/// The shell's own mistake; the relay is unchanged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RelayError {
    /// The link is up already; every link needs a number of its own.
    #[error("{link}: already up")]
    LinkInUse {
        /// The link.
        link: LinkId,
    },
}

/// The machine of one relay. Hand in what happens with [`handle`](Self::handle), then drain
/// [`poll`](Self::poll) to `None`, and wake it at [`next_timeout`](Self::next_timeout).
#[derive(Debug)]
pub struct Relay {
    me: PeerId,
    config: RelayConfig,
    entropy: Entropy,
    clients: Clients,
    attached: Attached,
    gatherings: Gatherings,
    peers: Peers,
    outputs: VecDeque<Output>,
    output_bytes: usize,
    stats: RelayStats,
    next_sweep: Instant,
}

impl Relay {
    /// A relay that is the masternode `me`. `seed` is 32 random bytes: who of several gets an
    /// announcement follows from it.
    pub fn new(me: PeerId, config: RelayConfig, seed: [u8; 32]) -> Self {
        Self {
            me,
            config,
            entropy: Entropy::new(seed),
            clients: Clients::new(),
            attached: Attached::default(),
            gatherings: Gatherings::new(me),
            peers: Peers::default(),
            outputs: VecDeque::new(),
            output_bytes: 0,
            stats: RelayStats::default(),
            next_sweep: Instant(0),
        }
    }

    /// Take what happened. A message of a link that is not up (any more) is ignored.
    ///
    /// # Errors
    /// [`RelayError`]: the caller's fault.
    pub fn handle(&mut self, now: Instant, input: Input) -> Result<(), RelayError> {
        if now >= self.next_sweep {
            self.sweep(now);
        }
        match input {
            Input::ClientUp { link, prefix } => self.client_up(now, link, prefix)?,
            Input::RelayUp { link, peer } => self.relay_up(now, link, peer)?,
            Input::LinkDown { link } => self.forget(link),
            Input::Message { link, message } => self.message(now, link, message),
            Input::DialFailed { peer } => {
                let dropped = self.peers.give_up(&peer);
                self.count_dropped(dropped);
            }
            Input::Known { masternodes } => {
                self.gatherings.know(masternodes.into_iter().take(MASTERNODES_MAX).collect());
            }
            Input::Tick => {}
        }
        Ok(())
    }

    /// The next thing to do.
    pub fn poll(&mut self) -> Option<Output> {
        let output = self.outputs.pop_front()?;
        if let Output::Send { message, .. } = &output {
            self.output_bytes -= message.frame_bytes();
        }
        if self.outputs.is_empty() {
            // A burst's room is given back with the burst.
            self.outputs = VecDeque::new();
        }
        Some(output)
    }

    /// When to hand in a [`Input::Tick`] if nothing else happens; `None` while there is nothing
    /// that could run out.
    pub fn next_timeout(&self) -> Option<Instant> {
        let RelayHoldings { clients, relays, topics, prefixes, waiting, .. } = self.holdings();
        let idle = clients + relays + topics + prefixes + waiting == 0;
        (!idle).then_some(self.next_sweep)
    }

    /// Counters for the operator.
    pub fn stats(&self) -> RelayStats {
        self.stats
    }

    /// How much it holds now.
    pub fn holdings(&self) -> RelayHoldings {
        let (waiting, waiting_bytes) = self.peers.waiting();
        RelayHoldings {
            clients: self.clients.len(),
            relays: self.peers.len(),
            rendezvous: self.attached.len(),
            topics: self.gatherings.topics(),
            members: self.gatherings.joins() + self.gatherings.reports(),
            prefixes: self.clients.prefixes(),
            waiting,
            waiting_bytes,
            outputs: self.outputs.len(),
            output_bytes: self.output_bytes,
        }
    }

    fn client_up(&mut self, now: Instant, link: LinkId, prefix: Prefix) -> Result<(), RelayError> {
        self.check_new(link)?;
        match self.clients.add(&self.config, now, link, prefix) {
            Ok(()) => {}
            Err(reason) => self.outputs.push_back(Output::Close { link, reason }),
        }
        Ok(())
    }

    fn relay_up(&mut self, now: Instant, link: LinkId, peer: PeerId) -> Result<(), RelayError> {
        self.check_new(link)?;
        let added = if self.gatherings.knows(&peer) && peer != self.me {
            self.peers.add(&self.config, now, link, peer)
        } else {
            Err(CloseReason::UnknownRelay)
        };
        match added {
            Ok(waited) => waited.into_iter().for_each(|message| self.send(link, message)),
            Err(reason) => self.outputs.push_back(Output::Close { link, reason }),
        }
        Ok(())
    }

    fn check_new(&self, link: LinkId) -> Result<(), RelayError> {
        if self.clients.contains(link) || self.peers.contains(link) {
            return Err(RelayError::LinkInUse { link });
        }
        Ok(())
    }

    fn message(&mut self, now: Instant, link: LinkId, message: RelayMessage) {
        let bytes = u64::try_from(message.frame_bytes()).unwrap_or(u64::MAX);
        self.stats.received += 1;
        self.stats.received_bytes += bytes;
        if self.clients.contains(link) {
            match self.clients.charge(&self.config, now, link, bytes) {
                Ok(()) => self.client_says(now, link, message),
                Err(refusal) => self.over_rate(link, &refusal),
            }
        } else if self.peers.contains(link) {
            match self.peers.charge(&self.config, now, link, bytes) {
                Some(peer) => self.relay_says(now, link, peer, message),
                // A relay is not told: it can't do anything about it, nor can those behind it.
                None => self.stats.refused.relay_rate += 1,
            }
        }
    }

    fn relay_says(&mut self, now: Instant, link: LinkId, peer: PeerId, message: RelayMessage) {
        self.stats.taken_over += u64::from(matches!(message, RelayMessage::Forward { .. }));
        match message {
            RelayMessage::Forward { to: Destination::Rendezvous(rendezvous), envelope, .. } => {
                self.deliver(now, rendezvous, envelope);
            }
            RelayMessage::Forward { to: Destination::Topic(topic), last, envelope } => {
                let entropy = &mut self.entropy;
                let route = self.gatherings.route_of_relay(now, &topic, peer, last, entropy);
                self.hand_on(now, topic, envelope, route);
            }
            RelayMessage::Members { topic, count } => self.report(now, link, peer, topic, count),
            RelayMessage::Elsewhere { topic, count } => {
                self.gatherings.elsewhere(now, &topic, peer, count);
            }
            RelayMessage::Attach { .. }
            | RelayMessage::Detach { .. }
            | RelayMessage::Join { .. }
            | RelayMessage::Leave { .. }
            | RelayMessage::Send { .. }
            | RelayMessage::Announce { .. }
            | RelayMessage::Deliver { .. }
            | RelayMessage::Refused { .. } => self.close(link, CloseReason::Unexpected),
        }
    }

    fn report(&mut self, now: Instant, link: LinkId, peer: PeerId, topic: Topic, count: u32) {
        let full = self.gatherings.topics() >= self.config.topics_max
            && !self.gatherings.contains(&topic)
            || !self.gatherings.takes_report(&topic, &peer, self.config.reports_max);
        if full && count > 0 {
            self.stats.refused.full += 1;
            return;
        }
        let elsewhere = self.gatherings.report(now, topic, peer, count);
        self.send(link, RelayMessage::Elsewhere { topic, count: elsewhere });
    }

    fn deliver(&mut self, now: Instant, rendezvous: Rendezvous, envelope: Envelope) {
        let to = Destination::Rendezvous(rendezvous);
        let message = RelayMessage::Deliver { to, envelope };
        let Some((link, last)) = self.attached.deliver(now, &rendezvous, message.frame_bytes())
        else {
            self.stats.dropped += 1;
            return;
        };
        if last && let Some(client) = self.clients.get_mut(link) {
            client.rendezvous.remove(&rendezvous);
        }
        self.send(link, message);
    }

    /// spec/signal.md §6.4: an announcement MUST go to one at most.
    fn hand_on(&mut self, now: Instant, topic: Topic, envelope: Envelope, route: Option<Route>) {
        let to = Destination::Topic(topic);
        match route {
            Some(Route::Client(link)) => {
                self.send(link, RelayMessage::Deliver { to, envelope });
            }
            Some(Route::Relay { peer, last }) => {
                self.send_to_relay(now, peer, RelayMessage::Forward { to, last, envelope });
            }
            None => self.stats.dropped += 1,
        }
    }

    fn send_to_relay(&mut self, now: Instant, peer: PeerId, message: RelayMessage) {
        match self.peers.send(&self.config, now, peer, message) {
            Way::Link(link, message) => self.send(link, message),
            Way::Dial => self.outputs.push_back(Output::Dial { peer }),
            Way::Waits => {}
            Way::Dropped => self.stats.dropped += 1,
        }
    }

    fn send(&mut self, link: LinkId, message: RelayMessage) {
        let bytes = message.frame_bytes();
        if self.output_bytes + bytes > self.config.output_bytes_max {
            self.stats.dropped += 1;
            return;
        }
        self.output_bytes += bytes;
        match message {
            RelayMessage::Deliver { .. } => self.stats.letters_out += 1,
            RelayMessage::Forward { .. } => self.stats.handed_over += 1,
            _ => {}
        }
        self.stats.sent += 1;
        self.stats.sent_bytes += u64::try_from(bytes).unwrap_or(u64::MAX);
        self.outputs.push_back(Output::Send { link, message });
    }

    fn close(&mut self, link: LinkId, reason: CloseReason) {
        self.forget(link);
        self.outputs.push_back(Output::Close { link, reason });
    }

    fn forget(&mut self, link: LinkId) {
        self.peers.remove(link);
        let Some(client) = self.clients.remove(link) else { return };
        client.rendezvous.iter().for_each(|rendezvous| self.attached.detach(rendezvous));
        // Nobody is told that a client is gone: counts run out by themselves.
        for topic in &client.topics {
            self.gatherings.leave(topic, link);
        }
    }

    fn sweep(&mut self, now: Instant) {
        self.next_sweep = now.after_ms(SWEEP_MS);
        for (rendezvous, link) in self.attached.sweep(now) {
            if let Some(client) = self.clients.get_mut(link) {
                client.rendezvous.remove(&rendezvous);
            }
        }
        for (topic, link) in self.gatherings.sweep(now) {
            if let Some(client) = self.clients.get_mut(link) {
                client.topics.remove(&topic);
            }
        }
        let (dropped, idle) = self.peers.sweep(now);
        self.count_dropped(dropped);
        let idle_clients = self.clients.sweep(&self.config, now);
        for link in idle.into_iter().chain(idle_clients) {
            self.close(link, CloseReason::Idle);
        }
    }

    fn count_dropped(&mut self, messages: usize) {
        self.stats.dropped += u64::try_from(messages).unwrap_or(u64::MAX);
    }
}
