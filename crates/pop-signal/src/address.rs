use core::fmt;

use pop_wire::{PeerId, WireError};

use crate::layout::Reader;

const RELAY_CONTEXT: &str = "POP 2026 relay rendezvous v1";

/// Where a letter is picked up: 32 random bytes that whoever waits attached to a relay. They say
/// nothing about who waits or what for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rendezvous(pub [u8; 32]);

impl Rendezvous {
    /// The one that a masternode always attaches to itself, so that a letter reaches it by its
    /// record alone. A relay lets nobody else attach its own.
    pub fn of_relay(relay: &PeerId) -> Self {
        Self(blake3::derive_key(RELAY_CONTEXT, relay.public_key()))
    }
}

impl fmt::Display for Rendezvous {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Rendezvous {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// A rendezvous and the relay at which it is attached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    /// Where.
    pub relay: PeerId,
    /// What is attached there.
    pub rendezvous: Rendezvous,
}

impl Address {
    /// Bytes on the wire.
    pub(crate) const BYTES: usize = 33 + 32;

    /// Where the masternode `relay` itself picks up letters.
    pub fn of_relay(relay: PeerId) -> Self {
        Self { relay, rendezvous: Rendezvous::of_relay(&relay) }
    }

    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.relay.public_key());
        out.extend_from_slice(&self.rendezvous.0);
    }

    pub(crate) fn take(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(Self { relay: reader.peer()?, rendezvous: Rendezvous(reader.array()?) })
    }
}
