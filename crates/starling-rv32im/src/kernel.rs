//! The published witness functions, compiled from their C++ behind a shim of our own (`cxx/witness.cpp`).
//!
//! Rows run in chunks on the current rayon pool. A chunk runs within one `try`: what its rows refuse comes back as a text.
//! All chunks have returned before anything that they use is freed.

#![allow(unsafe_code)]

use std::{
    ffi::{CStr, c_char},
    ops::Range,
    sync::atomic::AtomicU32,
};

use rayon::prelude::*;

use crate::{
    WitnessError,
    raw::{RawMemoryTransaction, RawPreflightCycle, assert_layout},
    witgen::preflight::PreflightTrace,
    zirgen::circuit::{REGCOUNT_DATA, REGCOUNT_GLOBAL},
};

/// How many rows a thread runs at once: one takes microseconds.
const CHUNK_ROWS: u32 = 256;

/// How long a refusal may be: the longest names of constraints have some 400 characters.
const MESSAGE_BYTES: usize = 512;

/// A trace as `cxx/runtime.h` has it.
#[repr(C)]
struct RawTrace {
    cycles: *const RawPreflightCycle,
    txns: *const RawMemoryTransaction,
    bigint_bytes: *const u8,
    lookups8: *const AtomicU32,
    lookups16: *const AtomicU32,
    cycle_count: u32,
    txn_count: u32,
    bigint_byte_count: u32,
}

#[rustfmt::skip]
assert_layout!(
    RawTrace, 56, cycles at 0, txns at 8, bigint_bytes at 16, lookups8 at 24, lookups16 at 32, cycle_count at 40,
    txn_count at 44, bigint_byte_count at 48
);

unsafe extern "C" {
    fn starling_rv32im_witness(
        trace: *const RawTrace,
        data: *mut u32,
        globals: *mut u32,
        rows: u32,
        begin: u32,
        end: u32,
        message: *mut c_char,
        message_size: usize,
    ) -> i32;
}

/// What the chunks share.
struct Job {
    trace: RawTrace,
    data: *mut u32,
    globals: *mut u32,
    rows: u32,
}

// SAFETY: the pointers are to what `fill_rows` borrows until all chunks have returned. The trace is only read, and cells and
// counters of lookups are only accessed atomically.
unsafe impl Sync for Job {}

/// Runs all rows of a trace, which has as many as a column: those before the tables first, for these tell how often each
/// of their entries was looked up. Cells and globals that are not set hold `u32::MAX`.
pub(crate) fn fill(
    trace: &PreflightTrace,
    data: &mut [u32],
    globals: &mut [u32],
) -> Result<(), WitnessError> {
    let rows = row_count(trace)?;
    let tables = trace.table_split_cycle.min(rows);
    fill_rows(trace, data, globals, &[0..tables, tables..rows])
}

/// Runs some rows of a trace, one part after the other. Rows that another row looks back at need not be among them.
pub(crate) fn fill_rows(
    trace: &PreflightTrace,
    data: &mut [u32],
    globals: &mut [u32],
    parts: &[Range<u32>],
) -> Result<(), WitnessError> {
    let rows = row_count(trace)?;
    assert!(rows.is_power_of_two() && data.len() == REGCOUNT_DATA * rows as usize);
    assert_eq!(globals.len(), REGCOUNT_GLOBAL);
    assert!(parts.iter().all(|part| part.end <= rows));

    let counters = |bits: u32| (0..1_u32 << bits).map(|_| AtomicU32::new(0)).collect::<Vec<_>>();
    let (lookups8, lookups16) = (counters(8), counters(16));
    let job = Job {
        trace: RawTrace {
            cycles: trace.cycles.as_ptr(),
            txns: trace.txns.as_ptr(),
            bigint_bytes: trace.bigint_bytes.as_ptr(),
            lookups8: lookups8.as_ptr(),
            lookups16: lookups16.as_ptr(),
            cycle_count: rows,
            txn_count: count(trace.txns.len())?,
            bigint_byte_count: count(trace.bigint_bytes.len())?,
        },
        data: data.as_mut_ptr(),
        globals: globals.as_mut_ptr(),
        rows,
    };
    parts.iter().try_for_each(|part| job.run(part.clone()))
}

fn row_count(trace: &PreflightTrace) -> Result<u32, WitnessError> {
    count(trace.cycles.len())
}

fn count(entries: usize) -> Result<u32, WitnessError> {
    let too_long = |_| WitnessError::Preflight("its trace has more than 2^32 entries".to_owned());
    u32::try_from(entries).map_err(too_long)
}

impl Job {
    /// Runs some rows, in any order.
    fn run(&self, rows: Range<u32>) -> Result<(), WitnessError> {
        let chunks = rows.len().div_ceil(CHUNK_ROWS as usize) as u32;
        (0..chunks).into_par_iter().try_for_each(|chunk| {
            let begin = rows.start + chunk * CHUNK_ROWS;
            self.run_chunk(begin, rows.end.min(begin + CHUNK_ROWS))
        })
    }

    /// Runs some rows, in order.
    fn run_chunk(&self, begin: u32, end: u32) -> Result<(), WitnessError> {
        let mut message = [0 as c_char; MESSAGE_BYTES];
        // SAFETY: the pointers are those of `fill_rows`, of the sizes that it asserts, and borrowed until this returns; end is
        // at most the number of rows. The shim bounds whatever else it takes an index from, and lets no exception out.
        let failed = unsafe {
            starling_rv32im_witness(
                &self.trace,
                self.data,
                self.globals,
                self.rows,
                begin,
                end,
                message.as_mut_ptr(),
                message.len(),
            )
        };
        if failed == 0 {
            return Ok(());
        }
        let bytes = message.map(|byte| byte as u8);
        let text = CStr::from_bytes_until_nul(&bytes).unwrap_or(c"an unknown reason");
        Err(WitnessError::Row(text.to_string_lossy().into_owned()))
    }
}
