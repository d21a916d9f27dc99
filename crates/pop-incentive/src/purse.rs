//! The buyer's side of paying for shards: whom to ask for a quote, whether to take it, when to look at the
//! vault, and what to say on which link so that payment is always a step ahead of what comes
//! (`spec/incentive.md` §4, §5.3, §5.6, §7).
//!
//! [`Payer`] decides what is promised; a purse is the talk around it, for all links of a wallet.
//! A machine without clock, storage, network or randomness. After any call, drain [`Purse::poll`].
//!
//! ```text
//!  LineUp --> ask                     Traffic --> Persist --Persisted--> voucher
//!  Heard(quote) --> Accepted, terms   VaultLow, Heard(objection) --> LookUp --> Vault
//! ```
//!
//! Fetching on credit (§5.7) is for whoever owns a purse to add: it looks at
//! [`offer`](Purse::offer), says its own request, and reports what came of it as
//! [`Traffic::on_credit`].

mod input;
mod paying;
mod seller;

use std::collections::VecDeque;

pub use input::{Offer, PurseError, PurseInput, PurseOutput, Traffic, Wanted};
use pop_wire::{Amount, Keypair, UnixTime, WalletAddress};
use seller::Seller;

use crate::balance::Balance;
use crate::exposure::{ExposureLimits, IpPrefix};
use crate::ids::{LineId, VaultId};
use crate::ledger::names::vault_id;
use crate::limits::{ACCOUNTS_MAX, LINES_PER_PEER_MAX, PEERS_MAX, VAULT_LOOK_MS};
use crate::lines::{Balances, Lines};
use crate::message::{Objection, PaymentMessage};
use crate::payer::{Payer, PayerInput};
use crate::quote::SignedQuote;
use crate::record::PayerRecord;
use crate::typed_data::LedgerDomain;

/// Pays whoever serves a wallet's owner, over any number of links, from vault 0 of that wallet.
#[derive(Debug)]
pub struct Purse {
    owner: Keypair,
    limits: ExposureLimits,
    /// What was stored, until the vault is known.
    records: Vec<PayerRecord>,
    ledger: Option<(LedgerDomain, VaultId)>,
    /// There as soon as the ledger, or an earlier run, said what is in the vault.
    payer: Option<Payer>,
    /// By wallet.
    sellers: Vec<Seller>,
    lines: Lines,
    /// What sellers that buy from us owe us.
    balances: Balances,
    is_looking: bool,
    outputs: VecDeque<PurseOutput>,
}

impl Purse {
    /// For the wallet of `owner`, from what was stored of it, which is nothing at first.
    pub fn new(owner: Keypair, limits: ExposureLimits, records: Vec<PayerRecord>) -> Self {
        Self {
            owner,
            limits,
            records,
            ledger: None,
            payer: None,
            sellers: Vec::new(),
            lines: Lines::default(),
            balances: Balances::default(),
            is_looking: false,
            outputs: VecDeque::new(),
        }
    }

    /// Take in what happened, at `now`, which quotes are judged by.
    ///
    /// # Errors
    /// [`PurseError`]: a limit or the caller's mistake; nothing that a seller said.
    pub fn handle(&mut self, now: UnixTime, input: PurseInput) -> Result<(), PurseError> {
        match input {
            PurseInput::Ledger(domain) => self.open_ledger(now, domain),
            PurseInput::LineUp { line, seller, prefix, wanted } => {
                self.line_up(line, (seller, prefix), &wanted)
            }
            PurseInput::LineDown { line } => self.line_down(line),
            PurseInput::Heard { line, message } => self.heard(now, line, message),
            PurseInput::Traffic { seller, traffic } => self.traffic(seller, traffic),
            PurseInput::Vault(info) => self.vault(info),
            PurseInput::NoVault | PurseInput::LedgerAway => {
                self.is_looking = false;
                // Whoever waits to be paid waits on; whoever comes later asks anew.
                if self.has_sellers() {
                    self.look_up(VAULT_LOOK_MS);
                }
                Ok(())
            }
            PurseInput::Persisted { seller } => self.pay(PayerInput::Persisted { payee: seller }),
            PurseInput::Balance { seller, balance } => {
                if !self.balances.set(seller, balance) {
                    return Err(PurseError::TooManySellers { max: ACCOUNTS_MAX });
                }
                self.net(seller)
            }
            PurseInput::Rest { seller } => match self.is_open(seller) {
                true => self.pay(PayerInput::Rest { payee: seller }),
                false => Ok(()),
            },
        }
    }

    /// What to do next, in this order; `None` until something happens again.
    pub fn poll(&mut self) -> Option<PurseOutput> {
        self.outputs.pop_front()
    }

    /// Base units promised to all in the vault's epoch.
    pub fn promised(&self) -> Amount {
        self.payer.as_ref().map_or(Amount::ZERO, Payer::promised)
    }

    /// Base units promised to each seller in the vault's epoch.
    pub fn promises(&self) -> impl Iterator<Item = (WalletAddress, Amount)> + '_ {
        self.payer.iter().flat_map(Payer::promises)
    }

    /// What we owe a seller for what came, and what of that we promised. `None` without an account.
    pub fn debt(&self, seller: WalletAddress) -> Option<Balance> {
        self.payer.as_ref()?.debt(seller)
    }

    /// Whether it is known what is in the vault, so that somebody can be paid.
    pub fn has_vault(&self) -> bool {
        self.payer.is_some()
    }

    /// Whether there is a link to anybody.
    pub fn has_sellers(&self) -> bool {
        !self.sellers.is_empty()
    }

    /// Whether there is a link to this one.
    pub fn is_linked(&self, seller: WalletAddress) -> bool {
        self.seller(seller).is_some()
    }

    /// Whether this one is being paid: it is linked, a quote of it is taken and the vault known.
    pub fn is_open(&self, seller: WalletAddress) -> bool {
        self.seller(seller).is_some_and(|it| it.is_open)
    }

    /// The quote of a linked seller that was taken last.
    pub fn offer(&self, seller: WalletAddress) -> Option<Offer> {
        self.seller(seller)?.offer
    }

    fn at(&self, seller: WalletAddress) -> Result<usize, usize> {
        self.sellers.binary_search_by_key(&seller, |it| it.wallet)
    }

    fn seller(&self, seller: WalletAddress) -> Option<&Seller> {
        Some(&self.sellers[self.at(seller).ok()?])
    }

    fn seller_mut(&mut self, seller: WalletAddress) -> Option<&mut Seller> {
        let at = self.at(seller).ok()?;
        Some(&mut self.sellers[at])
    }

    fn open_ledger(&mut self, now: UnixTime, domain: LedgerDomain) -> Result<(), PurseError> {
        let owner = self.owner.peer_id().wallet_address();
        self.ledger = Some((domain, vault_id(&domain, owner, 0)));
        self.look_up(0);
        let early = |it: &mut Seller| it.early.take().map(|(line, quote)| (it.wallet, line, quote));
        let early: Vec<_> = self.sellers.iter_mut().filter_map(early).collect();
        let mut result = Ok(());
        for (seller, line, quote) in early {
            result = result.and(self.quoted(now, (seller, line), &quote));
        }
        result
    }

    fn line_up(
        &mut self,
        line: LineId,
        (seller, prefix): (WalletAddress, IpPrefix),
        wanted: &Wanted,
    ) -> Result<(), PurseError> {
        let at = match self.at(seller) {
            Ok(at) if !Lines::is_room(self.sellers[at].lines.len()) => {
                return Err(PurseError::TooManyLines { max: LINES_PER_PEER_MAX });
            }
            Err(_) if self.sellers.len() >= PEERS_MAX => {
                return Err(PurseError::TooManySellers { max: PEERS_MAX });
            }
            at => at,
        };
        if !self.lines.add(line, seller) {
            return Err(PurseError::LineInUse);
        }
        let at = at.unwrap_or_else(|at| {
            self.sellers.insert(at, Seller::new(seller, prefix));
            at
        });
        self.sellers[at].add_line(line, wanted);
        self.say(line, PaymentMessage::Ask(wanted.demand));
        if self.payer.is_none() {
            self.look_up(0);
        }
        Ok(())
    }

    fn line_down(&mut self, line: LineId) -> Result<(), PurseError> {
        let Some(wallet) = self.lines.remove(line) else { return Ok(()) };
        let Ok(at) = self.at(wallet) else { return Ok(()) };
        let seller = &mut self.sellers[at];
        seller.lines.retain(|(it, _)| *it != line);
        if let Some(other) = seller.newest_line() {
            // A voucher that was said on the link that is gone may not have come.
            if let Some((_, voucher)) = seller.said.filter(|(said_on, _)| *said_on == line) {
                seller.said = Some((other, voucher));
                self.say(other, PaymentMessage::Voucher(voucher));
            }
            return Ok(());
        }
        match self.sellers.remove(at).is_open {
            true => self.pay(PayerInput::Close { payee: wallet }),
            false => Ok(()),
        }
    }

    fn heard(
        &mut self,
        now: UnixTime,
        line: LineId,
        message: PaymentMessage,
    ) -> Result<(), PurseError> {
        let Some(payee) = self.lines.peer(line) else { return Ok(()) };
        let own = self.ledger.map(|(_, vault)| vault);
        let is_open = self.is_open(payee);
        match message {
            PaymentMessage::Quote(quote) => self.quoted(now, (payee, line), &quote),
            PaymentMessage::Served { vault, bytes } if Some(vault) == own && is_open => {
                if let Some(seller) = self.seller_mut(payee) {
                    seller.is_counted = true;
                }
                self.pay(PayerInput::Served { payee, bytes })
            }
            PaymentMessage::Netting { vault, bytes } if Some(vault) == own && is_open => {
                let band = self.seller(payee).map_or(0, |it| it.band(bytes));
                self.pay(PayerInput::Netting { payee, band })
            }
            PaymentMessage::Objection(objection) => {
                self.objected((payee, line), objection);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn quoted(
        &mut self,
        now: UnixTime,
        (wallet, line): (WalletAddress, LineId),
        signed: &SignedQuote,
    ) -> Result<(), PurseError> {
        let ledger = self.ledger;
        let Some(seller) = self.seller_mut(wallet) else { return Ok(()) };
        let Some(demand) = seller.demand(line) else { return Ok(()) };
        let Some((domain, _)) = ledger else {
            seller.early = Some((line, *signed));
            return Ok(());
        };
        // spec/incentive.md §5.6: a payer pays only the wallet of the peer at the other end.
        let accepted = match signed.quote.payee == wallet {
            true => signed.accept(&domain, now, &demand).map_err(Some),
            false => Err(None),
        };
        match accepted {
            Ok(tariff) => {
                let offer = Offer { line, serial: signed.quote.serial, tariff };
                seller.offer = Some(offer);
                self.outputs.push_back(PurseOutput::Accepted { seller: wallet, offer });
                self.take_offer(wallet)
            }
            Err(error) => {
                self.outputs.push_back(PurseOutput::QuoteRefused { seller: wallet, error });
                Ok(())
            }
        }
    }

    /// Open the account by the quote that was accepted, and catch up with what went on before.
    fn take_offer(&mut self, payee: WalletAddress) -> Result<(), PurseError> {
        if self.payer.is_none() {
            return Ok(());
        }
        let Some(seller) = self.seller(payee) else { return Ok(()) };
        let (Some(Offer { tariff, .. }), prefix) = (seller.offer, seller.prefix) else {
            return Ok(());
        };
        self.pay(PayerInput::Open { payee, tariff, prefix })?;
        // Before anything is promised: what is owed to us may pay it.
        self.net(payee)?;
        let Some(seller) = self.seller_mut(payee) else { return Ok(()) };
        seller.is_open = true;
        let (asked, received) = seller.catch_up();
        self.pay(PayerInput::Want { payee, bytes: asked })?;
        self.pay(PayerInput::Verified { payee, bytes: received })
    }

    fn traffic(&mut self, payee: WalletAddress, traffic: Traffic) -> Result<(), PurseError> {
        let Some(seller) = self.seller_mut(payee) else { return Ok(()) };
        if !seller.is_open {
            seller.put_off(traffic);
            return Ok(());
        }
        let asked = seller.count(traffic);
        if asked > 0 {
            self.pay(PayerInput::Want { payee, bytes: asked })?;
        }
        match traffic.received {
            0 => Ok(()),
            bytes => self.pay(PayerInput::Verified { payee, bytes }),
        }
    }

    fn objected(&mut self, (wallet, line): (WalletAddress, LineId), objection: Objection) {
        self.outputs.push_back(PurseOutput::Objected { seller: wallet, objection });
        match objection {
            Objection::Vault | Objection::Ledger | Objection::Closing => {
                self.look_up(VAULT_LOOK_MS);
            }
            Objection::Terms => {
                // A quote ran out, say: ask for another.
                let Some(seller) = self.seller_mut(wallet) else { return };
                if let Some(demand) = seller.demand(line)
                    && seller.may_be_asked_again()
                {
                    self.say(line, PaymentMessage::Ask(demand));
                }
            }
            _ => {}
        }
    }

    fn say(&mut self, line: LineId, message: PaymentMessage) {
        self.outputs.push_back(PurseOutput::Say { line, message });
    }
}
