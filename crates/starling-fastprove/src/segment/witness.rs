//! What a segment's proof is made of.

use thiserror::Error;

/// How many columns of the accumulator group are the big integer accelerator's. They come first.
pub const BIGINT_COLUMNS: usize = 23;

/// A segment that has no witness: what it says of itself contradicts what executing it shows.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the segment has no witness: {reason}")]
pub struct WitnessError {
    /// What was found.
    pub reason: String,
}

/// The columns of a segment's trace, as they are wanted.
///
/// All words are elements of the field below its modulus, in Montgomery form; what a row does not use is 0. Columns lie
/// one after the other, 2^po2 words each.
pub trait Witness {
    /// The binary logarithm of the rows.
    fn po2(&self) -> usize;

    /// Fills all columns of the data group, whatever they held; the globals that belong to them: states, digests, exit
    /// code, randomness, PoVW nonce.
    ///
    /// # Errors
    /// When the segment has none.
    fn fill_data(&mut self, data: &mut [u32]) -> Result<Vec<u32>, WitnessError>;

    /// Fills [`BIGINT_COLUMNS`] columns: polynomials at the point whose coordinates are the last four words of the mix. Once,
    /// after the data.
    ///
    /// # Errors
    /// When the segment has none.
    fn fill_bigint(&mut self, point: [u32; 4], accum: &mut [u32]) -> Result<(), WitnessError>;
}
