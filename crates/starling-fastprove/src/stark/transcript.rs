//! What prover and verifier both see: the seal as it grows, and the challenges drawn from it.
//!
//! Words that are *written* go into the seal; a digest that is *committed* to changes every challenge drawn after it.
//! The verifier reads the seal and does the same, so the order of calls is the protocol.

use std::fmt;

use risc0_zkp::core::digest::Digest;
use risc0_zkp::core::hash::{HashSuite, Rng};
use risc0_zkp::field::Elem;
use risc0_zkp::field::baby_bear::{BabyBear, BabyBearElem, BabyBearExtElem};

/// A seal in the making, and where its challenges come from.
pub struct Transcript {
    seal: Vec<u32>,
    rng: Box<dyn Rng<BabyBear>>,
}

impl Transcript {
    /// An empty transcript, with the challenges of `suite`.
    pub fn new(suite: &HashSuite<BabyBear>) -> Self {
        Self { seal: Vec::new(), rng: suite.rng.new_rng() }
    }

    /// Appends `words` to the seal. They bind nothing until a digest of them is committed to.
    pub fn write_u32_slice(&mut self, words: &[u32]) {
        self.seal.extend_from_slice(words);
    }

    /// Appends field elements to the seal, in Montgomery form.
    pub fn write_field_elem_slice<T: Elem>(&mut self, elements: &[T]) {
        self.seal.extend_from_slice(T::as_u32_slice(elements));
    }

    /// Makes all challenges from here on depend on `digest`.
    pub fn commit(&mut self, digest: &Digest) {
        self.rng.mix(digest);
    }

    /// A challenge of `bits` bits.
    pub fn random_bits(&mut self, bits: usize) -> u32 {
        self.rng.random_bits(bits)
    }

    /// A challenge of the base field.
    pub fn random_elem(&mut self) -> BabyBearElem {
        self.rng.random_elem()
    }

    /// A challenge of the extension field.
    pub fn random_ext_elem(&mut self) -> BabyBearExtElem {
        self.rng.random_ext_elem()
    }

    /// The seal, as far as it is written.
    pub fn seal(&self) -> &[u32] {
        &self.seal
    }

    /// Ends the transcript.
    pub fn into_seal(self) -> Vec<u32> {
        self.seal
    }
}

impl fmt::Debug for Transcript {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Transcript({} words)", self.seal.len())
    }
}
