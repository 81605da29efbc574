//! A graph of base field arithmetic in which equal expressions are one node.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::super::bytecode::{COORDINATES, Power};
use super::MODULUS;

/// The index of a node. Nodes come after those they refer to.
pub type NodeId = usize;

/// One base field value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Node {
    /// A constant below the modulus.
    Const(u32),
    /// A tap of the circuit.
    Tap(u32),
    /// A global: list, offset.
    Global(u32, u32),
    /// A coordinate of a sum in [`Graph::mixes`].
    Mixed(usize, usize),
    /// A sum.
    Add(NodeId, NodeId),
    /// A difference.
    Sub(NodeId, NodeId),
    /// A product; a constant factor comes first.
    Mul(NodeId, NodeId),
}

/// A sum of powers of the challenge, with their factors.
pub type Weight = BTreeMap<Power, u32>;

/// A value and what it is multiplied by to be mixed.
pub type Term = (NodeId, Weight);

/// The nodes, and the sums of values times weights that they may refer to.
#[derive(Debug, Default)]
pub struct Graph {
    nodes: Vec<Node>,
    ids: HashMap<Node, NodeId>,
    /// Sums of values times weights.
    pub mixes: Vec<Vec<Term>>,
    /// Nodes to be computed apart from what they are used in, though they be used only once.
    pub kept: BTreeSet<NodeId>,
    /// The coordinates of one value, which share what they are computed from: best computed one after another.
    bundles: HashMap<NodeId, [NodeId; COORDINATES]>,
}

/// `a * b` in the field.
pub fn multiply(a: u32, b: u32) -> u32 {
    (u64::from(a) * u64::from(b) % u64::from(MODULUS)) as u32
}

/// `a + b` in the field.
pub fn add(a: u32, b: u32) -> u32 {
    ((u64::from(a) + u64::from(b)) % u64::from(MODULUS)) as u32
}

/// `-a` in the field.
pub fn negate(a: u32) -> u32 {
    (MODULUS - a) % MODULUS
}

impl Graph {
    /// The node of `id`.
    pub fn node(&self, id: NodeId) -> Node {
        self.nodes[id]
    }

    /// How many nodes there are.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// The constant that `id` is, if it is one.
    pub fn constant_of(&self, id: NodeId) -> Option<u32> {
        match self.nodes[id] {
            Node::Const(value) => Some(value),
            _ => None,
        }
    }

    fn intern(&mut self, node: Node) -> NodeId {
        *self.ids.entry(node).or_insert_with(|| {
            self.nodes.push(node);
            self.nodes.len() - 1
        })
    }

    /// The node of a constant.
    pub fn constant(&mut self, value: u32) -> NodeId {
        self.intern(Node::Const(value))
    }

    /// The node of a tap.
    pub fn tap(&mut self, index: u32) -> NodeId {
        self.intern(Node::Tap(index))
    }

    /// The node of a global.
    pub fn global(&mut self, list: u32, offset: u32) -> NodeId {
        self.intern(Node::Global(list, offset))
    }

    /// The sum of two nodes.
    pub fn add(&mut self, left: NodeId, right: NodeId) -> NodeId {
        match (self.constant_of(left), self.constant_of(right)) {
            (Some(a), Some(b)) => self.constant(add(a, b)),
            (Some(0), _) => right,
            (_, Some(0)) => left,
            _ => self.intern(Node::Add(left.min(right), left.max(right))),
        }
    }

    /// The difference of two nodes.
    pub fn sub(&mut self, left: NodeId, right: NodeId) -> NodeId {
        match (self.constant_of(left), self.constant_of(right)) {
            (Some(a), Some(b)) => self.constant(add(a, negate(b))),
            (_, Some(0)) => left,
            _ if left == right => self.constant(0),
            _ => self.intern(Node::Sub(left, right)),
        }
    }

    /// The product of two nodes.
    pub fn mul(&mut self, left: NodeId, right: NodeId) -> NodeId {
        let (left, right) =
            if self.constant_of(right).is_some() { (right, left) } else { (left, right) };
        match (self.constant_of(left), self.constant_of(right), self.nodes[right]) {
            (Some(a), Some(b), _) => self.constant(multiply(a, b)),
            (Some(0), ..) => left,
            (Some(1), ..) => right,
            (Some(a), None, Node::Mul(inner, value)) if self.constant_of(inner).is_some() => {
                let inner = self.constant_of(inner).unwrap_or(1);
                let factor = self.constant(multiply(a, inner));
                self.mul(factor, value)
            }
            (Some(_), ..) => self.intern(Node::Mul(left, right)),
            _ => self.intern(Node::Mul(left.min(right), left.max(right))),
        }
    }

    /// The coordinates of the sum of `terms`.
    pub fn mix(&mut self, terms: Vec<Term>) -> [NodeId; COORDINATES] {
        let mix = self.mixes.len();
        self.mixes.push(terms);
        std::array::from_fn(|coordinate| self.intern(Node::Mixed(mix, coordinate)))
    }

    /// The coordinates of a mix.
    pub fn mixed(&self, mix: usize) -> [NodeId; COORDINATES] {
        std::array::from_fn(|coordinate| self.ids[&Node::Mixed(mix, coordinate)])
    }

    /// Marks nodes as the coordinates of one value.
    pub fn bundle(&mut self, coordinates: [NodeId; COORDINATES]) {
        for node in coordinates {
            self.bundles.insert(node, coordinates);
        }
    }

    /// The coordinates of the value that `id` is a coordinate of.
    pub fn bundle_of(&self, id: NodeId) -> Option<[NodeId; COORDINATES]> {
        self.bundles.get(&id).copied()
    }
}
