//! The preflight: our own raw types in place of those of the crate with the kernels.

use super::Edit;

const PREFLIGHT: &str = "prove/witgen/preflight.rs";

pub const EDITS: &[Edit] = &[
    Edit::once(
        PREFLIGHT,
        "use risc0_circuit_rv32im_sys::{RawMemoryTransaction, RawPreflightCycle};\n",
        "use crate::raw::{RawMemoryTransaction, RawPreflightCycle};\n",
    ),
    Edit::once(
        "prove/witgen/poseidon2.rs",
        "use risc0_circuit_rv32im_sys::RawMemoryTransaction;\n",
        "use crate::raw::RawMemoryTransaction;\n",
    ),
    // Profiling would need another feature of `risc0-core`.
    Edit::once(PREFLIGHT, "use risc0_core::scope;\n", ""),
    Edit::once(PREFLIGHT, "        scope!(\"preflight\");\n", ""),
];
