//! Vouchers: a payer's signed promise of so much in all, and its receipt for so many bytes in
//! all, from one vault to one payee in one epoch (`spec/incentive.md` §5).

use pop_wire::{Amount, Keypair, UnixTime, WalletAddress};

use crate::fixed_layout::{Reader, Writer};
use crate::ids::VaultId;
use crate::limits::VOUCHER_BYTES;
use crate::typed_data::{
    KnownWallet, LedgerDomain, MoneySignature, SignatureError, StructHash, TypeHash, keccak,
};

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
        static TYPE_HASH: TypeHash = TypeHash::new(|| keccak(Voucher::TYPE));
        StructHash::of(*TYPE_HASH)
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

    /// The same, by whoever takes many vouchers of one owner.
    ///
    /// # Errors
    /// [`SignatureError`]: the sender's fault.
    pub fn verify_known(
        &self,
        domain: &LedgerDomain,
        owner: &mut KnownWallet,
    ) -> Result<(), SignatureError> {
        owner.verify(&self.voucher.digest(domain), &self.signature)
    }

    /// The bytes to send or store.
    pub fn encode(&self) -> [u8; VOUCHER_BYTES] {
        let voucher = &self.voucher;
        Writer::new()
            .bytes(&voucher.vault.0)
            .bytes(&voucher.payee.0)
            .u64(voucher.epoch)
            .amount(voucher.amount)
            .u64(voucher.bytes)
            .bytes(&self.signature.to_bytes())
            .finish()
    }

    /// Read what [`encode`](Self::encode) wrote. Checks the form, not whose signature it is.
    ///
    /// # Errors
    /// [`FormatError`]: the sender's fault.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut reader = Reader::<VOUCHER_BYTES>::new("voucher", bytes)?;
        Ok(Self {
            voucher: Voucher {
                vault: reader.vault(),
                payee: reader.address(),
                epoch: reader.u64(),
                amount: reader.amount(),
                bytes: reader.u64(),
            },
            signature: MoneySignature::from_bytes(reader.array())?,
        })
    }
}

/// What the ledger says about a vault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VaultInfo {
    /// Which vault.
    pub vault: VaultId,
    /// Who signs its vouchers.
    pub owner: WalletAddress,
    /// The epoch whose vouchers are good. A withdrawal ends it.
    pub epoch: u64,
    /// Base units that were in it when the epoch began or came in since.
    pub funded: Amount,
    /// Of these, paid out to payees.
    pub redeemed: Amount,
    /// What the owner loses if its vouchers promise more than `funded`.
    pub penalty: Amount,
    /// When the owner may withdraw, if it has asked to: no voucher counts from then on.
    pub closes: Option<UnixTime>,
}

impl VaultInfo {
    /// Base units that are left to pay out.
    pub fn balance(&self) -> Amount {
        self.funded.checked_sub(self.redeemed).unwrap_or(Amount::ZERO)
    }
}

/// Why bytes are no voucher, quote or record. Always the fault of who sent or stored them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FormatError {
    /// Of another length.
    #[error("{what}: expected {expected} bytes, got {got}")]
    Length {
        /// What was expected.
        what: &'static str,
        /// Its length.
        expected: usize,
        /// Length found.
        got: usize,
    },
    /// Of a version that isn't known.
    #[error("{what}: expected version 1, got {got}")]
    Version {
        /// What was expected.
        what: &'static str,
        /// Its first byte.
        got: u8,
    },
    /// A number that the format doesn't allow.
    #[error("{field}: out of range")]
    Range {
        /// Which.
        field: &'static str,
    },
    /// The signature has no form that is allowed.
    #[error(transparent)]
    Signature(#[from] SignatureError),
}
