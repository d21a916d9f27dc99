//! What letters and notes lead to. Nothing of the machine changes before all about them is checked.

use pop_wire::PeerId;

use super::negotiation::{Negotiation, State};
use super::signal::Signal;
use super::{EndReason, Event, Now, Refusal, Sessions};
use crate::envelope::{Envelope, Letter};
use crate::topic::{Contact, PresenceNote, Topic};
use crate::{DtlsFingerprint, Rendezvous};

impl Sessions {
    pub(super) fn note(
        &mut self,
        now: Now,
        topic: &Topic,
        envelope: &Envelope,
    ) -> Result<(), Refusal> {
        let (content, meeting) = self.attendance.meeting(topic).ok_or(Refusal::NotJoined)?;
        let note = PresenceNote::open(envelope, meeting, now.unix)?;
        if note.contact.peer == self.keypair.peer_id() {
            return Err(Refusal::Ourselves);
        }
        self.heard.remember(note.contact.address.rendezvous, content);
        self.event(Event::Met { content, contact: note.contact });
        Ok(())
    }

    /// What came to a rendezvous of ours.
    pub(super) fn letter(
        &mut self,
        now: Now,
        at: Rendezvous,
        envelope: &Envelope,
    ) -> Result<(), Refusal> {
        let (sender, letter) = envelope.open(&self.seal, now.unix)?;
        if sender == self.keypair.peer_id() {
            return Err(Refusal::Ourselves);
        }
        if self.ended.contains_key(&letter.session) {
            return Err(Refusal::Replay);
        }
        let bytes = envelope.as_bytes().len();
        let signal = Signal::decode(&letter.body)?;
        match (self.open.get(&letter.session), signal) {
            (None, Signal::Offer(sdp)) => self.offered(now, (sender, at), &letter, bytes, sdp),
            (None, _) => Err(Refusal::NoSession),
            (Some(negotiation), signal) => {
                negotiation.check(sender, letter.sequence, bytes)?;
                self.continued(now, &letter, bytes, signal)
            }
        }
    }

    fn offered(
        &mut self,
        now: Now,
        (peer, at): (PeerId, Rendezvous),
        letter: &Letter,
        bytes: usize,
        sdp: String,
    ) -> Result<(), Refusal> {
        let fingerprint = DtlsFingerprint::from_sdp(&sdp)?;
        let contact = Contact { peer, seal_key: letter.seal_key, address: letter.reply_to };
        let mut negotiation = Negotiation::offered(now, contact, Rendezvous([0; 32]), fingerprint);
        negotiation.check(peer, letter.sequence, bytes)?;
        let content = self.noted.content_at(at);
        // spec/signal.md §5.4: if both offer, the offer of the lower peer id MUST hold. Offers that
        // answer notes about two contents are two, and both hold.
        let is_other = |it: &Negotiation| content.zip(it.content).is_some_and(|(a, b)| a != b);
        let our_offer =
            |it: &Negotiation| it.state == State::Offering && it.peer.peer == peer && !is_other(it);
        let ours = self.open.iter().find(|(_, it)| our_offer(it)).map(|(session, _)| *session);
        if let Some(ours) = ours {
            if self.keypair.peer_id() < peer {
                return Err(Refusal::Glare);
            }
            self.end(now, ours);
            self.event(Event::Ended { session: ours, peer, reason: EndReason::Glare });
        }
        self.room_for(&peer).map_err(|_| Refusal::Full)?;
        negotiation.here = self.attach();
        negotiation.note(letter.sequence, bytes, letter.reply_to);
        let session = letter.session;
        self.open.insert(session, negotiation);
        self.event(Event::Offered { session, peer, sdp, fingerprint, content });
        Ok(())
    }

    /// A letter of a session that is known, from its peer and for the first time.
    fn continued(
        &mut self,
        now: Now,
        letter: &Letter,
        bytes: usize,
        signal: Signal,
    ) -> Result<(), Refusal> {
        let session = letter.session;
        let Some(it) = self.open.get_mut(&session) else { return Err(Refusal::NoSession) };
        let peer = it.peer.peer;
        match (signal, it.state) {
            (Signal::Answer(sdp), State::Offering) => {
                let fingerprint = DtlsFingerprint::from_sdp(&sdp)?;
                it.note(letter.sequence, bytes, letter.reply_to);
                let binding =
                    it.settle(None, Some(fingerprint)).expect("our offer has a fingerprint");
                let early = core::mem::take(&mut it.early);
                self.event(Event::Answered { session, peer, sdp, fingerprint, binding });
                if !early.is_empty() {
                    self.event(Event::Candidates { session, candidates: early });
                }
                // What is over the session's limit is lost, as it would be on the way.
                let _ = self.flush_held(now, session);
            }
            // It has not got our answer, or we its first offer twice: the same again.
            (Signal::Offer(_), State::Offered | State::Settled) => {
                it.note(letter.sequence, bytes, letter.reply_to);
                if let Some(body) = it.again(now) {
                    let _ = self.send(now, session, body);
                }
            }
            (Signal::Answer(_), State::Settled) => {
                it.note(letter.sequence, bytes, letter.reply_to);
            }
            (Signal::Candidates(candidates), State::Offering) => {
                it.note(letter.sequence, bytes, letter.reply_to);
                it.hold_early(candidates);
            }
            (Signal::Candidates(candidates), State::Offered | State::Settled) => {
                it.note(letter.sequence, bytes, letter.reply_to);
                it.heard();
                self.event(Event::Candidates { session, candidates });
            }
            (Signal::Bye, _) => {
                self.end(now, session);
                self.event(Event::Ended { session, peer, reason: EndReason::Bye });
            }
            (Signal::Offer(_), State::Offering) | (Signal::Answer(_), State::Offered) => {
                return Err(Refusal::Unexpected);
            }
        }
        Ok(())
    }
}
