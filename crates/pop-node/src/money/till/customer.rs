//! What a node adds to what its till knows of a customer.

use pop_incentive::exposure::IpPrefix;
use pop_wire::{ContentId, WalletAddress};

/// A peer with at least one link.
#[derive(Debug)]
pub(super) struct Customer {
    pub(super) prefix: IpPrefix,
    pub(super) payer: WalletAddress,
    /// Asked for last.
    pub(super) content: Option<ContentId>,
    /// Bytes served since the last voucher.
    pub(super) served_since: u64,
    /// Its request for credit is being looked into.
    pub(super) asks_credit: bool,
    /// At which tick it was refused.
    pub(super) credit_refused: Option<u64>,
}

impl Customer {
    pub(super) fn new(prefix: IpPrefix, payer: WalletAddress) -> Self {
        Self {
            prefix,
            payer,
            content: None,
            served_since: 0,
            asks_credit: false,
            credit_refused: None,
        }
    }
}
