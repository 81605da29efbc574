//! The circuit of a RISC-V processor, whose proofs are those of segments.

pub mod accum;
