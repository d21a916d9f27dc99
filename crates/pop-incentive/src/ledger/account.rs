//! Where money is, and how it moves: [`Account`] and [`Entry`].

use core::fmt;

use pop_wire::{Amount, PeerId, WalletAddress};

use crate::ids::{BountyId, LockId, PoolId, VaultId};
use crate::ledger::codec::{DecodeError, Field, Reader};

/// A place where money is. The balances of all of them add up to zero: what [`Emission`] is below
/// zero, the others hold together.
///
/// [`Emission`]: Account::Emission
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Account {
    /// What a wallet can spend.
    Wallet(WalletAddress),
    /// What a vault's vouchers can draw on.
    Vault(VaultId),
    /// What a vault's owner loses if it overspends.
    VaultPenalty(VaultId),
    /// Collateral of a masternode, bound to its cold owner and its hot operator key.
    Collateral {
        /// Who gets it back.
        owner: WalletAddress,
        /// The key that the node runs with.
        operator: PeerId,
    },
    /// Collateral on its way back to the owner; still there to be slashed.
    Unbonding {
        /// Who gets it back.
        owner: WalletAddress,
        /// The key that the node runs with.
        operator: PeerId,
    },
    /// A seed pool.
    Pool(PoolId),
    /// A bounty's reward.
    Bounty(BountyId),
    /// What waits for a preimage.
    Lock(LockId),
    /// Slashed money that pays for storage before anything is emitted for it.
    RepairFund,
    /// Where money comes from. The only account below zero.
    Emission,
    /// Where money ends. Nothing is ever taken out.
    Burned,
}

/// As a person reads it and the test vectors have it: `wallet 0x…`, `vault 33…`, `burned`.
impl fmt::Display for Account {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wallet(wallet) => write!(formatter, "wallet {wallet}"),
            Self::Vault(vault) => write!(formatter, "vault {vault}"),
            Self::VaultPenalty(vault) => write!(formatter, "penalty of vault {vault}"),
            Self::Collateral { owner, operator } => {
                write!(formatter, "collateral of {owner} for {operator}")
            }
            Self::Unbonding { owner, operator } => {
                write!(formatter, "unbonding collateral of {owner} for {operator}")
            }
            Self::Pool(pool) => write!(formatter, "pool {pool}"),
            Self::Bounty(bounty) => write!(formatter, "bounty {bounty}"),
            Self::Lock(lock) => write!(formatter, "lock {lock}"),
            Self::RepairFund => formatter.write_str("repair fund"),
            Self::Emission => formatter.write_str("emission"),
            Self::Burned => formatter.write_str("burned"),
        }
    }
}

/// Money that moved. `debit` gave it, `credit` got it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Less by the amount.
    pub debit: Account,
    /// More by the amount.
    pub credit: Account,
    /// Base units, more than zero.
    pub amount: Amount,
}

impl Account {
    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Wallet(wallet) => tagged(0, wallet, out),
            Self::Vault(vault) => tagged(1, vault, out),
            Self::VaultPenalty(vault) => tagged(2, vault, out),
            Self::Collateral { owner, operator } => {
                tagged(3, owner, out);
                operator.put(out);
            }
            Self::Unbonding { owner, operator } => {
                tagged(4, owner, out);
                operator.put(out);
            }
            Self::Pool(pool) => tagged(5, pool, out),
            Self::Bounty(bounty) => tagged(6, bounty, out),
            Self::Lock(lock) => tagged(7, lock, out),
            Self::RepairFund => out.push(8),
            Self::Emission => out.push(9),
            Self::Burned => out.push(10),
        }
    }

    pub(crate) fn take(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let [kind] = reader.array("account")?;
        Ok(match kind {
            0 => Self::Wallet(Field::take(reader)?),
            1 => Self::Vault(Field::take(reader)?),
            2 => Self::VaultPenalty(Field::take(reader)?),
            3 => Self::Collateral { owner: Field::take(reader)?, operator: Field::take(reader)? },
            4 => Self::Unbonding { owner: Field::take(reader)?, operator: Field::take(reader)? },
            5 => Self::Pool(Field::take(reader)?),
            6 => Self::Bounty(Field::take(reader)?),
            7 => Self::Lock(Field::take(reader)?),
            8 => Self::RepairFund,
            9 => Self::Emission,
            10 => Self::Burned,
            got => return Err(DecodeError::Kind { field: "account", got }),
        })
    }
}

impl Entry {
    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        self.debit.put(out);
        self.credit.put(out);
        self.amount.put(out);
    }

    pub(crate) fn take(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            debit: Account::take(reader)?,
            credit: Account::take(reader)?,
            amount: Amount::take(reader)?,
        })
    }
}

fn tagged(kind: u8, id: &impl Field, out: &mut Vec<u8>) {
    out.push(kind);
    id.put(out);
}
