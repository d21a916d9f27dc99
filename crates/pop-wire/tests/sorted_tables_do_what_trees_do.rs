//! `SortedMap` and `SortedSet` beside `BTreeMap` and `BTreeSet`: the same steps, the same answers.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use pop_wire::sorted::{SortedMap, SortedSet};
use proptest::prelude::*;

/// One step on a map of few keys, so that they meet.
#[derive(Debug, Clone)]
enum Step {
    Insert(u8, u16),
    Remove(u8),
    Add(u8, u16),
    OrDefault(u8),
    Change(u8, u16),
    PopFirst,
    Retain(u8),
    ChangeRange(u8, u8),
    Extend(Vec<(u8, u16)>),
    Clear,
}

fn step() -> impl Strategy<Value = Step> {
    let key = || 0_u8..24;
    prop_oneof![
        6 => (key(), any::<u16>()).prop_map(|(key, value)| Step::Insert(key, value)),
        4 => key().prop_map(Step::Remove),
        3 => (key(), any::<u16>()).prop_map(|(key, value)| Step::Add(key, value)),
        2 => key().prop_map(Step::OrDefault),
        2 => (key(), any::<u16>()).prop_map(|(key, value)| Step::Change(key, value)),
        1 => Just(Step::PopFirst),
        1 => (1_u8..5).prop_map(Step::Retain),
        1 => (key(), key()).prop_map(|(from, to)| Step::ChangeRange(from.min(to), from.max(to))),
        1 => prop::collection::vec((key(), any::<u16>()), 0..8).prop_map(Step::Extend),
        1 => Just(Step::Clear),
    ]
}

/// Takes the same step on both kinds of map, which have the same names for it.
macro_rules! take {
    ($map:expr, $step:expr) => {
        match $step.clone() {
            Step::Insert(key, value) => $map.insert(key, value),
            Step::Remove(key) => $map.remove(&key),
            Step::Add(key, value) => {
                let there = $map.entry(key).or_insert(value);
                *there = there.wrapping_add(1);
                Some(*there)
            }
            Step::OrDefault(key) => Some(*$map.entry(key).or_default()),
            Step::Change(key, value) => {
                $map.get_mut(&key).map(|there| std::mem::replace(there, value))
            }
            Step::PopFirst => $map.pop_first().map(|(key, value)| value ^ u16::from(key)),
            Step::Retain(divisor) => {
                $map.retain(|key, value| {
                    *value = value.wrapping_mul(3);
                    key % divisor != 0
                });
                None
            }
            Step::ChangeRange(from, to) => {
                $map.range_mut(from..to).rev().for_each(|(key, value)| *value ^= u16::from(*key));
                $map.iter_mut().next_back().map(|(_, value)| *value)
            }
            Step::Extend(entries) => {
                $map.extend(entries);
                None
            }
            Step::Clear => {
                $map.clear();
                None
            }
        }
    };
}

proptest! {
    #[test]
    fn a_map_agrees_with_a_tree(
        first in prop::collection::vec((0_u8..24, any::<u16>()), 0..16),
        steps in prop::collection::vec(step(), 0..60),
        from in 0_u8..24,
        to in 0_u8..24,
    ) {
        let mut map: SortedMap<u8, u16> = first.iter().copied().collect();
        let mut tree: BTreeMap<u8, u16> = first.into_iter().collect();
        for step in steps {
            prop_assert_eq!(take!(map, step), take!(tree, step), "{:?}", step);
            prop_assert!(map.iter().eq(tree.iter()), "{:?}: {:?} {:?}", step, map, tree);
        }
        prop_assert_eq!((map.len(), map.is_empty()), (tree.len(), tree.is_empty()));
        prop_assert_eq!(map.first_key_value(), tree.first_key_value());
        prop_assert!(map.keys().rev().eq(tree.keys().rev()) && map.values().eq(tree.values()));
        for key in 0..24 {
            prop_assert_eq!(map.get(&key), tree.get(&key));
            prop_assert_eq!(map.contains_key(&key), tree.contains_key(&key));
        }
        let (from, to) = (from.min(to), from.max(to));
        prop_assert!(map.range(from..to).rev().eq(tree.range(from..to).rev()));
        prop_assert!(map.range(..=to).eq(tree.range(..=to)));
        prop_assert!(map.range(from..).eq(tree.range(from..)));
        let after = (Bound::Excluded(from), Bound::Unbounded);
        prop_assert!(map.range(after).eq(tree.range(after)));
        prop_assert!(map.clone().into_keys().eq(tree.clone().into_keys()));
        prop_assert!(map.clone().into_values().eq(tree.clone().into_values()));
        prop_assert!(map.into_iter().eq(tree));
    }

    #[test]
    fn a_set_agrees_with_a_tree(
        first in prop::collection::vec(0_u8..24, 0..16),
        steps in prop::collection::vec((0_u8..24, 0_u8..8), 0..60),
    ) {
        let mut set: SortedSet<u8> = first.iter().copied().collect();
        let mut tree: BTreeSet<u8> = first.into_iter().collect();
        for (member, what) in steps {
            let (ours, theirs) = match what {
                0..4 => (set.insert(member), tree.insert(member)),
                4..6 => (set.remove(&member), tree.remove(&member)),
                6 => (set.pop_first().is_some(), tree.pop_first().is_some()),
                _ => {
                    set.retain(|it| it % 3 != member % 3);
                    tree.retain(|it| it % 3 != member % 3);
                    (set.contains(&member), tree.contains(&member))
                }
            };
            prop_assert_eq!(ours, theirs);
            prop_assert!(set.iter().eq(tree.iter()), "{:?} {:?}", set, tree);
            prop_assert_eq!(set.contains(&member), tree.contains(&member));
        }
        prop_assert_eq!(set.first(), tree.first());
        prop_assert_eq!((set.len(), set.is_empty()), (tree.len(), tree.is_empty()));
        prop_assert!(set.into_iter().eq(tree));
    }
}

#[test]
fn a_range_that_ends_before_it_starts_is_empty() {
    let mut map: SortedMap<u8, ()> = (0..9).map(|key| (key, ())).collect();
    let (from, to) = (7, 3);
    assert_eq!((map.range(from..to).len(), map.range_mut(from..to).len()), (0, 0));
}
