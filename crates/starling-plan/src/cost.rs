//! What a task needs: memory while it runs, and work in all.

use std::{cmp::Reverse, collections::BinaryHeap};

use starling_types::{MemoryBytes, Millis, Po2, TaskKind};

use crate::PlanShape;

/// How many po2s a segment can have.
const PO2_COUNT: usize = (Po2::MAX - Po2::MIN + 1) as usize;

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
    pub prove: [TaskCost; PO2_COUNT],
    /// Lifting a segment receipt.
    pub lift: TaskCost,
    /// Joining two receipts.
    pub join: TaskCost,
    /// What a prover process keeps of its last lifts and joins while it proves the next segment.
    pub kept: MemoryBytes,
}

impl CostModel {
    /// What `starling bench tasks` showed on the reference machine (`BENCHMARKS.md`): the peak of memory and
    /// a tenth more, since a warm prover and other guests differ a little; the time on one thread. Nodes
    /// scale the work by their own speed. Measured up to po2 19; from there each step doubles both, as
    /// all steps below do.
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
        kept: MemoryBytes::from_mib(160),
    };

    /// What a task of this kind needs. A segment whose po2 is not given is taken for the largest.
    pub fn cost(&self, kind: TaskKind, po2: Option<Po2>) -> TaskCost {
        let prove = || {
            let po2 = po2.map_or(Po2::MAX, Po2::get);
            self.prove[(po2 - Po2::MIN) as usize]
        };
        match kind {
            TaskKind::Prove => prove(),
            // One process proves and then lifts: time is spent on both, and memory is not held for both at once,
            // but for the recursion programs that stay ready.
            TaskKind::Lift => TaskCost {
                memory: (prove().memory + self.kept).max(self.lift.memory),
                work: prove().work + self.lift.work,
            },
            TaskKind::Join => self.join,
        }
    }

    /// The memory that a task of this kind needs.
    pub fn memory(&self, kind: TaskKind, po2: Option<Po2>) -> MemoryBytes {
        self.cost(kind, po2).memory
    }

    /// The work of a task of this kind, in milliseconds of the reference core.
    pub fn work_ms(&self, kind: TaskKind, po2: Option<Po2>) -> Millis {
        self.cost(kind, po2).work
    }

    /// The least wall time in which `cores` reference cores can prove a job with these segments, each
    /// task on one core: no schedule is quicker than its longest chain of tasks, nor than all work
    /// spread evenly.
    pub fn lower_bound(&self, shape: PlanShape, leaves: &[Po2], cores: u32) -> Millis {
        let leaf = |po2: &Po2| self.work_ms(shape.leaf_kind(), Some(*po2));
        let leaf_work = leaves.iter().map(leaf).fold(Millis(0), |sum, work| sum + work);
        let (join_work, chain) = match shape {
            PlanShape::Composite => (Millis(0), leaves.iter().map(leaf).max().unwrap_or(Millis(0))),
            PlanShape::Succinct => {
                let join_count = leaves.len().saturating_sub(1) as u64;
                let join_work = Millis(self.join.work.0.saturating_mul(join_count));
                (join_work, self.shortest_chain(leaves.iter().map(leaf)))
            }
        };
        let spread = (leaf_work + join_work).0.div_ceil(u64::from(cores.max(1)));
        chain.max(Millis(spread))
    }

    /// The longest chain of the best join tree with unbounded cores. Joining the two that finish first,
    /// again and again, is optimal when any two may be joined, and neighbours only cannot do better; for
    /// n equal leaves it is one leaf and ⌈log2 n⌉ joins.
    fn shortest_chain(&self, leaves: impl Iterator<Item = Millis>) -> Millis {
        let mut finish: BinaryHeap<Reverse<Millis>> = leaves.map(Reverse).collect();
        while let Some(Reverse(first)) = finish.pop() {
            let Some(Reverse(second)) = finish.pop() else { return first };
            finish.push(Reverse(second + self.join.work));
        }
        Millis(0)
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
        let mut prove = [TaskCost::new(100, 6); PO2_COUNT];
        prove[po2(14).get() as usize - Po2::MIN as usize] = TaskCost::new(300, 12);
        prove[po2(18).get() as usize - Po2::MIN as usize] = TaskCost::new(2500, 180);
        prove[po2(20).get() as usize - Po2::MIN as usize] = TaskCost::new(10_000, 720);
        let recursion = TaskCost::new(1450, 80);
        CostModel { prove, lift: recursion, join: recursion, kept: MemoryBytes::from_mib(100) }
    }

    #[test]
    fn a_lift_needs_the_memory_of_its_larger_half_and_the_work_of_both() {
        let model = model();
        let small = model.cost(TaskKind::Lift, Some(po2(14)));
        assert_eq!(small, TaskCost::new(1450, 92));
        let large = model.cost(TaskKind::Lift, Some(po2(20)));
        assert_eq!(large, TaskCost::new(10_100, 800));
    }

    #[test]
    fn costs_never_shrink_as_the_po2_grows() {
        let rows = CostModel::MEASURED.prove;
        assert!(rows.is_sorted_by(|a, b| a.memory <= b.memory && a.work <= b.work));
    }

    #[test]
    fn the_bound_is_the_critical_path_on_many_cores_and_the_work_on_few() {
        let model = model();
        let five = [po2(18); 5];
        let many = model.lower_bound(PlanShape::Succinct, &five, 1000);
        assert_eq!(many, Millis((260 + 3 * 80) * 1000));
        let two = model.lower_bound(PlanShape::Succinct, &five, 2);
        assert_eq!(two, Millis((5 * 260 + 4 * 80) * 1000 / 2));
        assert_eq!(model.lower_bound(PlanShape::Composite, &five, 1000), Millis(180_000));
        assert_eq!(model.lower_bound(PlanShape::Succinct, &five[..1], 1000), Millis(260_000));
    }

    #[test]
    fn a_small_last_segment_may_sit_deeper_in_the_tree() {
        let leaves = [po2(18), po2(18), po2(18), po2(18), po2(13)];
        // The small one is joined to a large one before the others finish: no fourth level is waited for.
        let chain = model().lower_bound(PlanShape::Succinct, &leaves, 1000);
        assert_eq!(chain, Millis((260 + 3 * 80) * 1000));
        let leaves = [po2(20), po2(13), po2(13)];
        let chain = model().lower_bound(PlanShape::Succinct, &leaves, 1000);
        assert_eq!(chain, Millis((800 + 80) * 1000));
    }
}
