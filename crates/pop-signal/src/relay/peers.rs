use std::collections::{BTreeMap, BTreeSet, VecDeque};

use pop_wire::{Instant, PeerId};

use super::bucket::Bucket;
use super::{CloseReason, RelayConfig};
use crate::limits::{DIAL_TIMEOUT_MS, LINKS_PER_RELAY_MAX, RELAY_IDLE_MS};
use crate::{LinkId, RelayMessage};

/// A link to another relay.
#[derive(Debug)]
pub(super) struct RelayLink {
    peer: PeerId,
    bucket: Bucket,
    used_at: Instant,
}

/// A relay that is being dialled, and what waits for it.
#[derive(Debug)]
pub(super) struct Dialing {
    waiting: VecDeque<RelayMessage>,
    until: Instant,
}

/// How a message gets to another relay.
pub(super) enum Way {
    /// On this link, now.
    Link(LinkId, RelayMessage),
    /// It waits; dial.
    Dial,
    /// It waits for a dial under way.
    Waits,
    /// There is no room for it.
    Dropped,
}

/// The other relays.
#[derive(Debug, Default)]
pub(super) struct Peers {
    by_link: BTreeMap<LinkId, RelayLink>,
    by_peer: BTreeMap<PeerId, BTreeSet<LinkId>>,
    dialing: BTreeMap<PeerId, Dialing>,
    waiting: usize,
    waiting_bytes: usize,
}

impl Peers {
    pub(super) fn len(&self) -> usize {
        self.by_link.len()
    }

    pub(super) fn waiting(&self) -> (usize, usize) {
        (self.waiting, self.waiting_bytes)
    }

    pub(super) fn contains(&self, link: LinkId) -> bool {
        self.by_link.contains_key(&link)
    }

    /// A link is up. What waited for it.
    pub(super) fn add(
        &mut self,
        config: &RelayConfig,
        now: Instant,
        link: LinkId,
        peer: PeerId,
    ) -> Result<VecDeque<RelayMessage>, CloseReason> {
        let links = self.by_peer.get(&peer).map_or(0, BTreeSet::len);
        if self.by_link.len() >= config.relays_max || links >= LINKS_PER_RELAY_MAX {
            return Err(CloseReason::TooManyLinks);
        }
        let bucket = Bucket::full(&config.relay_rate, now);
        self.by_link.insert(link, RelayLink { peer, bucket, used_at: now });
        self.by_peer.entry(peer).or_default().insert(link);
        Ok(self.stop_waiting(&peer))
    }

    pub(super) fn remove(&mut self, link: LinkId) {
        let Some(gone) = self.by_link.remove(&link) else { return };
        if let Some(links) = self.by_peer.get_mut(&gone.peer) {
            links.remove(&link);
            if links.is_empty() {
                self.by_peer.remove(&gone.peer);
            }
        }
    }

    /// A relay can't be reached: what waited for it is dropped. How many that were.
    pub(super) fn give_up(&mut self, peer: &PeerId) -> usize {
        self.stop_waiting(peer).len()
    }

    fn stop_waiting(&mut self, peer: &PeerId) -> VecDeque<RelayMessage> {
        let waiting = self.dialing.remove(peer).map(|it| it.waiting).unwrap_or_default();
        self.waiting -= waiting.len();
        self.waiting_bytes -= waiting.iter().map(RelayMessage::frame_bytes).sum::<usize>();
        waiting
    }

    /// Charge a message of `bytes` that came on `link`; from whom, if it may send it.
    pub(super) fn charge(
        &mut self,
        config: &RelayConfig,
        now: Instant,
        link: LinkId,
        bytes: u64,
    ) -> Option<PeerId> {
        let relay = self.by_link.get_mut(&link)?;
        relay.used_at = now;
        relay.bucket.take(&config.relay_rate, now, bytes).ok().map(|()| relay.peer)
    }

    /// Bring `message` on its way to `peer`.
    pub(super) fn send(
        &mut self,
        config: &RelayConfig,
        now: Instant,
        peer: PeerId,
        message: RelayMessage,
    ) -> Way {
        if let Some(link) = self.by_peer.get(&peer).and_then(BTreeSet::first).copied() {
            if let Some(relay) = self.by_link.get_mut(&link) {
                relay.used_at = now;
            }
            return Way::Link(link, message);
        }
        let bytes = message.frame_bytes();
        let room = self.waiting_bytes + bytes <= config.waiting_bytes_max;
        let under_way = self.dialing.contains_key(&peer);
        if !room || (!under_way && self.dialing.len() >= config.dials_max) {
            return Way::Dropped;
        }
        let until = now.after_ms(DIAL_TIMEOUT_MS);
        let dialing =
            self.dialing.entry(peer).or_insert_with(|| Dialing { waiting: VecDeque::new(), until });
        // What waits must not keep a buffer of the shell's alive.
        dialing.waiting.push_back(message.detached());
        self.waiting += 1;
        self.waiting_bytes += bytes;
        if under_way { Way::Waits } else { Way::Dial }
    }

    /// Give up on dials that take too long; how many messages were dropped. And the links that
    /// nobody has used for long.
    pub(super) fn sweep(&mut self, now: Instant) -> (usize, Vec<LinkId>) {
        let late = |(peer, it): (&PeerId, &Dialing)| (now >= it.until).then_some(*peer);
        let late: Vec<PeerId> = self.dialing.iter().filter_map(late).collect();
        let dropped = late.iter().map(|peer| self.give_up(peer)).sum();
        let idle = |relay: &RelayLink| now.since_ms(relay.used_at) >= RELAY_IDLE_MS;
        let idle = self.by_link.iter().filter(|(_, relay)| idle(relay)).map(|(link, _)| *link);
        (dropped, idle.collect())
    }
}
