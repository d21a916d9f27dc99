//! How much each peer may ask of a served ledger (`spec/incentive.md` §12.14).

use std::collections::BTreeMap;

use pop_incentive::limits::{LEDGER_PEER_BURST, LEDGER_PEER_UNITS_PER_S, LEDGER_UNIT_BYTES};
use pop_wire::Instant;

/// Those with a budget that is not full. One that is full is not worth remembering.
const PEERS_MAX: usize = 4096;

/// A token bucket for each of those who ask, by whatever they are told apart. A request may take a bucket below zero, or no request could be greater
/// than a bucket; the next one waits until it is above again.
#[derive(Debug)]
pub(crate) struct Budgets<K> {
    spent: BTreeMap<K, Spent>,
    burst: u64,
    units_per_s: u64,
}

impl<K> Default for Budgets<K> {
    fn default() -> Self {
        Self::new(LEDGER_PEER_BURST, LEDGER_PEER_UNITS_PER_S)
    }
}

impl<K> Budgets<K> {
    /// So many units at once, and so many that come back a second.
    pub(crate) fn new(burst: u64, units_per_s: u64) -> Self {
        Self { spent: BTreeMap::new(), burst, units_per_s }
    }
}

#[derive(Debug, Clone, Copy)]
struct Spent {
    units: u64,
    at: Instant,
}

impl Spent {
    fn now(self, now: Instant, units_per_s: u64) -> u64 {
        let regained = now.since_ms(self.at).saturating_mul(units_per_s) / 1000;
        self.units.saturating_sub(regained)
    }
}

impl<K: Ord + Copy> Budgets<K> {
    /// Whether `peer` may ask a request of so many bytes now. It is charged if it may.
    pub(crate) fn take(&mut self, now: Instant, peer: K, request_bytes: usize) -> bool {
        let rate = self.units_per_s;
        let spent = self.spent.get(&peer).map_or(0, |spent| spent.now(now, rate));
        // spec/incentive.md §12.14: a peer whose budget is used up MUST get "busy".
        if spent >= self.burst {
            return false;
        }
        if self.spent.len() >= PEERS_MAX && !self.spent.contains_key(&peer) {
            self.spent.retain(|_, spent| spent.now(now, rate) > 0);
            if self.spent.len() >= PEERS_MAX {
                return false;
            }
        }
        let bytes = u64::try_from(request_bytes).unwrap_or(u64::MAX);
        let units = spent.saturating_add(1).saturating_add(bytes / LEDGER_UNIT_BYTES);
        self.spent.insert(peer, Spent { units, at: now });
        true
    }
}

#[cfg(test)]
mod tests {
    use pop_wire::{Keypair, PeerId};

    use super::*;

    fn peer(number: u16) -> PeerId {
        let mut secret = [1; 32];
        secret[..2].copy_from_slice(&number.to_be_bytes());
        Keypair::from_secret_bytes(&secret).unwrap().peer_id()
    }

    #[test]
    fn a_peer_that_asks_too_much_waits_and_others_do_not() {
        let mut budgets = Budgets::default();
        let now = Instant(5_000);
        let asked = (0..2 * LEDGER_PEER_BURST).filter(|_| budgets.take(now, peer(1), 20)).count();
        assert_eq!(u64::try_from(asked).unwrap(), LEDGER_PEER_BURST);
        assert!(budgets.take(now, peer(2), 20));
        assert!(budgets.take(now.after_ms(1000), peer(1), 20));
    }

    #[test]
    fn a_large_request_is_taken_once_and_paid_for() {
        let mut budgets = Budgets::default();
        let bytes = 1_000_000;
        assert!(budgets.take(Instant(0), peer(1), bytes));
        assert!(!budgets.take(Instant(50_000), peer(1), 20));
        assert!(budgets.take(Instant(62_000), peer(1), 20));
    }

    #[test]
    fn strangers_do_not_fill_the_memory() {
        let mut budgets = Budgets::default();
        let most = u16::try_from(PEERS_MAX).unwrap();
        for number in 0..most {
            assert!(budgets.take(Instant(0), peer(number), 20));
        }
        assert!(!budgets.take(Instant(0), peer(most), 20));
        assert!(budgets.take(Instant(1000), peer(most), 20), "those who wait are forgotten");
        assert_eq!(budgets.spent.len(), 1);
    }
}
