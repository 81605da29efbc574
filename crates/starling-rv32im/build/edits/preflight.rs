//! The preflight: our own raw types in place of those of the crate with the kernels, less memory, and an end to segments
//! that are larger than they say.

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
    // A row's state of an accelerator takes 160 bytes, and most rows have none: kept with its row, where there is one.
    Edit::once(PREFLIGHT, "    pub backs: Vec<Back>,\n", "    pub backs: Vec<(u32, Back)>,\n"),
    Edit::once(PREFLIGHT, "                backs: Vec::with_capacity(total_cycles),\n", ""),
    Edit::once(
        PREFLIGHT,
        "        self.trace.backs.push(back);\n",
        "        if !matches!(back, Back::None) {
            self.trace.backs.push((self.trace.cycles.len() as u32 - 1, back));
        }\n",
    ),
    Edit::once(
        PREFLIGHT,
        "        for (row, back) in self.trace.backs.iter_mut().enumerate() {\n",
        "        for (row, back) in self.trace.backs.iter_mut() {
            let row = *row as usize;\n",
    ),
    // Rows beyond the last would be made until memory ends.
    Edit::once(
        PREFLIGHT,
        "        self.trace.cycles.push(cycle);\n",
        "        assert!(
            self.trace.cycles.len() >> self.segment.po2 == 0,
            \"it takes more than 2^{} rows\",
            self.segment.po2
        );
        self.trace.cycles.push(cycle);\n",
    ),
];
