//! What goes into the machine of sessions and what comes out.

use pop_wire::{ContentId, Instant, PeerId, UnixTime, WireError};

use super::Candidate;
use crate::envelope::EnvelopeError;
use crate::handshake::ChannelBinding;
use crate::message::RefusedReason;
use crate::topic::Contact;
use crate::{DtlsFingerprint, FingerprintError, RelayMessage, SessionId};

/// The same moment on both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// For what takes time.
    pub instant: Instant,
    /// For what others must agree on.
    pub unix: UnixTime,
}

/// What the shell is to do.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Output {
    /// Send this to the relay.
    Send(RelayMessage),
    /// Something happened.
    Event(Event),
}

/// What happened.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// Another viewer of a content announced itself. Whoever wants it
    /// [offers](super::Sessions::offer) it a session; others do nothing.
    Met {
        /// What it watches, too.
        content: ContentId,
        /// How to reach it, once.
        contact: Contact,
    },
    /// A peer offers a session: [answer](super::Sessions::answer) it within 15 s, or
    /// [close](super::Sessions::close) it.
    Offered {
        /// Its name.
        session: SessionId,
        /// Who offers, proven.
        peer: PeerId,
        /// The session description as it was sent.
        sdp: String,
        /// Of the certificate in it: the connection that comes of this is this peer's.
        fingerprint: DtlsFingerprint,
        /// The content whose note of presence it answers; `None` if it came otherwise, or late.
        content: Option<ContentId>,
    },
    /// A peer answers.
    Answered {
        /// Its name.
        session: SessionId,
        /// Who answers, proven.
        peer: PeerId,
        /// The session description as it was sent.
        sdp: String,
        /// Of the certificate in it: the connection that comes of this is this peer's.
        fingerprint: DtlsFingerprint,
        /// For the [handshake](crate::Handshake) on the data channel.
        binding: ChannelBinding,
    },
    /// A peer has more candidates. Only after [`Offered`](Self::Offered) or
    /// [`Answered`](Self::Answered).
    Candidates {
        /// Its name.
        session: SessionId,
        /// In the order in which they were sent.
        candidates: Vec<Candidate>,
    },
    /// A session is over that was neither connected nor closed here.
    Ended {
        /// Its name.
        session: SessionId,
        /// With whom.
        peer: PeerId,
        /// Why.
        reason: EndReason,
    },
    /// Something came that is not what it should be, and changed nothing.
    Refused(Refusal),
    /// The relay says that we are over a limit.
    RelayRefused {
        /// Which.
        reason: RefusedReason,
        /// When it may be worth trying again, in milliseconds; zero for never.
        retry_after_ms: u32,
    },
}

/// Why a session is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EndReason {
    /// Nobody answered within [`ANSWER_TIMEOUT_MS`](crate::limits::ANSWER_TIMEOUT_MS).
    #[error("no answer")]
    NoAnswer,
    /// It wasn't connected within [`SESSION_TIMEOUT_MS`](crate::limits::SESSION_TIMEOUT_MS).
    #[error("not connected in time")]
    TimedOut,
    /// The peer said goodbye.
    #[error("the peer closed it")]
    Bye,
    /// Both offered, and the other's offer holds: it comes next.
    #[error("the peer's own offer holds")]
    Glare,
}

/// Why something that came was refused. Nobody else is told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// It doesn't open.
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
    /// The letter says nothing that is known.
    #[error("letter: {0}")]
    Letter(#[from] WireError),
    /// The description names no certificate, or more than one.
    #[error(transparent)]
    Fingerprint(#[from] FingerprintError),
    /// It is our own.
    #[error("letter: from ourselves")]
    Ourselves,
    /// It belongs to no session, and is no offer.
    #[error("letter: of no session")]
    NoSession,
    /// It came before, or belongs to a session that is over.
    #[error("letter: came before")]
    Replay,
    /// Somebody else than the session's peer signed it.
    #[error("letter: expected one of {expected}, got one of {got}")]
    Foreign {
        /// The session's peer.
        expected: PeerId,
        /// Who signed.
        got: PeerId,
    },
    /// The session has had all letters or bytes that one may have.
    #[error("letter: expected no more in this session")]
    TooMuch,
    /// There are as many sessions as there may be, in all or with this peer.
    #[error("offer: too many sessions")]
    Full,
    /// Both offered, and ours holds.
    #[error("offer: our own holds")]
    Glare,
    /// Nothing of the kind is expected now.
    #[error("letter: not expected now")]
    Unexpected,
    /// A topic that was not joined.
    #[error("note: of a topic that was not joined")]
    NotJoined,
}

/// The caller's own mistake, or a limit of its own. Nothing has changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// There is no relay: [`Sessions::relay_up`](super::Sessions::relay_up) first.
    #[error("expected a relay")]
    NoRelay,
    /// There is no such session (any more).
    #[error("session {session}: not open")]
    NoSession {
        /// Its name.
        session: SessionId,
    },
    /// It is not the time for that: an answer to one's own offer, or a second one.
    #[error("session {session}: not expected now")]
    Unexpected {
        /// Its name.
        session: SessionId,
    },
    /// There are as many sessions as there may be, in all or with this peer.
    #[error("expected at most {max} sessions")]
    Full {
        /// The limit.
        max: usize,
    },
    /// The session has sent all letters or bytes that one may.
    #[error("session {session}: expected no more letters")]
    TooMuch {
        /// Its name.
        session: SessionId,
    },
    /// A session with oneself.
    #[error("expected another peer")]
    Ourselves,
    /// The description names no certificate, or more than one.
    #[error(transparent)]
    Fingerprint(#[from] FingerprintError),
    /// A candidate is too long, or more than a line.
    #[error("candidate: {0}")]
    Candidate(#[from] WireError),
    /// The contact's seal key is of low order.
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
    /// As many contents are attended as may be.
    #[error("expected at most {max} contents")]
    Contents {
        /// The limit.
        max: usize,
    },
}
