//! Who is at the other end of each link, and what we net with whom: tables small enough to be
//! sorted vectors.

use pop_wire::WalletAddress;

use crate::balance::Balance;
use crate::ids::LineId;
use crate::limits::{ACCOUNTS_MAX, LINES_PER_PEER_MAX};

/// Links by number, each with its peer. New numbers are mostly the greatest.
#[derive(Debug, Default)]
pub(crate) struct Lines(Vec<(LineId, WalletAddress)>);

impl Lines {
    pub(crate) fn peer(&self, line: LineId) -> Option<WalletAddress> {
        let at = self.0.binary_search_by_key(&line, |(line, _)| *line).ok()?;
        Some(self.0[at].1)
    }

    /// `false` if the number is taken.
    pub(crate) fn add(&mut self, line: LineId, peer: WalletAddress) -> bool {
        match self.0.binary_search_by_key(&line, |(line, _)| *line) {
            Ok(_) => false,
            Err(at) => {
                self.0.insert(at, (line, peer));
                true
            }
        }
    }

    pub(crate) fn remove(&mut self, line: LineId) -> Option<WalletAddress> {
        let at = self.0.binary_search_by_key(&line, |(line, _)| *line).ok()?;
        Some(self.0.remove(at).1)
    }

    /// Whether a peer with so many links may have one more.
    pub(crate) fn is_room(count: usize) -> bool {
        count < LINES_PER_PEER_MAX
    }
}

/// What the other half of the same node says of those that it trades with, by wallet.
#[derive(Debug, Default)]
pub(crate) struct Balances(Vec<(WalletAddress, Balance)>);

impl Balances {
    pub(crate) fn get(&self, peer: WalletAddress) -> Option<Balance> {
        let at = self.0.binary_search_by_key(&peer, |(peer, _)| *peer).ok()?;
        Some(self.0[at].1)
    }

    /// Replace or, with `None`, forget one. `false` if there is no room for another.
    pub(crate) fn set(&mut self, peer: WalletAddress, balance: Option<Balance>) -> bool {
        match (self.0.binary_search_by_key(&peer, |(peer, _)| *peer), balance) {
            (Ok(at), Some(balance)) => self.0[at].1 = balance,
            (Ok(at), None) => drop(self.0.remove(at)),
            (Err(_), None) => {}
            (Err(_), Some(_)) if self.0.len() >= ACCOUNTS_MAX => return false,
            (Err(at), Some(balance)) => self.0.insert(at, (peer, balance)),
        }
        true
    }

    pub(crate) fn peers(&self) -> impl Iterator<Item = WalletAddress> + '_ {
        self.0.iter().map(|(peer, _)| *peer)
    }
}
