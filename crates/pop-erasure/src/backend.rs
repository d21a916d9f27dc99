//! The erasure code itself: systematic Cauchy Reed-Solomon over GF(2^8), polynomial 0x11d, in the
//! matrix of ISA-L's `gf_gen_cauchy1_matrix` (`spec/content.md` §3.1). The crate that computes it
//! is named in this file only.

use std::fmt;
use std::sync::Arc;

use pop_wire::{ColumnIndex, ColumnSet};
use rusty_erasure::{Coder, DecodePlan, Matrix};

use crate::Geometry;

/// The code of one geometry. Clones share the tables.
#[derive(Clone)]
pub(crate) struct Code {
    geometry: Geometry,
    coder: Arc<Coder>,
    /// Neighbouring segments miss the same columns, so one inverted matrix serves many.
    last: Option<Plan>,
}

#[derive(Clone)]
struct Plan {
    used: ColumnSet,
    wanted: ColumnSet,
    plan: DecodePlan,
}

// The tables tell a reader nothing.
impl fmt::Debug for Code {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Code").field(&self.geometry).finish()
    }
}

impl Code {
    pub(crate) fn new(geometry: Geometry) -> Self {
        let (k, n) = (usize::from(geometry.k()), usize::from(geometry.n()));
        let coder = Matrix::cauchy(k, n - k)
            .and_then(rusty_erasure::coder)
            .expect("a Geometry has 2 <= k < n <= 255, all of which have a Cauchy matrix");
        Self { geometry, coder: Arc::new(coder), last: None }
    }

    pub(crate) fn geometry(&self) -> Geometry {
        self.geometry
    }

    /// Fill in the parity: `shards` is n shards side by side, the first k of them data.
    pub(crate) fn encode(&self, shards: &mut [u8], shard_bytes: usize) {
        let (data, parity) = shards.split_at_mut(usize::from(self.geometry.k()) * shard_bytes);
        let data: Vec<&[u8]> = data.chunks_exact(shard_bytes).collect();
        let mut parity: Vec<&mut [u8]> = parity.chunks_exact_mut(shard_bytes).collect();
        self.coder
            .encode(&data, &mut parity)
            .expect("k data and n - k parity shards of one length");
    }

    /// Rebuild the columns `wanted` (ascending) into `out`, from k shards of different columns.
    pub(crate) fn rebuild(
        &mut self,
        shards: &[(ColumnIndex, &[u8])],
        wanted: &[ColumnIndex],
        out: &mut [&mut [u8]],
    ) {
        if wanted.is_empty() {
            return;
        }
        let mut all: Vec<Option<&[u8]>> = vec![None; usize::from(self.geometry.n())];
        for (column, shard) in shards {
            all[column.as_usize()] = Some(shard);
        }
        let used = shards.iter().map(|(column, _)| *column).collect();
        let coder = Arc::clone(&self.coder);
        coder
            .recover_with(self.plan(used, wanted), &all, out)
            .expect("k shards of one length, and an output of that length for each wanted column");
    }

    fn plan(&mut self, used: ColumnSet, wanted: &[ColumnIndex]) -> &DecodePlan {
        let wanted_set = wanted.iter().copied().collect();
        let reusable = self.last.take_if(|last| last.used == used && last.wanted == wanted_set);
        let plan = reusable.unwrap_or_else(|| {
            let present: Vec<bool> =
                ColumnIndex::first(self.geometry.n()).map(|c| used.contains(c)).collect();
            let rebuild: Vec<usize> = wanted.iter().map(|c| c.as_usize()).collect();
            let plan = self
                .coder
                .decode_plan(&present, &rebuild)
                .expect("every k rows of a systematic Cauchy matrix are independent");
            Plan { used, wanted: wanted_set, plan }
        });
        &self.last.insert(plan).plan
    }
}
