//! Fixed layouts: fields one after the other, numbers big endian, nothing optional. Every length is
//! known beforehand, so that what a message says can't be told from how long it is.

use pop_wire::{Bound, PeerId, WireError};

/// Takes fields off the front of a message; runs out with an error, never with a panic.
pub(crate) struct Reader<'a> {
    message: &'static str,
    expected_bytes: usize,
    got_bytes: usize,
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Read a message that has exactly `expected_bytes` bytes.
    pub(crate) fn exact(
        message: &'static str,
        bytes: &'a [u8],
        expected_bytes: usize,
    ) -> Result<Self, WireError> {
        let reader = Self { message, expected_bytes, got_bytes: bytes.len(), rest: bytes };
        if bytes.len() == expected_bytes { Ok(reader) } else { Err(reader.wrong_length()) }
    }

    /// Read a message that has `expected_bytes` bytes and maybe more.
    pub(crate) fn at_least(
        message: &'static str,
        bytes: &'a [u8],
        expected_bytes: usize,
    ) -> Result<Self, WireError> {
        let reader = Self { message, expected_bytes, got_bytes: bytes.len(), rest: bytes };
        if bytes.len() >= expected_bytes { Ok(reader) } else { Err(reader.wrong_length()) }
    }

    pub(crate) fn bytes(&mut self, count: usize) -> Result<&'a [u8], WireError> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or_else(|| self.wrong_length())?;
        self.rest = rest;
        Ok(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or_else(|| self.wrong_length())?;
        self.rest = rest;
        Ok(*taken)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, WireError> {
        self.array().map(|[byte]| byte)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, WireError> {
        self.array().map(u16::from_be_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, WireError> {
        self.array().map(u32::from_be_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, WireError> {
        self.array().map(u64::from_be_bytes)
    }

    pub(crate) fn peer(&mut self) -> Result<PeerId, WireError> {
        PeerId::from_public_key(&self.array::<33>()?)
    }

    /// Bytes that are left.
    pub(crate) fn left(&self) -> usize {
        self.rest.len()
    }

    /// What is left.
    pub(crate) fn rest(self) -> &'a [u8] {
        self.rest
    }

    fn wrong_length(&self) -> WireError {
        WireError::Length {
            field: self.message,
            expected: Bound::exactly(u64::try_from(self.expected_bytes).unwrap_or(u64::MAX)),
            got: self.got_bytes,
        }
    }
}
