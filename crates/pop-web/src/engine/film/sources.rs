//! Who has shards of a film: holders that are dialled, viewers that came by signalling.

use pop_exchange::fetcher::{self, Fetcher};
use pop_incentive::exposure::IpPrefix;
use pop_wire::sorted::SortedMap;
use pop_wire::{ColumnSet, ContentId, Instant, PeerId, ProviderRecord, Signed};

use crate::engine::directory::Directory;
use crate::engine::hub::Hub;
use crate::engine::limits::{
    HOLDER_LINKS_MAX, HOLDERS_MAX, START_MS, START_PATIENCE_MS, START_SPARE_PART,
};
use crate::engine::money::prefix_of;
use crate::engine::reach::Reach;
use crate::engine::wire::Purpose;
use crate::engine::{Address, Event, FilmId, LinkId, SourceKind, SourceState, SourceStats};

#[derive(Debug)]
struct Holder {
    columns: ColumnSet,
    reach: Reach,
    /// Of the record that says so: several masternodes bring the same one.
    signature: Option<[u8; 64]>,
    dialed_at: Instant,
    /// Over links that are gone, in bytes.
    received_before: u64,
    /// The fetching machine has its link.
    is_asked: bool,
}

#[derive(Debug)]
pub(super) struct Sources {
    film: FilmId,
    content: ContentId,
    holders: SortedMap<PeerId, Holder>,
    /// Links to other viewers, and over them what came.
    viewers: SortedMap<LinkId, PeerId>,
    /// From viewers that are gone, in bytes.
    viewers_before: u64,
    /// From masternodes that are forgotten, in bytes.
    holders_before: u64,
    /// Since when there is somebody to dial.
    began_at: Option<Instant>,
}

impl Holder {
    /// Whether its columns can be counted on: it is linked to, or is being dialled and not late.
    fn is_hopeful(&self, now: Instant) -> bool {
        let waits = now < self.dialed_at.after_ms(START_PATIENCE_MS);
        self.reach.is_up() || (self.reach.link().is_some() && waits)
    }
}

impl Sources {
    pub(super) fn new(film: FilmId, content: ContentId) -> Self {
        Self {
            film,
            content,
            holders: SortedMap::new(),
            viewers: SortedMap::new(),
            viewers_before: 0,
            holders_before: 0,
            began_at: None,
        }
    }

    /// Take in who holds what. Verifies before it believes; a later word replaces an earlier one.
    /// Returns links that are to be closed because the machine must learn of other columns.
    pub(super) fn learn(
        &mut self,
        hub: &Hub,
        directory: &Directory,
        records: Vec<Signed<ProviderRecord>>,
    ) -> Vec<LinkId> {
        let mut changed = Vec::new();
        for signed in records {
            let signature = Some(*signed.signature());
            if self.holders.values().any(|holder| holder.signature == signature) {
                continue;
            }
            let Ok(record) = signed.verify() else { continue };
            let is_news = record.content == self.content
                && record.is_alive(hub.wall)
                && !record.columns.is_empty()
                && record.peer != hub.own_peer()
                && !hub.is_liar(&record.peer);
            if is_news {
                let own = record.addresses.iter().filter_map(|it| Address::from_binary(it).ok());
                let known = directory.addresses(&record.peer).iter().cloned();
                let addresses = hub.dialable(own.chain(known));
                changed.extend(self.holder(record.peer, record.columns, addresses));
                if let Some(holder) = self.holders.get_mut(&record.peer) {
                    holder.signature = signature;
                }
            }
        }
        changed
    }

    /// A holder by its own word: what it answered when it was asked.
    pub(super) fn holder(
        &mut self,
        peer: PeerId,
        columns: ColumnSet,
        addresses: Vec<Address>,
    ) -> Option<LinkId> {
        let room = self.holders.len() < HOLDERS_MAX;
        let Some(holder) = self.holders.get_mut(&peer) else {
            if room && !addresses.is_empty() {
                let reach = Reach::new(addresses);
                let holder = Holder {
                    columns,
                    reach,
                    signature: None,
                    dialed_at: Instant::default(),
                    received_before: 0,
                    is_asked: false,
                };
                self.holders.insert(peer, holder);
            }
            return None;
        };
        holder.reach.set_addresses(addresses);
        let is_other = holder.columns != columns;
        holder.columns = columns;
        holder.reach.link().filter(|_| is_other && holder.is_asked)
    }

    pub(super) fn holders(&self) -> impl Iterator<Item = PeerId> + '_ {
        self.holders.keys().copied()
    }

    /// Dial whoever is due. While a film starts, which needs `needed` columns, that is no more than
    /// bring it so many and some to spare: each link takes a handshake of its own from the first frame.
    pub(super) fn connect(&mut self, hub: &mut Hub, needed: Option<usize>) {
        if self.holders.is_empty() {
            return;
        }
        let now = hub.now;
        let starts = now < self.began_at.get_or_insert(now).after_ms(START_MS);
        let needed = needed.filter(|_| starts).map(|needed| needed + needed / START_SPARE_PART + 1);
        let linked = self.holders.values().filter(|holder| holder.reach.link().is_some()).count();
        let mut room = HOLDER_LINKS_MAX.saturating_sub(linked);
        let hopeful = self.holders.values().filter(|holder| holder.is_hopeful(now));
        let mut within: ColumnSet = hopeful.flat_map(|holder| holder.columns.iter()).collect();
        let due = |(_, holder): &(&PeerId, &Holder)| holder.reach.is_due(now);
        let mut due: Vec<_> = self.holders.iter().filter(due).collect();
        // Whoever had no turn yet; of these columns of data, with which nothing must be computed.
        due.sort_by_key(|(_, holder)| (holder.dialed_at, holder.columns.iter().next()));
        let due: Vec<PeerId> = due.into_iter().map(|(peer, _)| *peer).collect();
        for peer in due {
            let Some(holder) = self.holders.get_mut(&peer) else { continue };
            let with = within.union(&holder.columns);
            let is_wanted = needed.is_none_or(|needed| within.len() < needed && with != within);
            if room > 0 && is_wanted && hub.may_dial() {
                (room, within) = (room - 1, with);
                holder.dialed_at = now;
                holder.reach.dial(hub, Purpose::Fetch(self.film), Some(peer));
            }
        }
    }

    pub(super) fn next_timeout(&self) -> Option<Instant> {
        self.holders.values().filter_map(|holder| holder.reach.due_at()).min()
    }

    pub(super) fn retry_now(&mut self, now: Instant) {
        self.holders.values_mut().for_each(|holder| holder.reach.retry_now(now));
    }

    /// Links to holders, in any state.
    pub(super) fn links(&self) -> Vec<LinkId> {
        let holders = self.holders.values().filter_map(|holder| holder.reach.link());
        holders.chain(self.viewers.keys().copied()).collect()
    }

    /// Forget the holders; their links are given back to be closed.
    pub(super) fn let_masternodes_go(&mut self) -> Vec<LinkId> {
        let holders = core::mem::take(&mut self.holders).into_values();
        holders.filter_map(|holder| holder.reach.link()).collect()
    }

    pub(super) fn viewer_links(&self) -> Vec<LinkId> {
        self.viewers.keys().copied().collect()
    }

    /// A holder proved who it is: what it is said to hold, or `None` if it is not wanted.
    pub(super) fn proven(&mut self, link: LinkId, peer: PeerId) -> Option<ColumnSet> {
        let holder = self.holders.get_mut(&peer)?;
        (holder.reach.link() == Some(link)).then(|| {
            holder.reach.proven();
            holder.is_asked = true;
            holder.columns
        })
    }

    /// Where a source is, for bounds on what is at risk there.
    pub(super) fn prefix(&self, peer: &PeerId) -> IpPrefix {
        let address = self.holders.get(peer).and_then(|holder| holder.reach.address());
        prefix_of(address.map(|address| &address.host))
    }

    /// Another viewer's link is up.
    pub(super) fn viewer_up(&mut self, link: LinkId, peer: PeerId) {
        self.viewers.insert(link, peer);
    }

    /// A source said hello: it can be asked.
    pub(super) fn greeted(&mut self, hub: &mut Hub, peer: PeerId, link: LinkId) {
        if let Some(holder) = self.holders.get_mut(&peer) {
            holder.reach.useful();
        }
        let kind = match self.viewers.contains_key(&link) {
            true => SourceKind::Viewer,
            false => SourceKind::Masternode,
        };
        hub.event(Event::SourceUp { film: self.film, peer, kind });
    }

    /// What kind of node a source is, or was: its link may be gone.
    pub(super) fn kind_of(&self, peer: &PeerId) -> SourceKind {
        match self.holders.contains_key(peer) {
            true => SourceKind::Masternode,
            false => SourceKind::Viewer,
        }
    }

    /// A link is gone; so much came over it.
    pub(super) fn down(&mut self, hub: &mut Hub, link: LinkId, received_bytes: u64) {
        let film = self.film;
        if let Some(peer) = self.viewers.remove(&link) {
            self.viewers_before += received_bytes;
            hub.event(Event::SourceDown { film, peer, kind: SourceKind::Viewer });
            return;
        }
        let found = self.holders.iter_mut().find(|(_, it)| it.reach.link() == Some(link));
        let Some((peer, holder)) = found else { return };
        let peer = *peer;
        holder.received_before += received_bytes;
        holder.reach.down(hub.now);
        if core::mem::take(&mut holder.is_asked) {
            hub.event(Event::SourceDown { film, peer, kind: SourceKind::Masternode });
        }
        if hub.is_liar(&peer) {
            self.forget(&peer);
        }
    }

    /// Never ask a peer again.
    pub(super) fn forget(&mut self, peer: &PeerId) {
        if let Some(holder) = self.holders.remove(peer) {
            self.holders_before += holder.received_before;
        }
    }

    /// Bytes of use from masternodes and from viewers.
    pub(super) fn received(&self, fetcher: &Fetcher) -> (u64, u64) {
        let before = self.holders.values().map(|holder| holder.received_before).sum::<u64>();
        let (mut masternodes, mut viewers) = (before + self.holders_before, self.viewers_before);
        for report in fetcher.sources() {
            match report.kind {
                fetcher::SourceKind::Viewer => viewers += report.received_bytes,
                _ => masternodes += report.received_bytes,
            }
        }
        (masternodes, viewers)
    }

    /// A look at each source.
    pub(super) fn report(&self, fetcher: Option<&Fetcher>, max: usize) -> Vec<SourceStats> {
        let reports: SortedMap<LinkId, _> =
            fetcher.into_iter().flat_map(Fetcher::sources).map(|it| (it.link, it)).collect();
        let stats = |peer: PeerId, kind, link: Option<LinkId>, columns, before| {
            let report = link.and_then(|link| reports.get(&link));
            let state = match report {
                Some(report) if report.live => SourceState::Live,
                Some(_) => SourceState::Resting,
                None if link.is_some() => SourceState::Connecting,
                None => SourceState::Gone,
            };
            SourceStats {
                peer,
                kind,
                state,
                columns,
                received_bytes: before + report.map_or(0, |it| it.received_bytes),
                sent_bytes: 0,
                bytes_per_s: report.and_then(|it| it.bytes_per_s).unwrap_or(0),
                in_flight: report.map_or(0, |it| it.in_flight),
            }
        };
        let holders = self.holders.iter().map(|(peer, it)| {
            let (link, columns) = (it.reach.link(), it.columns.len());
            let kind = SourceKind::Masternode;
            let mut stats = stats(*peer, kind, link, columns, it.received_before);
            if stats.state == SourceState::Gone && !it.reach.has_failed() {
                stats.state = SourceState::Connecting;
            }
            stats
        });
        let n = fetcher.map_or(0, |it| it.content().layout().geometry().n());
        let viewers = self
            .viewers
            .iter()
            .map(|(link, peer)| stats(*peer, SourceKind::Viewer, Some(*link), usize::from(n), 0));
        viewers.chain(holders).take(max).collect()
    }
}
