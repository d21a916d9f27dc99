//! Accounts of customers: by which terms they are opened, with what the ledger says of a vault.

use pop_wire::{Amount, UnixTime, WalletAddress};

use super::customer::Standing;
use super::{Till, TillError, TillOutput};
use crate::ids::{LineId, VaultId};
use crate::ledger::names::vault_id;
use crate::message::{Objection, PaymentMessage, Terms};
use crate::payee::{Payee, PayeeError, PayeeInput, PayeeOutput};
use crate::refusal::Refusal;
use crate::voucher::{SignedVoucher, VaultInfo};

impl Till {
    pub(super) fn terms(
        &mut self,
        now: UnixTime,
        (wallet, line): (WalletAddress, LineId),
        terms: Terms,
    ) -> Result<(), TillError> {
        let Some((domain, payee)) = &self.payee else {
            self.object(line, Objection::Ledger);
            return Ok(());
        };
        let known = payee.vault_info(terms.vault);
        // spec/incentive.md §5.6: from vault 0 of the wallet at the other end, and no other.
        let is_its_own = terms.vault == vault_id(domain, wallet, 0);
        let quoted = self.quotes.valid(terms.serial, now).and_then(|quote| quote.tariff());
        if !is_its_own || quoted != Some(terms.meter.tariff()) {
            let objection = if is_its_own { Objection::Terms } else { Objection::Vault };
            self.object(line, objection);
            return Ok(());
        }
        let Some(customer) = self.customer_mut(wallet) else { return Ok(()) };
        customer.terms = Some((line, terms));
        let result = match (known, customer.standing) {
            (Some(info), _) => self.begin(wallet, info, Amount::ZERO),
            (None, Standing::Account(_)) => Ok(()),
            (None, _) => {
                customer.standing = Standing::Waiting;
                Ok(())
            }
        };
        // Known or not: the ledger may know better by now.
        self.look_up(terms.vault);
        result
    }

    /// Open or change a customer's account by the terms it stated. `redeemed` is what the ledger is
    /// known to have paid of its vouchers: the payee may have forgotten.
    fn begin(
        &mut self,
        wallet: WalletAddress,
        info: VaultInfo,
        redeemed: Amount,
    ) -> Result<(), TillError> {
        let Ok(at) = self.at(wallet) else { return Ok(()) };
        let customer = &mut self.customers[at];
        let Some((line, terms)) = customer.terms.take() else { return Ok(()) };
        let Terms { vault, meter, position, .. } = terms;
        if info.owner != wallet || info.vault != vault {
            self.object(line, Objection::Vault);
            return Ok(());
        }
        let Some((_, payee)) = &mut self.payee else { return Ok(()) };
        if let Err(error) = payee.handle(PayeeInput::Vault(info)) {
            // No room, say: it is tried again every second, and others leave.
            customer.terms = Some((line, terms));
            self.object(line, Objection::Ledger);
            return Err(error.into());
        }
        customer.standing = Standing::Account(vault);
        customer.netting_said = 0;
        let (prefix, voucher) = (customer.prefix, customer.voucher);
        self.outputs.push_back(TillOutput::Opened { customer: wallet });
        self.tell(PayeeInput::Redeemed { vault, amount: redeemed })?;
        self.tell(PayeeInput::Open { vault, meter, position, prefix })?;
        let bytes = self.payee().map_or(0, |payee| payee.served_bytes(vault));
        self.say(line, PaymentMessage::Served { vault, bytes });
        // Before its voucher: what we owe it may be what pays for the bytes.
        self.net(vault, wallet)?;
        match voucher {
            Some(voucher) => self.tell(PayeeInput::Voucher(voucher)),
            None => Ok(()),
        }
    }

    pub(super) fn voucher(
        &mut self,
        customer: WalletAddress,
        signed: SignedVoucher,
    ) -> Result<(), TillError> {
        let Some(customer) = self.customer_mut(customer) else { return Ok(()) };
        match customer.standing {
            Standing::Account(vault) if vault == signed.voucher.vault => {
                // Kept: if it is refused for what the ledger said, that may say something else.
                customer.voucher = Some(signed);
                self.tell(PayeeInput::Voucher(signed))
            }
            Standing::Waiting => {
                // The greatest says all that the others said.
                customer.voucher = Some(signed);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// The ledger knows a vault: whoever waits for that has an account now, and a voucher that was
    /// refused for what the ledger said before may be good.
    pub(super) fn vault_found(
        &mut self,
        info: VaultInfo,
        redeemed: Amount,
    ) -> Result<(), TillError> {
        let vault = info.vault;
        let known = self.vault(vault);
        // An answer that was overtaken by a later one says nothing of this epoch.
        let (info, redeemed) = match known.filter(|known| known.epoch > info.epoch) {
            Some(known) => (known, Amount::ZERO),
            None => (info, redeemed),
        };
        let waits = self.customer(info.owner).and_then(|it| it.terms);
        if waits.is_some_and(|(_, terms)| terms.vault == vault) {
            return self.begin(info.owner, info, redeemed);
        }
        if known.is_none() || (known == Some(info) && redeemed <= self.redeemed(vault)) {
            return Ok(());
        }
        self.tell(PayeeInput::Vault(info))?;
        self.tell(PayeeInput::Redeemed { vault, amount: redeemed })?;
        self.offer_netting(vault);
        self.try_again(info)
    }

    pub(super) fn redeemed_more(
        &mut self,
        vault: VaultId,
        epoch: u64,
        amount: Amount,
    ) -> Result<(), TillError> {
        let info = self.vault(vault).filter(|info| info.epoch == epoch);
        let Some(info) = info.filter(|_| amount > self.redeemed(vault)) else { return Ok(()) };
        self.tell(PayeeInput::Redeemed { vault, amount })?;
        self.try_again(info)
    }

    /// Take in a connected customer's last voucher again.
    fn try_again(&mut self, info: VaultInfo) -> Result<(), TillError> {
        let customer = self.customer(info.owner);
        let kept = customer.filter(|it| matches!(it.standing, Standing::Account(_)));
        let kept = kept.and_then(|it| it.voucher).filter(|it| it.voucher.epoch >= info.epoch);
        match kept {
            Some(voucher) => self.tell(PayeeInput::Voucher(voucher)),
            None => Ok(()),
        }
    }

    pub(super) fn object_who_waits(&mut self, vault: VaultId, objection: Objection) {
        let waiting = self.customers.iter().filter_map(|it| it.terms);
        let line = waiting.filter(|(_, terms)| terms.vault == vault).map(|(line, _)| line).next();
        if let Some(line) = line {
            self.object(line, objection);
        }
    }

    /// Ask the ledger about a vault, once a second at most, whatever its owner says meanwhile.
    pub(super) fn look_up(&mut self, vault: VaultId) {
        if let Err(at) = self.looked_up.binary_search(&vault) {
            self.looked_up.insert(at, vault);
            self.outputs.push_back(TillOutput::LookUp { vault });
        }
    }

    /// Count what we owe a customer as paid by it, if it has an account.
    pub(super) fn net(&mut self, vault: VaultId, customer: WalletAddress) -> Result<(), TillError> {
        let Some(balance) = self.balances.get(customer) else { return Ok(()) };
        if self.vault(vault).is_some() {
            self.tell(PayeeInput::Balance { vault, balance })?;
            self.offer_netting(vault);
        }
        Ok(())
    }

    /// Say how much a connected customer that we owe something may leave unpaid, if that is more
    /// than was said.
    pub(super) fn offer_netting(&mut self, vault: VaultId) {
        let Some((_, payee)) = &self.payee else { return };
        let Some(owner) = payee.vault_info(vault).map(|info| info.owner) else { return };
        if self.balances.get(owner).is_none() {
            return;
        }
        let bytes = payee.float(vault);
        let Some(customer) = self.customer_mut(owner) else { return };
        let Some(line) = customer.lines.last().copied() else { return };
        let is_open = matches!(customer.standing, Standing::Account(_));
        if is_open && bytes > customer.netting_said {
            customer.netting_said = bytes;
            self.say(line, PaymentMessage::Netting { vault, bytes });
        }
    }

    /// Make room for others: accounts of customers that have gone, whose vouchers are redeemed. One
    /// that comes back is known by what the ledger paid of its vault. What it still owed is given
    /// up, as for those who never said from what they pay. Whom we owe something is kept.
    pub(super) fn forgive(&mut self) -> Result<(), TillError> {
        self.tell(PayeeInput::Forgive)?;
        let is_gone = |info: &VaultInfo| {
            let standing = self.customer(info.owner).map(|it| it.standing);
            !matches!(standing, Some(Standing::Account(_)))
                && self.balances.get(info.owner).is_none()
        };
        let gone: Vec<_> = self.vaults().filter(is_gone).collect();
        for VaultInfo { vault, owner, .. } in gone {
            match self.tell(PayeeInput::Forget { vault }) {
                Ok(()) => self.outputs.push_back(TillOutput::Forgotten { vault, customer: owner }),
                Err(TillError::Payee(PayeeError::InUse { .. })) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    pub(super) fn tell(&mut self, input: PayeeInput) -> Result<(), TillError> {
        let Some((_, payee)) = &mut self.payee else { return Ok(()) };
        let result = payee.handle(input);
        while let Some(output) = self.payee.as_mut().and_then(|(_, payee)| Payee::poll(payee)) {
            self.carry_out(output);
        }
        Ok(result?)
    }

    fn carry_out(&mut self, output: PayeeOutput) {
        match output {
            PayeeOutput::Persist(record) => self.outputs.push_back(TillOutput::Persist(record)),
            PayeeOutput::Allowance { vault, bytes } => {
                if let Some(info) = self.vault(vault) {
                    self.allow(info.owner, bytes);
                }
            }
            PayeeOutput::VisitorAllowance { payer, bytes } => self.allow(payer, bytes),
            PayeeOutput::Redeem(_) => {
                if !self.outputs.contains(&TillOutput::Redeem) {
                    self.outputs.push_back(TillOutput::Redeem);
                }
            }
            PayeeOutput::Refused { vault, refusal } => self.refused(vault, refusal),
        }
    }

    fn allow(&mut self, wallet: WalletAddress, in_all: u64) {
        if let Some(customer) = self.customer_mut(wallet) {
            customer.allowed = in_all;
            self.outputs.push_back(TillOutput::Allow { customer: wallet });
        }
    }

    fn refused(&mut self, vault: VaultId, refusal: Refusal) {
        let Some(customer) = self.vault(vault).map(|info| info.owner) else { return };
        let objection = match refusal {
            Refusal::Terms => Objection::Terms,
            Refusal::Closing => Objection::Closing,
            _ => Objection::Voucher,
        };
        // It may have funded its vault, or closed it, since the ledger was asked last.
        let is_by_ledger = matches!(
            refusal,
            Refusal::OverVault { .. } | Refusal::WrongEpoch { .. } | Refusal::Closing
        );
        if is_by_ledger {
            self.look_up(vault);
        }
        self.outputs.push_back(TillOutput::Refused { customer, refusal });
        let line = self.customer(customer).and_then(|it| it.lines.last().copied());
        if let Some(line) = line {
            self.object(line, objection);
        }
    }
}
