//! How much memory proving may use here, and what says so.
//!
//! Several things limit it: what is free on the machine, each control group that this process is in, the limits that its user has
//! set for a process, and what other provers of the same user were promised. The least of them counts. It is named wherever the
//! amount is told, since that is what a user has to change.

use std::{fmt, path::Path};

use starling_types::MemoryBytes;

use super::{
    groups::{self, Group},
    promises,
};

/// The share of the memory that is free now which proving may use: the rest is for what else runs.
const SHARE_PERCENT: u64 = 75;

/// What is assumed where the system does not tell its memory: enough for the smallest tasks.
const ASSUMED: MemoryBytes = MemoryBytes::from_mib(2048);

/// The memory that proving may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Memory {
    /// As much as this.
    pub for_proving: MemoryBytes,
    /// By this.
    pub bound: Bound,
}

/// What leaves a process no more memory, and how much it leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bound {
    /// What is free on the machine.
    Free(MemoryBytes),
    /// What is free in a control group.
    Group(Group),
    /// A limit for each process, in the words of a shell.
    Process(&'static str, MemoryBytes),
    /// What other provers of this user were promised, and what that leaves of the machine's memory.
    Promised { to_others: MemoryBytes, left: MemoryBytes },
    /// Nothing: the system does not tell.
    Assumed,
}

/// What a system tells of memory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Told {
    /// What is free of the machine's; `None` where that is not told.
    free: Option<MemoryBytes>,
    /// All that the machine has.
    total: Option<MemoryBytes>,
    groups: Vec<Group>,
    process: Vec<(&'static str, MemoryBytes)>,
    promised_to_others: MemoryBytes,
}

impl Memory {
    /// That of this machine, as it is now.
    pub fn here() -> Self {
        Told::here().memory()
    }
}

impl Bound {
    fn left(&self) -> MemoryBytes {
        match self {
            Self::Free(free) | Self::Process(_, free) => *free,
            Self::Group(group) => group.free,
            Self::Promised { left, .. } => *left,
            Self::Assumed => ASSUMED,
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let left = self.left();
        match self {
            Self::Free(_) => write!(f, "{SHARE_PERCENT} % of the {left} that are free"),
            Self::Group(Group { folder, limit, .. }) => write!(
                f,
                "{SHARE_PERCENT} % of the {left} that are free in the control group {}, which may take {limit}",
                folder.display()
            ),
            Self::Process(name, _) => {
                write!(f, "{SHARE_PERCENT} % of the {left} that `{name}` allows a process")
            }
            Self::Promised { to_others, .. } => write!(
                f,
                "{SHARE_PERCENT} % of the {left} that are left of this machine's memory: other provers of this user may take {to_others}"
            ),
            Self::Assumed => write!(
                f,
                "{SHARE_PERCENT} % of {left}, which is a guess: the system does not say how much memory it has (is /proc mounted?); \
                 `starling node --memory SIZE` says how much there is"
            ),
        }
    }
}

/// All the memory that this process can ever have; `None` where the system does not tell.
pub fn total() -> Option<MemoryBytes> {
    Told::here().most()
}

impl Told {
    fn here() -> Self {
        let amounts = sysinfo::System::new().ok().map(|mut system| {
            system.refresh_memory();
            (system.available_memory(), system.total_memory())
        });
        // A system that has told nothing says zero.
        let told = |bytes: u64| (bytes > 0).then_some(MemoryBytes(bytes));
        let total = amounts.and_then(|(_, total)| told(total));
        Self {
            free: total.and(amounts).map(|(free, _)| MemoryBytes(free)),
            total,
            groups: groups::of_this_process(Path::new("/")),
            process: process_limits(),
            promised_to_others: promises::of_others(),
        }
    }

    fn memory(self) -> Memory {
        let machine = self.free.map_or(Bound::Assumed, Bound::Free);
        let groups = self.groups.into_iter().map(Bound::Group);
        let process = self.process.into_iter().map(|(name, limit)| Bound::Process(name, limit));
        // What they take already is not free any more, and what they do not take yet is: so it is not taken off what is free.
        let to_others = self.promised_to_others;
        let promised = self.total.filter(|_| to_others.0 > 0).map(|total| Bound::Promised {
            to_others,
            left: MemoryBytes(total.0.saturating_sub(to_others.0)),
        });
        let bound = groups
            .chain(process)
            .chain(promised)
            .fold(machine, |least, bound| if bound.left() < least.left() { bound } else { least });
        Memory { for_proving: share(bound.left()), bound }
    }

    fn most(&self) -> Option<MemoryBytes> {
        let groups = self.groups.iter().map(|group| group.limit);
        let process = self.process.iter().map(|(_, limit)| *limit);
        groups.chain(process).chain(self.total).min()
    }
}

/// The share of so much memory that proving may use.
fn share(MemoryBytes(left): MemoryBytes) -> MemoryBytes {
    // In two parts, so that nothing overflows.
    MemoryBytes(left / 100 * SHARE_PERCENT + left % 100 * SHARE_PERCENT / 100)
}

/// What `ulimit -d` and `ulimit -v` leave a process of this user: a prover inherits them.
fn process_limits() -> Vec<(&'static str, MemoryBytes)> {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, getrlimit};
        let limits = [("ulimit -d", Resource::Data), ("ulimit -v", Resource::As)];
        let set = limits.map(|(name, resource)| Some((name, getrlimit(resource).current?)));
        set.into_iter().flatten().map(|(name, limit)| (name, MemoryBytes(limit))).collect()
    }
    #[cfg(not(unix))]
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mib(count: u64) -> MemoryBytes {
        MemoryBytes::from_mib(count)
    }

    fn told() -> Told {
        let group = |name: &str, limit, free| Group {
            folder: name.into(),
            limit: mib(limit),
            free: mib(free),
        };
        Told {
            free: Some(mib(16_000)),
            total: Some(mib(20_000)),
            groups: vec![group("/own", 900, 800), group("/around", 700, 600)],
            process: vec![("ulimit -d", mib(1000)), ("ulimit -v", mib(5000))],
            promised_to_others: mib(6000),
        }
    }

    #[test]
    fn the_least_of_all_limits_counts_and_is_named() {
        let mut told = told();
        let mut check = |for_proving, words: &str, lift: fn(&mut Told)| {
            let memory = told.clone().memory();
            assert_eq!(memory.for_proving, mib(for_proving), "{memory:?}");
            assert_eq!(memory.bound.to_string(), words);
            lift(&mut told);
        };
        let around = "75 % of the 600 MiB that are free in the control group /around, which may take 700 MiB";
        check(450, around, |told| drop(told.groups.pop()));
        let own =
            "75 % of the 800 MiB that are free in the control group /own, which may take 900 MiB";
        check(600, own, |told| drop(told.groups.pop()));
        let limit = "75 % of the 1000 MiB that `ulimit -d` allows a process";
        check(750, limit, |told| told.process.clear());
        let others = "75 % of the 14000 MiB that are left of this machine's memory: other provers of this user may take 6000 MiB";
        check(10_500, others, |told| told.promised_to_others = mib(0));
        check(12_000, "75 % of the 16000 MiB that are free", |_| {});
    }

    #[test]
    fn all_that_a_process_can_have_is_the_least_limit_however_much_is_free() {
        assert_eq!(told().most(), Some(mib(700)));
        assert_eq!(Told { groups: vec![], process: vec![], ..told() }.most(), Some(mib(20_000)));
        assert_eq!(Told::default().most(), None);
    }

    #[test]
    fn a_system_that_tells_nothing_has_enough_for_the_smallest_tasks_and_the_guess_is_told() {
        let memory = Told::default().memory();
        assert_eq!(memory.for_proving, mib(1536));
        let words = memory.bound.to_string();
        assert!(words.contains("a guess") && words.contains("/proc"), "{words}");
        assert!(crate::capacity::Capacity::of(memory.for_proving).joins.is_some());
        // What limits a process counts all the same.
        let limited = Told { process: vec![("ulimit -v", mib(500))], ..Told::default() };
        assert_eq!(limited.memory().for_proving, mib(375));
    }
}
