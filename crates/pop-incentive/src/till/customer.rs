//! What a till knows of one customer.

use pop_wire::WalletAddress;

use crate::exposure::IpPrefix;
use crate::ids::{LineId, VaultId};
use crate::message::Terms;
use crate::voucher::SignedVoucher;

/// How a customer stands with the payee.
///
/// ```text
/// Nothing --ask--> Visitor --terms--> Waiting --the ledger knows the vault--> Account
///                     `---------- terms, vault known ------------------------^
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    Nothing,
    Visitor,
    /// Its vault is being looked up.
    Waiting,
    Account(VaultId),
}

/// Somebody to whom there is at least one link.
#[derive(Debug)]
pub(super) struct Customer {
    pub(super) wallet: WalletAddress,
    pub(super) prefix: IpPrefix,
    pub(super) lines: Vec<LineId>,
    pub(super) standing: Standing,
    /// Stated on this link, and not in force yet.
    pub(super) terms: Option<(LineId, Terms)>,
    /// The last that it sent: came before its vault was known, or may be good when the ledger says
    /// something else.
    pub(super) voucher: Option<SignedVoucher>,
    /// Bytes that it may take in all, in its account or as a visitor.
    pub(super) allowed: u64,
    /// Bytes served to it as a visitor.
    pub(super) visited: u64,
    /// Bytes that it was told it may leave unpaid while it serves us too.
    pub(super) netting_said: u64,
}

impl Customer {
    pub(super) fn new(wallet: WalletAddress, prefix: IpPrefix) -> Self {
        Self {
            wallet,
            prefix,
            lines: Vec::new(),
            standing: Standing::Nothing,
            terms: None,
            voucher: None,
            allowed: 0,
            visited: 0,
            netting_said: 0,
        }
    }
}
