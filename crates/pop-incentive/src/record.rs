//! What payer and payee keep about each other on disk: one record each, whatever was paid
//! (`spec/incentive.md` §5.4).

use pop_wire::{Amount, WalletAddress};

use crate::fixed_layout::{Reader, Writer};
use crate::ids::VaultId;
use crate::limits::{PAYEE_RECORD_BYTES, PAYER_RECORD_BYTES};
use crate::rate::Meter;
use crate::voucher::{FormatError, SignedVoucher, Voucher};

/// All that a payer remembers of one payee.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PayerRecord {
    /// From which vault it pays.
    pub vault: VaultId,
    /// In which of its epochs.
    pub epoch: u64,
    /// Whom.
    pub payee: WalletAddress,
    /// Base units promised in all.
    pub amount: Amount,
    /// Bytes that the voucher acknowledges.
    pub bytes: u64,
    /// Bytes paid for that were lost on the way.
    pub conceded: u64,
    /// Bytes that came before a restart and that no voucher acknowledges.
    pub forgotten: u64,
    /// What bytes cost.
    pub meter: Meter,
}

impl PayerRecord {
    pub(crate) fn new(vault: VaultId, epoch: u64, payee: WalletAddress, meter: Meter) -> Self {
        Self {
            vault,
            epoch,
            payee,
            amount: Amount::ZERO,
            bytes: 0,
            conceded: 0,
            forgotten: 0,
            meter,
        }
    }

    /// The voucher that says this.
    pub fn voucher(&self) -> Voucher {
        Voucher {
            vault: self.vault,
            payee: self.payee,
            epoch: self.epoch,
            amount: self.amount,
            bytes: self.bytes,
        }
    }

    /// The bytes to store.
    pub fn encode(&self) -> [u8; PAYER_RECORD_BYTES] {
        Writer::new()
            .bytes(&self.vault.0)
            .u64(self.epoch)
            .bytes(&self.payee.0)
            .amount(self.amount)
            .u64(self.bytes)
            .u64(self.conceded)
            .u64(self.forgotten)
            .meter(&self.meter)
            .finish()
    }

    /// Read what [`encode`](Self::encode) wrote.
    ///
    /// # Errors
    /// [`FormatError`]: the store's fault.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut reader = Reader::<PAYER_RECORD_BYTES>::new("payer record", bytes)?;
        Ok(Self {
            vault: reader.vault(),
            epoch: reader.u64(),
            payee: reader.address(),
            amount: reader.amount(),
            bytes: reader.u64(),
            conceded: reader.u64(),
            forgotten: reader.u64(),
            meter: reader.meter()?,
        })
    }
}

/// All that a payee remembers of one payer: the greatest voucher, which is also what it redeems,
/// and how far it had served when it took it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PayeeRecord {
    /// The greatest voucher.
    pub signed: SignedVoucher,
    /// Bytes served, in all.
    pub served: u64,
    /// What bytes cost.
    pub meter: Meter,
}

impl PayeeRecord {
    /// The bytes to store.
    pub fn encode(&self) -> [u8; PAYEE_RECORD_BYTES] {
        Writer::new().bytes(&self.signed.encode()).u64(self.served).meter(&self.meter).finish()
    }

    /// Read what [`encode`](Self::encode) wrote.
    ///
    /// # Errors
    /// [`FormatError`]: the store's fault.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut reader = Reader::<PAYEE_RECORD_BYTES>::new("payee record", bytes)?;
        let voucher: [u8; crate::limits::VOUCHER_BYTES] = reader.array();
        Ok(Self {
            signed: SignedVoucher::decode(&voucher)?,
            served: reader.u64(),
            meter: reader.meter()?,
        })
    }
}
