use crate::{ContentId, SegmentRanges, WireError, proto};

/// What a viewer can serve of a content now, in place of what it said before: whole segments, each
/// with every column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Available {
    /// Of which content.
    pub content: ContentId,
    /// Which segments; none for nothing.
    pub segments: SegmentRanges,
}

impl Available {
    pub(super) fn from_proto(available: &proto::Available) -> Result<Self, WireError> {
        Ok(Self {
            content: ContentId::from_wire("available.content", &available.content)?,
            segments: SegmentRanges::from_wire("available.segments", &available.segments)?,
        })
    }

    pub(super) fn to_proto(&self) -> proto::Available {
        proto::Available { content: self.content.to_wire(), segments: self.segments.to_wire() }
    }
}
