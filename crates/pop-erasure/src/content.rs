//! A content as its verified manifest describes it, and the check of every shard: [`Content`],
//! [`VerifiedShard`], [`ShardSet`].

use bytes::Bytes;
use pop_wire::sorted::SortedMap;
use pop_wire::{ColumnIndex, ContentId, Digest, Manifest, SegmentIndex, Verified};

use crate::error::{LayoutError, ShardFault};
use crate::{Layout, merkle};

/// What is needed to tell this content's shards from anything else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    id: ContentId,
    manifest: Verified<Manifest>,
    layout: Layout,
}

impl Content {
    /// The content of a manifest whose signature was checked.
    ///
    /// # Errors
    /// The sizes in it are impossible: the publisher's fault.
    pub fn new(manifest: Verified<Manifest>) -> Result<Self, LayoutError> {
        Ok(Self { id: manifest.content_id(), layout: Layout::of(&manifest)?, manifest })
    }

    /// The content's name.
    #[must_use]
    pub fn id(&self) -> ContentId {
        self.id
    }

    /// What the publisher signed.
    #[must_use]
    pub fn manifest(&self) -> &Verified<Manifest> {
        &self.manifest
    }

    /// Where every byte is.
    #[must_use]
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Check a shard against the publisher's root. Holders do this before they store or pay,
    /// viewers before they decode.
    ///
    /// Cost: one hash of the payload and one small hash for each entry of the paths.
    ///
    /// # Errors
    /// [`ShardFault`] says what is wrong with it: the sender's fault.
    pub fn verify_shard(
        &self,
        segment: SegmentIndex,
        column: ColumnIndex,
        payload: Bytes,
        segment_path: Vec<Digest>,
        content_path: Vec<Digest>,
    ) -> Result<VerifiedShard, ShardFault> {
        let shard = self.hash_shard(segment, column, payload, segment_path, content_path)?;
        self.verify_segment_root(&shard)?;
        Ok(shard)
    }

    /// Everything but the way from the segment's root to the content's.
    fn hash_shard(
        &self,
        segment: SegmentIndex,
        column: ColumnIndex,
        payload: Bytes,
        segment_path: Vec<Digest>,
        content_path: Vec<Digest>,
    ) -> Result<VerifiedShard, ShardFault> {
        let columns = self.layout.geometry().n();
        if column.get() >= columns {
            return Err(ShardFault::NoSuchColumn { columns, column });
        }
        let segments = self.layout.segment_count();
        let no_such_segment = ShardFault::NoSuchSegment { segments, segment };
        let expected = self.layout.shard_bytes(segment).ok_or(no_such_segment)?;
        if u32::try_from(payload.len()) != Ok(expected) {
            return Err(ShardFault::Length { expected, got: payload.len() });
        }
        let (expected, got) = (self.layout.content_path_length(segment), content_path.len());
        if got != expected {
            return Err(ShardFault::ContentPath { expected, got });
        }
        let (index, count) = (u64::from(column.get()), u64::from(columns));
        let hash = merkle::shard_hash(&payload);
        let segment_root =
            merkle::root_from_path(hash, index, count, &segment_path).ok_or_else(|| {
                let expected = self.layout.segment_path_length(column);
                ShardFault::SegmentPath { expected, got: segment_path.len() }
            })?;
        Ok(VerifiedShard {
            content: self.id,
            segment,
            column,
            payload,
            hash,
            segment_root,
            segment_path,
            content_path,
        })
    }

    fn verify_segment_root(&self, shard: &VerifiedShard) -> Result<(), ShardFault> {
        let VerifiedShard { segment, column, .. } = *shard;
        let not_committed = ShardFault::NotCommitted { segment, column };
        let shard_bytes = self.layout.shard_bytes(segment).ok_or(not_committed)?;
        let leaf = merkle::segment_leaf(segment, shard_bytes, &shard.segment_root);
        let count = self.layout.segment_count();
        match merkle::root_from_path(leaf, segment.0, count, &shard.content_path) {
            Some(root) if root == self.manifest.root => Ok(()),
            _ => Err(not_committed),
        }
    }
}

/// A shard that is what the publisher signed. Made by [`Content::verify_shard`], by a
/// [`ShardSet`] and by [`repair`](crate::Repairer) only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedShard {
    pub(crate) content: ContentId,
    pub(crate) segment: SegmentIndex,
    pub(crate) column: ColumnIndex,
    pub(crate) payload: Bytes,
    pub(crate) hash: Digest,
    pub(crate) segment_root: Digest,
    pub(crate) segment_path: Vec<Digest>,
    pub(crate) content_path: Vec<Digest>,
}

impl VerifiedShard {
    /// The content it is of.
    #[must_use]
    pub fn content(&self) -> ContentId {
        self.content
    }

    /// The segment it is of.
    #[must_use]
    pub fn segment(&self) -> SegmentIndex {
        self.segment
    }

    /// The column it is of.
    #[must_use]
    pub fn column(&self) -> ColumnIndex {
        self.column
    }

    /// Its bytes.
    #[must_use]
    pub fn payload(&self) -> &Bytes {
        &self.payload
    }

    /// Root over its segment's shards.
    #[must_use]
    pub fn segment_root(&self) -> Digest {
        self.segment_root
    }

    /// The hashes from the shard to its segment's root.
    #[must_use]
    pub fn segment_path(&self) -> &[Digest] {
        &self.segment_path
    }

    /// The hashes from the segment to the content's root.
    #[must_use]
    pub fn content_path(&self) -> &[Digest] {
        &self.content_path
    }
}

/// The shards of one segment, as they arrive. A wrong one is named and dropped, a second one of
/// the same column is dropped, and a right one is kept.
#[derive(Clone, Debug)]
pub struct ShardSet<'a> {
    content: &'a Content,
    segment: SegmentIndex,
    shards: SortedMap<ColumnIndex, VerifiedShard>,
}

impl<'a> ShardSet<'a> {
    /// An empty set for `segment` of `content`.
    #[must_use]
    pub fn new(content: &'a Content, segment: SegmentIndex) -> Self {
        Self { content, segment, shards: SortedMap::new() }
    }

    /// Check a shard and keep it. The way from the segment's root to the content's is walked
    /// once for the whole set.
    ///
    /// # Errors
    /// [`ShardFault`]: the sender's fault.
    pub fn insert(
        &mut self,
        column: ColumnIndex,
        payload: Bytes,
        segment_path: Vec<Digest>,
        content_path: Vec<Digest>,
    ) -> Result<(), ShardFault> {
        let segment = self.segment;
        let shard =
            self.content.hash_shard(segment, column, payload, segment_path, content_path)?;
        match self.shards.values().next() {
            Some(known) => {
                if (known.segment_root, &known.content_path)
                    != (shard.segment_root, &shard.content_path)
                {
                    return Err(ShardFault::NotCommitted { segment, column });
                }
            }
            None => self.content.verify_segment_root(&shard)?,
        }
        self.shards.entry(column).or_insert(shard);
        Ok(())
    }

    /// Different shards there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shards.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.shards.is_empty()
    }

    /// Whether there are enough to decode.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.len() >= usize::from(self.content.layout.geometry().k())
    }

    /// The shards, by column.
    #[must_use]
    pub fn into_shards(self) -> Vec<VerifiedShard> {
        self.shards.into_values().collect()
    }
}
