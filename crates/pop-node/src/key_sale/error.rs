//! What goes wrong where a content key is sold or bought, and what to do next.

use std::path::PathBuf;

use pop_incentive::ids::LockId;
use pop_wire::{Amount, ContentId, PeerId, UnixTime};

use crate::clock;
use crate::ledger::LedgerClientError;

/// Why a key was not sold or bought.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeySaleError {
    /// The publisher sells no key of this content.
    #[error("{content}: its publisher sells no key of it")]
    NotForSale {
        /// The content.
        content: ContentId,
    },
    /// The link has no key, and nobody said that one shall be bought.
    #[error("link: it carries no key; the publisher of {content} sells it for {price}")]
    ForSale {
        /// The content.
        content: ContentId,
        /// What the publisher asks.
        price: Amount,
    },
    /// The key costs more than the buyer pays at most. Nothing was locked.
    #[error("{content}: its key costs {price}, expected at most {max}; nothing was locked")]
    TooDear {
        /// The content.
        content: ContentId,
        /// What the publisher asks.
        price: Amount,
        /// What the buyer pays at most.
        max: Amount,
    },
    /// Money is locked, or may be, and the ledger can't be asked.
    #[error("{amount} may be locked for the key until {}: {source}", clock::utc(*.until))]
    InDoubt {
        /// What is locked.
        amount: Amount,
        /// From when on it can be had back.
        until: UnixTime,
        /// Why the ledger can't be asked.
        source: Box<LedgerClientError>,
    },
    /// The seller did not hand the key out in time.
    #[error("{content}: no key came until the deadline; {amount} are back in the wallet")]
    NotDelivered {
        /// The content.
        content: ContentId,
        /// What came back.
        amount: Amount,
    },
    /// The ledger says that a lock was claimed with a key that does not fit: it broke its rules.
    #[error("lock {lock}: the ledger paid it out for a key that does not open {content}")]
    FalseKey {
        /// The content.
        content: ContentId,
        /// The lock.
        lock: LockId,
    },
    /// The wallet locked money for this content too often, in vain.
    #[error("{content}: money was locked for its key {count} times, and came back each time")]
    TooOften {
        /// The content.
        content: ContentId,
        /// How often.
        count: u64,
    },
    /// Somebody else published it, who would be paid.
    #[error("{content} was published by {publisher}, not by this wallet: its key can't be sold")]
    OtherPublisher {
        /// The content.
        content: ContentId,
        /// Who published it.
        publisher: PeerId,
    },
    /// A file of a key or a lock is not what was written.
    #[error("{path} is damaged: {problem}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// How.
        problem: String,
    },
}

impl KeySaleError {
    /// The process's exit code (`sysexits.h` where one fits).
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::NotForSale { .. } | Self::ForSale { .. } | Self::OtherPublisher { .. } => 65,
            Self::NotDelivered { .. } | Self::TooOften { .. } => 69,
            Self::Damaged { .. } => 74,
            Self::FalseKey { .. } => 76,
            Self::TooDear { .. } => 77,
            Self::InDoubt { source, .. } => source.exit_code(),
        }
    }

    /// A short name for programs; never changes its meaning.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotForSale { .. } => "key_not_for_sale",
            Self::ForSale { .. } => "key_for_sale",
            Self::TooDear { .. } => "key_too_dear",
            Self::InDoubt { .. } => "key_lock_in_doubt",
            Self::NotDelivered { .. } => "key_not_delivered",
            Self::FalseKey { .. } => "false_key",
            Self::TooOften { .. } => "key_locks",
            Self::OtherPublisher { .. } => "other_publisher",
            Self::Damaged { .. } => "key_file",
        }
    }

    /// What the operator does next.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::NotForSale { .. } => "ask the publisher, or who named it, for a link with a key",
            Self::ForSale { .. } => {
                "`--buy-key MAX` buys it for at most so much POP; or ask for a link with a key"
            }
            Self::TooDear { .. } => "give --buy-key at least the price, if it is worth that to you",
            Self::InDoubt { .. } => {
                "run the same `pop-node get` again: it goes on where this was, never locks twice, \
                 and has the money back after that time if no key came"
            }
            Self::NotDelivered { .. } => {
                "the seller's node was away: run the same command again to try once more, or ask \
                 the publisher when it runs"
            }
            Self::FalseKey { .. } => {
                "don't use this ledger: whoever keeps it let money go for nothing"
            }
            Self::TooOften { .. } => "ask the publisher for a link with a key",
            Self::OtherPublisher { .. } => {
                "sell it from the data directory that it was published from"
            }
            Self::Damaged { .. } => {
                "don't delete it: restore it from a backup; what is locked comes back after its \
                 deadline, and a key that was paid for stands on the ledger"
            }
        }
    }
}
