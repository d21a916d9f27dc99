//! What is asked of a content of which few columns live (`spec/incentive.md` §15.2).

use std::collections::BTreeMap;

use pop_incentive::rate::Rate;
use pop_incentive::scarcity::Supply;
use pop_wire::{ContentId, Manifest, UnixTime};

/// The greatest count of so many seconds is what counts: a column that blinks moves no rate.
const MEMORY_S: u64 = 24 * 60 * 60;

/// Live columns, as they were counted.
#[derive(Debug, Default)]
pub(super) struct Rarity(BTreeMap<ContentId, Count>);

/// The greatest counts of two stretches of time, of which each is as long as the memory.
#[derive(Debug, Clone, Copy)]
struct Count {
    since: UnixTime,
    greatest: u16,
    before: u16,
}

impl Rarity {
    /// So many columns of each live. What isn't counted any more is forgotten in time.
    pub(super) fn counted(&mut self, live: BTreeMap<ContentId, u16>, now: UnixTime) {
        for (content, live) in live {
            let count =
                self.0.entry(content).or_insert(Count { since: now, greatest: 0, before: 0 });
            if now.0.saturating_sub(count.since.0) >= MEMORY_S {
                *count = Count { since: now, greatest: 0, before: count.greatest };
            }
            count.greatest = count.greatest.max(live);
        }
        let forgotten = |count: &Count| now.0.saturating_sub(count.since.0) >= 2 * MEMORY_S;
        self.0.retain(|_, count| !forgotten(count));
    }

    /// What to ask for a content: the base rate unless it is known to be rare.
    pub(super) fn asked(&self, content: ContentId, manifest: &Manifest, base: Rate) -> Rate {
        let Some(count) = self.0.get(&content) else { return base };
        let live = count.greatest.max(count.before);
        let supply = Supply::new(live, manifest.data_shards, manifest.total_shards);
        supply.and_then(|supply| supply.asked(base)).unwrap_or(base)
    }
}
