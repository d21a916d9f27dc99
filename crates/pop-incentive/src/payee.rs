//! The payee: serves a bounded float unpaid, and beyond it only what a stored voucher pays for
//! (`spec/incentive.md` §5.3).
//!
//! A machine without clock, storage or network. After any call, drain [`Payee::poll`].
//!
//! Its whole memory of a payer is one [`PayeeRecord`]: the greatest voucher. More may be served
//! only once that is on disk, so a crash loses no money for which bytes were served.

mod account;
mod error;
mod port;
mod visitors;

use std::collections::VecDeque;

use account::Account;
pub use error::PayeeError;
use pop_wire::sorted::SortedMap;
use pop_wire::{Amount, WalletAddress};
pub use port::{PayeeInput, PayeeOutput, PayeePolicy};
use visitors::Visitors;

use crate::balance::Balance;
use crate::exposure::{Exposure, ExposureBound, IpPrefix, step_bytes};
use crate::ids::VaultId;
use crate::limits::ACCOUNTS_MAX;
use crate::rate::Meter;
use crate::record::PayeeRecord;
use crate::refusal::Refusal;
use crate::typed_data::LedgerDomain;
use crate::voucher::{SignedVoucher, VaultInfo};

/// Serves any number of payers.
#[derive(Debug)]
pub struct Payee {
    domain: LedgerDomain,
    address: WalletAddress,
    policy: PayeePolicy,
    exposure: Exposure,
    accounts: SortedMap<VaultId, Account>,
    visitors: Visitors,
    outputs: VecDeque<PayeeOutput>,
}

impl Payee {
    /// For the wallet `address`, from what was stored, which is nothing at first, with what the
    /// ledger says of the vaults.
    ///
    /// # Errors
    /// [`PayeeError::Record`] if the store is damaged.
    pub fn new(
        domain: LedgerDomain,
        address: WalletAddress,
        policy: PayeePolicy,
        records: impl IntoIterator<Item = (VaultInfo, PayeeRecord)>,
    ) -> Result<Self, PayeeError> {
        let exposure = Exposure::new(policy.exposure);
        let mut accounts = SortedMap::new();
        for (info, record) in records {
            let voucher = record.signed.voucher;
            if voucher.payee != address {
                return Err(PayeeError::Record(Refusal::WrongPayee { got: voucher.payee }));
            }
            if voucher.vault != info.vault {
                return Err(PayeeError::UnknownVault { vault: voucher.vault });
            }
            let mut account = Account::restored(info, &record);
            record
                .signed
                .verify_known(&domain, &mut account.owner)
                .map_err(|error| PayeeError::Record(error.into()))?;
            accounts.insert(info.vault, account);
        }
        let (visitors, outputs) = (Visitors::default(), VecDeque::new());
        Ok(Self { domain, address, policy, exposure, accounts, visitors, outputs })
    }

    /// Take in what happened.
    ///
    /// # Errors
    /// [`PayeeError`]; nothing has changed then.
    pub fn handle(&mut self, input: PayeeInput) -> Result<(), PayeeError> {
        match input {
            PayeeInput::Vault(info) => self.vault(info),
            PayeeInput::Visit { payer, prefix } => {
                self.visit(payer, prefix);
                Ok(())
            }
            PayeeInput::VisitorServed { payer, bytes } => self.visitors.served(payer, bytes),
            PayeeInput::VisitorLeft { payer } => {
                self.exposure.keep(payer, self.visitors.left(payer));
                Ok(())
            }
            PayeeInput::Forgive => {
                self.exposure.forgive();
                self.visitors.forgive();
                Ok(())
            }
            PayeeInput::Open { vault, meter, position, prefix } => {
                self.open(vault, meter, position, prefix)
            }
            PayeeInput::Voucher(signed) => {
                self.voucher(signed);
                Ok(())
            }
            PayeeInput::Served { vault, bytes } => self.served(vault, bytes),
            PayeeInput::Balance { vault, balance } => {
                let account = self.account(vault)?;
                (account.balance, account.nets) = (balance, true);
                self.allow(vault)
            }
            PayeeInput::Persisted { vault } => self.persisted(vault),
            PayeeInput::Redeemed { vault, amount } => {
                let account = self.account(vault)?;
                account.redeemed = account.redeemed.max(amount);
                Ok(())
            }
            PayeeInput::Close { vault } => self.close(vault),
            PayeeInput::Forget { vault } => self.forget(vault),
        }
    }

    /// What to do next, in this order; `None` until something happens again.
    pub fn poll(&mut self) -> Option<PayeeOutput> {
        self.outputs.pop_front()
    }

    /// Bytes served to a payer in all: what it is told after a reconnection.
    pub fn served_bytes(&self, vault: VaultId) -> u64 {
        self.accounts.get(&vault).map_or(0, |account| account.served)
    }

    /// What a payer owes for what it was served, as far as it acknowledged that or is about to, and
    /// what of that it promised: what we may net our own debt to it with. `None` without an account.
    pub fn debt(&self, vault: VaultId) -> Option<Balance> {
        self.accounts.get(&vault).map(Account::debt)
    }

    /// Bytes that a payer may leave unpaid.
    pub fn float(&self, vault: VaultId) -> u64 {
        self.accounts.get(&vault).map_or(0, |account| account.float)
    }

    /// The voucher that is stored, which is all that can be redeemed.
    pub fn stored(&self, vault: VaultId) -> Option<SignedVoucher> {
        self.accounts.get(&vault).and_then(|account| account.stored)
    }

    /// What the ledger said last of a vault. `None` without an account.
    pub fn vault_info(&self, vault: VaultId) -> Option<VaultInfo> {
        self.accounts.get(&vault).map(|account| account.info)
    }

    /// What the ledger said last of every vault that has an account.
    pub fn vaults(&self) -> impl Iterator<Item = VaultInfo> + '_ {
        self.accounts.values().map(|account| account.info)
    }

    /// Base units that the ledger has paid of this vault's vouchers in this epoch, as far as
    /// [`PayeeInput::Redeemed`] said.
    pub fn redeemed(&self, vault: VaultId) -> Amount {
        self.accounts.get(&vault).map_or(Amount::ZERO, |account| account.redeemed)
    }

    /// What can be lost to payers that stop paying, in bytes.
    pub fn bound(&self) -> ExposureBound {
        self.exposure.bound()
    }

    fn account(&mut self, vault: VaultId) -> Result<&mut Account, PayeeError> {
        self.accounts.get_mut(&vault).ok_or(PayeeError::UnknownVault { vault })
    }

    fn vault(&mut self, info: VaultInfo) -> Result<(), PayeeError> {
        let Some(account) = self.accounts.get_mut(&info.vault) else {
            if self.accounts.len() >= ACCOUNTS_MAX {
                return Err(PayeeError::TooManyPayers { max: ACCOUNTS_MAX });
            }
            self.accounts.insert(info.vault, Account::new(info));
            return Ok(());
        };
        if info.epoch < account.info.epoch || info.owner != account.info.owner {
            return Err(PayeeError::OldVault { epoch: account.info.epoch });
        }
        if info.epoch > account.info.epoch {
            account.begin_epoch();
        }
        account.info = info;
        self.redeem_if_due(info.vault);
        self.allow(info.vault)
    }

    /// The float before the ledger is asked about a vault, so that the first byte waits for nobody.
    fn visit(&mut self, payer: WalletAddress, prefix: IpPrefix) {
        let has_account = self.accounts.values().any(|account| account.info.owner == payer);
        let bytes = match has_account || !self.visitors.may_come(payer) {
            true => 0,
            false => self.visitors.come(payer, self.exposure.grant(payer, prefix, 0)),
        };
        self.outputs.push_back(PayeeOutput::VisitorAllowance { payer, bytes });
    }

    fn open(
        &mut self,
        vault: VaultId,
        meter: Meter,
        position: u64,
        prefix: IpPrefix,
    ) -> Result<(), PayeeError> {
        let account = self.account(vault)?;
        if let Err(refusal) = account.change_meter(meter) {
            self.outputs.push_back(PayeeOutput::Refused { vault, refusal });
            return Ok(());
        }
        account.open = true;
        let (owner, settled) = (account.info.owner, account.settled());
        let float = self.exposure.grant(owner, prefix, settled);
        let visits = self.visitors.settle(owner);
        let account = self.account(vault)?;
        // The position has in it what came of earlier visits, and nothing of this one.
        let position = position.min(account.served_max());
        let counted = account.served.saturating_add(visits.earlier).max(position);
        account.served = counted.saturating_add(visits.this);
        account.float = float;
        self.allow(vault)
    }

    fn voucher(&mut self, signed: SignedVoucher) {
        let vault = signed.voucher.vault;
        if let Err(refusal) = self.accept(&signed) {
            self.outputs.push_back(PayeeOutput::Refused { vault, refusal });
            return;
        }
        self.store(vault);
    }

    /// Cheap checks first, the signature last, and nothing changes before it.
    fn accept(&mut self, signed: &SignedVoucher) -> Result<(), Refusal> {
        let vault = signed.voucher.vault;
        let account = self.accounts.get(&vault).ok_or(Refusal::UnknownVault)?;
        self.check(account, signed)?;
        let account = self.accounts.get_mut(&vault).ok_or(Refusal::UnknownVault)?;
        if account.newest == Some(*signed) {
            return Ok(());
        }
        signed.verify_known(&self.domain, &mut account.owner)?;
        account.newest = Some(*signed);
        account.served = account.served.max(signed.voucher.bytes);
        Ok(())
    }

    /// All checks but that of the signature.
    fn check(&self, account: &Account, signed: &SignedVoucher) -> Result<(), Refusal> {
        let (voucher, info) = (&signed.voucher, &account.info);
        if voucher.payee != self.address {
            return Err(Refusal::WrongPayee { got: voucher.payee });
        }
        if voucher.epoch != info.epoch {
            return Err(Refusal::WrongEpoch { expected: info.epoch, got: voucher.epoch });
        }
        if !account.open {
            return Err(Refusal::NotOpen);
        }
        if let Some(newest) = &account.newest {
            // The same again, after a reconnection: known to be good.
            if newest == signed {
                return Ok(());
            }
            newest.voucher.is_followed_by(voucher)?;
        }
        account.check_bytes(voucher)?;
        if info.closes.is_some() {
            return Err(Refusal::Closing);
        }
        let unredeemed = voucher.amount.checked_sub(account.redeemed).unwrap_or(Amount::ZERO);
        if unredeemed > info.balance() {
            return Err(Refusal::OverVault { guaranteed: info.balance(), got: unredeemed });
        }
        if unredeemed > self.policy.unredeemed_max {
            return Err(Refusal::OverExposure { max: self.policy.unredeemed_max, got: unredeemed });
        }
        Ok(())
    }

    fn served(&mut self, vault: VaultId, bytes: u64) -> Result<(), PayeeError> {
        let account = self.account(vault)?;
        let served = account.served.saturating_add(bytes);
        let allowed = account.allowance();
        if served > allowed {
            return Err(PayeeError::OverAllowance { bytes: served - allowed });
        }
        account.served = served;
        Ok(())
    }

    fn persisted(&mut self, vault: VaultId) -> Result<(), PayeeError> {
        let account = self.account(vault)?;
        let stored = account.storing.take().ok_or(PayeeError::NothingToPersist { vault })?;
        // A voucher of an epoch that ended meanwhile is void.
        if stored.voucher.epoch == account.info.epoch {
            account.stored = Some(stored);
            account.begin_next_meter();
            account.restored = false;
            let (owner, settled) = (account.info.owner, account.settled());
            if step_bytes(settled) > account.float && account.open {
                let float = self.exposure.grow(owner, settled);
                let account = self.account(vault)?;
                account.float = float.max(account.float);
            }
            self.redeem_if_due(vault);
        }
        self.store(vault);
        self.allow(vault)
    }

    fn close(&mut self, vault: VaultId) -> Result<(), PayeeError> {
        let account = self.account(vault)?;
        account.open = false;
        let (owner, unpaid) =
            (account.info.owner, account.served.saturating_sub(account.covered()));
        account.float = 0;
        self.exposure.keep(owner, unpaid);
        Ok(())
    }

    fn forget(&mut self, vault: VaultId) -> Result<(), PayeeError> {
        let account = self.account(vault)?;
        let promised = account.newest.map_or(Amount::ZERO, |signed| signed.voucher.amount);
        if account.open || account.storing.is_some() || promised > account.redeemed {
            return Err(PayeeError::InUse { vault });
        }
        let owner = account.info.owner;
        self.accounts.remove(&vault);
        self.exposure.keep(owner, 0);
        Ok(())
    }

    /// Store the newest voucher, unless an older one is on its way to the disk: then it follows.
    fn store(&mut self, vault: VaultId) {
        let Some(account) = self.accounts.get_mut(&vault) else { return };
        let Some(signed) = account.newest else { return };
        let Some(meter) = account.meter_for(signed.voucher.amount) else { return };
        if account.storing.is_some() || account.stored == Some(signed) {
            return;
        }
        account.storing = Some(signed);
        let record = PayeeRecord { signed, served: account.served, meter };
        self.outputs.push_back(PayeeOutput::Persist(record));
    }

    fn allow(&mut self, vault: VaultId) -> Result<(), PayeeError> {
        let account = self.account(vault)?;
        if account.open {
            let bytes = account.allowance();
            self.outputs.push_back(PayeeOutput::Allowance { vault, bytes });
        }
        Ok(())
    }

    /// Ask for redemption when half of what may be unredeemed is, or when the vault closes.
    fn redeem_if_due(&mut self, vault: VaultId) {
        let half = Amount::from_base_units(self.policy.unredeemed_max.base_units() / 2);
        let Some(account) = self.accounts.get_mut(&vault) else { return };
        let Some(stored) = account.stored else { return };
        let amount = stored.voucher.amount;
        let since = |amount: Amount, from| amount.checked_sub(from).unwrap_or(Amount::ZERO);
        let is_due = since(amount, account.redeemed.max(account.asked)) > half
            || (account.info.closes.is_some() && amount > account.redeemed);
        if is_due {
            account.asked = amount;
            self.outputs.push_back(PayeeOutput::Redeem(stored));
        }
    }
}
