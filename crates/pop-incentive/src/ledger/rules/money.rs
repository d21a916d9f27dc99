//! Wallets, emission, and the parts into which a penalty falls.

use pop_wire::{Amount, WalletAddress};

use crate::ledger::account::Account;
use crate::ledger::arithmetic::share_down;
use crate::ledger::limits::WHOLE_BPS;
use crate::ledger::refusal::Refusal;
use crate::ledger::state::{Call, LedgerState};

const OVERFLOW: Refusal = Refusal::Overflow { what: "sum" };

impl LedgerState {
    pub(super) fn transfer(
        &mut self,
        call: Call,
        to: WalletAddress,
        amount: Amount,
    ) -> Result<(), Refusal> {
        self.post(Account::Wallet(call.actor), Account::Wallet(to), amount)
    }

    pub(super) fn mint(
        &mut self,
        call: Call,
        to: WalletAddress,
        amount: Amount,
    ) -> Result<(), Refusal> {
        self.require_operator(call)?;
        self.count_emission(None, amount, self.parameters.genesis_supply)?;
        self.post(Account::Emission, Account::Wallet(to), amount)
    }

    pub(super) fn emit(
        &mut self,
        call: Call,
        epoch: u64,
        payees: &[WalletAddress],
        amounts: &[Amount],
    ) -> Result<(), Refusal> {
        self.require_operator(call)?;
        let count = |length: usize| u64::try_from(length).unwrap_or(u64::MAX);
        if payees.len() != amounts.len() {
            let (least, got) = (count(payees.len()), count(amounts.len()));
            return Err(Refusal::Count { what: "amounts", least, most: least, got });
        }
        let ends = epoch
            .checked_add(1)
            .and_then(|epochs| epochs.checked_mul(self.parameters.epoch_s))
            .ok_or(Refusal::Overflow { what: "epoch" })?;
        let from = self.parameters.genesis.after_s(ends);
        if call.now < from {
            return Err(Refusal::TooEarly { what: "end of the epoch", from, now: call.now });
        }
        for (payee, amount) in payees.iter().zip(amounts) {
            // Both parts count against the epoch's limit: slashed money replaces new money.
            self.count_emission(Some(epoch), *amount, self.parameters.emission_per_epoch)?;
            let repair = self.balance(Account::RepairFund).min(*amount);
            self.pay_earnings(Account::RepairFund, *payee, repair)?;
            let rest = amount.checked_sub(repair).ok_or(OVERFLOW)?;
            self.pay_earnings(Account::Emission, *payee, rest)?;
        }
        Ok(())
    }

    fn require_operator(&self, call: Call) -> Result<(), Refusal> {
        if call.actor == self.parameters.operator {
            Ok(())
        } else {
            Err(Refusal::Actor { expected: "operator of the ledger" })
        }
    }

    fn count_emission(
        &mut self,
        epoch: Option<u64>,
        amount: Amount,
        limit: Amount,
    ) -> Result<(), Refusal> {
        let before = self.books.emitted.get(&epoch).copied().unwrap_or(Amount::ZERO);
        let most = limit.checked_sub(before).unwrap_or(Amount::ZERO);
        if amount > most {
            let least = Amount::ZERO;
            return Err(Refusal::Amount { what: "emission", least, most, got: amount });
        }
        self.books.emitted.set(epoch, before.checked_add(amount).ok_or(OVERFLOW)?);
        Ok(())
    }

    /// Take a penalty: a minority to who proved the wrong, so that proving one's own never pays;
    /// the rest to the repair fund and to nobody. Roundings burn.
    pub(super) fn split_penalty(
        &mut self,
        from: Account,
        reporter: WalletAddress,
        amount: Amount,
    ) -> Result<(), Refusal> {
        let (reporter_bps, burn_bps) = (self.parameters.reporter_bps, self.parameters.burn_bps);
        let repair_bps = WHOLE_BPS.saturating_sub(reporter_bps).saturating_sub(burn_bps);
        let to_reporter = share_down(amount, reporter_bps).ok_or(OVERFLOW)?;
        let to_repair = share_down(amount, repair_bps).ok_or(OVERFLOW)?;
        let burned = amount
            .checked_sub(to_reporter)
            .and_then(|rest| rest.checked_sub(to_repair))
            .ok_or(OVERFLOW)?;
        self.post(from, Account::Wallet(reporter), to_reporter)?;
        self.post(from, Account::RepairFund, to_repair)?;
        self.post(from, Account::Burned, burned)
    }
}
