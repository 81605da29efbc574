//! Linear maps moved from the rows to the challenge.
//!
//! Where many constraints are linear in the same few values, mixing them first computes a linear map in every row and
//! then multiplies by powers of the challenge. The product of the powers' row vector and the map is the same in
//! all rows: computed once for a proof, it leaves one term for each value. The rounds of Poseidon2 that touch a
//! single element are such a map: hundreds of additions and multiplications, and fewer than a hundred values.
//!
//! Weights go from the constraints down to the values, each node handing on its own to its operands: the transposed
//! circuit, run on powers.

use std::collections::BTreeMap;

use super::graph::{Graph, Node, NodeId, Term, Weight, add, multiply, negate};

// What things cost in a row: instructions on vectors, about.
const TERM_COST: usize = 25;
const SUM_COST: usize = 3;
const MULTIPLE_COST: usize = 5;
const REDUCTION_COST: usize = 8;

/// The mix of `terms`, with linear maps transposed where that costs less. `uses` has how often each node is used.
pub fn transpose(graph: &mut Graph, uses: &[usize], terms: Vec<Term>) -> Vec<Term> {
    let (linear, mut others): (Vec<Term>, Vec<Term>) =
        terms.iter().cloned().partition(|(node, _)| has_shared_part(graph, uses, *node));
    let mut map = Map { graph, uses, spared: 0, pending: BTreeMap::new(), constant: Weight::new() };
    for (node, weight) in &linear {
        map.spared += TERM_COST;
        map.hand(*node, weight, 1, true);
    }
    let values = map.values();
    let (spared, constant) = (map.spared, map.constant);
    let cost: usize = values.iter().map(|(node, _)| term_cost(graph, uses, *node)).sum();
    if cost + TERM_COST >= spared {
        return terms;
    }
    others.extend(values);
    others.push((graph.constant(1), constant));
    others.retain(|(_, weight)| weight.values().any(|factor| *factor != 0));
    others
}

/// The operands of a linear operation, with their factors.
fn operands(graph: &Graph, node: NodeId) -> Option<Vec<(NodeId, u32)>> {
    match graph.node(node) {
        Node::Add(left, right) => Some(vec![(left, 1), (right, 1)]),
        Node::Sub(left, right) => Some(vec![(left, 1), (right, negate(1))]),
        Node::Mul(factor, value) => Some(vec![(value, graph.constant_of(factor)?)]),
        Node::Const(_) | Node::Tap(_) | Node::Global(..) | Node::Mixed(..) => None,
    }
}

/// Whether something that `node` is computed from by linear operations is used elsewhere too.
fn has_shared_part(graph: &Graph, uses: &[usize], node: NodeId) -> bool {
    operands(graph, node).into_iter().flatten().any(|(part, _)| {
        let shared = operands(graph, part).is_some() && uses[part] > 1;
        shared || has_shared_part(graph, uses, part)
    })
}

/// What it costs to compute a node that is not fused with others, by its operation.
fn operation_cost(graph: &Graph, uses: &[usize], node: NodeId) -> usize {
    let multiple = |node| matches!(graph.node(node), Node::Mul(..));
    match graph.node(node) {
        Node::Add(left, right) | Node::Sub(left, right) => {
            let reduced = uses[node] > 1 && (multiple(left) || multiple(right));
            SUM_COST + if reduced { REDUCTION_COST } else { 0 }
        }
        _ => MULTIPLE_COST,
    }
}

/// What it costs to mix a value: a product that would have been part of a sum has to be reduced by itself.
fn term_cost(graph: &Graph, uses: &[usize], node: NodeId) -> usize {
    let alone = matches!(graph.node(node), Node::Mul(..)) && uses[node] == 1;
    TERM_COST + if alone { REDUCTION_COST } else { 0 }
}

/// A linear map on its way from constraints to values.
struct Map<'a> {
    graph: &'a Graph,
    uses: &'a [usize],
    /// What rows are spared by the transposition.
    spared: usize,
    /// Nodes with their weights, and how many of their uses the rows are spared.
    pending: BTreeMap<NodeId, (Weight, usize)>,
    /// The weight of one.
    constant: Weight,
}

impl Map<'_> {
    /// Adds to the weight of `node`, for one of its uses.
    fn hand(&mut self, node: NodeId, weight: &Weight, factor: u32, spared: bool) {
        let (sum, factor) = match self.graph.constant_of(node) {
            Some(constant) => (&mut self.constant, multiply(factor, constant)),
            None => {
                let (sum, spared_uses) = self.pending.entry(node).or_default();
                *spared_uses += usize::from(spared);
                (sum, factor)
            }
        };
        for (power, own) in weight {
            let there = sum.entry(*power).or_default();
            *there = add(*there, multiply(*own, factor));
        }
    }

    /// Hands all weights on until they are at values.
    fn values(&mut self) -> Vec<Term> {
        let mut values = Vec::new();
        // No node is used by one with a lower index: the highest has its whole weight.
        while let Some((node, (weight, spared_uses))) = self.pending.pop_last() {
            let Some(operands) = operands(self.graph, node) else {
                values.push((node, weight));
                continue;
            };
            let spared = spared_uses == self.uses[node];
            if spared {
                self.spared += operation_cost(self.graph, self.uses, node);
            }
            for (operand, factor) in operands {
                self.hand(operand, &weight, factor, spared);
            }
        }
        values.reverse();
        values
    }
}
