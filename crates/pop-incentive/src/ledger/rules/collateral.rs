//! Collateral of masternodes.
//!
//! ```text
//!              top up, slash                  slash
//!                 +----+                      +----+
//!   register      v    |        unbond        v    |  withdraw, after the delay
//! -----------> registered -----------------> leaving ----------------> gone
//! ```

use pop_wire::{Amount, PeerId, UnixTime, WalletAddress};

use crate::ledger::account::Account;
use crate::ledger::arithmetic::share_down;
use crate::ledger::evidence::Evidence;
use crate::ledger::refusal::Refusal;
use crate::ledger::state::{Call, LedgerState};

const OVERFLOW: Refusal = Refusal::Overflow { what: "collateral" };

/// A masternode on the ledger. What it has is on its account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Registration {
    /// When it was registered.
    pub since: UnixTime,
    /// If it is leaving: from when on the owner can have the collateral back. Nothing moves it.
    pub withdrawable: Option<UnixTime>,
}

impl LedgerState {
    pub(super) fn register_collateral(
        &mut self,
        call: Call,
        operator: PeerId,
        amount: Amount,
    ) -> Result<(), Refusal> {
        if self.registration(call.actor, operator).is_some() {
            return Err(Refusal::Exists { what: "registration" });
        }
        let least = self.parameters.collateral_min;
        if amount < least {
            let most = Amount::from_base_units(u128::MAX);
            return Err(Refusal::Amount { what: "collateral", least, most, got: amount });
        }
        let account = Account::Collateral { owner: call.actor, operator };
        self.post(Account::Wallet(call.actor), account, amount)?;
        let registration = Registration { since: call.now, withdrawable: None };
        self.books.registrations.set((call.actor, operator), registration);
        Ok(())
    }

    pub(super) fn top_up_collateral(
        &mut self,
        call: Call,
        operator: PeerId,
        amount: Amount,
    ) -> Result<(), Refusal> {
        self.staying(call.actor, operator)?;
        let account = Account::Collateral { owner: call.actor, operator };
        self.post(Account::Wallet(call.actor), account, amount)
    }

    pub(super) fn unbond(&mut self, call: Call, operator: PeerId) -> Result<(), Refusal> {
        let owner = call.actor;
        let mut registration = self.staying(owner, operator)?;
        registration.withdrawable = Some(call.now.after_s(self.parameters.unbonding_s));
        self.books.registrations.set((owner, operator), registration);
        let held = self.balance(Account::Collateral { owner, operator });
        let to = Account::Unbonding { owner, operator };
        self.post(Account::Collateral { owner, operator }, to, held)
    }

    pub(super) fn withdraw_collateral(
        &mut self,
        call: Call,
        operator: PeerId,
    ) -> Result<(), Refusal> {
        let owner = call.actor;
        let registration = self.known(owner, operator)?;
        let leaving = Refusal::State { what: "registration", expected: "leaving" };
        let from = registration.withdrawable.ok_or(leaving)?;
        if call.now < from {
            return Err(Refusal::TooEarly { what: "collateral", from, now: call.now });
        }
        let account = Account::Unbonding { owner, operator };
        self.post(account, Account::Wallet(owner), self.balance(account))?;
        self.books.registrations.remove(&(owner, operator));
        Ok(())
    }

    /// What one wrong costs is a part of the least collateral, clamped to what is there. The same
    /// wrong costs once, also if the node is registered anew.
    pub(super) fn slash(
        &mut self,
        call: Call,
        owner: WalletAddress,
        operator: PeerId,
        evidence: &Evidence,
    ) -> Result<(), Refusal> {
        let registration = self.known(owner, operator)?;
        let node = operator.wallet_address();
        let offence = self.offence(evidence).ok_or(Refusal::Unproven)?;
        if ![owner, node].contains(&offence.offender) {
            return Err(Refusal::Unproven);
        }
        let key = (offence.offender, offence.wrong);
        if self.books.offences.contains(&key) {
            return Err(Refusal::Exists { what: "offence" });
        }
        self.books.offences.set(key, ());
        let account = match registration.withdrawable {
            None => Account::Collateral { owner, operator },
            Some(_) => Account::Unbonding { owner, operator },
        };
        let fine = share_down(self.parameters.collateral_min, self.parameters.slash_bps)
            .ok_or(OVERFLOW)?
            .min(self.balance(account));
        self.split_penalty(account, call.actor, fine)?;
        // One wallet may be both.
        let wallets = if owner == node { &[owner][..] } else { &[owner, node] };
        for wallet in wallets {
            let mut record = self.record(*wallet);
            record.slashes = record.slashes.checked_add(1).ok_or(OVERFLOW)?;
            record.slashed = record.slashed.checked_add(fine).ok_or(OVERFLOW)?;
            self.books.records.set(*wallet, record);
        }
        Ok(())
    }

    fn staying(&self, owner: WalletAddress, operator: PeerId) -> Result<Registration, Refusal> {
        let registration = self.known(owner, operator)?;
        if registration.withdrawable.is_some() {
            return Err(Refusal::State { what: "registration", expected: "not leaving" });
        }
        Ok(registration)
    }

    fn known(&self, owner: WalletAddress, operator: PeerId) -> Result<Registration, Refusal> {
        self.registration(owner, operator).ok_or(Refusal::Unknown { what: "registration" })
    }
}
