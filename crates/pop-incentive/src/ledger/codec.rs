//! Bytes of the journal: one form per value, every length bounded, nothing that panics.

use pop_wire::{Amount, ContentId, Digest, PeerId, WalletAddress};

use crate::ids::{BountyId, LoanId, LockId, OperationId, PoolId, VaultId};
use crate::ledger::limits::{LIST_LEN_MAX, OPERATION_BYTES_MAX, PATH_LEN_MAX};
use crate::limits::{EVIDENCE_VOUCHERS_MAX, VOUCHER_BYTES};
use crate::typed_data::{MoneySignature, keccak};
use crate::voucher::SignedVoucher;

/// Why bytes are no operation or record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// They end early.
    #[error("{field}: expected {expected} more bytes, got {got}")]
    Truncated {
        /// Where.
        field: &'static str,
        /// Bytes needed.
        expected: usize,
        /// Bytes left.
        got: usize,
    },
    /// A list or string is longer than allowed.
    #[error("{field}: expected a length of at most {expected}, got {got}")]
    TooLong {
        /// Which.
        field: &'static str,
        /// The bound.
        expected: usize,
        /// The length found.
        got: usize,
    },
    /// A number that names no kind.
    #[error("{field}: unknown kind {got}")]
    Kind {
        /// Of what.
        field: &'static str,
        /// The number.
        got: u8,
    },
    /// A value that its type doesn't allow.
    #[error("{field}: not a valid value")]
    Invalid {
        /// Which.
        field: &'static str,
    },
    /// More bytes than the value has.
    #[error("expected the end, got {got} more bytes")]
    Trailing {
        /// How many.
        got: usize,
    },
}

/// A value of an operation: as a member of EIP-712 typed data, and as bytes.
pub(crate) trait Field: Sized {
    /// Its type in Solidity.
    const TYPE: &'static str;
    /// Its word in the hash of a struct.
    fn word(&self) -> [u8; 32];
    fn put(&self, out: &mut Vec<u8>);
    fn take(reader: &mut Reader<'_>) -> Result<Self, DecodeError>;
}

/// The word of a value that goes into typed data as the bytes of its own form.
pub(crate) fn word_of_bytes(value: &impl Field) -> [u8; 32] {
    let mut bytes = Vec::new();
    value.put(&mut bytes);
    keccak(&bytes)
}

/// Reads values off bytes. spec/incentive.md §12.2: a reader MUST refuse a length over its limit
/// before it reads on, an unknown tag, and bytes after the end.
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) fn slice(
        &mut self,
        field: &'static str,
        length: usize,
    ) -> Result<&'a [u8], DecodeError> {
        let (head, rest) = self.rest.split_at_checked(length).ok_or(DecodeError::Truncated {
            field,
            expected: length,
            got: self.rest.len(),
        })?;
        self.rest = rest;
        Ok(head)
    }

    pub(crate) fn array<const N: usize>(
        &mut self,
        field: &'static str,
    ) -> Result<[u8; N], DecodeError> {
        let mut array = [0; N];
        array.copy_from_slice(self.slice(field, N)?);
        Ok(array)
    }

    pub(crate) fn length(
        &mut self,
        field: &'static str,
        expected: usize,
    ) -> Result<usize, DecodeError> {
        let got = u32::from_be_bytes(self.array(field)?);
        let got = usize::try_from(got).unwrap_or(usize::MAX);
        if got > expected { Err(DecodeError::TooLong { field, expected, got }) } else { Ok(got) }
    }

    pub(crate) fn finish(self) -> Result<(), DecodeError> {
        match self.rest.len() {
            0 => Ok(()),
            got => Err(DecodeError::Trailing { got }),
        }
    }
}

/// Length of a list that a constructor bounded, as it is written.
pub(crate) fn put_length(length: usize, out: &mut Vec<u8>) {
    // A longer list is no operation that a ledger takes: it is refused before it is written.
    out.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
}

macro_rules! bytes32 {
    ($($name:ident),*) => {$(
        impl Field for $name {
            const TYPE: &'static str = "bytes32";
            fn word(&self) -> [u8; 32] {
                self.0
            }
            fn put(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.0);
            }
            fn take(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
                Ok(Self(reader.array(stringify!($name))?))
            }
        }
    )*};
}

bytes32!(Digest, ContentId, VaultId, PoolId, BountyId, LoanId, LockId, OperationId);

impl Field for WalletAddress {
    const TYPE: &'static str = "address";
    fn word(&self) -> [u8; 32] {
        let mut word = [0; 32];
        word[12..].copy_from_slice(&self.0);
        word
    }
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0);
    }
    fn take(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self(reader.array("address")?))
    }
}

impl Field for u64 {
    const TYPE: &'static str = "uint64";
    fn word(&self) -> [u8; 32] {
        let mut word = [0; 32];
        word[24..].copy_from_slice(&self.to_be_bytes());
        word
    }
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.to_be_bytes());
    }
    fn take(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self::from_be_bytes(reader.array("uint64")?))
    }
}

impl Field for Amount {
    const TYPE: &'static str = "uint128";
    fn word(&self) -> [u8; 32] {
        let mut word = [0; 32];
        word[16..].copy_from_slice(&self.base_units().to_be_bytes());
        word
    }
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.base_units().to_be_bytes());
    }
    fn take(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self::from_base_units(u128::from_be_bytes(reader.array("uint128")?)))
    }
}

impl Field for PeerId {
    const TYPE: &'static str = "bytes";
    fn word(&self) -> [u8; 32] {
        keccak(self.public_key())
    }
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.public_key());
    }
    fn take(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let key: [u8; 33] = reader.array("public key")?;
        Self::from_public_key(&key).map_err(|_| DecodeError::Invalid { field: "public key" })
    }
}

impl Field for MoneySignature {
    const TYPE: &'static str = "bytes";
    fn word(&self) -> [u8; 32] {
        keccak(&self.to_bytes())
    }
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.to_bytes());
    }
    fn take(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Self::from_bytes(reader.array("signature")?)
            .map_err(|_| DecodeError::Invalid { field: "signature" })
    }
}

impl Field for SignedVoucher {
    const TYPE: &'static str = "bytes";
    fn word(&self) -> [u8; 32] {
        keccak(&self.encode())
    }
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.encode());
    }
    fn take(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Self::decode(reader.slice("voucher", VOUCHER_BYTES)?)
            .map_err(|_| DecodeError::Invalid { field: "voucher" })
    }
}

/// Bytes of evidence, which its own format reads.
impl Field for Vec<u8> {
    const TYPE: &'static str = "bytes";
    fn word(&self) -> [u8; 32] {
        keccak(self)
    }
    fn put(&self, out: &mut Vec<u8>) {
        put_length(self.len(), out);
        out.extend_from_slice(self);
    }
    fn take(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let length = reader.length("bytes", OPERATION_BYTES_MAX)?;
        Ok(reader.slice("bytes", length)?.to_vec())
    }
}

macro_rules! list {
    ($($item:ty, $solidity:literal, $max:expr;)*) => {$(
        impl Field for Vec<$item> {
            const TYPE: &'static str = $solidity;
            fn word(&self) -> [u8; 32] {
                let words: Vec<[u8; 32]> = self.iter().map(Field::word).collect();
                keccak(words.as_flattened())
            }
            fn put(&self, out: &mut Vec<u8>) {
                put_length(self.len(), out);
                self.iter().for_each(|item| item.put(out));
            }
            fn take(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
                let length = reader.length($solidity, $max)?;
                (0..length).map(|_| <$item>::take(reader)).collect()
            }
        }
    )*};
}

list! {
    WalletAddress, "address[]", LIST_LEN_MAX;
    Amount, "uint128[]", LIST_LEN_MAX;
    Digest, "bytes32[]", PATH_LEN_MAX;
    SignedVoucher, "bytes[]", EVIDENCE_VOUCHERS_MAX;
}
