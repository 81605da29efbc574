//! What the zkVM's tasks need of a prover that costs so much: what a node tells its clients, and keeps for each task.

use std::collections::BTreeSet;

use starling_types::{MemoryBytes, Need, Needs, Po2, TaskKind};

use crate::{CostModel, Costs};

/// The speed of a thread that has proved nothing yet with Starling's own prover, in thousandths of the reference core's.
const SPEED_GUESS_PERMILLE: u64 = 500;

impl Costs {
    /// The table of all tasks of these kinds, with segments up to `po2_max`. They are proved with everything kept if that
    /// fits into `share`, a slot's part of the memory: then it fits into every slot at the same time.
    pub fn needs(&self, kinds: &BTreeSet<TaskKind>, po2_max: Po2, share: MemoryBytes) -> Needs {
        let of_kind = |kind: TaskKind| sizes(kind, po2_max).into_iter().map(move |po2| (kind, po2));
        let all = kinds.iter().copied().flat_map(of_kind);
        all.map(|(kind, po2)| ((kind.code(), po2), self.need(kind, po2, share))).collect()
    }

    fn need(&self, kind: TaskKind, po2: Option<Po2>, share: MemoryBytes) -> Need {
        let profile = self.profile_for(share, kind, po2);
        let memory = self.in_profile(profile).memory(kind, po2);
        // In what clients count, whatever prover and profile it is done with.
        let work = CostModel::ADMISSION.work_ms(kind, po2);
        Need { memory, limit: Self::limit(memory), profile, work }
    }

    /// The speed of a slot that has proved nothing yet, in thousandths of the reference core's.
    pub fn speed_guess_permille(&self, threads: u32) -> u32 {
        let join_ms = |costs: &Self| costs.usual.work_ms(TaskKind::Join, None).0;
        let (ours, its) = (join_ms(&Self::FAST), join_ms(self));
        let permille = u64::from(threads) * SPEED_GUESS_PERMILLE * ours / its.max(1);
        u32::try_from(permille.max(1)).unwrap_or(u32::MAX)
    }
}

/// The sizes that tasks of a kind have.
fn sizes(kind: TaskKind, po2_max: Po2) -> Vec<Option<Po2>> {
    let all = (Po2::MIN..=Po2::MAX).filter_map(|po2| Po2::try_from(po2).ok());
    match kind {
        TaskKind::Prove | TaskKind::Lift => all.filter(|po2| *po2 <= po2_max).map(Some).collect(),
        // It has no other sizes than those that the zkVM makes, and asks for no others.
        TaskKind::Keccak => all.map(Some).collect(),
        TaskKind::LiftReceipt
        | TaskKind::Union
        | TaskKind::Join
        | TaskKind::Resolve
        | TaskKind::Unwrap => vec![None],
    }
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
            let needs = Costs::FAST.needs(&kinds, po2(20), share);
            needs.of(TaskKind::Lift.code(), Some(po2(value)))
        };
        let enough = lift(usual, 18).unwrap();
        assert_eq!((enough.profile, enough.memory), (Profile::Usual, usual));
        assert_eq!(enough.limit, Costs::limit(usual));
        let short = lift(MemoryBytes(usual.0 - 1), 18).unwrap();
        let frugal = Costs::FAST.frugal.memory(TaskKind::Lift, Some(po2(18)));
        assert_eq!((short.profile, short.memory), (Profile::Frugal, frugal));
        assert_eq!(lift(usual, 19).unwrap().profile, Profile::Frugal);
        assert_eq!(lift(usual, 21), None, "larger than this node takes");
    }

    #[test]
    fn only_the_kinds_that_the_node_takes_are_stated_each_at_its_sizes() {
        let needs = Costs::FAST.needs(&[TaskKind::Join].into(), po2(18), MemoryBytes(0));
        assert!(needs.of(TaskKind::Join.code(), None).is_some());
        assert_eq!(needs.of(TaskKind::Join.code(), Some(po2(18))), None);
        assert_eq!(needs.of(TaskKind::Lift.code(), Some(po2(18))), None);
        let needs = Costs::FAST.needs(&TaskKind::ALL.into(), po2(14), MemoryBytes(0));
        assert!(needs.of(TaskKind::Keccak.code(), Some(po2(18))).is_some(), "it is not a segment");
    }

    #[test]
    fn a_prover_that_takes_more_for_the_same_work_is_guessed_slower_and_never_at_nothing() {
        let [fast, stock] = [Costs::FAST, Costs::STOCK].map(|costs| costs.speed_guess_permille(2));
        assert!(stock > 0 && stock < fast, "{stock}, {fast}");
        assert_eq!(Costs::FAST.speed_guess_permille(1), 500);
        assert_eq!(Costs::FAST.speed_guess_permille(0), 1);
    }
}
