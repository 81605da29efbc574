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
    keccak: [TaskCost; KECCAK_PO2_COUNT],
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
/// 0.3 KB. Keccak measured with its lift at 14 to 18: it keeps to a budget of 1 GiB where that is enough, which it is up to 17.
pub(crate) const FAST_USUAL: CostModel = Figures {
    process_mib: 40,
    segment: Row { bytes: 7_200, nanos: 68_000 },
    keccak: measured([410, 790, 930, 1_140, 1_300], 175_000),
    recursion: needs(960, 8_000),
    kept_mib: 160,
}
.model();

/// Segments measured from po2 14 to 20 (a budget of 1,850 bytes a row, the witness's 175, and 27 MiB) and a join
/// (270 MiB). Keccak measured with its lift at 14 to 18: a copy of its
/// 1096 columns, 4.4 KB a row.
pub(crate) const FAST_FRUGAL: CostModel = Figures {
    process_mib: 40,
    segment: Row { bytes: 2_230, nanos: 70_000 },
    keccak: by_rows(40, &Row { bytes: 4_950, nanos: 180_000 }),
    recursion: needs(290, 9_000),
    kept_mib: 40,
}
.model();

/// Measured up to po2 19, keccak at 14 to 16; from there both double with each step.
pub(crate) const STOCK: CostModel = Figures {
    process_mib: 35,
    segment: Row { bytes: 10_300, nanos: 1_090_000 },
    keccak: by_rows(35, &Row { bytes: 30_500, nanos: 3_000_000 }),
    recursion: needs(1600, 98_000),
    kept_mib: 0,
}
.model();

/// The memory of the frugal profile, the work of the usual one: the reference core keeps everything.
pub(crate) const ADMISSION: CostModel = FAST_FRUGAL.with_work_of(&FAST_USUAL);

impl CostModel {
    const fn with_work_of(&self, other: &Self) -> Self {
        Self {
            prove: each_with_work(self.prove, &other.prove),
            lift: each_with_work(self.lift, &other.lift),
            lift_receipt: with_work(self.lift_receipt, other.lift_receipt),
            join: with_work(self.join, other.join),
            keccak: each_with_work(self.keccak, &other.keccak),
            union: with_work(self.union, other.union),
            resolve: with_work(self.resolve, other.resolve),
            unwrap: with_work(self.unwrap, other.unwrap),
        }
    }
}

impl Figures {
    const fn model(&self) -> CostModel {
        let zero = needs(0, 0);
        let (mut prove, mut lift) = ([zero; SEGMENT_PO2_COUNT], [zero; SEGMENT_PO2_COUNT]);
        let mut index = 0;
        while index < SEGMENT_PO2_COUNT {
            prove[index] = rows(self.process_mib, &self.segment, Po2::MIN + index as u32);
            lift[index] = self.with_recursion(prove[index]);
            index += 1;
        }
        let mut keccak = self.keccak;
        let mut index = 0;
        while index < KECCAK_PO2_COUNT {
            keccak[index] = self.with_recursion(keccak[index]);
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

const fn rows(process_mib: u64, row: &Row, po2: u32) -> TaskCost {
    TaskCost {
        memory: MemoryBytes((process_mib << 20) + (row.bytes << po2)),
        work: Millis((row.nanos << po2) / 1_000_000),
    }
}

/// Keccak proofs whose memory grows with their rows.
const fn by_rows(process_mib: u64, row: &Row) -> [TaskCost; KECCAK_PO2_COUNT] {
    let mut costs = [needs(0, 0); KECCAK_PO2_COUNT];
    let mut index = 0;
    while index < KECCAK_PO2_COUNT {
        costs[index] = rows(process_mib, row, KECCAK_PO2_MIN + index as u32);
        index += 1;
    }
    costs
}

/// Keccak proofs within a budget: their memory is that of the whole process.
const fn measured(memory_mib: [u64; KECCAK_PO2_COUNT], nanos: u64) -> [TaskCost; KECCAK_PO2_COUNT] {
    let mut costs = by_rows(0, &Row { bytes: 0, nanos });
    let mut index = 0;
    while index < KECCAK_PO2_COUNT {
        costs[index].memory = MemoryBytes::from_mib(memory_mib[index]);
        index += 1;
    }
    costs
}

const fn with_work(cost: TaskCost, other: TaskCost) -> TaskCost {
    TaskCost { memory: cost.memory, work: other.work }
}

const fn each_with_work<const N: usize>(
    mut costs: [TaskCost; N],
    others: &[TaskCost; N],
) -> [TaskCost; N] {
    let mut index = 0;
    while index < N {
        costs[index] = with_work(costs[index], others[index]);
        index += 1;
    }
    costs
}

const fn needs(memory_mib: u64, work_ms: u64) -> TaskCost {
    TaskCost { memory: MemoryBytes::from_mib(memory_mib), work: Millis(work_ms) }
}
