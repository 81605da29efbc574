//! The recursion circuit, as a [`Session`](crate::stark::Session) has to know it.

use risc0_circuit_recursion::{CIRCUIT, GLOBAL_MIX, GLOBAL_OUT};
use risc0_zkp::adapter::TapsProvider as _;
use risc0_zkp::taps::TapSet;

use crate::constraints::{self, Domain, Evaluation};
use crate::phase::phase;
use crate::stark::{Circuit, EvalCheck};

/// The recursion circuit.
pub(crate) struct Recursion;

impl Circuit for Recursion {
    fn taps(&self) -> &TapSet<'_> {
        CIRCUIT.get_taps()
    }

    fn eval_check(&self, call: EvalCheck<'_>) {
        let EvalCheck { isa, check, groups, globals, poly_mix, po2, coset } = call;
        // The prover counts the globals in another order than the verifier, whose constraints these are.
        let globals = &[globals[GLOBAL_OUT], globals[GLOBAL_MIX]];
        let domain = Domain::Coset(coset);
        let evaluation = Evaluation { isa, po2, domain, groups, globals, poly_mix };
        phase("constraints", || constraints::recursion().eval_check(check, &evaluation));
    }
}
