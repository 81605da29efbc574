//! What this process uses of its machine, and what it may: as far as the system tells and enforces it.

use std::{fs::File, io};

use starling_types::MemoryBytes;

/// Caps what this process may allocate for the next task, what it holds already included, where the system has such a cap.
///
/// Linux counts private writable mappings, thread stacks included, against `RLIMIT_DATA`. macOS accepts
/// the limit and ignores it for mappings: there, the node's own accounting is the only guard.
///
/// # Errors
/// What the system says.
#[cfg(target_os = "linux")]
pub(crate) fn limit_memory(limit: Option<MemoryBytes>) -> io::Result<()> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    // A hard limit from outside stays: raising it is not ours to ask for. Ours is the soft one, for the next to differ.
    let maximum = getrlimit(Resource::Data).maximum;
    let current = match (limit.map(|limit| limit.0), maximum) {
        (Some(limit), Some(hard)) => Some(limit.min(hard)),
        (limit, hard) => limit.or(hard),
    };
    setrlimit(Resource::Data, Rlimit { current, maximum })?;
    Ok(())
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn limit_memory(_: Option<MemoryBytes>) -> io::Result<()> {
    Ok(())
}

/// What Linux tells of this process. Opened once, since a sandbox lets nothing be opened later.
#[derive(Debug)]
pub(crate) struct Meters {
    status: Option<File>,
    stat: Option<File>,
    /// What is written to it makes the next peak begin.
    clear_refs: Option<File>,
}

impl Meters {
    pub(crate) fn open() -> Self {
        let open = |name| File::open(format!("/proc/self/{name}")).ok();
        let clear_refs = File::options().write(true).open("/proc/self/clear_refs").ok();
        Self { status: open("status"), stat: open("stat"), clear_refs }
    }

    /// Makes the next peak the peak of one task. Without it the report is the peak of all tasks so far.
    pub(crate) fn reset_peak_memory(&self) {
        #[cfg(unix)]
        if let Some(file) = &self.clear_refs {
            let _ = std::os::unix::fs::FileExt::write_all_at(file, b"5", 0);
        }
    }

    /// The peak of resident memory, where the system tells.
    pub(crate) fn peak_memory(&self) -> Option<MemoryBytes> {
        peak_memory_in(&text_of(self.status.as_ref()?)?)
    }

    /// The time that all threads of this process have spent on cores so far, where the system tells.
    pub(crate) fn cpu_ms(&self) -> Option<u64> {
        // Linux counts it for others in hundredths of a second, whatever its own clock is.
        const TICK_MS: u64 = 10;
        let stat = text_of(self.stat.as_ref()?)?;
        // The second field is the program's name in parentheses; user and system time are the 14th and 15th.
        let (_, fields) = stat.rsplit_once(')')?;
        let mut times = fields.split_whitespace().skip(11).map(|ticks| ticks.parse::<u64>().ok());
        Some((times.next()?? + times.next()??) * TICK_MS)
    }
}

/// The peak of resident memory of the process with this id, as long as it lives.
pub(crate) fn peak_memory_of(pid: u32) -> Option<MemoryBytes> {
    peak_memory_in(&std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?)
}

fn peak_memory_in(status: &str) -> Option<MemoryBytes> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(MemoryBytes(kib << 10))
}

/// What such a file says now. It is made when it is read, and all of it in one reading if there is room.
#[cfg(unix)]
fn text_of(file: &File) -> Option<String> {
    let mut text = vec![0; 16 << 10];
    let count = std::os::unix::fs::FileExt::read_at(file, &mut text, 0).ok()?;
    text.truncate(count);
    String::from_utf8(text).ok()
}

#[cfg(not(unix))]
fn text_of(_: &File) -> Option<String> {
    None
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn the_time_on_cores_grows_by_what_is_spent() {
        let meters = Meters::open();
        let (started, before) = (std::time::Instant::now(), meters.cpu_ms().unwrap());
        while started.elapsed().as_secs() < 30 && meters.cpu_ms().unwrap() < before + 50 {
            std::hint::black_box((0..100_000u64).sum::<u64>());
        }
        let spent = meters.cpu_ms().unwrap() - before;
        assert!((50..60_000).contains(&spent), "{spent} ms");
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn peak_memory_is_known_on_linux() {
        let peak = Meters::open().peak_memory().unwrap();
        assert!(peak > MemoryBytes::from_mib(1) && peak < MemoryBytes::from_mib(1 << 20), "{peak}");
    }
}
