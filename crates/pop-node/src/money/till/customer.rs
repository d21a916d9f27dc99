use std::collections::BTreeSet;

use pop_exchange::LinkId;
use pop_incentive::exposure::IpPrefix;
use pop_incentive::ids::VaultId;
use pop_incentive::message::Terms;
use pop_incentive::voucher::SignedVoucher;
use pop_wire::{ContentId, WalletAddress};

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
    Waiting,
    Account(VaultId),
}

/// A peer with at least one link.
#[derive(Debug)]
pub(super) struct Customer {
    pub(super) links: BTreeSet<LinkId>,
    pub(super) prefix: IpPrefix,
    pub(super) payer: WalletAddress,
    pub(super) standing: Standing,
    /// Stated on this link, and not in force yet.
    pub(super) terms: Option<(LinkId, Terms)>,
    /// Came before its vault was known.
    pub(super) voucher: Option<SignedVoucher>,
    /// Asked for last.
    pub(super) content: Option<ContentId>,
    /// Bytes that it may take in all, in its account or as a visitor.
    pub(super) allowed: u64,
    /// Bytes served to it as a visitor.
    pub(super) visited: u64,
    /// Bytes served since the last voucher.
    pub(super) served_since: u64,
    /// Bytes that it was told it may leave unpaid while it serves us too.
    pub(super) netting_said: u64,
    /// Its request for credit is being looked into.
    pub(super) asks_credit: bool,
    /// At which tick it was refused.
    pub(super) credit_refused: Option<u64>,
}

impl Customer {
    pub(super) fn new(prefix: IpPrefix, payer: WalletAddress) -> Self {
        Self {
            links: BTreeSet::new(),
            prefix,
            payer,
            standing: Standing::Nothing,
            terms: None,
            voucher: None,
            content: None,
            allowed: 0,
            visited: 0,
            served_since: 0,
            netting_said: 0,
            asks_credit: false,
            credit_refused: None,
        }
    }
}
