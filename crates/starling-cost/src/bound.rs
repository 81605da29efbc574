//! The least time in which a job can be proved.

use std::{cmp::Reverse, collections::BinaryHeap};

use starling_plan::{PlanShape, fold};
use starling_types::{Millis, Po2, TaskKind};

use crate::CostModel;

/// All that a job has to prove.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Workload {
    /// The po2s of the segments.
    pub leaves: Vec<Po2>,
    /// The po2s of the keccak proofs, in the order of the execution.
    pub keccaks: Vec<Po2>,
    /// How many assumptions are resolved, that of the keccak root included.
    pub resolves: u32,
    /// Whether the count of work is taken off the receipt.
    pub unwrap: bool,
}

impl CostModel {
    /// The least wall time in which `cores` reference cores can prove a job of this shape, each task on one
    /// core: no schedule is quicker than its longest chain of tasks, nor than all work spread evenly.
    ///
    /// Segments and keccak proofs go on side by side. Resolves wait for the segments; that of the keccak root is
    /// taken for the last, which is the best case.
    pub fn lower_bound(&self, shape: PlanShape, load: &Workload, cores: u32) -> Millis {
        let work = |kind| self.work_ms(kind, None);
        let times = |count: u32, each: Millis| Millis(each.0.saturating_mul(count.into()));
        let each = |kind, po2s: &[Po2]| -> Vec<Millis> {
            po2s.iter().map(|po2| self.work_ms(kind, Some(*po2))).collect()
        };
        let leaves = each(shape.leaf_kind(), &load.leaves);
        let keccaks = each(TaskKind::Keccak, &load.keccaks);
        let unite = |left: Millis, right: Millis| left.max(right) + work(TaskKind::Union);
        let keccak_chain = fold(&keccaks, &unite).unwrap_or_default();

        let pairs = |leaves: &[Millis]| leaves.len().saturating_sub(1) as u32;
        let mut all = times(pairs(&keccaks), work(TaskKind::Union));
        let chain = if shape.ends_in_one() {
            let (resolve, unwrap) = (work(TaskKind::Resolve), work(TaskKind::Unwrap));
            let unwrap = times(load.unwrap.into(), unwrap);
            all = all + times(pairs(&leaves), work(TaskKind::Join));
            all = all + times(load.resolves, resolve) + unwrap;
            let segment_chain = self.shortest_chain(&leaves) + times(load.resolves, resolve);
            segment_chain.max(keccak_chain + times(load.resolves.min(1), resolve)) + unwrap
        } else {
            leaves.iter().copied().max().unwrap_or_default().max(keccak_chain)
        };
        let all = leaves.into_iter().chain(keccaks).fold(all, |sum, work| sum + work);
        chain.max(Millis(all.0.div_ceil(u64::from(cores.max(1)))))
    }

    /// The longest chain of the best join tree with unbounded cores. Joining the two that finish first,
    /// again and again, is optimal when any two may be joined, and neighbours only cannot do better; for
    /// n equal leaves it is one leaf and ⌈log2 n⌉ joins.
    fn shortest_chain(&self, leaves: &[Millis]) -> Millis {
        let mut finish: BinaryHeap<Reverse<Millis>> = leaves.iter().copied().map(Reverse).collect();
        while let Some(Reverse(first)) = finish.pop() {
            let Some(Reverse(second)) = finish.pop() else { return first };
            finish.push(Reverse(second + self.join.work));
        }
        Millis(0)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::TaskCost;

    fn po2(value: u32) -> Po2 {
        value.try_into().unwrap()
    }

    /// Round numbers, so that a rule shows in its sum and a new measurement breaks no test: a lift of po2 18
    /// takes 260 s, of 20 800 s, of any other 86 s; a keccak proof 100 s; all else 80 s.
    fn model() -> CostModel {
        let cost =
            |seconds: u64| TaskCost { memory: Default::default(), work: Millis(seconds * 1000) };
        let (mut prove, mut lift) = ([cost(6); 12], [cost(86); 12]);
        for (po2, seconds) in [(18, 180), (20, 720)] {
            prove[(po2 - Po2::MIN) as usize] = cost(seconds);
            lift[(po2 - Po2::MIN) as usize] = cost(seconds + 80);
        }
        CostModel {
            prove,
            lift,
            lift_receipt: cost(80),
            join: cost(80),
            keccak: [cost(100); 5],
            union: cost(80),
            resolve: cost(80),
            unwrap: cost(80),
        }
    }

    fn bound(shape: PlanShape, load: &Workload, cores: u32) -> u64 {
        model().lower_bound(shape, load, cores).0 / 1000
    }

    fn segments(po2s: &[u32]) -> Workload {
        let leaves = po2s.iter().map(|value| po2(*value)).collect();
        Workload { leaves, ..Workload::default() }
    }

    #[test]
    fn the_bound_is_the_critical_path_on_many_cores_and_the_work_on_few() {
        let five = segments(&[18; 5]);
        assert_eq!(bound(PlanShape::Succinct, &five, 1000), 260 + 3 * 80);
        assert_eq!(bound(PlanShape::Succinct, &five, 2), (5 * 260 + 4 * 80) / 2);
        assert_eq!(bound(PlanShape::Composite, &five, 1000), 180);
        assert_eq!(bound(PlanShape::Compress, &five, 1000), 80 + 3 * 80);
        assert_eq!(bound(PlanShape::Succinct, &segments(&[18]), 1000), 260);
    }

    #[test]
    fn a_small_last_segment_may_sit_deeper_in_the_tree() {
        // The small one is joined to a large one before the others finish: no fourth level is waited for.
        let last = segments(&[18, 18, 18, 18, 13]);
        assert_eq!(bound(PlanShape::Succinct, &last, 1000), 260 + 3 * 80);
        assert_eq!(bound(PlanShape::Succinct, &segments(&[20, 13, 13]), 1000), 800 + 80);
    }

    #[test]
    fn keccak_proofs_go_on_beside_the_segments_and_resolves_follow_one_by_one() {
        let load = |keccak_count, resolves| Workload {
            keccaks: vec![po2(15); keccak_count],
            resolves,
            ..segments(&[18])
        };
        // Two keccak proofs and a union take 180 s, less than the lift.
        assert_eq!(bound(PlanShape::Succinct, &load(2, 1), 1000), 260 + 80);
        assert_eq!(bound(PlanShape::Succinct, &load(2, 3), 1000), 260 + 3 * 80);
        // Seven have four levels of unions, since the last peak is the last to be added; after them, the keccak
        // root is resolved last.
        assert_eq!(bound(PlanShape::Succinct, &load(7, 2), 1000), 100 + 4 * 80 + 80);
        let counting = Workload { unwrap: true, ..load(7, 2) };
        assert_eq!(bound(PlanShape::Succinct, &counting, 1000), 100 + 4 * 80 + 80 + 80);
        assert_eq!(bound(PlanShape::Succinct, &counting, 1), 260 + 7 * 100 + 6 * 80 + 3 * 80);
        assert_eq!(bound(PlanShape::Composite, &counting, 1000), 100 + 4 * 80);
    }
}
