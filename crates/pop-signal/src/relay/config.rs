use crate::limits;

use super::Rate;

/// What a relay takes on. The defaults are the limits of `spec/signal.md` §8, which suit a
/// masternode with some thousand viewers; less is always fine.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RelayConfig {
    /// Links of clients.
    pub clients_max: usize,
    /// Links of clients from one prefix.
    pub clients_per_prefix_max: usize,
    /// Rendezvous attached, in all.
    pub rendezvous_max: usize,
    /// Rendezvous attached by one client.
    pub rendezvous_per_client_max: usize,
    /// Topics with a member, here or at another relay that reports to this one.
    pub topics_max: usize,
    /// Topics joined by one client.
    pub topics_per_client_max: usize,
    /// Counts of other relays about their members, in all.
    pub reports_max: usize,
    /// Links of relays.
    pub relays_max: usize,
    /// Prefixes whose rate is remembered. Beyond it, new ones wait.
    pub prefixes_max: usize,
    /// Relays that are being dialled at once.
    pub dials_max: usize,
    /// Bytes of frames that wait for relays being dialled, in all.
    pub waiting_bytes_max: usize,
    /// Bytes of frames that wait for the shell to take them. Beyond it they are dropped.
    pub output_bytes_max: usize,
    /// What all clients behind one prefix may send together.
    pub prefix_rate: Rate,
    /// What one relay may send.
    pub relay_rate: Rate,
    /// What all clients may send together.
    pub total_rate: Rate,
}

impl Default for RelayConfig {
    fn default() -> Self {
        Self {
            clients_max: limits::CLIENTS_MAX,
            clients_per_prefix_max: limits::CLIENTS_PER_PREFIX_MAX,
            rendezvous_max: limits::RENDEZVOUS_MAX,
            rendezvous_per_client_max: limits::RENDEZVOUS_PER_CLIENT_MAX,
            topics_max: limits::TOPICS_MAX,
            topics_per_client_max: limits::TOPICS_PER_CLIENT_MAX,
            reports_max: limits::REPORTS_MAX,
            relays_max: limits::RELAYS_MAX,
            prefixes_max: limits::PREFIXES_MAX,
            dials_max: limits::DIALS_MAX,
            waiting_bytes_max: limits::WAITING_BYTES_MAX,
            output_bytes_max: limits::OUTPUT_BYTES_MAX,
            prefix_rate: Rate {
                messages_burst: limits::PREFIX_MESSAGES_BURST,
                messages_per_s: limits::PREFIX_MESSAGES_PER_S,
                bytes_burst: limits::PREFIX_BYTES_BURST,
                bytes_per_s: limits::PREFIX_BYTES_PER_S,
            },
            relay_rate: Rate {
                messages_burst: limits::RELAY_MESSAGES_BURST,
                messages_per_s: limits::RELAY_MESSAGES_PER_S,
                bytes_burst: limits::RELAY_BYTES_BURST,
                bytes_per_s: limits::RELAY_BYTES_PER_S,
            },
            total_rate: Rate {
                messages_burst: limits::TOTAL_MESSAGES_BURST,
                messages_per_s: limits::TOTAL_MESSAGES_PER_S,
                bytes_burst: limits::TOTAL_BYTES_BURST,
                bytes_per_s: limits::TOTAL_BYTES_PER_S,
            },
        }
    }
}
