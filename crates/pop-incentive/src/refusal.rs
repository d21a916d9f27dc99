//! Why a payee refuses what a payer sends, and whose fault it is.

use pop_wire::{Amount, WalletAddress};

use crate::typed_data::SignatureError;
use crate::voucher::Voucher;

/// Whose fault a refusal is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// The payer sent what a correct payer doesn't send.
    Payer,
    /// Nobody's: the two sides know the ledger, or each other, from different times.
    Nobody,
    /// The payee's own limit.
    Limit,
}

/// Why a voucher or its terms are refused. Nothing has changed then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The ledger has said nothing of this vault.
    #[error("voucher: of a vault that is not known")]
    UnknownVault,
    /// For somebody else.
    #[error("voucher: for another payee, {got}")]
    WrongPayee {
        /// For whom.
        got: WalletAddress,
    },
    /// Of an epoch that is over, or that the ledger doesn't know of.
    #[error("voucher: expected epoch {expected}, got {got}")]
    WrongEpoch {
        /// The vault's epoch.
        expected: u64,
        /// The voucher's.
        got: u64,
    },
    /// Before the payer said by which quote it pays.
    #[error("voucher: no quote was agreed on over this link")]
    NotOpen,
    /// The terms begin before what was promised, or count bytes as paid that aren't.
    #[error("terms: expected them to begin at what was promised so far")]
    Terms,
    /// Promises less than an earlier one: old, or an attempt to take back.
    #[error("voucher: expected at least {least}, got {got}")]
    LowerAmount {
        /// What was promised before.
        least: Amount,
        /// What is promised now.
        got: Amount,
    },
    /// Acknowledges fewer bytes than an earlier one.
    #[error("voucher: expected at least {least} bytes, got {got}")]
    LowerBytes {
        /// What was acknowledged before.
        least: u64,
        /// What is acknowledged now.
        got: u64,
    },
    /// The same words with another signature.
    #[error("voucher: the same promise signed another way")]
    OtherSignature,
    /// Pays for fewer bytes than it acknowledges.
    #[error("voucher: pays for {covered_bytes} bytes, acknowledges {got_bytes}")]
    Underpaid {
        /// What the amount pays for.
        covered_bytes: u64,
        /// What the voucher acknowledges.
        got_bytes: u64,
    },
    /// Acknowledges bytes that were never sent.
    #[error("voucher: {served_bytes} bytes were served, acknowledges {got_bytes}")]
    NotServed {
        /// What was sent.
        served_bytes: u64,
        /// What the voucher acknowledges.
        got_bytes: u64,
    },
    /// The vault closes: what it promises now may be gone before it is redeemed.
    #[error("voucher: the vault is about to be withdrawn from")]
    Closing,
    /// The vault doesn't hold so much.
    #[error("voucher: the vault guarantees {guaranteed}, got {got} to redeem")]
    OverVault {
        /// What is in it.
        guaranteed: Amount,
        /// What would have to be paid out.
        got: Amount,
    },
    /// More than this payee leaves unredeemed.
    #[error("voucher: at most {max} is left unredeemed, got {got}")]
    OverExposure {
        /// The payee's limit.
        max: Amount,
        /// What would have to be paid out.
        got: Amount,
    },
    /// The amount doesn't fit with what the two owe each other.
    #[error("voucher: the amount is too large")]
    Overflow,
    /// Not signed by the vault's owner, or for another ledger.
    #[error(transparent)]
    Signature(#[from] SignatureError),
}

impl Refusal {
    /// Whose fault it is.
    pub fn blame(&self) -> Blame {
        match self {
            Self::UnknownVault | Self::WrongEpoch { .. } | Self::Closing => Blame::Nobody,
            Self::OverExposure { .. } => Blame::Limit,
            Self::WrongPayee { .. }
            | Self::NotOpen
            | Self::Terms
            | Self::LowerAmount { .. }
            | Self::LowerBytes { .. }
            | Self::OtherSignature
            | Self::Underpaid { .. }
            | Self::NotServed { .. }
            | Self::OverVault { .. }
            | Self::Overflow
            | Self::Signature(_) => Blame::Payer,
        }
    }
}

impl Voucher {
    /// Check that `next` takes nothing back of what this one says.
    ///
    /// # Errors
    /// [`Refusal::LowerAmount`], [`Refusal::LowerBytes`], or [`Refusal::OtherSignature`] if it
    /// says the same.
    pub fn is_followed_by(&self, next: &Self) -> Result<(), Refusal> {
        if next.amount < self.amount {
            return Err(Refusal::LowerAmount { least: self.amount, got: next.amount });
        }
        if next.bytes < self.bytes {
            return Err(Refusal::LowerBytes { least: self.bytes, got: next.bytes });
        }
        if next == self {
            return Err(Refusal::OtherSignature);
        }
        Ok(())
    }
}
