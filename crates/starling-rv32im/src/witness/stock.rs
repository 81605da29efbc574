//! The same columns from RISC Zero's own build of its functions, word for word.
//!
//! Everything that needs the crate with the kernels is in this file.

#![allow(unsafe_code, clippy::unwrap_used)]

use std::ptr::null;

use risc0_circuit_rv32im_sys::{
    RawAccumBuffers, RawBuffer, RawExecBuffers, RawPreflightTrace, risc0_circuit_rv32im_cpu_accum,
    risc0_circuit_rv32im_cpu_witgen,
};

use super::{
    tests::{MIX, RAND_Z, RECORDED, RUNS, RUNS_PO2, first_segment, line},
    *,
};
use crate::zirgen::circuit::REGCOUNT_ACCUM;

/// One row after the other, first to last.
const IN_ORDER: u32 = 1;

fn buffer(words: &[u32], cols: usize) -> RawBuffer {
    RawBuffer { buf: words.as_ptr().cast(), rows: words.len() / cols, cols, checked: true }
}

/// The trace as the kernels read it. They count transactions up in it: it serves once.
fn raw(trace: &PreflightTrace) -> RawPreflightTrace {
    RawPreflightTrace {
        cycles: trace.cycles.as_ptr().cast(),
        txns: trace.txns.as_ptr().cast(),
        bigint_bytes: trace.bigint_bytes.as_ptr(),
        txns_len: trace.txns.len() as u32,
        bigint_bytes_len: trace.bigint_bytes.len() as u32,
        table_split_cycle: trace.table_split_cycle,
    }
}

/// Data columns, globals and the columns of big integers, as the kernels fill them.
fn stock(segment: &Segment) -> [Vec<u32>; 3] {
    let rand_z = element(RAND_Z).unwrap();
    let rows = 1_usize << segment.po2;
    let trace = segment.preflight(rand_z).unwrap();
    let mut data = vec![0; DATA_COLUMNS * rows];
    inject(&trace, &mut data);
    let mut globals = globals::known(segment, rand_z);
    let buffers = RawExecBuffers {
        global: buffer(&globals, globals.len()),
        data: buffer(&data, DATA_COLUMNS),
    };
    // SAFETY: the buffers have the sizes that the kernels expect, and live until they return. What they write through
    // them is read after that only.
    let error =
        unsafe { risc0_circuit_rv32im_cpu_witgen(IN_ORDER, &buffers, &raw(&trace), rows as u32) };
    assert_eq!(error.cast(), null::<u8>());
    zero_unset(&mut data);
    zero_unset(&mut globals);

    // The kernels want the states of the rows of big integers, and fill the rest.
    let mut accum = vec![UNSET; REGCOUNT_ACCUM * rows];
    let bigints = bigint::rows_of(segment.preflight(rand_z).unwrap().backs);
    let states = &mut vec![0; bigint::COLUMNS * rows];
    bigint::fill(&bigints, element(MIX).unwrap(), &mut Columns::new(states, rows)).unwrap();
    for row in bigints.iter().map(bigint::BigIntRow::row) {
        for column in 0..12 {
            accum[column * rows + row] = states[column * rows + row];
        }
    }
    let mut mix = vec![3; 32];
    mix.extend(MIX);
    let buffers = RawAccumBuffers {
        data: buffer(&data, DATA_COLUMNS),
        accum: buffer(&accum, REGCOUNT_ACCUM),
        global: buffer(&globals, globals.len()),
        mix: buffer(&mix, mix.len()),
    };
    // SAFETY: as above.
    let error = unsafe { risc0_circuit_rv32im_cpu_accum(&buffers, &raw(&trace), rows as u32) };
    assert_eq!(error.cast(), null::<u8>());
    accum.truncate(bigint::COLUMNS * rows);
    zero_unset(&mut accum);
    [data, globals, accum]
}

#[test]
fn columns_equal_those_of_the_stock_kernels_for_every_guest() {
    let lines = RUNS.map(|(guest, input)| {
        let segment = first_segment(guest, input, RUNS_PO2);
        let ours = tests::witness(&segment).unwrap();
        let stock = stock(&segment);
        for (name, (ours, stock)) in
            ["data", "globals", "bigint"].into_iter().zip(ours.iter().zip(&stock))
        {
            let rows = ours.len().min(1 << segment.po2);
            let differ = (0..ours.len()).find(|at| ours[*at] != stock[*at]);
            let place = differ.map(|at| (at / rows, at % rows));
            assert_eq!(place, None, "{guest} {input}: {name} differs at column, row");
        }
        line((guest, input), &stock)
    });
    assert_eq!(lines.concat(), RECORDED);
}

#[test]
#[ignore = "records: `bench/record.sh` runs it"]
fn record_columns() {
    assert!(std::env::var_os("STARLING_RECORD").is_some(), "bench/record.sh runs what records");
    let lines = RUNS.map(|run| line(run, &stock(&first_segment(run.0, run.1, RUNS_PO2))));
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/witness/recorded.txt");
    std::fs::write(path, lines.concat()).unwrap();
}
