use core::fmt;

use crate::WireError;

/// A version of the exchange protocol. There is one so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProtocolVersion(pub u16);

impl ProtocolVersion {
    /// The first version.
    pub const V1: Self = Self(1);
}

impl fmt::Display for ProtocolVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{}", self.0)
    }
}

/// The versions that one side speaks, both ends included. Sent in the hello of each side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VersionRange {
    min: ProtocolVersion,
    max: ProtocolVersion,
}

impl VersionRange {
    /// What this crate speaks.
    pub const SUPPORTED: Self = Self { min: ProtocolVersion::V1, max: ProtocolVersion::V1 };

    /// A range from `min` to `max`.
    ///
    /// # Errors
    /// [`WireError::Range`] if `min` is zero or above `max`.
    pub fn new(min: ProtocolVersion, max: ProtocolVersion) -> Result<Self, WireError> {
        if min.0 == 0 || min > max {
            return Err(WireError::Range {
                field: "hello.version_min",
                expected: crate::Bound { min: 1, max: u64::from(max.0) },
                got: u64::from(min.0),
            });
        }
        Ok(Self { min, max })
    }

    /// Oldest version of the range.
    pub fn min(&self) -> ProtocolVersion {
        self.min
    }

    /// Newest version of the range.
    pub fn max(&self) -> ProtocolVersion {
        self.max
    }

    /// The newest version that both sides speak (`spec/wire.md` §6). Both sides compute the same.
    ///
    /// # Errors
    /// [`WireError::Version`] if the ranges don't overlap.
    pub fn negotiate(&self, theirs: &Self) -> Result<ProtocolVersion, WireError> {
        let newest = self.max.min(theirs.max);
        if newest < self.min || newest < theirs.min {
            return Err(WireError::Version { ours: *self, theirs: *theirs });
        }
        Ok(newest)
    }
}

impl fmt::Display for VersionRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..={}", self.min, self.max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(min: u16, max: u16) -> VersionRange {
        VersionRange::new(ProtocolVersion(min), ProtocolVersion(max)).unwrap()
    }

    #[test]
    fn both_sides_agree_on_the_newest_common_version() {
        assert_eq!(range(1, 4).negotiate(&range(2, 9)), Ok(ProtocolVersion(4)));
        assert_eq!(range(2, 9).negotiate(&range(1, 4)), Ok(ProtocolVersion(4)));
    }

    #[test]
    fn ranges_without_overlap_are_refused() {
        assert!(range(1, 2).negotiate(&range(3, 4)).is_err());
        assert!(range(3, 4).negotiate(&range(1, 2)).is_err());
    }

    #[test]
    fn version_zero_and_inverted_ranges_are_refused() {
        assert!(VersionRange::new(ProtocolVersion(0), ProtocolVersion(1)).is_err());
        assert!(VersionRange::new(ProtocolVersion(2), ProtocolVersion(1)).is_err());
    }
}
