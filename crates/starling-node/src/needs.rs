//! What the zkVM's tasks need of a prover that costs so much: what clients are told, and what is kept for each task.

use std::collections::BTreeSet;

use starling_cost::{CostModel, Costs};
use starling_node_core::{Need, Needs};
use starling_types::{MemoryBytes, Po2, TaskKind};

/// The speed of a thread that has proved nothing yet with Starling's own prover, in thousandths of the reference core's.
const SPEED_GUESS_PERMILLE: u64 = 500;

/// The table of all tasks of these kinds, with segments up to `po2_max`. They are proved with everything kept if that fits
/// into `share`, a slot's part of the memory: then it fits into every slot at the same time.
pub fn needs_of(
    costs: &Costs,
    kinds: &BTreeSet<TaskKind>,
    po2_max: Po2,
    share: MemoryBytes,
) -> Needs {
    let sizes = || (Po2::MIN..=Po2::MAX).filter_map(|po2| Po2::try_from(po2).ok());
    let sizes_of = |kind: TaskKind| -> Vec<Option<Po2>> {
        match kind {
            TaskKind::Prove | TaskKind::Lift => {
                sizes().filter(|po2| *po2 <= po2_max).map(Some).collect()
            }
            // It has no other sizes than those that the zkVM makes, and asks for no others.
            TaskKind::Keccak => sizes().map(Some).collect(),
            TaskKind::LiftReceipt
            | TaskKind::Union
            | TaskKind::Join
            | TaskKind::Resolve
            | TaskKind::Unwrap => vec![None],
        }
    };
    let need = |kind, po2| {
        let profile = costs.profile_for(share, kind, po2);
        let memory = costs.in_profile(profile).memory(kind, po2);
        // In what clients count, whatever prover and profile it is done with.
        Need { memory, profile, work: CostModel::ADMISSION.work_ms(kind, po2) }
    };
    let of_kind = |kind: TaskKind| sizes_of(kind).into_iter().map(move |po2| (kind, po2));
    let all = kinds.iter().copied().flat_map(of_kind);
    all.map(|(kind, po2)| ((kind.code(), po2), need(kind, po2))).collect()
}

/// The speed of a slot that has proved nothing yet, in thousandths of the reference core's.
pub fn speed_guess(threads: u32, costs: &Costs) -> u32 {
    let join_ms = |costs: &Costs| costs.usual.work_ms(TaskKind::Join, None).0;
    let (ours, its) = (join_ms(&Costs::FAST), join_ms(costs));
    let permille = u64::from(threads) * SPEED_GUESS_PERMILLE * ours / its.max(1);
    u32::try_from(permille.max(1)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use starling_types::Profile;

    use super::*;

    fn po2(value: u32) -> Po2 {
        value.try_into().unwrap()
    }

    #[test]
    fn a_slots_share_of_the_memory_decides_the_profile_of_each_task() {
        let kinds = TaskKind::ALL.into();
        let usual = Costs::FAST.usual.memory(TaskKind::Lift, Some(po2(18)));
        let lift = |share, value: u32| {
            let needs = needs_of(&Costs::FAST, &kinds, po2(20), share);
            needs.of(TaskKind::Lift.code(), Some(po2(value)))
        };
        let enough = lift(usual, 18).unwrap();
        assert_eq!((enough.profile, enough.memory), (Profile::Usual, usual));
        let short = lift(MemoryBytes(usual.0 - 1), 18).unwrap();
        let frugal = Costs::FAST.frugal.memory(TaskKind::Lift, Some(po2(18)));
        assert_eq!((short.profile, short.memory), (Profile::Frugal, frugal));
        assert_eq!(lift(usual, 19).unwrap().profile, Profile::Frugal);
        assert_eq!(lift(usual, 21), None, "larger than this node takes");
    }

    #[test]
    fn only_the_kinds_that_the_node_takes_are_stated_each_at_its_sizes() {
        let needs = needs_of(&Costs::FAST, &[TaskKind::Join].into(), po2(18), MemoryBytes(0));
        assert!(needs.of(TaskKind::Join.code(), None).is_some());
        assert_eq!(needs.of(TaskKind::Join.code(), Some(po2(18))), None);
        assert_eq!(needs.of(TaskKind::Lift.code(), Some(po2(18))), None);
        let needs = needs_of(&Costs::FAST, &TaskKind::ALL.into(), po2(14), MemoryBytes(0));
        assert!(needs.of(TaskKind::Keccak.code(), Some(po2(18))).is_some(), "it is no segment");
    }
}
