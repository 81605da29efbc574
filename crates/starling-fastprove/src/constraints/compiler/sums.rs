//! Finds the running sums among the constraints, and makes programs of them.
//!
//! A circuit's lookups are sums of fractions `count / (offset + value * challenge)`. The sum runs through the columns of
//! a row and on to the next row, up to three fractions a column, and the columns are what the accumulator group
//! holds. Which fractions depends on what the row does: its *arm*, which a selector tells. In the list that is a
//! condition on the selector, and under it for each column the fractions' sum without a division:
//!
//! `(this - previous) * divisor - part - part - part = 0`,
//!
//! and at the end `total - last = 0`. Anything else under a condition is not an arm. An arm's program computes from the other
//! columns all its divisors and dividends, whose quotients are what each column adds.

use super::super::bytecode::{Arm, COORDINATES, Sums};
use super::CompileError;
use super::fuse::fuse;
use super::graph::{Graph, Node, NodeId};
use super::lower::{Lowering, Value, values};
use super::parse::{Listing, Step};
use super::schedule::schedule;

/// The running sums of `listing`.
pub fn sums(listing: &Listing) -> Result<Sums, CompileError> {
    let mut finder = Finder::new(listing)?;
    let mut found = Vec::new();
    for step in finder.chain(listing.result.1) {
        let Step::AndCond(_, condition, inner) = step else { continue };
        let Value::Base(selector) = finder.lowering.values[condition] else { continue };
        let Node::Tap(selector) = finder.lowering.graph.node(selector) else { continue };
        if let Some(columns) = finder.columns(inner) {
            found.push((selector, columns));
        }
    }

    let ends = |columns: &[Column]| Some((columns.first()?.previous, columns.last()?.this));
    let mut all_ends = found.iter().filter_map(|(_, columns)| ends(columns));
    let (carry, total) = all_ends.next().ok_or(CompileError::NoSums)?;
    if all_ends.any(|ends| ends != (carry, total)) {
        return Err(CompileError::BrokenSum { what: "begin or end in other columns than others" });
    }
    let arms = found.into_iter().map(|(selector, columns)| finder.arm(selector, columns, total));
    Ok(Sums { carry, total, arms: arms.collect::<Result<_, _>>()? })
}

/// The taps of an extension element's coordinates.
type Taps = [u32; COORDINATES];

/// What is known of one column of an arm.
struct Column {
    previous: Taps,
    this: Taps,
    /// The divisor, and the parts of the dividend; none where the column just repeats the one before.
    quotient: Option<(usize, Vec<usize>)>,
}

/// The list, with the values that it defines.
struct Finder {
    lowering: Lowering,
    /// The steps that make values.
    values: Vec<Step>,
    /// The steps that make states.
    states: Vec<Step>,
}

impl Finder {
    fn new(listing: &Listing) -> Result<Self, CompileError> {
        let lowering = values(listing)?;
        let steps = listing.steps.iter().map(|(_, step)| *step);
        let (states, values) = steps
            .partition(|step| matches!(step, Step::True | Step::AndEqz(..) | Step::AndCond(..)));
        Ok(Self { lowering, values, states })
    }

    /// The constraints and conditions of a state, in order.
    fn chain(&self, mut state: usize) -> Vec<Step> {
        let mut steps = Vec::new();
        while let Step::AndEqz(before, _) | Step::AndCond(before, ..) = self.states[state] {
            steps.push(self.states[state]);
            state = before;
        }
        steps.reverse();
        steps
    }

    /// The columns of the arm that `state` is, if it is one.
    fn columns(&self, state: usize) -> Option<Vec<Column>> {
        let steps = self.chain(state).into_iter();
        let columns = steps.map(|step| match step {
            Step::AndEqz(_, value) => self.column(value),
            _ => None,
        });
        columns.collect::<Option<Vec<_>>>().filter(|columns| !columns.is_empty())
    }

    /// What the constraint that `value` is zero says of a column.
    fn column(&self, mut value: usize) -> Option<Column> {
        let mut parts = Vec::new();
        loop {
            if let Some([this, previous]) = self.difference(value) {
                return parts.is_empty().then_some(Column { previous, this, quotient: None });
            }
            match self.values[value] {
                Step::Sub(rest, part) => {
                    parts.push(part);
                    value = rest;
                }
                Step::Mul(left, right) => {
                    let (difference, divisor) = match self.difference(left) {
                        Some(difference) => (difference, right),
                        None => (self.difference(right)?, left),
                    };
                    let [this, previous] = difference;
                    return Some(Column { previous, this, quotient: Some((divisor, parts)) });
                }
                _ => return None,
            }
        }
    }

    /// The taps of two extension elements, if `value` is the difference between them.
    fn difference(&self, value: usize) -> Option<[Taps; 2]> {
        let Value::Extension(coordinates) = self.lowering.values[value] else { return None };
        let graph = &self.lowering.graph;
        let mut taps = [[0; COORDINATES]; 2];
        for (at, node) in coordinates.into_iter().enumerate() {
            let Node::Sub(left, right) = graph.node(node) else { return None };
            let (Node::Tap(left), Node::Tap(right)) = (graph.node(left), graph.node(right)) else {
                return None;
            };
            [taps[0][at], taps[1][at]] = [left, right];
        }
        Some(taps)
    }

    /// The program of an arm.
    fn arm(
        &mut self,
        selector: u32,
        columns: Vec<Column>,
        total: Taps,
    ) -> Result<Arm, CompileError> {
        let mut roots: Vec<NodeId> = Vec::new();
        let mut targets: Vec<Taps> = Vec::new();
        for column in columns {
            if targets.last().is_some_and(|last| *last != column.previous) {
                return Err(CompileError::BrokenSum { what: "leave a column out" });
            }
            match column.quotient {
                Some((divisor, parts)) => {
                    roots.extend(self.quotient(divisor, &parts));
                    targets.push(column.this);
                }
                None if column.this == total => {}
                None => return Err(CompileError::BrokenSum { what: "repeat a column" }),
            }
        }
        let graph = &self.lowering.graph;
        let formulas = fuse(graph, &roots);
        Ok(Arm { selector, targets, code: schedule(graph, &formulas, &roots) })
    }

    /// The coordinates of a divisor and then those of the sum of `parts`.
    fn quotient(&mut self, divisor: usize, parts: &[usize]) -> [NodeId; 2 * COORDINATES] {
        let lowering = &mut self.lowering;
        let mut dividend = Value::Base(lowering.graph.constant(0));
        for part in parts {
            dividend = lowering.coordinatewise(dividend, lowering.values[*part], Graph::add);
        }
        let divisor = lowering.coordinates(lowering.values[divisor]);
        let dividend = lowering.coordinates(dividend);
        for value in [divisor, dividend] {
            lowering.graph.bundle(value);
        }
        let mut coordinates = [0; 2 * COORDINATES];
        coordinates[..COORDINATES].copy_from_slice(&divisor);
        coordinates[COORDINATES..].copy_from_slice(&dividend);
        coordinates
    }
}

#[cfg(test)]
mod tests;
