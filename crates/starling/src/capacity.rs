//! What memory carries, in words: for `doctor` and `--help`.

use std::{collections::BTreeSet, fmt};

use starling_cost::Costs;
use starling_types::{MemoryBytes, Po2, Profile, TaskKind};
use starling_zkvm::{KECCAK_PO2, SEGMENT_PO2_MAX, SEGMENT_PO2_MIN};

use crate::machine::Memory;

/// What a node with so much memory and one slot can take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capacity {
    /// The memory that proving may use.
    pub memory: MemoryBytes,
    /// The largest segments that it proves and lifts; `None`: it only joins, if that.
    pub largest_po2: Option<u32>,
    /// The largest that it does so with everything kept.
    pub largest_po2_usual: Option<u32>,
    /// How it joins; `None` if it cannot.
    pub joins: Option<Profile>,
}

impl Capacity {
    /// That of a node with so much memory.
    pub fn of(memory: MemoryBytes) -> Self {
        let costs = Costs::FAST;
        let largest = |profile| {
            let po2 = costs.largest_po2(memory, profile).map(Po2::get)?;
            (po2 >= SEGMENT_PO2_MIN).then_some(po2.min(SEGMENT_PO2_MAX))
        };
        let fits = |profile| costs.in_profile(profile).memory(TaskKind::Join, None) <= memory;
        Self {
            memory,
            largest_po2: largest(Profile::Frugal),
            largest_po2_usual: largest(Profile::Usual),
            joins: Profile::ALL.into_iter().find(|profile| fits(*profile)),
        }
    }

    /// That of this machine, for the end of a `--help`.
    pub fn help() -> String {
        let Memory { for_proving, bound } = Memory::here();
        format!("This machine: {}. The memory is {bound}", Self::of(for_proving))
    }
}

impl fmt::Display for Capacity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of memory for proving, ", self.memory)?;
        match (self.largest_po2, self.largest_po2_usual) {
            (Some(largest), Some(usual)) if largest == usual => write!(
                f,
                "enough for segments of po2 {SEGMENT_PO2_MIN} to {largest} with everything kept (profile usual)"
            )?,
            (Some(largest), Some(usual)) => write!(
                f,
                "enough for segments of po2 {SEGMENT_PO2_MIN} to {usual} with everything kept (profile usual), \
                 up to {largest} with less memory (profile frugal)"
            )?,
            (Some(largest), None) => write!(
                f,
                "enough for segments of po2 {SEGMENT_PO2_MIN} to {largest} with less memory (profile frugal)"
            )?,
            (None, _) => write!(f, "too little for segments")?,
        }
        match self.joins {
            Some(profile) => write!(f, "; joins: profile {profile}"),
            None => write!(f, "; too little for joins"),
        }
    }
}

/// The memory that a node states, against what its tasks take and its machine has.
#[derive(Debug, Clone, Copy)]
pub struct Offer {
    pub memory: MemoryBytes,
    pub slots: u32,
    /// All that its process can have, where that is known.
    pub total: Option<MemoryBytes>,
}

/// The task of these kinds that takes the least memory, and how much.
fn smallest(costs: &Costs, kinds: &BTreeSet<TaskKind>) -> Option<(TaskKind, MemoryBytes)> {
    let least = |kind: TaskKind| {
        let po2 = match kind {
            TaskKind::Prove | TaskKind::Lift => Po2::try_from(SEGMENT_PO2_MIN).ok(),
            TaskKind::Keccak => Po2::try_from(*KECCAK_PO2.start()).ok(),
            _ => None,
        };
        Profile::ALL.map(|profile| costs.in_profile(profile).memory(kind, po2)).into_iter().min()
    };
    let least = kinds.iter().filter_map(|kind| Some((*kind, least(*kind)?)));
    least.min_by_key(|(_, memory)| *memory)
}

impl Offer {
    /// What is to be said of it before the node starts.
    ///
    /// # Errors
    /// When it takes no task of these kinds at all.
    pub fn check(&self, costs: &Costs, kinds: &BTreeSet<TaskKind>) -> Result<Vec<String>, String> {
        let Self { memory, slots, total } = *self;
        let Some((kind, least)) = smallest(costs, kinds) else {
            return Err("--kinds names no kind of task".to_owned());
        };
        let name = kind.name();
        if memory < least {
            return Err(format!(
                "{} for proving is too little for any task of this node's kinds: the smallest, {name}, needs {}; give --memory {}MiB",
                memory,
                least,
                mib(least)
            ));
        }
        let mut said = Vec::new();
        let at_once = memory.0 / least.0.max(1);
        if at_once < u64::from(slots) {
            said.push(format!(
                "--slots {slots} with {} for proving: the smallest task, {name}, needs {}, so at most {at_once} run at a time",
                memory,
                least
            ));
        }
        if let Some(total) = total.filter(|total| *total < memory) {
            said.push(format!(
                "--memory {memory} is more than the {total} that a process can have here: the system kills provers that need more"
            ));
        }
        Ok(said)
    }
}

/// In whole MiB, rounded up: what is said to be needed is enough.
fn mib(memory: MemoryBytes) -> u64 {
    memory.0.div_ceil(1 << 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gib(count: u64) -> Capacity {
        Capacity::of(MemoryBytes::from_mib(count << 10))
    }

    #[test]
    fn more_memory_carries_more_and_what_it_carries_is_said() {
        let nothing = Capacity::of(MemoryBytes::from_mib(100));
        assert_eq!(
            nothing.to_string(),
            "100 MiB of memory for proving, too little for segments; too little for joins"
        );
        for (less, more) in [(1, 2), (2, 4)] {
            assert!(gib(less).largest_po2 < gib(more).largest_po2, "{less} GiB, {more} GiB");
        }
        let text = gib(4).to_string();
        assert!(text.starts_with("4096 MiB of memory for proving, enough for"), "{text}");
        assert!(text.contains("(profile usual), up to"), "{text}");
        let text = gib(1000).to_string();
        assert!(text.contains(&format!("to {SEGMENT_PO2_MAX} with everything kept")), "{text}");
        assert!(text.ends_with("joins: profile usual"), "{text}");
    }

    #[test]
    fn a_node_that_could_take_nothing_is_refused_with_the_memory_that_it_needs() {
        let join = Costs::FAST.frugal.memory(TaskKind::Join, None);
        let offer = |memory| Offer { memory, slots: 1, total: None };
        let joins = [TaskKind::Join].into();
        let refused = offer(MemoryBytes(join.0 - 1)).check(&Costs::FAST, &joins).expect_err("less");
        assert!(refused.contains("the smallest, join, needs"), "{refused}");
        assert!(refused.ends_with(&format!("--memory {}MiB", mib(join))), "{refused}");
        assert_eq!(offer(join).check(&Costs::FAST, &joins), Ok(vec![]));
        let any = offer(MemoryBytes(1)).check(&Costs::FAST, &TaskKind::ALL.into());
        assert!(any.is_err_and(|refused| {
            refused.starts_with("1 MiB for proving is too little for any task")
        }));
        let none = offer(join).check(&Costs::FAST, &BTreeSet::new());
        assert_eq!(none, Err("--kinds names no kind of task".to_owned()));
    }

    #[test]
    fn slots_that_stay_idle_and_memory_that_is_not_there_are_told() {
        let join = Costs::FAST.frugal.memory(TaskKind::Join, None);
        let memory = MemoryBytes(3 * join.0);
        let check = |slots, total| {
            Offer { memory, slots, total }.check(&Costs::FAST, &[TaskKind::Join].into())
        };
        assert_eq!(check(3, Some(memory)), Ok(vec![]));
        let idle = check(4, Some(memory)).expect("a warning");
        assert!(idle[0].contains("at most 3 run at a time"), "{idle:?}");
        let killed = check(1, Some(join)).expect("a warning");
        let has = format!("is more than the {join} that a process can have here");
        assert!(killed[0].contains(&has), "{killed:?}");
    }
}
