//! A map that can take back what was done to it since the last commit.

use std::collections::BTreeMap;
use std::ops::Bound;

/// An ordered map with an undo log, so that an operation that is refused half way leaves nothing
/// behind: a rule may write as it goes, and any `?` in it is safe.
#[derive(Debug, Clone)]
pub(crate) struct Table<K, V> {
    map: BTreeMap<K, V>,
    undo: Vec<(K, Option<V>)>,
}

impl<K: Ord + Clone, V: Clone> Table<K, V> {
    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        self.map.get(key)
    }

    pub(crate) fn contains(&self, key: &K) -> bool {
        self.map.contains_key(key)
    }

    pub(crate) fn set(&mut self, key: K, value: V) {
        let before = self.map.insert(key.clone(), value);
        self.undo.push((key, before));
    }

    pub(crate) fn remove(&mut self, key: &K) {
        let before = self.map.remove(key);
        self.undo.push((key.clone(), before));
    }

    /// What is above `key`, ascending.
    pub(crate) fn above(&self, key: &K) -> impl Iterator<Item = (&K, &V)> {
        self.map.range((Bound::Excluded(key), Bound::Unbounded))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.map.iter()
    }

    /// What each key touched since the last commit held then.
    pub(crate) fn touched(&self) -> BTreeMap<&K, Option<&V>> {
        let mut before = BTreeMap::new();
        for (key, value) in &self.undo {
            before.entry(key).or_insert(value.as_ref());
        }
        before
    }

    /// Keep what was done.
    pub(crate) fn commit(&mut self) {
        self.undo.clear();
    }

    /// Take back what was done since the last commit.
    pub(crate) fn roll_back(&mut self) {
        while let Some((key, before)) = self.undo.pop() {
            match before {
                Some(value) => self.map.insert(key, value),
                None => self.map.remove(&key),
            };
        }
    }
}

impl<K, V> Default for Table<K, V> {
    fn default() -> Self {
        Self { map: BTreeMap::new(), undo: Vec::new() }
    }
}

impl<K: PartialEq, V: PartialEq> PartialEq for Table<K, V> {
    fn eq(&self, other: &Self) -> bool {
        self.map == other.map
    }
}
