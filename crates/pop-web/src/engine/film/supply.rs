//! Links to those who have shards, and what they are told.

use bytes::Bytes;
use pop_exchange::fetcher;
use pop_incentive::purse::Wanted;
use pop_incentive::quote::Demand;
use pop_incentive::rate::Rate;
use pop_wire::{Amount, ColumnSet, Message, PeerId};

use super::Film;
use crate::engine::LinkId;
use crate::engine::hub::Hub;
use crate::engine::money::{self, News};

impl Film {
    /// The transport of a source's link is up.
    pub(in crate::engine) fn link_up(&self, hub: &mut Hub, link: LinkId) {
        if self.playing.is_some() {
            hub.shake(link);
        }
    }

    /// A holder proved who it is.
    pub(in crate::engine) fn proven(&mut self, hub: &mut Hub, link: LinkId, peer: PeerId) {
        match self.sources.proven(link, peer) {
            Some(columns) if !hub.is_liar(&peer) => {
                self.source(hub, link, peer, columns, fetcher::SourceKind::Masternode);
            }
            _ => {
                self.sources.forget(&peer);
                hub.close(link);
            }
        }
    }

    /// Another viewer of this film can be asked over this link.
    pub(in crate::engine) fn viewer_up(&mut self, hub: &mut Hub, link: LinkId, peer: PeerId) {
        let Some(playing) = &self.playing else { return hub.close(link) };
        let columns = ColumnSet::all(playing.content.layout().geometry().n());
        self.sources.viewer_up(link, peer);
        self.source(hub, link, peer, columns, fetcher::SourceKind::Viewer);
    }

    fn source(
        &mut self,
        hub: &mut Hub,
        link: LinkId,
        peer: PeerId,
        columns: ColumnSet,
        kind: fetcher::SourceKind,
    ) {
        self.tell(hub, fetcher::Input::LinkUp { link, peer, columns, kind });
    }

    pub(in crate::engine) fn message(&mut self, hub: &Hub, link: LinkId, message: Message) {
        self.tell(hub, fetcher::Input::Message { link, message });
    }

    /// A link is gone, and whoever carried it knows.
    pub(in crate::engine) fn link_down(&mut self, hub: &mut Hub, link: LinkId) {
        let report = self
            .playing
            .as_ref()
            .and_then(|playing| playing.fetcher.sources().find(|report| report.link == link));
        let received = report.map_or(0, |report| report.received_bytes);
        self.sources.down(hub, link, received);
        if let Some(playing) = &mut self.playing {
            playing.announced.remove(&link);
        }
        hub.news.push(News::LinkDown { link });
        self.tell(hub, fetcher::Input::LinkDown { link });
    }

    /// Say something about money to a source.
    pub(in crate::engine) fn pay(&mut self, hub: &Hub, link: LinkId, body: Bytes) {
        self.tell(hub, fetcher::Input::Payment { link, body });
    }

    /// What a source costs beside others.
    pub(in crate::engine) fn price(&mut self, hub: &Hub, peer: PeerId, price_rank: u64) {
        self.tell(hub, fetcher::Input::Price { peer, price_rank });
    }

    /// What is to be paid for; the most is the purse's to say.
    pub(super) fn wanted(&self) -> Option<Wanted> {
        let manifest = self.playing.as_ref()?.content.manifest();
        let rate_max = Rate::new(Amount::from_base_units(1))?;
        let peak_min_kbps = money::kbps(manifest);
        let demand = Demand { content: self.content, rate_max, peak_min_kbps };
        Some(Wanted { demand, shard_bytes: manifest.shard_bytes.into() })
    }
}
