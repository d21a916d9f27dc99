//! Netting with those whom we fetch from too (`spec/incentive.md` §7): what we owe them pays us.
//! The purse says what that is; it is told what they owe us.

use pop_incentive::balance::Balance;
use pop_incentive::ids::VaultId;
use pop_incentive::till::TillInput;
use pop_wire::WalletAddress;

use super::Till;

impl Till {
    /// Tell the purse whom to tell what we owe, and what we remember of our customers.
    pub(super) fn start_netting(&mut self) {
        let Some(purse) = &self.purse else { return };
        purse.net_with(self.news.clone());
        self.machine.vaults().for_each(|info| self.tell_purse(info.owner));
    }

    /// We owe a customer this, and have promised that.
    pub(super) fn on_debt(&mut self, customer: WalletAddress, debt: Balance) {
        let is_new = self.debts.insert(customer);
        self.tell(TillInput::Balance { customer, balance: Some(debt) });
        if is_new {
            self.tell_purse(customer);
        }
    }

    /// The owner of a vault promised or acknowledged more.
    pub(super) fn tell_purse_of(&self, vault: VaultId) {
        if let Some(info) = self.machine.vault(vault) {
            self.tell_purse_of_debtor(info.owner);
        }
    }

    /// Say what a customer owes us, if we owe it something too.
    pub(super) fn tell_purse_of_debtor(&self, customer: WalletAddress) {
        if self.debts.contains(&customer) {
            self.tell_purse(customer);
        }
    }

    /// Say what a customer owes us.
    pub(super) fn tell_purse(&self, customer: WalletAddress) {
        if let (Some(purse), Some(debt)) = (&self.purse, self.machine.debt(customer)) {
            purse.customer(customer, Some(debt));
        }
    }
}
