//! Sessions: two peers agree on a WebRTC connection through relays that learn nothing. Normative
//! text: `spec/signal.md` §5.
//!
//! One [`Sessions`] serves for all contents and peers of a program. It speaks to one relay at a
//! time, is told what comes from it and says what goes there; descriptions and candidates are
//! texts that it passes on as they are.
//!
//! ```
//! use pop_signal::message::Destination;
//! use pop_signal::session::{Event, Now, Output, Sessions, SessionsConfig};
//! use pop_signal::topic::Contact;
//! use pop_signal::{Address, RelayMessage, SealKeypair};
//! use pop_wire::{Instant, Keypair, UnixTime};
//!
//! let keypair = |byte| Keypair::from_secret_bytes(&[byte; 32]);
//! let relay = keypair(9)?.peer_id();
//! let now = Now { instant: Instant(0), unix: UnixTime(1_800_000_000) };
//! let new = |byte| -> Result<Sessions, pop_wire::WireError> {
//!     let seal = SealKeypair::from_secret_bytes([byte + 100; 32]);
//!     let mut new = Sessions::new(&keypair(byte)?, seal, SessionsConfig::default(), [byte; 32]);
//!     new.relay_up(now, relay);
//!     Ok(new)
//! };
//! let (mut alice, mut bob) = (new(1)?, new(2)?);
//!
//! // What a description says of the certificate is all that is read of it.
//! let sdp = |byte: &str| format!("v=0\r\na=fingerprint:sha-256 {}\r\n", vec![byte; 32].join(":"));
//! let peer = keypair(2)?.peer_id();
//! let contact = Contact { peer, seal_key: bob.seal_key(), address: Address::of_relay(relay) };
//! let session = alice.offer(now, &contact, sdp("AA"))?;
//!
//! // The relay delivers what is sent; here everything to the other one.
//! let (mut bindings, mut answered) = (None, None);
//! while bindings.is_none() {
//!     while let Some(output) = alice.poll() {
//!         match output {
//!             Output::Send(RelayMessage::Send { to, envelope }) => {
//!                 let to = Destination::Rendezvous(to.rendezvous);
//!                 bob.receive(now, RelayMessage::Deliver { to, envelope });
//!             }
//!             Output::Event(Event::Answered { peer, binding, .. }) => {
//!                 assert_eq!(peer, contact.peer);
//!                 bindings = Some((binding, answered.take()));
//!             }
//!             _ => {}
//!         }
//!     }
//!     while let Some(output) = bob.poll() {
//!         match output {
//!             Output::Send(RelayMessage::Send { to, envelope }) => {
//!                 let to = Destination::Rendezvous(to.rendezvous);
//!                 alice.receive(now, RelayMessage::Deliver { to, envelope });
//!             }
//!             Output::Event(Event::Offered { session, peer, .. }) => {
//!                 assert_eq!(peer, keypair(1)?.peer_id());
//!                 answered = Some(bob.answer(now, session, sdp("BB"))?);
//!             }
//!             _ => {}
//!         }
//!     }
//! }
//! let (alices, bobs) = bindings.expect("the loop ends with them");
//! assert_eq!(Some(alices), bobs, "what both put into the handshake on the channel");
//! alice.connected(now, session);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod attendance;
mod negotiation;
mod notes;
mod port;
mod reading;
mod signal;

use std::collections::VecDeque;

use pop_wire::sorted::SortedMap;
use pop_wire::{ContentId, Instant, Keypair, PeerId};

use self::attendance::{Attendance, Due};
use self::negotiation::{Negotiation, State};
use self::notes::Notes;
use self::signal::Signal;
use crate::entropy::Entropy;
use crate::envelope::{Envelope, Letter};
use crate::handshake::ChannelBinding;
use crate::limits::{
    CANDIDATES_HELD_MAX, CANDIDATES_PER_LETTER_MAX, CONTENTS_MAX, ENDED_MS, ENDED_SESSIONS_MAX,
    LETTER_LIFE_S_MAX, SESSIONS_MAX, SESSIONS_PER_PEER_MAX,
};
use crate::message::{Attachment, Destination};
use crate::topic::{Contact, Meeting, PresenceNote};
use crate::{
    Address, DtlsFingerprint, RelayMessage, Rendezvous, SealKeypair, SealPublicKey, SessionId,
};

pub use self::port::{EndReason, Event, Now, Output, Refusal, SessionError};
pub use self::signal::Candidate;

/// How many sessions a program has at once.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionsConfig {
    /// Sessions under way, [`SESSIONS_MAX`] if not set otherwise.
    pub sessions_max: usize,
    /// Sessions under way with one peer, [`SESSIONS_PER_PEER_MAX`] if not set otherwise.
    pub sessions_per_peer_max: usize,
    /// Sessions that are over and remembered, so that nothing of them comes again:
    /// [`ENDED_SESSIONS_MAX`] if not set otherwise. Beyond it no new ones are taken.
    pub ended_max: usize,
}

impl Default for SessionsConfig {
    fn default() -> Self {
        Self {
            sessions_max: SESSIONS_MAX,
            sessions_per_peer_max: SESSIONS_PER_PEER_MAX,
            ended_max: ENDED_SESSIONS_MAX,
        }
    }
}

/// The machine of all sessions of one program. After any call drain [`poll`](Self::poll) to `None`,
/// then arm one timer for [`next_timeout`](Self::next_timeout) and call [`tick`](Self::tick) then.
#[derive(Debug)]
pub struct Sessions {
    keypair: Keypair,
    seal: SealKeypair,
    config: SessionsConfig,
    entropy: Entropy,
    relay: Option<PeerId>,
    open: SortedMap<SessionId, Negotiation>,
    /// Sessions that are over, and until when they are remembered.
    ended: SortedMap<SessionId, Instant>,
    attendance: Attendance,
    /// Notes of presence of ours, and of others.
    noted: Notes,
    heard: Notes,
    outputs: VecDeque<Output>,
}

impl Sessions {
    /// A machine without relay or sessions. `seed` is 32 random bytes, of which nobody else knows.
    pub fn new(
        keypair: &Keypair,
        seal: SealKeypair,
        config: SessionsConfig,
        seed: [u8; 32],
    ) -> Self {
        Self {
            keypair: keypair.clone(),
            seal,
            config,
            entropy: Entropy::new(seed),
            relay: None,
            open: SortedMap::new(),
            ended: SortedMap::new(),
            attendance: Attendance::default(),
            noted: Notes::default(),
            heard: Notes::default(),
            outputs: VecDeque::new(),
        }
    }

    /// To which others seal what is for us.
    pub fn seal_key(&self) -> SealPublicKey {
        self.seal.public()
    }

    /// A relay is linked, proven to be `relay`: in the place of the one before, if there was one.
    /// Sessions under way go on; peers learn the new address with the next letter.
    pub fn relay_up(&mut self, now: Now, relay: PeerId) {
        self.relay = Some(relay);
        for negotiation in self.open.values_mut() {
            negotiation.here = Rendezvous(self.entropy.draw());
            let rendezvous = negotiation.here;
            let attachment = Attachment::Session;
            self.outputs.push_back(Output::Send(RelayMessage::Attach { rendezvous, attachment }));
        }
        self.attendance.begin_again(now);
        self.tick(now);
    }

    /// The link to the relay is gone.
    pub fn relay_down(&mut self) {
        self.relay = None;
    }

    /// Meet others who watch `content`, whose key is `key`. While `seeking`, announce oneself, too;
    /// say it again to change that.
    ///
    /// # Errors
    /// [`SessionError::Contents`] if there are [`CONTENTS_MAX`] already.
    pub fn attend(
        &mut self,
        now: Now,
        content: ContentId,
        key: &[u8; 32],
        seeking: bool,
    ) -> Result<(), SessionError> {
        if self.attendance.is_full(&content) {
            return Err(SessionError::Contents { max: CONTENTS_MAX });
        }
        self.attendance.attend(now, content, key, seeking);
        self.tick(now);
        Ok(())
    }

    /// Meet nobody any more. Sessions that came of it go on.
    pub fn leave(&mut self, content: &ContentId) {
        for topic in self.attendance.leave(content) {
            self.queue(RelayMessage::Leave { topic });
        }
    }

    /// Offer `contact` a session. `sdp` is the local description as the browser made it.
    ///
    /// # Errors
    /// [`SessionError`]: nothing is sent then.
    pub fn offer(
        &mut self,
        now: Now,
        contact: &Contact,
        sdp: String,
    ) -> Result<SessionId, SessionError> {
        if contact.peer == self.keypair.peer_id() {
            return Err(SessionError::Ourselves);
        }
        if self.relay.is_none() {
            return Err(SessionError::NoRelay);
        }
        let local = DtlsFingerprint::from_sdp(&sdp)?;
        self.room_for(&contact.peer).map_err(|max| SessionError::Full { max })?;
        let random = self.entropy.draw();
        let session = SessionId(random[..16].try_into().expect("half of 32 bytes"));
        let here = self.attach();
        let body = Signal::Offer(sdp).encode();
        let content = self.heard.content_at(contact.address.rendezvous);
        let mut negotiation = Negotiation::offering(now, *contact, here, local);
        negotiation.content = content;
        negotiation.keep(now, body.clone());
        self.open.insert(session, negotiation);
        if let Err(error) = self.send(now, session, body) {
            self.open.remove(&session);
            self.queue(RelayMessage::Detach { rendezvous: here });
            return Err(error);
        }
        Ok(session)
    }

    /// Answer an offer. `sdp` is the local description as the browser made it. What is returned is
    /// for the [handshake](crate::Handshake) on the data channel.
    ///
    /// # Errors
    /// [`SessionError`]: nothing is sent then.
    pub fn answer(
        &mut self,
        now: Now,
        session: SessionId,
        sdp: String,
    ) -> Result<ChannelBinding, SessionError> {
        let local = DtlsFingerprint::from_sdp(&sdp)?;
        let negotiation = self.negotiation(session)?;
        if negotiation.state != State::Offered {
            return Err(SessionError::Unexpected { session });
        }
        let binding = negotiation
            .settle(Some(local), None)
            .expect("an offer without a fingerprint was refused");
        let body = Signal::Answer(sdp).encode();
        negotiation.keep(now, body.clone());
        self.send(now, session, body)?;
        self.flush_held(now, session)?;
        Ok(binding)
    }

    /// Tell the peer about ways to reach us. They are held until it can take them.
    ///
    /// # Errors
    /// [`SessionError`]. Of those beyond [`CANDIDATES_HELD_MAX`] held at once, the last are lost.
    pub fn candidates(
        &mut self,
        now: Now,
        session: SessionId,
        candidates: Vec<Candidate>,
    ) -> Result<(), SessionError> {
        candidates.iter().try_for_each(Candidate::check)?;
        let negotiation = self.negotiation(session)?;
        let room = CANDIDATES_HELD_MAX.saturating_sub(negotiation.held.len());
        negotiation.held.extend(candidates.into_iter().take(room));
        self.flush_held(now, session)
    }

    /// The connection is up: there is nothing more to negotiate.
    pub fn connected(&mut self, now: Now, session: SessionId) {
        self.end(now, session);
    }

    /// Give a session up, and tell the peer.
    pub fn close(&mut self, now: Now, session: SessionId) {
        // That it can't be told changes nothing: it will find out by itself.
        let _ = self.send(now, session, Signal::Bye.encode());
        self.end(now, session);
    }

    /// Take what came from the relay.
    pub fn receive(&mut self, now: Now, message: RelayMessage) {
        let refused = match message {
            RelayMessage::Deliver { to: Destination::Rendezvous(at), envelope } => {
                self.letter(now, at, &envelope)
            }
            RelayMessage::Deliver { to: Destination::Topic(topic), envelope } => {
                self.note(now, &topic, &envelope)
            }
            RelayMessage::Refused { reason, retry_after_ms } => {
                self.event(Event::RelayRefused { reason, retry_after_ms });
                Ok(())
            }
            _ => Err(Refusal::Unexpected),
        };
        if let Err(refusal) = refused {
            self.event(Event::Refused(refusal));
        }
        self.tick(now);
    }

    /// Time has passed.
    pub fn tick(&mut self, now: Now) {
        self.ended.retain(|_, until| now.instant < *until);
        let late: Vec<_> = self
            .open
            .iter()
            .filter_map(|(session, it)| Some((*session, it.peer.peer, it.is_late(now)?)))
            .collect();
        for (session, peer, reason) in late {
            self.end(now, session);
            self.event(Event::Ended { session, peer, reason });
        }
        if self.relay.is_none() {
            return;
        }
        let sessions: Vec<SessionId> = self.open.keys().copied().collect();
        for session in sessions {
            let due = self.open.get_mut(&session).and_then(|negotiation| negotiation.due(now));
            if let Some(body) = due {
                // A session that has sent all it may is not helped by one more.
                let _ = self.send(now, session, body);
            }
        }
        for due in self.attendance.due(now) {
            match due {
                Due::Join(topic) => self.queue(RelayMessage::Join { topic }),
                Due::Leave(topic) => self.queue(RelayMessage::Leave { topic }),
                Due::Announce(content, meeting) => self.announce(now, content, &meeting),
            }
        }
    }

    /// The next thing to do.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When to call [`tick`](Self::tick) if nothing else happens.
    pub fn next_timeout(&self) -> Option<Instant> {
        let sessions = self.open.values().map(Negotiation::next_timeout);
        let attendance = self.relay.and_then(|_| self.attendance.next_timeout());
        sessions.chain(attendance).chain(self.ended.values().copied()).min()
    }

    /// Sessions under way.
    pub fn len(&self) -> usize {
        self.open.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    fn negotiation(&mut self, session: SessionId) -> Result<&mut Negotiation, SessionError> {
        self.open.get_mut(&session).ok_or(SessionError::NoSession { session })
    }

    /// `Err` is the limit that is reached.
    fn room_for(&self, peer: &PeerId) -> Result<(), usize> {
        if self.open.len() >= self.config.sessions_max {
            return Err(self.config.sessions_max);
        }
        if self.ended.len() + self.open.len() >= self.config.ended_max {
            return Err(self.config.ended_max);
        }
        let with_peer = self.open.values().filter(|it| it.peer.peer == *peer).count();
        let max = self.config.sessions_per_peer_max;
        if with_peer >= max { Err(max) } else { Ok(()) }
    }

    /// A rendezvous of our own, attached for a session.
    fn attach(&mut self) -> Rendezvous {
        let rendezvous = Rendezvous(self.entropy.draw());
        let attachment = Attachment::Session;
        self.queue(RelayMessage::Attach { rendezvous, attachment });
        rendezvous
    }

    fn end(&mut self, now: Now, session: SessionId) {
        let Some(negotiation) = self.open.remove(&session) else { return };
        self.ended.insert(session, now.instant.after_ms(ENDED_MS));
        self.queue(RelayMessage::Detach { rendezvous: negotiation.here });
    }

    fn announce(&mut self, now: Now, content: ContentId, meeting: &Meeting) {
        let Some(relay) = self.relay else { return };
        // A fresh one for each note: it takes one letter, and tells nobody that two notes are ours.
        let rendezvous = Rendezvous(self.entropy.draw());
        let contact = Contact {
            peer: self.keypair.peer_id(),
            seal_key: self.seal.public(),
            address: Address { relay, rendezvous },
        };
        let note = PresenceNote { contact, expires_at: now.unix.after_s(LETTER_LIFE_S_MAX) };
        let envelope = note
            .seal(meeting, &self.keypair, self.entropy.draw())
            .expect("the note is about the key that signs it");
        self.noted.remember(rendezvous, content);
        self.queue(RelayMessage::Attach { rendezvous, attachment: Attachment::Once });
        self.queue(RelayMessage::Announce { topic: meeting.topic(), envelope });
    }

    /// Send the candidates that were held, once the peer can take them.
    fn flush_held(&mut self, now: Now, session: SessionId) -> Result<(), SessionError> {
        let negotiation = self.negotiation(session)?;
        // Before there is an answer to go with they would be of no use there.
        if negotiation.state != State::Settled || !negotiation.is_lasting() {
            return Ok(());
        }
        let held = core::mem::take(&mut negotiation.held);
        for some in held.chunks(CANDIDATES_PER_LETTER_MAX) {
            self.send(now, session, Signal::Candidates(some.to_vec()).encode())?;
        }
        Ok(())
    }

    /// Seal one letter of a session and send it, if there is a relay.
    fn send(&mut self, now: Now, session: SessionId, body: Vec<u8>) -> Result<(), SessionError> {
        let randomness = self.entropy.draw();
        let (keypair, seal_key) = (self.keypair.clone(), self.seal.public());
        let Some(relay) = self.relay else { return Ok(()) };
        let negotiation = self.negotiation(session)?;
        let bytes = Envelope::bytes_for(body.len());
        let sequence = negotiation.next_sequence(bytes).ok_or(SessionError::TooMuch { session })?;
        let letter = Letter {
            seal_key,
            reply_to: Address { relay, rendezvous: negotiation.here },
            expires_at: now.unix.after_s(LETTER_LIFE_S_MAX),
            session,
            sequence,
            body,
        };
        let Contact { seal_key, address, .. } = negotiation.peer;
        let envelope = Envelope::seal(&letter, &keypair, &seal_key, randomness)?;
        self.queue(RelayMessage::Send { to: address, envelope });
        Ok(())
    }

    /// Without a relay there is nobody to say anything to.
    fn queue(&mut self, message: RelayMessage) {
        if self.relay.is_some() {
            self.outputs.push_back(Output::Send(message));
        }
    }

    fn event(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }
}
