//! What a task needs: memory while it runs, and work in all.

use starling_types::{MemoryBytes, Millis, Po2, TaskKind};

use crate::class::{KECCAK_PO2_COUNT, KECCAK_PO2_MAX, KECCAK_PO2_MIN, SEGMENT_PO2_COUNT};

/// What one task needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TaskCost {
    /// The most memory that the prover process holds at any time.
    pub memory: MemoryBytes,
    /// CPU time on the reference core: the core of the machine on which [`CostModel::MEASURED`] was
    /// measured.
    pub work: Millis,
}

impl TaskCost {
    const fn new(memory_mib: u64, work_s: u64) -> Self {
        Self { memory: MemoryBytes::from_mib(memory_mib), work: Millis(work_s * 1000) }
    }
}

/// What every task of a job needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CostModel {
    /// Proving a segment, by po2 from [`Po2::MIN`] on.
    pub prove: [TaskCost; SEGMENT_PO2_COUNT],
    /// Lifting a segment receipt.
    pub lift: TaskCost,
    /// Joining two receipts.
    pub join: TaskCost,
    /// Proving a keccak request and lifting the proof, by po2 from
    /// [`KECCAK_PO2_MIN`](crate::KECCAK_PO2_MIN) on.
    pub keccak: [TaskCost; KECCAK_PO2_COUNT],
    /// The union of two receipts.
    pub union: TaskCost,
    /// Resolving an assumption.
    pub resolve: TaskCost,
    /// Taking the count of work off a receipt.
    pub unwrap: TaskCost,
    /// What a prover process keeps of its last lifts and joins while it proves the next segment.
    pub kept: MemoryBytes,
}

impl CostModel {
    /// What `starling bench tasks` showed on the reference machine (`BENCHMARKS.md`): the peak of memory and
    /// a tenth more, since a warm prover and other guests differ a little; the time on one thread. Nodes
    /// scale the work by their own speed. Segments are measured up to po2 19; from there each step doubles
    /// both, as all steps below do. Keccak proofs are measured at po2 14, where the lift takes the most memory, and
    /// 15; from there they double. Unions, resolves and unwraps are each one recursion proof, as a join is, and
    /// are taken for one.
    pub const MEASURED: Self = Self {
        prove: [
            TaskCost::new(110, 6),
            TaskCost::new(190, 12),
            TaskCost::new(350, 25),
            TaskCost::new(670, 50),
            TaskCost::new(1310, 100),
            TaskCost::new(2600, 200),
            TaskCost::new(5200, 400),
            TaskCost::new(10_400, 800),
            TaskCost::new(20_800, 1600),
            TaskCost::new(41_600, 3200),
            TaskCost::new(83_200, 6400),
            TaskCost::new(166_400, 12_800),
        ],
        lift: TaskCost::new(960, 6),
        join: TaskCost::new(960, 6),
        keccak: [
            TaskCost::new(960, 45),
            TaskCost::new(1000, 90),
            TaskCost::new(2000, 180),
            TaskCost::new(4000, 360),
            TaskCost::new(8000, 720),
        ],
        union: TaskCost::new(960, 6),
        resolve: TaskCost::new(960, 6),
        unwrap: TaskCost::new(960, 6),
        kept: MemoryBytes::from_mib(160),
    };

    /// What a task of this kind needs. A segment or a keccak proof whose po2 is not given is taken for the
    /// largest. So is a keccak proof of a po2 that there are none of, which a stranger may name.
    pub fn cost(&self, kind: TaskKind, po2: Option<Po2>) -> TaskCost {
        match kind {
            TaskKind::Prove => self.prove(po2),
            // One process proves and then lifts: time is spent on both, and memory is not held for both at once,
            // but for the recursion programs that stay ready.
            TaskKind::Lift => {
                let prove = self.prove(po2);
                TaskCost {
                    memory: (prove.memory + self.kept).max(self.lift.memory),
                    work: prove.work + self.lift.work,
                }
            }
            TaskKind::LiftReceipt => self.lift,
            TaskKind::Join => self.join,
            TaskKind::Keccak => {
                let sizes = KECCAK_PO2_MIN..=KECCAK_PO2_MAX;
                let po2 = po2.map(Po2::get).filter(|po2| sizes.contains(po2));
                self.keccak[(po2.unwrap_or(KECCAK_PO2_MAX) - KECCAK_PO2_MIN) as usize]
            }
            TaskKind::Union => self.union,
            TaskKind::Resolve => self.resolve,
            TaskKind::Unwrap => self.unwrap,
        }
    }

    fn prove(&self, po2: Option<Po2>) -> TaskCost {
        self.prove[(po2.map_or(Po2::MAX, Po2::get) - Po2::MIN) as usize]
    }

    /// The memory that a task of this kind needs.
    pub fn memory(&self, kind: TaskKind, po2: Option<Po2>) -> MemoryBytes {
        self.cost(kind, po2).memory
    }

    /// The work of a task of this kind, in milliseconds of the reference core.
    pub fn work_ms(&self, kind: TaskKind, po2: Option<Po2>) -> Millis {
        self.cost(kind, po2).work
    }
}

impl Default for CostModel {
    fn default() -> Self {
        Self::MEASURED
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn po2(value: u32) -> Po2 {
        value.try_into().unwrap()
    }

    /// Round numbers, so that a rule shows in its sum and a new measurement breaks no test.
    fn model() -> CostModel {
        let mut prove = [TaskCost::new(100, 6); SEGMENT_PO2_COUNT];
        prove[po2(14).get() as usize - Po2::MIN as usize] = TaskCost::new(300, 12);
        prove[po2(20).get() as usize - Po2::MIN as usize] = TaskCost::new(10_000, 720);
        let lift = TaskCost::new(1450, 80);
        CostModel { prove, lift, kept: MemoryBytes::from_mib(100), ..CostModel::MEASURED }
    }

    #[test]
    fn a_lift_needs_the_memory_of_its_larger_half_and_the_work_of_both() {
        let model = model();
        let small = model.cost(TaskKind::Lift, Some(po2(14)));
        assert_eq!(small, TaskCost::new(1450, 92));
        let large = model.cost(TaskKind::Lift, Some(po2(20)));
        assert_eq!(large, TaskCost::new(10_100, 800));
        assert_eq!(model.cost(TaskKind::LiftReceipt, Some(po2(20))), TaskCost::new(1450, 80));
    }

    #[test]
    fn costs_never_shrink_as_the_po2_grows() {
        let CostModel { prove, keccak, .. } = CostModel::MEASURED;
        let grows = |a: &TaskCost, b: &TaskCost| a.memory <= b.memory && a.work <= b.work;
        assert!(prove.is_sorted_by(grows) && keccak.is_sorted_by(grows));
    }

    #[test]
    fn a_keccak_proof_of_no_known_size_costs_what_the_largest_does() {
        let model = model();
        let cost = |po2| model.cost(TaskKind::Keccak, po2);
        assert_eq!(cost(Some(po2(14))), model.keccak[0]);
        for largest in [None, Some(po2(13)), Some(po2(18)), Some(po2(24))] {
            assert_eq!(cost(largest), model.keccak[4], "{largest:?}");
        }
    }
}
