//! The columns that accumulate big integers as polynomials, evaluated at a random element.
//!
//! Each row has a state of three elements: the polynomial that is being read, the factor read before it, and the sum of
//! products so far. Rows that are not of the accelerator hold the state in which it begins.

use risc0_zkp::field::ExtElem as _;

use super::{WitnessError, columns::Columns};
use crate::{
    witgen::{
        bigint::{BigIntState, PolyOp},
        byte_poly::{BigIntAccum, BigIntAccumState},
        preflight::Back,
    },
    zirgen::circuit::{BigIntAccumLayout, ExtVal, LAYOUT_TOP_ACCUM, Val},
};

const LAYOUT: &BigIntAccumLayout = LAYOUT_TOP_ACCUM.user._0;

/// How many columns these are: three elements, a flag for each of seven operations, and a product.
pub(super) const COLUMNS: usize = 3 * 4 + 7 + 4;

/// A row of the accelerator.
pub(super) struct BigIntRow {
    row: u32,
    state: BigIntState,
}

#[cfg(all(test, feature = "stock"))]
impl BigIntRow {
    /// Which row it is.
    pub(super) fn row(&self) -> usize {
        self.row as usize
    }
}

/// The rows of the accelerator, in order.
pub(super) fn rows_of(backs: Vec<(u32, Back)>) -> Vec<BigIntRow> {
    let bigints = backs.into_iter().filter_map(|(row, back)| match back {
        Back::BigInt(state) => Some(BigIntRow { row, state }),
        _ => None,
    });
    bigints.collect()
}

/// Fills the columns of all rows.
pub(super) fn fill(
    bigints: &[BigIntRow],
    mix: ExtVal,
    columns: &mut Columns<'_>,
) -> Result<(), WitnessError> {
    let flag = |op: PolyOp| const { LAYOUT.poly_op._super[0]._super.offset } + op as usize;
    let product = const { LAYOUT.state_redef.arm3.tmp._super.offset };

    for column in 0..COLUMNS {
        columns.fill(column, 0);
    }
    columns.fill(const { LAYOUT.state.term._super.offset }, 1);
    columns.fill(flag(PolyOp::Reset), 1);

    let mut accum = BigIntAccum::new(mix);
    for BigIntRow { row, state } in bigints {
        let row = *row as usize;
        let term = accum.state.term;
        accum.step(state).map_err(|error| WitnessError::BigInt(format!("{error:#}")))?;
        for (column, value) in BigIntAccumState::offsets().into_iter().zip(accum.state.as_array()) {
            columns.set(row, column, value);
        }
        columns.set(row, flag(PolyOp::Reset), 0);
        columns.set(row, flag(state.poly_op), 1);
        if state.poly_op == PolyOp::AddTotal {
            // Coefficients are stored with 4 added.
            let scaled = term * (Val::from(state.coeff) - Val::from(4_u32));
            for (column, element) in (product..).zip(scaled.subelems()) {
                columns.set(row, column, element.as_u32());
            }
        }
    }
    Ok(())
}
