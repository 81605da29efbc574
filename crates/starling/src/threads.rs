//! Threads: whether this process may start as many as it needs. A limit on them (`ulimit -u`, the `pids.max` of a control
//! group) is met in the midst of the work otherwise, where whatever waits for a thread that never starts hangs.

use std::{
    fs, io,
    sync::{
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use tokio::runtime::{Builder, Runtime};

use crate::exit::{Code, Exit};

/// Threads that a command needs besides those that compute: [`BLOCKING_OF_FEW`], the three of the executor, the one that writes
/// the log, and as many again for what libraries start by themselves.
const LEAST: usize = 20;

/// Threads for what blocks where there are few: reads, writes and checks wait for one another then.
const BLOCKING_OF_FEW: usize = 8;

/// How many threads do what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Shares {
    /// Those of the runtime, and those that compute.
    each: usize,
    /// Whether there are as many as one would have.
    is_whole: bool,
}

/// How threads are shared of which `cores` each are wanted where `startable` can be started; none where these are too few.
fn shares(startable: usize, cores: usize) -> Option<Shares> {
    let left = startable.checked_sub(LEAST + 2)?;
    let each = (1 + left / 2).min(cores);
    Some(Shares { each, is_whole: each == cores })
}

/// A runtime with as many threads as `wanted`, or with fewer, where a limit on threads does not allow for more; as many compute.
///
/// # Errors
/// When the limit does not allow for any work.
pub fn runtime(wanted: usize) -> Result<Runtime, Exit> {
    let startable = startable(LEAST + 2 * wanted);
    let Some(Shares { each, is_whole }) = shares(startable, wanted) else {
        return Err(Exit::message(
            Code::Failed,
            format!("this process may start only {startable} threads and needs {}", LEAST + 2),
        )
        .hinted(MEND));
    };
    let mut builder = Builder::new_multi_thread();
    builder.enable_all().worker_threads(each);
    if !is_whole {
        tracing::warn!(
            startable,
            "a limit on threads (`ulimit -u`, `pids.max`) leaves {each} of {wanted} threads for computing; each node on this \
             machine needs {} threads for itself, and as many for its prover as compute there",
            LEAST + 2
        );
        builder.max_blocking_threads(BLOCKING_OF_FEW);
        // What computes finds its threads here.
        rayon::ThreadPoolBuilder::new().num_threads(each).build_global()?;
    }
    IS_STARTING.store(true, Ordering::Relaxed);
    let runtime = builder.build();
    IS_STARTING.store(false, Ordering::Relaxed);
    Ok(runtime?)
}

/// Whether the runtime is being made: a panic then leaves threads that wait for it.
static IS_STARTING: AtomicBool = AtomicBool::new(false);

/// Ends the process where a panic would leave it half alive.
pub fn end_if_starting() {
    if IS_STARTING.load(Ordering::Relaxed) {
        Exit::message(Code::Failed, "a thread could not be started").hinted(MEND).report();
        std::process::exit(Code::Failed as i32);
    }
}

/// What to do about a limit on threads.
const MEND: &str = "raise `ulimit -u` of its user, or `pids.max` of its control group";

/// How many threads can be started beside each other, up to `wanted`. They end before this returns.
fn startable(wanted: usize) -> usize {
    let before = running();
    let mut started = Vec::with_capacity(wanted);
    for _ in 0..wanted {
        // Each waits until its sender is gone.
        let (sender, waiting) = mpsc::channel::<()>();
        let thread = thread::Builder::new().stack_size(STACK_BYTES);
        let spawned: io::Result<_> = thread.spawn(move || {
            let _ = waiting.recv();
        });
        match spawned {
            Ok(thread) => started.push((sender, thread)),
            Err(_) => break,
        }
    }
    let count = started.len();
    for (sender, thread) in started {
        drop(sender);
        let _ = thread.join();
    }
    // The system counts a thread a little longer than it runs.
    let since = Instant::now();
    while running() > before && since.elapsed() < END_WAIT {
        thread::sleep(END_POLL);
    }
    count
}

/// The threads of this process, as far as the system tells.
fn running() -> Option<usize> {
    Some(fs::read_dir("/proc/self/task").ok()?.count())
}

/// How long threads that have ended may be counted.
const END_WAIT: Duration = Duration::from_secs(1);

/// How often they are looked for.
const END_POLL: Duration = Duration::from_millis(1);

/// The stack of a thread that only waits.
const STACK_BYTES: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_are_shared_between_the_runtime_and_what_computes_and_too_few_are_refused() {
        let whole = |each| Some(Shares { each, is_whole: true });
        let few = |each| Some(Shares { each, is_whole: false });
        assert_eq!(shares(0, 4), None);
        assert_eq!(shares(LEAST + 1, 4), None);
        assert_eq!(shares(LEAST + 2, 1), whole(1));
        assert_eq!(shares(LEAST + 2, 4), few(1));
        assert_eq!(shares(LEAST + 7, 4), few(3));
        assert_eq!(shares(LEAST + 8, 4), whole(4));
        assert_eq!(shares(1000, 4), whole(4));
    }

    #[test]
    fn what_is_wanted_can_be_started_here() {
        assert_eq!(startable(LEAST), LEAST);
    }
}
