//! One requester machine and one provider, joined without a network.

use std::collections::BTreeMap;
use std::rc::Rc;

use pop_exchange::provider::{self, Provider, ProviderConfig, StoreOperation, StoreResult, Token};
use pop_exchange::{LinkId, ShardWithProof};
use pop_wire::message::RefusalReason;
use pop_wire::{
    ColumnIndex, ColumnSet, ContentId, Instant, MasternodeRecord, Message, ProviderRecord, Signed,
};

use crate::film::{Film, peer};

/// The requester's end of every link of a [`Host`].
pub(crate) const LINK: LinkId = LinkId(1);

/// What a lookup of holders finds.
pub(crate) type Found = (Vec<Signed<ProviderRecord>>, Vec<Signed<MasternodeRecord>>);

/// A provider with a store in memory.
pub(crate) struct Host {
    pub(crate) provider: Provider,
    pub(crate) now: Instant,
    pub(crate) film: Rc<Film>,
    /// Columns that can be read.
    pub(crate) held: ColumnSet,
    /// Columns on their way in: segments written.
    pub(crate) incoming: BTreeMap<(ContentId, ColumnIndex), Vec<ShardWithProof>>,
    /// Answer reads; else they pile up in `unanswered`.
    pub(crate) answers: bool,
    pub(crate) unanswered: Vec<(Token, StoreOperation)>,
    pub(crate) sent: Vec<(LinkId, Message)>,
    pub(crate) closed: Vec<LinkId>,
    pub(crate) events: Vec<provider::Event>,
    /// Messages sent and not reported as flushed.
    pub(crate) unflushed: BTreeMap<LinkId, usize>,
    pub(crate) flushes: bool,
    /// What the policy says to uploads.
    pub(crate) refuse_uploads: Option<RefusalReason>,
    /// What a lookup of holders finds; nobody is looked up without.
    pub(crate) holders: Option<Found>,
    /// Number of the write that fails.
    pub(crate) fail_write: Option<usize>,
    writes: usize,
    pub(crate) payload_max: u64,
    /// Shards read.
    pub(crate) reads: usize,
}

impl Host {
    pub(crate) fn new(film: &Rc<Film>, config: ProviderConfig) -> Self {
        Self {
            provider: Provider::new(config).unwrap(),
            now: Instant(1_000),
            film: Rc::clone(film),
            held: ColumnSet::all(film.content.layout().geometry().n()),
            incoming: BTreeMap::new(),
            answers: true,
            unanswered: Vec::new(),
            sent: Vec::new(),
            closed: Vec::new(),
            events: Vec::new(),
            unflushed: BTreeMap::new(),
            flushes: true,
            refuse_uploads: None,
            holders: None,
            fail_write: None,
            writes: 0,
            payload_max: 0,
            reads: 0,
        }
    }

    /// A link that has said hello.
    pub(crate) fn greeted(&mut self, link: LinkId, peer_number: u64) {
        self.handle(provider::Input::LinkUp { link, peer: peer(peer_number) });
        self.receive(link, hello());
    }

    pub(crate) fn receive(&mut self, link: LinkId, message: Message) {
        self.handle(provider::Input::Message { link, message });
    }

    pub(crate) fn handle(&mut self, input: provider::Input) {
        self.provider.handle(self.now, input).unwrap();
        self.drain();
    }

    pub(crate) fn drain(&mut self) {
        while let Some(output) = self.provider.poll() {
            self.payload_max = self.payload_max.max(self.provider.payload_bytes());
            match output {
                provider::Output::Send { link, message } => {
                    self.sent.push((link, message));
                    *self.unflushed.entry(link).or_default() += 1;
                    if self.flushes {
                        self.flush(link);
                    }
                }
                provider::Output::Store { token, operation } => self.operate(token, operation),
                provider::Output::Close { link } => self.closed.push(link),
                provider::Output::Event(event) => self.events.push(event),
                _ => unreachable!("no other output"),
            }
        }
    }

    pub(crate) fn flush(&mut self, link: LinkId) {
        let messages = self.unflushed.remove(&link).unwrap_or(0);
        self.provider.handle(self.now, provider::Input::Flushed { link, messages }).unwrap();
    }

    /// Carry out everything that piled up.
    pub(crate) fn answer_all(&mut self) {
        self.answers = true;
        for (token, operation) in std::mem::take(&mut self.unanswered) {
            self.operate(token, operation);
        }
        self.drain();
    }

    /// Messages to `link`, taken out.
    pub(crate) fn take_sent(&mut self, to: LinkId) -> Vec<Message> {
        let (mine, others) =
            std::mem::take(&mut self.sent).into_iter().partition(|(l, _)| *l == to);
        self.sent = others;
        let mine: Vec<(LinkId, Message)> = mine;
        mine.into_iter().map(|(_, message)| message).collect()
    }

    fn operate(&mut self, token: Token, operation: StoreOperation) {
        if !self.answers {
            self.unanswered.push((token, operation));
            return;
        }
        let refused = |reason| StoreResult::Refused { reason, retry_after_ms: 0 };
        let result = match operation {
            StoreOperation::ReadShard { segment, column, .. } => {
                self.reads += 1;
                match self.film.shard(segment, column).filter(|_| self.held.contains(column)) {
                    Some(shard) => StoreResult::Shard(shard.clone()),
                    None => refused(RefusalReason::NotFound),
                }
            }
            StoreOperation::ReadManifest { content } if content == self.film.content.id() => {
                StoreResult::Manifest(self.film.content.manifest().signed().clone())
            }
            StoreOperation::ReadManifest { .. } => refused(RefusalReason::NotFound),
            StoreOperation::ReadHoldings { .. } => StoreResult::Holdings(self.held),
            StoreOperation::FindHolders { .. } => match self.holders.clone() {
                Some((providers, masternodes)) => StoreResult::Holders { providers, masternodes },
                None => refused(RefusalReason::NotAccepted),
            },
            // The machine doesn't know what an audit is: any bytes will do.
            StoreOperation::Audit { challenge, .. } if challenge[0] == 0 => {
                refused(RefusalReason::Damaged)
            }
            StoreOperation::Audit { challenge, .. } => {
                StoreResult::AuditAnswer(challenge.iter().rev().copied().collect())
            }
            StoreOperation::OpenColumn { manifest, column, .. } => match self.refuse_uploads {
                Some(reason) => refused(reason),
                None if self.held.contains(column) => StoreResult::ColumnStored,
                None => {
                    let written = self.incoming.entry((manifest.content_id(), column));
                    let next = u64::try_from(written.or_default().len()).unwrap();
                    StoreResult::ColumnOpened { next_segment: pop_wire::SegmentIndex(next) }
                }
            },
            StoreOperation::WriteShard { content, column, segment, shard } => {
                self.writes += 1;
                if self.fail_write == Some(self.writes) {
                    refused(RefusalReason::Full)
                } else {
                    let written = self.incoming.entry((content, column)).or_default();
                    assert_eq!(u64::try_from(written.len()).unwrap(), segment.0);
                    written.push(shard);
                    StoreResult::Written
                }
            }
            StoreOperation::SealColumn { column, .. } => {
                self.held.insert(column);
                StoreResult::ColumnStored
            }
            _ => return,
        };
        self.provider.handle(self.now, provider::Input::Store { token, result }).unwrap();
    }
}

pub(crate) fn hello() -> Message {
    Message::Hello(pop_wire::message::Hello {
        versions: pop_wire::VersionRange::SUPPORTED,
        credit_bytes: 0,
        agent: "test".to_owned(),
        masternode: None,
    })
}
