//! Why a payee refuses a call.

use crate::ids::VaultId;
use crate::refusal::Refusal;

/// Why a call is refused: the caller's mistake, or a limit. Nothing has changed then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PayeeError {
    /// The ledger said nothing of this vault yet.
    #[error("payee: the vault {vault} is not known")]
    UnknownVault {
        /// Which.
        vault: VaultId,
    },
    /// An epoch that is over, or another owner.
    #[error("payee: expected epoch {epoch} of the vault or a later one, by the same owner")]
    OldVault {
        /// The epoch now.
        epoch: u64,
    },
    /// More was served than was allowed.
    #[error("payee: {bytes} bytes served beyond the allowance")]
    OverAllowance {
        /// How many.
        bytes: u64,
    },
    /// Nothing was waiting to be stored.
    #[error("payee: nothing to be stored for {vault}")]
    NothingToPersist {
        /// Which.
        vault: VaultId,
    },
    /// The payer is still there, or its voucher is not redeemed yet.
    #[error("payee: the account of {vault} is still of use")]
    InUse {
        /// Which.
        vault: VaultId,
    },
    /// A stored voucher is not one that this payee accepted: the store is damaged.
    #[error("payee: a record is not of this payee: {0}")]
    Record(Refusal),
    /// Too many payers.
    #[error("payee: expected at most {max} payers")]
    TooManyPayers {
        /// Limit.
        max: usize,
    },
}
