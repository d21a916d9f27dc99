//! Plaintext in memory: what readers are about to take, and a few segments beside it.

use std::ops::Range;

use bytes::Bytes;
use pop_wire::sorted::SortedMap;

#[derive(Debug, Default)]
pub(super) struct Plain {
    /// By segment: the bytes, and when they were used last.
    segments: SortedMap<u64, (Bytes, u64)>,
    uses: u64,
}

impl Plain {
    pub(super) fn has(&self, segment: u64) -> bool {
        self.segments.contains_key(&segment)
    }

    pub(super) fn get(&mut self, segment: u64) -> Option<Bytes> {
        self.uses += 1;
        let (bytes, used) = self.segments.get_mut(&segment)?;
        *used = self.uses;
        Some(bytes.clone())
    }

    pub(super) fn insert(&mut self, segment: u64, bytes: Bytes) {
        self.uses += 1;
        self.segments.insert(segment, (bytes, self.uses));
    }

    /// Let go of what is in none of `needed`, but for `spare` segments that were used last.
    pub(super) fn trim(&mut self, needed: &[Range<u64>], spare: usize) {
        let is_needed = |segment: u64| needed.iter().any(|range| range.contains(&segment));
        let others = self.segments.iter().filter(|(segment, _)| !is_needed(**segment));
        let mut others: Vec<_> = others.map(|(segment, (_, used))| (*used, *segment)).collect();
        others.sort_unstable();
        let excess = others.len().saturating_sub(spare);
        for (_, segment) in others.into_iter().take(excess) {
            self.segments.remove(&segment);
        }
    }

    pub(super) fn segments(&self) -> impl Iterator<Item = u64> + '_ {
        self.segments.keys().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_needed_stays_and_of_the_rest_what_was_used_last() {
        let mut plain = Plain::default();
        (0..10).for_each(|segment| plain.insert(segment, Bytes::from_static(b"x")));
        assert!(plain.get(1).is_some());
        plain.trim(&[3..5, 9..20], 2);
        assert_eq!(plain.segments().collect::<Vec<_>>(), [1, 3, 4, 8, 9]);
        assert!(!plain.has(0));
    }
}
