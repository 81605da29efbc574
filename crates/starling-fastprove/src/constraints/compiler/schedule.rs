//! An order of operations, and slots for what they compute.
//!
//! Operations go depth first from the roots: a value is computed just before its first use. The coordinates of an
//! extension value go together, since what they are computed from may go after the last of them. A slot is
//! taken again as soon as the value in it has been used for the last time, the one freed last first, so that
//! it is still in the nearest cache.

use std::collections::{BTreeMap, BTreeSet};

use super::super::bytecode::{self, Code, Dot, Mix, Op, Operand};
use super::fuse::{Formulas, FusedDot};
use super::graph::{Graph, Node, NodeId, Weight};

/// Lays out the graph's mixes and `formulas` as a program that ends with `roots`.
pub fn schedule(graph: &Graph, formulas: &Formulas, roots: &[NodeId]) -> Code {
    let mut order = Order { graph, formulas, done: BTreeSet::new(), units: Vec::new() };
    for root in roots {
        order.visit(*root);
    }
    let units = order.units;

    let mut last_use = BTreeMap::new();
    for (at, unit) in units.iter().enumerate() {
        last_use.extend(unit.inputs(graph, formulas).into_iter().map(|input| (input, at)));
    }
    last_use.extend(roots.iter().map(|root| (*root, units.len())));

    let mut slots = Slots::default();
    let mut weights = Weights::default();
    let mut ops = Vec::new();
    for (at, unit) in units.iter().enumerate() {
        let inputs = unit.inputs(graph, formulas);
        let operands: BTreeMap<NodeId, Operand> =
            inputs.iter().map(|&input| (input, operand(graph, &slots, input))).collect();
        // The result may go where an input is: an operation reads a row of everything before it writes that row.
        for input in operands.keys().filter(|input| last_use[input] == at) {
            slots.release(*input);
        }
        match *unit {
            Unit::Dot(node) => {
                let target = slots.take(node);
                ops.push(Op::Dot(dot(&formulas[&node], &operands, target)));
            }
            Unit::Mix(mix) => {
                let outputs = graph.mixed(mix);
                let targets = outputs.map(|node| slots.take(node));
                // A coordinate may be of no use.
                for node in outputs.iter().filter(|node| !last_use.contains_key(node)) {
                    slots.release(*node);
                }
                let terms = graph.mixes[mix].iter();
                let terms = terms.map(|(node, weight)| (operands[node], weights.index(weight)));
                ops.push(Op::Mix(Mix { terms: terms.collect(), targets }));
            }
        }
    }
    let roots = roots.iter().map(|root| operand(graph, &slots, *root)).collect();
    Code { slots: slots.count, weights: weights.list, ops, roots }
}

/// What becomes one operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Unit {
    /// The formula of a node.
    Dot(NodeId),
    /// One of the graph's mixes.
    Mix(usize),
}

impl Unit {
    /// The operation that computes `node`; none for what is there before the first.
    fn of(graph: &Graph, node: NodeId) -> Option<Self> {
        match graph.node(node) {
            Node::Tap(_) | Node::Global(..) => None,
            Node::Mixed(mix, _) => Some(Self::Mix(mix)),
            Node::Const(_) | Node::Add(..) | Node::Sub(..) | Node::Mul(..) => Some(Self::Dot(node)),
        }
    }

    fn inputs(self, graph: &Graph, formulas: &Formulas) -> Vec<NodeId> {
        match self {
            Self::Dot(node) => formulas[&node].inputs().collect(),
            Self::Mix(mix) => graph.mixes[mix].iter().map(|(node, _)| *node).collect(),
        }
    }
}

/// The order of operations so far.
struct Order<'a> {
    graph: &'a Graph,
    formulas: &'a Formulas,
    done: BTreeSet<Unit>,
    units: Vec<Unit>,
}

impl Order<'_> {
    fn visit(&mut self, node: NodeId) {
        let bundle = self.graph.bundle_of(node);
        for node in bundle.as_ref().map_or(&[node][..], |bundle| &bundle[..]) {
            // A coordinate that is part of larger formulas only has none of its own.
            let computed = matches!(self.graph.node(*node), Node::Mixed(..))
                || self.formulas.contains_key(node);
            let Some(unit) = Unit::of(self.graph, *node).filter(|_| computed) else { continue };
            if self.done.insert(unit) {
                for input in unit.inputs(self.graph, self.formulas) {
                    self.visit(input);
                }
                self.units.push(unit);
            }
        }
    }
}

/// Which slots hold what.
#[derive(Default)]
struct Slots {
    of: BTreeMap<NodeId, u32>,
    free: Vec<u32>,
    count: u32,
}

impl Slots {
    fn take(&mut self, node: NodeId) -> u32 {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.count += 1;
            self.count - 1
        });
        self.of.insert(node, slot);
        slot
    }

    /// Frees the slot that `node` is in, if it is in one.
    fn release(&mut self, node: NodeId) {
        self.free.extend(self.of.remove(&node));
    }
}

/// The weights that mixes use, each once.
#[derive(Default)]
struct Weights {
    list: Vec<bytecode::Weight>,
    indices: BTreeMap<Weight, u32>,
}

impl Weights {
    fn index(&mut self, weight: &Weight) -> u32 {
        if let Some(index) = self.indices.get(weight) {
            return *index;
        }
        let index = self.list.len() as u32;
        self.list.push(weight.iter().map(|(power, factor)| (*factor, *power)).collect());
        self.indices.insert(weight.clone(), index);
        index
    }
}

fn operand(graph: &Graph, slots: &Slots, node: NodeId) -> Operand {
    match graph.node(node) {
        Node::Tap(tap) => Operand::Tap(tap),
        Node::Global(argument, offset) => Operand::Global { argument, offset },
        _ => Operand::Slot(slots.of[&node]),
    }
}

fn dot(formula: &FusedDot, operands: &BTreeMap<NodeId, Operand>, target: u32) -> Dot {
    let all = |nodes: &[NodeId]| nodes.iter().map(|node| operands[node]).collect();
    let pairs = |pairs: &[(NodeId, NodeId)]| {
        pairs.iter().map(|(left, right)| (operands[left], operands[right])).collect()
    };
    Dot {
        products: pairs(&formula.products),
        minus_products: pairs(&formula.minus_products),
        scaled: formula.scaled.iter().map(|&(factor, node)| (factor, operands[&node])).collect(),
        plus: all(&formula.plus),
        minus: all(&formula.minus),
        constant: formula.constant,
        target,
    }
}
