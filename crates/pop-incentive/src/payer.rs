//! The payer: promises ahead of what it verified, so that payment never adds a round trip, and
//! never sends a promise that it hasn't stored (`spec/incentive.md` §5.3).
//!
//! A machine without clock, storage or network. After any call, drain [`Payer::poll`].
//!
//! Its whole memory of a payee is one [`PayerRecord`]. A payer that restarts from its records has
//! at least every promise that it ever sent, so it never signs a lower one.

mod account;

use std::collections::VecDeque;

use account::Account;
use pop_wire::sorted::SortedMap;
use pop_wire::{Amount, Keypair, WalletAddress};

use crate::balance::Balance;
use crate::exposure::{Exposure, ExposureBound, ExposureLimits, IpPrefix, step_bytes};
use crate::limits::{ACCOUNTS_MAX, STEP_BYTES_MAX, TRANSPORT_LOSS_DIVISOR};
use crate::rate::{Meter, Tariff};
use crate::record::PayerRecord;
use crate::typed_data::LedgerDomain;
use crate::voucher::{SignedVoucher, VaultInfo};

/// What happened.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum PayerInput {
    /// The ledger says this of the vault. A new epoch voids every promise of the old one.
    Vault(VaultInfo),
    /// A link to a payee is up and its quote is accepted; also after every reconnection, and to
    /// change the tariff.
    Open {
        /// Who will be paid.
        payee: WalletAddress,
        /// By its quote.
        tariff: Tariff,
        /// Where it is.
        prefix: IpPrefix,
    },
    /// So many bytes more will be asked for. Nothing is promised beyond what is wanted.
    Want {
        /// Of whom.
        payee: WalletAddress,
        /// How many more.
        bytes: u64,
    },
    /// So many bytes more came and passed verification.
    Verified {
        /// From whom.
        payee: WalletAddress,
        /// How many more.
        bytes: u64,
    },
    /// The payee says, after a reconnection, that it has served so many bytes in all.
    Served {
        /// Who says so.
        payee: WalletAddress,
        /// Its count.
        bytes: u64,
    },
    /// The payee takes what it owes us as payment, and lets us owe so many bytes before we pay:
    /// nothing is paid ahead any more, and what came is acknowledged more often. Zero if it
    /// doesn't, and after each [`PayerInput::Open`].
    Netting {
        /// Who.
        payee: WalletAddress,
        /// Bytes that may be owed; less than its float by at least one shard.
        band: u64,
    },
    /// Nothing more is wanted for now: promise what is owed to the last base unit, also of what the
    /// payee still takes from us.
    Rest {
        /// Of whom.
        payee: WalletAddress,
    },
    /// What the payee owes us, and has promised us, for what we serve it.
    Balance {
        /// Who.
        payee: WalletAddress,
        /// Where we stand.
        balance: Balance,
    },
    /// The record that [`PayerOutput::Persist`] gave is safe on disk.
    Persisted {
        /// Whose record.
        payee: WalletAddress,
    },
    /// No more is wanted of a payee: one last receipt is sent.
    Close {
        /// Whose.
        payee: WalletAddress,
    },
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PayerOutput {
    /// Store this in place of what was stored for the payee, then say [`PayerInput::Persisted`].
    Persist(PayerRecord),
    /// Tell the payee this, with its quote, before any voucher. It answers with what it served.
    Terms {
        /// Whom to tell.
        payee: WalletAddress,
        /// The tariff, and from where on it counts.
        meter: Meter,
        /// Bytes that came, in all, as far as this side knows; without those of a visit
        /// (`spec/incentive.md` §5.6) that the payee hasn't counted yet.
        position: u64,
    },
    /// Send this to the payee that it names.
    Send(SignedVoucher),
    /// The vault doesn't cover the next step: fund it, or stop.
    VaultLow {
        /// Who isn't paid.
        payee: WalletAddress,
        /// How much is missing.
        short: Amount,
    },
    /// A payee claims to have served more than can have been lost on the way. Leave it; nothing
    /// more is promised to it.
    Overclaimed {
        /// Who.
        payee: WalletAddress,
        /// Bytes that it says it served.
        claimed: u64,
        /// The most that is believed.
        believed: u64,
    },
}

/// Why a call is refused: the caller's mistake, or a limit. Nothing has changed then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PayerError {
    /// The payee was never opened.
    #[error("payer: no account for {payee}")]
    UnknownPayee {
        /// Who.
        payee: WalletAddress,
    },
    /// Nothing was waiting to be stored.
    #[error("payer: nothing to be stored for {payee}")]
    NothingToPersist {
        /// Who.
        payee: WalletAddress,
    },
    /// Another vault, or an epoch that is over.
    #[error("payer: expected the vault of this payer in epoch {epoch} or later")]
    OtherVault {
        /// The epoch now.
        epoch: u64,
    },
    /// More was verified than was asked for.
    #[error("payer: {bytes} bytes more than were asked for")]
    NotWanted {
        /// How many.
        bytes: u64,
    },
    /// A count or amount doesn't fit.
    #[error("payer: a count or amount is too large")]
    Overflow,
    /// Too many payees in one epoch.
    #[error("payer: expected at most {max} payees")]
    TooManyPayees {
        /// Limit.
        max: usize,
    },
}

/// Pays any number of payees from one vault.
#[derive(Debug)]
pub struct Payer {
    domain: LedgerDomain,
    owner: Keypair,
    vault: VaultInfo,
    exposure: Exposure,
    accounts: SortedMap<WalletAddress, Account>,
    /// Promised in this epoch, whether stored yet or not.
    promised: Amount,
    outputs: VecDeque<PayerOutput>,
}

impl Payer {
    /// For a vault whose owner is `owner`, from what was stored, which is nothing at first.
    /// Records of past epochs are void.
    ///
    /// # Errors
    /// [`PayerError::OtherVault`] if the key or a record is not this vault's.
    pub fn new(
        domain: LedgerDomain,
        owner: Keypair,
        vault: VaultInfo,
        limits: ExposureLimits,
        records: impl IntoIterator<Item = PayerRecord>,
    ) -> Result<Self, PayerError> {
        let other = PayerError::OtherVault { epoch: vault.epoch };
        if owner.peer_id().wallet_address() != vault.owner {
            return Err(other);
        }
        let mut accounts = SortedMap::new();
        let mut promised = Amount::ZERO;
        for record in records {
            if record.vault != vault.vault || record.epoch > vault.epoch {
                return Err(other);
            }
            let mut account = Account::new(record, true);
            if record.epoch < vault.epoch {
                account.begin_epoch(vault.epoch);
            }
            promised = promised.checked_add(account.record.amount).ok_or(PayerError::Overflow)?;
            accounts.insert(record.payee, account);
        }
        let exposure = Exposure::new(limits);
        Ok(Self { domain, owner, vault, exposure, accounts, promised, outputs: VecDeque::new() })
    }

    /// Take in what happened.
    ///
    /// # Errors
    /// [`PayerError`]; nothing has changed then.
    pub fn handle(&mut self, input: PayerInput) -> Result<(), PayerError> {
        match input {
            PayerInput::Vault(vault) => self.vault(vault),
            PayerInput::Open { payee, tariff, prefix } => self.open(payee, tariff, prefix),
            PayerInput::Want { payee, bytes } => self.want(payee, bytes),
            PayerInput::Verified { payee, bytes } => self.verified(payee, bytes),
            PayerInput::Served { payee, bytes } => self.served(payee, bytes),
            PayerInput::Balance { payee, balance } => {
                self.account(payee)?.balance = balance;
                self.promise(payee)
            }
            PayerInput::Netting { payee, band } => {
                self.account(payee)?.band = band;
                self.promise(payee)
            }
            PayerInput::Rest { payee } => {
                self.account(payee)?.resting = true;
                self.promise(payee)
            }
            PayerInput::Persisted { payee } => self.persisted(payee),
            PayerInput::Close { payee } => self.close(payee),
        }
    }

    /// What to do next, in this order; `None` until something happens again.
    pub fn poll(&mut self) -> Option<PayerOutput> {
        self.outputs.pop_front()
    }

    /// Base units promised to all payees in this epoch. Never more than the vault was funded with.
    pub fn promised(&self) -> Amount {
        self.promised
    }

    /// Base units promised to each payee in this epoch.
    pub fn promises(&self) -> impl Iterator<Item = (WalletAddress, Amount)> + '_ {
        self.accounts.iter().map(|(payee, account)| (*payee, account.record.amount))
    }

    /// What we owe a payee for what came, and what of that we promised: what its own debt to us is
    /// netted with. `None` without an account.
    pub fn debt(&self, payee: WalletAddress) -> Option<Balance> {
        self.accounts.get(&payee).map(Account::debt)
    }

    /// What can be lost to payees that take a promise and serve nothing, in bytes.
    pub fn bound(&self) -> ExposureBound {
        self.exposure.bound()
    }

    fn account(&mut self, payee: WalletAddress) -> Result<&mut Account, PayerError> {
        self.accounts.get_mut(&payee).ok_or(PayerError::UnknownPayee { payee })
    }

    fn vault(&mut self, vault: VaultInfo) -> Result<(), PayerError> {
        let is_ours = vault.vault == self.vault.vault && vault.owner == self.vault.owner;
        if !is_ours || vault.epoch < self.vault.epoch {
            return Err(PayerError::OtherVault { epoch: self.vault.epoch });
        }
        let is_new = vault.epoch > self.vault.epoch;
        self.vault = vault;
        self.accounts.values_mut().for_each(|account| account.low = false);
        if is_new {
            self.promised = Amount::ZERO;
            self.accounts.values_mut().for_each(|account| account.begin_epoch(vault.epoch));
        }
        let payees: Vec<_> = self.accounts.keys().copied().collect();
        payees.into_iter().try_for_each(|payee| self.promise(payee))
    }

    fn open(
        &mut self,
        payee: WalletAddress,
        tariff: Tariff,
        prefix: IpPrefix,
    ) -> Result<(), PayerError> {
        if !self.accounts.contains_key(&payee) && self.accounts.len() >= ACCOUNTS_MAX {
            return Err(PayerError::TooManyPayees { max: ACCOUNTS_MAX });
        }
        let (vault, epoch) = (self.vault.vault, self.vault.epoch);
        let account = self.accounts.entry(payee).or_insert_with(|| {
            let meter = Meter::new(tariff);
            Account::new(PayerRecord::new(vault, epoch, payee, meter), false)
        });
        let counted = account.balance.counts_as_paid(account.record.amount);
        let mut counted = counted.ok_or(PayerError::Overflow)?;
        if account.balance != Balance::default() {
            // What the payee owes us beyond what came may still be paid to us instead.
            let came = account.record.meter.price(account.position()).unwrap_or(counted);
            counted = counted.min(came.max(account.record.amount));
        }
        account.record.meter.change(tariff, counted);
        account.band = 0;
        account.ahead = self.exposure.grant(payee, prefix, account.verified);
        account.open = true;
        account.unpaid_max = 0;
        let (meter, position) = (account.record.meter, account.position());
        self.outputs.push_back(PayerOutput::Terms { payee, meter, position });
        // Whether the last voucher came is unknown: the same one again does no harm.
        let is_valid = account.given.epoch == epoch && account.given.amount > Amount::ZERO;
        if is_valid && !account.storing {
            let voucher = account.given.voucher().sign(&self.domain, &self.owner);
            self.outputs.push_back(PayerOutput::Send(voucher));
        }
        self.promise(payee)
    }

    fn want(&mut self, payee: WalletAddress, bytes: u64) -> Result<(), PayerError> {
        let account = self.account(payee)?;
        account.wanted = account.wanted.checked_add(bytes).ok_or(PayerError::Overflow)?;
        account.resting &= bytes == 0;
        self.promise(payee)
    }

    fn verified(&mut self, payee: WalletAddress, bytes: u64) -> Result<(), PayerError> {
        let account = self.account(payee)?;
        let verified = account.verified.checked_add(bytes).ok_or(PayerError::Overflow)?;
        let position = account.position().checked_add(bytes).ok_or(PayerError::Overflow)?;
        if position > account.wanted {
            return Err(PayerError::NotWanted { bytes: position - account.wanted });
        }
        let grows = step_bytes(verified) > step_bytes(account.verified);
        account.verified = verified;
        account.see_float();
        if grows {
            let ahead = self.exposure.grow(payee, verified);
            self.account(payee)?.ahead = ahead;
        }
        self.promise(payee)
    }

    /// Bytes that the payee sent and that didn't come were lost on the way, or the payee lies.
    /// Believed is no more than can have been on its way: a step that was paid ahead and a step
    /// that was not paid, and a part of what did come; and after this side's own restart, once,
    /// what it may have forgotten.
    fn served(&mut self, payee: WalletAddress, claimed: u64) -> Result<(), PayerError> {
        let account = self.account(payee)?;
        let missing = claimed.saturating_sub(account.position());
        let usual = account.verified / TRANSPORT_LOSS_DIVISOR + 2 * step_bytes(account.verified);
        let believed = match account.restored {
            true => 2 * STEP_BYTES_MAX,
            false => usual.saturating_sub(account.record.conceded),
        };
        if missing > believed {
            account.open = false;
            let believed = account.position().saturating_add(believed);
            self.outputs.push_back(PayerOutput::Overclaimed { payee, claimed, believed });
            return Ok(());
        }
        // What is missing is asked for again.
        account.wanted = account.wanted.checked_add(missing).ok_or(PayerError::Overflow)?;
        let counter = match account.restored {
            true => &mut account.record.forgotten,
            false => &mut account.record.conceded,
        };
        *counter = counter.saturating_add(missing);
        account.restored = false;
        self.promise(payee)
    }

    fn close(&mut self, payee: WalletAddress) -> Result<(), PayerError> {
        let account = self.account(payee)?;
        account.open = false;
        account.wanted = account.position();
        account.record.bytes = account.verified;
        let at_risk = account.covered().unwrap_or(0).saturating_sub(account.position());
        self.exposure.keep(payee, at_risk);
        self.promise_now(payee)?;
        self.store(payee)
    }

    fn persisted(&mut self, payee: WalletAddress) -> Result<(), PayerError> {
        let account = self.account(payee)?;
        if !account.storing {
            return Err(PayerError::NothingToPersist { payee });
        }
        account.storing = false;
        let (given, epoch) = (account.given, account.record.epoch);
        // A record of an epoch that ended meanwhile promises nothing any more.
        if given.epoch == epoch {
            account.sent = given.amount;
            let voucher = given.voucher().sign(&self.domain, &self.owner);
            self.outputs.push_back(PayerOutput::Send(voucher));
        }
        self.promise(payee)?;
        self.store(payee)
    }

    /// Promise the next step if the last one is nearly used up.
    fn promise(&mut self, payee: WalletAddress) -> Result<(), PayerError> {
        match self.account(payee)?.open {
            true => self.promise_now(payee),
            false => Ok(()),
        }
    }

    fn promise_now(&mut self, payee: WalletAddress) -> Result<(), PayerError> {
        let account = self.accounts.get_mut(&payee).ok_or(PayerError::UnknownPayee { payee })?;
        if self.vault.closes.is_some() {
            return Ok(());
        }
        let Some(needed) = account.next_amount() else {
            if account.owes_receipt() {
                account.record.bytes = account.verified;
                return self.store(payee);
            }
            return Ok(());
        };
        let others = self.promised.checked_sub(account.record.amount);
        let others = others.expect("the sum has this amount in it");
        let promised = others.checked_add(needed).unwrap_or(Amount::from_base_units(u128::MAX));
        let short = promised.checked_sub(self.vault.funded).unwrap_or(Amount::ZERO);
        if short > Amount::ZERO {
            if !core::mem::replace(&mut account.low, true) {
                self.outputs.push_back(PayerOutput::VaultLow { payee, short });
            }
            return Ok(());
        }
        account.low = false;
        self.promised = promised;
        account.record.amount = needed;
        account.record.bytes = account.verified;
        self.store(payee)
    }

    /// Store the newest decision, unless an older one is on its way to the disk: then it follows.
    fn store(&mut self, payee: WalletAddress) -> Result<(), PayerError> {
        let account = self.account(payee)?;
        let (record, given) = (account.record, account.given);
        let says_more = if record.epoch == given.epoch {
            record.amount > given.amount || record.bytes > given.bytes
        } else {
            record.amount > Amount::ZERO
        };
        if says_more && !account.storing {
            account.storing = true;
            account.given = record;
            self.outputs.push_back(PayerOutput::Persist(record));
        }
        Ok(())
    }
}
