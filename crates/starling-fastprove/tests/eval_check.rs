//! The constraint evaluation, compared with what was recorded of the stock prover's kernels.

mod columns;

use columns::{CIRCUITS, Columns, digest};
use starling_babybear::vector::Isa;

#[test]
fn the_check_polynomials_are_those_recorded_of_the_stock_kernels() {
    for (circuit, recorded) in CIRCUITS {
        let columns = Columns::new(circuit);
        for isa in Isa::available() {
            let check = columns.eval_check(circuit, isa);
            assert_eq!(digest(&check), recorded, "{} with {}", circuit.name, isa.name());
        }
    }
}
