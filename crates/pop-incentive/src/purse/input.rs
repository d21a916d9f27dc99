//! What a purse is told, and what it asks for.

use pop_wire::{Amount, WalletAddress};

use crate::balance::Balance;
use crate::exposure::IpPrefix;
use crate::ids::{LineId, VaultId};
use crate::message::{Objection, PaymentMessage};
use crate::payer::PayerError;
use crate::quote::{Demand, QuoteError};
use crate::rate::Tariff;
use crate::record::PayerRecord;
use crate::typed_data::LedgerDomain;
use crate::voucher::VaultInfo;

/// What is wanted of a seller over a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// What, and for how much at most.
    pub demand: Demand,
    /// Bytes of the longest shard, which a seller that nets must always have room for (§7). With
    /// `u64::MAX` nothing is netted, and all is paid ahead.
    pub shard_bytes: u64,
}

/// What went on with a seller, in bytes of shards.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Asked for, all of it.
    pub asked: u64,
    /// Came, passed verification, and is to be paid.
    pub received: u64,
    /// Came and passed verification on credit (§5.7): a loan pays it.
    pub on_credit: u64,
}

/// The quote of a seller that was accepted last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offer {
    /// Where it was made.
    pub line: LineId,
    /// The seller's number for it.
    pub serial: u64,
    /// What a byte costs.
    pub tariff: Tariff,
}

/// What happened.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum PurseInput {
    /// It is known for which ledger is signed: once, before anything else or later. Until then
    /// quotes are kept, and nothing is promised.
    Ledger(LedgerDomain),
    /// There is a link to somebody who may have what is wanted.
    LineUp {
        /// Which; its number was never used before.
        line: LineId,
        /// Who is at the other end, and is paid.
        seller: WalletAddress,
        /// Where that is.
        prefix: IpPrefix,
        /// What is wanted there.
        wanted: Wanted,
    },
    /// A link is gone.
    LineDown {
        /// Which.
        line: LineId,
    },
    /// A seller said this.
    Heard {
        /// Where.
        line: LineId,
        /// Netting, quotes, counts and objections are what a purse takes in; it ignores the rest.
        message: PaymentMessage,
    },
    /// So much more went on with a seller. Report both before and after quotes are taken.
    Traffic {
        /// With whom.
        seller: WalletAddress,
        /// What.
        traffic: Traffic,
    },
    /// The ledger says this of the vault, whether it was asked or not.
    Vault(VaultInfo),
    /// The ledger knows no such vault.
    NoVault,
    /// The ledger could not be asked.
    LedgerAway,
    /// The record that [`PurseOutput::Persist`] gave is safe on disk.
    Persisted {
        /// Whose record.
        seller: WalletAddress,
    },
    /// A seller buys from us too: what it owes us (`Till::debt`) pays it (§7).
    Balance {
        /// Who.
        seller: WalletAddress,
        /// `None` if it is forgotten.
        balance: Option<Balance>,
    },
    /// Nothing more is wanted of a seller for now: what is owed to it is due.
    Rest {
        /// Of whom.
        seller: WalletAddress,
    },
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PurseOutput {
    /// Say this.
    Say {
        /// Where.
        line: LineId,
        /// What.
        message: PaymentMessage,
    },
    /// Ask the ledger about the vault after so long; answer with [`PurseInput::Vault`],
    /// [`PurseInput::NoVault`] or [`PurseInput::LedgerAway`]. Not given again before that.
    LookUp {
        /// Which.
        vault: VaultId,
        /// Milliseconds to wait first.
        after_ms: u64,
    },
    /// Store this in place of what was stored for the payee, then say [`PurseInput::Persisted`].
    Persist(PayerRecord),
    /// A quote is taken: choose among sellers by this.
    Accepted {
        /// Whose.
        seller: WalletAddress,
        /// What it is.
        offer: Offer,
    },
    /// A quote is not taken.
    QuoteRefused {
        /// Whose.
        seller: WalletAddress,
        /// Why; `None` if it is in somebody else's name.
        error: Option<QuoteError>,
    },
    /// A seller doesn't go along. What can be done is being done.
    Objected {
        /// Who.
        seller: WalletAddress,
        /// Why.
        objection: Objection,
    },
    /// The vault doesn't cover the next step: fund it, or stop. It is looked up again.
    VaultLow {
        /// Who isn't paid.
        seller: WalletAddress,
        /// How much is missing.
        short: Amount,
    },
    /// A seller claims to have served more than can have been lost on the way. Leave it; nothing
    /// more is promised to it.
    Overclaimed {
        /// Who.
        seller: WalletAddress,
        /// Bytes that it says it served.
        claimed: u64,
        /// The most that is believed.
        believed: u64,
    },
}

/// Why a call is refused: the caller's mistake, or a limit. What else the call had to say was
/// taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PurseError {
    /// Too many sellers at once, or too much netted: this one is not paid over this link.
    #[error("purse: expected at most {max} sellers")]
    TooManySellers {
        /// Limit.
        max: usize,
    },
    /// Too many links to one seller: this one isn't used to pay it.
    #[error("purse: expected at most {max} links to one seller")]
    TooManyLines {
        /// Limit.
        max: usize,
    },
    /// The number of a link is in use.
    #[error("purse: the number of a link is in use")]
    LineInUse,
    /// What was stored doesn't fit the vault or its owner: nothing is paid.
    #[error("purse: what was stored doesn't fit: {0}")]
    Records(PayerError),
    /// The payer refused.
    #[error(transparent)]
    Payer(#[from] PayerError),
}
