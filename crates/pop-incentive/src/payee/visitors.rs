//! Those who came and were served before it is known what they pay from.

use pop_wire::WalletAddress;
use pop_wire::sorted::SortedMap;

use super::PayeeError;
use crate::limits::ACCOUNTS_MAX;

#[derive(Debug, Clone, Default)]
pub(super) struct Visitors(SortedMap<WalletAddress, Visitor>);

#[derive(Debug, Clone, Copy, Default)]
struct Visitor {
    float: u64,
    served: u64,
    left: bool,
}

/// Bytes that one was served as a visitor.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Visits {
    /// Before it left without terms: it is served nothing more as a visitor then.
    pub(super) earlier: u64,
    /// Since it came.
    pub(super) this: u64,
}

impl Visitors {
    /// Whether there is a place, and nothing is owed from an earlier visit.
    pub(super) fn may_come(&self, payer: WalletAddress) -> bool {
        !self.0.contains_key(&payer) && self.0.len() < ACCOUNTS_MAX
    }

    /// Take a visitor in with a float; what it may be served in all.
    pub(super) fn come(&mut self, payer: WalletAddress, float: u64) -> u64 {
        self.0.insert(payer, Visitor { float, ..Visitor::default() });
        float
    }

    pub(super) fn served(&mut self, payer: WalletAddress, bytes: u64) -> Result<(), PayeeError> {
        let none = Visitor::default();
        let Visitor { float, served, .. } = self.0.get(&payer).copied().unwrap_or(none);
        let over = served.saturating_add(bytes).saturating_sub(float);
        if over > 0 {
            return Err(PayeeError::OverAllowance { bytes: over });
        }
        if let Some(visitor) = self.0.get_mut(&payer) {
            visitor.served += bytes;
        }
        Ok(())
    }

    /// It has gone: what it owes, for which it is remembered.
    pub(super) fn left(&mut self, payer: WalletAddress) -> u64 {
        let Some(visitor) = self.0.get_mut(&payer) else { return 0 };
        visitor.left = true;
        let owed = visitor.served;
        if owed == 0 {
            self.0.remove(&payer);
        }
        owed
    }

    /// Its account is open: what it was served before that.
    pub(super) fn settle(&mut self, payer: WalletAddress) -> Visits {
        match self.0.remove(&payer) {
            Some(Visitor { served, left: true, .. }) => Visits { earlier: served, this: 0 },
            Some(Visitor { served, .. }) => Visits { earlier: 0, this: served },
            None => Visits::default(),
        }
    }

    pub(super) fn forgive(&mut self) {
        self.0.retain(|_, visitor| !visitor.left);
    }
}
