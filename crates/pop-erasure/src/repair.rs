//! Missing columns made anew from k others, on ciphertext: [`Repairer`].

use pop_wire::{ColumnIndex, ColumnSet, SegmentIndex};

use crate::backend::Code;
use crate::decoder::{choose, rebuild_apart};
use crate::error::DecodeError;
use crate::evidence::EquivocationProof;
use crate::{Content, VerifiedShard};

/// Rebuilds columns of one content, segment by segment. Needs no key, and proves every segment
/// against the publisher's root before it gives anything out.
#[derive(Clone, Debug)]
pub struct Repairer {
    content: Content,
    code: Code,
}

impl Repairer {
    /// A repairer of `content`.
    #[must_use]
    pub fn new(content: Content) -> Self {
        let code = Code::new(content.layout().geometry());
        Self { content, code }
    }

    /// The shards of `columns` of one segment, with their proofs, from any k of its shards.
    ///
    /// # Errors
    /// [`DecodeError`]: too few or foreign shards, or a column that doesn't exist, are the
    /// caller's fault; [`DecodeError::Equivocation`] is the publisher's.
    pub fn rebuild(
        &mut self,
        segment: SegmentIndex,
        shards: &[VerifiedShard],
        columns: ColumnSet,
    ) -> Result<Vec<VerifiedShard>, DecodeError> {
        let n = self.content.layout().geometry().n();
        if let Some(column) = columns.iter().find(|column| column.get() >= n) {
            return Err(DecodeError::NoSuchColumn { columns: n, column });
        }
        let chosen = choose(&self.content, segment, shards)?;
        let shard_bytes = chosen[0].payload.len();
        let (computed, tree) = rebuild_apart(&mut self.code, &chosen);
        let root = tree.root();
        if root != chosen[0].segment_root {
            let proof = EquivocationProof::new(&self.content, segment, &chosen);
            return Err(DecodeError::Equivocation(Box::new(proof)));
        }
        // Those given are handed on, those computed are slices of one allocation.
        let mut computed = computed.freeze();
        let mut given = chosen.iter().peekable();
        let all = ColumnIndex::first(n).map(|column| {
            let payload = match given.next_if(|shard| shard.column == column) {
                Some(shard) => shard.payload.clone(),
                None => computed.split_to(shard_bytes),
            };
            (column, payload)
        });
        let content_path = &chosen[0].content_path;
        let rebuilt =
            all.filter(|(column, _)| columns.contains(*column)).filter_map(|(column, payload)| {
                Some(VerifiedShard {
                    content: self.content.id(),
                    segment,
                    column,
                    payload,
                    hash: tree.leaf(column.as_usize())?,
                    segment_root: root,
                    segment_path: tree.path(column.as_usize())?,
                    content_path: content_path.clone(),
                })
            });
        Ok(rebuilt.collect())
    }
}
