//! Masternodes that answer questions: the entries that the page named, then those that they name.

use pop_exchange::LinkId;
use pop_exchange::asker::{self, Answer, Asker, Failure, Question};
use pop_wire::{Instant, MasternodeRecord, Message, PeerId, Signed};

use super::hub::Hub;
use super::limits::{ASKERS_MAX, ENTRIES_MAX, MASTERNODES_MAX, MORE_ASKERS_MAX};
use super::reach::Reach;
use super::wire::Purpose;
use super::{Address, EngineError, Event, SourceKind};

/// What questions led to.
#[derive(Debug)]
pub(super) enum Word {
    /// A masternode can be asked.
    Greeted(LinkId),
    /// The end of a question.
    Answered(LinkId, Question, Result<Answer, Failure>),
}

/// A masternode, or an entry of which it is not known yet who it is.
#[derive(Debug)]
struct Place {
    peer: Option<PeerId>,
    reach: Reach,
    /// Asked although there are enough others.
    is_extra: bool,
    greeted: bool,
    relays: bool,
    /// Of the record that was believed last: others say the same again and again.
    signature: Option<[u8; 64]>,
}

#[derive(Debug)]
pub(super) struct Directory {
    asker: Asker,
    /// Entries first.
    places: Vec<Place>,
    entries: usize,
    /// Nobody can be reached, and that was said.
    lost: bool,
}

impl Directory {
    pub(super) fn new(hub: &Hub) -> Result<Self, EngineError> {
        let asker = Asker::new(Hub::introduction());
        let asker = asker.map_err(|_| EngineError::Setting { field: "agent" })?;
        let entries = hub.config.entries.iter().take(ENTRIES_MAX);
        let place = |address: &Address| Place {
            peer: address.peer,
            reach: Reach::new(hub.dialable([address.clone()])),
            is_extra: false,
            greeted: false,
            relays: false,
            signature: None,
        };
        let places: Vec<_> = entries.map(place).collect();
        Ok(Self { asker, entries: places.len(), places, lost: false })
    }

    /// Keep a few links; `want_any` says that somebody has something to ask.
    pub(super) fn connect(&mut self, hub: &mut Hub, want_any: bool) {
        if !want_any {
            return;
        }
        let linked = self.places.iter().filter(|it| it.reach.link().is_some() && !it.is_extra);
        let mut room = ASKERS_MAX.saturating_sub(linked.count());
        for place in &mut self.places {
            let wanted = place.is_extra || room > 0;
            let is_liar = place.peer.is_some_and(|peer| hub.is_liar(&peer));
            if wanted && !is_liar && place.reach.is_due(hub.now) && hub.may_dial() {
                room = room.saturating_sub(usize::from(!place.is_extra));
                place.reach.dial(hub, Purpose::Ask, place.peer);
            }
        }
    }

    /// Take in where masternodes are. Verifies before it believes.
    pub(super) fn learn(&mut self, hub: &Hub, records: Vec<Signed<MasternodeRecord>>) {
        for signed in records {
            let signature = Some(*signed.signature());
            if self.places.iter().any(|place| place.signature == signature) {
                continue;
            }
            let Ok(record) = signed.verify() else { continue };
            if !record.is_alive(hub.wall) || record.peer == hub.own_peer() {
                continue;
            }
            let addresses = record.addresses.iter().filter_map(|it| Address::from_binary(it).ok());
            let addresses = hub.dialable(addresses);
            let relays = record.seal_key.is_some();
            let room = self.places.len() < MASTERNODES_MAX;
            match self.places.iter_mut().find(|place| place.peer == Some(record.peer)) {
                Some(place) => {
                    place.relays = relays;
                    place.signature = signature;
                    place.reach.set_addresses(addresses);
                }
                None if room && !addresses.is_empty() => {
                    let peer = Some(record.peer);
                    let reach = Reach::new(addresses);
                    let (is_extra, greeted) = (false, false);
                    self.places.push(Place { peer, reach, is_extra, greeted, relays, signature });
                }
                None => {}
            }
        }
    }

    /// Addresses of a masternode, if they are known.
    pub(super) fn addresses(&self, peer: &PeerId) -> &[Address] {
        let place = self.places.iter().find(|place| place.peer == Some(*peer));
        place.map_or(&[], |place| place.reach.addresses())
    }

    /// Masternodes that relay signalling, those with a link first.
    pub(super) fn relays(&self) -> Vec<(PeerId, Vec<Address>)> {
        let of = |place: &&Place| place.relays && !place.reach.addresses().is_empty();
        let mut relays: Vec<&Place> = self.places.iter().filter(of).collect();
        relays.sort_by_key(|place| !place.greeted);
        let named = relays.into_iter().filter_map(|it| Some((it.peer?, it.reach.addresses())));
        named.map(|(peer, addresses)| (peer, addresses.to_vec())).collect()
    }

    /// Ask others as well: those who were asked don't know a content that these hold.
    pub(super) fn ask_also(&mut self, peers: impl IntoIterator<Item = PeerId>) {
        let mut room = MORE_ASKERS_MAX
            .saturating_sub(self.places.iter().filter(|place| place.is_extra).count());
        for peer in peers {
            let place = self.places.iter_mut().find(|place| place.peer == Some(peer));
            let Some(place) = place.filter(|it| !it.is_extra && it.reach.link().is_none()) else {
                continue;
            };
            if room == 0 {
                return;
            }
            room -= 1;
            place.is_extra = true;
        }
    }

    /// Links on which can be asked.
    pub(super) fn links(&self) -> Vec<LinkId> {
        let greeted = self.places.iter().filter(|place| place.greeted);
        greeted.filter_map(|place| place.reach.link()).collect()
    }

    /// Whether somebody may answer yet who hasn't been asked.
    pub(super) fn is_hopeful(&self) -> bool {
        let may = |place: &Place| match place.greeted {
            true => false,
            false => place.reach.link().is_some() || (place.is_extra && !place.reach.has_failed()),
        };
        self.places.iter().any(may)
    }

    pub(super) fn ask(&mut self, hub: &Hub, link: LinkId, question: Question) {
        self.handle(hub, asker::Input::Ask { link, question });
    }

    pub(super) fn proven(&mut self, hub: &mut Hub, link: LinkId, peer: PeerId) {
        // Two entries may be one node.
        let twin = self.places.iter().position(|it| it.peer == Some(peer) && it.reach.is_up());
        let Some(at) = self.places.iter().position(|it| it.reach.link() == Some(link)) else {
            return hub.close(link);
        };
        if twin.is_some_and(|twin| twin != at) || hub.is_liar(&peer) {
            self.places[at].reach.down(hub.now);
            return hub.close(link);
        }
        self.places[at].peer = Some(peer);
        self.places[at].reach.proven();
        self.handle(hub, asker::Input::LinkUp { link, peer });
    }

    pub(super) fn message(&mut self, hub: &Hub, link: LinkId, message: Message) {
        self.handle(hub, asker::Input::Message { link, message });
    }

    pub(super) fn link_down(&mut self, hub: &mut Hub, link: LinkId) {
        self.handle(hub, asker::Input::LinkDown { link });
        let place = self.places.iter_mut().find(|place| place.reach.link() == Some(link));
        if let Some(place) = place {
            place.greeted = false;
            place.reach.down(hub.now);
        }
        let reached = self.places.iter().any(|place| !place.reach.has_failed());
        if !reached && !core::mem::replace(&mut self.lost, true) {
            let entries = self.entries;
            hub.event(Event::Problem { error: EngineError::NoEntry { entries } });
        }
    }

    pub(super) fn retry_now(&mut self, now: Instant) {
        self.places.iter_mut().for_each(|place| place.reach.retry_now(now));
    }

    pub(super) fn tick(&mut self, hub: &Hub) {
        if self.asker.next_timeout().is_some_and(|at| hub.now >= at) {
            self.handle(hub, asker::Input::Tick);
        }
    }

    pub(super) fn next_timeout(&self, want_any: bool) -> Option<Instant> {
        let idle = self.places.iter().filter_map(|place| place.reach.due_at());
        let full = self.links().len() >= ASKERS_MAX;
        let due = if want_any && !full { idle.min() } else { None };
        due.into_iter().chain(self.asker.next_timeout()).min()
    }

    pub(super) fn poll(&mut self, hub: &mut Hub) -> Option<Word> {
        while let Some(output) = self.asker.poll() {
            match output {
                asker::Output::Send { link, message } => hub.send(link, &message),
                asker::Output::Close { link } => {
                    hub.close(link);
                    self.link_down(hub, link);
                }
                asker::Output::Greeted { link, introduction, .. } => {
                    self.lost = false;
                    if let Some(record) = introduction.masternode {
                        self.learn(hub, vec![record]);
                    }
                    let place = self.places.iter_mut().find(|it| it.reach.link() == Some(link));
                    if let Some(place) = place {
                        place.greeted = true;
                        place.reach.useful();
                    }
                    return Some(Word::Greeted(link));
                }
                asker::Output::Answer { link, question, result } => {
                    if let (Err(Failure::Fault(fault)), Some(peer)) = (&result, self.peer_of(link))
                    {
                        hub.accuse(peer, SourceKind::Masternode, fault.to_string());
                    }
                    return Some(Word::Answered(link, question, result));
                }
                _ => {}
            }
        }
        None
    }

    fn peer_of(&self, link: LinkId) -> Option<PeerId> {
        self.places.iter().find(|it| it.reach.link() == Some(link)).and_then(|it| it.peer)
    }

    fn handle(&mut self, hub: &Hub, input: asker::Input) {
        // Links are ours, each with a number of its own: nothing is refused.
        let _refused = self.asker.handle(hub.now, input);
    }
}
