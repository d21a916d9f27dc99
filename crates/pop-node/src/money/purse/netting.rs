//! Netting with those who fetch from us too (`spec/incentive.md` §7): what they owe us pays them.
//! The till says what that is; it is told what we owe them.

use std::collections::BTreeSet;
use std::time::Duration;

use pop_incentive::balance::Balance;
use pop_incentive::purse::PurseInput;
use pop_wire::{PeerId, WalletAddress};
use tokio::sync::mpsc;

use super::{Driver, Told};
use crate::money::News;

/// From when nothing more is wanted until everything is settled, in milliseconds.
const REST_MS: u64 = 2_000;

/// Who buys from us, and whom to tell what we owe them.
#[derive(Debug, Default)]
pub(super) struct Customers {
    till: Option<mpsc::UnboundedSender<News>>,
    wallets: BTreeSet<WalletAddress>,
}

impl Driver {
    /// The node sells too.
    pub(super) fn on_till(&mut self, till: mpsc::UnboundedSender<News>) {
        self.customers.till = Some(till);
    }

    /// A customer owes us this; none if it is forgotten.
    pub(super) fn on_customer(&mut self, customer: WalletAddress, debt: Option<Balance>) {
        match debt {
            Some(_) => self.customers.wallets.insert(customer),
            None => self.customers.wallets.remove(&customer),
        };
        self.pay(PurseInput::Balance { seller: customer, balance: debt });
        self.tell_debt(customer);
    }

    /// Say what we owe all our customers.
    pub(super) fn tell_debts(&self) {
        self.customers.wallets.iter().for_each(|customer| self.tell_debt(*customer));
    }

    /// Say what we owe a holder, if it is a customer.
    pub(super) fn tell_debt(&self, payee: WalletAddress) {
        let debt = self.machine.debt(payee);
        let is_customer = self.customers.wallets.contains(&payee);
        if let (Some(till), Some(debt), true) = (&self.customers.till, debt, is_customer) {
            let _stopped = till.send(News::Debt { payee, debt });
        }
    }

    /// A session wants nothing more of these for now. What it owes them is due after a while: the
    /// next film may even it out.
    pub(super) fn rest(&self, peers: &[PeerId]) {
        let asked = |peer: &PeerId| {
            let payee = peer.wallet_address();
            Some((payee, self.debts.get(&payee)?.asked()))
        };
        let resting: Vec<_> = peers.iter().filter_map(asked).collect();
        let told = self.told.clone();
        self.bank.spawn(async move {
            tokio::time::sleep(Duration::from_millis(REST_MS)).await;
            let _stopped = told.send(Told::Rested(resting));
        });
    }

    /// Settle with those of whom nothing was asked since.
    pub(super) fn rested(&mut self, resting: Vec<(WalletAddress, u64)>) {
        for (seller, asked) in resting {
            if self.debts.get(&seller).is_some_and(|debt| debt.asked() == asked) {
                self.pay(PurseInput::Rest { seller });
            }
        }
    }
}
