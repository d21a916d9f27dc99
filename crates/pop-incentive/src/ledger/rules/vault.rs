//! Vaults: one deposit that pays many payees by voucher.
//!
//! ```text
//!            fund                    redeem, report
//!           +----+                      +----+
//!           v    |     request unlock   v    |   withdraw, after the delay
//!  open -> funded ------------------> unlocking ------------> empty, next epoch
//!           ^                                                        |
//!           +--------------------------- fund -----------------------+
//! ```

use pop_wire::Amount;

use crate::ids::VaultId;
use crate::ledger::account::Account;
use crate::ledger::limits::REDEEM_MAX;
use crate::ledger::names::vault_id;
use crate::ledger::refusal::Refusal;
use crate::ledger::state::{Call, LedgerState};
use crate::voucher::{SignedVoucher, VaultInfo};

const OVERFLOW: Refusal = Refusal::Overflow { what: "vault" };

impl LedgerState {
    pub(super) fn open_vault(
        &mut self,
        call: Call,
        index: u64,
        deposit: Amount,
        penalty: Amount,
    ) -> Result<(), Refusal> {
        let vault = vault_id(&self.domain, call.actor, index);
        if self.books.vaults.contains(&vault) {
            return Err(Refusal::Exists { what: "vault" });
        }
        let info = VaultInfo {
            vault,
            owner: call.actor,
            epoch: 0,
            funded: Amount::ZERO,
            redeemed: Amount::ZERO,
            penalty: Amount::ZERO,
            closes: None,
        };
        self.fund(info, deposit, penalty)
    }

    pub(super) fn fund_vault(
        &mut self,
        call: Call,
        vault: VaultId,
        deposit: Amount,
        penalty: Amount,
    ) -> Result<(), Refusal> {
        let info = self.own_vault(call, vault)?;
        if info.closes.is_some() {
            return Err(Refusal::State { what: "vault", expected: "not unlocking" });
        }
        self.fund(info, deposit, penalty)
    }

    fn fund(
        &mut self,
        mut info: VaultInfo,
        deposit: Amount,
        penalty: Amount,
    ) -> Result<(), Refusal> {
        let wallet = Account::Wallet(info.owner);
        self.post(wallet, Account::Vault(info.vault), deposit)?;
        self.post(wallet, Account::VaultPenalty(info.vault), penalty)?;
        info.funded = info.funded.checked_add(deposit).ok_or(OVERFLOW)?;
        info.penalty = info.penalty.checked_add(penalty).ok_or(OVERFLOW)?;
        self.books.vaults.set(info.vault, info);
        Ok(())
    }

    pub(super) fn request_unlock(&mut self, call: Call, vault: VaultId) -> Result<(), Refusal> {
        let mut info = self.own_vault(call, vault)?;
        if info.closes.is_some() {
            return Err(Refusal::State { what: "vault", expected: "not unlocking" });
        }
        info.closes = Some(call.now.after_s(self.parameters.vault_unlock_s));
        self.books.vaults.set(vault, info);
        Ok(())
    }

    pub(super) fn withdraw_vault(&mut self, call: Call, vault: VaultId) -> Result<(), Refusal> {
        let mut info = self.own_vault(call, vault)?;
        let unlocking = Refusal::State { what: "vault", expected: "unlocking" };
        let from = info.closes.ok_or(unlocking)?;
        if call.now < from {
            return Err(Refusal::TooEarly { what: "withdrawal", from, now: call.now });
        }
        let wallet = Account::Wallet(info.owner);
        self.post(Account::Vault(vault), wallet, info.balance())?;
        self.post(Account::VaultPenalty(vault), wallet, info.penalty)?;
        info.epoch = info.epoch.checked_add(1).ok_or(OVERFLOW)?;
        (info.funded, info.redeemed, info.penalty) = (Amount::ZERO, Amount::ZERO, Amount::ZERO);
        info.closes = None;
        self.books.vaults.set(vault, info);
        Ok(())
    }

    pub(super) fn redeem(&mut self, call: Call, vouchers: &[SignedVoucher]) -> Result<(), Refusal> {
        let count = |length: usize| u64::try_from(length).unwrap_or(u64::MAX);
        let (most, got) = (count(REDEEM_MAX), count(vouchers.len()));
        if got < 1 || got > most {
            return Err(Refusal::Count { what: "vouchers", least: 1, most, got });
        }
        vouchers.iter().try_for_each(|voucher| self.redeem_one(call, voucher))
    }

    /// A voucher that is old, void or over the vault is no error, it just pays what is there to
    /// pay: otherwise one such in a batch would keep the others from being paid.
    fn redeem_one(&mut self, call: Call, signed: &SignedVoucher) -> Result<(), Refusal> {
        let voucher = signed.voucher;
        let mut info = self.known_vault(voucher.vault)?;
        if call.authenticate {
            signed.verify(&self.domain, info.owner)?;
        }
        if voucher.epoch != info.epoch {
            return Ok(());
        }
        let slot = (voucher.vault, voucher.payee, voucher.epoch);
        let before = self.redeemed(voucher.vault, voucher.payee, voucher.epoch);
        let due = voucher.amount.checked_sub(before).unwrap_or(Amount::ZERO);
        let paid = due.min(info.balance());
        if paid == Amount::ZERO {
            return Ok(());
        }
        // What was paid counts, not what was promised: the rest stays due if more is funded.
        self.books.redeemed.set(slot, before.checked_add(paid).ok_or(OVERFLOW)?);
        info.redeemed = info.redeemed.checked_add(paid).ok_or(OVERFLOW)?;
        self.books.vaults.set(voucher.vault, info);
        self.pay_earnings(Account::Vault(voucher.vault), voucher.payee, paid)
    }

    /// An honest payer's promises of an epoch never add up to more than it funded in it, whatever
    /// was redeemed meanwhile: so this evidence can't be made against one.
    pub(super) fn report_overspend(
        &mut self,
        call: Call,
        vouchers: &[SignedVoucher],
    ) -> Result<(), Refusal> {
        let first = vouchers.first().ok_or(Refusal::Unproven)?.voucher;
        let mut info = self.known_vault(first.vault)?;
        if !vouchers.is_sorted_by(|one, next| one.voucher.payee < next.voucher.payee) {
            return Err(Refusal::Order { what: "payees" });
        }
        let same = |signed: &SignedVoucher| {
            (signed.voucher.vault, signed.voucher.epoch) == (info.vault, info.epoch)
        };
        if !vouchers.iter().all(same) {
            return Err(Refusal::Unproven);
        }
        if call.authenticate {
            vouchers.iter().try_for_each(|signed| signed.verify(&self.domain, info.owner))?;
        }
        let promised = vouchers
            .iter()
            .try_fold(Amount::ZERO, |sum, signed| sum.checked_add(signed.voucher.amount));
        // A sum that no amount can hold is over any vault.
        if promised.is_some_and(|promised| promised <= info.funded) {
            return Err(Refusal::Unproven);
        }
        if info.penalty == Amount::ZERO {
            return Err(Refusal::State { what: "penalty deposit", expected: "not taken" });
        }
        self.split_penalty(Account::VaultPenalty(info.vault), call.actor, info.penalty)?;
        info.penalty = Amount::ZERO;
        self.books.vaults.set(info.vault, info);
        let mut record = self.record(info.owner);
        record.overspends = record.overspends.checked_add(1).ok_or(OVERFLOW)?;
        self.books.records.set(info.owner, record);
        Ok(())
    }

    fn own_vault(&self, call: Call, vault: VaultId) -> Result<VaultInfo, Refusal> {
        let info = self.known_vault(vault)?;
        if info.owner == call.actor {
            Ok(info)
        } else {
            Err(Refusal::Actor { expected: "vault's owner" })
        }
    }

    fn known_vault(&self, vault: VaultId) -> Result<VaultInfo, Refusal> {
        self.vault(vault).ok_or(Refusal::Unknown { what: "vault" })
    }
}
