//! What a session tells the node's purse, and what it is told to say.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use libp2p::Multiaddr;
use pop_erasure::Content;
use pop_exchange::LinkId;
use pop_incentive::ids::LineId;
use pop_incentive::quote::Demand;
use pop_wire::PeerId;
use tokio::sync::mpsc;

use crate::money::{self, Purse, Traffic, Wanted, Word};
use crate::node::Inner;
use crate::stats::Stats;

/// The session's side of paying; does nothing where nothing is paid.
pub(super) struct Payments {
    payer: Option<Payer>,
}

struct Payer {
    purse: Purse,
    stats: Arc<Stats>,
    /// Of one holder.
    wanted: Wanted,
    say: mpsc::UnboundedSender<Word>,
    lines: BTreeMap<LinkId, (LineId, PeerId)>,
    traffic: BTreeMap<PeerId, Traffic>,
}

impl Payments {
    /// For the fetch of `content`; and what is to be said on its links.
    pub(super) fn start(inner: &Inner, content: &Content) -> (Self, mpsc::UnboundedReceiver<Word>) {
        let (say, words) = mpsc::unbounded_channel();
        let money = inner.money.as_ref();
        let purse = money.and_then(|money| Some((money.purse.clone()?, money.price_max?)));
        let payer = purse.map(|(purse, rate_max)| Payer {
            stats: Arc::clone(&inner.stats),
            purse,
            wanted: Wanted {
                demand: Demand {
                    content: content.id(),
                    rate_max,
                    peak_min_kbps: money::kbps(content.manifest()),
                },
                column_bytes: content.layout().column_bytes(),
                shard_bytes: content.manifest().shard_bytes.into(),
            },
            say,
            lines: BTreeMap::new(),
            traffic: BTreeMap::new(),
        });
        (Self { payer }, words)
    }

    /// Whether anything is paid.
    pub(super) fn is_paying(&self) -> bool {
        self.payer.is_some()
    }

    /// A link to a holder is up.
    pub(super) fn link_up(&mut self, link: LinkId, peer: PeerId, addresses: &[Multiaddr]) {
        let Some(payer) = &mut self.payer else { return };
        let line = payer.purse.new_line();
        payer.lines.insert(link, (line, peer));
        let place = (peer, money::prefix_of(addresses.first()));
        payer.purse.opened((line, link), place, payer.wanted, payer.say.clone());
    }

    /// A link is gone.
    pub(super) fn link_down(&mut self, link: LinkId) {
        let Some(payer) = &mut self.payer else { return };
        if let Some((line, peer)) = payer.lines.remove(&link) {
            payer.purse.closed(line, peer);
        }
    }

    /// A holder said something about payment.
    pub(super) fn heard(&self, link: LinkId, peer: PeerId, body: Bytes) {
        let Some(payer) = &self.payer else { return };
        payer.stats.payment_said_or_heard(body.len());
        if let Some((line, _)) = payer.lines.get(&link) {
            payer.purse.heard(*line, peer, body);
        }
    }

    /// So much more was asked of a holder, or came from it.
    pub(super) fn count(&mut self, peer: PeerId, asked: u64, received: u64) {
        let Some(payer) = &mut self.payer else { return };
        let fresh = Traffic { peer, asked: 0, received: 0 };
        let traffic = payer.traffic.entry(peer).or_insert(fresh);
        traffic.asked += asked;
        traffic.received += received;
    }

    /// Nothing more is wanted for now.
    pub(super) fn rest(&mut self) {
        self.report();
        if let Some(payer) = &self.payer {
            payer.purse.rest(payer.lines.values().map(|(_, peer)| *peer).collect());
        }
    }

    /// Tell what was counted since the last time.
    pub(super) fn report(&mut self) {
        let Some(payer) = &mut self.payer else { return };
        if !payer.traffic.is_empty() {
            let traffic = core::mem::take(&mut payer.traffic);
            payer.purse.traffic(traffic.into_values().collect());
        }
    }
}

impl Drop for Payments {
    fn drop(&mut self) {
        self.report();
        let Some(payer) = &mut self.payer else { return };
        for (line, peer) in core::mem::take(&mut payer.lines).into_values() {
            payer.purse.closed(line, peer);
        }
    }
}
