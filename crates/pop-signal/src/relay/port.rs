//! What goes into a relay and what comes out.

use std::collections::BTreeSet;

use pop_wire::PeerId;

use crate::message::RefusedReason;
use crate::{LinkId, Prefix, RelayMessage};

/// What happens to a relay.
#[derive(Debug)]
#[non_exhaustive]
pub enum Input {
    /// A client is there: a viewer, or the node's own sessions ([`Prefix::Own`]).
    ClientUp {
        /// Its link.
        link: LinkId,
        /// From where.
        prefix: Prefix,
    },
    /// Another relay is there, proven to be the masternode that it says it is.
    RelayUp {
        /// The link.
        link: LinkId,
        /// Who.
        peer: PeerId,
    },
    /// A link is gone.
    LinkDown {
        /// The link.
        link: LinkId,
    },
    /// A message came.
    Message {
        /// On which link.
        link: LinkId,
        /// What.
        message: RelayMessage,
    },
    /// A relay that was to be dialled can't be reached.
    DialFailed {
        /// Who.
        peer: PeerId,
    },
    /// The masternodes that are known now, itself or not. Beyond
    /// [`MASTERNODES_MAX`](crate::limits::MASTERNODES_MAX) the lowest ids count.
    Known {
        /// All of them.
        masternodes: BTreeSet<PeerId>,
    },
    /// Time has passed.
    Tick,
}

/// What the shell is to do.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Output {
    /// Send a message. If the link is congested, drop it: nobody counts on a relay, and waiting
    /// costs memory.
    Send {
        /// On which link.
        link: LinkId,
        /// What.
        message: RelayMessage,
    },
    /// Close a link. Nothing more is sent on it, and [`Input::LinkDown`] is not needed.
    Close {
        /// The link.
        link: LinkId,
        /// Why.
        reason: CloseReason,
    },
    /// Connect to another relay and say [`Input::RelayUp`] or [`Input::DialFailed`].
    Dial {
        /// Who.
        peer: PeerId,
    },
}

/// Why a relay closes a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CloseReason {
    /// The relay has as many links as it may have, in all or from there.
    #[error("too many links")]
    TooManyLinks,
    /// It was refused again and again and didn't slow down.
    #[error("too many messages over the limit")]
    Flood,
    /// A message that this side never sends.
    #[error("a message of the other side")]
    Unexpected,
    /// A relay that is no masternode that is known.
    #[error("not a known masternode")]
    UnknownRelay,
    /// Nothing was sent either way for long.
    #[error("idle")]
    Idle,
}

/// How much was done, since the relay began. Nothing in it tells who or what.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RelayStats {
    /// Messages that came.
    pub received: u64,
    /// Bytes of their frames.
    pub received_bytes: u64,
    /// Messages that went.
    pub sent: u64,
    /// Bytes of their frames.
    pub sent_bytes: u64,
    /// Envelopes that clients of this relay sent and that were within their rate.
    pub letters_in: u64,
    /// Envelopes that were handed to clients of this relay.
    pub letters_out: u64,
    /// Envelopes that came from other relays within their rate.
    pub taken_over: u64,
    /// Envelopes that were handed to other relays.
    pub handed_over: u64,
    /// Rendezvous that clients attached for a session; each counts when it is attached first.
    pub sessions: u64,
    /// Messages over a limit, by limit.
    pub refused: Refusals,
    /// Envelopes for which nobody waited here, or for which there was no room.
    pub dropped: u64,
}

/// Messages that were refused, by the limit that they met.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refusals {
    /// A client's, or its neighbours', or all clients' rate.
    pub rate: u64,
    /// Another relay's rate.
    pub relay_rate: u64,
    /// Rendezvous of one client.
    pub rendezvous: u64,
    /// Topics of one client, and announcements in one that the client has not joined.
    pub topics: u64,
    /// Rendezvous, topics and reports of all.
    pub full: u64,
    /// Letters for a relay that is not known.
    pub unknown_relay: u64,
}

impl Refusals {
    /// Each limit's name, and how many messages it refused.
    pub fn by_rule(&self) -> [(&'static str, u64); 6] {
        [
            ("rate", self.rate),
            ("relay_rate", self.relay_rate),
            ("rendezvous", self.rendezvous),
            ("topics", self.topics),
            ("full", self.full),
            ("unknown_relay", self.unknown_relay),
        ]
    }

    /// All of them.
    pub fn total(&self) -> u64 {
        self.by_rule().iter().map(|(_, refused)| refused).sum()
    }

    pub(super) fn count(&mut self, reason: RefusedReason) {
        *match reason {
            RefusedReason::Rate => &mut self.rate,
            RefusedReason::Rendezvous => &mut self.rendezvous,
            RefusedReason::Topics => &mut self.topics,
            RefusedReason::Full => &mut self.full,
            RefusedReason::UnknownRelay => &mut self.unknown_relay,
        } += 1;
    }
}

/// How much a relay holds now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RelayHoldings {
    /// Links of clients.
    pub clients: usize,
    /// Links of relays.
    pub relays: usize,
    /// Rendezvous attached.
    pub rendezvous: usize,
    /// Topics that somebody has joined.
    pub topics: usize,
    /// Joins of clients, and of other relays' reports.
    pub members: usize,
    /// Prefixes that have sent something lately.
    pub prefixes: usize,
    /// Envelopes that wait until another relay is connected.
    pub waiting: usize,
    /// Bytes of their frames.
    pub waiting_bytes: usize,
    /// Outputs that the shell has not taken.
    pub outputs: usize,
    /// Bytes of their frames.
    pub output_bytes: usize,
}
