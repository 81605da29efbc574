//! The figures of [`Costs`](crate::Costs), to be replaced when they are measured anew: by `starling bench tasks`, the peak
//! of memory and a tenth more, since a warm prover and other guests differ a little; the time on one thread.
//!
//! Memory and time of a proof of 2^po2 rows grow with the rows, so that few constants say all of it.

use starling_plan::{KECCAK_PO2_COUNT, KECCAK_PO2_MIN, SEGMENT_PO2_COUNT};
use starling_types::{MemoryBytes, Millis, Po2};

use crate::{CostModel, TaskCost};

/// What one prover needs in one profile.
struct Figures {
    /// Memory of the process beside that for rows.
    process_mib: u64,
    segment: Row,
    keccak: Row,
    /// A lift, a join, a union, a resolve or an unwrap: one recursion proof each, of the same size.
    recursion: TaskCost,
    /// What a prover process keeps of its last lifts and joins while it proves the next segment.
    kept_mib: u64,
}

/// What a proof needs for each of its rows.
struct Row {
    bytes: u64,
    nanos: u64,
}

/// Segments measured from po2 14 to 18 and a join (`BENCHMARKS.md`): all cosets of 315 columns are 6.6 KB a row, the trace
/// 0.3 KB. Keccak from its columns, which is more than it takes within its budget.
pub(crate) const FAST_USUAL: CostModel = Figures {
    process_mib: 40,
    segment: Row { bytes: 7_200, nanos: 61_000 },
    keccak: Row { bytes: 23_000, nanos: 160_000 },
    recursion: needs(960, 6_500),
    kept_mib: 160,
}
.model();

/// Segments measured from po2 14 to 18 (401 MiB at 18) and a join (312 MiB); keccak from its columns.
pub(crate) const FAST_FRUGAL: CostModel = Figures {
    process_mib: 40,
    segment: Row { bytes: 2_000, nanos: 80_000 },
    keccak: Row { bytes: 9_000, nanos: 190_000 },
    recursion: needs(340, 8_800),
    kept_mib: 40,
}
.model();

/// Measured up to po2 19, keccak at 14 to 16; from there both double with each step.
pub(crate) const STOCK: CostModel = Figures {
    process_mib: 35,
    segment: Row { bytes: 10_300, nanos: 765_000 },
    keccak: Row { bytes: 30_500, nanos: 2_380_000 },
    recursion: needs(1600, 75_000),
    kept_mib: 0,
}
.model();

impl Figures {
    const fn model(&self) -> CostModel {
        let zero = needs(0, 0);
        let (mut prove, mut lift) = ([zero; SEGMENT_PO2_COUNT], [zero; SEGMENT_PO2_COUNT]);
        let mut index = 0;
        while index < SEGMENT_PO2_COUNT {
            prove[index] = self.rows(&self.segment, Po2::MIN + index as u32);
            lift[index] = self.with_recursion(prove[index]);
            index += 1;
        }
        let mut keccak = [zero; KECCAK_PO2_COUNT];
        let mut index = 0;
        while index < KECCAK_PO2_COUNT {
            keccak[index] =
                self.with_recursion(self.rows(&self.keccak, KECCAK_PO2_MIN + index as u32));
            index += 1;
        }
        let recursion = self.recursion;
        CostModel {
            prove,
            lift,
            lift_receipt: recursion,
            join: recursion,
            keccak,
            union: recursion,
            resolve: recursion,
            unwrap: recursion,
        }
    }

    const fn rows(&self, row: &Row, po2: u32) -> TaskCost {
        TaskCost {
            memory: MemoryBytes((self.process_mib << 20) + (row.bytes << po2)),
            work: Millis((row.nanos << po2) / 1_000_000),
        }
    }

    /// A proof that is lifted by the process that made it. Time is spent on both, and memory is not held for both at
    /// once, but for what recursion keeps ready.
    const fn with_recursion(&self, proof: TaskCost) -> TaskCost {
        let memory = proof.memory.0 + (self.kept_mib << 20);
        let least = self.recursion.memory.0;
        TaskCost {
            memory: MemoryBytes(if memory > least { memory } else { least }),
            work: Millis(proof.work.0 + self.recursion.work.0),
        }
    }
}

const fn needs(memory_mib: u64, work_ms: u64) -> TaskCost {
    TaskCost { memory: MemoryBytes::from_mib(memory_mib), work: Millis(work_ms) }
}
