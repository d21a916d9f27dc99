//! Which sources a segment comes from: the cheapest set that still meets the deadline
//! (`spec/incentive.md` §4.2).
//!
//! A segment needs k shards of different columns. A source delivers at most as many before the
//! deadline as its measured throughput allows, each for its price. The sets of deliveries that
//! are possible together form a matroid (a transversal one), so taking them by ascending price,
//! each if it still fits with those taken before, is optimal, not only close to it.
//!
//! Complexity: at most k + S augmenting searches, each over at most S sources and their columns:
//! O((k + S) * S * n) for S sources and n columns; with the limits, 2^25 steps at the very most.

use std::collections::VecDeque;

use pop_wire::{Amount, ColumnIndex, ColumnSet};

use crate::limits::SOURCES_MAX;

/// A source as it was measured and as it quotes.
#[derive(Debug, Clone)]
pub struct Source {
    /// Columns of the segment that it holds.
    pub columns: ColumnSet,
    /// Measured, in bytes per second.
    pub bytes_per_second: u64,
    /// Measured, from request to first byte, in milliseconds.
    pub latency_ms: u64,
    /// What one shard costs there.
    pub shard_price: Amount,
}

/// What is needed, and when.
#[derive(Debug, Clone, Copy)]
pub struct Need {
    /// Different shards of the segment.
    pub shards: u16,
    /// Bytes of each.
    pub shard_bytes: u64,
    /// Milliseconds until the last must be there.
    pub deadline_ms: u64,
}

/// What to ask of whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Index of a source and a column to ask it for; by source, then column.
    pub requests: Vec<(usize, ColumnIndex)>,
    /// What all of them cost.
    pub price: Amount,
}

/// Why there is no plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NegotiateError {
    /// All sources together are too slow, or hold too few columns.
    #[error("sources: expected {needed} shards before the deadline, at most {possible} can come")]
    TooSlow {
        /// Shards needed.
        needed: u16,
        /// Shards that could come.
        possible: u16,
    },
    /// The caller passed too many.
    #[error("sources: expected at most {max}, got {got}")]
    TooManySources {
        /// Limit.
        max: usize,
        /// How many there are.
        got: usize,
    },
    /// The price doesn't fit.
    #[error("sources: the price is too large")]
    Overflow,
}

/// The cheapest plan that meets the deadline. Of equally cheap ones, the one that prefers the
/// faster sources, then those that come first: the same input gives the same plan.
///
/// # Errors
/// [`NegotiateError`].
pub fn cheapest(sources: &[Source], need: &Need) -> Result<Plan, NegotiateError> {
    if sources.len() > SOURCES_MAX {
        return Err(NegotiateError::TooManySources { max: SOURCES_MAX, got: sources.len() });
    }
    let mut order: Vec<usize> = (0..sources.len()).collect();
    order.sort_by_key(|&index| {
        let source = &sources[index];
        (source.shard_price, core::cmp::Reverse(source.bytes_per_second), index)
    });
    let mut matching = Matching::new(sources);
    let mut taken = 0;
    for source in order {
        for _ in 0..sources[source].capacity(need) {
            if taken == need.shards || !matching.add(source) {
                break;
            }
            taken += 1;
        }
    }
    if taken < need.shards {
        return Err(NegotiateError::TooSlow { needed: need.shards, possible: taken });
    }
    matching.into_plan().ok_or(NegotiateError::Overflow)
}

impl Source {
    /// Shards that it delivers before the deadline.
    fn capacity(&self, need: &Need) -> usize {
        let time_ms = need.deadline_ms.saturating_sub(self.latency_ms);
        let bytes = u128::from(self.bytes_per_second) * u128::from(time_ms) / 1000;
        let shards = bytes / u128::from(need.shard_bytes.max(1));
        usize::try_from(shards).unwrap_or(usize::MAX).min(self.columns.len())
    }
}

/// Which source delivers which column.
struct Matching<'a> {
    sources: &'a [Source],
    /// By column.
    deliverers: Vec<Option<usize>>,
}

impl<'a> Matching<'a> {
    fn new(sources: &'a [Source]) -> Self {
        Self { sources, deliverers: vec![None; usize::from(u8::MAX)] }
    }

    /// Have `source` deliver one column more, by moving others to other columns if need be; none
    /// delivers fewer than before. `false` if that is impossible: nothing has changed then, and
    /// more of the same source stays impossible.
    fn add(&mut self, source: usize) -> bool {
        // Breadth first: by which source each column was reached, and through which column each
        // source was.
        let mut reached_by = vec![None; self.deliverers.len()];
        let mut gives_up: Vec<Option<ColumnIndex>> = vec![None; self.sources.len()];
        let mut queue = VecDeque::from([source]);
        while let Some(at) = queue.pop_front() {
            for column in self.sources[at].columns.iter() {
                let index = column.as_usize();
                if reached_by[index].is_some() {
                    continue;
                }
                reached_by[index] = Some(at);
                match self.deliverers[index] {
                    None => {
                        self.shift(source, column, &reached_by, &gives_up);
                        return true;
                    }
                    Some(other) if other != source && gives_up[other].is_none() => {
                        gives_up[other] = Some(column);
                        queue.push_back(other);
                    }
                    Some(_) => {}
                }
            }
        }
        false
    }

    /// Walk back from a free column: each source on the way takes the column found and gives up
    /// the one through which it was reached.
    fn shift(
        &mut self,
        source: usize,
        free: ColumnIndex,
        reached_by: &[Option<usize>],
        gives_up: &[Option<ColumnIndex>],
    ) {
        let mut column = free;
        while let Some(taker) = reached_by[column.as_usize()] {
            self.deliverers[column.as_usize()] = Some(taker);
            match gives_up[taker] {
                Some(given_up) if taker != source => column = given_up,
                _ => return,
            }
        }
    }

    fn into_plan(self) -> Option<Plan> {
        let columns = ColumnIndex::first(u8::MAX.into());
        let mut requests: Vec<_> = columns
            .filter_map(|column| Some((self.deliverers[column.as_usize()]?, column)))
            .collect();
        requests.sort_unstable();
        let price = requests.iter().try_fold(Amount::ZERO, |sum, (source, _)| {
            sum.checked_add(self.sources[*source].shard_price)
        })?;
        Some(Plan { requests, price })
    }
}
