//! The seller's side of paying for shards: quotes for those who ask, accounts for those who state how they
//! pay, when the ledger is asked about whose vault, and what is said on which link
//! (`spec/incentive.md` §4, §5.3, §5.6, §7).
//!
//! [`Payee`] decides what may be served for which voucher; a till is the talk around it, for all links of a
//! wallet. A machine without clock, storage, network or randomness. After any call, drain
//! [`Till::poll`].
//!
//! ```text
//!  Heard(ask) --> Asked --Sell--> quote      Heard(voucher) --> Persist --Persisted--> Allow
//!  Heard(terms) --> LookUp --Vault--> served, Allow       Redeem, Redeemed
//! ```
//!
//! Serving on credit (§5.7) is for whoever owns a till to add: bytes that a loan pays are not
//! reported as [`TillInput::Served`].

mod account;
mod customer;
mod input;
mod quotes;

use std::collections::VecDeque;

use customer::{Customer, Standing};
pub use input::{TillError, TillInput, TillOutput};
use pop_wire::{Amount, Keypair, UnixTime, WalletAddress};
use quotes::QuoteBook;

use crate::balance::Balance;
use crate::exposure::IpPrefix;
use crate::ids::{LineId, VaultId};
use crate::ledger::names::vault_id;
use crate::limits::{ACCOUNTS_MAX, LINES_PER_PEER_MAX, PEERS_MAX};
use crate::lines::{Balances, Lines};
use crate::message::{Objection, PaymentMessage};
use crate::payee::{Payee, PayeeInput, PayeePolicy};
use crate::quote::{Demand, Quote};
use crate::rate::Rate;
use crate::record::PayeeRecord;
use crate::typed_data::LedgerDomain;
use crate::voucher::{SignedVoucher, VaultInfo};

/// Is paid by whoever is served, over any number of links.
#[derive(Debug)]
pub struct Till {
    owner: Keypair,
    policy: PayeePolicy,
    /// What was stored, until the ledger is known.
    records: Vec<(VaultInfo, PayeeRecord)>,
    /// There as soon as the ledger is known.
    payee: Option<(LedgerDomain, Payee)>,
    quotes: QuoteBook,
    /// By wallet.
    customers: Vec<Customer>,
    lines: Lines,
    /// What we owe customers whom we buy from.
    balances: Balances,
    /// Asked about within this second; sorted.
    looked_up: Vec<VaultId>,
    outputs: VecDeque<TillOutput>,
}

impl Till {
    /// For the wallet of `owner`, from the vouchers that were stored, with what the ledger said of
    /// their vaults; nothing at first.
    pub fn new(
        owner: Keypair,
        policy: PayeePolicy,
        records: Vec<(VaultInfo, PayeeRecord)>,
    ) -> Self {
        Self {
            owner,
            policy,
            records,
            payee: None,
            quotes: QuoteBook::default(),
            customers: Vec::new(),
            lines: Lines::default(),
            balances: Balances::default(),
            looked_up: Vec::new(),
            outputs: VecDeque::new(),
        }
    }

    /// Take in what happened, at `now`, which quotes are judged by.
    ///
    /// # Errors
    /// [`TillError`]: a limit or the caller's mistake; nothing that a customer said.
    pub fn handle(&mut self, now: UnixTime, input: TillInput) -> Result<(), TillError> {
        match input {
            TillInput::Ledger { domain, serial } => self.open_ledger(domain, serial),
            TillInput::LineUp { line, customer, prefix } => self.line_up(line, customer, prefix),
            TillInput::LineDown { line } => self.line_down(line),
            TillInput::Heard { line, message } => self.heard(now, line, message),
            TillInput::Sell { line, demand, rate, peak_kbps } => {
                self.sell(now, (line, &demand), rate, peak_kbps)
            }
            TillInput::Refuse { line, objection } => {
                self.object(line, objection);
                Ok(())
            }
            TillInput::Served { customer, bytes } => self.served(customer, bytes),
            TillInput::Vault { info, redeemed } => self.vault_found(info, redeemed),
            TillInput::NoVault { vault } => {
                self.object_who_waits(vault, Objection::Vault);
                Ok(())
            }
            TillInput::LedgerAway { vault } => {
                self.object_who_waits(vault, Objection::Ledger);
                Ok(())
            }
            TillInput::Redeemed { vault, epoch, amount } => {
                self.redeemed_more(vault, epoch, amount)
            }
            TillInput::Persisted { vault } => {
                self.tell(PayeeInput::Persisted { vault })?;
                self.offer_netting(vault);
                Ok(())
            }
            TillInput::Balance { customer, balance } => self.balance(customer, balance),
            TillInput::Second => {
                self.looked_up.clear();
                // The ledger could not be asked, or didn't know the vault: by now it may.
                let waiting = self.customers.iter().filter_map(|it| it.terms);
                let waiting: Vec<_> = waiting.map(|(_, terms)| terms.vault).collect();
                waiting.into_iter().for_each(|vault| self.look_up(vault));
                Ok(())
            }
            TillInput::Forgive => self.forgive(),
        }
    }

    /// What to do next, in this order; `None` until something happens again.
    pub fn poll(&mut self) -> Option<TillOutput> {
        self.outputs.pop_front()
    }

    /// Whether [`TillInput::Second`] is due a second from now.
    pub fn is_waiting(&self) -> bool {
        !self.looked_up.is_empty() || self.customers.iter().any(|it| it.terms.is_some())
    }

    /// Bytes that a customer may take beyond what it took.
    pub fn allowed(&self, customer: WalletAddress) -> u64 {
        let Some(customer) = self.customer(customer) else { return 0 };
        let served = match (customer.standing, &self.payee) {
            (Standing::Account(vault), Some((_, payee))) => payee.served_bytes(vault),
            _ => customer.visited,
        };
        customer.allowed.saturating_sub(served)
    }

    /// Whether there is a link to this one.
    pub fn is_linked(&self, customer: WalletAddress) -> bool {
        self.customer(customer).is_some()
    }

    /// What somebody owes us for what it was served, and what of that it promised. `None` without
    /// an account.
    pub fn debt(&self, customer: WalletAddress) -> Option<Balance> {
        let (domain, payee) = self.payee.as_ref()?;
        payee.debt(vault_id(domain, customer, 0))
    }

    /// The quote of this number, if it is ours and still valid.
    pub fn quote(&self, serial: u64, now: UnixTime) -> Option<Quote> {
        self.quotes.valid(serial, now)
    }

    /// What the ledger said last of a vault; `None` if nobody paid from it.
    pub fn vault(&self, vault: VaultId) -> Option<VaultInfo> {
        self.payee()?.vault_info(vault)
    }

    /// What the ledger said last of all vaults that somebody paid from, by name.
    pub fn vaults(&self) -> impl Iterator<Item = VaultInfo> + '_ {
        self.payee().into_iter().flat_map(Payee::vaults)
    }

    /// The voucher of a vault that is stored: all that can be redeemed.
    pub fn stored(&self, vault: VaultId) -> Option<SignedVoucher> {
        self.payee()?.stored(vault)
    }

    /// Base units that the ledger paid of a vault's vouchers in its epoch, as far as it said.
    pub fn redeemed(&self, vault: VaultId) -> Amount {
        self.payee().map_or(Amount::ZERO, |payee| payee.redeemed(vault))
    }

    /// Stored vouchers that are worth more than what was paid of them.
    pub fn unredeemed(&self) -> impl Iterator<Item = SignedVoucher> + '_ {
        let stored = self.vaults().filter_map(|info| self.stored(info.vault));
        stored.filter(|it| it.voucher.amount > self.redeemed(it.voucher.vault))
    }

    /// Base units that stored vouchers of the current epochs promise, in all.
    pub fn promised(&self) -> Amount {
        let stored = self.vaults().filter_map(|info| self.stored(info.vault));
        stored.fold(Amount::ZERO, |sum, it| sum.checked_add(it.voucher.amount).unwrap_or(sum))
    }

    fn payee(&self) -> Option<&Payee> {
        self.payee.as_ref().map(|(_, payee)| payee)
    }

    fn at(&self, customer: WalletAddress) -> Result<usize, usize> {
        self.customers.binary_search_by_key(&customer, |it| it.wallet)
    }

    fn customer(&self, customer: WalletAddress) -> Option<&Customer> {
        Some(&self.customers[self.at(customer).ok()?])
    }

    fn customer_mut(&mut self, customer: WalletAddress) -> Option<&mut Customer> {
        let at = self.at(customer).ok()?;
        Some(&mut self.customers[at])
    }

    fn open_ledger(&mut self, domain: LedgerDomain, serial: u64) -> Result<(), TillError> {
        let own = self.owner.peer_id().wallet_address();
        let payee = Payee::new(domain, own, self.policy, self.records.iter().copied());
        self.payee = Some((domain, payee.map_err(TillError::Records)?));
        self.records = Vec::new();
        self.quotes.serial = serial;
        Ok(())
    }

    fn line_up(
        &mut self,
        line: LineId,
        wallet: WalletAddress,
        prefix: IpPrefix,
    ) -> Result<(), TillError> {
        let at = match self.at(wallet) {
            Ok(at) if !Lines::is_room(self.customers[at].lines.len()) => {
                return Err(TillError::TooManyLines { max: LINES_PER_PEER_MAX });
            }
            Err(_) if self.customers.len() >= PEERS_MAX => {
                return Err(TillError::TooManyCustomers { max: PEERS_MAX });
            }
            at => at,
        };
        if !self.lines.add(line, wallet) {
            return Err(TillError::LineInUse);
        }
        let at = at.unwrap_or_else(|at| {
            self.customers.insert(at, Customer::new(wallet, prefix));
            at
        });
        self.customers[at].lines.push(line);
        Ok(())
    }

    fn line_down(&mut self, line: LineId) -> Result<(), TillError> {
        let Some(payer) = self.lines.remove(line) else { return Ok(()) };
        let Ok(at) = self.at(payer) else { return Ok(()) };
        self.customers[at].lines.retain(|it| *it != line);
        if !self.customers[at].lines.is_empty() {
            return Ok(());
        }
        match self.customers.remove(at).standing {
            Standing::Nothing => Ok(()),
            Standing::Visitor | Standing::Waiting => self.tell(PayeeInput::VisitorLeft { payer }),
            Standing::Account(vault) => self.tell(PayeeInput::Close { vault }),
        }
    }

    fn served(&mut self, payer: WalletAddress, bytes: u64) -> Result<(), TillError> {
        let Some(customer) = self.customer_mut(payer) else { return Ok(()) };
        match customer.standing {
            Standing::Nothing => Ok(()),
            Standing::Visitor | Standing::Waiting => {
                customer.visited = customer.visited.saturating_add(bytes);
                self.tell(PayeeInput::VisitorServed { payer, bytes })
            }
            Standing::Account(vault) => {
                self.tell(PayeeInput::Served { vault, bytes })?;
                self.offer_netting(vault);
                Ok(())
            }
        }
    }

    fn heard(
        &mut self,
        now: UnixTime,
        line: LineId,
        message: PaymentMessage,
    ) -> Result<(), TillError> {
        let Some(customer) = self.lines.peer(line) else { return Ok(()) };
        match message {
            PaymentMessage::Ask(_) if self.payee.is_none() => {
                self.object(line, Objection::Ledger);
                Ok(())
            }
            PaymentMessage::Ask(demand) => {
                self.outputs.push_back(TillOutput::Asked { line, customer, demand });
                Ok(())
            }
            PaymentMessage::Terms(terms) => self.terms(now, (customer, line), terms),
            PaymentMessage::Voucher(voucher) => self.voucher(customer, voucher),
            _ => Ok(()),
        }
    }

    fn sell(
        &mut self,
        now: UnixTime,
        (line, demand): (LineId, &Demand),
        rate: Rate,
        kbps: u32,
    ) -> Result<(), TillError> {
        let Some(payer) = self.lines.peer(line) else { return Ok(()) };
        let Some((domain, _)) = &self.payee else { return Ok(()) };
        if rate > demand.rate_max {
            self.object(line, Objection::OverMaximum);
            return Ok(());
        }
        let wanted = (demand.content, rate, kbps.max(demand.peak_min_kbps));
        let quote = self.quotes.quote((domain, &self.owner), wanted, now);
        let Some(customer) = self.customer_mut(payer) else { return Ok(()) };
        let prefix = customer.prefix;
        let result = match customer.standing {
            Standing::Nothing => {
                customer.standing = Standing::Visitor;
                self.tell(PayeeInput::Visit { payer, prefix })
            }
            _ => Ok(()),
        };
        self.say(line, PaymentMessage::Quote(quote));
        result
    }

    fn balance(
        &mut self,
        customer: WalletAddress,
        balance: Option<Balance>,
    ) -> Result<(), TillError> {
        if !self.balances.set(customer, balance) {
            return Err(TillError::TooManyCustomers { max: ACCOUNTS_MAX });
        }
        let Some((domain, _)) = &self.payee else { return Ok(()) };
        let vault = vault_id(domain, customer, 0);
        self.net(vault, customer)
    }

    fn object(&mut self, line: LineId, objection: Objection) {
        self.say(line, PaymentMessage::Objection(objection));
    }

    fn say(&mut self, line: LineId, message: PaymentMessage) {
        self.outputs.push_back(TillOutput::Say { line, message });
    }
}
