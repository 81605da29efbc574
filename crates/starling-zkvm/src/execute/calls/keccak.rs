//! Keccak permutations: their results at once, and the requests to prove them in batches.

use anyhow::{Result, anyhow, bail, ensure};
use risc0_circuit_keccak::{KeccakState, max_keccak_inputs};
use risc0_zkvm::Digest;

use crate::leaf::KeccakRequest;

/// The bytes of a state.
pub(super) const STATE_BYTES: usize = size_of::<KeccakState>();

/// The permutations since the last request.
pub(super) struct Batch {
    po2: usize,
    states: Vec<KeccakState>,
}

impl Batch {
    /// Batches for proofs of 2^`po2` cycles.
    pub(super) fn new(po2: u32) -> Self {
        Self { po2: po2 as usize, states: Vec::new() }
    }

    fn is_full(&self) -> bool {
        self.states.len() >= max_keccak_inputs(self.po2)
    }

    /// Permutes `state` into `to_guest`; whether the guest must ask for a proof before it goes on.
    pub(super) fn permute(&mut self, state: &[u8], to_guest: &mut [u8]) -> Result<bool> {
        if self.is_full() {
            bail!(
                "the guest permutes more than a keccak proof has room for before it asks for one"
            );
        }
        ensure!(
            to_guest.len() == STATE_BYTES && state.len() == STATE_BYTES,
            "a keccak permutation returns {STATE_BYTES} bytes"
        );
        let (words, _) = state.as_chunks();
        let mut words = words.iter().map(|word| u64::from_le_bytes(*word));
        let mut state: KeccakState = std::array::from_fn(|_| words.next().unwrap_or_default());
        self.states.push(state);
        keccak::f1600(&mut state);
        for (to, word) in to_guest.as_chunks_mut().0.iter_mut().zip(state) {
            *to = word.to_le_bytes();
        }
        Ok(self.is_full())
    }

    /// All permutations since the last request as one that is to prove `claim`.
    pub(super) fn request(&mut self, claim: &[u8], control_root: &[u8]) -> Result<KeccakRequest> {
        let digest = |bytes: &[u8]| {
            Digest::try_from(bytes).map_err(|error| anyhow!("a digest cannot be read: {error}"))
        };
        Ok(KeccakRequest {
            claim_digest: digest(claim)?,
            po2: self.po2,
            control_root: digest(control_root)?,
            input: std::mem::take(&mut self.states),
        })
    }
}
