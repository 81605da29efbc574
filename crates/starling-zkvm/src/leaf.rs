//! What is proved from nothing but itself: a segment of an execution, and a batch of keccak permutations.
//!
//! Both are serialised as RISC Zero serialises its own types of that meaning, which come with its provers alone.

use risc0_circuit_keccak::KeccakState;
use risc0_zkp::core::{
    digest::DIGEST_BYTES,
    hash::sha::{Impl as Sha256, SHA256_INIT, Sha256 as _},
};
use risc0_zkvm::{Digest, Output};
use serde::{Deserialize, Serialize};

use crate::machine::CircuitSegment;

/// A segment to be proved.
#[derive(Clone, Serialize, Deserialize)]
pub struct Segment {
    /// The position of the segment in its execution.
    pub index: u32,
    /// What the circuit's prover takes.
    pub circuit: CircuitSegment,
    /// What the claim's output is made of, where it has one.
    pub output: Option<Output>,
}

impl Segment {
    /// The binary logarithm of the rows of its trace.
    pub fn po2(&self) -> usize {
        self.circuit.po2 as usize
    }
}

impl std::fmt::Debug for Segment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { index, circuit, .. } = self;
        f.debug_struct("Segment")
            .field("index", index)
            .field("po2", &circuit.po2)
            .finish_non_exhaustive()
    }
}

/// Keccak permutations to be proved.
#[derive(Clone, Serialize, Deserialize)]
pub struct KeccakRequest {
    /// What their proof claims: [`keccak_claim`] of the permutations.
    pub claim_digest: Digest,
    /// The size of the proof, as a power of two of its cycles.
    pub po2: usize,
    /// The root of the programs that may lift the proof.
    pub control_root: Digest,
    /// The states that are permuted.
    pub input: Vec<KeccakState>,
}

impl std::fmt::Debug for KeccakRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { claim_digest, po2, input, .. } = self;
        f.debug_struct("KeccakRequest")
            .field("claim_digest", claim_digest)
            .field("po2", po2)
            .field("permutations", &input.len())
            .finish_non_exhaustive()
    }
}

/// The words of a state in the circuit's transcript: those of the permutation, and zeros.
const TRANSCRIPT_WORDS: usize = 32;

/// The claim of a proof that permutes `states`: SHA-256 without padding over each state before and after.
pub fn keccak_claim(states: &[KeccakState]) -> Digest {
    let mut hash = SHA256_INIT;
    for state in states {
        let mut permuted = *state;
        keccak::f1600(&mut permuted);
        for shown in [state, &permuted] {
            let mut bytes = [0; 8 * TRANSCRIPT_WORDS];
            for (to, word) in bytes.as_chunks_mut().0.iter_mut().zip(shown) {
                *to = word.to_le_bytes();
            }
            let (halves, _) = bytes.as_chunks::<DIGEST_BYTES>();
            for pair in halves.as_chunks::<2>().0 {
                let [first, second] = pair.map(Digest::from);
                hash = *Sha256::compress(&hash, &first, &second);
            }
        }
    }
    // The accelerator has its words in the other order of bytes.
    for word in hash.as_mut_words() {
        *word = word.to_be();
    }
    hash
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// States of which no two words are equal.
    fn states() -> Vec<KeccakState> {
        let word =
            |state: u64, at: usize| (state << 32 | at as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (1..4).map(|state| std::array::from_fn(|at| word(state, at))).collect()
    }

    #[test]
    fn a_keccak_claim_is_that_of_the_circuit() {
        let recorded = "8eaa98d1cad4307860b721ec1bad1e187d0c846dd72286e6a7ad9e31452c6881";
        assert_eq!(keccak_claim(&states()).to_string(), recorded);
        #[cfg(feature = "stock")]
        {
            let stock =
                risc0_circuit_keccak::compute_keccak_digest(bytemuck::cast_slice(&states()));
            assert_eq!(stock.to_string(), recorded);
        }
    }

    #[cfg(feature = "stock")]
    #[test]
    fn leaves_are_serialised_as_the_stock_types_are() {
        let ours = KeccakRequest {
            claim_digest: Digest::from([1; 8]),
            po2: 17,
            control_root: Digest::from([2; 8]),
            input: states(),
        };
        let bytes = bincode::serialize(&ours).unwrap();
        let stock: risc0_zkvm::ProveKeccakRequest = bincode::deserialize(&bytes).unwrap();
        assert_eq!((stock.po2, stock.input.len()), (17, 3));
        assert_eq!(bincode::serialize(&stock).unwrap(), bytes);
    }
}
