//! The published C++ function for the same columns, and the published prover, to compare with.
#![allow(unsafe_code, clippy::unwrap_used)]

use risc0_circuit_keccak::compute_keccak_digest;
use risc0_circuit_keccak::prove::keccak_prover;
use risc0_circuit_keccak_sys::{
    RawBuffer, RawExecBuffers, RawPreflightTrace, risc0_circuit_keccak_cpu_witgen,
};
use risc0_sys::ffi_wrap;
use starling_babybear::vector::Isa;

use super::block::element;
use super::layout::COLUMNS;
use super::schedule::ROWS;
use super::tests::{Case, GARBAGE, SEALS, TRACES, digest_of, inputs, seal};
use super::witness::Trace;
use super::{GLOBALS, State};
use crate::stark::MemoryPlan;

/// What the stock code takes for a cell that was not written.
const INVALID: u32 = u32::MAX;

/// Row by row, so that a row can read those before it.
const FORWARD: u32 = 1;

/// The stock data columns and globals. No cell is set beforehand, so that all of them are the function's own.
fn witness(inputs: &[State], po2: usize) -> (Vec<u32>, Vec<u32>) {
    let rows = 1 << po2;
    let mut data = vec![INVALID; COLUMNS * rows];
    let mut globals = vec![INVALID; GLOBALS];
    globals[GLOBALS - 1] = element(1 << po2);
    // Which input a row that reads one gets; rows after it ask whether there is another.
    let mut next_input: Vec<u32> = (0..inputs.len() as u32)
        .flat_map(|index| (0..ROWS).map(move |row| index + u32::from(row > 0)))
        .collect();
    next_input.insert(0, 0);
    next_input.resize(rows, inputs.len() as u32);
    let order: Vec<u32> = (0..rows as u32).collect();

    let buffer = |words: &mut [u32], rows, cols| RawBuffer {
        buf: words.as_mut_ptr().cast_const().cast(),
        rows,
        cols,
        checked_reads: true,
    };
    let buffers = RawExecBuffers {
        global: buffer(&mut globals, 1, GLOBALS),
        data: buffer(&mut data, rows, COLUMNS),
    };
    let trace = RawPreflightTrace {
        preimages: inputs.as_ptr(),
        preimages_count: inputs.len() as u32,
        preimage_idxs: next_input.as_ptr(),
        run_order: order.as_ptr(),
    };
    // SAFETY: the buffers have the circuit's columns of 2^po2 words, the lists as many words as there are rows, and all
    // outlive the call. What the code writes to, behind pointers to constants, was made from mutable slices.
    let done = ffi_wrap(|| unsafe {
        risc0_circuit_keccak_cpu_witgen(FORWARD, &buffers, &trace, rows as u32)
    });
    done.unwrap();
    for word in &mut data {
        if *word == INVALID {
            *word = 0;
        }
    }
    (data, globals)
}

#[test]
fn every_cell_is_the_stock_one() {
    for case in TRACES {
        let Case { po2, permutations } = case;
        let inputs = inputs(permutations);
        let (stock, globals) = witness(&inputs, po2);
        let trace = Trace::new(&inputs, po2).unwrap();
        let mut data = vec![GARBAGE; stock.len()];
        trace.fill(&mut data);
        for row in 0..1 << po2 {
            for column in 0..COLUMNS {
                let at = (column << po2) + row;
                assert_eq!(data[at], stock[at], "2^{po2}: column {column} of row {row}");
            }
        }
        assert_eq!(trace.globals(), globals[..]);
        case.assert_recorded("trace", &digest_of(&stock, &globals), "the stock one");
    }
}

#[test]
fn seals_are_those_of_the_stock_prover_word_for_word_with_all_vectors() {
    for case in SEALS {
        let stock = stock_seal(&case);
        for isa in Isa::available() {
            let (po2, name) = (case.po2, isa.name());
            assert!(seal(isa, MemoryPlan::LEAST, &case) == stock, "2^{po2}, {name}");
        }
        keccak_prover().unwrap().verify(&stock).unwrap();
        case.assert_recorded("seal", &digest_of(&stock, &[]), "the stock one");
    }
}

fn stock_seal(case: &Case) -> Vec<u32> {
    keccak_prover().unwrap().prove(&inputs(case.permutations), case.po2).unwrap()
}

#[test]
#[ignore = "records: `bench/record.sh` runs it"]
fn record_traces_and_seals() {
    assert!(std::env::var_os("STARLING_RECORD").is_some(), "bench/record.sh runs what records");
    let traces = TRACES.iter().map(|case| {
        let (data, globals) = witness(&inputs(case.permutations), case.po2);
        case.line("trace", &digest_of(&data, &globals))
    });
    let seals = SEALS.iter().map(|case| case.line("seal", &digest_of(&stock_seal(case), &[])));
    let lines: String = traces.chain(seals).map(|line| line + "\n").collect();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/keccak/recorded.txt");
    std::fs::write(path, lines).unwrap();
}

#[test]
fn the_globals_are_the_digest_that_a_request_claims() {
    for count in [1, 2, 5] {
        let inputs = inputs(count);
        let claim = compute_keccak_digest(bytemuck::cast_slice(&inputs));
        let halves = claim.as_words().iter().flat_map(|word| [word & 0xffff, word >> 16]);
        let expected: Vec<u32> = halves.chain([1 << 11]).map(element).collect();
        assert_eq!(Trace::new(&inputs, 11).unwrap().globals(), expected[..]);
    }
}
