//! What this machine has, for defaults.

mod groups;
mod memory;
mod promises;

use std::path::Path;

use starling_types::MemoryBytes;

pub use self::{
    memory::{Memory, total as total_memory},
    promises::Promise,
};

/// The cores that this process may use.
pub fn cores() -> u32 {
    std::thread::available_parallelism().map_or(1, |count| count.get() as u32)
}

/// The memory that proving may use unless the user says otherwise.
pub fn memory_for_proving() -> MemoryBytes {
    Memory::here().for_proving
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
