//! From additions and multiplications to sums of products.
//!
//! A vector unit multiplies 32-bit words to 64-bit numbers and can add several of these before it has to reduce;
//! the reduction is more than half of a field multiplication. So runs of additions, subtractions and
//! multiplications become one [`FusedDot`] each, and only nodes that have to be there as a whole are computed on
//! their own: factors of products, constraints, conditions, and what is needed in many places.

use std::collections::{BTreeMap, BTreeSet};

use super::MODULUS;
use super::graph::{Graph, Node, NodeId, add, multiply, negate};

/// A product is computed again in as many sums as this rather than once and kept: in a sum that is reduced anyway it
/// costs half of what it costs alone.
const PRODUCT_COPIES: usize = 2;

/// The same for multiples by a constant, which are cheaper still.
const MULTIPLE_COPIES: usize = 3;

/// The formula of a node that is computed on its own, in terms of taps, globals, mixed sums and other such nodes.
#[derive(Debug, Default)]
pub struct FusedDot {
    /// Products that are added.
    pub products: Vec<(NodeId, NodeId)>,
    /// Products that are taken off.
    pub minus_products: Vec<(NodeId, NodeId)>,
    /// Constant multiples.
    pub scaled: Vec<(u32, NodeId)>,
    /// Nodes that are added.
    pub plus: Vec<NodeId>,
    /// Nodes that are taken off.
    pub minus: Vec<NodeId>,
    /// The constant term.
    pub constant: u32,
}

impl FusedDot {
    /// All nodes in it.
    pub fn inputs(&self) -> impl Iterator<Item = NodeId> {
        let pairs = self.minus_products.iter().chain(&self.products);
        let factors = pairs.flat_map(|&(left, right)| [left, right]);
        let scaled = self.scaled.iter().map(|&(_, node)| node);
        factors.chain(scaled).chain(self.plus.iter().copied()).chain(self.minus.iter().copied())
    }
}

/// The formulas of the nodes that have one.
pub type Formulas = BTreeMap<NodeId, FusedDot>;

/// The formulas of all nodes that are computed on their own on the way to `roots`.
pub fn fuse(graph: &Graph, roots: &[NodeId]) -> Formulas {
    let uses = Uses::count(graph, roots);
    let mut whole: BTreeSet<NodeId> =
        uses.live.iter().copied().filter(|&id| uses.is_whole(graph, id)).collect();
    loop {
        let formulas: Result<Formulas, NodeId> =
            whole.iter().map(|&id| Ok((id, formula(graph, &whole, id)?))).collect();
        match formulas {
            Ok(formulas) => return formulas,
            Err(product) => whole.insert(product),
        };
    }
}

/// Where nodes are used.
struct Uses {
    /// The nodes that the result depends on.
    live: Vec<NodeId>,
    /// Whether the node's value is wanted, not just a sum that it is part of.
    whole: Vec<bool>,
    /// In how many sums the node is.
    sums: Vec<usize>,
}

impl Uses {
    fn count(graph: &Graph, roots: &[NodeId]) -> Self {
        let mut uses =
            Self { live: Vec::new(), whole: vec![false; graph.len()], sums: vec![0; graph.len()] };
        let mut seen = BTreeSet::new();
        let mut left = roots.to_vec();
        for root in roots {
            uses.whole[*root] = true;
        }
        while let Some(id) = left.pop() {
            if !seen.insert(id) {
                continue;
            }
            uses.live.push(id);
            match graph.node(id) {
                Node::Const(_) | Node::Tap(_) | Node::Global(..) => {}
                Node::Mixed(mix, _) => {
                    for &(value, _) in &graph.mixes[mix] {
                        uses.whole[value] = true;
                        left.push(value);
                    }
                }
                Node::Add(a, b) | Node::Sub(a, b) => {
                    uses.sums[a] += 1;
                    uses.sums[b] += 1;
                    left.extend([a, b]);
                }
                Node::Mul(a, b) => {
                    // A constant factor is part of the operation.
                    if graph.constant_of(a).is_none() {
                        uses.whole[a] = true;
                        left.push(a);
                    }
                    uses.whole[b] = true;
                    left.push(b);
                }
            }
        }
        uses
    }

    fn is_whole(&self, graph: &Graph, id: NodeId) -> bool {
        let copies = match graph.node(id) {
            Node::Tap(_) | Node::Global(..) | Node::Mixed(..) => return false,
            Node::Const(_) => return self.whole[id],
            Node::Add(..) | Node::Sub(..) => 1,
            Node::Mul(factor, _) if graph.constant_of(factor).is_some() => MULTIPLE_COPIES,
            Node::Mul(..) => PRODUCT_COPIES,
        };
        self.whole[id] || self.sums[id] > copies || graph.kept.contains(&id)
    }
}

/// The formula of `id`, or a product that has to be computed on its own first.
fn formula(graph: &Graph, whole: &BTreeSet<NodeId>, id: NodeId) -> Result<FusedDot, NodeId> {
    let mut dot = FusedDot::default();
    let mut terms = Terms::default();
    let mut products = Terms::default();
    let mut left = vec![(id, 1)];
    while let Some((node, factor)) = left.pop() {
        if node != id && whole.contains(&node) && graph.constant_of(node).is_none() {
            terms.add(node, factor);
            continue;
        }
        match graph.node(node) {
            Node::Const(value) => dot.constant = add(dot.constant, multiply(factor, value)),
            Node::Tap(_) | Node::Global(..) | Node::Mixed(..) => terms.add(node, factor),
            Node::Add(a, b) => left.extend([(b, factor), (a, factor)]),
            Node::Sub(a, b) => left.extend([(b, negate(factor)), (a, factor)]),
            Node::Mul(a, b) => match graph.constant_of(a) {
                Some(constant) => terms.add(b, multiply(factor, constant)),
                None => products.add(node, factor),
            },
        }
    }

    for (node, factor) in terms.0 {
        match factor {
            0 => {}
            1 => dot.plus.push(node),
            MINUS_ONE => dot.minus.push(node),
            factor => dot.scaled.push((factor, node)),
        }
    }
    for (node, factor) in products.0 {
        let Node::Mul(a, b) = graph.node(node) else { continue };
        match factor {
            0 => {}
            1 => dot.products.push((a, b)),
            MINUS_ONE => dot.minus_products.push((a, b)),
            _ => return Err(node),
        }
    }
    Ok(dot)
}

const MINUS_ONE: u32 = MODULUS - 1;

/// Nodes with factors, in the order of their first appearance.
#[derive(Default)]
struct Terms(Vec<(NodeId, u32)>);

impl Terms {
    fn add(&mut self, node: NodeId, factor: u32) {
        match self.0.iter_mut().find(|(there, _)| *there == node) {
            Some((_, sum)) => *sum = add(*sum, factor),
            None => self.0.push((node, factor)),
        }
    }
}
