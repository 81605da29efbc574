//! Who killed a child, as far as the system tells.
//!
//! Signal 9 comes from a person, or from the kernel when memory is short: the child itself took too much, or another process did
//! and the child was merely the largest. Control groups count both kinds (Linux, cgroup v2): `oom_kill` counts the processes that
//! the kernel killed in a group, `oom` how often the group reached its own limit. The child's size proves nothing, because every good
//! proof is as large as it was counted for.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use starling_types::MemoryBytes;

use crate::usage::peak_memory_of;

/// How often a child's peak is looked at: when it is dead it is not told any more.
pub(crate) const LOOK_PERIOD: Duration = Duration::from_millis(500);

/// What of its limit a child has to have taken, so that a group that was full was full because of it.
const OWN_SHARE: u64 = 2;

/// The files in which the control groups of this process count, its own first. None where the system has no groups of version
/// 2 or does not show them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Groups(Vec<PathBuf>);

/// What they have counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Counts {
    /// Processes of the own group that the kernel ended for want of memory, its own or the machine's.
    kills: u64,
    /// How often the limit of the group, or of one around it, was reached.
    limits: u64,
}

impl Groups {
    pub(crate) fn of_this_process() -> Self {
        Self::find(Path::new("/proc/self/cgroup"), Path::new("/sys/fs/cgroup"))
    }

    fn find(membership: &Path, root: &Path) -> Self {
        let membership = fs::read_to_string(membership).unwrap_or_default();
        let Some(own) = membership.lines().find_map(|line| line.strip_prefix("0::/")) else {
            return Self::default();
        };
        let own = root.join(own);
        let groups = own.ancestors().take_while(|group| group.starts_with(root));
        Self(groups.map(|group| group.join("memory.events")).collect())
    }

    #[cfg(test)]
    pub(crate) fn of_file(events: PathBuf) -> Self {
        Self(vec![events])
    }

    fn counts(&self) -> Option<Counts> {
        let read = |path: &PathBuf| fs::read_to_string(path).ok();
        let (own, around) = self.0.split_first()?;
        let own = read(own)?;
        let kills = count(&own, "oom_kill")?;
        let around = around.iter().filter_map(read).filter_map(|events| count(&events, "oom"));
        Some(Counts { kills, limits: count(&own, "oom")? + around.sum::<u64>() })
    }
}

/// The value of `name` in a file of names and values.
fn count(events: &str, name: &str) -> Option<u64> {
    let value = |line: &str| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok();
    events.lines().find_map(value)
}

/// Whose doing it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Killer {
    /// The kernel, since the group was full of what the child took: a task of its size does not fit here.
    OwnMemory,
    /// The kernel, for want of memory that this child did not take.
    Kernel,
    /// Somebody who may.
    Somebody,
    /// The system does not tell.
    Unknown,
}

impl Killer {
    /// For a sentence about a child that was killed.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::OwnMemory => "by the kernel, its control group being full",
            Self::Kernel => "by the kernel, memory being short on the machine",
            Self::Somebody => "by somebody: the kernel says that it was not for want of memory",
            Self::Unknown => "by somebody, or by the kernel, as where memory is short",
        }
    }
}

/// What is known of a child that proves, should it be killed.
#[derive(Debug)]
pub(crate) struct Watch {
    groups: Groups,
    before: Option<Counts>,
    peak: Option<MemoryBytes>,
}

impl Watch {
    pub(crate) fn new(groups: Groups) -> Self {
        Self { groups, before: None, peak: None }
    }

    /// A task begins.
    pub(crate) fn begin(&mut self) {
        (self.before, self.peak) = (self.groups.counts(), None);
    }

    /// Looks at the child, which has this process id.
    pub(crate) fn look(&mut self, pid: Option<u32>) {
        self.peak = self.peak.max(pid.and_then(peak_memory_of));
    }

    /// The most memory that the child was seen to take for its task.
    pub(crate) fn peak(&self) -> Option<MemoryBytes> {
        self.peak
    }

    /// Who killed the child, which was allowed `limit`.
    pub(crate) fn killer(&self, limit: Option<MemoryBytes>) -> Killer {
        let (Some(before), Some(after)) = (self.before, self.groups.counts()) else {
            return Killer::Unknown;
        };
        let took_much =
            self.peak.zip(limit).is_some_and(|(peak, limit)| peak.0 >= limit.0 / OWN_SHARE);
        match (after.kills > before.kills, after.limits > before.limits) {
            (true, true) if took_much => Killer::OwnMemory,
            (true, _) => Killer::Kernel,
            (false, _) => Killer::Somebody,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn events(kills: u64, limits: u64) -> String {
        format!("low 0\nhigh 4\nmax 9\noom {limits}\noom_kill {kills}\noom_group_kill 7\n")
    }

    #[test]
    fn the_groups_of_a_process_are_its_own_and_those_around_it() {
        let root = tempfile::tempdir().unwrap();
        let (outer, inner) = (root.path().join("box"), root.path().join("box/node"));
        fs::create_dir_all(&inner).unwrap();
        fs::write(outer.join("memory.events"), events(5, 3)).unwrap();
        fs::write(inner.join("memory.events"), events(2, 1)).unwrap();
        let membership = root.path().join("membership");
        let counts = |text: &str| {
            fs::write(&membership, text).unwrap();
            Groups::find(&membership, root.path()).counts()
        };
        // The outermost has no such file.
        assert_eq!(counts("0::/box/node\n"), Some(Counts { kills: 2, limits: 4 }));
        assert_eq!(counts("1:memory:/old\n0::/box\n"), Some(Counts { kills: 5, limits: 3 }));
        assert_eq!(counts("0::/\n"), None);
        assert_eq!(counts("1:memory:/old\n"), None);
        assert_eq!(Groups::find(&root.path().join("none"), root.path()).counts(), None);
    }

    #[test]
    fn a_kill_is_for_its_own_memory_only_where_the_group_was_full_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("memory.events");
        let limit = Some(MemoryBytes::from_mib(1000));
        let killer = |after: (u64, u64), peak_mib, limit| {
            fs::write(&path, events(1, 1)).unwrap();
            let mut watch = Watch::new(Groups::of_file(path.clone()));
            watch.begin();
            watch.peak = Some(MemoryBytes::from_mib(peak_mib));
            fs::write(&path, events(after.0, after.1)).unwrap();
            watch.killer(limit)
        };
        assert_eq!(killer((2, 2), 900, limit), Killer::OwnMemory);
        assert_eq!(killer((2, 2), 100, limit), Killer::Kernel, "others had filled the group");
        assert_eq!(killer((2, 2), 900, None), Killer::Kernel);
        assert_eq!(
            killer((2, 1), 900, limit),
            Killer::Kernel,
            "the machine was full, not the group"
        );
        assert_eq!(killer((1, 2), 900, limit), Killer::Somebody);
        assert_eq!(killer((1, 1), 900, limit), Killer::Somebody);
        assert_eq!(Watch::new(Groups::default()).killer(limit), Killer::Unknown);
    }
}
