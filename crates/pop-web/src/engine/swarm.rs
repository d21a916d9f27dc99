//! Other viewers: met through a relay that learns nothing, linked to by peer connections that the
//! shell makes.

mod meet;

use pop_signal::session::{self, Now, Sessions, SessionsConfig};
use pop_signal::{RelayMessage, SealKeypair};
use pop_wire::sorted::SortedMap;
use pop_wire::{ContentId, Instant, PeerId};

use self::meet::Meet;
use super::directory::Directory;
use super::hub::Hub;
use super::limits::{HOPE_OF_PRESENCE_MS, HOPE_OF_RELAY_MS, OFFERS_MAX, VIEWERS_MAX};
use super::reach::Reach;
use super::wire::Purpose;
use super::{EngineError, Event, FilmId, LinkId, Output, RtcCommand, RtcEvent, RtcId};

/// A relay that this side is attached to, or wants to be.
struct Relay {
    peer: PeerId,
    reach: Reach,
}

pub(super) struct Swarm {
    sessions: Sessions,
    relay: Option<Relay>,
    /// Relays that could not be reached lately, the last at the end.
    failed: Vec<PeerId>,
    /// It was said that there is none.
    lost: bool,
    /// Who plays what, and since when others of it are looked for.
    attended: SortedMap<ContentId, (FilmId, Instant)>,
    /// Since when there is a relay that passes on what others say.
    listens_since: Option<Instant>,
    meets: SortedMap<RtcId, Meet>,
    next_rtc: u64,
}

impl Swarm {
    pub(super) fn new(hub: &mut Hub) -> Self {
        let seal = SealKeypair::from_secret_bytes(hub.random());
        let seed = hub.random();
        let config = SessionsConfig::default();
        Self {
            sessions: Sessions::new(&hub.keypair, seal, config, seed),
            relay: None,
            failed: Vec::new(),
            lost: false,
            attended: SortedMap::new(),
            listens_since: None,
            meets: SortedMap::new(),
            next_rtc: 0,
        }
    }

    /// A film was opened: meet its other viewers.
    pub(super) fn attend(
        &mut self,
        hub: &mut Hub,
        film: FilmId,
        content: ContentId,
        key: &[u8; 32],
    ) {
        if !hub.config.webrtc {
            return hub.event(Event::Problem { error: EngineError::NoWebRtc });
        }
        self.attended.insert(content, (film, hub.now));
        // More contents than may be attended are played from masternodes alone.
        let _too_many = self.sessions.attend(now_of(hub), content, key, true);
    }

    /// A film was closed, and is served on: those who seek others of it find this viewer, and it
    /// seeks nobody.
    pub(super) fn stay(&mut self, hub: &Hub, content: ContentId, key: &[u8; 32]) {
        // It is attended already.
        let _too_many = self.sessions.attend(now_of(hub), content, key, false);
    }

    /// A film is gone: its viewers go.
    pub(super) fn leave(&mut self, hub: &mut Hub, film: FilmId, content: ContentId) -> Vec<LinkId> {
        if self.attended.get(&content).is_some_and(|(by, _)| *by == film) {
            self.attended.remove(&content);
            self.sessions.leave(&content);
        }
        let of_film = self.meets.iter().filter(|(_, meet)| meet.film == film);
        let gone: Vec<RtcId> = of_film.map(|(rtc, _)| *rtc).collect();
        gone.into_iter().flat_map(|rtc| self.part(hub, rtc, true)).collect()
    }

    /// Until when it is worth to leave something to other viewers of a film that may turn up;
    /// `None` if there is nothing to hope for.
    pub(super) fn hope(&self, film: FilmId) -> Option<Instant> {
        let (_, since) = self.attended.values().find(|(by, _)| *by == film)?;
        let of_relay = match self.listens_since {
            Some(listens) => Some(listens.max(*since).after_ms(HOPE_OF_PRESENCE_MS)),
            None => (!self.lost).then(|| since.after_ms(HOPE_OF_RELAY_MS)),
        };
        let of_meets = self.meets.values().filter(|meet| meet.film == film).map(Meet::hope);
        of_meets.chain(of_relay).max()
    }

    /// Other viewers that are linked to.
    pub(super) fn viewers(&self) -> usize {
        self.meets.values().filter(|meet| meet.is_linked()).count()
    }

    pub(super) fn relays(&self) -> usize {
        usize::from(self.relay.as_ref().is_some_and(|relay| relay.reach.is_up()))
    }

    /// The link over which a viewer is served whose shards come over `link`.
    pub(super) fn other_link(&self, link: LinkId) -> Option<LinkId> {
        let meet = self.meets.values().find(|meet| meet.links.contains(&link))?;
        meet.links.into_iter().find(|other| *other != link)
    }

    /// Keep a link to one relay while something is watched, or is about to be.
    pub(super) fn connect(&mut self, hub: &mut Hub, directory: &Directory, is_open: bool) {
        if self.attended.is_empty() && !(is_open && hub.config.webrtc) {
            return;
        }
        if self.relay.as_ref().is_some_and(|relay| relay.reach.has_failed()) {
            let gone = self.relay.take().map(|relay| relay.peer);
            self.failed.extend(gone);
        }
        if self.relay.is_none() {
            let mut relays = directory.relays();
            relays.retain(|(peer, _)| !hub.is_liar(peer));
            // Who failed longest ago comes first among those who failed.
            relays.sort_by_key(|(peer, _)| self.failed.iter().rposition(|it| it == peer));
            if let Some((peer, addresses)) = relays.into_iter().next() {
                self.failed.retain(|failed| *failed != peer);
                self.relay = Some(Relay { peer, reach: Reach::new(addresses) });
            }
        }
        if let Some(relay) = &mut self.relay
            && relay.reach.is_due(hub.now)
            && hub.may_dial()
        {
            relay.reach.dial(hub, Purpose::Signal, Some(relay.peer));
        }
    }

    /// The relay proved who it is.
    pub(super) fn relay_up(&mut self, hub: &mut Hub, link: LinkId, peer: PeerId) {
        match &mut self.relay {
            Some(relay) if relay.reach.link() == Some(link) => {
                relay.reach.proven();
                relay.reach.useful();
                self.lost = false;
                self.listens_since = Some(hub.now);
                self.sessions.relay_up(now_of(hub), peer);
                hub.event(Event::RelayUp { peer });
            }
            _ => hub.close(link),
        }
    }

    pub(super) fn relay_down(&mut self, hub: &mut Hub, link: LinkId) {
        let Some(relay) = self.relay.as_mut().filter(|it| it.reach.link() == Some(link)) else {
            return;
        };
        let was_up = relay.reach.is_up();
        let peer = relay.peer;
        relay.reach.down(hub.now);
        if was_up {
            self.listens_since = None;
            self.sessions.relay_down();
            hub.event(Event::RelayDown { peer });
        } else if !core::mem::replace(&mut self.lost, true) {
            hub.event(Event::Problem { error: EngineError::RelayGone });
        }
    }

    pub(super) fn retry_now(&mut self, now: Instant) {
        if let Some(relay) = &mut self.relay {
            relay.reach.retry_now(now);
        }
    }

    pub(super) fn message(&mut self, hub: &Hub, message: RelayMessage) {
        self.sessions.receive(now_of(hub), message);
    }

    pub(super) fn tick(&mut self, hub: &Hub) {
        if self.sessions.next_timeout().is_some_and(|at| hub.now >= at) {
            self.sessions.tick(now_of(hub));
        }
        let late = |meet: &&mut Meet| meet.candidates_due().is_some_and(|at| hub.now >= at);
        for meet in self.meets.values_mut().filter(late) {
            meet.tell_candidates(&mut self.sessions, now_of(hub));
        }
    }

    pub(super) fn next_timeout(&self) -> Option<Instant> {
        if self.attended.is_empty() {
            return None;
        }
        let relay = self.relay.as_ref().and_then(|relay| relay.reach.due_at());
        let candidates = self.meets.values().filter_map(Meet::candidates_due);
        candidates.chain(relay).chain(self.sessions.next_timeout()).min()
    }

    /// Carry out what the machine asks for. Links that are over are given back.
    pub(super) fn settle(&mut self, hub: &mut Hub) -> Vec<LinkId> {
        let mut gone = Vec::new();
        while let Some(output) = self.sessions.poll() {
            match output {
                session::Output::Send(message) => self.send(hub, &message),
                session::Output::Event(event) => gone.extend(self.on_event(hub, event)),
                _ => {}
            }
        }
        gone
    }

    fn send(&mut self, hub: &mut Hub, message: &RelayMessage) {
        let link = self.relay.as_ref().filter(|relay| relay.reach.is_up());
        if let Some(link) = link.and_then(|relay| relay.reach.link()) {
            let mut frame = bytes::BytesMut::new();
            message.encode_frame(&mut frame);
            hub.outbox.frame(link, &frame);
        }
    }

    fn on_event(&mut self, hub: &mut Hub, event: session::Event) -> Vec<LinkId> {
        match event {
            session::Event::Met { content, contact } => {
                let offers = self.meets.values().filter(|meet| meet.is_offerer()).count();
                let film = self.attended.get(&content).map(|(film, _)| *film);
                let peer = contact.peer;
                if let Some(film) = film
                    && offers < OFFERS_MAX
                    && self.has_room_for(hub, &peer)
                    && !self.meets.values().any(|meet| meet.is_with(&peer, film))
                {
                    let meet = Meet::offering(hub, film, contact);
                    let links = meet.links;
                    let rtc = self.begin(meet);
                    let command = RtcCommand::Offer { links };
                    hub.outbox.push(Output::Rtc { rtc, command });
                }
                Vec::new()
            }
            session::Event::Offered { session, peer, sdp, content, .. } => {
                let film = self.film_of(content);
                let Some(film) = film.filter(|_| self.has_room_for(hub, &peer)) else {
                    self.sessions.close(now_of(hub), session);
                    return Vec::new();
                };
                // It comes again, so what there was is gone.
                let before = self.meets.iter().find(|(_, meet)| meet.is_with(&peer, film));
                let before = before.map(|(rtc, _)| *rtc);
                let gone = before.map(|rtc| self.part(hub, rtc, true)).unwrap_or_default();
                let meet = Meet::answering(hub, film, peer, session);
                let links = meet.links;
                let rtc = self.begin(meet);
                let command = RtcCommand::Answer { links, offer: sdp };
                hub.outbox.push(Output::Rtc { rtc, command });
                gone
            }
            session::Event::Answered { session, sdp, binding, .. } => {
                let Some((rtc, meet)) = self.of_session(session) else { return Vec::new() };
                meet.expect_links(hub, rtc, &binding);
                let command = RtcCommand::SetAnswer { sdp };
                hub.outbox.push(Output::Rtc { rtc, command });
                Vec::new()
            }
            session::Event::Candidates { session, candidates } => {
                if let Some((rtc, _)) = self.of_session(session) {
                    for candidate in candidates {
                        let command = RtcCommand::AddCandidate(meet::from_wire(candidate));
                        hub.outbox.push(Output::Rtc { rtc, command });
                    }
                }
                Vec::new()
            }
            session::Event::Ended { session, .. } => match self.of_session(session) {
                Some((rtc, _)) => self.part(hub, rtc, true),
                None => Vec::new(),
            },
            _ => Vec::new(),
        }
    }

    fn has_room_for(&self, hub: &Hub, peer: &PeerId) -> bool {
        let others = self.meets.values().filter(|meet| meet.peer != *peer).count();
        others < VIEWERS_MAX && !hub.is_liar(peer)
    }

    /// Who plays a content. What an offer is about is known from the note that it answers; without
    /// one there is no doubt only where one film is played.
    fn film_of(&self, content: Option<ContentId>) -> Option<FilmId> {
        let (film, _) = match content {
            Some(content) => self.attended.get(&content)?,
            None => self.attended.values().next().filter(|_| self.attended.len() == 1)?,
        };
        Some(*film)
    }

    fn begin(&mut self, meet: Meet) -> RtcId {
        self.next_rtc += 1;
        let rtc = RtcId(self.next_rtc);
        self.meets.insert(rtc, meet);
        rtc
    }

    fn of_session(&mut self, session: pop_signal::SessionId) -> Option<(RtcId, &mut Meet)> {
        let mut meets = self.meets.iter_mut();
        meets.find(|(_, meet)| meet.session == Some(session)).map(|(rtc, meet)| (*rtc, meet))
    }

    /// The shell says something about a peer connection.
    pub(super) fn rtc(&mut self, hub: &mut Hub, rtc: RtcId, event: RtcEvent) -> Vec<LinkId> {
        let now = now_of(hub);
        let Some(meet) = self.meets.get_mut(&rtc) else { return Vec::new() };
        match event {
            RtcEvent::LocalDescription { sdp } => {
                if !meet.described(hub, &mut self.sessions, rtc, sdp) {
                    return self.part(hub, rtc, true);
                }
            }
            RtcEvent::LocalCandidate(candidate) => meet.candidate(hub.now, candidate),
            RtcEvent::CandidatesDone => meet.tell_candidates(&mut self.sessions, now),
            RtcEvent::Down => return self.part(hub, rtc, false),
        }
        Vec::new()
    }

    /// A channel to another viewer proved who is there.
    pub(super) fn linked(&mut self, hub: &mut Hub, rtc: RtcId, link: LinkId, peer: PeerId) {
        let Some(meet) = self.meets.get_mut(&rtc) else { return };
        let first = !meet.is_linked();
        meet.link_up(hub.now, link);
        if first {
            hub.event(Event::ViewerUp { peer });
        }
        if meet.is_whole()
            && let Some(session) = meet.session.take()
        {
            self.sessions.connected(now_of(hub), session);
        }
    }

    /// A channel is gone, and with it the connection. The other channel is given back.
    pub(super) fn unlinked(&mut self, hub: &mut Hub, rtc: RtcId) -> Vec<LinkId> {
        self.part(hub, rtc, true)
    }

    /// Forget another viewer; its links are given back to be closed.
    fn part(&mut self, hub: &mut Hub, rtc: RtcId, tell_shell: bool) -> Vec<LinkId> {
        let Some(meet) = self.meets.remove(&rtc) else { return Vec::new() };
        if let Some(session) = meet.session {
            self.sessions.close(now_of(hub), session);
        }
        if tell_shell {
            hub.outbox.push(Output::Rtc { rtc, command: RtcCommand::Close });
        }
        if meet.is_linked() {
            hub.event(Event::ViewerDown { peer: meet.peer });
        }
        meet.links.to_vec()
    }
}

fn now_of(hub: &Hub) -> Now {
    Now { instant: hub.now, unix: hub.wall }
}
