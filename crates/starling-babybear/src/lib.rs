//! The Baby Bear field on SIMD vectors, and what a STARK prover does with it in bulk.
//!
//! One build runs everywhere: [`vector::Isa`] is picked at run time, and every operation takes it as its
//! first argument, so that all that a machine has can be compared. Elements are `u32` words in RISC Zero's
//! Montgomery form; matrices are column-major, and a vector's lanes are consecutive rows.

pub mod hash;
pub mod ntt;
pub mod poly;
mod poseidon2;
#[cfg(test)]
mod testing;
pub mod vector;
