//! The payee's half of the node's money: quotes for those who ask, allowances for those who pay,
//! and their vouchers to the ledger. It lives in the task that serves, so that what was served and
//! what may be served are never out of step; what takes time comes back as a [`News`].

mod credit;
mod customer;
mod netting;
mod quotes;
mod redeem;
mod scarcity;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use pop_incentive::balance::Balance;
use pop_incentive::exposure::IpPrefix;
use pop_incentive::ids::VaultId;
use pop_incentive::ledger::names::vault_id;
use pop_incentive::message::{Objection, PaymentMessage, Terms};
use pop_incentive::payee::{Payee, PayeeInput, PayeeOutput, PayeePolicy};
use pop_incentive::quote::Demand;
use pop_incentive::refusal::Refusal;
use pop_incentive::voucher::{SignedVoucher, VaultInfo};
use pop_wire::{Amount, ContentId, PeerId, WalletAddress};
use tokio::sync::mpsc;

use self::credit::{Answer, Lending, Looked};
use self::customer::{Customer, Standing};
use self::quotes::QuoteBook;
use self::scarcity::Rarity;
use super::store::{Earned, Listener, Stored, Write};
use super::{Bank, Books, Purse};
use crate::clock;
use crate::disk::ColumnStore;
use crate::error::NodeError;
use crate::ledger::LedgerClientError;
use pop_exchange::LinkId;

/// What is to be done on a link or with a peer.
#[derive(Debug)]
pub(crate) enum Action {
    /// Send this.
    Say { link: LinkId, body: Bytes },
    /// The peer may take so many bytes more.
    Allow { peer: PeerId, bytes: u64 },
}

/// What came of something that took time.
#[derive(Debug)]
pub(crate) enum News {
    /// A record is durable.
    Stored(Stored),
    /// What the ledger says of a vault, and how much it paid us of it in its epoch.
    Vault { vault: VaultId, answer: Result<Option<(VaultInfo, Amount)>, LedgerClientError> },
    /// Vouchers were redeemed, so much in all for each vault.
    Redeemed(Vec<(VaultId, Amount)>),
    /// What the ledger says of somebody who wants credit.
    Borrower(Box<Answer>),
    /// Whether the ledger took the loan of this number.
    Lent { number: u64, done: Result<(), LedgerClientError> },
    /// What the ledger says of the loans that are out.
    Loans(Vec<Looked>),
    /// What we owe a customer whom we fetch from, and what of it we promised.
    Debt { payee: WalletAddress, debt: Balance },
    /// Time to look after what is due.
    Tick,
}

/// The payee of a node.
pub(crate) struct Till {
    bank: Bank,
    payee: Payee,
    quotes: QuoteBook,
    contents: ColumnStore,
    rarity: Rarity,
    customers: BTreeMap<PeerId, Customer>,
    /// Who pays from a vault, while it is connected.
    payers: BTreeMap<VaultId, PeerId>,
    /// Asked about since the last tick.
    looked_up: BTreeSet<VaultId>,
    /// What the ledger said last.
    vaults: BTreeMap<VaultId, VaultInfo>,
    actions: VecDeque<Action>,
    news: mpsc::UnboundedSender<News>,
    stored: Listener,
    redemption: redeem::Redemption,
    lending: Lending,
    /// Pays for what we fetch; none if we pay nothing.
    purse: Option<Purse>,
    /// What we owe whom.
    debts: BTreeMap<WalletAddress, Balance>,
    ticks: u64,
}

impl Till {
    /// A till that remembers what was stored, and the queue of its news.
    pub(crate) fn open(
        (bank, Books { loaded, purse }): (Bank, Books),
        contents: ColumnStore,
    ) -> Result<(Self, mpsc::UnboundedReceiver<News>), NodeError> {
        let (news, queue) = mpsc::unbounded_channel();
        let policy =
            PayeePolicy { exposure: bank.exposure(), unredeemed_max: bank.settings.unredeemed_max };
        let known = loaded.payees.iter().filter_map(|record| {
            let vault = record.signed.voucher.vault;
            Some((*loaded.vaults.get(&vault)?, *record))
        });
        let payee = Payee::new(bank.domain, bank.address(), policy, known)
            .map_err(|error| NodeError::MoneyRecords { problem: error.to_string() })?;
        let stored = Listener::Till(news.clone());
        redeem::start_ticking(&bank, news.clone());
        let quotes = QuoteBook::new(loaded.serial);
        let lending = Lending::new(&bank, loaded.lent, loaded.credits);
        let mut till = Self {
            bank,
            payee,
            quotes,
            contents,
            rarity: Rarity::default(),
            customers: BTreeMap::new(),
            payers: BTreeMap::new(),
            looked_up: BTreeSet::new(),
            vaults: loaded.vaults,
            actions: VecDeque::new(),
            news,
            stored,
            redemption: redeem::Redemption::default(),
            lending,
            purse,
            debts: BTreeMap::new(),
            ticks: 0,
        };
        till.start_netting();
        till.drain();
        Ok((till, queue))
    }

    /// The next thing to do.
    pub(crate) fn poll(&mut self) -> Option<Action> {
        Some(match self.actions.pop_front()? {
            // Counted now: more may have been served since it was decided.
            Action::Allow { peer, .. } => Action::Allow { peer, bytes: self.allowed(peer) },
            say @ Action::Say { .. } => say,
        })
    }

    /// What a peer may take beyond what it took.
    fn allowed(&self, peer: PeerId) -> u64 {
        let Some(customer) = self.customers.get(&peer) else { return 0 };
        let served = match customer.standing {
            Standing::Account(vault) => self.payee.served_bytes(vault),
            _ => customer.visited,
        };
        let lent = self.lending.left(customer.payer);
        customer.allowed.saturating_sub(served).saturating_add(lent)
    }

    fn allow(&mut self, peer: PeerId, in_all: u64) {
        let Some(customer) = self.customers.get_mut(&peer) else { return };
        customer.allowed = in_all;
        self.actions.push_back(Action::Allow { peer, bytes: 0 });
    }

    /// A link to a peer is up.
    pub(crate) fn link_up(&mut self, link: LinkId, peer: PeerId, prefix: IpPrefix) {
        let fresh = || Customer::new(prefix, peer.wallet_address());
        self.customers.entry(peer).or_insert_with(fresh).links.insert(link);
    }

    /// A link is gone.
    pub(crate) fn link_down(&mut self, link: LinkId, peer: PeerId) {
        let Some(customer) = self.customers.get_mut(&peer) else { return };
        customer.links.remove(&link);
        if !customer.links.is_empty() {
            return;
        }
        let (payer, standing) = (customer.payer, customer.standing);
        self.book(peer, Amount::ZERO);
        self.customers.remove(&peer);
        match standing {
            Standing::Nothing => {}
            Standing::Visitor | Standing::Waiting => {
                self.tell(PayeeInput::VisitorLeft { payer });
            }
            Standing::Account(vault) => {
                self.payers.remove(&vault);
                self.tell(PayeeInput::Close { vault });
            }
        }
    }

    /// So much was sent to a peer.
    pub(crate) fn served(&mut self, peer: PeerId, bytes: u64) {
        let Some(customer) = self.customers.get_mut(&peer) else { return };
        customer.served_since += bytes;
        // Credit first: the payee hears of the rest only.
        let bytes = bytes - self.lending.take(customer.payer, bytes);
        if bytes == 0 {
            return;
        }
        let (payer, standing) = (customer.payer, customer.standing);
        match standing {
            Standing::Nothing => {}
            Standing::Visitor | Standing::Waiting => {
                customer.visited += bytes;
                self.tell(PayeeInput::VisitorServed { payer, bytes });
            }
            Standing::Account(vault) => {
                self.tell(PayeeInput::Served { vault, bytes });
                self.net_on(vault);
            }
        }
    }

    /// A peer said something about payment. Nonsense is answered by silence: the peer gains nothing.
    pub(crate) fn hear(&mut self, link: LinkId, peer: PeerId, body: &[u8]) {
        match PaymentMessage::decode(body) {
            Ok(PaymentMessage::Ask(demand)) => self.ask(link, peer, &demand),
            Ok(PaymentMessage::Terms(terms)) => self.terms(link, peer, terms),
            Ok(PaymentMessage::Voucher(voucher)) => self.voucher(peer, voucher),
            Ok(PaymentMessage::CreditRequest(asked)) => self.credit_asked(link, peer, &asked),
            Ok(other) => tracing::debug!(%peer, ?other, "not for a payee"),
            Err(error) => tracing::debug!(%peer, %error, "not a payment message"),
        }
    }

    fn ask(&mut self, link: LinkId, peer: PeerId, demand: &Demand) {
        let quote = self.quote(demand);
        let Some(customer) = self.customers.get_mut(&peer) else { return };
        let quote = match quote {
            Ok(quote) => quote,
            Err(objection) => return self.say(link, PaymentMessage::Objection(objection)),
        };
        customer.content = Some(demand.content);
        let (payer, prefix) = (customer.payer, customer.prefix);
        if customer.standing == Standing::Nothing {
            customer.standing = Standing::Visitor;
            self.tell(PayeeInput::Visit { payer, prefix });
        }
        self.say(link, PaymentMessage::Quote(quote));
        self.say_credit(link, peer);
    }

    fn quote(&mut self, demand: &Demand) -> Result<pop_incentive::quote::SignedQuote, Objection> {
        let manifest = self.contents.manifest(&demand.content).ok_or(Objection::NotForSale)?;
        let kbps = super::kbps(&manifest).max(demand.peak_min_kbps);
        let terms = &self.bank.settings;
        let base = terms.price.ok_or(Objection::NotForSale)?;
        if base > demand.rate_max {
            return Err(Objection::OverMaximum);
        }
        // Rather what the viewer pays at most than nothing.
        let most = terms.price_scarce_max.unwrap_or(base).min(demand.rate_max).max(base);
        let rate = self.rarity.asked(demand.content, &manifest, base).min(most);
        Ok(self.quotes.quote(&self.bank, (demand.content, rate, kbps), clock::unix_now()))
    }

    fn terms(&mut self, link: LinkId, peer: PeerId, terms: Terms) {
        let Some(customer) = self.customers.get_mut(&peer) else { return };
        let objection = if terms.vault != vault_id(&self.bank.domain, customer.payer, 0) {
            Some(Objection::Vault)
        } else if self.quotes.tariff(terms.serial, clock::unix_now()) != Some(terms.meter.tariff())
        {
            Some(Objection::Terms)
        } else {
            None
        };
        if let Some(objection) = objection {
            return self.say(link, PaymentMessage::Objection(objection));
        }
        customer.content = self.quotes.content(terms.serial).or(customer.content);
        customer.terms = Some((link, terms));
        if let Some(info) = self.vaults.get(&terms.vault).copied() {
            self.begin(peer, info, Amount::ZERO);
        } else if !matches!(customer.standing, Standing::Account(_)) {
            customer.standing = Standing::Waiting;
        }
        // Known or not: the ledger may know better by now.
        self.look_up(terms.vault);
    }

    /// Open or change a customer's account by the terms it stated. `redeemed` is what the ledger is
    /// known to have paid of its vouchers: the payee may have forgotten.
    fn begin(&mut self, peer: PeerId, info: VaultInfo, redeemed: Amount) {
        let Some(customer) = self.customers.get_mut(&peer) else { return };
        let Some((link, terms)) = customer.terms.take() else { return };
        if info.owner != customer.payer || info.vault != terms.vault {
            return self.say(link, PaymentMessage::Objection(Objection::Vault));
        }
        if let Err(error) = self.payee.handle(PayeeInput::Vault(info)) {
            // No room, say: it is tried again every second, and others leave.
            tracing::warn!(%peer, %error, "no account for a payer");
            customer.terms = Some((link, terms));
            return self.say(link, PaymentMessage::Objection(Objection::Ledger));
        }
        customer.standing = Standing::Account(info.vault);
        let (prefix, voucher) = (customer.prefix, customer.voucher.take());
        self.payers.insert(info.vault, peer);
        let Terms { vault, meter, position, .. } = terms;
        self.tell(PayeeInput::Redeemed { vault, amount: redeemed });
        self.tell(PayeeInput::Open { vault, meter, position, prefix });
        let bytes = self.payee.served_bytes(vault);
        self.say(link, PaymentMessage::Served { vault, bytes });
        self.net_anew(vault, info.owner);
        if let Some(voucher) = voucher {
            self.tell(PayeeInput::Voucher(voucher));
        }
    }

    fn voucher(&mut self, peer: PeerId, signed: SignedVoucher) {
        let Some(customer) = self.customers.get_mut(&peer) else { return };
        match customer.standing {
            Standing::Account(vault) if vault == signed.voucher.vault => {
                // Kept until the ledger was asked again, if it is refused for what that said.
                customer.voucher = Some(signed);
                self.tell(PayeeInput::Voucher(signed));
            }
            // The greatest says all that the others said.
            Standing::Waiting => customer.voucher = Some(signed),
            _ => tracing::debug!(%peer, "a voucher without terms"),
        }
    }

    /// So many columns of these contents live.
    pub(crate) fn counted(&mut self, live: BTreeMap<ContentId, u16>) {
        self.rarity.counted(live, clock::unix_now());
    }

    /// Take in what came of something that took time.
    pub(crate) fn learn(&mut self, news: News) {
        match news {
            News::Stored(Stored::Payee(vault)) => {
                self.tell(PayeeInput::Persisted { vault });
                self.net_on(vault);
            }
            News::Stored(Stored::Payer(_)) => {}
            News::Stored(Stored::Lent(number)) => self.lend(number),
            News::Borrower(answer) => self.on_borrower(*answer),
            News::Lent { number, done } => self.on_lent(number, done),
            News::Loans(looked) => self.on_loans(looked),
            News::Vault { vault, answer } => self.on_vault(vault, answer),
            News::Redeemed(amounts) => {
                self.redemption.ended();
                for (vault, amount) in amounts {
                    self.tell(PayeeInput::Redeemed { vault, amount });
                    self.look_up(vault);
                }
            }
            News::Debt { payee, debt } => self.on_debt(payee, debt),
            News::Tick => self.tick(),
        }
    }

    fn on_vault(
        &mut self,
        vault: VaultId,
        answer: Result<Option<(VaultInfo, Amount)>, LedgerClientError>,
    ) {
        let waiting =
            |customer: &Customer| customer.terms.filter(|(_, terms)| terms.vault == vault);
        let asked = self.customers.iter().find_map(|(peer, it)| Some((*peer, waiting(it)?.0)));
        match answer {
            Ok(Some((info, redeemed))) => {
                let is_new = self.vaults.insert(vault, info) != Some(info);
                if is_new {
                    self.bank.writer.store(Write::Vault(info), None);
                }
                match (asked, self.payers.get(&vault).copied()) {
                    (Some((peer, _)), _) => self.begin(peer, info, redeemed),
                    (None, Some(peer)) => self.update(peer, (info, is_new), redeemed),
                    (None, None) => {}
                }
            }
            Ok(None) => {
                if let Some((_, link)) = asked {
                    self.say(link, PaymentMessage::Objection(Objection::Vault));
                }
            }
            Err(error) => {
                tracing::warn!(%vault, %error, "a payer's vault can't be looked up");
                if let Some((_, link)) = asked {
                    self.say(link, PaymentMessage::Objection(Objection::Ledger));
                }
            }
        }
    }

    /// The ledger says something new of a connected payer's vault: a voucher that was refused for
    /// what it said before may be good.
    fn update(&mut self, peer: PeerId, (info, is_new): (VaultInfo, bool), redeemed: Amount) {
        let vault = info.vault;
        if !is_new && redeemed <= self.payee.redeemed(vault) {
            return;
        }
        self.tell(PayeeInput::Vault(info));
        self.tell(PayeeInput::Redeemed { vault, amount: redeemed });
        self.net_on(vault);
        let voucher = self.customers.get_mut(&peer).and_then(|it| it.voucher.take());
        if let Some(voucher) = voucher {
            self.tell(PayeeInput::Voucher(voucher));
        }
    }

    /// Ask the ledger about a vault, once a second at most, whatever its owner says meanwhile.
    fn look_up(&mut self, vault: VaultId) {
        if !self.looked_up.insert(vault) {
            return;
        }
        let (bank, news) = (self.bank.clone(), self.news.clone());
        self.bank.spawn(async move {
            let answer = redeem::vault_and_redeemed(&bank, vault).await;
            let _stopped = news.send(News::Vault { vault, answer });
        });
    }

    fn say(&mut self, link: LinkId, message: PaymentMessage) {
        self.actions.push_back(Action::Say { link, body: message.encode().into() });
    }

    fn tell(&mut self, input: PayeeInput) {
        if let Err(error) = self.payee.handle(input) {
            tracing::error!(%error, "the payee refused an input");
        }
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(output) = self.payee.poll() {
            match output {
                PayeeOutput::Persist(record) => {
                    self.count(&record.signed);
                    self.bank.writer.store(Write::Payee(record), Some(&self.stored));
                }
                PayeeOutput::Allowance { vault, bytes } => {
                    if let Some(peer) = self.payers.get(&vault).copied() {
                        self.allow(peer, bytes);
                    }
                }
                PayeeOutput::VisitorAllowance { payer, bytes } => {
                    let of = |(_, it): &(&PeerId, &Customer)| it.payer == payer;
                    if let Some(peer) = self.customers.iter().find(of).map(|(peer, _)| *peer) {
                        self.allow(peer, bytes);
                    }
                }
                PayeeOutput::Redeem(_) => self.redeem(),
                PayeeOutput::Refused { vault, refusal } => self.refused(vault, refusal),
                other => tracing::warn!(?other, "unknown output"),
            }
        }
    }

    fn refused(&mut self, vault: VaultId, refusal: Refusal) {
        let Some(peer) = self.payers.get(&vault).copied() else { return };
        tracing::info!(%peer, %vault, %refusal, "a payer's word is refused");
        let objection = match refusal {
            Refusal::Terms => Objection::Terms,
            Refusal::Closing => Objection::Closing,
            _ => Objection::Voucher,
        };
        // It may have funded its vault, or closed it, since we last asked.
        let by_ledger = matches!(
            refusal,
            Refusal::OverVault { .. } | Refusal::WrongEpoch { .. } | Refusal::Closing
        );
        if by_ledger {
            self.look_up(vault);
        }
        let link = self.customers.get(&peer).and_then(|it| it.links.first().copied());
        if let Some(link) = link {
            self.say(link, PaymentMessage::Objection(objection));
        }
    }

    /// Count what a voucher pays beyond the one before.
    fn count(&mut self, signed: &SignedVoucher) {
        let voucher = signed.voucher;
        let Some(peer) = self.payers.get(&voucher.vault).copied() else { return };
        let before = self.payee.stored(voucher.vault).map_or(Amount::ZERO, |it| it.voucher.amount);
        self.bank.stats.voucher_taken();
        self.book(peer, voucher.amount.checked_sub(before).unwrap_or(Amount::ZERO));
    }

    /// Write down, for the operator to see, what a peer took since the last time and promised now.
    fn book(&mut self, peer: PeerId, amount: Amount) {
        let Some(customer) = self.customers.get_mut(&peer) else { return };
        let bytes = core::mem::take(&mut customer.served_since);
        let Some(content) = customer.content.filter(|_| bytes > 0 || amount > Amount::ZERO) else {
            return;
        };
        let earned = Earned { content, payer: peer, bytes, amount };
        self.bank.writer.store(Write::Earned(earned), None);
    }
}

impl core::fmt::Debug for Till {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Till").field("customers", &self.customers.len()).finish_non_exhaustive()
    }
}
