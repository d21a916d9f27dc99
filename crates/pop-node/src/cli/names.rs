//! How things are named on the command line: contents by links, those on a ledger by 64 hex digits.

use pop_erasure::{ContentLink, LinkError};
use pop_incentive::ids::{BountyId, LoanId, PoolId};
use pop_wire::{ContentId, Digest, WalletAddress};

use crate::error::NodeError;

/// Something that has a name of 32 bytes.
pub(super) trait Named: Sized {
    fn named(bytes: [u8; 32]) -> Self;
}

macro_rules! named {
    ($($name:ident),*) => {$(
        impl Named for $name {
            fn named(bytes: [u8; 32]) -> Self {
                Self(bytes)
            }
        }
    )*};
}

named!(BountyId, LoanId, PoolId, Digest);

/// Read 64 hex digits.
pub(super) fn name<T: Named>(text: &str) -> Result<T, String> {
    let mut bytes = [0; 32];
    hex::decode_to_slice(text, &mut bytes)
        .map_err(|_| format!("expected 64 hex digits, got `{text}`"))?;
    Ok(T::named(bytes))
}

/// Read a link, or a content id alone, which is a link without a key.
pub(super) fn link(text: &str) -> Result<ContentLink, LinkError> {
    match text.parse::<ContentId>() {
        Ok(content) => Ok(ContentLink { content, key: None }),
        Err(_) => text.parse(),
    }
}

/// Something that was given and can't be used.
pub(super) fn bad_input(what: &'static str, problem: impl ToString) -> NodeError {
    NodeError::BadInput { what, problem: problem.to_string() }
}

/// Members or judges as the ledger wants them: ascending, each once.
pub(super) fn panel(mut wallets: Vec<WalletAddress>) -> Vec<WalletAddress> {
    wallets.sort_unstable();
    wallets.dedup();
    wallets
}

/// The quorum that was given, or the least that a ledger takes: more than half.
pub(super) fn quorum(given: Option<u64>, panel: &[WalletAddress]) -> u64 {
    given.unwrap_or_else(|| u64::try_from(panel.len() / 2 + 1).unwrap_or(u64::MAX))
}

/// How many names of one's own are tried to find one that is free.
pub(super) const INDICES_MAX: u64 = 1024;
