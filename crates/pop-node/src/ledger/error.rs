//! What goes wrong between a node and a ledger, and what to do next.

use std::io;
use std::path::PathBuf;

use pop_incentive::ledger::{JournalError, Refusal};
use pop_wire::PeerId;

/// Why a ledger did not do or tell what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerClientError {
    /// The ledger looked at the operation and refused it; nothing changed.
    #[error("the ledger refuses: {0}")]
    Refused(#[from] Refusal),
    /// The node that serves it can't be reached, or went away.
    #[error("the ledger at {peer} does not answer: {reason}")]
    Unreachable {
        /// Who should serve it.
        peer: PeerId,
        /// Why it doesn't.
        reason: String,
    },
    /// It has too much to do, or this node asks too much.
    #[error("the ledger is busy")]
    Busy,
    /// Its disk failed, or it is shutting down. What was submitted may have taken effect or not.
    #[error("the ledger can't write at the moment; the operation may have taken effect or not")]
    Unavailable,
    /// It answered what nobody asked.
    #[error("the ledger answers something else than what was asked: {problem}")]
    Protocol {
        /// What is wrong with the answer.
        problem: String,
    },
    /// It is not the ledger that this node used before.
    #[error("expected the ledger {expected}, which {pin} names, got {got}")]
    OtherLedger {
        /// The ledger of before.
        expected: String,
        /// The one that answers now.
        got: String,
        /// Where the one of before is written down.
        pin: PathBuf,
    },
    /// The pin can't be read or written.
    #[error("cannot {action} {path}: {source}")]
    Pin {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

/// Why the ledger on this disk can't be created, opened or verified.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerFileError {
    /// There is one.
    #[error("{path} exists already and is kept: it is a ledger's genesis")]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// There is none.
    #[error("no ledger at {path}: run `pop-node ledger create` first")]
    Missing {
        /// Where it was expected.
        path: PathBuf,
    },
    /// Another process has it open.
    #[error("{path} is in use by another process")]
    Locked {
        /// The journal.
        path: PathBuf,
    },
    /// Its parameters can't be.
    #[error("the ledger's parameters can't be: {0}")]
    Parameters(Box<Refusal>),
    /// Its genesis can't be read.
    #[error("{path} is not a ledger's genesis")]
    Genesis {
        /// The file.
        path: PathBuf,
    },
    /// Its journal was damaged, cut or exchanged, or the disk fails.
    #[error("{path}: {source}")]
    Journal {
        /// The journal.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<JournalError>,
    },
    /// The operating system refused.
    #[error("cannot {action} {path}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The operating system gave no randomness for the ledger's name.
    #[error(transparent)]
    NoEntropy(#[from] crate::clock::NoEntropy),
}

impl LedgerClientError {
    /// The process's exit code (`sysexits.h` where one fits).
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Refused(_) => 77,
            Self::Unreachable { .. } | Self::Busy | Self::Unavailable => 69,
            Self::Protocol { .. } | Self::OtherLedger { .. } => 76,
            Self::Pin { .. } => 74,
        }
    }

    /// A short name for programs; never changes its meaning.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Refused(_) => "ledger_refused",
            Self::Unreachable { .. } => "ledger_unreachable",
            Self::Busy => "ledger_busy",
            Self::Unavailable => "ledger_unavailable",
            Self::Protocol { .. } => "ledger_protocol",
            Self::OtherLedger { .. } => "other_ledger",
            Self::Pin { .. } => "ledger_pin",
        }
    }

    /// What the operator does next, where the message alone doesn't say it.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::Refused(Refusal::Insufficient { .. }) => {
                "`pop-node wallet balance` shows what is there; somebody has to send or mint more"
            }
            Self::Refused(Refusal::TooEarly { .. }) => {
                "nothing is lost: run the same command again when the time has come"
            }
            Self::Refused(_) => return None,
            Self::Unreachable { .. } => {
                "check --ledger: /ip4/…/tcp/4700/p2p/<peer id>, and that this node runs with \
                 --serve-ledger"
            }
            Self::Busy => "run the same command again in a few seconds",
            Self::Unavailable => {
                "look at `pop-node wallet balance` before running the command again: it signs a new \
                 operation, and both would count"
            }
            Self::Protocol { .. } => "one of the two programs is older than the other; update both",
            Self::OtherLedger { .. } => {
                "money on one is not money on the other: check --ledger; to change for good, \
                 remove the file named above"
            }
            Self::Pin { .. } => return None,
        })
    }

    /// Whether asking the same again can help.
    pub(crate) fn is_passing(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Busy | Self::Unavailable)
    }
}

impl LedgerFileError {
    /// The process's exit code (`sysexits.h` where one fits).
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Parameters(_) => 65,
            Self::Exists { .. } => 73,
            _ => 74,
        }
    }

    /// A short name for programs; never changes its meaning.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Exists { .. } => "ledger_exists",
            Self::Missing { .. } => "no_ledger_file",
            Self::Locked { .. } => "ledger_locked",
            Self::Parameters(_) => "ledger_parameters",
            Self::Genesis { .. } => "ledger_genesis",
            Self::Journal { .. } => "ledger_journal",
            Self::Io { .. } | Self::NoEntropy(_) => "ledger_io",
        }
    }

    /// What the operator does next, where the message alone doesn't say it.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::Locked { .. } => {
                "the running node serves it: give its address with --ledger, or stop it first"
            }
            Self::Journal { .. } | Self::Genesis { .. } => {
                "don't delete anything: restore ledger/ from a copy that is newer than the damage; \
                 `pop-node ledger verify` says how far one is whole"
            }
            Self::Parameters(_) => "a slash must leave something to burn or to repair with",
            _ => return None,
        })
    }
}
