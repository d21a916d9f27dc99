//! What a purse has its payer do, and the vault that it pays from.

use pop_wire::WalletAddress;

use super::{Purse, PurseError, PurseOutput};
use crate::limits::VAULT_LOOK_MS;
use crate::message::{PaymentMessage, Terms};
use crate::payer::{Payer, PayerInput, PayerOutput};
use crate::voucher::VaultInfo;

impl Purse {
    pub(super) fn vault(&mut self, info: VaultInfo) -> Result<(), PurseError> {
        self.is_looking = false;
        if self.payer.is_some() {
            return self.pay(PayerInput::Vault(info));
        }
        let Some((domain, _)) = self.ledger else { return Ok(()) };
        let (owner, records) = (self.owner.clone(), self.records.iter().copied());
        let payer = Payer::new(domain, owner, info, self.limits, records);
        self.payer = Some(payer.map_err(PurseError::Records)?);
        self.records = Vec::new();
        // What was netted before a restart still is.
        let netted: Vec<_> = self.balances.peers().collect();
        let mut result = netted.into_iter().try_for_each(|seller| self.net(seller));
        let waiting: Vec<_> = self.sellers.iter().map(|it| it.wallet).collect();
        for seller in waiting {
            result = result.and(self.take_offer(seller));
        }
        result
    }

    /// Count what a seller owes us as paid, if it buys from us and has an account with us.
    pub(super) fn net(&mut self, payee: WalletAddress) -> Result<(), PurseError> {
        match self.balances.get(payee).filter(|_| self.debt(payee).is_some()) {
            Some(balance) => self.pay(PayerInput::Balance { payee, balance }),
            None => Ok(()),
        }
    }

    /// Ask the ledger for the vault after a while, unless that is under way.
    pub(super) fn look_up(&mut self, after_ms: u64) {
        let Some((_, vault)) = self.ledger else { return };
        if !core::mem::replace(&mut self.is_looking, true) {
            self.outputs.push_back(PurseOutput::LookUp { vault, after_ms });
        }
    }

    pub(super) fn pay(&mut self, input: PayerInput) -> Result<(), PurseError> {
        let Some(payer) = self.payer.as_mut() else { return Ok(()) };
        let result = payer.handle(input);
        while let Some(output) = self.payer.as_mut().and_then(Payer::poll) {
            self.carry_out(output);
        }
        Ok(result?)
    }

    fn carry_out(&mut self, output: PayerOutput) {
        let output = match output {
            PayerOutput::Persist(record) => PurseOutput::Persist(record),
            PayerOutput::Terms { payee, meter, position } => {
                let ledger = self.ledger;
                let Some(seller) = self.seller_mut(payee) else { return };
                let (Some(offer), Some((_, vault))) = (seller.offer, ledger) else { return };
                let line = seller.demand(offer.line).map(|_| offer.line);
                let Some(line) = line.or_else(|| seller.newest_line()) else { return };
                let position = seller.position(position);
                let terms = Terms { vault, serial: offer.serial, meter, position };
                return self.say(line, PaymentMessage::Terms(terms));
            }
            PayerOutput::Send(voucher) => {
                // Without a link it is sent again with the next terms.
                let Some(seller) = self.seller_mut(voucher.voucher.payee) else { return };
                let Some(line) = seller.newest_line() else { return };
                seller.said = Some((line, voucher));
                return self.say(line, PaymentMessage::Voucher(voucher));
            }
            PayerOutput::VaultLow { payee, short } => {
                self.look_up(VAULT_LOOK_MS);
                PurseOutput::VaultLow { seller: payee, short }
            }
            PayerOutput::Overclaimed { payee, claimed, believed } => {
                PurseOutput::Overclaimed { seller: payee, claimed, believed }
            }
        };
        self.outputs.push_back(output);
    }
}
