//! Evidence of broken promises that anybody can check: signatures alone, no witness
//! (`spec/incentive.md` §5.5).

use pop_wire::{Amount, ColumnIndex, SegmentIndex};

use crate::limits::EVIDENCE_VOUCHERS_MAX;
use crate::quote::SignedQuote;
use crate::typed_data::{LedgerDomain, SignatureError};
use crate::voucher::{SignedVoucher, VaultInfo};

/// Vouchers of one vault and epoch that together promise more than was ever in the vault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OverspendEvidence {
    /// One per payee, by ascending address, so that no promise is counted twice.
    pub vouchers: Vec<SignedVoucher>,
}

impl OverspendEvidence {
    /// Put vouchers in order: of each payee's the greatest one.
    pub fn new(vouchers: impl IntoIterator<Item = SignedVoucher>) -> Self {
        let mut vouchers: Vec<_> = vouchers.into_iter().collect();
        vouchers.sort_by_key(|signed| {
            (signed.voucher.payee, core::cmp::Reverse(signed.voucher.amount))
        });
        vouchers.dedup_by_key(|signed| signed.voucher.payee);
        Self { vouchers }
    }

    /// Check it against what the ledger says of the vault. Returns by how much more was promised
    /// than the vault was funded with.
    ///
    /// # Errors
    /// [`EvidenceError`]: the fault of whoever made the evidence. The vault's owner is not at
    /// fault then.
    pub fn verify(
        &self,
        domain: &LedgerDomain,
        vault: &VaultInfo,
    ) -> Result<Amount, EvidenceError> {
        let got = self.vouchers.len();
        if got > EVIDENCE_VOUCHERS_MAX {
            return Err(EvidenceError::TooMany { max: EVIDENCE_VOUCHERS_MAX, got });
        }
        let ordered =
            self.vouchers.windows(2).all(|pair| pair[0].voucher.payee < pair[1].voucher.payee);
        if !ordered {
            return Err(EvidenceError::Order);
        }
        let mut promised = Amount::ZERO;
        for SignedVoucher { voucher, .. } in &self.vouchers {
            if voucher.vault != vault.vault || voucher.epoch != vault.epoch {
                return Err(EvidenceError::OtherVault);
            }
            promised = promised.checked_add(voucher.amount).ok_or(EvidenceError::Overflow)?;
        }
        let over = promised.checked_sub(vault.funded).filter(|over| *over > Amount::ZERO);
        let over = over.ok_or(EvidenceError::Covered { funded: vault.funded, promised })?;
        for signed in &self.vouchers {
            signed.verify(domain, vault.owner)?;
        }
        Ok(over)
    }
}

/// Two different quotes that one payee signed under one serial number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DoubleQuoteEvidence {
    /// One of them.
    pub first: SignedQuote,
    /// The other.
    pub second: SignedQuote,
}

impl DoubleQuoteEvidence {
    /// Check it.
    ///
    /// # Errors
    /// [`EvidenceError`]: the fault of whoever made the evidence.
    pub fn verify(&self, domain: &LedgerDomain) -> Result<(), EvidenceError> {
        let (first, second) = (&self.first.quote, &self.second.quote);
        if first.payee != second.payee || first.serial != second.serial {
            return Err(EvidenceError::OtherSlot);
        }
        if first == second {
            return Err(EvidenceError::Same);
        }
        self.first.verify(domain)?;
        self.second.verify(domain)?;
        Ok(())
    }
}

/// Two vouchers for one payee of which neither follows the other: one promises more for fewer
/// bytes. A payer that stores before it sends can't make such a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DoubleVoucherEvidence {
    /// The one that promises more.
    pub dearer: SignedVoucher,
    /// The one with more bytes.
    pub larger: SignedVoucher,
}

impl DoubleVoucherEvidence {
    /// Check it.
    ///
    /// # Errors
    /// [`EvidenceError`]: the fault of whoever made the evidence.
    pub fn verify(&self, domain: &LedgerDomain, vault: &VaultInfo) -> Result<(), EvidenceError> {
        let (dearer, larger) = (&self.dearer.voucher, &self.larger.voucher);
        if dearer.vault != vault.vault {
            return Err(EvidenceError::OtherVault);
        }
        let slot =
            |voucher: &crate::voucher::Voucher| (voucher.vault, voucher.payee, voucher.epoch);
        if slot(dearer) != slot(larger) {
            return Err(EvidenceError::OtherSlot);
        }
        if !(dearer.amount > larger.amount && dearer.bytes < larger.bytes) {
            return Err(EvidenceError::Same);
        }
        self.dearer.verify(domain, vault.owner)?;
        self.larger.verify(domain, vault.owner)?;
        Ok(())
    }
}

/// Why evidence proves nothing. Always the fault of whoever made it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EvidenceError {
    /// More vouchers than are looked at.
    #[error("evidence: expected at most {max} vouchers, got {got}")]
    TooMany {
        /// Limit.
        max: usize,
        /// How many there are.
        got: usize,
    },
    /// Not by ascending payee, or two of one payee.
    #[error("evidence: expected one voucher per payee, by ascending address")]
    Order,
    /// A voucher of another vault or epoch.
    #[error("evidence: a voucher of another vault or epoch")]
    OtherVault,
    /// The amounts don't add up in 128 bits. No vault can hold that; leave a voucher out.
    #[error("evidence: the sum of the amounts doesn't fit")]
    Overflow,
    /// The vault covers what was promised.
    #[error("evidence: the vault was funded with {funded}, promised is {promised}")]
    Covered {
        /// What was in the vault in this epoch.
        funded: Amount,
        /// What the vouchers promise.
        promised: Amount,
    },
    /// The two are not of one payee and serial, or of one vault, payee and epoch.
    #[error("evidence: the two are of different slots")]
    OtherSlot,
    /// The two don't contradict each other.
    #[error("evidence: the two don't contradict each other")]
    Same,
    /// A manifest or record that its signer didn't sign, or of no form.
    #[error("evidence: {what} is not what its signer signed")]
    Signed {
        /// Which.
        what: &'static str,
    },
    /// Manifest, record and answer are not of one content.
    #[error("evidence: manifest, record and answer are not of one content")]
    OtherContent,
    /// The record didn't claim the column at the time of the audit.
    #[error("evidence: the record doesn't claim this column at this time")]
    NotClaimed,
    /// The shard is not the one that the publisher signed.
    #[error("evidence: not the shard of column {} in segment {}", column.get(), segment.0)]
    Shard {
        /// Segment that was asked for.
        segment: SegmentIndex,
        /// Column that was asked for.
        column: ColumnIndex,
    },
    /// Record and answer are of different holders.
    #[error("evidence: record and answer are of different holders")]
    OtherHolder,
    /// The answer is right.
    #[error("evidence: the answer is right")]
    Right,
    /// Not signed by who is accused.
    #[error(transparent)]
    Signature(#[from] SignatureError),
}
