//! RISC Zero's circuits proved on CPUs with SIMD: segments ([`segment`]), keccak batches ([`keccak`]) and recursion
//! programs ([`recursion`]: lift, join, resolve, union, ...).
//!
//! No files, threads, clocks, generators of randomness or C: traces, programs and seeds come from the caller, whose rayon
//! pool does the work.
//! Receipts are interchangeable with those of the stock prover; segments' and recursion's are checked by the stock
//! verifier before they leave.

pub mod circuits;
pub mod constraints;
pub mod keccak;
mod phase;
pub mod pool;
pub mod recursion;
pub mod rv32im;
pub mod segment;
pub mod stark;

pub use phase::phase;
