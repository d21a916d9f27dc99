//! Why an operation had no effect: [`Refusal`].

use pop_wire::{Amount, UnixTime};

use crate::ledger::account::Account;
use crate::ledger::codec::DecodeError;
use crate::typed_data::SignatureError;

/// Why an operation was refused. Nothing changed, not even the nonce: the actor may sign another
/// operation with it. Always the fault of the actor or of who delivered the operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// Another operation had this nonce, or one before it has not come.
    #[error("nonce: expected {expected}, got {got}")]
    Nonce {
        /// The actor's next.
        expected: u64,
        /// The operation's.
        got: u64,
    },
    /// A signature is not that of who must have signed.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// It has no form that a journal takes: a list is too long.
    #[error(transparent)]
    Form(#[from] DecodeError),
    /// Not enough money there.
    #[error("{account:?}: expected at least {needed}, got {available}")]
    Insufficient {
        /// Where.
        account: Account,
        /// What is there.
        available: Amount,
        /// What it takes.
        needed: Amount,
    },
    /// A sum is more than an amount can be.
    #[error("{what}: more than an amount can be")]
    Overflow {
        /// Which.
        what: &'static str,
    },
    /// This actor may not.
    #[error("expected the {expected}, got another actor")]
    Actor {
        /// Who may.
        expected: &'static str,
    },
    /// There is none of this name.
    #[error("{what}: unknown")]
    Unknown {
        /// What.
        what: &'static str,
    },
    /// It has been done.
    #[error("{what}: already there")]
    Exists {
        /// What.
        what: &'static str,
    },
    /// It can't be done in this state.
    #[error("{what}: expected it {expected}")]
    State {
        /// What.
        what: &'static str,
        /// How it would have to be.
        expected: &'static str,
    },
    /// The time has not come.
    #[error("{what}: expected not before {from}, got {now}")]
    TooEarly {
        /// What.
        what: &'static str,
        /// From when on.
        from: UnixTime,
        /// The ledger's time.
        now: UnixTime,
    },
    /// The time is over.
    #[error("{what}: expected before {until}, got {now}")]
    TooLate {
        /// What.
        what: &'static str,
        /// Until when.
        until: UnixTime,
        /// The ledger's time.
        now: UnixTime,
    },
    /// An amount out of its bounds.
    #[error("{what}: expected {least} to {most}, got {got}")]
    Amount {
        /// Which.
        what: &'static str,
        /// Least that is allowed.
        least: Amount,
        /// Most that is allowed.
        most: Amount,
        /// What it is.
        got: Amount,
    },
    /// A count out of its bounds.
    #[error("{what}: expected {least} to {most}, got {got}")]
    Count {
        /// Of what.
        what: &'static str,
        /// Least that is allowed.
        least: u64,
        /// Most that is allowed.
        most: u64,
        /// How many there are.
        got: u64,
    },
    /// A list that must be ascending and without doubles is not.
    #[error("{what}: expected ascending, without doubles")]
    Order {
        /// Which.
        what: &'static str,
    },
    /// The evidence proves nothing against this registration or vault.
    #[error("evidence: proves nothing against whom it accuses")]
    Unproven,
    /// A path, preimage or commitment doesn't fit.
    #[error("{what}: does not fit its hash")]
    Hash {
        /// Which.
        what: &'static str,
    },
}
