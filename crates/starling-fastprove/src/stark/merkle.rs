//! Merkle trees over the rows of a matrix, as RISC Zero's verifier walks them.
//!
//! Nodes are numbered as in a heap: the root is 1, the children of `n` are `2n` and `2n + 1`, and the leaf of
//! row `r` is `rows + r`. The [`PRUNED_LAYERS`] nearest the rows are not kept: they are nearly all of the tree,
//! and opening a row hashes the few of them that it needs again, in one vector's lanes. A tree has no matrix:
//! who opens a row brings the values.

use rayon::prelude::*;
use risc0_zkp::QUERIES;
use risc0_zkp::core::digest::Digest;
use risc0_zkp::core::log2_ceil;

use super::engine::{Hasher, Words};
use super::transcript::Transcript;

/// Layers not kept: 16 leaves to a kept node, as many as the widest vector has lanes, and as many rows as a
/// column's cache line holds. 2^21 nodes of 32 bytes become 4 MiB.
const PRUNED_LAYERS: usize = 4;

/// Leaves under a node of the lowest layer that is kept.
pub(super) const LEAVES_PER_NODE: usize = 1 << PRUNED_LAYERS;

/// Nodes of the lowest kept layer that are computed at a time: their leaves, sorted, stay in the nearest cache.
const BLOCK_NODES: usize = 64;

/// The kept layers of a tree.
#[derive(Debug)]
pub(super) struct Tree {
    rows: usize,
    /// How many nodes the commitment shows: the verifier recomputes those above once for all queries.
    shown: usize,
    nodes: Nodes,
}

#[derive(Debug)]
enum Nodes {
    /// Nodes 0 (unused), 1 (the root), up to the lowest layer that is kept.
    Kept(Vec<Words>),
    /// One for each layer, from the root to the leaves: all nodes of a layer are equal.
    Uniform(Vec<Words>),
}

impl Tree {
    /// The tree over `leaves`, which come in `cosets` parts of equal length: the leaf of row `r` is number
    /// `r / cosets` of part `r % cosets`.
    ///
    /// # Panics
    ///
    /// Unless the number of leaves is a power of two.
    pub fn build(hasher: Hasher<'_>, leaves: &[Words], cosets: usize) -> Self {
        let rows = leaves.len();
        assert!(rows.is_power_of_two(), "{rows} rows, not a power of two");
        let layers = log2_ceil(rows);
        let shown_layer = shown_layer(layers);
        let kept_layers = layers - PRUNED_LAYERS.min(layers - shown_layer);

        let lowest = 1 << kept_layers;
        let rows_per_node = rows >> kept_layers;
        let mut nodes = vec![Words::default(); 2 * lowest];
        nodes[lowest..].par_chunks_mut(BLOCK_NODES).enumerate().for_each_init(
            Fold::default,
            |fold, (block, nodes)| {
                let first = block * BLOCK_NODES * rows_per_node / cosets;
                fold.layer.resize(nodes.len() * rows_per_node, Words::default());
                for (coset, leaves) in leaves.chunks_exact(rows / cosets).enumerate() {
                    let slots = fold.layer[coset..].iter_mut().step_by(cosets);
                    slots.zip(&leaves[first..]).for_each(|(slot, leaf)| *slot = *leaf);
                }
                while fold.layer.len() > nodes.len() {
                    fold.hash_pairs(hasher);
                }
                nodes.copy_from_slice(&fold.layer);
            },
        );
        for layer in (0..kept_layers).rev() {
            let (parents, children) = nodes[1 << layer..4 << layer].split_at_mut(1 << layer);
            hasher.hash_pairs(children, parents);
        }
        Self { rows, shown: 1 << shown_layer, nodes: Nodes::Kept(nodes) }
    }

    /// The tree over `rows` leaves that all are `leaf`.
    ///
    /// # Panics
    ///
    /// Unless the number of leaves is a power of two.
    pub fn uniform(hasher: Hasher<'_>, leaf: Words, rows: usize) -> Self {
        assert!(rows.is_power_of_two(), "{rows} rows, not a power of two");
        let layers = log2_ceil(rows);
        let mut nodes = vec![leaf; layers + 1];
        for layer in (0..layers).rev() {
            let child = nodes[layer + 1];
            hasher.hash_pairs(&[child; 2], &mut nodes[layer..=layer]);
        }
        Self { rows, shown: 1 << shown_layer(layers), nodes: Nodes::Uniform(nodes) }
    }

    /// A node that is kept.
    fn node(&self, node: usize) -> &Words {
        match &self.nodes {
            Nodes::Kept(nodes) => &nodes[node],
            Nodes::Uniform(layers) => &layers[node.ilog2() as usize],
        }
    }

    /// The end of the nodes that are kept.
    fn end(&self) -> usize {
        match &self.nodes {
            Nodes::Kept(nodes) => nodes.len(),
            Nodes::Uniform(_) => 2 * self.rows,
        }
    }

    pub fn root(&self) -> Digest {
        Digest::from(*self.node(1))
    }

    /// Writes the layer that every opening ends below, and commits to the root.
    pub fn commit(&self, transcript: &mut Transcript) {
        for node in self.shown..2 * self.shown {
            transcript.write_u32_slice(self.node(node));
        }
        transcript.commit(&self.root());
    }

    /// The rows whose values it takes to open `row`: those under one kept node.
    pub fn neighbours(&self, row: usize) -> std::ops::Range<usize> {
        assert!(row < self.rows, "row {row} of {}", self.rows);
        let rows_per_node = 2 * self.rows / self.end();
        let first = row / rows_per_node * rows_per_node;
        first..first + rows_per_node
    }

    /// Writes the values of `row` and the sibling of each node on the way up from it. `block` holds the values of its
    /// [neighbours](Tree::neighbours), by columns.
    pub fn open(&self, hasher: Hasher<'_>, row: usize, block: &[u32], transcript: &mut Transcript) {
        let neighbours = self.neighbours(row);
        let (width, at) = (neighbours.len(), row - neighbours.start);
        let values: Vec<u32> = block.chunks_exact(width).map(|column| column[at]).collect();
        transcript.write_u32_slice(&values);

        let mut fold = Fold { layer: vec![Words::default(); width], ..Fold::default() };
        hasher.hash_block(&mut fold.layer, block);
        let mut node = self.rows + row;
        while node >= self.end() {
            let sibling = (node ^ 1) % fold.layer.len();
            transcript.write_u32_slice(&fold.layer[sibling]);
            fold.hash_pairs(hasher);
            node /= 2;
        }
        while node >= 2 * self.shown {
            transcript.write_u32_slice(self.node(node ^ 1));
            node /= 2;
        }
    }
}

/// The layer that the verifier is shown whole: the lowest with no more nodes than there are queries, but never
/// the leaves themselves.
fn shown_layer(layers: usize) -> usize {
    (QUERIES.ilog2() as usize).min(layers.saturating_sub(1))
}

/// A layer of a subtree, and room for the one above it.
#[derive(Default)]
struct Fold {
    layer: Vec<Words>,
    above: Vec<Words>,
}

impl Fold {
    /// Goes up one layer.
    fn hash_pairs(&mut self, hasher: Hasher<'_>) {
        self.above.resize(self.layer.len() / 2, Words::default());
        hasher.hash_pairs(&self.layer, &mut self.above);
        std::mem::swap(&mut self.layer, &mut self.above);
    }
}

#[cfg(test)]
mod tests {
    use risc0_zkp::core::hash::poseidon2::Poseidon2HashSuite;
    use starling_babybear::vector::Isa;

    use super::*;
    use crate::pool::Pool;
    use crate::stark::Engine;

    const COLUMNS: usize = 3;

    /// As the verifier does it: reads what opens `row` from `proof`, and hashes up to the layer in `shown`.
    fn walk(engine: &Engine, rows: usize, row: usize, shown: &[u32], proof: &[u32]) {
        let hashfn = engine.suite().hashfn.as_ref();
        let elements = |words: &[u32]| -> Vec<_> {
            words.iter().map(|&w| risc0_zkp::field::baby_bear::BabyBearElem::new_raw(w)).collect()
        };
        let (values, siblings) = proof.split_at(COLUMNS);
        let expected: Vec<u32> = (0..COLUMNS).map(|column| word(rows, column, row)).collect();
        assert_eq!(values, expected);
        let (shown, _) = shown.as_chunks::<8>();
        let (siblings, _) = siblings.as_chunks::<8>();
        let mut node = rows + row;
        let mut digest = *hashfn.hash_elem_slice(&elements(values));
        for sibling in siblings {
            let sibling = Digest::from(*sibling);
            digest = match node % 2 {
                0 => *hashfn.hash_pair(&digest, &sibling),
                _ => *hashfn.hash_pair(&sibling, &digest),
            };
            node /= 2;
        }
        assert_eq!(digest, Digest::from(shown[node - shown.len()]), "row {row} of {rows}");
    }

    fn word(rows: usize, column: usize, row: usize) -> u32 {
        (column * rows + row) as u32
    }

    #[test]
    fn every_row_opens_to_the_layer_shown_whatever_the_size_and_the_order_of_leaves() {
        let engine = Engine::new(Isa::best(), Poseidon2HashSuite::new_suite(), Pool::new(0));
        for rows in (0..12).map(|log| 1 << log) {
            let matrix: Vec<u32> = (0..COLUMNS * rows).map(|at| at as u32).collect();
            let mut leaves = vec![Words::default(); rows];
            engine.hasher().hash_rows(&mut leaves, &matrix);
            for cosets in [1, 4].into_iter().filter(|&cosets| cosets <= rows) {
                let by_coset: Vec<Words> = (0..rows)
                    .map(|at| leaves[at % (rows / cosets) * cosets + at / (rows / cosets)])
                    .collect();
                let tree = Tree::build(engine.hasher(), &by_coset, cosets);
                let new = || Transcript::new(engine.suite());
                let mut transcript = new();
                tree.commit(&mut transcript);
                let shown = transcript.into_seal();
                for row in (0..rows).step_by((rows / 64).max(1)) {
                    let block: Vec<u32> = (0..COLUMNS)
                        .flat_map(|column| {
                            tree.neighbours(row).map(move |row| word(rows, column, row))
                        })
                        .collect();
                    let mut transcript = new();
                    tree.open(engine.hasher(), row, &block, &mut transcript);
                    walk(&engine, rows, row, &shown, transcript.seal());
                }
            }
        }
    }
}
