//! Names of things: contents, hashes, columns, segments, requests.

use core::fmt;
use core::str::FromStr;

use bytes::Bytes;
use data_encoding::BASE32_NOPAD_NOCASE;

use crate::limits::TOTAL_SHARDS_MAX;
use crate::{Bound, WireError};

/// A 32-byte hash or other opaque 32-byte value (salt, key commitment).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    pub(crate) fn from_wire(field: &'static str, bytes: &[u8]) -> Result<Self, WireError> {
        let array = <[u8; 32]>::try_from(bytes).map_err(|_| WireError::Length {
            field,
            expected: Bound::exactly(32),
            got: bytes.len(),
        })?;
        Ok(Self(array))
    }

    pub(crate) fn to_wire(self) -> Bytes {
        Bytes::copy_from_slice(&self.0)
    }

    /// Read a path: hashes side by side, at most `max` of them.
    pub(crate) fn path_from_wire(
        field: &'static str,
        bytes: &[u8],
        max: usize,
    ) -> Result<Vec<Self>, WireError> {
        let (hashes, rest) = bytes.as_chunks::<32>();
        if !rest.is_empty() || hashes.len() > max {
            let max_bytes = u64::try_from(max * 32).unwrap_or(u64::MAX);
            return Err(WireError::Length {
                field,
                expected: Bound::at_most(max_bytes),
                got: bytes.len(),
            });
        }
        Ok(hashes.iter().copied().map(Self).collect())
    }

    pub(crate) fn path_to_wire(path: &[Self]) -> Bytes {
        let mut out = Vec::with_capacity(path.len() * 32);
        path.iter().for_each(|hash| out.extend_from_slice(&hash.0));
        out.into()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// Name of a content: the hash of its manifest's signed body (`spec/content.md` §6).
///
/// Written as 52 characters of lower-case base32, so that it is also a DNS label.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentId(pub [u8; 32]);

impl ContentId {
    pub(crate) fn from_wire(field: &'static str, bytes: &[u8]) -> Result<Self, WireError> {
        Digest::from_wire(field, bytes).map(|digest| Self(digest.0))
    }

    pub(crate) fn to_wire(self) -> Bytes {
        Bytes::copy_from_slice(&self.0)
    }
}

impl fmt::Display for ContentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let upper = BASE32_NOPAD_NOCASE.encode(&self.0);
        f.write_str(&upper.to_ascii_lowercase())
    }
}

impl fmt::Debug for ContentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl FromStr for ContentId {
    type Err = WireError;

    fn from_str(text: &str) -> Result<Self, WireError> {
        let expected = Bound::exactly(52);
        if text.len() != 52 {
            return Err(WireError::Length { field: "content id", expected, got: text.len() });
        }
        let bytes = BASE32_NOPAD_NOCASE
            .decode(text.as_bytes())
            .map_err(|_| WireError::Invalid { field: "content id", problem: "not base32" })?;
        Self::from_wire("content id", &bytes)
    }
}

/// Number of a segment within its content, from zero.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SegmentIndex(pub u64);

impl fmt::Display for SegmentIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "segment {}", self.0)
    }
}

/// Number of a column: shard `i` of every segment. Below [`TOTAL_SHARDS_MAX`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ColumnIndex(u16);

impl ColumnIndex {
    /// Column `index`.
    ///
    /// # Errors
    /// [`WireError::Range`] if `index` is not below [`TOTAL_SHARDS_MAX`].
    pub fn new(index: u16) -> Result<Self, WireError> {
        Self::from_wire("column", u32::from(index))
    }

    /// The number.
    pub fn get(self) -> u16 {
        self.0
    }

    /// The number, to index a slice with.
    pub fn as_usize(self) -> usize {
        usize::from(self.0)
    }

    /// The columns `0..count`, at most [`TOTAL_SHARDS_MAX`] of them.
    pub fn first(count: u16) -> impl DoubleEndedIterator<Item = Self> + Clone {
        (0..count.min(TOTAL_SHARDS_MAX)).map(Self)
    }

    pub(crate) fn from_wire(field: &'static str, index: u32) -> Result<Self, WireError> {
        match u16::try_from(index) {
            Ok(small) if small < TOTAL_SHARDS_MAX => Ok(Self(small)),
            _ => Err(WireError::Range {
                field,
                expected: Bound::at_most(u64::from(TOTAL_SHARDS_MAX) - 1),
                got: u64::from(index),
            }),
        }
    }
}

impl fmt::Display for ColumnIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "column {}", self.0)
    }
}

/// A set of columns; iterates in ascending order. On the wire a bit set, at most 32 bytes, its
/// last byte not zero; the lowest bit of byte 0 is column 0.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ColumnSet {
    words: [u64; 4],
}

impl ColumnSet {
    /// No column.
    pub fn new() -> Self {
        Self::default()
    }

    /// Every column below `count`.
    pub fn all(count: u16) -> Self {
        ColumnIndex::first(count).collect()
    }

    /// Add a column; `false` if it was there.
    pub fn insert(&mut self, column: ColumnIndex) -> bool {
        let (word, bit) = Self::position(column);
        let new = self.words[word] & bit == 0;
        self.words[word] |= bit;
        new
    }

    /// Take a column out; `false` if it was not there.
    pub fn remove(&mut self, column: ColumnIndex) -> bool {
        let (word, bit) = Self::position(column);
        let there = self.words[word] & bit != 0;
        self.words[word] &= !bit;
        there
    }

    /// Whether the column is there.
    pub fn contains(&self, column: ColumnIndex) -> bool {
        let (word, bit) = Self::position(column);
        self.words[word] & bit != 0
    }

    /// How many columns.
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.words == [0; 4]
    }

    /// What is in either.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        let mut words = self.words;
        words.iter_mut().zip(other.words).for_each(|(mine, theirs)| *mine |= theirs);
        Self { words }
    }

    /// What is here and not in `other`.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        let mut words = self.words;
        words.iter_mut().zip(other.words).for_each(|(mine, theirs)| *mine &= !theirs);
        Self { words }
    }

    /// The columns, ascending.
    pub fn iter(&self) -> impl Iterator<Item = ColumnIndex> + '_ {
        ColumnIndex::first(TOTAL_SHARDS_MAX).filter(|column| self.contains(*column))
    }

    fn position(column: ColumnIndex) -> (usize, u64) {
        (column.as_usize() / 64, 1 << (column.0 % 64))
    }

    pub(crate) fn from_wire(field: &'static str, bytes: &[u8]) -> Result<Self, WireError> {
        if bytes.len() > 32 {
            return Err(WireError::Length {
                field,
                expected: Bound::at_most(32),
                got: bytes.len(),
            });
        }
        let invalid = |problem| WireError::Invalid { field, problem };
        if bytes.last() == Some(&0) {
            return Err(invalid("trailing zero byte"));
        }
        let mut padded = [0; 32];
        padded[..bytes.len()].copy_from_slice(bytes);
        let (chunks, _) = padded.as_chunks::<8>();
        let mut words = [0; 4];
        words.iter_mut().zip(chunks).for_each(|(word, chunk)| *word = u64::from_le_bytes(*chunk));
        if words[3] >> 63 != 0 {
            return Err(invalid("column 255 does not exist"));
        }
        Ok(Self { words })
    }

    pub(crate) fn to_wire(self) -> Bytes {
        let mut bytes: Vec<u8> = self.words.iter().flat_map(|word| word.to_le_bytes()).collect();
        while bytes.last() == Some(&0) {
            bytes.pop();
        }
        bytes.into()
    }
}

impl FromIterator<ColumnIndex> for ColumnSet {
    fn from_iter<I: IntoIterator<Item = ColumnIndex>>(columns: I) -> Self {
        let mut set = Self::new();
        columns.into_iter().for_each(|column| {
            set.insert(column);
        });
        set
    }
}

impl fmt::Debug for ColumnSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(ColumnIndex::get)).finish()
    }
}

/// Number that a requester gives to a request and finds in the reply. Unique per link while the
/// request is open.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "request {}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn column_sets_survive_the_wire(columns in prop::collection::btree_set(0_u16..255, 0..40)) {
            let set: ColumnSet = columns.iter().map(|c| ColumnIndex::new(*c).unwrap()).collect();
            prop_assert_eq!(set.len(), columns.len());
            prop_assert_eq!(ColumnSet::from_wire("set", &set.to_wire()).unwrap(), set);
        }
    }

    #[test]
    fn content_ids_are_written_as_a_dns_label_and_read_back() {
        let id = ContentId([0xa5; 32]);
        let text = id.to_string();
        assert_eq!(text.len(), 52);
        assert_eq!(text.parse::<ContentId>().unwrap(), id);
        assert!("short".parse::<ContentId>().is_err());
        assert!("!".repeat(52).parse::<ContentId>().is_err());
    }

    #[test]
    fn column_sets_with_padding_or_an_impossible_column_are_refused() {
        assert!(ColumnSet::from_wire("set", &[1, 0]).is_err());
        assert!(ColumnSet::from_wire("set", &[0xff; 32]).is_err());
        assert!(ColumnSet::from_wire("set", &[1; 33]).is_err());
        assert!(ColumnIndex::new(255).is_err());
    }
}
