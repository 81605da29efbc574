//! The tree of digests over all pages of a memory, as far as it holds anything.
//!
//! Nodes have RISC Zero's indexes: the root is 1, the children of `n` are `2 n` and `2 n + 1`, and the leaf of page `p` is
//! [`MEMORY_PAGES`]` + p`. A node that is not kept has nothing but zeros below it.

use std::{collections::HashMap, sync::LazyLock};

use risc0_core::field::baby_bear::BabyBearElem;
use risc0_zkp::core::digest::Digest;
use starling_babybear::{
    hash::{PAGE_BYTES, hash_pages, hash_pairs},
    vector::Isa,
};

/// Pages of the memory: 4 GiB of them.
pub const MEMORY_PAGES: u32 = ((1_u64 << 32) / PAGE_BYTES as u64) as u32;

/// The level of the leaves, that of the root being 0.
const LEAF_LEVEL: usize = MEMORY_PAGES.ilog2() as usize;

/// Up to so many digests are hashed one by one: a vector of 16 takes two to three times as long as one digest.
const ONE_BY_ONE_MAX: usize = 2;

/// A digest as it is hashed: elements in Montgomery form.
pub(crate) type Node = [u32; 8];

/// The digests of subtrees without anything in them, by the level of their root.
static EMPTY: LazyLock<[Node; LEAF_LEVEL + 1]> = LazyLock::new(|| {
    let mut nodes = [Node::default(); LEAF_LEVEL + 1];
    hash_pages(Isa::Scalar, &[&[0; PAGE_BYTES]], &mut nodes[LEAF_LEVEL..]);
    for level in (0..LEAF_LEVEL).rev() {
        let child = nodes[level + 1];
        hash_pairs(Isa::Scalar, &[child; 2], &mut nodes[level..=level]);
    }
    nodes
});

/// The digest of a page of zeros.
pub(crate) fn empty_leaf() -> Node {
    EMPTY[LEAF_LEVEL]
}

/// The tree of one memory.
#[derive(Clone, Default)]
pub(crate) struct Tree {
    nodes: HashMap<u32, Node>,
}

impl Tree {
    /// The digest of a node, as RISC Zero writes it.
    pub(crate) fn digest(&self, index: u32) -> Digest {
        self.node(index).map(|word| BabyBearElem::new_raw(word).as_u32()).into()
    }

    fn node(&self, index: u32) -> Node {
        self.nodes.get(&index).copied().unwrap_or_else(|| EMPTY[index.ilog2() as usize])
    }

    /// Replaces the leaves of `pages`, which ascend, and computes again what is above them.
    pub(crate) fn update(&mut self, pages: &[u32], leaves: &[Node]) {
        let indexes = pages.iter().map(|page| MEMORY_PAGES + page);
        self.nodes.extend(indexes.clone().zip(leaves.iter().copied()));
        let mut level: Vec<u32> = indexes.collect();
        let mut children = Vec::new();
        let mut nodes = Vec::new();
        while level.first().is_some_and(|&index| index > 1) {
            level.iter_mut().for_each(|index| *index /= 2);
            level.dedup();
            children.clear();
            // The right one is hashed first.
            let both = level.iter().flat_map(|index| [2 * index + 1, 2 * index]);
            children.extend(both.map(|index| self.node(index)));
            nodes.clear();
            nodes.resize(level.len(), Node::default());
            hash_pairs(isa(level.len()), &children, &mut nodes);
            self.nodes.extend(level.iter().copied().zip(nodes.iter().copied()));
        }
    }
}

/// What so many digests are hashed by.
pub(crate) fn isa(count: usize) -> Isa {
    if count <= ONE_BY_ONE_MAX { Isa::Scalar } else { Isa::best() }
}
