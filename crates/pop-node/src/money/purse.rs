//! The payer's half of the node's money: one task for all fetches, since they share one vault.
//! Sessions tell it what they ask for and what came, and it tells them what to say to whom.

mod credit;
mod netting;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use pop_exchange::LinkId;
use pop_incentive::balance::Balance;
use pop_incentive::exposure::IpPrefix;
use pop_incentive::ids::{LineId, VaultId};
use pop_incentive::ledger::LoanNote;
use pop_incentive::ledger::names::vault_id;
use pop_incentive::message::PaymentMessage;
use pop_incentive::purse::{Purse as Machine, PurseInput, PurseOutput};
use pop_incentive::quote::Demand;
use pop_incentive::voucher::VaultInfo;
use pop_wire::{Amount, PeerId, WalletAddress};
use tokio::sync::{mpsc, oneshot};

use self::credit::Debt;
use self::netting::Customers;
use super::store::{Listener, Loaded, Stored, Write};
use super::{Bank, News};
use crate::clock;
use crate::ledger::LedgerClientError;

/// What a session is told.
#[derive(Debug)]
pub(crate) enum Word {
    /// Say this on that link.
    Say(LinkId, Bytes),
    /// What the peer asks for a megabit, for choosing among sources.
    Price(PeerId, u64),
}

/// What sessions tell the purse.
#[derive(Debug)]
enum Told {
    Opened { line: LineId, wire: Wire, prefix: IpPrefix, wanted: Wanted },
    Heard { line: LineId, peer: PeerId, body: Bytes },
    Traffic(Vec<Traffic>),
    Closed { line: LineId, peer: PeerId },
    Rest(Vec<PeerId>),
    Rested(Vec<(WalletAddress, u64)>),
    Till(mpsc::UnboundedSender<News>),
    Customer { customer: WalletAddress, debt: Option<Balance> },
    Settle(oneshot::Sender<()>),
    Promises(oneshot::Sender<Vec<(WalletAddress, Amount)>>),
    Borrowed(oneshot::Sender<Vec<LoanNote>>),
    Vault(Result<Option<VaultInfo>, LedgerClientError>),
}

/// A session's link to a holder.
#[derive(Debug)]
struct Wire {
    link: LinkId,
    peer: PeerId,
    say: mpsc::UnboundedSender<Word>,
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
    lines: Arc<AtomicU64>,
}

impl Purse {
    /// Start paying for what the node fetches.
    pub(crate) fn start(bank: Bank, loaded: Loaded) -> Self {
        let (told, queue) = mpsc::unbounded_channel();
        let (stored, stored_queue) = mpsc::unbounded_channel();
        let vault = vault_id(&bank.domain, bank.address(), 0);
        let machine = Machine::new((*bank.keypair).clone(), bank.exposure(), loaded.payers);
        let driver = Driver {
            machine,
            wires: BTreeMap::new(),
            debts: BTreeMap::new(),
            storing: 0,
            settling: Vec::new(),
            stored: Listener::Purse(stored),
            told: told.clone(),
            has_vault: None,
            borrowed: Vec::new(),
            customers: Customers::default(),
            bank: bank.clone(),
        };
        bank.spawn(driver.run(loaded.vaults.get(&vault).copied(), queue, stored_queue));
        Self { told, lines: Arc::default() }
    }

    /// A number for a link of a session.
    pub(crate) fn new_line(&self) -> LineId {
        LineId(self.lines.fetch_add(1, Ordering::Relaxed))
    }

    /// A session has a link to a holder of what it wants.
    pub(crate) fn opened(
        &self,
        (line, link): (LineId, LinkId),
        (peer, prefix): (PeerId, IpPrefix),
        wanted: Wanted,
        say: mpsc::UnboundedSender<Word>,
    ) {
        self.tell(Told::Opened { line, wire: Wire { link, peer, say }, prefix, wanted });
    }

    /// A holder said something about payment.
    pub(crate) fn heard(&self, line: LineId, peer: PeerId, body: Bytes) {
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
    pub(crate) fn closed(&self, line: LineId, peer: PeerId) {
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
    machine: Machine,
    wires: BTreeMap<LineId, Wire>,
    /// What holders that we have links to lend us.
    debts: BTreeMap<WalletAddress, Debt>,
    /// Records on their way to the disk.
    storing: usize,
    settling: Vec<oneshot::Sender<()>>,
    stored: Listener,
    told: mpsc::UnboundedSender<Told>,
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
        self.pay(PurseInput::Ledger(self.bank.domain));
        if let Some(info) = known {
            self.pay(PurseInput::Vault(info));
        }
        loop {
            tokio::select! {
                Some(told) = queue.recv() => self.on(told),
                Some(stored) = stored.recv() => {
                    self.storing -= 1;
                    if let Stored::Payer(seller) = stored {
                        self.pay(PurseInput::Persisted { seller });
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
            Told::Opened { line, wire, prefix, wanted } => {
                let seller = wire.peer.wallet_address();
                self.wires.insert(line, wire);
                self.debts.entry(seller).or_default().expect(wanted.column_bytes);
                let wanted = pop_incentive::purse::Wanted {
                    demand: wanted.demand,
                    shard_bytes: wanted.shard_bytes,
                };
                self.pay(PurseInput::LineUp { line, seller, prefix, wanted });
            }
            Told::Heard { line, peer, body } => self.heard(line, peer, &body),
            Told::Traffic(traffic) => traffic.into_iter().for_each(|one| self.traffic(one)),
            Told::Closed { line, peer } => {
                self.pay(PurseInput::LineDown { line });
                self.wires.remove(&line);
                let seller = peer.wallet_address();
                if !self.machine.is_linked(seller) {
                    self.debts.remove(&seller);
                }
            }
            Told::Rest(peers) => self.rest(&peers),
            Told::Rested(resting) => self.rested(resting),
            Told::Till(till) => self.on_till(till),
            Told::Customer { customer, debt } => self.on_customer(customer, debt),
            Told::Settle(reply) => self.settling.push(reply),
            Told::Promises(reply) => {
                let _gone = reply.send(self.machine.promises().collect());
            }
            Told::Borrowed(reply) => {
                let _gone = reply.send(self.borrowed.clone());
            }
            Told::Vault(answer) => self.looked_up(answer),
        }
    }

    fn looked_up(&mut self, answer: Result<Option<VaultInfo>, LedgerClientError>) {
        match answer {
            Ok(Some(info)) => {
                self.has_vault = Some(true);
                self.bank.writer.store(Write::Vault(info), None);
                self.pay(PurseInput::Vault(info));
                self.tell_debts();
            }
            Ok(None) => {
                if self.has_vault.replace(false).is_none() {
                    self.say_that_there_is_no_vault();
                }
                self.borrow_where_it_stands_still();
                self.pay(PurseInput::NoVault);
            }
            Err(error) => {
                tracing::warn!(%error, "the vault can't be looked up");
                self.pay(PurseInput::LedgerAway);
            }
        }
    }

    fn heard(&mut self, line: LineId, peer: PeerId, body: &[u8]) {
        match PaymentMessage::decode(body) {
            Ok(PaymentMessage::Credit { loan, bytes }) => {
                self.lent(peer.wallet_address(), loan, bytes);
            }
            Ok(message) => self.pay(PurseInput::Heard { line, message }),
            Err(error) => tracing::debug!(%peer, %error, "not a payment message"),
        }
    }

    fn traffic(&mut self, Traffic { peer, asked, received }: Traffic) {
        let seller = peer.wallet_address();
        let Some(debt) = self.debts.get_mut(&seller) else { return };
        let on_credit = debt.count(asked, received);
        let received = received - on_credit;
        let traffic = pop_incentive::purse::Traffic { asked, received, on_credit };
        self.pay(PurseInput::Traffic { seller, traffic });
        match self.machine.is_open(seller) {
            true => self.tell_debt(seller),
            false => self.borrow(seller, false),
        }
    }

    /// Ask the ledger for the vault after a while.
    fn look_up(&self, vault: VaultId, after_ms: u64) {
        let (ledger, told) = (self.bank.ledger.clone(), self.told.clone());
        self.bank.spawn(async move {
            tokio::time::sleep(std::time::Duration::from_millis(after_ms)).await;
            let _stopped = told.send(Told::Vault(ledger.vault(vault).await));
        });
    }

    fn pay(&mut self, input: PurseInput) {
        if let Err(error) = self.machine.handle(clock::unix_now(), input) {
            tracing::error!(%error, ?input, "the purse refused an input");
        }
        while let Some(output) = self.machine.poll() {
            self.carry_out(output);
        }
    }

    fn carry_out(&mut self, output: PurseOutput) {
        match output {
            PurseOutput::Say { line, message } => self.say(line, &message),
            PurseOutput::LookUp { vault, after_ms } => self.look_up(vault, after_ms),
            PurseOutput::Persist(record) => {
                self.storing += 1;
                self.bank.writer.store(Write::Payer(record), Some(&self.stored));
                self.tell_debt(record.payee);
            }
            PurseOutput::Accepted { seller, offer } => {
                if let Some(wire) = self.wires.get(&offer.line) {
                    // A session that ended is about to say so.
                    let _ended = wire.say.send(Word::Price(wire.peer, offer.tariff.rank()));
                }
                self.tell_debt(seller);
                self.borrow(seller, false);
            }
            PurseOutput::QuoteRefused { seller, error: Some(error) } => {
                tracing::info!(%seller, %error, "quote not taken");
            }
            PurseOutput::QuoteRefused { seller, error: None } => {
                tracing::info!(%seller, "a quote in somebody else's name");
            }
            PurseOutput::Objected { seller, objection } => {
                tracing::info!(%seller, %objection, "a holder objects");
                if let Some(debt) = self.debts.get_mut(&seller) {
                    debt.objected(objection);
                }
            }
            PurseOutput::VaultLow { seller, short } => {
                tracing::warn!(%seller, %short, "the vault is short: `pop-node wallet deposit` more");
                self.borrow(seller, true);
            }
            PurseOutput::Overclaimed { seller, claimed, believed } => {
                tracing::warn!(%seller, claimed, believed, "a holder claims more than it served");
            }
            other => tracing::warn!(?other, "unknown output"),
        }
    }

    fn say(&self, line: LineId, message: &PaymentMessage) {
        let Some(wire) = self.wires.get(&line) else { return };
        let body = message.encode();
        self.bank.stats.payment_said_or_heard(body.len());
        if matches!(message, PaymentMessage::Voucher(_)) {
            self.bank.stats.voucher_given();
        }
        // A session that ended is about to say so.
        let _ended = wire.say.send(Word::Say(wire.link, body.into()));
    }
}
