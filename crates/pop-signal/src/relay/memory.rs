use core::mem::size_of;

use pop_wire::{Instant, PeerId};

use super::attached::Waiter;
use super::clients::{Client, Household};
use super::config::RelayConfig;
use super::gatherings::{Gathering, Report};
use super::peers::{Dialing, RelayLink};
use super::port::Output;
use crate::limits::{FRAME_CONTROL_BYTES, MASTERNODES_MAX};
use crate::topic::Topic;
use crate::{LinkId, Prefix, RelayMessage, Rendezvous};

/// A node of an ordered map: eleven entries, twelve edges, its own words.
const fn node<Key, Value>() -> usize {
    11 * (size_of::<Key>() + size_of::<Value>()) + 12 * size_of::<usize>() + 16
}

/// An ordered map of `entries` at most: every node but the root is at least five entries full.
const fn map<Key, Value>(entries: usize) -> usize {
    (entries / 5 + 1) * node::<Key, Value>()
}

impl RelayConfig {
    /// Bytes of memory that a relay takes at most, whatever comes: all tables full, all queues full.
    /// The links of the node's own programs are not counted, nor is what the shell has of a link.
    pub fn memory_bytes_max(&self) -> usize {
        let joins = self.clients_max.saturating_mul(self.topics_per_client_max);
        let clients = map::<LinkId, Client>(self.clients_max)
            + map::<Prefix, Household>(self.prefixes_max)
            // A set of its own for each.
            + self.clients_max * (node::<Rendezvous, ()>() + node::<Topic, ()>())
            + map::<Rendezvous, ()>(self.rendezvous_max)
            + map::<Topic, ()>(joins);
        let attached = map::<Rendezvous, Waiter>(self.rendezvous_max);
        let homes = 4 * size_of::<(PeerId, Option<Instant>)>();
        let gatherings = map::<Topic, Gathering>(self.topics_max)
            + self.topics_max * (node::<LinkId, Instant>() + node::<PeerId, Report>() + homes)
            + map::<LinkId, Instant>(joins)
            + map::<PeerId, Report>(self.reports_max)
            + map::<PeerId, usize>(self.reports_max)
            + map::<PeerId, ()>(MASTERNODES_MAX);
        // A queue may have twice the room that it needs.
        let messages = |bytes: usize| 2 * (bytes / FRAME_CONTROL_BYTES + 1);
        let relays = map::<LinkId, RelayLink>(self.relays_max)
            + self.relays_max * (node::<PeerId, ()>() + node::<LinkId, ()>())
            + map::<PeerId, Dialing>(self.dials_max)
            + self.waiting_bytes_max
            + messages(self.waiting_bytes_max) * size_of::<RelayMessage>();
        let outputs = self.output_bytes_max + messages(self.output_bytes_max) * size_of::<Output>();
        clients + attached + gatherings + relays + outputs
    }
}
