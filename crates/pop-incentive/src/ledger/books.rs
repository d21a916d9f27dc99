//! All that a ledger remembers, in tables that can be rolled back.

use pop_wire::{Amount, ContentId, Digest, PeerId, UnixTime, WalletAddress};

use crate::ids::{BountyId, LoanId, LockId, OperationId, PoolId, VaultId};
use crate::ledger::account::Account;
use crate::ledger::rules::bounty::{Bounty, Claim};
use crate::ledger::rules::collateral::Registration;
use crate::ledger::rules::loan::Loan;
use crate::ledger::rules::lock::Lock;
use crate::ledger::rules::pool::{Pool, PoolEpoch};
use crate::ledger::signed::Receipt;
use crate::ledger::table::Table;
use crate::voucher::VaultInfo;

/// What is known for ever about a wallet, whatever it registers next. A wrong of a masternode is
/// on the record of its owner and of its operator key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Record {
    /// Time of its first operation: the age of the identity.
    pub since: UnixTime,
    /// Wrongs that were proved.
    pub slashes: u64,
    /// Base units that they cost.
    pub slashed: Amount,
    /// Vaults' epochs that promised more than they held.
    pub overspends: u64,
    /// Loans that were declared overdue.
    pub defaults: u64,
    /// Loans that were paid back in full.
    pub loans_repaid: u64,
}

macro_rules! books {
    ($( $table:ident: $key:ty => $value:ty, )*) => {
        #[derive(Debug, Clone, Default, PartialEq)]
        pub(crate) struct Books {
            $( pub(crate) $table: Table<$key, $value>, )*
        }

        impl Books {
            pub(crate) fn commit(&mut self) {
                $( self.$table.commit(); )*
            }

            pub(crate) fn roll_back(&mut self) {
                $( self.$table.roll_back(); )*
            }
        }
    };
}

books! {
    // What each account holds; for `Emission`, how far it is below zero.
    balances: Account => Amount,
    receipts: OperationId => Receipt,
    nonces: WalletAddress => u64,
    records: WalletAddress => Record,
    // Of epochs; the genesis supply is under `None`.
    emitted: Option<u64> => Amount,
    vaults: VaultId => VaultInfo,
    redeemed: (VaultId, WalletAddress, u64) => Amount,
    registrations: (WalletAddress, PeerId) => Registration,
    offences: (WalletAddress, [u8; 32]) => (),
    loans: LoanId => Loan,
    liens: WalletAddress => Vec<LoanId>,
    pools: PoolId => Pool,
    deposits: (PoolId, WalletAddress) => Amount,
    approvals: (PoolId, u64, WalletAddress) => (Digest, Amount),
    pool_epochs: (PoolId, u64) => PoolEpoch,
    shares_claimed: (PoolId, u64, WalletAddress) => (),
    bounties: BountyId => Bounty,
    claims: (BountyId, WalletAddress) => Claim,
    claimants: (BountyId, ContentId) => WalletAddress,
    votes: (BountyId, bool, WalletAddress, WalletAddress) => (),
    locks: LockId => Lock,
    // Those that are open, by who is paid for the key.
    locks_open: (WalletAddress, LockId) => (),
}
