//! The constraint evaluation, compared with that of the stock prover's kernel.
#![allow(clippy::unwrap_used)]
// A foreign function is called.
#![allow(unsafe_code)]

use risc0_circuit_recursion::{CIRCUIT, CircuitImpl};
use risc0_circuit_recursion_sys::{RawAccumBuffers, risc0_circuit_recursion_cpu_eval_check};
use risc0_sys::ffi_wrap;
use risc0_zkp::INV_RATE;
use risc0_zkp::adapter::{CircuitInfo as _, TapsProvider as _};
use risc0_zkp::core::log2_ceil;
use risc0_zkp::field::baby_bear::{BabyBearElem as Elem, BabyBearExtElem as Ext};
use risc0_zkp::field::{Elem as _, RootsOfUnity as _};
use starling_babybear::vector::{Isa, P};
use starling_fastprove::constraints::{Domain, Evaluation, recursion};

/// Of the powers of the challenge the kernel wants those that it names, in a list private to its crate. So the challenge
/// here is one, whose powers need no list; that mixing is right is what the other tests of the evaluation are about.
/// This many there are not.
const POWERS: usize = 2048;

#[test]
fn the_check_polynomial_is_that_of_the_stock_kernel() {
    const PO2: usize = 8;
    let rows = INV_RATE << PO2;
    let mut word = 1u32;
    let mut random = |count| -> Vec<Elem> {
        let mut next = || {
            word = word.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            Elem::new(word % P)
        };
        (0..count).map(|_| next()).collect()
    };
    let taps = CIRCUIT.get_taps();
    let groups = [0, 1, 2].map(|group| random(taps.group_size(group) * rows));
    let [output, mix] = [CircuitImpl::OUTPUT_SIZE, CircuitImpl::MIX_SIZE].map(&mut random);

    let [accum, ctrl, data] = &groups;
    let buffers = RawAccumBuffers {
        ctrl: ctrl.as_ptr(),
        global: output.as_ptr(),
        data: data.as_ptr(),
        mix: mix.as_ptr(),
        accum: accum.as_ptr(),
    };
    let mut expected = vec![0u32; 4 * rows];
    let root = Elem::ROU_FWD[PO2 + log2_ceil(INV_RATE)];
    let powers = vec![Ext::ONE; POWERS];
    let plane = expected.as_mut_ptr().cast();
    // SAFETY: all buffers have the shapes of the circuit, for as many rows as the kernel is told.
    ffi_wrap(|| unsafe {
        let (powers, rows) = (powers.as_ptr(), rows as u32);
        risc0_circuit_recursion_cpu_eval_check(&buffers, powers, plane, root, PO2 as u32, rows)
    })
    .unwrap();

    let groups = groups.each_ref().map(|group| bytemuck::cast_slice(group));
    let globals = [&output, &mix].map(|list| bytemuck::cast_slice(list));
    let evaluation = Evaluation {
        isa: Isa::best(),
        po2: PO2,
        domain: Domain::Whole,
        groups: &groups,
        globals: &globals,
        poly_mix: Ext::ONE,
    };
    let mut check = vec![0u32; 4 * rows];
    recursion().eval_check(&mut check, &evaluation);
    assert!(check == expected, "the planes differ");
}
