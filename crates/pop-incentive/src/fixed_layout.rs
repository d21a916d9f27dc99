//! Fixed layouts: a version byte, then fields one after the other, numbers big endian.

use pop_wire::{Amount, WalletAddress};

use crate::ids::VaultId;
use crate::rate::{Meter, Rate, Tariff, Tier};
use crate::voucher::FormatError;

const VERSION: u8 = 1;

/// Fills exactly `N` bytes.
pub(crate) struct Writer<const N: usize> {
    bytes: [u8; N],
    at: usize,
}

impl<const N: usize> Writer<N> {
    pub(crate) fn new() -> Self {
        Self { bytes: [0; N], at: 0 }.bytes(&[VERSION])
    }

    pub(crate) fn bytes(mut self, bytes: &[u8]) -> Self {
        let end = self.at + bytes.len();
        self.bytes[self.at..end].copy_from_slice(bytes);
        self.at = end;
        self
    }

    pub(crate) fn u32(self, value: u32) -> Self {
        self.bytes(&value.to_be_bytes())
    }

    pub(crate) fn u64(self, value: u64) -> Self {
        self.bytes(&value.to_be_bytes())
    }

    pub(crate) fn amount(self, amount: Amount) -> Self {
        self.bytes(&amount.base_units().to_be_bytes())
    }

    pub(crate) fn meter(self, meter: &Meter) -> Self {
        self.amount(meter.tariff.rate.amount())
            .u32(meter.tariff.tier.count())
            .u64(meter.from_bytes)
            .amount(meter.from_amount)
    }

    pub(crate) fn finish(self) -> [u8; N] {
        assert_eq!(self.at, N, "the layout has another length than its constant");
        self.bytes
    }
}

/// Reads exactly `N` bytes, whose length was checked first: no read can fail.
pub(crate) struct Reader<'a, const N: usize> {
    bytes: &'a [u8; N],
    at: usize,
}

impl<'a, const N: usize> Reader<'a, N> {
    pub(crate) fn new(what: &'static str, bytes: &'a [u8]) -> Result<Self, FormatError> {
        let bytes: &[u8; N] = bytes.try_into().map_err(|_| FormatError::Length {
            what,
            expected: N,
            got: bytes.len(),
        })?;
        if bytes[0] != VERSION {
            return Err(FormatError::Version { what, got: bytes[0] });
        }
        Ok(Self { bytes, at: 1 })
    }

    pub(crate) fn array<const M: usize>(&mut self) -> [u8; M] {
        let mut array = [0; M];
        array.copy_from_slice(&self.bytes[self.at..self.at + M]);
        self.at += M;
        array
    }

    pub(crate) fn u32(&mut self) -> u32 {
        u32::from_be_bytes(self.array())
    }

    pub(crate) fn u64(&mut self) -> u64 {
        u64::from_be_bytes(self.array())
    }

    pub(crate) fn amount(&mut self) -> Amount {
        Amount::from_base_units(u128::from_be_bytes(self.array()))
    }

    pub(crate) fn vault(&mut self) -> VaultId {
        VaultId(self.array())
    }

    pub(crate) fn address(&mut self) -> WalletAddress {
        WalletAddress(self.array())
    }

    pub(crate) fn rate(&mut self) -> Result<Rate, FormatError> {
        Rate::new(self.amount()).ok_or(FormatError::Range { field: "rate" })
    }

    pub(crate) fn meter(&mut self) -> Result<Meter, FormatError> {
        let rate = self.rate()?;
        let tier = self.u32().checked_mul(100).and_then(Tier::of_kbps);
        let tier = tier.ok_or(FormatError::Range { field: "tier" })?;
        Ok(Meter {
            tariff: Tariff { rate, tier },
            from_bytes: self.u64(),
            from_amount: self.amount(),
        })
    }
}
