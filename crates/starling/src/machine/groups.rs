//! What the control groups of this process leave it of the machine's memory (Linux, versions 1 and 2).
//!
//! A process may take no more than its own group has left, and that group no more than each group around it. So all of them are
//! read, from the own one up to the outermost that this process can see. Which file system shows them, and from which group
//! on, its mounts say: in a container the outermost is the container's own.

use std::{
    fs,
    path::{Component, Path, PathBuf},
};

use starling_types::MemoryBytes;

/// A control group that limits memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Its folder.
    pub folder: PathBuf,
    /// What all processes in it may take together.
    pub limit: MemoryBytes,
    /// What is left of that. Files that were read and that nobody uses any more go when memory is needed: they count as free.
    pub free: MemoryBytes,
}

/// What the files of a group are called.
struct Names {
    /// Each of them limits it: above some it is stopped, above others it is held up.
    limits: &'static [&'static str],
    used: &'static str,
    /// In `memory.stat`.
    idle_files: &'static str,
}

const VERSION_1: Names = Names {
    limits: &["memory.limit_in_bytes"],
    used: "memory.usage_in_bytes",
    idle_files: "total_inactive_file",
};

const VERSION_2: Names = Names {
    limits: &["memory.max", "memory.high"],
    used: "memory.current",
    idle_files: "inactive_file",
};

/// The groups of this process that limit memory, its own first. None where the system has no groups, or does not show them.
/// All paths are below `root`, which is `/` but for tests.
pub fn of_this_process(root: &Path) -> Vec<Group> {
    let read = |path| fs::read_to_string(root.join(path)).unwrap_or_default();
    let (mounts, memberships) = (read("proc/self/mountinfo"), read("proc/self/cgroup"));
    let mut groups = Vec::new();
    for mount in mounts.lines().filter_map(Mount::of) {
        let Some(own) = memberships.lines().find_map(|line| mount.own_group(line)) else {
            continue;
        };
        let outermost = root.join(&mount.point);
        let own = if own.as_os_str().is_empty() { outermost.clone() } else { outermost.join(own) };
        let folders = own.ancestors().take_while(|folder| folder.starts_with(&outermost));
        groups.extend(folders.filter_map(|folder| group(folder, mount.names())));
    }
    groups
}

/// Where a hierarchy of groups that count memory is shown.
struct Mount {
    is_version_2: bool,
    /// The group that is shown as the outermost.
    root: PathBuf,
    /// Where, without the slash at the beginning.
    point: PathBuf,
}

impl Mount {
    /// That of a line of `mountinfo`.
    fn of(line: &str) -> Option<Self> {
        let (place, system) = line.split_once(" - ")?;
        let mut place = place.split(' ').skip(3);
        let (root, point) = (unescaped(place.next()?), unescaped(place.next()?));
        let mut system = system.split(' ');
        let (kind, options) = (system.next()?, system.nth(1)?);
        let is_version_2 = kind == "cgroup2";
        let counts_memory = kind == "cgroup" && options.split(',').any(|word| word == "memory");
        let point = PathBuf::from(point.strip_prefix('/')?);
        (is_version_2 || counts_memory).then_some(Self { is_version_2, root: root.into(), point })
    }

    fn names(&self) -> &'static Names {
        if self.is_version_2 { &VERSION_2 } else { &VERSION_1 }
    }

    /// The group of this process as seen from the outermost one, by a line of its memberships if that is of this hierarchy.
    fn own_group(&self, membership: &str) -> Option<PathBuf> {
        let mut parts = membership.splitn(3, ':').skip(1);
        let (controllers, group) = (parts.next()?, parts.next()?);
        let is_here = match self.is_version_2 {
            true => controllers.is_empty(),
            false => controllers.split(',').any(|name| name == "memory"),
        };
        if !is_here {
            return None;
        }
        // One that lies elsewhere is not shown: what is shown limits this process all the same.
        let within = Path::new(group).strip_prefix(&self.root).unwrap_or(Path::new(""));
        let leads_out = within.components().any(|part| part == Component::ParentDir);
        Some(if leads_out { PathBuf::new() } else { within.to_owned() })
    }
}

/// A path of `mountinfo`, in which blanks and the like are octal numbers.
fn unescaped(text: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .iter()
        .fold(text.to_owned(), |text, (code, character)| text.replace(code, character))
}

/// The group in `folder`, if it has a limit.
fn group(folder: &Path, names: &Names) -> Option<Group> {
    let number = |name: &str| -> Option<u64> {
        fs::read_to_string(folder.join(name)).ok()?.trim().parse().ok()
    };
    let limit = names.limits.iter().filter_map(|name| number(name)).min()?;
    let stat = fs::read_to_string(folder.join("memory.stat")).unwrap_or_default();
    let idle = stat.lines().find_map(|line| {
        line.strip_prefix(names.idle_files)?.strip_prefix(' ')?.trim().parse::<u64>().ok()
    });
    let used = number(names.used).unwrap_or(0).saturating_sub(idle.unwrap_or(0));
    let free = limit.saturating_sub(used);
    Some(Group { folder: folder.to_owned(), limit: MemoryBytes(limit), free: MemoryBytes(free) })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    /// A system with these files.
    fn system(files: &[(&str, String)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        root
    }

    fn mounts(lines: &[&str]) -> (&'static str, String) {
        ("proc/self/mountinfo", lines.join("\n"))
    }

    fn membership(text: &str) -> (&'static str, String) {
        ("proc/self/cgroup", text.to_owned())
    }

    /// The limit and what is free of each group, in MiB, with the end of its name.
    fn found(root: &tempfile::TempDir) -> Vec<(String, u64, u64)> {
        let groups = of_this_process(root.path()).into_iter();
        groups
            .map(|Group { folder, limit, free }| {
                let name = folder.strip_prefix(root.path()).unwrap().to_str().unwrap().to_owned();
                (name, limit.0 / MIB, free.0 / MIB)
            })
            .collect()
    }

    const V2: &str =
        "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate";
    const V1: &str = "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory";

    #[test]
    fn the_own_group_and_each_around_it_limit_a_process() {
        let root = system(&[
            mounts(&["23 1 8:1 / / rw - ext4 /dev/root rw", V2]),
            membership("0::/box/node\n"),
            ("sys/fs/cgroup/box/memory.max", format!("{}\n", 700 * MIB)),
            ("sys/fs/cgroup/box/memory.current", (100 * MIB).to_string()),
            ("sys/fs/cgroup/box/node/memory.max", "max\n".into()),
            ("sys/fs/cgroup/box/node/memory.high", (900 * MIB).to_string()),
            ("sys/fs/cgroup/box/node/memory.current", (60 * MIB).to_string()),
        ]);
        let (own, around) = ("sys/fs/cgroup/box/node".to_owned(), "sys/fs/cgroup/box".to_owned());
        assert_eq!(found(&root), [(own, 900, 840), (around, 700, 600)]);
    }

    #[test]
    fn files_that_were_read_and_nobody_uses_count_as_free() {
        let stat = format!("anon 5\ninactive_file {}\nactive_file 7\n", 1800 * MIB);
        let root = system(&[
            mounts(&[V2]),
            membership("0::/box\n"),
            ("sys/fs/cgroup/box/memory.max", (2048 * MIB).to_string()),
            ("sys/fs/cgroup/box/memory.current", (1900 * MIB).to_string()),
            ("sys/fs/cgroup/box/memory.stat", stat),
        ]);
        assert_eq!(found(&root), [("sys/fs/cgroup/box".to_owned(), 2048, 1948)]);
    }

    #[test]
    fn groups_of_the_first_version_are_read_where_the_second_does_not_count_memory() {
        let unified = "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw";
        let root = system(&[
            mounts(&[unified, V1, "32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu"]),
            membership("4:memory:/box\n1:cpu:/\n0::/\n"),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", (4096 * MIB).to_string()),
            ("sys/fs/cgroup/memory/memory.usage_in_bytes", (96 * MIB).to_string()),
            ("sys/fs/cgroup/memory/box/memory.limit_in_bytes", (512 * MIB).to_string()),
            ("sys/fs/cgroup/memory/box/memory.usage_in_bytes", (112 * MIB).to_string()),
            (
                "sys/fs/cgroup/memory/box/memory.stat",
                format!("inactive_file 1\ntotal_inactive_file {}\n", 100 * MIB),
            ),
        ]);
        let (own, around) =
            ("sys/fs/cgroup/memory/box".to_owned(), "sys/fs/cgroup/memory".to_owned());
        assert_eq!(found(&root), [(own, 512, 500), (around, 4096, 4000)]);
    }

    #[test]
    fn in_a_container_what_is_shown_as_the_outermost_is_its_own() {
        let shown = V1.replace("0:32 / ", "0:32 /docker/1\\040a ");
        let limit = ("sys/fs/cgroup/memory/memory.limit_in_bytes", (512 * MIB).to_string());
        for own in ["4:memory:/docker/1 a\n", "4:memory:/elsewhere\n", "4:memory:/../../x\n"] {
            let root = system(&[mounts(&[&shown]), membership(own), limit.clone()]);
            assert_eq!(found(&root), [("sys/fs/cgroup/memory".to_owned(), 512, 512)], "{own}");
        }
    }

    #[test]
    fn a_system_that_shows_no_groups_has_none_that_limit() {
        assert!(found(&system(&[])).is_empty());
        let lines =
            ["", "nonsense", "1 2 3 4 - cgroup2", "30 23 0:26 / relative rw - cgroup2 x rw"];
        assert!(found(&system(&[mounts(&lines), membership("0::/\n:\nx\n")])).is_empty());
        let unlimited = ("sys/fs/cgroup/memory.max", "max\n".to_owned());
        assert!(found(&system(&[mounts(&[V2]), membership("0::/\n"), unlimited])).is_empty());
    }
}
