//! What is remembered of nodes that are gone: so many at most, the oldest forgotten first.

use std::collections::BTreeMap;

use starling_types::NodeId;

/// A bounded memory by node.
#[derive(Debug, Clone)]
pub(crate) struct Recent<T> {
    count_max: usize,
    noted_count: u64,
    by_node: BTreeMap<NodeId, (u64, T)>,
    /// In the order in which they were noted.
    order: BTreeMap<u64, NodeId>,
}

impl<T> Recent<T> {
    pub(crate) fn new(count_max: usize) -> Self {
        Self { count_max, noted_count: 0, by_node: BTreeMap::new(), order: BTreeMap::new() }
    }

    pub(crate) fn contains(&self, node: NodeId) -> bool {
        self.by_node.contains_key(&node)
    }

    pub(crate) fn insert(&mut self, node: NodeId, what: T) {
        self.remove(node);
        self.noted_count += 1;
        self.by_node.insert(node, (self.noted_count, what));
        self.order.insert(self.noted_count, node);
        if self.order.len() > self.count_max
            && let Some((_, oldest)) = self.order.pop_first()
        {
            self.by_node.remove(&oldest);
        }
    }

    pub(crate) fn remove(&mut self, node: NodeId) -> Option<T> {
        let (noted, what) = self.by_node.remove(&node)?;
        self.order.remove(&noted);
        Some(what)
    }
}

#[cfg(test)]
mod tests {
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
