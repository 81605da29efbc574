//! What memory carries, in words: for `doctor` and `--help`.

use std::fmt;

use starling_cost::Costs;
use starling_types::{MemoryBytes, Po2, Profile, TaskKind};
use starling_zkvm::{SEGMENT_PO2_MAX, SEGMENT_PO2_MIN};

use crate::machine;

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

    /// That of this machine.
    pub fn here() -> Self {
        Self::of(machine::memory_for_proving())
    }

    /// That of this machine, for the end of a `--help`.
    pub fn help() -> String {
        format!("This machine: {}", Self::here())
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
}
