//! Which nodes should hold which blob: a hint for where to fetch, never relied on.

use std::collections::BTreeMap;

use starling_types::{NodeId, Reference};

/// The nodes that produced or were given each live blob.
#[derive(Debug, Clone)]
pub(crate) struct Holders {
    nodes_max: usize,
    /// Oldest first.
    by_blob: BTreeMap<Reference, Vec<NodeId>>,
}

impl Holders {
    pub(crate) fn new(nodes_max: usize) -> Self {
        Self { nodes_max, by_blob: BTreeMap::new() }
    }

    /// Notes that `node` should hold the blob; the oldest note goes when there are too many.
    pub(crate) fn add(&mut self, blob: Reference, node: NodeId) {
        let nodes = self.by_blob.entry(blob).or_default();
        nodes.retain(|holder| *holder != node);
        nodes.push(node);
        if nodes.len() > self.nodes_max {
            nodes.remove(0);
        }
    }

    pub(crate) fn of(&self, blob: Reference) -> &[NodeId] {
        self.by_blob.get(&blob).map_or(&[], Vec::as_slice)
    }

    /// Forgets who holds a blob, since it is no longer needed or could not be had from them.
    pub(crate) fn forget(&mut self, blob: Reference) {
        self.by_blob.remove(&blob);
    }
}
