//! The payer's half of the node's money: one task for all fetches, since they share one vault.
//! Sessions tell it what they ask for and what came, and it tells them what to say to whom.

mod credit;
mod netting;
mod seller;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use pop_exchange::LinkId;
use pop_incentive::balance::Balance;
use pop_incentive::exposure::IpPrefix;
use pop_incentive::ids::VaultId;
use pop_incentive::ledger::LoanNote;
use pop_incentive::ledger::names::vault_id;
use pop_incentive::message::{Objection, PaymentMessage, Terms};
use pop_incentive::payer::{Payer, PayerInput, PayerOutput};
use pop_incentive::quote::{Demand, SignedQuote};
use pop_incentive::record::PayerRecord;
use pop_incentive::voucher::VaultInfo;
use pop_wire::{Amount, PeerId, WalletAddress};
use tokio::sync::{mpsc, oneshot};

use self::netting::Customers;
use self::seller::Seller;
use super::store::{Listener, Loaded, Stored, Write};
use super::{Bank, News};
use crate::clock;
use crate::ledger::LedgerClientError;

/// Between two looks at a vault that doesn't cover the next step, or isn't there, in milliseconds.
const LOOK_AGAIN_MS: u64 = 2_000;

/// What a session is told.
#[derive(Debug)]
pub(crate) enum Word {
    /// Say this on that link.
    Say(LinkId, Bytes),
    /// What the peer asks for a megabit, for choosing among sources.
    Price(PeerId, u64),
}

/// A session's link to a peer: the session's number, and its own number of the link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Line {
    pub(crate) session: u64,
    pub(crate) link: LinkId,
}

/// What sessions tell the purse.
#[derive(Debug)]
enum Told {
    Opened {
        line: Line,
        peer: PeerId,
        prefix: IpPrefix,
        wanted: Wanted,
        say: mpsc::UnboundedSender<Word>,
    },
    Heard {
        line: Line,
        peer: PeerId,
        body: Bytes,
    },
    Traffic(Vec<Traffic>),
    Closed {
        line: Line,
        peer: PeerId,
    },
    Rest(Vec<PeerId>),
    Rested(Vec<(WalletAddress, u64)>),
    Till(mpsc::UnboundedSender<News>),
    Customer {
        customer: WalletAddress,
        debt: Option<Balance>,
    },
    Settle(oneshot::Sender<()>),
    Promises(oneshot::Sender<Vec<(WalletAddress, Amount)>>),
    Borrowed(oneshot::Sender<Vec<LoanNote>>),
    Vault(Result<Option<VaultInfo>, LedgerClientError>),
}

/// What a session may want of a holder.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted {
    pub(crate) demand: Demand,
    /// Bytes at most.
    pub(crate) column_bytes: u64,
    /// Bytes of one shard.
    pub(crate) shard_bytes: u64,
}

/// What went on with one peer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Traffic {
    pub(crate) peer: PeerId,
    /// Bytes asked for.
    pub(crate) asked: u64,
    /// Bytes that came and are what was asked for.
    pub(crate) received: u64,
}

/// Handle on the payer; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Purse {
    told: mpsc::UnboundedSender<Told>,
    sessions: Arc<AtomicU64>,
}

impl Purse {
    /// Start paying for what the node fetches.
    pub(crate) fn start(bank: Bank, loaded: Loaded) -> Self {
        let (told, queue) = mpsc::unbounded_channel();
        let (stored, stored_queue) = mpsc::unbounded_channel();
        let vault = vault_id(&bank.domain, bank.address(), 0);
        let driver = Driver {
            vault,
            payer: None,
            records: loaded.payers,
            sellers: BTreeMap::new(),
            storing: 0,
            settling: Vec::new(),
            stored: Listener::Purse(stored),
            told: told.clone(),
            looking: false,
            has_vault: None,
            borrowed: Vec::new(),
            customers: Customers::default(),
            bank,
        };
        let bank = driver.bank.clone();
        bank.spawn(driver.run(loaded.vaults.get(&vault).copied(), queue, stored_queue));
        Self { told, sessions: Arc::default() }
    }

    /// A number for a session, to tell its links from those of others.
    pub(crate) fn new_session(&self) -> u64 {
        self.sessions.fetch_add(1, Ordering::Relaxed)
    }

    /// A session has a link to a holder of what it wants.
    pub(crate) fn opened(
        &self,
        line: Line,
        (peer, prefix): (PeerId, IpPrefix),
        wanted: Wanted,
        say: mpsc::UnboundedSender<Word>,
    ) {
        self.tell(Told::Opened { line, peer, prefix, wanted, say });
    }

    /// A holder said something about payment.
    pub(crate) fn heard(&self, line: Line, peer: PeerId, body: Bytes) {
        self.tell(Told::Heard { line, peer, body });
    }

    /// Shards were asked for, or came.
    pub(crate) fn traffic(&self, traffic: Vec<Traffic>) {
        self.tell(Told::Traffic(traffic));
    }

    /// A session wants nothing more of these for now: what is owed to them is due.
    pub(crate) fn rest(&self, peers: Vec<PeerId>) {
        self.tell(Told::Rest(peers));
    }

    /// The node sells too: this is whom to tell what it owes its customers.
    pub(super) fn net_with(&self, till: mpsc::UnboundedSender<News>) {
        self.tell(Told::Till(till));
    }

    /// A customer owes this, and has promised that; none if it is forgotten.
    pub(super) fn customer(&self, customer: WalletAddress, debt: Option<Balance>) {
        self.tell(Told::Customer { customer, debt });
    }

    /// A link is gone.
    pub(crate) fn closed(&self, line: Line, peer: PeerId) {
        self.tell(Told::Closed { line, peer });
    }

    /// Wait until every promise that was decided on is stored and given to its link.
    pub(crate) async fn settle(&self) {
        let (reply, settled) = oneshot::channel();
        self.tell(Told::Settle(reply));
        let _stopped = settled.await;
    }

    /// What was promised to whom in the vault's epoch.
    pub(crate) async fn promises(&self) -> Vec<(WalletAddress, Amount)> {
        let (reply, promises) = oneshot::channel();
        self.tell(Told::Promises(reply));
        promises.await.unwrap_or_default()
    }

    /// What was borrowed since the start.
    pub(crate) async fn borrowed(&self) -> Vec<LoanNote> {
        let (reply, borrowed) = oneshot::channel();
        self.tell(Told::Borrowed(reply));
        borrowed.await.unwrap_or_default()
    }

    fn tell(&self, told: Told) {
        // After the node's end nobody pays any more.
        let _stopped = self.told.send(told);
    }
}

struct Driver {
    bank: Bank,
    vault: VaultId,
    /// There as soon as the ledger, or an earlier run, said what is in the vault.
    payer: Option<Payer>,
    records: Vec<PayerRecord>,
    sellers: BTreeMap<WalletAddress, Seller>,
    /// Records on their way to the disk.
    storing: usize,
    settling: Vec<oneshot::Sender<()>>,
    stored: Listener,
    told: mpsc::UnboundedSender<Told>,
    looking: bool,
    /// As far as the ledger said.
    has_vault: Option<bool>,
    borrowed: Vec<LoanNote>,
    customers: Customers,
}

impl Driver {
    async fn run(
        mut self,
        known: Option<VaultInfo>,
        mut queue: mpsc::UnboundedReceiver<Told>,
        mut stored: mpsc::UnboundedReceiver<Stored>,
    ) {
        if let Some(info) = known {
            self.on_vault(info);
        }
        self.look_up(0);
        loop {
            tokio::select! {
                Some(told) = queue.recv() => self.on(told),
                Some(stored) = stored.recv() => {
                    self.storing -= 1;
                    if let Stored::Payer(payee) = stored {
                        self.pay(PayerInput::Persisted { payee });
                    }
                }
                else => return,
            }
            if self.storing == 0 {
                for reply in self.settling.drain(..) {
                    let _asker_gone = reply.send(());
                }
            }
        }
    }

    fn on(&mut self, told: Told) {
        match told {
            Told::Opened { line, peer, prefix, wanted, say } => {
                let payee = peer.wallet_address();
                let stats = &self.bank.stats;
                let fresh = || Seller::new(prefix, Arc::clone(stats));
                let seller = self.sellers.entry(payee).or_insert_with(fresh);
                seller.open_line(line, wanted, say);
                seller.say(line, &PaymentMessage::Ask(wanted.demand));
                if self.payer.is_none() {
                    self.look_up(0);
                }
            }
            Told::Heard { line, peer, body } => self.heard(line, peer, &body),
            Told::Traffic(traffic) => traffic.into_iter().for_each(|one| self.traffic(one)),
            Told::Closed { line, peer } => self.closed(line, peer),
            Told::Rest(peers) => self.rest(&peers),
            Told::Rested(resting) => self.rested(resting),
            Told::Till(till) => self.on_till(till),
            Told::Customer { customer, debt } => self.on_customer(customer, debt),
            Told::Settle(reply) => self.settling.push(reply),
            Told::Promises(reply) => {
                let promises = self.payer.as_ref().map(|payer| payer.promises().collect());
                let _gone = reply.send(promises.unwrap_or_default());
            }
            Told::Borrowed(reply) => {
                let _gone = reply.send(self.borrowed.clone());
            }
            Told::Vault(answer) => self.looked_up(answer),
        }
    }

    fn looked_up(&mut self, answer: Result<Option<VaultInfo>, LedgerClientError>) {
        self.looking = false;
        match answer {
            Ok(Some(info)) => {
                self.has_vault = Some(true);
                self.bank.writer.store(Write::Vault(info), None);
                self.on_vault(info);
            }
            Ok(None) => {
                if self.has_vault.replace(false).is_none() {
                    self.say_that_there_is_no_vault();
                }
                self.borrow_where_it_stands_still();
                self.look_up_if_needed();
            }
            Err(error) => {
                tracing::warn!(%error, "the vault can't be looked up");
                self.look_up_if_needed();
            }
        }
    }

    fn heard(&mut self, line: Line, peer: PeerId, body: &[u8]) {
        let payee = peer.wallet_address();
        match PaymentMessage::decode(body) {
            Ok(PaymentMessage::Quote(quote)) => self.quoted(line, peer, &quote),
            Ok(PaymentMessage::Served { vault, bytes }) if vault == self.vault => {
                self.pay(PayerInput::Served { payee, bytes });
            }
            Ok(PaymentMessage::Netting { vault, bytes }) if vault == self.vault => {
                self.netting(payee, bytes);
            }
            Ok(PaymentMessage::Objection(objection)) => self.objected(line, peer, objection),
            Ok(PaymentMessage::Credit { loan, bytes }) => self.lent(payee, loan, bytes),
            Ok(other) => tracing::debug!(%peer, ?other, "not for a payer"),
            Err(error) => tracing::debug!(%peer, %error, "not a payment message"),
        }
    }

    fn quoted(&mut self, line: Line, peer: PeerId, signed: &SignedQuote) {
        let payee = peer.wallet_address();
        let Some(seller) = self.sellers.get_mut(&payee) else { return };
        let Some(demand) = seller.demand(line) else { return };
        if signed.quote.payee != payee {
            tracing::info!(%payee, "a quote in somebody else's name");
            return;
        }
        match signed.accept(&self.bank.domain, clock::unix_now(), &demand) {
            Ok(tariff) => {
                seller.offer = Some((line, signed.quote.serial, tariff));
                seller.tell_price(line, peer, tariff);
                self.take_offer(payee);
                self.borrow(payee, false);
            }
            Err(error) => tracing::info!(%payee, %error, "quote not taken"),
        }
    }

    /// Open the account by the quote that was accepted, and catch up with what went on before.
    fn take_offer(&mut self, payee: WalletAddress) {
        if self.payer.is_none() {
            return;
        }
        let Some(seller) = self.sellers.get_mut(&payee) else { return };
        let Some((_, _, tariff)) = seller.offer else { return };
        let prefix = seller.prefix;
        seller.is_open = true;
        let (asked, received) = seller.take_traffic();
        self.pay(PayerInput::Open { payee, tariff, prefix });
        self.net(payee);
        self.pay(PayerInput::Want { payee, bytes: asked });
        self.pay(PayerInput::Verified { payee, bytes: received });
    }

    fn objected(&mut self, line: Line, peer: PeerId, objection: Objection) {
        tracing::info!(%peer, %objection, "a holder objects");
        let payee = peer.wallet_address();
        if let Some(seller) = self.sellers.get_mut(&payee) {
            seller.debt.objected(objection);
        }
        match objection {
            Objection::Vault | Objection::Ledger | Objection::Closing => {
                self.look_up(LOOK_AGAIN_MS);
            }
            Objection::Terms => {
                // A quote ran out, say: ask for another.
                let Some(seller) = self.sellers.get_mut(&payee) else { return };
                if let Some(demand) = seller.demand(line)
                    && seller.may_ask_again()
                {
                    seller.say(line, &PaymentMessage::Ask(demand));
                }
            }
            _ => {}
        }
    }

    fn traffic(&mut self, traffic: Traffic) {
        let Traffic { peer, asked, received } = traffic;
        let payee = peer.wallet_address();
        let Some(seller) = self.sellers.get_mut(&payee) else { return };
        seller.asked = seller.asked.saturating_add(asked);
        let (asked, received) = seller.debt.count(asked, received);
        if !seller.is_open {
            seller.add_traffic(asked, received);
            return self.borrow(payee, false);
        }
        if asked > 0 {
            self.pay(PayerInput::Want { payee, bytes: asked });
        }
        if received > 0 {
            self.pay(PayerInput::Verified { payee, bytes: received });
        }
        self.tell_debt(payee);
    }

    fn closed(&mut self, line: Line, peer: PeerId) {
        let payee = peer.wallet_address();
        let Some(seller) = self.sellers.get_mut(&payee) else { return };
        if seller.close_line(line) {
            return;
        }
        let was_open = seller.is_open;
        self.sellers.remove(&payee);
        if was_open {
            self.pay(PayerInput::Close { payee });
        }
    }

    fn on_vault(&mut self, info: VaultInfo) {
        if self.payer.is_some() {
            return self.pay(PayerInput::Vault(info));
        }
        let (domain, exposure) = (self.bank.domain, self.bank.exposure());
        let records = core::mem::take(&mut self.records);
        let owner = (*self.bank.keypair).clone();
        match Payer::new(domain, owner, info, exposure, records.iter().copied()) {
            Ok(payer) => self.payer = Some(payer),
            Err(error) => {
                tracing::error!(%error, "what was promised before doesn't fit the vault");
                self.records = records;
                return;
            }
        }
        self.net_with_all();
        let waiting: Vec<_> = self.sellers.keys().copied().collect();
        waiting.into_iter().for_each(|payee| self.take_offer(payee));
    }

    /// Ask again as long as somebody waits to be paid; whoever comes later asks anew.
    fn look_up_if_needed(&mut self) {
        if !self.sellers.is_empty() {
            self.look_up(LOOK_AGAIN_MS);
        }
    }

    /// Ask the ledger for the vault after a while, unless that is under way.
    fn look_up(&mut self, after_ms: u64) {
        if core::mem::replace(&mut self.looking, true) {
            return;
        }
        let (ledger, told, vault) = (self.bank.ledger.clone(), self.told.clone(), self.vault);
        self.bank.spawn(async move {
            tokio::time::sleep(std::time::Duration::from_millis(after_ms)).await;
            let _stopped = told.send(Told::Vault(ledger.vault(vault).await));
        });
    }

    fn pay(&mut self, input: PayerInput) {
        let Some(payer) = self.payer.as_mut() else { return };
        if let Err(error) = payer.handle(input) {
            tracing::error!(%error, ?input, "the payer refused an input");
        }
        while let Some(output) = self.payer.as_mut().and_then(Payer::poll) {
            self.carry_out(output);
        }
    }

    fn carry_out(&mut self, output: PayerOutput) {
        match output {
            PayerOutput::Persist(record) => {
                self.storing += 1;
                self.bank.writer.store(Write::Payer(record), Some(&self.stored));
                self.tell_debt(record.payee);
            }
            PayerOutput::Terms { payee, meter, position } => {
                let Some(seller) = self.sellers.get(&payee) else { return };
                let Some((line, serial, _)) = seller.offer else { return };
                let terms = Terms { vault: self.vault, serial, meter, position };
                seller.say(line, &PaymentMessage::Terms(terms));
            }
            PayerOutput::Send(voucher) => {
                let Some(seller) = self.sellers.get(&voucher.voucher.payee) else { return };
                self.bank.stats.voucher_given();
                seller.say_anywhere(&PaymentMessage::Voucher(voucher));
            }
            PayerOutput::VaultLow { payee, short } => {
                tracing::warn!(%payee, %short, "the vault is short: `pop-node wallet deposit` more");
                self.look_up(LOOK_AGAIN_MS);
                self.borrow(payee, true);
            }
            PayerOutput::Overclaimed { payee, claimed, believed } => {
                tracing::warn!(%payee, claimed, believed, "a holder claims more than it served");
            }
            other => tracing::warn!(?other, "unknown output"),
        }
    }
}
