//! The two trees that bind every shard to one root (`spec/content.md` §6).
//!
//! Shape of RFC 6962: over m > 1 leaves, the left subtree takes the largest power of two that is
//! strictly less than m. A path lists the sibling hashes from the leaf up to the root.

use std::sync::LazyLock;

use crate::{Digest, SegmentIndex};

/// One BLAKE3 state per domain: deriving the context key anew would cost a compression a call.
struct Domain(LazyLock<blake3::Hasher>);

impl Domain {
    fn hash(&self, parts: &[&[u8]]) -> Digest {
        let mut hasher = self.0.clone();
        for part in parts {
            hasher.update(part);
        }
        Digest(*hasher.finalize().as_bytes())
    }
}

static SHARD: Domain =
    Domain(LazyLock::new(|| blake3::Hasher::new_derive_key("POP 2026 shard v1")));
static NODE: Domain =
    Domain(LazyLock::new(|| blake3::Hasher::new_derive_key("POP 2026 merkle node v1")));
static SEGMENT: Domain =
    Domain(LazyLock::new(|| blake3::Hasher::new_derive_key("POP 2026 segment v1")));

/// Leaf of a segment's tree: the hash of one shard's bytes.
#[must_use]
pub fn shard_hash(shard: &[u8]) -> Digest {
    SHARD.hash(&[shard])
}

/// Leaf of the content's tree: binds a segment's root to its index and shard length.
#[must_use]
pub fn segment_leaf(segment: SegmentIndex, shard_bytes: u32, segment_root: &Digest) -> Digest {
    SEGMENT.hash(&[&segment.0.to_be_bytes(), &shard_bytes.to_be_bytes(), &segment_root.0])
}

fn node(left: &Digest, right: &Digest) -> Digest {
    NODE.hash(&[&left.0, &right.0])
}

/// A whole tree in memory: 64 bytes a leaf.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MerkleTree {
    /// Leaves first, the root alone last. A node without a sibling rises unchanged.
    levels: Vec<Vec<Digest>>,
}

impl MerkleTree {
    /// The tree over at least one leaf.
    ///
    /// # Panics
    /// Without leaves: no content and no segment is without.
    #[must_use]
    pub fn new(leaves: Vec<Digest>) -> Self {
        assert!(!leaves.is_empty(), "a tree has leaves");
        let mut levels = vec![leaves];
        while let Some(below) = levels.last().filter(|level| level.len() > 1) {
            let above = below
                .chunks(2)
                .map(|pair| match pair {
                    [left, right] => node(left, right),
                    _ => pair[0],
                })
                .collect();
            levels.push(above);
        }
        Self { levels }
    }

    /// The root.
    #[must_use]
    pub fn root(&self) -> Digest {
        self.levels[self.levels.len() - 1][0]
    }

    /// Leaf `index`; `None` past the last.
    #[must_use]
    pub fn leaf(&self, index: usize) -> Option<Digest> {
        self.levels[0].get(index).copied()
    }

    /// Number of leaves.
    #[must_use]
    pub fn leaf_count(&self) -> usize {
        self.levels[0].len()
    }

    /// Sibling hashes from leaf `index` to the root; `None` past the last leaf.
    #[must_use]
    pub fn path(&self, index: usize) -> Option<Vec<Digest>> {
        if index >= self.leaf_count() {
            return None;
        }
        let path = self.levels.iter().enumerate();
        Some(path.filter_map(|(height, level)| level.get((index >> height) ^ 1)).copied().collect())
    }
}

/// Length of the path of leaf `index` in a tree of `leaf_count` leaves.
#[must_use]
pub fn path_length(index: u64, leaf_count: u64) -> usize {
    let (mut index, mut last, mut length) = (index, leaf_count.saturating_sub(1), 0);
    while last > 0 {
        if index ^ 1 <= last {
            length += 1;
        }
        index >>= 1;
        last >>= 1;
    }
    length
}

/// The root that `path` leads to from `leaf` at `index` of `leaf_count`; `None` when the path has
/// the wrong length or the index is past the end.
#[must_use]
pub fn root_from_path(
    leaf: Digest,
    index: u64,
    leaf_count: u64,
    path: &[Digest],
) -> Option<Digest> {
    if index >= leaf_count || path.len() != path_length(index, leaf_count) {
        return None;
    }
    let (mut hash, mut index, mut last) = (leaf, index, leaf_count - 1);
    let mut siblings = path.iter();
    while last > 0 {
        if index & 1 == 1 {
            hash = node(siblings.next()?, &hash);
        } else if index < last {
            hash = node(&hash, siblings.next()?);
        }
        index >>= 1;
        last >>= 1;
    }
    Some(hash)
}
