//! What happened, for whoever watches, for charts and for logs.

use pop_wire::{Amount, PeerId};

use super::{EngineError, FilmId};

/// What kind of node a source is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SourceKind {
    /// A masternode.
    Masternode,
    /// Another viewer's browser.
    Viewer,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A source can be asked.
    SourceUp {
        /// For which film.
        film: FilmId,
        /// Who.
        peer: PeerId,
        /// What kind of node.
        kind: SourceKind,
    },
    /// A source is gone; it is dialled again.
    SourceDown {
        /// For which film.
        film: FilmId,
        /// Who.
        peer: PeerId,
        /// What kind of node.
        kind: SourceKind,
    },
    /// A peer broke a rule. Its links are closed, and it is not asked again.
    PeerFault {
        /// Who.
        peer: PeerId,
        /// What kind of node.
        kind: SourceKind,
        /// Which rule, as a sentence.
        rule: String,
    },
    /// A source was silent for too long and is left alone for a while.
    SourceResting {
        /// For which film.
        film: FilmId,
        /// Who.
        peer: PeerId,
        /// Milliseconds without an answer.
        silent_ms: u64,
    },
    /// The next segment can't be completed with the sources there are.
    Starving {
        /// Of which film.
        film: FilmId,
        /// Columns within reach.
        reachable: usize,
        /// Columns needed.
        needed: usize,
    },
    /// There are enough sources again.
    Recovered {
        /// For which film.
        film: FilmId,
    },
    /// Playback needed a segment before it was here.
    Late {
        /// Of which film.
        film: FilmId,
        /// Which segment.
        segment: u64,
    },
    /// Something is wrong that doesn't end anything: all sources gone for a while, the relay gone,
    /// no tokens yet, the vault empty, storage blocked.
    Problem {
        /// What.
        error: EngineError,
    },
    /// A relay is attached to: other viewers can be met.
    RelayUp {
        /// Which masternode.
        peer: PeerId,
    },
    /// A relay is gone.
    RelayDown {
        /// Which masternode.
        peer: PeerId,
    },
    /// Another viewer is linked to, both ways.
    ViewerUp {
        /// Who.
        peer: PeerId,
    },
    /// Another viewer is gone.
    ViewerDown {
        /// Who.
        peer: PeerId,
    },
    /// Promised to a source, since the start.
    Spent {
        /// Whom.
        peer: PeerId,
        /// Base units in all.
        total: Amount,
    },
    /// Promised by another viewer, since the start.
    Earned {
        /// Who pays.
        peer: PeerId,
        /// Base units in all.
        total: Amount,
    },
    /// What the ledger says of the wallet.
    Wallet {
        /// Free to use, in base units.
        balance: Amount,
        /// In the vault that viewing is paid from, in base units.
        vault: Amount,
    },
    /// What was asked of the wallet was not done.
    WalletFailed {
        /// Why.
        error: EngineError,
    },
}
