//! The constraint evaluation, compared with what was recorded of the stock prover's kernels.

mod columns;

use columns::{CIRCUITS, Columns, RECORDED, line};
use starling_babybear::vector::Isa;

#[test]
fn the_check_polynomials_are_those_recorded_of_the_stock_kernels() {
    for isa in Isa::available() {
        let check = |circuit| Columns::new(circuit).eval_check(circuit, isa);
        let lines = CIRCUITS.map(|circuit| line(circuit, &check(circuit)));
        assert_eq!(lines.concat(), RECORDED, "with {}", isa.name());
    }
}
