//! One shard as it lies in a column's file, with the checksum that finds what the disk did to it.

use bytes::{Bytes, BytesMut};
use pop_wire::{ColumnIndex, ContentId, Digest, SegmentIndex};
use twox_hash::XxHash3_64;

use super::layout::RecordShape;

/// A shard with its way up to the manifest's root, as the store returns it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredShard {
    /// The shard's bytes.
    pub payload: Bytes,
    /// From the shard's hash to the segment's root.
    pub segment_path: Vec<Digest>,
    /// From the segment's leaf to the content's root.
    pub content_path: Vec<Digest>,
}

/// Which record it is. It goes into the checksum, so that a record which the disk put or found at
/// the wrong place does not pass for another.
#[derive(Clone, Copy, Debug)]
pub(super) struct RecordId {
    pub(super) content: ContentId,
    pub(super) column: ColumnIndex,
    pub(super) segment: SegmentIndex,
}

impl RecordId {
    fn checksum(&self, bytes: &[u8]) -> u64 {
        let content = self.content.0.first_chunk().copied().unwrap_or_default();
        let place = u64::from(self.column.get()) << 32 ^ self.segment.0;
        XxHash3_64::oneshot_with_seed(u64::from_le_bytes(content) ^ place, bytes)
    }

    /// The bytes to write. The lengths of the parts were checked against the layout.
    pub(super) fn encode(
        &self,
        payload: &[u8],
        segment_path: &[Digest],
        content_path: &[Digest],
        shape: RecordShape,
    ) -> Vec<u8> {
        let mut record = Vec::with_capacity(shape.record_bytes());
        record.extend_from_slice(payload);
        for hash in segment_path.iter().chain(content_path) {
            record.extend_from_slice(&hash.0);
        }
        let checksum = self.checksum(&record);
        record.extend_from_slice(&checksum.to_le_bytes());
        record
    }

    /// The shard in `record`, or `None` if these are not the bytes that were written.
    pub(super) fn decode(&self, record: BytesMut, shape: RecordShape) -> Option<StoredShard> {
        let mut record = record.freeze();
        let (data, stored) = record.split_last_chunk()?;
        if self.checksum(data) != u64::from_le_bytes(*stored) {
            return None;
        }
        let payload = record.split_to(shape.shard_bytes);
        let (hashes, _) = record.as_chunks::<32>();
        let (segment_path, rest) = hashes.split_at_checked(shape.segment_path_len)?;
        let content_path = rest.get(..shape.content_path_len)?;
        let digests = |hashes: &[[u8; 32]]| hashes.iter().copied().map(Digest).collect();
        Some(StoredShard {
            payload,
            segment_path: digests(segment_path),
            content_path: digests(content_path),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flipped_bit_and_every_wrong_place_is_found() {
        let shape = RecordShape { shard_bytes: 64, segment_path_len: 2, content_path_len: 1 };
        let id = |content: u8, column, segment| RecordId {
            content: ContentId([content; 32]),
            column: ColumnIndex::new(column).unwrap(),
            segment: SegmentIndex(segment),
        };
        let (here, hashes) = (id(1, 2, 3), [Digest([4; 32]), Digest([5; 32])]);
        let good = here.encode(&[6; 64], &hashes, &hashes[..1], shape);
        let decode = |id: RecordId, bytes: &[u8]| id.decode(BytesMut::from(bytes), shape);
        let shard = decode(here, &good).unwrap();
        assert_eq!(shard.payload, [6; 64].as_slice());
        assert_eq!((shard.segment_path.as_slice(), shard.content_path.len()), (&hashes[..], 1));
        for position in 0..good.len() * 8 {
            let mut flipped = good.clone();
            flipped[position / 8] ^= 1 << (position % 8);
            assert_eq!(decode(here, &flipped), None, "bit {position}");
        }
        for elsewhere in [id(9, 2, 3), id(1, 9, 3), id(1, 2, 9), id(1, 3, 2)] {
            assert_eq!(decode(elsewhere, &good), None, "{elsewhere:?}");
        }
        assert_eq!(decode(here, &vec![0; good.len()]), None, "zeros");
    }
}
