//! One other viewer, from the first word to the last.

use pop_signal::SessionId;
use pop_signal::handshake::ChannelBinding;
use pop_signal::session::{self, Now, Sessions};
use pop_signal::topic::Contact;
use pop_wire::{Instant, PeerId};

use super::now_of;
use crate::engine::hub::Hub;
use crate::engine::limits::{EARLY_CANDIDATES_MAX, HOPE_OF_LINK_MS, HOPE_OF_WORD_MS};
use crate::engine::wire::Purpose;
use crate::engine::{Candidate, FilmId, LinkId, RtcId};

/// How long candidates are gathered before they are told, in milliseconds.
const GATHER_MS: u64 = 50;

/// ```text
/// offering:  Offer --LocalDescription--> offered --Answered--> links expected --> linked
/// answering: Answer --LocalDescription--> links expected --> linked
/// ```
pub(super) struct Meet {
    pub(super) peer: PeerId,
    pub(super) film: FilmId,
    /// Of channels 0 and 1: over the first the offerer asks, over the second the answerer.
    pub(super) links: [LinkId; 2],
    /// The negotiation, until it is over.
    pub(super) session: Option<SessionId>,
    /// How to reach the other, if this side offers.
    contact: Option<Contact>,
    is_offerer: bool,
    /// Found and not told yet, and since when.
    candidates: Vec<Candidate>,
    candidates_since: Option<Instant>,
    up: [bool; 2],
    /// When it began, or was linked to.
    since: Instant,
}

impl Meet {
    pub(super) fn offering(hub: &mut Hub, film: FilmId, contact: Contact) -> Self {
        let peer = contact.peer;
        Self { contact: Some(contact), is_offerer: true, ..Self::new(hub, film, peer) }
    }

    pub(super) fn answering(hub: &mut Hub, film: FilmId, peer: PeerId, session: SessionId) -> Self {
        Self { session: Some(session), ..Self::new(hub, film, peer) }
    }

    fn new(hub: &mut Hub, film: FilmId, peer: PeerId) -> Self {
        Self {
            peer,
            film,
            links: [hub.new_link(), hub.new_link()],
            session: None,
            contact: None,
            is_offerer: false,
            candidates: Vec::new(),
            candidates_since: None,
            up: [false; 2],
            since: hub.now,
        }
    }

    pub(super) fn is_with(&self, peer: &PeerId, film: FilmId) -> bool {
        self.peer == *peer && self.film == film
    }

    pub(super) fn is_offerer(&self) -> bool {
        self.is_offerer
    }

    pub(super) fn is_linked(&self) -> bool {
        self.up.contains(&true)
    }

    pub(super) fn is_whole(&self) -> bool {
        !self.up.contains(&false)
    }

    /// Until when it is worth to wait for it.
    pub(super) fn hope(&self) -> Instant {
        self.since.after_ms(if self.is_whole() { HOPE_OF_WORD_MS } else { HOPE_OF_LINK_MS })
    }

    pub(super) fn link_up(&mut self, now: Instant, link: LinkId) {
        self.since = now;
        for (channel, up) in self.links.iter().zip(&mut self.up) {
            *up |= *channel == link;
        }
    }

    /// The browser described its side; whether that went out.
    pub(super) fn described(
        &mut self,
        hub: &mut Hub,
        sessions: &mut Sessions,
        rtc: RtcId,
        sdp: String,
    ) -> bool {
        let now = now_of(hub);
        if let Some(contact) = self.contact.take() {
            let Ok(session) = sessions.offer(now, &contact, sdp) else { return false };
            self.session = Some(session);
        } else if let Some(session) = self.session {
            let Ok(binding) = sessions.answer(now, session, sdp) else { return false };
            self.expect_links(hub, rtc, &binding);
        }
        true
    }

    /// Offer and answer are exchanged: the channels may come up.
    pub(super) fn expect_links(&self, hub: &mut Hub, rtc: RtcId, binding: &ChannelBinding) {
        let fetch = Purpose::FetchFromViewer(self.film, rtc);
        let serve = Purpose::Serve(rtc);
        let purposes = if self.is_offerer { [fetch, serve] } else { [serve, fetch] };
        for (link, purpose) in self.links.into_iter().zip(purposes) {
            hub.wires.insert(link, purpose, Some(self.peer), hub.now);
            hub.wires.bind(link, binding.clone());
        }
    }

    /// The browser found a candidate. A letter is for many of them.
    pub(super) fn candidate(&mut self, now: Instant, candidate: Candidate) {
        if self.candidates.len() < EARLY_CANDIDATES_MAX {
            self.candidates.push(candidate);
            self.candidates_since.get_or_insert(now);
        }
    }

    /// When to tell the candidates that are there.
    pub(super) fn candidates_due(&self) -> Option<Instant> {
        let since = self.candidates_since.filter(|_| self.session.is_some());
        since.map(|since| since.after_ms(GATHER_MS))
    }

    pub(super) fn tell_candidates(&mut self, sessions: &mut Sessions, now: Now) {
        let Some(session) = self.session else { return };
        self.candidates_since = None;
        let candidates = core::mem::take(&mut self.candidates).into_iter().map(to_wire).collect();
        // What is too long or too much is not sent: the connection may do without.
        let _refused = sessions.candidates(now, session, candidates);
    }
}

fn to_wire(candidate: Candidate) -> session::Candidate {
    let Candidate { candidate, sdp_mid, sdp_m_line_index } = candidate;
    session::Candidate { candidate, sdp_mid, sdp_m_line_index }
}

pub(super) fn from_wire(candidate: session::Candidate) -> Candidate {
    let session::Candidate { candidate, sdp_mid, sdp_m_line_index } = candidate;
    Candidate { candidate, sdp_mid, sdp_m_line_index }
}
