//! Traces that no preflight makes, each beyond one of the bounds that hold the C++ to what it is given.
//!
//! A tampered segment ends in the preflight or by a row's own rules before it gets there, as far as is known. That these
//! bounds hold is seen on traces that are tampered with, row for row, on one thread and on eight; that nothing is read beyond
//! them, in `bench/asan-witness.sh`. What is cut is therefore allocated anew: the sanitizer knows where that ends.

use std::ops::Range;

use super::*;
use crate::zirgen::circuit::LAYOUT_TOP;

/// A segment that has passed its preflight.
fn witness_of(segment: &Segment) -> SegmentWitness {
    SegmentWitness::new(segment, RAND_Z).unwrap()
}

/// The same of one that uses big integers.
fn bigints() -> SegmentWitness {
    witness_of(&first_segment("bigint.bin", "bigint-256-1.bin", 16))
}

fn trace(witness: &mut SegmentWitness) -> &mut PreflightTrace {
    witness.trace.as_mut().unwrap()
}

/// Runs rows of a trace, with cells changed, on one thread and on eight: each time a row is refused for this reason.
fn assert_refused_for(
    reason: &str,
    witness: &SegmentWitness,
    rows: Option<Range<u32>>,
    change: impl Fn(&mut Columns<'_>),
) {
    let trace = witness.trace.as_ref().unwrap();
    let mut data = vec![0; DATA_COLUMNS << witness.po2];
    let pools = [pool(1), pool(8)];
    for pool in pools.iter().cycle().take(2 * repeats()) {
        inject(trace, &mut data);
        change(&mut Columns::new(&mut data, 1 << witness.po2));
        let mut globals = witness.globals.clone();
        let result = pool.install(|| match &rows {
            None => kernel::fill(trace, &mut data, &mut globals),
            Some(rows) => {
                kernel::fill_rows(trace, &mut data, &mut globals, std::slice::from_ref(rows))
            }
        });
        let error = result.unwrap_err();
        let refused = matches!(&error, WitnessError::Row(text) if text.ends_with(reason));
        assert!(refused, "{error}, not {reason}");
    }
}

#[test]
fn no_row_reads_a_transaction_beyond_the_last() {
    const REASON: &str = ": the transactions are at an end";
    let mut cut = witness_of(&segment());
    let txns = &mut trace(&mut cut).txns;
    *txns = txns[..txns.len() - 1].to_vec();
    assert_refused_for(REASON, &cut, None, |_| {});
    let mut raised = witness_of(&segment());
    trace(&mut raised).cycles.iter_mut().for_each(|cycle| cycle.txn_idx = u32::MAX);
    assert_refused_for(REASON, &raised, None, |_| {});
}

#[test]
fn no_row_reads_bytes_of_a_big_integer_beyond_the_last() {
    const REASON: &str = ": the bytes of big integers are at an end";
    let mut cut = bigints();
    let bytes = &mut trace(&mut cut).bigint_bytes;
    *bytes = bytes[..bytes.len() - 1].to_vec();
    assert_refused_for(REASON, &cut, None, |_| {});
    let mut raised = bigints();
    trace(&mut raised).cycles.iter_mut().for_each(|cycle| cycle.bigint_idx = u32::MAX);
    assert_refused_for(REASON, &raised, None, |_| {});
}

#[test]
fn no_row_looks_up_an_entry_beyond_the_end_of_a_table() {
    const REASON: &str = ": a lookup beyond the end of a table";
    let (row_of_8_bits, row_of_16_bits) = (2, 20);
    // A row of a table is of the 16 entries from the one that the row before says: eight, and as many beyond the end.
    for (row, mode, first) in [(row_of_8_bits, 0, 0xf8), (row_of_16_bits, 1, 0xfff8)] {
        let mut raised = witness_of(&segment());
        let trace = trace(&mut raised);
        let row = trace.table_split_cycle + row;
        let before = &mut trace.cycles[row as usize - 1];
        assert_eq!(before.machine_mode, mode, "which table row {row} is of");
        before.pc = first;
        assert_refused_for(REASON, &raised, Some(row..1 << raised.po2), |_| {});
    }
}

#[test]
fn no_row_reads_how_often_a_distance_beyond_the_last_row_occurs() {
    const REASON: &str = ": a distance beyond the last row";
    let mut witness = witness_of(&segment());
    let trace = trace(&mut witness);
    let (rows, tables) = (trace.cycles.len() as u32, trace.table_split_cycle);
    // An instruction's row asks for its own number, which it takes from the row before. This one's is the first beyond.
    let first = (0..rows).find(|row| trace.cycles[*row as usize].major == 0).unwrap();
    let number = const { LAYOUT_TOP.cycle._super.offset };
    assert_refused_for(REASON, &witness, Some(first..tables), |columns| {
        for row in first - 1..rows {
            columns.set(row as usize, number, row + rows - first);
        }
    });
}
