use core::fmt;

use libp2p::{Multiaddr, PeerId};
use pop_wire::{Manifest, MasternodeRecord, ProviderRecord, Verified};

use crate::{Refusal, Subject};

/// Names one lookup, from its start to its [`Event::LookupFinished`]. Never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LookupId(pub(crate) u64);

impl fmt::Display for LookupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "lookup {}", self.0)
    }
}

/// A peer and where it may be reached, as other peers tell: not signed, not checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contact {
    /// Who.
    pub peer: PeerId,
    /// Where, best first; may be empty.
    pub addresses: Vec<Multiaddr>,
}

/// What [`Behaviour`](crate::Behaviour) tells its owner.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Event {
    /// A content lookup found something new. Comes many times, as answers arrive: each provider
    /// once, and again if a newer record of it turns up, which then replaces the older.
    ContentFound {
        /// Which lookup.
        lookup: LookupId,
        /// The content's manifest, in the first event that has it.
        manifest: Option<Verified<Manifest>>,
        /// Holders, in no particular order.
        providers: Vec<Verified<ProviderRecord>>,
    },
    /// A masternode lookup found its record; comes again if a newer one turns up.
    MasternodeFound {
        /// Which lookup.
        lookup: LookupId,
        /// The record.
        record: Verified<MasternodeRecord>,
    },
    /// A lookup of [`find_closer`](crate::Behaviour::find_closer) found these peers.
    CloserFound {
        /// Which lookup.
        lookup: LookupId,
        /// The closest peers that answered, closest first.
        peers: Vec<Contact>,
    },
    /// A lookup ended by itself; nothing more comes of it. A cancelled one ends silently.
    LookupFinished {
        /// Which lookup.
        lookup: LookupId,
        /// Whether it ran into the time limit before the closest peers had all answered.
        timed_out: bool,
    },
    /// An announcement went out under all keys of its subject, the first time since it was made.
    /// Later publications of the same record are silent.
    Announced {
        /// What was announced.
        subject: Subject,
        /// Nodes that answered, summed over the keys. A node answers whether or not it kept the
        /// record, so this is an upper bound.
        copies: usize,
    },
    /// Half the life of an announced record is over: announce a freshly signed one. Comes once
    /// per record.
    RenewalDue {
        /// What is to be announced again.
        subject: Subject,
    },
    /// An announced record expired, nobody having renewed it. It is no longer published.
    AnnouncementExpired {
        /// What is no longer announced.
        subject: Subject,
    },
    /// A peer put a record that the store did not take.
    RecordRefused {
        /// Who put it.
        source: PeerId,
        /// Why it was refused, and whose fault that is.
        refusal: Refusal,
    },
    /// A peer is new in the routing table.
    PeerAdded {
        /// Who.
        peer: PeerId,
    },
    /// A peer is no longer in the routing table.
    PeerRemoved {
        /// Who.
        peer: PeerId,
    },
    /// Joining the network is done: the routing table was filled by lookups.
    Bootstrapped,
}
