//! The witness of a segment: the trace that a proof is made of.
//!
//! In steps that the prover orders, since it owns the memory of the columns: [`SegmentWitness::new`] runs the preflight,
//! [`fill_data`](SegmentWitness::fill_data) fills the data columns, and once they are committed to and the mix is drawn,
//! [`fill_bigint`](SegmentWitness::fill_bigint) fills the columns that accumulate big integers. What a step needs no more,
//! it frees.
//!
//! Segments come from strangers. One that cannot be proved is refused before anything is allocated for it where that can
//! be seen, by the preflight (whose panics end here), or by the first of its rows that has no witness; one that passes and
//! is wrong all the same gives a proof that does not verify. Memory and time are bounded by rows: an image has the pages
//! whose loading its rows prove, only these are touched, and the programs of big integers that a segment brings along
//! pay in rows for what they compute. What bounds the first is in `limits.rs`, the last in `program.rs`.

mod bigint;
mod columns;
#[cfg(test)]
mod encodings;
mod globals;
#[cfg(test)]
mod guests;
#[cfg(test)]
mod hostile;
mod limits;
#[cfg(all(test, feature = "stock"))]
mod stock;
#[cfg(test)]
mod tests;

use std::panic::{AssertUnwindSafe, catch_unwind};

use rayon::prelude::*;
use risc0_zkp::field::ExtElem as _;
use thiserror::Error;

use crate::{
    execute::Segment,
    kernel,
    witgen::preflight::PreflightTrace,
    zirgen::circuit::{ExtVal, REGCOUNT_DATA, Val},
};
use bigint::BigIntRow;
use columns::{Columns, UNSET};

pub use limits::{PO2_MAX, PO2_MIN, preflight_bytes_max};

/// How many columns the data group has.
pub const DATA_COLUMNS: usize = REGCOUNT_DATA;

/// Why a segment has no witness.
#[derive(Debug, Error)]
pub enum WitnessError {
    /// The segment is too small to be lifted, or too large for the circuit.
    #[error("the segment has 2^{po2} rows; 2^{PO2_MIN} to 2^{PO2_MAX} can be proved")]
    Po2 {
        /// The logarithm of its rows.
        po2: u32,
    },
    /// The segment holds more than its rows can take.
    #[error("the segment has {found} {what}, and at most {limit} fit in 2^{po2} rows")]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// How much there is.
        found: u64,
        /// How much there may be.
        limit: u64,
        /// The logarithm of its rows.
        po2: u32,
    },
    /// The memory image has something that no memory has, or that none of its pages needs.
    #[error("the segment's memory has {what} {index}, {fault}")]
    Image {
        /// What it has.
        what: &'static str,
        /// Its number.
        index: u32,
        /// What is wrong with it.
        fault: &'static str,
    },
    /// The segment does not run as it says it did.
    #[error("the segment does not run: {0}")]
    Preflight(String),
    /// A row breaks the rules of the circuit.
    #[error("the segment has no witness: {0}")]
    Row(String),
    /// An equation of big integers does not hold.
    #[error("the segment's big integers are not equal: {0}")]
    BigInt(String),
    /// The caller's random element or mix is not a field element.
    #[error("{0:#010x} is not a field element in Montgomery form")]
    NotElement(u32),
    /// The caller's columns are of another size.
    #[error("the columns have {found} words, not {expected}")]
    Size {
        /// How many words the caller gave.
        found: usize,
        /// How many there must be.
        expected: usize,
    },
    /// The steps are called out of order, or twice.
    #[error("the data columns are to be filled first, and once")]
    Order,
}

/// A segment that ran its preflight: what the trace is made of.
///
/// Words are field elements in Montgomery form throughout, below the modulus; cells that the circuit leaves unset are 0.
pub struct SegmentWitness {
    po2: usize,
    globals: Vec<u32>,
    /// Until the data columns are filled.
    trace: Option<PreflightTrace>,
    /// From then on.
    bigints: Vec<BigIntRow>,
}

impl SegmentWitness {
    /// Runs the preflight of a segment, on the calling thread.
    ///
    /// `rand_z` is the proof's only randomness: four words of an element of the extension, which must not be foreseeable.
    ///
    /// Takes some 150 bytes a row until the data columns are filled: 36 for the row, 20 for each of its accesses to memory,
    /// 164 for rows of accelerators and paging. What the worst of segments takes is [`preflight_bytes_max`].
    ///
    /// # Errors
    ///
    /// If the segment is malformed, or does not run as it says.
    pub fn new(segment: &Segment, rand_z: [u32; 4]) -> Result<Self, WitnessError> {
        limits::check(segment)?;
        let rand_z = element(rand_z)?;
        let trace = caught(|| segment.preflight(rand_z)).map_err(WitnessError::Preflight)?;
        let po2 = segment.po2 as usize;
        if trace.cycles.len() != 1 << po2 {
            let rows = trace.cycles.len();
            return Err(WitnessError::Preflight(format!("it takes {rows} rows, not 2^{po2}")));
        }
        let globals = globals::known(segment, rand_z);
        Ok(Self { po2, globals, trace: Some(trace), bigints: Vec::new() })
    }

    /// The logarithm of the number of rows.
    #[must_use]
    pub fn po2(&self) -> usize {
        self.po2
    }

    /// Fills the data columns, [`DATA_COLUMNS`] of 2^po2 words each, one after the other, and returns the 90 globals.
    ///
    /// Runs on the current rayon pool; all of its threads have returned when this does.
    ///
    /// # Errors
    ///
    /// If a row breaks the rules of the circuit, or if this was called before. The columns then hold anything.
    pub fn fill_data(&mut self, data: &mut [u32]) -> Result<Vec<u32>, WitnessError> {
        expect_words(data, DATA_COLUMNS << self.po2)?;
        let mut trace = self.trace.take().ok_or(WitnessError::Order)?;

        inject(&trace, data);
        self.bigints = bigint::rows_of(std::mem::take(&mut trace.backs));

        let mut globals = std::mem::take(&mut self.globals);
        kernel::fill(&trace, data, &mut globals)?;
        drop(trace);

        data.par_chunks_mut(CHUNK_WORDS).for_each(zero_unset);
        zero_unset(&mut globals);
        Ok(globals)
    }

    /// Fills the first 23 columns of the accumulators, 2^po2 words each: those of big integers. `accum` may hold more
    /// columns, which are left as they are. `mix` is the last of the elements drawn for the accumulators.
    ///
    /// # Errors
    ///
    /// If an equation of big integers does not hold, or if the data columns are not filled yet.
    pub fn fill_bigint(&mut self, mix: [u32; 4], accum: &mut [u32]) -> Result<(), WitnessError> {
        let words = bigint::COLUMNS << self.po2;
        let found = accum.len();
        let accum = accum.get_mut(..words).ok_or(WitnessError::Size { found, expected: words })?;
        if self.trace.is_some() {
            return Err(WitnessError::Order);
        }
        bigint::fill(&self.bigints, element(mix)?, &mut Columns::new(accum, 1 << self.po2))
    }
}

/// Unsets all cells, then puts in what the preflight knows.
fn inject(trace: &PreflightTrace, data: &mut [u32]) {
    data.par_chunks_mut(CHUNK_WORDS).for_each(|words| words.fill(UNSET));
    let mut columns = Columns::new(data, trace.cycles.len());
    columns.inject_rows(&trace.cycles);
    for (row, back) in &trace.backs {
        columns.inject_back(*row as usize, back);
    }
}

/// How many words a thread fills at once: 256 KiB.
const CHUNK_WORDS: usize = 1 << 16;

/// Makes cells that no row set 0.
fn zero_unset(words: &mut [u32]) {
    for word in words {
        if *word == UNSET {
            *word = 0;
        }
    }
}

fn expect_words(words: &[u32], expected: usize) -> Result<(), WitnessError> {
    match words.len() {
        found if found == expected => Ok(()),
        found => Err(WitnessError::Size { found, expected }),
    }
}

/// The element of the extension with these words.
fn element(words: [u32; 4]) -> Result<ExtVal, WitnessError> {
    match words.into_iter().find(|word| *word >= risc0_zkp::field::baby_bear::P) {
        Some(word) => Err(WitnessError::NotElement(word)),
        None => Ok(ExtVal::from_subelems(words.map(Val::new_raw))),
    }
}

/// Runs included code, whose assertions strangers can make fail.
fn caught<T>(run: impl FnOnce() -> anyhow::Result<T>) -> Result<T, String> {
    // What a panic leaves behind is dropped with the closure.
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(result) => result.map_err(|error| format!("{error:#}")),
        Err(panic) => {
            let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
            let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
            Err(text.unwrap_or_else(|| "it panics".to_owned()))
        }
    }
}
