//! The constraint evaluation, compared with that of the stock prover's kernels.
#![allow(clippy::unwrap_used)]
// Foreign functions are called.
#![allow(unsafe_code)]

mod columns;

use columns::{CIRCUITS, Columns, PO2, RECORDED, line, rows};
use risc0_circuit_keccak_sys::risc0_circuit_keccak_cpu_poly_fp;
use risc0_circuit_recursion_sys::{RawAccumBuffers, risc0_circuit_recursion_cpu_eval_check};
use risc0_circuit_rv32im_sys::risc0_circuit_rv32im_cpu_poly_fp;
use risc0_sys::ffi_wrap;
use risc0_zkp::INV_RATE;
use risc0_zkp::core::log2_ceil;
use risc0_zkp::field::baby_bear::{BabyBearElem as Elem, BabyBearExtElem as Ext};
use risc0_zkp::field::{Elem as _, RootsOfUnity as _};
use starling_babybear::vector::Isa;
use starling_fastprove::circuits::{Entry, GroupKind, KECCAK, RV32IM};

/// Of the powers of the challenge the kernels want those that they name, in lists private to their crates. So the
/// challenge here is one, whose powers need no list; that mixing is right is what the other tests of the evaluation are
/// about. This many there are not.
const POWERS: usize = 4096;

/// `poly_fp` of a circuit: row, rows, powers, columns, result.
type PolyFp = unsafe extern "C" fn(
    usize,
    usize,
    *const Ext,
    *const *const Elem,
    *mut Ext,
) -> *const std::os::raw::c_char;

fn recursion(columns: &Columns) -> Vec<u32> {
    let [accum, ctrl, data] = columns.groups.as_slice() else { panic!("three groups") };
    let [output, mix] = &columns.globals;
    let buffers = RawAccumBuffers {
        ctrl: ctrl.as_ptr(),
        global: output.as_ptr(),
        data: data.as_ptr(),
        mix: mix.as_ptr(),
        accum: accum.as_ptr(),
    };
    let mut check = vec![0u32; 4 * rows()];
    let root = Elem::ROU_FWD[PO2 + log2_ceil(INV_RATE)];
    let powers = vec![Ext::ONE; POWERS];
    let plane = check.as_mut_ptr().cast();
    // SAFETY: all buffers have the shapes of the circuit, for as many rows as the kernel is told.
    ffi_wrap(|| unsafe {
        let (powers, rows) = (powers.as_ptr(), rows() as u32);
        risc0_circuit_recursion_cpu_eval_check(&buffers, powers, plane, root, PO2 as u32, rows)
    })
    .unwrap();
    check
}

/// What `poly_fp` gives in each row, divided by what vanishes on the trace.
fn by_rows(poly_fp: PolyFp, buffers: &[&Vec<Elem>]) -> Vec<u32> {
    let rows = rows();
    let powers = vec![Ext::ONE; POWERS];
    let buffers: Vec<*const Elem> = buffers.iter().map(|buffer| buffer.as_ptr()).collect();
    let root = Elem::ROU_FWD[PO2 + log2_ceil(INV_RATE)];
    let mut check = vec![0u32; 4 * rows];
    for row in 0..rows {
        let mut total = Ext::ZERO;
        // SAFETY: all buffers have the shapes of the circuit, for as many rows as the kernel is told.
        ffi_wrap(|| unsafe { poly_fp(row, rows, powers.as_ptr(), buffers.as_ptr(), &mut total) })
            .unwrap();
        let x = Elem::new(3) * root.pow(row);
        let value = total * (x.pow(1 << PO2) - Elem::ONE).inv();
        for (coordinate, element) in value.elems().iter().enumerate() {
            check[coordinate * rows + row] = element.as_u32_montgomery();
        }
    }
    check
}

fn stock(circuit: &Entry, columns: &Columns) -> Vec<u32> {
    let [own, mix] = &columns.globals;
    let group = |index: usize| &columns.groups[index];
    let (accum, data) =
        (group(circuit.group(GroupKind::Accum)), group(circuit.group(GroupKind::Data)));
    if std::ptr::eq(circuit, &RV32IM) {
        by_rows(risc0_circuit_rv32im_cpu_poly_fp, &[accum, data, own, mix])
    } else if std::ptr::eq(circuit, &KECCAK) {
        by_rows(risc0_circuit_keccak_cpu_poly_fp, &[data, own])
    } else {
        recursion(columns)
    }
}

#[test]
fn the_check_polynomials_are_those_of_the_stock_kernels() {
    let lines = CIRCUITS.map(|circuit| {
        let columns = Columns::new(circuit);
        let expected = stock(circuit, &columns);
        for isa in Isa::available() {
            let check = columns.eval_check(circuit, isa);
            assert!(check == expected, "{} with {}: the planes differ", circuit.name, isa.name());
        }
        line(circuit, &expected)
    });
    assert_eq!(lines.concat(), RECORDED, "what is recorded");
}

#[test]
#[ignore = "records: `bench/record.sh` runs it"]
fn record_check_polynomials() {
    assert!(std::env::var_os("STARLING_RECORD").is_some(), "bench/record.sh runs what records");
    let lines = CIRCUITS.map(|circuit| line(circuit, &stock(circuit, &Columns::new(circuit))));
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/columns/recorded.txt");
    std::fs::write(path, lines.concat()).unwrap();
}
