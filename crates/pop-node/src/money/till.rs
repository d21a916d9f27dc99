//! The payee's half of the node's money: it carries what the till of `pop-incentive` says to those who are
//! served, the disk and the ledger, and lends. It lives in the task that serves, so that what was
//! served and what may be served are never out of step; what takes time comes back as a [`News`].

mod credit;
mod customer;
mod netting;
mod redeem;
mod scarcity;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use pop_exchange::LinkId;
use pop_incentive::balance::Balance;
use pop_incentive::exposure::IpPrefix;
use pop_incentive::ids::{LineId, VaultId};
use pop_incentive::message::{Objection, PaymentMessage};
use pop_incentive::payee::PayeePolicy;
use pop_incentive::quote::Demand;
use pop_incentive::rate::Rate;
use pop_incentive::till::{Till as Machine, TillInput, TillOutput};
use pop_incentive::voucher::{SignedVoucher, VaultInfo};
use pop_wire::{Amount, ContentId, PeerId, WalletAddress};
use tokio::sync::mpsc;

use self::credit::{Answer, Lending, Looked};
use self::customer::Customer;
use self::redeem::Paid;
use self::scarcity::Rarity;
use super::store::{Earned, Listener, Stored, Write};
use super::{Bank, Books, Purse};
use crate::clock;
use crate::disk::ColumnStore;
use crate::error::NodeError;
use crate::ledger::LedgerClientError;

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
    /// Vouchers were redeemed.
    Redeemed(Vec<Paid>),
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
    machine: Machine,
    contents: ColumnStore,
    rarity: Rarity,
    customers: BTreeMap<PeerId, Customer>,
    /// Those of the customers, by wallet.
    peers: BTreeMap<WalletAddress, PeerId>,
    actions: VecDeque<Action>,
    news: mpsc::UnboundedSender<News>,
    stored: Listener,
    redemption: redeem::Redemption,
    lending: Lending,
    /// Pays for what we fetch; none if we pay nothing.
    purse: Option<Purse>,
    /// Whom we owe something.
    debts: BTreeSet<WalletAddress>,
    ticks: u64,
}

impl Till {
    /// A till that remembers what was stored, and the queue of its news.
    pub(crate) fn open(
        (bank, Books { mut loaded, purse }): (Bank, Books),
        contents: ColumnStore,
    ) -> Result<(Self, mpsc::UnboundedReceiver<News>), NodeError> {
        let (news, queue) = mpsc::unbounded_channel();
        let policy =
            PayeePolicy { exposure: bank.exposure(), unredeemed_max: bank.settings.unredeemed_max };
        let known = loaded.payees.iter().filter_map(|record| {
            Some((loaded.vaults.remove(&record.signed.voucher.vault)?, *record))
        });
        let mut machine = Machine::new((*bank.keypair).clone(), policy, known.collect());
        let ledger = TillInput::Ledger { domain: bank.domain, serial: loaded.serial };
        machine
            .handle(clock::unix_now(), ledger)
            .map_err(|error| NodeError::MoneyRecords { problem: error.to_string() })?;
        // Nobody promised anything from the rest.
        for vault in loaded.vaults.into_keys() {
            bank.writer.store(Write::PayerGone(vault), None);
        }
        let stored = Listener::Till(news.clone());
        redeem::start_ticking(&bank, news.clone());
        let lending = Lending::new(&bank, loaded.lent, loaded.credits);
        let mut till = Self {
            bank,
            machine,
            contents,
            rarity: Rarity::default(),
            customers: BTreeMap::new(),
            peers: BTreeMap::new(),
            actions: VecDeque::new(),
            news,
            stored,
            redemption: redeem::Redemption::default(),
            lending,
            purse,
            debts: BTreeSet::new(),
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
        let lent = self.lending.left(customer.payer);
        self.machine.allowed(customer.payer).saturating_add(lent)
    }

    /// A link to a peer is up.
    pub(crate) fn link_up(&mut self, link: LinkId, peer: PeerId, prefix: IpPrefix) {
        let fresh = || Customer::new(prefix, peer.wallet_address());
        let payer = self.customers.entry(peer).or_insert_with(fresh).payer;
        self.peers.insert(payer, peer);
        self.tell(TillInput::LineUp { line: LineId(link.0), customer: payer, prefix });
        self.forget_unless_linked(peer);
    }

    /// A link is gone.
    pub(crate) fn link_down(&mut self, link: LinkId, peer: PeerId) {
        self.tell(TillInput::LineDown { line: LineId(link.0) });
        self.forget_unless_linked(peer);
    }

    fn forget_unless_linked(&mut self, peer: PeerId) {
        let Some(payer) = self.customers.get(&peer).map(|customer| customer.payer) else { return };
        if !self.machine.is_linked(payer) {
            if let Some(earned) = self.earned(peer, Amount::ZERO) {
                self.bank.writer.store(earned, None);
            }
            self.customers.remove(&peer);
            self.peers.remove(&payer);
        }
    }

    /// So much was sent to a peer.
    pub(crate) fn served(&mut self, peer: PeerId, bytes: u64) {
        let Some(customer) = self.customers.get_mut(&peer) else { return };
        customer.served_since += bytes;
        let payer = customer.payer;
        // Credit first: the payee hears of the rest only.
        let bytes = bytes - self.lending.take(payer, bytes);
        if bytes > 0 {
            self.tell(TillInput::Served { customer: payer, bytes });
            self.tell_purse_of_debtor(payer);
        }
    }

    /// A peer said something about payment. Nonsense is answered by silence: the peer gains nothing.
    pub(crate) fn hear(&mut self, link: LinkId, peer: PeerId, body: &[u8]) {
        let message = match PaymentMessage::decode(body) {
            Ok(PaymentMessage::CreditRequest(asked)) => {
                return self.credit_asked(link, peer, &asked);
            }
            Ok(message) => message,
            Err(error) => return tracing::debug!(%peer, %error, "not a payment message"),
        };
        if let PaymentMessage::Terms(terms) = &message
            && let Some(quote) = self.machine.quote(terms.serial, clock::unix_now())
            && let Some(customer) = self.customers.get_mut(&peer)
        {
            customer.content = Some(quote.content);
        }
        self.tell(TillInput::Heard { line: LineId(link.0), message });
    }

    /// Somebody wants to know what a content costs.
    fn asked(&mut self, line: LineId, customer: WalletAddress, demand: Demand) {
        let Some(peer) = self.peers.get(&customer).copied() else { return };
        match self.price(&demand) {
            Ok((rate, peak_kbps)) => {
                if let Some(customer) = self.customers.get_mut(&peer) {
                    customer.content = Some(demand.content);
                }
                self.tell(TillInput::Sell { line, demand, rate, peak_kbps });
                self.say_credit(LinkId(line.0), peer);
            }
            Err(objection) => self.tell(TillInput::Refuse { line, objection }),
        }
    }

    fn price(&self, demand: &Demand) -> Result<(Rate, u32), Objection> {
        let manifest = self.contents.manifest(&demand.content).ok_or(Objection::NotForSale)?;
        let terms = &self.bank.settings;
        let base = terms.price.ok_or(Objection::NotForSale)?;
        // Rather what the viewer pays at most than nothing.
        let most = terms.price_scarce_max.unwrap_or(base).min(demand.rate_max).max(base);
        let rate = self.rarity.asked(demand.content, &manifest, base).min(most);
        Ok((rate, super::kbps(&manifest)))
    }

    /// So many columns of these contents live.
    pub(crate) fn counted(&mut self, live: BTreeMap<ContentId, u16>) {
        self.rarity.counted(live, clock::unix_now());
    }

    /// Take in what came of something that took time.
    pub(crate) fn learn(&mut self, news: News) {
        match news {
            News::Stored(Stored::Payee(vault)) => {
                self.tell(TillInput::Persisted { vault });
                self.tell_purse_of(vault);
            }
            News::Stored(Stored::Payer(_)) => {}
            News::Stored(Stored::Lent(number)) => self.lend(number),
            News::Borrower(answer) => self.on_borrower(*answer),
            News::Lent { number, done } => self.on_lent(number, done),
            News::Loans(looked) => self.on_loans(looked),
            News::Vault { vault, answer } => self.on_vault(vault, answer),
            News::Redeemed(paid) => {
                self.redemption.ended();
                for Paid { vault, epoch, amount } in paid {
                    self.tell(TillInput::Redeemed { vault, epoch, amount });
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
        let input = match answer {
            Ok(Some((info, redeemed))) => TillInput::Vault { info, redeemed },
            Ok(None) => TillInput::NoVault { vault },
            Err(error) => {
                tracing::warn!(%vault, %error, "a payer's vault can't be looked up");
                TillInput::LedgerAway { vault }
            }
        };
        let before = self.machine.vault(vault);
        self.handle(input);
        // Before any voucher that is taken for it.
        if let Some(info) = self.machine.vault(vault).filter(|info| Some(*info) != before) {
            self.bank.writer.store(Write::Vault(info), None);
        }
        self.drain();
        self.tell_purse_of(vault);
    }

    fn look_up(&self, vault: VaultId) {
        let (bank, news) = (self.bank.clone(), self.news.clone());
        self.bank.spawn(async move {
            let answer = redeem::vault_and_redeemed(&bank, vault).await;
            let _stopped = news.send(News::Vault { vault, answer });
        });
    }

    fn say(&mut self, link: LinkId, message: PaymentMessage) {
        self.actions.push_back(Action::Say { link, body: message.encode().into() });
    }

    fn tell(&mut self, input: TillInput) {
        self.handle(input);
        self.drain();
    }

    fn handle(&mut self, input: TillInput) {
        if let Err(error) = self.machine.handle(clock::unix_now(), input) {
            tracing::warn!(%error, ?input, "the till refused an input");
        }
    }

    fn drain(&mut self) {
        while let Some(output) = self.machine.poll() {
            match output {
                TillOutput::Say { line, message } => self.say(LinkId(line.0), message),
                TillOutput::Asked { line, customer, demand } => self.asked(line, customer, demand),
                TillOutput::Allow { customer } => {
                    if let Some(peer) = self.peers.get(&customer).copied() {
                        self.actions.push_back(Action::Allow { peer, bytes: 0 });
                    }
                }
                TillOutput::Opened { customer } => self.tell_purse(customer),
                TillOutput::LookUp { vault } => self.look_up(vault),
                TillOutput::Persist(record) => {
                    let earned = self.count(&record.signed);
                    let write = Write::Payee(record);
                    self.bank.writer.store_with(earned, write, Some(&self.stored));
                }
                TillOutput::Redeem => self.redeem(),
                TillOutput::Refused { customer, refusal } => {
                    tracing::info!(%customer, %refusal, "a payer's word is refused");
                }
                TillOutput::Forgotten { vault, customer } => {
                    let _none = self.purse.as_ref().map(|purse| purse.customer(customer, None));
                    self.bank.writer.store(Write::PayerGone(vault), None);
                }
                other => tracing::warn!(?other, "unknown output"),
            }
        }
    }

    /// Count what a voucher pays beyond the one before.
    fn count(&mut self, signed: &SignedVoucher) -> Option<Write> {
        let voucher = signed.voucher;
        let owner = self.machine.vault(voucher.vault).map(|info| info.owner);
        let peer = owner.and_then(|owner| self.peers.get(&owner)).copied()?;
        let before =
            self.machine.stored(voucher.vault).map_or(Amount::ZERO, |it| it.voucher.amount);
        self.bank.stats.voucher_taken();
        self.earned(peer, voucher.amount.checked_sub(before).unwrap_or(Amount::ZERO))
    }

    /// What is to be written down, for the operator to see: what a peer took since the last time and
    /// promised now.
    fn earned(&mut self, peer: PeerId, amount: Amount) -> Option<Write> {
        let customer = self.customers.get_mut(&peer)?;
        let bytes = core::mem::take(&mut customer.served_since);
        let content = customer.content.filter(|_| bytes > 0 || amount > Amount::ZERO)?;
        Some(Write::Earned(Earned { content, payer: peer, bytes, amount }))
    }
}

impl core::fmt::Debug for Till {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Till").field("customers", &self.customers.len()).finish_non_exhaustive()
    }
}
