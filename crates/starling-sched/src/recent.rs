//! What is remembered of nodes that are gone, or of tasks: so many at most, the oldest forgotten first.

use std::collections::BTreeMap;

/// A bounded memory by key.
#[derive(Debug, Clone)]
pub(crate) struct Recent<K, T> {
    count_max: usize,
    noted_count: u64,
    by_key: BTreeMap<K, (u64, T)>,
    /// In the order in which they were noted.
    order: BTreeMap<u64, K>,
}

impl<K: Copy + Ord, T> Recent<K, T> {
    pub(crate) fn new(count_max: usize) -> Self {
        Self { count_max, noted_count: 0, by_key: BTreeMap::new(), order: BTreeMap::new() }
    }

    pub(crate) fn contains(&self, key: K) -> bool {
        self.by_key.contains_key(&key)
    }

    pub(crate) fn get(&self, key: K) -> Option<&T> {
        self.by_key.get(&key).map(|(_, what)| what)
    }

    pub(crate) fn get_mut(&mut self, key: K) -> Option<&mut T> {
        self.by_key.get_mut(&key).map(|(_, what)| what)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }

    pub(crate) fn insert(&mut self, key: K, what: T) {
        self.remove(key);
        self.noted_count += 1;
        self.by_key.insert(key, (self.noted_count, what));
        self.order.insert(self.noted_count, key);
        if self.order.len() > self.count_max
            && let Some((_, oldest)) = self.order.pop_first()
        {
            self.by_key.remove(&oldest);
        }
    }

    pub(crate) fn remove(&mut self, key: K) -> Option<T> {
        let (noted, what) = self.by_key.remove(&key)?;
        self.order.remove(&noted);
        Some(what)
    }
}

#[cfg(test)]
mod tests {
    use starling_types::NodeId;

    use super::*;

    #[test]
    fn the_oldest_is_forgotten_first_whatever_its_id() {
        let mut recent = Recent::new(2);
        for name in [9, 1, 5] {
            recent.insert(NodeId([name; 32]), name);
        }
        assert!(!recent.contains(NodeId([9; 32])));
        assert!(recent.contains(NodeId([1; 32])) && recent.contains(NodeId([5; 32])));
        recent.insert(NodeId([1; 32]), 1);
        recent.insert(NodeId([7; 32]), 7);
        assert_eq!(
            (recent.remove(NodeId([5; 32])), recent.remove(NodeId([1; 32]))),
            (None, Some(1))
        );
    }
}
