//! What goes into an uploader and what comes out.

use pop_wire::message::RefusalReason;
use pop_wire::{ColumnIndex, ColumnSet, Message, PeerId, SegmentIndex};

use crate::{Fault, Introduction, LinkId, ShardWithProof};

/// What the shell tells the machine.
#[derive(Debug)]
#[non_exhaustive]
pub enum Input {
    /// The link to the holder is up. An earlier one is forgotten.
    LinkUp {
        /// A number that was never used before.
        link: LinkId,
        /// Who is at the other end.
        peer: PeerId,
    },
    /// The link is gone. Unfinished columns wait for the next one.
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
    /// A shard that was asked for with [`Output::NeedShard`].
    Shard {
        /// Of which column.
        column: ColumnIndex,
        /// Of which segment.
        segment: SegmentIndex,
        /// The shard; the holder checks it, and drops us if it is wrong.
        shard: ShardWithProof,
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
    /// Close a link.
    Close {
        /// The link.
        link: LinkId,
    },
    /// Give this shard with [`Input::Shard`], when there is time. Segments of a column come in
    /// ascending order, except that a new link may go back.
    NeedShard {
        /// Of which column.
        column: ColumnIndex,
        /// Of which segment.
        segment: SegmentIndex,
    },
    /// Something happened.
    Event(Event),
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The holder said hello.
    Greeted {
        /// Which link.
        link: LinkId,
        /// Who.
        peer: PeerId,
        /// What it says about itself.
        introduction: Introduction,
    },
    /// The holder has every segment of a column below this one.
    Progress {
        /// Which column.
        column: ColumnIndex,
        /// First segment that it lacks.
        next_segment: SegmentIndex,
    },
    /// The holder has the column, whole and durable.
    ColumnStored {
        /// Which column.
        column: ColumnIndex,
    },
    /// The holder will not have the column. Place it elsewhere.
    ColumnFailed {
        /// Which column.
        column: ColumnIndex,
        /// Why.
        failure: Failure,
    },
    /// Every column is stored or has failed. Close the link.
    Finished {
        /// Columns that are stored.
        stored: ColumnSet,
        /// Columns that have failed.
        failed: ColumnSet,
    },
}

/// Why a column was not stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// The holder refused it, for good or too often.
    #[error("refused: {reason}")]
    Refused {
        /// Why.
        reason: RefusalReason,
    },
    /// The holder showed no progress for too long.
    #[error("expected progress within {limit_ms} ms")]
    Stalled {
        /// Limit in milliseconds.
        limit_ms: u64,
    },
    /// The holder broke a rule.
    #[error("the holder broke a rule: {0}")]
    Fault(#[from] Fault),
}
