//! What this machine has, for defaults.

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
    let Ok(mut system) = sysinfo::System::new() else { return MEMORY_ASSUMED };
    system.refresh_memory();
    // In a container the limit of the control group counts, not the machine's memory.
    let cgroup = system.cgroup_limits().map(|limits| limits.free_memory);
    let free = system.available_memory();
    let free = cgroup.map_or(free, |limit| limit.min(free));
    MemoryBytes(free / 100 * MEMORY_SHARE_PERCENT)
}
