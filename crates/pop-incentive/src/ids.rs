//! Names: of what the ledger keeps, 32 bytes each, and of the links that payment messages go over.

use core::fmt;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; 32]);

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(formatter, "{}({self})", stringify!($name))
            }
        }
    };
}

id! {
    /// A payer's vault.
    VaultId
}
id! {
    /// A seed pool.
    PoolId
}
id! {
    /// A bounty.
    BountyId
}
id! {
    /// A loan.
    LoanId
}
id! {
    /// An amount that waits for the preimage of a hash.
    LockId
}
id! {
    /// A signed operation: the hash that was signed.
    OperationId
}

/// A link on which two peers say payment messages to each other: the caller's number, never used
/// again for another link of the same machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LineId(pub u64);
