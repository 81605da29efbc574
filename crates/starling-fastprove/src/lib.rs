//! RISC Zero's recursion programs (lift, join, resolve, union, ...) proved on CPUs with SIMD.
//!
//! Drives the published circuits through their public interfaces; receipts are interchangeable with those of
//! the stock prover, and are checked by the stock verifier before they leave.

pub mod circuits;
pub mod constraints;
mod phase;
pub mod pool;
pub mod recursion;
pub mod rv32im;
pub mod stark;
