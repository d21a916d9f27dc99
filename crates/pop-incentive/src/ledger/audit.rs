//! A recount of the whole ledger: [`LedgerState::audit`].

use pop_wire::Amount;

use crate::ledger::account::Account;
use crate::ledger::rules::bounty::BountyState;
use crate::ledger::rules::lock::LockState;
use crate::ledger::state::LedgerState;

/// What a recount found wrong. Any of these is a bug or a forged file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuditError {
    /// Money came into being or vanished.
    #[error("all accounts together: expected {expected}, got {got}")]
    Sum {
        /// What was emitted.
        expected: Amount,
        /// What is held.
        got: Amount,
    },
    /// An account doesn't hold what it owes.
    #[error("{account:?}: expected at least {owed}, got {held}")]
    Uncovered {
        /// Which.
        account: Account,
        /// What it owes.
        owed: Amount,
        /// What it holds.
        held: Amount,
    },
}

impl LedgerState {
    /// Recount everything: that all balances add up to what was emitted, and that vaults, pools,
    /// bounties and locks hold what they owe. Takes time in proportion to the ledger.
    ///
    /// # Errors
    /// [`AuditError`] for the first thing that is wrong.
    pub fn audit(&self) -> Result<(), AuditError> {
        let mut sum = Some(Amount::ZERO);
        for (account, amount) in self.balances() {
            if account != Account::Emission {
                sum = sum.and_then(|sum| sum.checked_add(amount));
            }
        }
        let (expected, got) =
            (self.balance(Account::Emission), sum.unwrap_or(Amount::from_base_units(u128::MAX)));
        if expected != got {
            return Err(AuditError::Sum { expected, got });
        }
        self.liabilities().try_for_each(|(account, owed)| {
            let held = self.balance(account);
            if held < owed { Err(AuditError::Uncovered { account, owed, held }) } else { Ok(()) }
        })
    }

    fn liabilities(&self) -> impl Iterator<Item = (Account, Amount)> {
        let vaults = self.books.vaults.iter().flat_map(|(id, vault)| {
            [(Account::Vault(*id), vault.balance()), (Account::VaultPenalty(*id), vault.penalty)]
        });
        let pools = self.books.pools.iter().map(|(id, pool)| (Account::Pool(*id), pool.reserved));
        let bounties = self.books.bounties.iter().filter_map(|(id, bounty)| {
            let open = matches!(bounty.state, BountyState::Open | BountyState::Approved { .. });
            open.then_some((Account::Bounty(*id), bounty.reward))
        });
        let locks = self.books.locks.iter().filter_map(|(id, lock)| {
            (lock.state == LockState::Open).then_some((Account::Lock(*id), lock.amount))
        });
        vaults.chain(pools).chain(bounties).chain(locks)
    }
}
