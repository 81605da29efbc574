#![allow(clippy::unwrap_used)]

use risc0_zkp::adapter::PolyExtStep;
use risc0_zkp::field::Elem as _;
use risc0_zkp::field::baby_bear::{BabyBearElem as Elem, BabyBearExtElem as Ext};

use super::*;

/// The published constraints hang their trait on this.
#[allow(dead_code)]
struct CircuitImpl;

#[allow(clippy::all)]
mod list {
    include!(concat!(env!("STARLING_RV32IM_SOURCE"), "/poly_ext.rs"));
}

/// Selectors of kinds of rows: data columns.
const SELECTORS: std::ops::RangeInclusive<usize> = 1..=13;

/// Made-up columns in which every row is of one kind.
struct Case {
    rows: usize,
    data: Vec<u32>,
    globals: Vec<u32>,
    mix: Vec<u32>,
}

impl Case {
    fn new(po2: usize) -> Self {
        let rows = 1 << po2;
        let mut state = 0x9e37_79b9_7f4a_7c15u64;
        let mut next = move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 16) as u32 % P
        };
        let mut words = |count: usize| -> Vec<u32> { (0..count).map(|_| next()).collect() };
        let mut data = words(RV32IM.columns(RV32IM.group(GroupKind::Data)) * rows);
        for row in 0..rows {
            let kind = data[row] as usize % SELECTORS.count();
            for selector in SELECTORS {
                let one = Elem::ONE.as_u32_montgomery();
                data[selector * rows + row] =
                    if selector == SELECTORS.start() + kind { one } else { 0 };
            }
        }
        Self { rows, data, globals: words(RV32IM.globals), mix: words(RV32IM.mix) }
    }

    fn accumulate(&self, isa: Isa, unset: Unset) -> Vec<u32> {
        let mut accum = vec![7; RV32IM.columns(RV32IM.group(GroupKind::Accum)) * self.rows];
        let po2 = self.rows.trailing_zeros() as usize;
        accumulate(isa, po2, &self.data, &self.globals, &self.mix, &mut accum, unset);
        accum
    }

    /// What the constraints on the running sums come to in `row`, and the columns of the sums that they read.
    fn constraints(&self, accum: &[u32], row: usize) -> (Vec<Ext>, Vec<bool>) {
        let first = rv32im_sums().first_column();
        let [of_data, of_accum] =
            [GroupKind::Data, GroupKind::Accum].map(|kind| RV32IM.group(kind));
        let taps = &RV32IM.taps().taps;
        let list = &list::DEF;
        // The value, and which accumulator columns it depends on: those that are read in this row.
        let mut values: Vec<(Ext, Vec<usize>)> = Vec::new();
        let mut states = Vec::new();
        for step in list.block {
            let both = |x: &usize, y: &usize, value: Ext| {
                let mut columns = values[*x].1.clone();
                columns.extend(&values[*y].1);
                columns.sort_unstable();
                columns.dedup();
                (value, columns)
            };
            let value = match step {
                PolyExtStep::Const(word) => (Ext::from(Elem::new(*word)), vec![]),
                PolyExtStep::ConstExt(a, b, c, d) => {
                    let [a, b, c, d] = [*a, *b, *c, *d].map(Elem::new);
                    (Ext::new(a, b, c, d), vec![])
                }
                PolyExtStep::Get(tap) => {
                    let tap = &taps[*tap];
                    let from = (row + self.rows - usize::from(tap.back)) % self.rows;
                    let at = usize::from(tap.offset) * self.rows + from;
                    let sum = tap.group == of_accum && usize::from(tap.offset) >= first;
                    let word = match tap.group {
                        group if group == of_accum => accum[at],
                        group if group == of_data => self.data[at],
                        _ => 0,
                    };
                    let columns = if sum { vec![usize::from(tap.offset)] } else { vec![] };
                    (Ext::from(Elem::new_raw(word)), columns)
                }
                PolyExtStep::GetGlobal(list, at) => {
                    let word = [&self.globals, &self.mix][*list][*at];
                    (Ext::from(Elem::new_raw(word)), vec![])
                }
                PolyExtStep::Add(x, y) => both(x, y, values[*x].0 + values[*y].0),
                PolyExtStep::Sub(x, y) => both(x, y, values[*x].0 - values[*y].0),
                PolyExtStep::Mul(x, y) => both(x, y, values[*x].0 * values[*y].0),
                state => {
                    states.push(state);
                    continue;
                }
            };
            values.push(value);
        }

        let mut results = Vec::new();
        let mut read = vec![false; RV32IM.columns(RV32IM.group(GroupKind::Accum))];
        let mut left = vec![list.ret];
        while let Some(state) = left.pop() {
            match states[state] {
                PolyExtStep::AndEqz(before, value) => {
                    left.push(*before);
                    let (value, columns) = &values[*value];
                    if !columns.is_empty() {
                        results.push(*value);
                        columns.iter().for_each(|column| read[*column] = true);
                    }
                }
                PolyExtStep::AndCond(before, condition, inner) => {
                    left.push(*before);
                    if values[*condition].0 != Ext::ZERO {
                        left.push(*inner);
                    }
                }
                _ => {}
            }
        }
        (results, read)
    }
}

#[test]
fn the_published_constraints_on_the_sums_hold_in_every_kind_of_row() {
    let case = Case::new(13);
    assert!(case.rows > CHUNK_ROWS);
    let accum = case.accumulate(Isa::best(), Unset::Zero);
    let first = rv32im_sums().first_column();
    // In the first row they hold only where the sum over all rows is zero: of these columns it is not.
    let seams = [1, CHUNK_ROWS - 1, CHUNK_ROWS, CHUNK_ROWS + 1, case.rows - 1];
    for row in seams.into_iter().chain((2..80).map(|at| at * 97)) {
        let (results, read) = case.constraints(&accum, row);
        assert!(!results.is_empty());
        assert!(results.iter().all(|value| *value == Ext::ZERO), "row {row}");
        for (column, read) in read.iter().enumerate().skip(first) {
            let word = accum[column * case.rows + row];
            assert!(if *read { word < P } else { word == 0 }, "row {row}, column {column}");
        }
    }
}

#[test]
fn a_wrong_cell_breaks_the_published_constraints() {
    let case = Case::new(8);
    let mut accum = case.accumulate(Isa::best(), Unset::Zero);
    let cell = rv32im_sums().first_column() * case.rows + 100;
    accum[cell] = (accum[cell] + 1) % P;
    let (results, _) = case.constraints(&accum, 100);
    assert!(results.iter().any(|value| *value != Ext::ZERO));
}

#[test]
fn all_instruction_sets_agree_and_leave_the_other_columns_alone() {
    let case = Case::new(9);
    let expected = case.accumulate(Isa::Scalar, Unset::Zero);
    let others = rv32im_sums().first_column() * case.rows;
    assert!(expected[..others].iter().all(|word| *word == 7));
    for isa in Isa::available() {
        assert!(case.accumulate(isa, Unset::Zero) == expected, "{}", isa.name());
    }
}

#[test]
fn what_stock_leaves_in_unset_cells_differs_there_alone() {
    let case = Case::new(8);
    let ours = case.accumulate(Isa::best(), Unset::Zero);
    let stock = case.accumulate(Isa::best(), Unset::Stock);
    let total = RV32IM.columns(RV32IM.group(GroupKind::Accum)) - COORDINATES;
    let first = rv32im_sums().first_column();
    for row in 1..case.rows {
        let (_, read) = case.constraints(&ours, row);
        for column in first..total {
            let before = ours[(total + (column - first) % COORDINATES) * case.rows + row - 1];
            let expected = match before {
                _ if read[column] => ours[column * case.rows + row],
                0 => u32::MAX - P,
                before => before - 1,
            };
            assert_eq!(stock[column * case.rows + row], expected, "row {row}, column {column}");
        }
    }
}

#[test]
#[should_panic(expected = "words of the data columns")]
fn columns_of_another_shape_are_refused() {
    let case = Case { data: vec![0; 5], ..Case::new(4) };
    case.accumulate(Isa::best(), Unset::Zero);
}
