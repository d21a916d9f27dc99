use pop_wire::{ContentId, Instant, PeerId};

use super::port::Refusal;
use super::{Candidate, Now};
use crate::handshake::ChannelBinding;
use crate::limits::{
    ANSWER_TIMEOUT_MS, CANDIDATES_HELD_MAX, RESEND_MS, RESENDS_MAX, SESSION_BYTES_MAX,
    SESSION_LETTERS_MAX, SESSION_TIMEOUT_MS,
};
use crate::topic::Contact;
use crate::{Address, DtlsFingerprint, Rendezvous};

/// ```text
///  offer() --> Offering --Answer--> Settled
///  Offer ----> Offered --answer()-> Settled      any of them --Bye, time, connected()--> gone
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// We offered.
    Offering,
    /// The peer did, and waits for our answer.
    Offered,
    /// Offer and answer are exchanged.
    Settled,
}

/// One negotiation with one peer.
#[derive(Debug)]
pub(super) struct Negotiation {
    pub(super) peer: Contact,
    pub(super) state: State,
    /// What the note is about that our offer answers, if that is known.
    pub(super) content: Option<ContentId>,
    /// Where we pick up its letters.
    pub(super) here: Rendezvous,
    /// Whether the peer's address takes more than one letter: it does once it has written.
    lasting: bool,
    local: Option<DtlsFingerprint>,
    remote: Option<DtlsFingerprint>,
    sent_letters: u32,
    sent_bytes: usize,
    /// A bit for each letter that came.
    seen: u64,
    received_bytes: usize,
    newest: u32,
    /// Ours, until the peer has an address for them.
    pub(super) held: Vec<Candidate>,
    /// Theirs, until there is an answer to go with.
    pub(super) early: Vec<Candidate>,
    /// Our offer or answer, in case it is lost.
    resend: Option<Resend>,
    answer_by: Instant,
    ends_at: Instant,
}

#[derive(Debug)]
struct Resend {
    body: Vec<u8>,
    at: Instant,
    left: u32,
}

const _: () = assert!(SESSION_LETTERS_MAX <= 64, "one bit each");

impl Negotiation {
    /// We offer.
    pub(super) fn offering(
        now: Now,
        peer: Contact,
        here: Rendezvous,
        local: DtlsFingerprint,
    ) -> Self {
        Self::new(now, peer, here, State::Offering, Some(local), None)
    }

    /// The peer offers.
    pub(super) fn offered(
        now: Now,
        peer: Contact,
        here: Rendezvous,
        remote: DtlsFingerprint,
    ) -> Self {
        Self::new(now, peer, here, State::Offered, None, Some(remote))
    }

    fn new(
        now: Now,
        peer: Contact,
        here: Rendezvous,
        state: State,
        local: Option<DtlsFingerprint>,
        remote: Option<DtlsFingerprint>,
    ) -> Self {
        Self {
            peer,
            state,
            content: None,
            here,
            lasting: false,
            local,
            remote,
            sent_letters: 0,
            sent_bytes: 0,
            seen: 0,
            received_bytes: 0,
            newest: 0,
            held: Vec::new(),
            early: Vec::new(),
            resend: None,
            answer_by: now.instant.after_ms(ANSWER_TIMEOUT_MS),
            ends_at: now.instant.after_ms(SESSION_TIMEOUT_MS),
        }
    }

    /// Whether a letter counts: from the peer, not seen before, within what a session may have.
    pub(super) fn check(&self, sender: PeerId, sequence: u32, bytes: usize) -> Result<(), Refusal> {
        if sender != self.peer.peer {
            return Err(Refusal::Foreign { expected: self.peer.peer, got: sender });
        }
        if sequence >= SESSION_LETTERS_MAX || self.received_bytes + bytes > SESSION_BYTES_MAX {
            return Err(Refusal::TooMuch);
        }
        // spec/signal.md §5.3: a letter MUST count once.
        if self.seen & (1 << sequence) != 0 { Err(Refusal::Replay) } else { Ok(()) }
    }

    /// Note a letter that counts, and where its sender is to be reached now.
    pub(super) fn note(&mut self, sequence: u32, bytes: usize, reply_to: Address) {
        if self.seen == 0 || sequence > self.newest {
            self.newest = sequence;
            self.peer.address = reply_to;
        }
        self.lasting = true;
        self.seen |= 1 << sequence;
        self.received_bytes += bytes;
    }

    /// Whether more than one letter gets to the peer.
    pub(super) fn is_lasting(&self) -> bool {
        self.lasting
    }

    /// The number of the next letter of ours, which makes an envelope of `bytes`; `None` if that is
    /// one too many.
    pub(super) fn next_sequence(&mut self, bytes: usize) -> Option<u32> {
        let sequence = self.sent_letters;
        if sequence >= SESSION_LETTERS_MAX || self.sent_bytes + bytes > SESSION_BYTES_MAX {
            return None;
        }
        self.sent_letters += 1;
        self.sent_bytes += bytes;
        Some(sequence)
    }

    /// Offer and answer are there. What ties a handshake to the connection that comes of it.
    pub(super) fn settle(
        &mut self,
        local: Option<DtlsFingerprint>,
        remote: Option<DtlsFingerprint>,
    ) -> Option<ChannelBinding> {
        self.local = self.local.or(local);
        self.remote = self.remote.or(remote);
        let (ours, theirs) = (self.local?, self.remote?);
        let we_offered = self.state == State::Offering;
        self.state = State::Settled;
        self.resend = None;
        let (offerer, answerer) = if we_offered { (ours, theirs) } else { (theirs, ours) };
        Some(ChannelBinding::webrtc(offerer, answerer))
    }

    pub(super) fn hold_early(&mut self, candidates: Vec<Candidate>) {
        let room = CANDIDATES_HELD_MAX.saturating_sub(self.early.len());
        self.early.extend(candidates.into_iter().take(room));
    }

    /// Keep a body to be sent again if nothing is heard.
    pub(super) fn keep(&mut self, now: Now, body: Vec<u8>) {
        let at = now.instant.after_ms(RESEND_MS);
        self.resend = Some(Resend { body, at, left: RESENDS_MAX });
    }

    /// The peer has what we sent.
    pub(super) fn heard(&mut self) {
        self.resend = None;
    }

    /// What is to be sent again now.
    pub(super) fn due(&mut self, now: Now) -> Option<Vec<u8>> {
        let resend = self.resend.as_mut().filter(|resend| now.instant >= resend.at)?;
        let body = resend.body.clone();
        self.resent(now);
        Some(body)
    }

    /// What the peer seems not to have got, since it asks again.
    pub(super) fn again(&mut self, now: Now) -> Option<Vec<u8>> {
        let body = self.resend.as_ref()?.body.clone();
        self.resent(now);
        Some(body)
    }

    fn resent(&mut self, now: Now) {
        let Some(resend) = &mut self.resend else { return };
        resend.at = now.instant.after_ms(RESEND_MS);
        resend.left -= 1;
        if resend.left == 0 {
            self.resend = None;
        }
    }

    /// Whether it has taken too long.
    pub(super) fn is_late(&self, now: Now) -> Option<super::EndReason> {
        if now.instant >= self.ends_at {
            return Some(super::EndReason::TimedOut);
        }
        let unanswered = self.state != State::Settled && now.instant >= self.answer_by;
        unanswered.then_some(super::EndReason::NoAnswer)
    }

    /// When something happens by itself.
    pub(super) fn next_timeout(&self) -> Instant {
        let answer_by = if self.state == State::Settled { self.ends_at } else { self.answer_by };
        let resend_at = self.resend.as_ref().map_or(self.ends_at, |resend| resend.at);
        self.ends_at.min(answer_by).min(resend_at)
    }
}
