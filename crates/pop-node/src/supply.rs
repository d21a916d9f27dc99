//! How much of a content lives, as a planner wants to know it.

use pop_wire::{ColumnSet, ContentId, PeerId};

use crate::error::NodeError;
use crate::node::Node;

/// What there is of a content, by the word of those who hold it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ContentSupply {
    /// The content.
    pub content: ContentId,
    /// Columns that rebuild it.
    pub k: u16,
    /// Columns in all.
    pub n: u16,
    /// Different columns on live nodes other than the one that was asked about.
    pub live: u16,
    /// The same with each holder's counted.
    pub copies: u32,
    /// Columns on the one that was asked about, if it answers.
    pub held: u16,
    /// Bytes of a column on a disk.
    pub column_bytes: u64,
    /// Bytes of plaintext.
    pub length_bytes: u64,
    /// Playing time in milliseconds, 0 if it has none.
    pub duration_ms: u64,
}

impl Node {
    /// Ask every live node how much of a content it holds; `own` is counted apart.
    ///
    /// # Errors
    /// [`NodeError::UnknownContent`] if nobody knows the content.
    pub async fn supply(
        &self,
        content: ContentId,
        own: PeerId,
    ) -> Result<ContentSupply, NodeError> {
        let inner = &self.inner;
        let found = inner.find(content).await?;
        let masternodes = inner.live_masternodes().await;
        let mut holdings = inner.live_holdings(content, &masternodes).await;
        let held = count(&holdings.remove(&own).unwrap_or_default());
        let live = holdings.values().fold(ColumnSet::new(), |all, set| all.union(set));
        let copies = holdings.values().map(|columns| u32::from(count(columns))).sum();
        let layout = found.layout();
        Ok(ContentSupply {
            content,
            k: layout.geometry().k(),
            n: layout.geometry().n(),
            live: count(&live),
            copies,
            held,
            column_bytes: layout.column_bytes(),
            length_bytes: layout.length_bytes(),
            duration_ms: found.manifest().duration_ms,
        })
    }
}

fn count(columns: &ColumnSet) -> u16 {
    u16::try_from(columns.len()).unwrap_or(u16::MAX)
}
