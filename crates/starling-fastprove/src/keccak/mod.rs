//! Keccak-f\[1600\], proved: RISC Zero's keccak circuit, whose proofs a recursion program then lifts.
//!
//! A proof is of a list of permutations: it says that their inputs and outputs, one after the other, hash to a digest
//! (SHA-256 without padding), which is all that the seal tells of them.
//!
//! [`witness`] makes the trace, from what each step of the [`schedule`] is and what a permutation ([`walk`]) has there.
//! It is computed, not checked: a wrong cell would make a seal that does not verify.

mod block;
mod error;
mod keccak_f;
mod layout;
mod proof;
mod schedule;
mod sha;
#[cfg(all(test, feature = "stock"))]
mod stock;
#[cfg(test)]
mod tests;
mod walk;
mod witness;

pub use self::error::KeccakError;
pub use self::proof::{demand, prove};

/// Lanes of a state.
const LANES: usize = 25;

/// The lanes of a permutation's input or output, as Keccak counts them.
pub type State = [u64; LANES];

/// Rows that are reckoned for a permutation: a few more than it has.
const PERMUTATION_ROWS: usize = 200;

/// The circuit's globals: the digest by halves of words, and the count of rows.
const GLOBALS: usize = 17;

/// The binary logarithms of the fewest rows that have room for a permutation, and of the most that RISC Zero lifts.
const PO2_MIN: usize = 8;
const PO2_MAX: usize = 18;

/// The most permutations of a proof with 2^po2 rows.
///
/// # Errors
/// When no proof has so many rows.
pub fn permutations_max(po2: usize) -> Result<usize, KeccakError> {
    if !(PO2_MIN..=PO2_MAX).contains(&po2) {
        return Err(KeccakError::Rows { po2, min: PO2_MIN, max: PO2_MAX });
    }
    Ok((1 << po2) / PERMUTATION_ROWS)
}
