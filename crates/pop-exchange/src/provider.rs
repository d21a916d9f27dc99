//! The serving side: answers requests from a store, within limits, and takes uploads.
//!
//! The shell gives links, messages and the results of store operations in; the machine gives
//! messages, store operations and events out. It holds no payload itself: what it keeps count of
//! is what it asked the store to read and what the shell has not flushed yet.
//!
//! Contract for the shell:
//!
//! - After every [`Provider::handle`], drain [`Provider::poll`] to `None`, then arm one timer for
//!   [`Provider::next_timeout`] and give [`Input::Tick`] when it fires.
//! - Report every [`Output::Send`] that its transport has taken with [`Input::Flushed`], in order.
//! - Answer every [`Output::Store`] but [`StoreOperation::LeaveColumn`] with one
//!   [`Input::Store`]; operations on one column are carried out in the order they came.
//! - Close a link on [`Output::Close`]; what still comes in from it is ignored.

mod allowance;
mod announce;
mod link;
mod port;
mod question;
mod serving;
mod upload;

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use pop_wire::message::{Refusal, RefusalReason};
use pop_wire::sorted::{SortedMap, SortedSet};
use pop_wire::{
    ColumnIndex, ContentId, Instant, MasternodeRecord, Message, PeerId, RequestId, Signed,
    limits::{AUDIT_ANSWER_BYTES_MAX, PEERS_MAX},
};

use self::allowance::Peer;
use self::announce::Announcements;
use self::link::Link;
use self::serving::{Read, Serving};
use crate::config::check_introduction;
use crate::greeting::{self, Greeting, kind_name};
use crate::limits::UNREAD_MESSAGES_MAX;
use crate::payment;
use crate::{Error, Fault, LinkId};

pub use self::port::{Event, Input, Output, StoreOperation, StoreResult, Token};
pub use crate::config::ProviderConfig;

/// Time between two looks at what is overdue, in milliseconds.
const SWEEP_MS: u64 = 1_000;

/// A store operation under way, and what its end is for.
#[derive(Debug)]
enum Operation {
    Read(Read),
    Manifest { link: LinkId, id: RequestId },
    Holdings { link: LinkId, id: RequestId },
    Holders { link: LinkId, id: RequestId },
    Audit { link: LinkId, id: RequestId },
    Open { link: LinkId, id: RequestId, serial: u64 },
    Write { link: LinkId, id: RequestId, serial: u64, bytes: u64 },
    Seal { link: LinkId, id: RequestId, serial: u64 },
}

/// Serves shards and takes uploads, over any number of links.
///
/// ```
/// use pop_exchange::LinkId;
/// use pop_exchange::provider::{Input, Output, Provider, ProviderConfig};
/// use pop_wire::{Instant, Keypair, Message};
///
/// let mut provider = Provider::new(ProviderConfig::default())?;
/// let peer = Keypair::from_secret_bytes(&[1; 32])?.peer_id();
/// provider.handle(Instant(0), Input::LinkUp { link: LinkId(1), peer })?;
/// let output = provider.poll();
/// assert!(matches!(output, Some(Output::Send { message: Message::Hello(_), .. })));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Provider {
    config: ProviderConfig,
    now: Instant,
    next_sweep: Instant,
    links: SortedMap<LinkId, Link>,
    peers: SortedMap<PeerId, Peer>,
    serving: Serving,
    /// Thousands on a busy node, and the oldest go first: too many for a sorted vector.
    operations: BTreeMap<Token, Operation>,
    /// Counts tokens and uploads; never reused.
    serial: u64,
    columns_open: SortedSet<(ContentId, ColumnIndex)>,
    /// Payload of writes whose upload is gone, in bytes.
    orphan_write_bytes: u64,
    /// Lookups under way, also of links that are gone.
    lookups: usize,
    masternodes: Vec<Signed<MasternodeRecord>>,
    announcements: Announcements,
    outputs: VecDeque<Output>,
}

impl Provider {
    /// A provider without links.
    ///
    /// # Errors
    /// [`Error::Setting`] if a setting leaves no room for a single shard.
    pub fn new(config: ProviderConfig) -> Result<Self, Error> {
        config.check()?;
        Ok(Self {
            config,
            now: Instant::default(),
            next_sweep: Instant::default(),
            links: SortedMap::new(),
            peers: SortedMap::new(),
            serving: Serving::default(),
            operations: BTreeMap::new(),
            serial: 0,
            columns_open: SortedSet::new(),
            orphan_write_bytes: 0,
            lookups: 0,
            masternodes: Vec::new(),
            announcements: Announcements::default(),
            outputs: VecDeque::new(),
        })
    }

    /// Take one input. `now` never goes back; if it does, the latest time seen counts.
    ///
    /// # Errors
    /// [`Error`]: the shell broke its contract. The machine goes on unchanged.
    pub fn handle(&mut self, now: Instant, input: Input) -> Result<(), Error> {
        self.now = self.now.max(now);
        match input {
            Input::LinkUp { link, peer } => self.link_up(link, peer)?,
            Input::LinkDown { link } => self.forget(link),
            Input::Message { link, message } => {
                if let Err(fault) = self.receive(link, message) {
                    self.fault(link, fault);
                }
            }
            Input::Flushed { link, messages } => self.flushed(link, messages)?,
            Input::Store { token, result } => self.store_result(token, result)?,
            Input::Introduction(introduction) => {
                check_introduction(&introduction)?;
                self.config.introduction = introduction;
            }
            Input::Masternodes(mut masternodes) => {
                masternodes.truncate(PEERS_MAX);
                self.masternodes = masternodes;
            }
            Input::Allowance { peer, bytes } => self.allow(peer, bytes),
            Input::Available { content, segments } => self.available(content, segments)?,
            Input::Payment { link, body } => self.pay(link, body)?,
            Input::Tick => {}
        }
        self.sweep();
        self.refuse_unpaid();
        self.pump();
        self.announce();
        Ok(())
    }

    /// The next thing to do, or `None` until there is another input.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When to give [`Input::Tick`]; `None` if nothing is to be waited for.
    pub fn next_timeout(&self) -> Option<Instant> {
        let sweep = (!self.links.is_empty()).then_some(self.next_sweep);
        let sooner = self.payment_due_at().into_iter().chain(self.announcement_due_at());
        sweep.into_iter().chain(sooner).min()
    }

    /// Payload asked from the store or sent and not yet flushed, over all links, in bytes. Never
    /// over [`ProviderConfig::payload_bytes_max`].
    pub fn payload_bytes(&self) -> u64 {
        self.serving.payload_bytes
    }

    /// Shard requests queued over all links. Never over [`ProviderConfig::requests_max`].
    pub fn queued_requests(&self) -> usize {
        self.serving.queued
    }

    /// Uploads open over all links. Never over [`ProviderConfig::uploads_max`].
    pub fn open_uploads(&self) -> usize {
        self.columns_open.len()
    }

    /// Links that are up.
    pub fn links(&self) -> usize {
        self.links.len()
    }

    fn link_up(&mut self, link: LinkId, peer: PeerId) -> Result<(), Error> {
        if self.links.contains_key(&link) {
            return Err(Error::LinkInUse { link });
        }
        let of_peer = self.peers.get(&peer).map_or(0, |peer| peer.links.len());
        if self.links.len() >= self.config.links_max || of_peer >= self.config.links_per_peer_max {
            self.outputs.push_back(Output::Close { link });
            self.outputs.push_back(Output::Event(Event::LinkRefused { link, peer }));
            return Ok(());
        }
        if self.links.is_empty() {
            self.next_sweep = self.now.after_ms(SWEEP_MS);
        }
        let (serial, allowance_bytes) = (self.next_serial(), self.config.allowance_bytes);
        let fresh = || Peer::new(serial, allowance_bytes);
        self.peers.entry(peer).or_insert_with(fresh).links.insert(link);
        self.links.insert(link, Link::new(serial, peer, self.now));
        let hello = Greeting::hello(&self.config.introduction);
        self.send(link, hello);
        Ok(())
    }

    /// Everything about a link goes; operations under way end in nothing.
    fn forget(&mut self, link: LinkId) {
        let Some(gone) = self.links.remove(&link) else { return };
        self.serving.forget(&gone);
        self.announcements.forget(link);
        for upload in gone.uploads.into_values() {
            self.end_upload(gone.peer, upload);
        }
        if let Some(peer) = self.peers.get_mut(&gone.peer) {
            peer.links.remove(&link);
            let last = peer.links.is_empty();
            self.paid_if_idle(gone.peer);
            if last {
                self.peers.remove(&gone.peer);
            }
        }
    }

    fn fault(&mut self, link: LinkId, fault: Fault) {
        let Some(peer) = self.links.get(&link).map(|link| link.peer) else { return };
        self.forget(link);
        self.outputs.push_back(Output::Close { link });
        self.outputs.push_back(Output::Event(Event::PeerFault { link, peer, fault }));
    }

    fn receive(&mut self, from: LinkId, message: Message) -> Result<(), Fault> {
        let Some(link) = self.links.get_mut(&from) else { return Ok(()) };
        if let Some(hello) = link.greeting.receive(&message)? {
            link.credit.grant(hello.credit_bytes)?;
            let (peer, introduction) = (link.peer, greeting::introduction(hello));
            let event = Event::Greeted { link: from, peer, introduction };
            self.outputs.push_back(Output::Event(event));
            self.announce_all_to(from);
            return Ok(());
        }
        // spec/exchange.md §5: who asks without reading the answers is cut off.
        if link.unflushed.len() > UNREAD_MESSAGES_MAX {
            return Err(Fault::Flood { max: UNREAD_MESSAGES_MAX });
        }
        match message {
            Message::Credit(credit) => {
                link.credit.grant(credit.bytes)?;
                link.progress(self.now);
                self.enqueue(from);
                Ok(())
            }
            Message::GetShard(get) => self.get_shard(from, &get),
            Message::Cancel(cancel) => {
                self.cancel(from, cancel.id);
                Ok(())
            }
            Message::GetManifest(get) => self.get_manifest(from, get.id, get.content),
            Message::GetHoldings(get) => self.get_holdings(from, get.id, get.content),
            Message::GetPeers(get) => self.get_peers(from, get.id),
            Message::GetHolders(get) => self.get_holders(from, get.id, get.content),
            Message::Audit(audit) => self.audit(from, audit),
            Message::OpenColumn(open) => self.open_column(from, open),
            Message::PutShard(put) => self.put_shard(from, put),
            Message::SealColumn(seal) => self.seal_column(from, seal.id),
            Message::Payment(payment) => {
                link.payments.charge(self.now)?;
                let (peer, body) = (link.peer, payment.body);
                self.outputs.push_back(Output::Event(Event::Payment { link: from, peer, body }));
                Ok(())
            }
            other => Err(Fault::Unexpected { got: kind_name(&other) }),
        }
    }

    fn pay(&mut self, to: LinkId, body: Bytes) -> Result<(), Error> {
        let Some(link) = self.links.get(&to) else { return Ok(()) };
        let message = payment::message(to, link.greeting.is_agreed(), body)?;
        self.send(to, message);
        Ok(())
    }

    fn flushed(&mut self, link: LinkId, messages: usize) -> Result<(), Error> {
        let Some(state) = self.links.get_mut(&link) else { return Ok(()) };
        let sent = state.unflushed.len();
        if messages > sent {
            return Err(Error::FlushedTooMuch { link, sent, got: messages });
        }
        state.told.flushed(messages);
        let freed: u64 = state.unflushed.drain(..messages).sum();
        state.payload_bytes -= freed;
        self.serving.payload_bytes -= freed;
        state.progress(self.now);
        self.enqueue(link);
        Ok(())
    }

    fn store_result(&mut self, token: Token, result: StoreResult) -> Result<(), Error> {
        let operation =
            self.operations.get(&token).ok_or(Error::UnknownToken { token: token.0 })?;
        check_result(token, operation, &result)?;
        let Some(operation) = self.operations.remove(&token) else { return Ok(()) };
        match operation {
            Operation::Read(read) => self.shard_read(token, read, result),
            Operation::Holders { link, id } => {
                self.lookups -= 1;
                self.answer(token, link, id, result);
            }
            Operation::Manifest { link, id }
            | Operation::Holdings { link, id }
            | Operation::Audit { link, id } => self.answer(token, link, id, result),
            Operation::Open { link, id, serial } => self.column_opened(link, id, serial, result),
            Operation::Write { link, id, serial, bytes } => {
                self.shard_written(link, (id, serial), bytes, result);
            }
            Operation::Seal { link, id, serial } => self.column_sealed(link, id, serial, result),
        }
        Ok(())
    }

    fn sweep(&mut self) {
        if self.now < self.next_sweep {
            return;
        }
        self.next_sweep = self.now.after_ms(SWEEP_MS);
        let now = self.now;
        let overdue = |(id, link): (&LinkId, &Link)| link.overdue(now).err().map(|f| (*id, f));
        let late: Vec<_> = self.links.iter().filter_map(overdue).collect();
        late.into_iter().for_each(|(link, fault)| self.fault(link, fault));
        self.end_idle_uploads();
    }

    fn send(&mut self, to: LinkId, message: Message) {
        let Some(link) = self.links.get_mut(&to) else { return };
        // A payload fits a frame, so its length fits 64 bits on every platform.
        let payload = u64::try_from(message.payload_bytes()).unwrap_or(u64::MAX);
        link.unflushed.push_back(payload);
        link.wait(self.now);
        self.outputs.push_back(Output::Send { link: to, message });
    }

    fn refuse(&mut self, to: LinkId, id: RequestId, reason: RefusalReason, retry_after_ms: u32) {
        self.send(to, Message::Refusal(Refusal { id, reason, retry_after_ms }));
    }

    fn start(&mut self, operation: Operation, request: StoreOperation) -> Token {
        let token = Token(self.next_serial());
        self.operations.insert(token, operation);
        self.outputs.push_back(Output::Store { token, operation: request });
        token
    }

    fn next_serial(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }
}

fn check_result(token: Token, operation: &Operation, result: &StoreResult) -> Result<(), Error> {
    use StoreResult::{
        AuditAnswer, ColumnOpened, ColumnStored, Holdings, Manifest, Refused, Shard, Written,
    };
    let token = token.0;
    let (fits, expected) = match operation {
        Operation::Read(_) => (matches!(result, Shard(_)), "reading a shard"),
        Operation::Manifest { .. } => (matches!(result, Manifest(_)), "reading a manifest"),
        Operation::Holdings { .. } => (matches!(result, Holdings(_)), "reading holdings"),
        Operation::Holders { .. } => {
            (matches!(result, StoreResult::Holders { .. }), "finding holders")
        }
        Operation::Audit { .. } => {
            let lengths = 1..=AUDIT_ANSWER_BYTES_MAX;
            let fits = |answer: &Bytes| lengths.contains(&answer.len());
            (matches!(result, AuditAnswer(answer) if fits(answer)), "answering an audit")
        }
        Operation::Open { .. } => {
            (matches!(result, ColumnOpened { .. } | ColumnStored), "opening a column")
        }
        Operation::Write { .. } => (matches!(result, Written), "writing a shard"),
        Operation::Seal { .. } => (matches!(result, ColumnStored), "sealing a column"),
    };
    if !fits && !matches!(result, Refused { .. }) {
        return Err(Error::WrongResult { token, expected });
    }
    serving::check_stored(token, result)
}
