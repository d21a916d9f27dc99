//! What goes into a payee and what comes out.

use pop_wire::{Amount, WalletAddress};

use crate::balance::Balance;
use crate::exposure::{ExposureLimits, IpPrefix};
use crate::ids::VaultId;
use crate::rate::Meter;
use crate::record::PayeeRecord;
use crate::refusal::Refusal;
use crate::voucher::{SignedVoucher, VaultInfo};

/// How much a payee risks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PayeePolicy {
    /// Bytes that may be served unpaid.
    pub exposure: ExposureLimits,
    /// Base units that one payer may have promised and the ledger not paid yet: what is lost at
    /// most if the payer promised the same money to others. From half of it on,
    /// [`PayeeOutput::Redeem`] asks for redemption.
    pub unredeemed_max: Amount,
}

/// What happened.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum PayeeInput {
    /// The ledger says this of a vault. A new epoch voids the vouchers of the old one, which were
    /// to be redeemed before.
    Vault(VaultInfo),
    /// Somebody came and asked for a quote; what it pays from is not known yet.
    Visit {
        /// Who.
        payer: WalletAddress,
        /// Where it is.
        prefix: IpPrefix,
    },
    /// So many bytes more were sent to a visitor that has not said what it pays from.
    VisitorServed {
        /// Who.
        payer: WalletAddress,
        /// How many more.
        bytes: u64,
    },
    /// A visitor has gone without saying what it pays from.
    VisitorLeft {
        /// Who.
        payer: WalletAddress,
    },
    /// Forget what those who are gone owe, in the room that others may have: every hour, say.
    Forgive,
    /// A payer came, or came back, or changes the tariff: it pays by this meter, whose tariff is
    /// that of our own valid quote, which the caller has looked up.
    Open {
        /// From which vault it pays.
        vault: VaultId,
        /// The tariff and from where on the payer counts it.
        meter: Meter,
        /// Bytes that it says it got, in all.
        position: u64,
        /// Where the payer is.
        prefix: IpPrefix,
    },
    /// A voucher came.
    Voucher(SignedVoucher),
    /// So many bytes more were sent to the payer.
    Served {
        /// Who pays for them.
        vault: VaultId,
        /// How many more.
        bytes: u64,
    },
    /// What the payer owes us is partly paid by what we owe it for its service.
    Balance {
        /// Whose.
        vault: VaultId,
        /// Where it stands: its service to us, and what we promised it.
        balance: Balance,
    },
    /// The record that [`PayeeOutput::Persist`] gave is safe on disk.
    Persisted {
        /// Whose record.
        vault: VaultId,
    },
    /// The ledger has paid so much of this vault's vouchers to us, in this epoch in all.
    Redeemed {
        /// Of which vault.
        vault: VaultId,
        /// Base units.
        amount: Amount,
    },
    /// The payer has gone.
    Close {
        /// Its vault.
        vault: VaultId,
    },
    /// Make room: the caller gives up what a payer that has gone still owes.
    Forget {
        /// Its vault.
        vault: VaultId,
    },
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PayeeOutput {
    /// Store this in place of what was stored for the vault, then say [`PayeeInput::Persisted`].
    Persist(PayeeRecord),
    /// So many bytes may be served to the payer, in all since the epoch began.
    Allowance {
        /// Who pays.
        vault: VaultId,
        /// How many in all.
        bytes: u64,
    },
    /// So many bytes may be served to a visitor, in all, before it says what it pays from.
    VisitorAllowance {
        /// Who.
        payer: WalletAddress,
        /// How many in all; none if it has an account already, or if there is no room.
        bytes: u64,
    },
    /// Redeem this voucher at the ledger, alone or with others, before the vault closes.
    Redeem(SignedVoucher),
    /// What the payer sent is refused, and has changed nothing.
    Refused {
        /// Whose vault it named.
        vault: VaultId,
        /// Why.
        refusal: Refusal,
    },
}
