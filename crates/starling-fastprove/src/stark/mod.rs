//! RISC Zero's STARK (DEEP-ALI and FRI over Baby Bear), proved on CPUs with SIMD.
//!
//! A [`Session`] is one proof: its caller commits the circuit's groups of columns in the order that the circuit
//! wants, draws from the [transcript](Session::transcript) what witness generation needs in between, and
//! [finishes](Session::finish) to get the seal. Given the same columns, the seal is word for word that of
//! `risc0_zkp::prove::Prover`: the verifier replays this transcript, so its order is not ours to choose. What is
//! ours is everything that the transcript cannot see: coefficients stay bit-reversed where stock sorts them,
//! the domain is walked coset by coset, trees forget the layers nearest the rows, and memory comes from a
//! [`Pool`], as much of it as a [`MemoryPlan`] says.
//!
//! Work runs in the current rayon pool, so the number of threads is the caller's choice
//! (`ThreadPool::install`). An [`Engine`] is made inside of it, since a hash suite does not travel between threads.
//!
//! Nothing here knows a circuit: [`Circuit`] gives the taps and evaluates the constraints. Nothing here checks
//! one either: columns that break the constraints give a seal that does not verify.
//!
//! Shapes: a matrix is column-major, `columns` times `rows` words in Montgomery form; `rows` is a power of two,
//! 2^po2 for a trace and [`INV_RATE`](risc0_zkp::INV_RATE) times that for its evaluations.

mod columns;
mod deep;
mod engine;
mod fri;
mod group;
mod members;
mod memory;
mod merkle;
mod session;
mod transcript;

use risc0_zkp::field::baby_bear::BabyBearExtElem;
use risc0_zkp::taps::TapSet;
use starling_babybear::vector::Isa;

pub use starling_babybear::poly::NonZeroRemainder;

pub use self::engine::Engine;
pub use self::group::Group;
pub use self::memory::{Demand, Held, MemoryPlan};
pub use self::session::Session;
pub use self::transcript::Transcript;
pub use crate::pool::{Buffer, Pool};

/// What a [`Session`] has to know of a circuit.
pub trait Circuit: Sync {
    /// Which columns of which group are read how many rows back.
    fn taps(&self) -> &TapSet<'_>;

    /// Evaluates the mixed constraints, divided by what vanishes on the trace (x^n - 1), in every row of one coset of
    /// the domain.
    fn eval_check(&self, call: EvalCheck<'_>);
}

/// One call of [`Circuit::eval_check`].
///
/// With n = 2^po2 and w the root of unity of order 4n, row j of coset k holds values at 3 w^(4j + k): row 4j + k
/// of the whole domain. A tap that reads `back` rows ago reads row j - `back` of the same coset, modulo n.
#[derive(Debug)]
pub struct EvalCheck<'a> {
    /// The vectors to use.
    pub isa: Isa,
    /// Where the values go: four planes of n words, which hold garbage before.
    pub check: &'a mut [u32],
    /// The values of each group, in the order of the taps: columns of n words.
    pub groups: &'a [&'a [u32]],
    /// What the caller gave to [`Session::finish`].
    pub globals: &'a [&'a [u32]],
    /// The challenge whose powers mix the constraints.
    pub poly_mix: BabyBearExtElem,
    /// The binary logarithm of n.
    pub po2: usize,
    /// Which coset: k, less than [`INV_RATE`](risc0_zkp::INV_RATE).
    pub coset: usize,
}

#[cfg(test)]
mod tests;
