//! Looks whether blobs are here and are what their names say: reads and hashes all of them, on all cores, until nobody waits for
//! it any more.

use std::{
    num::NonZero,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread::{self, ScopedJoinHandle},
    time::{Duration, Instant},
};

use starling_job::{Event, Script};
use starling_store::{BlobStore, Pin, StoreError};
use starling_types::BlobRef;
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::Span;

/// Threads that look at the same time, on however large a machine: a disk gains nothing by more readers.
const LOOKERS_MAX: usize = 16;

/// The looks of one run of a job. When this is dropped they end, each at its next blob.
#[derive(Debug, Default)]
pub(crate) struct Looks {
    stop: Stop,
    /// What is still to be looked at.
    left_count: Arc<AtomicUsize>,
}

#[derive(Debug)]
struct Stop {
    token: CancellationToken,
    _guard: DropGuard,
}

impl Default for Stop {
    fn default() -> Self {
        let token = CancellationToken::new();
        Self { _guard: token.clone().drop_guard(), token }
    }
}

/// What was found.
#[derive(Debug)]
pub(crate) struct Found {
    /// What was looked at, in its order: all of it, unless the look was ended.
    seen: Vec<BlobRef>,
    /// What of it is missing or damaged.
    gone: Vec<BlobRef>,
    /// What keeps the rest.
    pins: Vec<Pin>,
}

/// What is known of a blob.
enum Seen {
    Here(Pin),
    Gone,
    /// The disk can't say. A reader finds out.
    Unknown,
}

impl Looks {
    /// How many blobs are still to be looked at.
    pub(crate) fn left_count(&self) -> usize {
        self.left_count.load(Ordering::Relaxed)
    }

    /// A look at `wanted`, which blocks.
    pub(crate) fn look(
        &self,
        blobs: BlobStore,
        wanted: Vec<BlobRef>,
    ) -> impl FnOnce() -> Found + Send + use<> {
        let (token, left_count) = (self.stop.token.clone(), self.left_count.clone());
        left_count.fetch_add(wanted.len(), Ordering::Relaxed);
        move || {
            let patience = DiskPatience::new();
            let look = |blob: &BlobRef| {
                if token.is_cancelled() {
                    return None;
                }
                let seen = look_at(&blobs, &patience, blob);
                left_count.fetch_sub(1, Ordering::Relaxed);
                Some(seen)
            };
            let found = on_all_cores(&wanted, look);
            Found::of(wanted, found)
        }
    }
}

impl Found {
    fn of(wanted: Vec<BlobRef>, seen: Vec<Option<Seen>>) -> Self {
        let mut found = Self { seen: Vec::new(), gone: Vec::new(), pins: Vec::new() };
        for (blob, seen) in wanted.into_iter().zip(seen) {
            match seen {
                Some(Seen::Here(pin)) => found.pins.push(pin),
                Some(Seen::Gone) => found.gone.push(blob),
                Some(Seen::Unknown) => {}
                None => continue,
            }
            found.seen.push(blob);
        }
        found
    }

    /// As the job's core hears it.
    pub(crate) fn event<S: Script<Pin = Pin>>(self) -> Event<S> {
        let gone = self.gone.iter().map(|blob| blob.reference).collect();
        Event::Looked { blobs: self.seen, gone, pins: self.pins }
    }
}

fn look_at(blobs: &BlobStore, patience: &DiskPatience, blob: &BlobRef) -> Seen {
    // The caller has a reason: nodes blame it, or something could not be read, or time has passed.
    match patience.read(|| blobs.recheck(blob.reference)) {
        Ok(Some(pin)) => Seen::Here(pin),
        Err(error) if is_passing(&error) => {
            tracing::warn!(blob = %format_args!("{:#}", blob.reference), %error, "a blob could not be checked");
            Seen::Unknown
        }
        Ok(None) | Err(_) => Seen::Gone,
    }
}

/// What `work` makes of each, in their order. A thread that is done with one takes the next, since they differ in size.
fn on_all_cores<T: Sync, R: Send>(all: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    let (next, span) = (AtomicUsize::new(0), Span::current());
    let work_on = || {
        let _entered = span.enter();
        let mut done = Vec::new();
        while let Some(index) =
            Some(next.fetch_add(1, Ordering::Relaxed)).filter(|at| *at < all.len())
        {
            done.push((index, work(&all[index])));
        }
        done
    };
    let mut done = thread::scope(|scope| {
        // Where the system denies a thread, those that there are do it, this one at least.
        let other = |_| thread::Builder::new().spawn_scoped(scope, work_on).ok();
        let others: Vec<_> = (1..cores.min(LOOKERS_MAX).min(all.len())).map_while(other).collect();
        let mut done = work_on();
        done.extend(others.into_iter().flat_map(joined));
        done
    });
    done.sort_unstable_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, result)| result).collect()
}

fn joined<T>(thread: ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// How long a disk is asked again that can't answer now, for all that is read together, and how long in between.
const PATIENCE: Duration = Duration::from_secs(5);
const TRY_PERIOD: Duration = Duration::from_millis(250);

/// Waits for a disk that can't answer now: once for all that is looked at together, since what troubles one blob troubles
/// the next.
pub(crate) struct DiskPatience {
    ends: Instant,
    period: Duration,
}

impl DiskPatience {
    pub(crate) fn new() -> Self {
        Self { ends: Instant::now() + PATIENCE, period: TRY_PERIOD }
    }

    /// What `read` says, once it is not for want of something that others have in use now.
    pub(crate) fn read<T>(
        &self,
        read: impl Fn() -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        loop {
            match read() {
                Err(error) if is_passing(&error) && Instant::now() + self.period <= self.ends => {
                    thread::sleep(self.period);
                }
                read => return read,
            }
        }
    }
}

/// Whether an error says nothing of the blob: too many open files, no memory.
pub(crate) fn is_passing(error: &StoreError) -> bool {
    use rustix::io::Errno;

    let StoreError::Io { cause, .. } = error else { return false };
    let passing =
        [Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::NOBUFS, Errno::AGAIN, Errno::INTR];
    cause
        .raw_os_error()
        .is_some_and(|code| passing.iter().any(|errno| errno.raw_os_error() == code))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::{cell::Cell, io};

    use starling_store::{DataDir, DiskBudget};
    use tempfile::TempDir;

    use super::*;

    fn store() -> (TempDir, DataDir, BlobStore) {
        let dir = tempfile::tempdir().unwrap();
        let data = DataDir::open(dir.path(), "a test").unwrap();
        let blobs =
            data.unrooted_blobs(DiskBudget { max_bytes: 1 << 30, min_free_bytes: 0 }).unwrap();
        (dir, data, blobs)
    }

    fn path_of(dir: &TempDir, blob: &BlobRef) -> std::path::PathBuf {
        let name = blob.reference.to_string();
        dir.path().join("blobs").join(&name[..2]).join(&name)
    }

    #[test]
    fn what_is_gone_or_damaged_is_found_among_many_and_the_rest_is_kept() {
        let (dir, _data, blobs) = store();
        let put = |index: u32| blobs.put(&index.to_le_bytes().repeat(2000)).unwrap().blob();
        let all: Vec<BlobRef> = (0..200).map(put).collect();
        std::fs::write(path_of(&dir, &all[70]), b"something else").unwrap();
        std::fs::remove_file(path_of(&dir, &all[140])).unwrap();
        let looks = Looks::default();
        let look = looks.look(blobs.clone(), all.clone());
        assert_eq!(looks.left_count(), 200);
        let Found { seen, gone, pins } = look();
        assert_eq!((looks.left_count(), &seen), (0, &all));
        assert_eq!(gone, [all[70], all[140]]);
        assert_eq!(pins.len(), 198);
        blobs.collect().unwrap();
        assert!(blobs.pin(all[199].reference).unwrap().is_some());
    }

    #[test]
    fn a_look_that_nobody_waits_for_any_more_ends_at_the_next_blob() {
        let (_dir, _data, blobs) = store();
        let pin = blobs.put(b"a blob").unwrap();
        let count = 100_000;
        let looks = Looks::default();
        let look = looks.look(blobs, vec![pin.blob(); count]);
        let looking = thread::spawn(look);
        while looks.left_count() == count {
            thread::yield_now();
        }
        drop(looks);
        let seen = looking.join().unwrap().seen;
        assert!((1..count).contains(&seen.len()), "{} were looked at", seen.len());
    }

    #[test]
    fn all_is_done_on_several_threads_and_comes_back_in_order() {
        let cores = thread::available_parallelism().map_or(1, NonZero::get).min(LOOKERS_MAX);
        let all: Vec<usize> = (0..64).collect();
        // Ends only when so many threads have one in hand at the same time.
        let all_are_here = std::sync::Barrier::new(cores);
        let doubled = on_all_cores(&all, |number| {
            if *number < cores {
                all_are_here.wait();
            }
            2 * number
        });
        assert_eq!(doubled, all.iter().map(|number| 2 * number).collect::<Vec<_>>());
    }

    fn failed(code: rustix::io::Errno) -> StoreError {
        let cause = io::Error::from_raw_os_error(code.raw_os_error());
        StoreError::Io { action: "open", path: "blob".into(), cause }
    }

    /// A disk that can't answer the first so many times, and how often it was asked.
    fn troubled(
        patience: &DiskPatience,
        answers: u32,
        asked: &Cell<u32>,
    ) -> Result<u32, StoreError> {
        patience.read(|| {
            asked.set(asked.get() + 1);
            if asked.get() < answers { Err(failed(rustix::io::Errno::MFILE)) } else { Ok(7) }
        })
    }

    #[test]
    fn a_disk_that_cannot_answer_now_is_asked_again_and_what_it_lost_is_lost() {
        let (patience, asked) = (DiskPatience::new(), Cell::new(0));
        assert_eq!(troubled(&patience, 3, &asked).unwrap(), 7);
        assert_eq!(asked.get(), 3);
        let broken = || -> Result<(), _> { Err(failed(rustix::io::Errno::IO)) };
        assert!(!is_passing(&patience.read(broken).unwrap_err()));
    }

    #[test]
    fn many_blobs_that_cannot_be_read_now_are_waited_for_as_long_as_one() {
        let period = Duration::from_millis(1);
        let patience = DiskPatience { ends: Instant::now() + Duration::from_millis(40), period };
        let began = Instant::now();
        let asked = Cell::new(0);
        for _ in 0..1_000 {
            assert!(is_passing(&troubled(&patience, u32::MAX, &asked).unwrap_err()));
        }
        assert!(asked.get() >= 1_001, "it was asked again, and each blob once at least");
        let each_ms = 40 * 1_000;
        assert!(began.elapsed() < Duration::from_millis(each_ms / 4), "{:?}", began.elapsed());
    }
}
