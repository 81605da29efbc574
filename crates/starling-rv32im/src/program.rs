//! What a program of big integers may cost.
//!
//! A guest brings two programs for each call of the accelerator: one that computes (products, quotients, inverses) and is
//! not proved, and one whose instructions take a row each and prove that what was computed is right. The first comes from
//! the maker of the segment, and left alone it computes as long, and stores as much, as it likes. Here its work is paid for
//! in rows of the second: a segment has only so many, and a program that proves nothing computes nothing.
//!
//! A [`Budget`] is made before anything of a program is read, and asked before each of its operations. The unit of work
//! is a chunk, the 16 bytes that a row takes in.

use anyhow::ensure;
use malachite::{Integer, num::basic::traits::Zero as _};
use thiserror::Error;

use crate::execute::{
    bibc::{Op, OpCode, Program},
    bigint::BIGINT_WIDTH_BYTES,
};

/// How many chunks of work a row pays for. The programs of RISC Zero's `bigint2` take at most 2.3.
const CHUNKS_PER_ROW: u64 = 8;

/// How many words of a program that computes a row pays for. Those of `bigint2` have at most 2.3, the smallest most.
const WORDS_PER_ROW: u64 = 8;

/// How many words of constants a row pays for: the four that it can take in.
const CONSTANTS_PER_ROW: u64 = 4;

/// Rows that a program is given on top of its own, since the smallest begin with a header, their types and inputs.
const ROWS_EXTRA: u64 = 16;

/// The most bytes that a program takes for each row that it pays with: itself, its operations and their values, in a list
/// that grows; and a chunk of a value, or a stored one with its address, in a tree whose nodes may be half empty.
pub(crate) const BYTES_PER_ROW: u64 = WORDS_PER_ROW * size_of::<u32>() as u64
    + WORDS_PER_ROW / 2 * (2 * size_of::<Op>() + size_of::<Integer>()) as u64
    + CHUNKS_PER_ROW * 2 * (size_of::<u32>() + BIGINT_WIDTH_BYTES) as u64;

/// The most chunks of a number: 64 KiB. The largest that can be proved to be factors of a product have an eighth of it
/// ([`FACTOR_BYTES_MAX`]).
const VALUE_CHUNKS_MAX: u64 = (64 << 10) / BIGINT_WIDTH_BYTES as u64;

/// The most bytes that both factors of a product can have. A coefficient of it is a sum of so many products of two bytes,
/// and has to be below 2^29: what is carried has 22 bits with its sign, and is 2^8 times smaller.
const FACTOR_BYTES_MAX: usize = (1 << 29) / (255 * 255);

/// The most coefficients of a polynomial, a byte each: a product of the largest factors, and a chunk for rounding each
/// of them up, and one for the carry. Each row copies a polynomial, and a product takes the time of all pairs of
/// coefficients.
const COEFFICIENTS_MAX: usize = 2 * FACTOR_BYTES_MAX + 3 * BIGINT_WIDTH_BYTES;

/// Why a program of big integers is not run, or not to its end.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ProgramError {
    /// It takes more rows than its segment has left.
    #[error("a program of big integers takes {rows} rows, and its segment has {left} left")]
    Rows {
        /// How many it takes.
        rows: u64,
        /// How many there are.
        left: u64,
    },
    /// It has more of something than a program of so few rows can need.
    #[error("a program of big integers has {found} {what}, and its {rows} rows can use {limit}")]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// How much there is.
        found: u64,
        /// How much there may be.
        limit: u64,
        /// How many rows it takes.
        rows: u64,
    },
    /// It computes more than so few rows can prove.
    #[error("a program of big integers of {rows} rows does more work than these can prove")]
    Work {
        /// How many rows it takes.
        rows: u64,
    },
    /// It computes with numbers that are larger than any that can be proved.
    #[error("a program of big integers has a number of {bytes} bytes, at most {} can be", VALUE_CHUNKS_MAX * BIGINT_WIDTH_BYTES as u64)]
    Value {
        /// How many bytes the number has.
        bytes: u64,
    },
    /// It proves with polynomials that are larger than any whose sums can be carried.
    #[error(
        "a program of big integers has a polynomial of {coefficients} coefficients, at most {COEFFICIENTS_MAX} can be"
    )]
    Polynomial {
        /// How many coefficients it has.
        coefficients: usize,
    },
    /// It takes fewer rows than it says.
    #[error("a program of big integers says that it takes {said} rows, and takes {taken}")]
    Short {
        /// How many it says.
        said: u64,
        /// How many it took.
        taken: u64,
    },
}

/// The work that a program may still do.
pub(crate) struct Budget {
    rows: u64,
    chunks_left: u64,
}

impl Budget {
    /// For a program with `rows` rows, one that computes of `words` words, and `constants` words of constants, in a
    /// segment that has `rows_left`.
    pub(crate) fn new(
        rows: usize,
        words: u32,
        constants: u32,
        rows_left: u64,
    ) -> Result<Self, ProgramError> {
        let rows = rows as u64;
        if rows >= rows_left {
            return Err(ProgramError::Rows { rows, left: rows_left });
        }
        let at_most = |what, found: u32, per_row: u64| {
            let (found, limit) = (found.into(), per_row * (rows + ROWS_EXTRA));
            if found > limit {
                return Err(ProgramError::TooMany { what, found, limit, rows });
            }
            Ok(())
        };
        at_most("words", words, WORDS_PER_ROW)?;
        at_most("words of constants", constants, CONSTANTS_PER_ROW)?;
        Ok(Self { rows, chunks_left: CHUNKS_PER_ROW * (rows + ROWS_EXTRA) })
    }

    /// Pays for the next operation of a program, the one that will give register `at` its value.
    ///
    /// # Errors
    ///
    /// If the operation takes more work than is left, or a number larger than any may be, or cannot be done.
    pub(crate) fn pay(
        &mut self,
        program: &Program,
        at: usize,
        registers: &[Integer],
    ) -> anyhow::Result<()> {
        let Op { code, result_type, a, b } = &program.ops[at];
        let operand = |from: usize| {
            ensure!(from < at, "operation {at} of a program of big integers is of a later one's");
            Ok(&registers[from])
        };
        let chunks = match code {
            OpCode::Const => {
                let known = program.constants.len();
                ensure!(a + b <= known, "constants {a} to {} are asked for, of {known}", a + b);
                chunks_of((b * size_of::<u64>()) as u64)?
            }
            OpCode::Load => chunks_of(bytes_of_type(program, *result_type)?)?,
            OpCode::Store => {
                operand(*b)?;
                chunks_of(bytes_of_type(program, *result_type)?)?
            }
            OpCode::Add | OpCode::Sub | OpCode::Mul => size_of_both(operand(*a)?, operand(*b)?)?,
            OpCode::Rem | OpCode::Quo | OpCode::Inv => {
                let divisor = operand(*b)?;
                ensure!(*divisor != Integer::ZERO, "operation {at} divides by zero");
                size_of_both(operand(*a)?, divisor)?
            }
        };
        // An operation on nothing takes time as well.
        self.chunks_left = self
            .chunks_left
            .checked_sub(chunks + 1)
            .ok_or(ProgramError::Work { rows: self.rows })?;
        Ok(())
    }
}

/// Refuses a program that takes fewer rows than it paid with.
pub(crate) fn check_rows(said: usize, taken: u64) -> Result<(), ProgramError> {
    // The row of the call itself is not among those that a program says it has.
    let said = said as u64 + 1;
    if taken < said { Err(ProgramError::Short { said, taken }) } else { Ok(()) }
}

/// Refuses a polynomial before it is made.
pub(crate) fn check_polynomial(coefficients: usize) -> Result<(), ProgramError> {
    if coefficients > COEFFICIENTS_MAX {
        return Err(ProgramError::Polynomial { coefficients });
    }
    Ok(())
}

/// The bytes of a number in memory.
fn bytes_of_type(program: &Program, index: usize) -> anyhow::Result<u64> {
    let known = program.types.len();
    let found = program.types.get(index);
    ensure!(found.is_some(), "type {index} is asked for, of {known}");
    Ok(found.map_or(0, |found| found.coeffs))
}

/// The chunks of both operands, of which a result has at most as many.
fn size_of_both(left: &Integer, right: &Integer) -> Result<u64, ProgramError> {
    let bytes = |value: &Integer| value.unsigned_abs_ref().limb_count() * size_of::<u32>() as u64;
    chunks_of(bytes(left) + bytes(right))
}

fn chunks_of(bytes: u64) -> Result<u64, ProgramError> {
    match bytes.div_ceil(BIGINT_WIDTH_BYTES as u64) {
        chunks if chunks > VALUE_CHUNKS_MAX => Err(ProgramError::Value { bytes }),
        chunks => Ok(chunks),
    }
}
