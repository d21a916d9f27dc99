//! What a till is told, and what it asks for.

use pop_wire::{Amount, WalletAddress};

use crate::balance::Balance;
use crate::exposure::IpPrefix;
use crate::ids::{LineId, VaultId};
use crate::message::{Objection, PaymentMessage};
use crate::payee::PayeeError;
use crate::quote::Demand;
use crate::rate::Rate;
use crate::record::PayeeRecord;
use crate::refusal::Refusal;
use crate::typed_data::LedgerDomain;
use crate::voucher::VaultInfo;

/// What happened.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum TillInput {
    /// It is known for which ledger is signed: once, before anything else or later. Until then
    /// nothing is sold.
    Ledger {
        /// Which.
        domain: LedgerDomain,
        /// Number of the first quote: greater than any that was ever used with this key and
        /// ledger, since two quotes of one number are a provable breach.
        serial: u64,
    },
    /// There is a link to somebody who may buy.
    LineUp {
        /// Which; its number was never used before.
        line: LineId,
        /// Who is at the other end, and pays.
        customer: WalletAddress,
        /// Where that is.
        prefix: IpPrefix,
    },
    /// A link is gone.
    LineDown {
        /// Which.
        line: LineId,
    },
    /// A customer said this.
    Heard {
        /// Where.
        line: LineId,
        /// Requests for a quote, terms and vouchers are what a till takes in; it ignores the rest.
        message: PaymentMessage,
    },
    /// The answer to [`TillOutput::Asked`]: it is sold at this price. A price above the customer's
    /// maximum is objected to.
    Sell {
        /// Where it was asked.
        line: LineId,
        /// What was asked.
        demand: Demand,
        /// Asked per megabit and tier.
        rate: Rate,
        /// Bitrate of the content in kbit/s; a faster one that was asked for counts instead.
        peak_kbps: u32,
    },
    /// The answer to [`TillOutput::Asked`]: no.
    Refuse {
        /// Where it was asked.
        line: LineId,
        /// Why not.
        objection: Objection,
    },
    /// So many bytes of shards more were sent to a customer, all within
    /// [`Till::allowed`](super::Till::allowed), and none of them on credit (§5.7).
    Served {
        /// To whom.
        customer: WalletAddress,
        /// How many more.
        bytes: u64,
    },
    /// The ledger says this of a vault.
    Vault {
        /// What is in it.
        info: VaultInfo,
        /// What the ledger paid us of it, in its epoch in all; zero if that isn't known yet.
        redeemed: Amount,
    },
    /// The ledger knows no such vault.
    NoVault {
        /// Which.
        vault: VaultId,
    },
    /// The ledger could not be asked about a vault.
    LedgerAway {
        /// Which.
        vault: VaultId,
    },
    /// The ledger paid us so much of a vault's vouchers, in this epoch in all.
    Redeemed {
        /// Of which vault.
        vault: VaultId,
        /// In which epoch.
        epoch: u64,
        /// Base units.
        amount: Amount,
    },
    /// The record that [`TillOutput::Persist`] gave is safe on disk.
    Persisted {
        /// Of which vault.
        vault: VaultId,
    },
    /// We buy from a customer too: what we owe it (`Purse::debt`) counts as its payment (§7).
    Balance {
        /// Who.
        customer: WalletAddress,
        /// `None` if we don't any more.
        balance: Option<Balance>,
    },
    /// A second went by: due every second while [`Till::is_waiting`](super::Till::is_waiting).
    Second,
    /// An hour, say, went by: make room by forgetting those who are gone, what they owe included.
    Forgive,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TillOutput {
    /// Say this.
    Say {
        /// Where.
        line: LineId,
        /// What.
        message: PaymentMessage,
    },
    /// Somebody wants to know what something costs: answer with [`TillInput::Sell`] or
    /// [`TillInput::Refuse`].
    Asked {
        /// Where.
        line: LineId,
        /// Who.
        customer: WalletAddress,
        /// What for.
        demand: Demand,
    },
    /// What a customer may take has changed: [`Till::allowed`](super::Till::allowed) says what it
    /// is by now.
    Allow {
        /// Who.
        customer: WalletAddress,
    },
    /// A customer pays from its vault from now on.
    Opened {
        /// Who.
        customer: WalletAddress,
    },
    /// Ask the ledger about a vault; answer with [`TillInput::Vault`], [`TillInput::NoVault`] or
    /// [`TillInput::LedgerAway`]. At most once a second for each vault.
    LookUp {
        /// Which.
        vault: VaultId,
    },
    /// Store this in place of what was stored for the vault, with
    /// [`what the ledger said of it`](super::Till::vault), then say [`TillInput::Persisted`].
    Persist(PayeeRecord),
    /// Redeem all that is [`unredeemed`](super::Till::unredeemed) soon.
    Redeem,
    /// What a customer sent is refused. It was told.
    Refused {
        /// Who.
        customer: WalletAddress,
        /// Why.
        refusal: Refusal,
    },
    /// Nothing is to be had or owed there any more: delete what was stored for the vault.
    Forgotten {
        /// Which.
        vault: VaultId,
        /// Whose.
        customer: WalletAddress,
    },
}

/// Why a call is refused: the caller's mistake, or a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TillError {
    /// Too many customers at once, or too much netted: this one gets nothing.
    #[error("till: expected at most {max} customers")]
    TooManyCustomers {
        /// Limit.
        max: usize,
    },
    /// Too many links to one customer: what it says on this one isn't heard.
    #[error("till: expected at most {max} links to one customer")]
    TooManyLines {
        /// Limit.
        max: usize,
    },
    /// The number of a link is in use.
    #[error("till: the number of a link is in use")]
    LineInUse,
    /// What was stored is damaged: nothing is sold.
    #[error("till: what was stored doesn't fit: {0}")]
    Records(PayeeError),
    /// The payee refused.
    #[error(transparent)]
    Payee(#[from] PayeeError),
}
