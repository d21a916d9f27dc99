//! What goes into a fetcher and what comes out.

use std::ops::Range;

use bytes::Bytes;
use pop_erasure::VerifiedShard;
use pop_wire::message::RefusalReason;
use pop_wire::{ColumnIndex, ColumnSet, Instant, Message, PeerId, SegmentIndex};

use crate::source::SourceKind;
use crate::{Fault, Introduction, LinkId};

/// What the shell tells the machine.
#[derive(Debug)]
#[non_exhaustive]
pub enum Input {
    /// A link to a source is up; the machine greets. The peer's identity was proven by the
    /// transport.
    LinkUp {
        /// A number that was never used before.
        link: LinkId,
        /// Who is at the other end.
        peer: PeerId,
        /// What it is said to hold: a record, its own word, or a guess. Wrong guesses cost one
        /// refused request each. Not looked at for a viewer, which has every column of the
        /// segments that it announces.
        columns: ColumnSet,
        /// What kind of node it is.
        kind: SourceKind,
    },
    /// A link is gone. What was asked there is asked elsewhere.
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
    /// From now on these segments are wanted, and no others: what was collected of others is
    /// dropped, and what is on its way is cancelled. Segments that were delivered and stay inside
    /// are not delivered again.
    Want {
        /// Which segments, end excluded.
        segments: Range<u64>,
        /// When playback needs the first of them; `None` for a download without playback.
        first_deadline: Option<Instant>,
        /// Playing time of a segment: each deadline is so much after the one before.
        segment_duration_ms: u64,
    },
    /// The shell is done with a segment and dropped its shards.
    Release {
        /// Which segment.
        segment: SegmentIndex,
    },
    /// A segment that was delivered is wanted once more, if it is inside the window.
    Again {
        /// Which segment.
        segment: SegmentIndex,
    },
    /// Say something about money to a source. Nothing happens if the link is gone.
    Payment {
        /// On which link; the source must have said hello on it.
        link: LinkId,
        /// What, 1 to 1,024 bytes.
        body: Bytes,
    },
    /// How dear a source is beside others. Kept while it has a link: give it after
    /// [`Input::LinkUp`]. Of sources that would deliver about as soon the cheaper is asked,
    /// except for urgent segments.
    Price {
        /// Who.
        peer: PeerId,
        /// Lower is cheaper; 0 until it is given.
        price_rank: u64,
    },
    /// The timer fired.
    Tick,
}

/// What the machine asks of the shell.
#[derive(Debug)]
#[non_exhaustive]
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
    /// A segment can be decoded.
    Segment {
        /// Which.
        segment: SegmentIndex,
        /// Exactly k shards that fit the manifest, by column.
        shards: Vec<VerifiedShard>,
    },
    /// A request was sent, right after its [`Output::Send`]; only with
    /// [`FetcherConfig::accounts`](super::FetcherConfig::accounts). If it is refused or the link
    /// goes down, no [`Output::Received`] follows.
    Asked {
        /// On which link.
        link: LinkId,
        /// From whom.
        peer: PeerId,
        /// Payload that the answer will have, in bytes.
        bytes: u64,
    },
    /// A payload came and fits the manifest, of use or not: late, twice, or cancelled; only with
    /// [`FetcherConfig::accounts`](super::FetcherConfig::accounts). This is what is to be paid.
    Received {
        /// On which link.
        link: LinkId,
        /// From whom.
        peer: PeerId,
        /// Payload in bytes.
        bytes: u64,
    },
    /// Something that the operator may want to know.
    Event(Event),
}

/// What happened, for logs, metrics and reputation.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A source said hello.
    Greeted {
        /// Which link.
        link: LinkId,
        /// Who.
        peer: PeerId,
        /// What it says about itself.
        introduction: Introduction,
    },
    /// A source broke a rule. Its links are being closed, and it is not asked again.
    PeerFault {
        /// Which link.
        link: LinkId,
        /// Who.
        peer: PeerId,
        /// Which rule.
        fault: Fault,
    },
    /// A source says something about money: at most a few messages a shard, whatever it says.
    Payment {
        /// Which link.
        link: LinkId,
        /// Who.
        peer: PeerId,
        /// What, 1 to 1,024 bytes, for whoever keeps accounts.
        body: Bytes,
    },
    /// A link was turned away: there are too many sources, or this one lied before.
    SourceRefused {
        /// Which link.
        link: LinkId,
        /// Who.
        peer: PeerId,
    },
    /// A source refused a request in a way that says more than "busy".
    Refused {
        /// Who.
        peer: PeerId,
        /// Which column was asked for.
        column: ColumnIndex,
        /// Why not.
        reason: RefusalReason,
    },
    /// A viewer says what it can serve of this content from now on.
    Available {
        /// Which link.
        link: LinkId,
        /// Who.
        peer: PeerId,
        /// Segments that it announced.
        segments: u64,
    },
    /// A source made no progress and is left alone for a while.
    SourceResting {
        /// Who.
        peer: PeerId,
        /// Time without an answer, in milliseconds.
        silent_ms: u64,
    },
    /// The next segment can't be completed with the sources there are.
    Starving {
        /// Which segment.
        segment: SegmentIndex,
        /// Different columns that are here or can be had.
        reachable: usize,
        /// Columns needed.
        needed: usize,
        /// Sources that are up and not resting.
        live_sources: usize,
    },
    /// There are enough sources again.
    Recovered,
    /// Playback needed a segment now, and it is not complete.
    Overdue {
        /// Which segment.
        segment: SegmentIndex,
        /// Shards that are here.
        held: usize,
        /// Shards needed.
        needed: usize,
    },
}

/// A look at one source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct SourceReport {
    /// On which link.
    pub link: LinkId,
    /// Who.
    pub peer: PeerId,
    /// What kind of node.
    pub kind: SourceKind,
    /// Measured throughput in bytes a second; `None` before the first shard.
    pub bytes_per_s: Option<u64>,
    /// Payload that came from it and was of use, in bytes.
    pub received_bytes: u64,
    /// Requests that are on their way.
    pub in_flight: usize,
    /// Not left alone.
    pub live: bool,
}

/// Totals of a fetcher.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Totals {
    /// Payload that was verified and kept, in bytes.
    pub received_bytes: u64,
    /// Payload that came too late to be of use, in bytes.
    pub wasted_bytes: u64,
    /// Of that, payload of segments that were not wanted any more when it came, in bytes. The rest
    /// was one shard too many.
    pub unwanted_bytes: u64,
    /// Payload that was kept and then not wanted any more before its segment was whole, in bytes.
    pub dropped_bytes: u64,
    /// Requests sent.
    pub requests: u64,
    /// Requests sent because another one was late.
    pub hedges: u64,
    /// Requests sent beyond what a segment needs, though none was late.
    pub extras: u64,
    /// Segments delivered.
    pub segments: u64,
}
