//! Accounts, and everything that moves money between them (`spec/incentive.md` §12).
//!
//! [`LedgerState`] is the rules: pure, and the same on every machine. [`LocalLedger`] keeps them
//! on a disk, behind feature `local-ledger`. Others can stand behind the trait [`Ledger`], such as
//! a smart contract: [`Operation`] is what its functions would take.
//!
//! [`LocalLedger`]: https://docs.rs/pop-incentive/latest/pop_incentive/ledger/struct.LocalLedger.html

mod account;
mod arithmetic;
mod audit;
mod books;
mod codec;
mod evidence;
mod head;
#[cfg(feature = "local-ledger")]
mod journal;
mod layout;
pub mod limits;
#[cfg(feature = "local-ledger")]
mod local;
pub mod names;
mod note;
mod operation;
mod parameters;
pub mod protocol;
mod refusal;
mod rules;
mod signed;
mod state;
mod table;

use pop_wire::{Amount, UnixTime, WalletAddress};

use crate::ids::{OperationId, VaultId};
use crate::voucher::VaultInfo;

pub use account::{Account, Entry};
pub use arithmetic::portion;
pub use audit::AuditError;
pub use books::Record;
pub use codec::DecodeError;
pub use evidence::{EquivocationCheck, Evidence, no_equivocation_check};
pub use head::Head;
#[cfg(feature = "local-ledger")]
pub use journal::{FileAnchor, HeadAnchor, JournalError};
#[cfg(feature = "local-ledger")]
pub use local::LocalLedger;
pub use note::{LoanNote, OfferedNote, SignedNote};
pub use operation::Operation;
pub use parameters::LedgerParameters;
pub use refusal::Refusal;
pub use rules::bounty::{Bounty, BountyState, Claim};
pub use rules::collateral::Registration;
pub use rules::loan::Loan;
pub use rules::lock::{Lock, LockState};
pub use rules::pool::{Pool, PoolEpoch, shares};
pub use signed::{Receipt, SignedOperation};
pub use state::LedgerState;

/// Where operations go: a ledger of one's own, one that a node serves, or a contract.
///
/// Delivering an operation again is always safe: the same one has the same receipt and no second
/// effect. So whoever doesn't know whether an operation arrived sends it again.
pub trait Ledger {
    /// Why it can't be reached, or doesn't answer.
    type Error: From<Refusal>;

    /// Do what an operation asks. When this returns, the effect is there to stay.
    ///
    /// # Errors
    /// A [`Refusal`], with nothing changed; or that it is not known whether it took effect.
    fn submit(
        &mut self,
        now: UnixTime,
        operation: &SignedOperation,
    ) -> Result<Receipt, Self::Error>;

    /// Base units on an account.
    ///
    /// # Errors
    /// The ledger can't be reached.
    fn balance(&self, account: Account) -> Result<Amount, Self::Error>;

    /// The nonce of an actor's next operation.
    ///
    /// # Errors
    /// The ledger can't be reached.
    fn nonce(&self, actor: WalletAddress) -> Result<u64, Self::Error>;

    /// What an operation did, if it took effect.
    ///
    /// # Errors
    /// The ledger can't be reached.
    fn receipt(&self, operation: OperationId) -> Result<Option<Receipt>, Self::Error>;

    /// A vault, which a payee looks at before it serves.
    ///
    /// # Errors
    /// The ledger can't be reached.
    fn vault(&self, vault: VaultId) -> Result<Option<VaultInfo>, Self::Error>;

    /// What is known about a wallet, which a lender looks at before it lends.
    ///
    /// # Errors
    /// The ledger can't be reached.
    fn record(&self, wallet: WalletAddress) -> Result<Record, Self::Error>;
}

/// The rules alone, in memory: for tests, simulations and whoever brings its own journal.
impl Ledger for LedgerState {
    type Error = Refusal;

    fn submit(&mut self, now: UnixTime, operation: &SignedOperation) -> Result<Receipt, Refusal> {
        self.apply(now, operation)
    }

    fn balance(&self, account: Account) -> Result<Amount, Refusal> {
        Ok(self.balance(account))
    }

    fn nonce(&self, actor: WalletAddress) -> Result<u64, Refusal> {
        Ok(self.nonce(actor))
    }

    fn receipt(&self, operation: OperationId) -> Result<Option<Receipt>, Refusal> {
        Ok(self.receipt(operation).cloned())
    }

    fn vault(&self, vault: VaultId) -> Result<Option<VaultInfo>, Refusal> {
        Ok(self.vault(vault))
    }

    fn record(&self, wallet: WalletAddress) -> Result<Record, Refusal> {
        Ok(self.record(wallet))
    }
}
