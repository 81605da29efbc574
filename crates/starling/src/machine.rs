//! What this machine has, for defaults.

use std::path::Path;

use starling_types::MemoryBytes;

/// The share of the memory that is free now which proving may use: the rest is for what else runs.
const MEMORY_SHARE_PERCENT: u64 = 75;

/// The cores that this process may use.
pub fn cores() -> u32 {
    std::thread::available_parallelism().map_or(1, |count| count.get() as u32)
}

/// What is assumed where the system does not tell its memory: enough for the smallest tasks.
const MEMORY_ASSUMED: MemoryBytes = MemoryBytes::from_mib(2048);

/// The memory that proving may use unless the user says otherwise.
pub fn memory_for_proving() -> MemoryBytes {
    let free = free_memory().min(process_limit().unwrap_or(MemoryBytes(u64::MAX)));
    MemoryBytes(free.0 / 100 * MEMORY_SHARE_PERCENT)
}

/// The memory that is free on this machine, or in this container.
fn free_memory() -> MemoryBytes {
    let Ok(mut system) = sysinfo::System::new() else { return MEMORY_ASSUMED };
    system.refresh_memory();
    // In a container the limit of the control group counts, not the machine's memory.
    let cgroup = system.cgroup_limits().map(|limits| limits.free_memory);
    let free = system.available_memory();
    MemoryBytes(cgroup.map_or(free, |limit| limit.min(free)))
}

/// All the memory of this machine, or of this container; `None` where the system does not tell.
pub fn total_memory() -> Option<MemoryBytes> {
    let mut system = sysinfo::System::new().ok()?;
    system.refresh_memory();
    let cgroup = system.cgroup_limits().map(|limits| limits.total_memory);
    let total = system.total_memory();
    Some(MemoryBytes(cgroup.map_or(total, |limit| limit.min(total)))).filter(|total| total.0 > 0)
}

/// What `ulimit -d` and `ulimit -v` leave a process of this user: a prover inherits them.
pub fn process_limit() -> Option<MemoryBytes> {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, getrlimit};
        let limits = [Resource::Data, Resource::As].map(|resource| getrlimit(resource).current);
        limits.into_iter().flatten().min().map(MemoryBytes)
    }
    #[cfg(not(unix))]
    None
}

/// The space that is free for this user in the file system of `dir`; `None` where the system does not tell.
pub fn free_space(dir: &Path) -> Option<u64> {
    #[cfg(unix)]
    {
        let told = rustix::fs::statvfs(dir).ok()?;
        Some(told.f_bavail.saturating_mul(told.f_frsize))
    }
    #[cfg(not(unix))]
    {
        let _ = dir;
        None
    }
}

/// The first `count` of the cores that this process may use, as `taskset` names them; `None` where the system does not
/// tell.
pub fn first_cores(count: u32) -> Option<String> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let allowed = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?;
    let mut cores = Vec::new();
    for part in allowed.trim().split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        cores.extend(first.parse::<u32>().ok()?..=last.parse().ok()?);
    }
    let names: Vec<_> = cores.iter().take(count as usize).map(u32::to_string).collect();
    (names.len() == count as usize).then(|| names.join(","))
}
