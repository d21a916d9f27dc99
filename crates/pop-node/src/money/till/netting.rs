//! Netting with those whom we fetch from too (`spec/incentive.md` §7): what we owe them pays us.
//! The purse says what that is; it is told what they owe us.

use pop_incentive::balance::Balance;
use pop_incentive::ids::VaultId;
use pop_incentive::ledger::names::vault_id;
use pop_incentive::message::PaymentMessage;
use pop_incentive::payee::PayeeInput;
use pop_wire::WalletAddress;

use super::Till;

impl Till {
    /// Tell the purse whom to tell what we owe, and what we remember of our customers.
    pub(super) fn start_netting(&mut self) {
        let Some(purse) = &self.purse else { return };
        purse.net_with(self.news.clone());
        let known: Vec<_> = self.vaults.values().map(|info| (info.vault, info.owner)).collect();
        known.into_iter().for_each(|(vault, customer)| self.tell_purse(vault, customer));
    }

    /// We owe a customer this, and have promised that.
    pub(super) fn on_debt(&mut self, customer: WalletAddress, debt: Balance) {
        let vault = vault_id(&self.bank.domain, customer, 0);
        let is_new = self.debts.insert(customer, debt).is_none();
        self.net(vault, customer);
        if is_new {
            self.tell_purse(vault, customer);
        }
    }

    /// A customer's account is open: it may be somebody whom we owe.
    pub(super) fn net_anew(&mut self, vault: VaultId, customer: WalletAddress) {
        if let Some(peer) = self.payers.get(&vault)
            && let Some(customer) = self.customers.get_mut(peer)
        {
            customer.netting_said = 0;
        }
        self.tell_purse(vault, customer);
        self.net(vault, customer);
    }

    /// A customer promised or acknowledged more.
    pub(super) fn net_on(&mut self, vault: VaultId) {
        let Some(customer) = self.vaults.get(&vault).map(|info| info.owner) else { return };
        if self.debts.contains_key(&customer) {
            self.tell_purse(vault, customer);
            self.offer_netting(vault);
        }
    }

    /// Count what we owe a customer as paid by it.
    fn net(&mut self, vault: VaultId, customer: WalletAddress) {
        let Some(balance) = self.debts.get(&customer).copied() else { return };
        if self.payee.debt(vault).is_some() {
            self.tell(PayeeInput::Balance { vault, balance });
            self.offer_netting(vault);
        }
    }

    /// Say how much a connected customer may leave unpaid, if that is more than was said.
    fn offer_netting(&mut self, vault: VaultId) {
        let bytes = self.payee.float(vault);
        let Some(peer) = self.payers.get(&vault) else { return };
        let Some(customer) = self.customers.get_mut(peer) else { return };
        let Some(link) = customer.links.first().copied() else { return };
        if bytes > customer.netting_said {
            customer.netting_said = bytes;
            self.say(link, PaymentMessage::Netting { vault, bytes });
        }
    }

    /// Say what a customer owes us.
    fn tell_purse(&self, vault: VaultId, customer: WalletAddress) {
        if let (Some(purse), Some(debt)) = (&self.purse, self.payee.debt(vault)) {
            purse.customer(customer, Some(debt));
        }
    }
}
