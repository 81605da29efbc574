//! From steps to a graph over the base field.
//!
//! Values. The taps that a prover reads are base field elements, and so is nearly everything made of them. Where
//! a circuit has extension field constants, the values that they touch become four coordinates each.
//!
//! Mixing. A state is a pair (total, power): `True` is (0, 1), `AndEqz` adds `power * value` and multiplies the power by
//! the challenge, `AndCond` adds `power * condition * inner total` and multiplies by the inner power. All powers are
//! known here as exponents. So the total of a state is the sum of its values times constants, which costs four base
//! multiplications each and no reductions in between, plus its conditions times inner totals, into which the
//! power is folded beforehand. Only an inner state that several conditions share is mixed at exponent 0, once, and
//! multiplied by the sum of its conditions' powers.

use std::collections::{HashMap, HashSet};

use super::super::bytecode::{COORDINATES, Power};
use super::graph::{Graph, Node, NodeId, Term, Weight};
use super::parse::{Listing, Step};
use super::transpose::transpose;
use super::{CompileError, MODULUS};

/// The extension field is that of `x^4 = -11`.
const X_TO_THE_FOURTH: u32 = MODULUS - 11;

/// Values mixed in one operation: each waits in its slot until the others are there, and slots should fit in a
/// near cache. Beyond this many, the cost of ending an operation is small change.
const MIX_TERMS: usize = 48;

/// Conditions added up in one operation, for the same reason: each brings four coordinates to wait.
const SUM_CONDITIONS: usize = 4;

/// What [`lower`] makes of a list.
#[derive(Debug)]
pub struct Lowered {
    /// The graph.
    pub graph: Graph,
    /// The coordinates of the result.
    pub roots: [NodeId; COORDINATES],
}

/// Lowers `listing`.
pub fn lower(listing: &Listing) -> Result<Lowered, CompileError> {
    let mut lowering = values(listing)?;
    let (_, result) = listing.result;
    lowering.count_uses(result);
    lowering.count_node_uses();
    let roots = lowering.total(result, 0);
    Ok(Lowered { graph: lowering.graph, roots })
}

/// The values and states of `listing`, with nothing mixed yet. Its result is one of the states.
pub fn values(listing: &Listing) -> Result<Lowering, CompileError> {
    let mut lowering = Lowering::default();
    for (line, step) in &listing.steps {
        lowering.step(*line, *step)?;
    }
    let (line, result) = listing.result;
    lowering.state(line, result)?;
    Ok(lowering)
}

/// A value of the list.
#[derive(Clone, Copy, Debug)]
pub enum Value {
    /// In the base field.
    Base(NodeId),
    /// In the extension field, by its coordinates.
    Extension([NodeId; COORDINATES]),
}

/// A mixing state, by what made it.
#[derive(Clone, Copy, Debug)]
enum State {
    True,
    AndEqz { chain: usize, value: Value },
    AndCond { chain: usize, condition: NodeId, inner: usize },
}

/// A list on its way to a graph.
#[derive(Default)]
pub struct Lowering {
    /// The graph so far.
    pub graph: Graph,
    /// The values of the list.
    pub values: Vec<Value>,
    states: Vec<State>,
    /// The exponent of each state's power, which is also how many constraints are in it.
    exponents: Vec<u32>,
    /// How many conditions guard each state.
    uses: HashMap<usize, usize>,
    /// In how many operations, constraints and conditions of the list each node is.
    node_uses: Vec<usize>,
    /// The totals of the states that several conditions guard.
    shared: HashMap<usize, [NodeId; COORDINATES]>,
}

impl Lowering {
    fn step(&mut self, line: usize, step: Step) -> Result<(), CompileError> {
        let value = match step {
            Step::Const(value) => Value::Base(self.graph.constant(value)),
            Step::ConstExt([base, 0, 0, 0]) => Value::Base(self.graph.constant(base)),
            Step::ConstExt(words) => Value::Extension(words.map(|word| self.graph.constant(word))),
            Step::Get(tap) => Value::Base(self.graph.tap(tap)),
            Step::GetGlobal(list, offset) => Value::Base(self.graph.global(list, offset)),
            Step::Add(left, right) => {
                let (left, right) = (self.value(line, left)?, self.value(line, right)?);
                self.coordinatewise(left, right, Graph::add)
            }
            Step::Sub(left, right) => {
                let (left, right) = (self.value(line, left)?, self.value(line, right)?);
                self.coordinatewise(left, right, Graph::sub)
            }
            Step::Mul(left, right) => match (self.value(line, left)?, self.value(line, right)?) {
                (Value::Base(left), Value::Base(right)) => Value::Base(self.graph.mul(left, right)),
                (Value::Base(scalar), Value::Extension(value))
                | (Value::Extension(value), Value::Base(scalar)) => {
                    Value::Extension(value.map(|node| self.graph.mul(scalar, node)))
                }
                (Value::Extension(left), Value::Extension(right)) => {
                    Value::Extension(self.extension_product(left, right))
                }
            },
            Step::True => return self.push_state(line, State::True, Some(0)),
            Step::AndEqz(chain, value) => {
                let value = self.value(line, value)?;
                let exponent = self.state(line, chain)?.checked_add(1);
                return self.push_state(line, State::AndEqz { chain, value }, exponent);
            }
            Step::AndCond(chain, condition, inner) => {
                let Value::Base(condition) = self.value(line, condition)? else {
                    return Err(CompileError::ExtensionCondition { line });
                };
                let exponent = self.state(line, chain)?.checked_add(self.state(line, inner)?);
                return self.push_state(line, State::AndCond { chain, condition, inner }, exponent);
            }
        };
        self.values.push(value);
        Ok(())
    }

    fn value(&self, line: usize, index: usize) -> Result<Value, CompileError> {
        let count = self.values.len();
        let undefined = CompileError::Undefined { line, what: "value", index, count };
        self.values.get(index).copied().ok_or(undefined)
    }

    /// The exponent of a state's power.
    fn state(&self, line: usize, index: usize) -> Result<u32, CompileError> {
        let count = self.states.len();
        let undefined = CompileError::Undefined { line, what: "state", index, count };
        self.exponents.get(index).copied().ok_or(undefined)
    }

    fn push_state(
        &mut self,
        line: usize,
        state: State,
        exponent: Option<u32>,
    ) -> Result<(), CompileError> {
        self.states.push(state);
        self.exponents.push(exponent.ok_or(CompileError::Exponent { line })?);
        Ok(())
    }

    /// The coordinates of a value, as an extension field element.
    pub fn coordinates(&mut self, value: Value) -> [NodeId; COORDINATES] {
        match value {
            Value::Base(node) => {
                let zero = self.graph.constant(0);
                [node, zero, zero, zero]
            }
            Value::Extension(coordinates) => coordinates,
        }
    }

    /// What `op` makes of two values.
    pub fn coordinatewise(
        &mut self,
        left: Value,
        right: Value,
        op: impl Fn(&mut Graph, NodeId, NodeId) -> NodeId,
    ) -> Value {
        if let (Value::Base(left), Value::Base(right)) = (left, right) {
            return Value::Base(op(&mut self.graph, left, right));
        }
        let (left, right) = (self.coordinates(left), self.coordinates(right));
        Value::Extension(std::array::from_fn(|c| op(&mut self.graph, left[c], right[c])))
    }

    /// `left * right`, where x^4 is a constant.
    fn extension_product(
        &mut self,
        left: [NodeId; COORDINATES],
        right: [NodeId; COORDINATES],
    ) -> [NodeId; COORDINATES] {
        let graph = &mut self.graph;
        std::array::from_fn(|coordinate| {
            let (mut low, mut high) = (graph.constant(0), graph.constant(0));
            for (i, &left) in left.iter().enumerate() {
                let j = (coordinate + COORDINATES - i) % COORDINATES;
                let product = graph.mul(left, right[j]);
                if i + j == coordinate {
                    low = graph.add(low, product);
                } else {
                    high = graph.add(high, product);
                }
            }
            let factor = graph.constant(X_TO_THE_FOURTH);
            let high = graph.mul(factor, high);
            graph.add(low, high)
        })
    }

    /// The constraints and conditions of a state, in order, each with the exponent of the power before it.
    fn items(&self, state: usize) -> Vec<(State, u32)> {
        let mut items = Vec::new();
        let mut at = state;
        while let State::AndEqz { chain, .. } | State::AndCond { chain, .. } = self.states[at] {
            items.push((self.states[at], self.exponents[chain]));
            at = chain;
        }
        items.reverse();
        items
    }

    /// Counts the conditions that guard each state which `result` depends on.
    fn count_uses(&mut self, result: usize) {
        let mut seen = HashSet::from([result]);
        let mut left = vec![result];
        while let Some(state) = left.pop() {
            for (item, _) in self.items(state) {
                if let State::AndCond { inner, .. } = item {
                    *self.uses.entry(inner).or_default() += 1;
                    if seen.insert(inner) {
                        left.push(inner);
                    }
                }
            }
        }
    }

    fn count_node_uses(&mut self) {
        let mut uses = vec![0; self.graph.len()];
        for node in 0..self.graph.len() {
            if let Node::Add(left, right) | Node::Sub(left, right) | Node::Mul(left, right) =
                self.graph.node(node)
            {
                uses[left] += 1;
                uses[right] += 1;
            }
        }
        for state in &self.states {
            match state {
                State::True => {}
                State::AndEqz { value: Value::Base(node), .. }
                | State::AndCond { condition: node, .. } => uses[*node] += 1,
                State::AndEqz { value: Value::Extension(nodes), .. } => {
                    for node in nodes {
                        uses[*node] += 1;
                    }
                }
            }
        }
        self.node_uses = uses;
    }

    /// The total of `state` times the challenge to the power of `base`.
    fn total(&mut self, state: usize, base: u32) -> [NodeId; COORDINATES] {
        let mut terms: Vec<Term> = Vec::new();
        let mut guarded: Vec<(usize, Vec<(NodeId, u32)>)> = Vec::new();
        for (item, before) in self.items(state) {
            let exponent = base + before;
            match item {
                State::True => {}
                State::AndEqz { value, .. } => {
                    let coordinates = self.coordinates(value);
                    terms.extend((0u32..).zip(coordinates).filter_map(|(coordinate, node)| {
                        let zero = self.graph.constant_of(node) == Some(0);
                        (!zero).then(|| (node, Weight::from([(Power { exponent, coordinate }, 1)])))
                    }));
                }
                // No constraints to guard.
                State::AndCond { inner, .. } if self.exponents[inner] == 0 => {}
                State::AndCond { condition, inner, .. } => {
                    let term = (condition, exponent);
                    match guarded.iter_mut().find(|(state, _)| *state == inner) {
                        Some((_, conditions)) => conditions.push(term),
                        None => guarded.push((inner, vec![term])),
                    }
                }
            }
        }

        let terms = transpose(&mut self.graph, &self.node_uses, terms);
        let mut sum = self.mix(terms);
        for (at, (inner, conditions)) in guarded.into_iter().enumerate() {
            let product = match conditions[..] {
                [(condition, exponent)] if self.uses[&inner] == 1 => {
                    let total = self.total(inner, exponent);
                    total.map(|coordinate| self.graph.mul(condition, coordinate))
                }
                _ => {
                    let term = |&(condition, exponent): &(NodeId, u32)| {
                        (condition, Weight::from([(Power { exponent, coordinate: 0 }, 1)]))
                    };
                    let factor = self.mix(conditions.iter().map(term).collect());
                    let total = self.shared_total(inner);
                    self.extension_product(factor, total)
                }
            };
            sum = self.sum(sum, product);
            if at % SUM_CONDITIONS == SUM_CONDITIONS - 1 {
                self.graph.kept.extend(sum);
                self.graph.bundle(sum);
            }
        }
        self.graph.bundle(sum);
        sum
    }

    fn shared_total(&mut self, state: usize) -> [NodeId; COORDINATES] {
        if let Some(total) = self.shared.get(&state) {
            return *total;
        }
        let total = self.total(state, 0);
        self.shared.insert(state, total);
        total
    }

    fn sum(
        &mut self,
        left: [NodeId; COORDINATES],
        right: [NodeId; COORDINATES],
    ) -> [NodeId; COORDINATES] {
        std::array::from_fn(|c| self.graph.add(left[c], right[c]))
    }

    /// The sum of `terms`, in operations of like size.
    fn mix(&mut self, terms: Vec<Term>) -> [NodeId; COORDINATES] {
        let mut sum = [self.graph.constant(0); COORDINATES];
        let operations = terms.len().div_ceil(MIX_TERMS).max(1);
        let size = terms.len().div_ceil(operations).max(1);
        for terms in terms.chunks(size) {
            let mixed = self.graph.mix(terms.to_vec());
            sum = self.sum(sum, mixed);
        }
        sum
    }
}
