//! What goes into a provider and what comes out.

use bytes::Bytes;
use pop_wire::message::RefusalReason;
use pop_wire::{
    ColumnIndex, ColumnSet, ContentId, Manifest, MasternodeRecord, Message, PeerId, ProviderRecord,
    SegmentIndex, SegmentRanges, Signed, Verified,
};

use crate::{Fault, Introduction, LinkId, ShardWithProof};

/// Number of a store operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(pub u64);

/// What the shell tells the machine.
#[derive(Debug)]
#[non_exhaustive]
pub enum Input {
    /// A link to `peer` is up; the machine greets. The peer's identity was proven by the
    /// transport.
    LinkUp {
        /// A number that was never used before.
        link: LinkId,
        /// Who is at the other end.
        peer: PeerId,
    },
    /// A link is gone.
    LinkDown {
        /// The link.
        link: LinkId,
    },
    /// A message came.
    Message {
        /// From where.
        link: LinkId,
        /// What.
        message: Message,
    },
    /// The transport took the oldest `messages` of what was sent on `link`.
    Flushed {
        /// The link.
        link: LinkId,
        /// How many messages.
        messages: usize,
    },
    /// A store operation ended.
    Store {
        /// Of which operation.
        token: Token,
        /// How it ended.
        result: StoreResult,
    },
    /// What to say in the hello of later links: a masternode's record is renewed from time to
    /// time.
    Introduction(Introduction),
    /// Masternodes to name when a peer asks; the first 64 are kept.
    Masternodes(Vec<Signed<MasternodeRecord>>),
    /// `peer` may take so much more payload from now on, in bytes, whatever is left of an earlier
    /// allowance: beyond every [`Output::Send`] that was polled or is to be polled. Kept while
    /// the peer has a link. What waits for it is served at once. The hook for whoever keeps
    /// accounts.
    Allowance {
        /// Who.
        peer: PeerId,
        /// Payload in bytes; `u64::MAX` for no limit.
        bytes: u64,
    },
    /// This node can serve these segments of a content whole, every column of them, and no others;
    /// for viewers, whose sources can't know otherwise. Told to every link that has said hello or
    /// says it later, at most once a second; the latest word counts. None takes the content back.
    /// At most 8 contents at once.
    Available {
        /// Of which content.
        content: ContentId,
        /// Which segments.
        segments: SegmentRanges,
    },
    /// Say something about money to a peer. Nothing happens if the link is gone.
    Payment {
        /// On which link; the peer must have said hello on it.
        link: LinkId,
        /// What, 1 to 1,024 bytes.
        body: Bytes,
    },
    /// The timer fired.
    Tick,
}

/// What the machine asks of the shell.
#[derive(Debug)]
#[non_exhaustive]
#[expect(clippy::large_enum_variant, reason = "few are alive at once, each for a moment")]
pub enum Output {
    /// Send a message.
    Send {
        /// On which link.
        link: LinkId,
        /// What.
        message: Message,
    },
    /// Close a link. Nothing more is sent on it.
    Close {
        /// The link.
        link: LinkId,
    },
    /// Do something in the store.
    Store {
        /// To be given back with the result.
        token: Token,
        /// What to do.
        operation: StoreOperation,
    },
    /// Something that the operator may want to know.
    Event(Event),
}

/// What the store is asked to do.
#[derive(Debug)]
#[non_exhaustive]
#[expect(clippy::large_enum_variant, reason = "few are alive at once, and most are writes")]
pub enum StoreOperation {
    /// Read one shard: answer [`StoreResult::Shard`].
    ReadShard {
        /// Of which content.
        content: ContentId,
        /// Of which segment.
        segment: SegmentIndex,
        /// Of which column.
        column: ColumnIndex,
    },
    /// Read a manifest: answer [`StoreResult::Manifest`].
    ReadManifest {
        /// Of which content.
        content: ContentId,
    },
    /// Say which columns are held whole: answer [`StoreResult::Holdings`].
    ReadHoldings {
        /// Of which content.
        content: ContentId,
    },
    /// `peer` wants to know who holds a content: look it up for it, answer
    /// [`StoreResult::Holders`], or refuse: as *not accepted* where there is no way to look it up,
    /// as *busy* where this peer or its network asked too often. At most two at once on a link.
    FindHolders {
        /// On which link it asks.
        link: LinkId,
        /// Who asks.
        peer: PeerId,
        /// Of which content.
        content: ContentId,
    },
    /// `peer` wants a proof that a shard is here. What the challenge asks is between the shells:
    /// answer [`StoreResult::AuditAnswer`], or refuse, which says nothing that could be used
    /// against this node. At most 16 open questions a link, and
    /// [`AUDITS_BURST`](crate::limits::AUDITS_BURST) audits at once.
    Audit {
        /// On which link it asks.
        link: LinkId,
        /// Who asks.
        peer: PeerId,
        /// What, 1 to 128 bytes.
        challenge: Bytes,
    },
    /// `peer` wants this node to keep a column. The shell's policy decides: answer
    /// [`StoreResult::ColumnOpened`], [`StoreResult::ColumnStored`] if it is here whole already,
    /// or a refusal.
    OpenColumn {
        /// Who asks.
        peer: PeerId,
        /// The content, its signature verified.
        manifest: Verified<Manifest>,
        /// Which column.
        column: ColumnIndex,
    },
    /// Append one shard that was verified against the manifest: answer [`StoreResult::Written`]
    /// or a refusal.
    WriteShard {
        /// Of which content.
        content: ContentId,
        /// Of which column.
        column: ColumnIndex,
        /// Of which segment: always the one after the last that was written.
        segment: SegmentIndex,
        /// The shard and its proof.
        shard: ShardWithProof,
    },
    /// Every segment is written: make the column durable, answer [`StoreResult::ColumnStored`].
    SealColumn {
        /// Of which content.
        content: ContentId,
        /// Which column.
        column: ColumnIndex,
    },
    /// Nobody uploads this column any more; keep what is there, for an upload that resumes.
    /// Has no result.
    LeaveColumn {
        /// Of which content.
        content: ContentId,
        /// Which column.
        column: ColumnIndex,
    },
}

/// How a store operation ended.
#[derive(Debug)]
#[non_exhaustive]
pub enum StoreResult {
    /// The shard that was to be read.
    Shard(ShardWithProof),
    /// The manifest that was to be read.
    Manifest(Signed<Manifest>),
    /// The columns held; none for an unknown content.
    Holdings(ColumnSet),
    /// Who holds the content, and masternodes to know them by, best first. Of each list 64 are
    /// sent, or as many as fit a frame.
    Holders {
        /// Who says so.
        providers: Vec<Signed<ProviderRecord>>,
        /// Their records, and others'.
        masternodes: Vec<Signed<MasternodeRecord>>,
    },
    /// The proof, 1 to 256 bytes.
    AuditAnswer(Bytes),
    /// The column is open; every segment below is written already.
    ColumnOpened {
        /// First segment that is missing.
        next_segment: SegmentIndex,
    },
    /// The column is whole and durable.
    ColumnStored,
    /// The shard is written, not yet durable.
    Written,
    /// It can't be done, or policy says no.
    Refused {
        /// Why.
        reason: RefusalReason,
        /// When to try again, in milliseconds; zero for never.
        retry_after_ms: u32,
    },
}

/// What happened, for logs and metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A peer broke a rule; its link is being closed.
    PeerFault {
        /// Which link.
        link: LinkId,
        /// Who.
        peer: PeerId,
        /// Which rule.
        fault: Fault,
    },
    /// A peer said hello.
    Greeted {
        /// Which link.
        link: LinkId,
        /// Who.
        peer: PeerId,
        /// What it says about itself.
        introduction: Introduction,
    },
    /// A link was turned away because a limit on links was reached.
    LinkRefused {
        /// Which link.
        link: LinkId,
        /// Who.
        peer: PeerId,
    },
    /// A peer says something about money: at most a few messages a shard, whatever it says.
    Payment {
        /// Which link.
        link: LinkId,
        /// Who.
        peer: PeerId,
        /// What, 1 to 1,024 bytes, for whoever keeps accounts.
        body: Bytes,
    },
    /// A column arrived whole and is durable.
    ColumnStored {
        /// Of which content.
        content: ContentId,
        /// Which column.
        column: ColumnIndex,
        /// Who sent it.
        from: PeerId,
    },
    /// An upload ended before the column was whole.
    UploadEnded {
        /// Of which content.
        content: ContentId,
        /// Which column.
        column: ColumnIndex,
        /// Who sent it.
        from: PeerId,
        /// First segment that is missing.
        next_segment: SegmentIndex,
    },
}
