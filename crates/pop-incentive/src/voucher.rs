//! Vouchers: a payer's signed promise of so much in all, and its receipt for so many bytes in
//! all, from one vault to one payee in one epoch (`spec/incentive.md` §5).

use pop_wire::{Amount, Keypair, WalletAddress};

use crate::ids::VaultId;
use crate::typed_data::{LedgerDomain, MoneySignature, SignatureError, StructHash};

/// A promise. Both numbers only ever grow, so the greatest voucher says all that the ones before
/// it said, and one is all that a payee keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Voucher {
    /// Where the money is.
    pub vault: VaultId,
    /// Who may take it.
    pub payee: WalletAddress,
    /// The vault's epoch, which its withdrawals advance: a voucher of another epoch is void.
    pub epoch: u64,
    /// Base units promised to this payee in this epoch, in all.
    pub amount: Amount,
    /// Bytes that the payer has verified, or pays ahead for, in all.
    pub bytes: u64,
}

impl Voucher {
    /// EIP-712's name for its fields.
    pub const TYPE: &[u8] =
        b"Voucher(bytes32 vault,address payee,uint64 epoch,uint128 amount,uint64 bytes)";

    /// EIP-712's `hashStruct`.
    pub fn struct_hash(&self) -> [u8; 32] {
        StructHash::new(Self::TYPE)
            .word(self.vault.0)
            .address(self.payee)
            .uint(self.epoch.into())
            .amount(self.amount)
            .uint(self.bytes.into())
            .finish()
    }

    /// What the payer signs.
    pub fn digest(&self, domain: &LedgerDomain) -> [u8; 32] {
        domain.digest(&self.struct_hash())
    }

    /// Sign it. Whoever calls this has the promise stored first.
    pub fn sign(self, domain: &LedgerDomain, owner: &Keypair) -> SignedVoucher {
        let signature = MoneySignature::sign(owner, &self.digest(domain));
        SignedVoucher { voucher: self, signature }
    }
}

/// A voucher with the signature of the vault's owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignedVoucher {
    /// What is promised.
    pub voucher: Voucher,
    /// By whom: [`verify`](Self::verify) tells.
    pub signature: MoneySignature,
}

impl SignedVoucher {
    /// Check that the vault's owner signed it for this ledger.
    ///
    /// # Errors
    /// [`SignatureError`]: the sender's fault.
    pub fn verify(
        &self,
        domain: &LedgerDomain,
        owner: WalletAddress,
    ) -> Result<(), SignatureError> {
        self.signature.verify_address(&self.voucher.digest(domain), owner)
    }
}
