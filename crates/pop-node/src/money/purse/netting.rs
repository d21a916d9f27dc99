//! Netting with those who fetch from us too (`spec/incentive.md` §7): what they owe us pays them.
//! The till says what that is; it is told what we owe them.

use std::collections::BTreeMap;
use std::time::Duration;

use pop_incentive::balance::Balance;
use pop_incentive::payer::{Payer, PayerInput};
use pop_wire::{PeerId, WalletAddress};
use tokio::sync::mpsc;

use super::{Driver, Told};
use crate::money::News;

/// From when nothing more is wanted until everything is settled, in milliseconds.
const REST_MS: u64 = 2_000;

/// What our customers owe us, and whom to tell what we owe them.
#[derive(Debug, Default)]
pub(super) struct Customers {
    till: Option<mpsc::UnboundedSender<News>>,
    debts: BTreeMap<WalletAddress, Balance>,
}

impl Driver {
    /// The node sells too.
    pub(super) fn on_till(&mut self, till: mpsc::UnboundedSender<News>) {
        self.customers.till = Some(till);
    }

    /// A customer owes us this; none if it is forgotten.
    pub(super) fn on_customer(&mut self, customer: WalletAddress, debt: Option<Balance>) {
        match debt {
            Some(debt) => drop(self.customers.debts.insert(customer, debt)),
            None => drop(self.customers.debts.remove(&customer)),
        }
        self.net(customer);
    }

    /// The vault is known: what was netted before a restart still is.
    pub(super) fn net_with_all(&mut self) {
        let customers: Vec<_> = self.customers.debts.keys().copied().collect();
        customers.into_iter().for_each(|customer| self.net(customer));
    }

    /// Count what a payee owes us as paid, if it is a customer and has an account with us.
    pub(super) fn net(&mut self, payee: WalletAddress) {
        let Some(balance) = self.customers.debts.get(&payee).copied() else { return };
        if self.payer.as_ref().and_then(|payer| payer.debt(payee)).is_none() {
            return;
        }
        self.pay(PayerInput::Balance { payee, balance });
        self.tell_debt(payee);
    }

    /// Say what we owe a payee, if it is a customer.
    pub(super) fn tell_debt(&self, payee: WalletAddress) {
        let debt = self.payer.as_ref().and_then(|payer: &Payer| payer.debt(payee));
        let is_customer = self.customers.debts.contains_key(&payee);
        if let (Some(till), Some(debt), true) = (&self.customers.till, debt, is_customer) {
            let _stopped = till.send(News::Debt { payee, debt });
        }
    }

    /// A payee lets us owe it so many bytes while it owes us. As much of it is used as leaves it
    /// room to send a shard: else both could wait for each other.
    pub(super) fn netting(&mut self, payee: WalletAddress, float: u64) {
        let Some(seller) = self.sellers.get(&payee).filter(|seller| seller.is_open) else { return };
        let band = (float / 2).min(float.saturating_sub(seller.shard_bytes));
        self.pay(PayerInput::Netting { payee, band });
    }

    /// A session wants nothing more of these for now. What it owes them is due after a while: the
    /// next film may even it out.
    pub(super) fn rest(&self, peers: &[PeerId]) {
        let asked = |peer: &PeerId| {
            let payee = peer.wallet_address();
            Some((payee, self.sellers.get(&payee)?.asked))
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
        for (payee, asked) in resting {
            if self.sellers.get(&payee).is_some_and(|it| it.is_open && it.asked == asked) {
                self.pay(PayerInput::Rest { payee });
            }
        }
    }
}
