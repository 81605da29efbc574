//! Who has a job of the data directory: a run of it, or a caller that changes its log from outside.
//!
//! Each job has one at a time. The lock that all jobs share is held for a look, never while something is read or written. A caller
//! that finds a run that is ending waits for its end, but no longer than [`END_TIMEOUT`].

use std::{
    collections::BTreeMap,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use starling_types::JobId;

use crate::{service::JobHandle, system::System};

/// How long a run that was told to end may take until others give up waiting for it: what is on its way to the log, and what a
/// disk that is slow needs besides.
pub(crate) const END_TIMEOUT: Duration = Duration::from_secs(30);

/// The jobs that somebody has.
#[derive(Debug)]
pub(crate) struct Runs<S: System>(Arc<Shared<S>>);

#[derive(Debug)]
struct Shared<S: System> {
    jobs: Mutex<BTreeMap<JobId, Held<S>>>,
    freed: Condvar,
}

/// Who has a job.
#[derive(Debug)]
struct Held<S: System> {
    /// The last run of it that was asked for. It may still wait for the one before to end.
    run: Option<JobHandle<S>>,
    /// The run that has the log, from its beginning to its end, even if others asked for it since and gave up waiting.
    has_log: Option<JobHandle<S>>,
    /// Whether its log is being changed from outside.
    is_changed: bool,
}

/// The right to change the log of a job from outside, as long as this lives.
pub(crate) struct Change<S: System> {
    runs: Runs<S>,
    job: JobId,
}

/// Why a log can't be changed from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Busy {
    /// The job runs.
    Runs,
    /// It was told to end, or somebody changes its log, and that takes too long.
    Ends,
}

/// What becomes of a run that was asked for.
pub(crate) enum Entered<S: System> {
    /// There is one already, which goes on.
    Known(JobHandle<S>),
    /// It may begin once this one has ended, if there is one.
    After(Option<JobHandle<S>>),
}

impl<S: System> Clone for Runs<S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<S: System> Default for Runs<S> {
    fn default() -> Self {
        Self(Arc::new(Shared { jobs: Mutex::default(), freed: Condvar::new() }))
    }
}

impl<S: System> Default for Held<S> {
    fn default() -> Self {
        Self { run: None, has_log: None, is_changed: false }
    }
}

impl<S: System> Runs<S> {
    /// All runs.
    pub(crate) fn all(&self) -> Vec<JobHandle<S>> {
        self.jobs().values().filter_map(|held| held.last().cloned()).collect()
    }

    /// The run of a job.
    pub(crate) fn of(&self, job: JobId) -> Option<JobHandle<S>> {
        self.jobs().get(&job)?.last().cloned()
    }

    /// Lets a run in, unless there is one that goes on.
    pub(crate) fn enter(&self, handle: &JobHandle<S>) -> Entered<S> {
        let mut jobs = self.jobs();
        let held = jobs.entry(handle.id()).or_default();
        match &held.run {
            Some(run) if !run.is_ending() => Entered::Known(run.clone()),
            _ => Entered::After(held.run.replace(handle.clone())),
        }
    }

    /// The run has ended, or has given up waiting for the one before.
    pub(crate) fn leave(&self, handle: &JobHandle<S>) {
        self.edit(handle.id(), |held| {
            for run in [&mut held.run, &mut held.has_log] {
                run.take_if(|run| run.is_same(handle));
            }
        });
    }

    /// Waits until nobody has the log of the run's job any more, neither another run nor who changes it from outside, no longer
    /// than `within`. From then on the run has it until it [leaves](Self::leave). Blocks.
    pub(crate) fn take_log(&self, handle: &JobHandle<S>, within: Duration) -> Result<(), Busy> {
        self.wait(handle.id(), within, |held| {
            if held.is_changed || held.has_log.is_some() {
                return None;
            }
            held.has_log = Some(handle.clone());
            Some(Ok(()))
        })
    }

    /// The right to change the log of a job, once its run has ended, if that was told to, and others that change it have done.
    /// Blocks.
    pub(crate) fn change(&self, job: JobId) -> Result<Change<S>, Busy> {
        self.wait(job, END_TIMEOUT, |held| match held.last() {
            Some(run) if !run.is_ending() => Some(Err(Busy::Runs)),
            None if !held.is_changed => {
                held.is_changed = true;
                Some(Ok(()))
            }
            _ => None,
        })?;
        Ok(Change { runs: self.clone(), job })
    }

    /// Asks `answer` until it has one, no longer than `within`.
    fn wait(
        &self,
        job: JobId,
        within: Duration,
        answer: impl Fn(&mut Held<S>) -> Option<Result<(), Busy>>,
    ) -> Result<(), Busy> {
        let until = Instant::now() + within;
        let mut jobs = self.jobs();
        loop {
            let held = jobs.entry(job).or_default();
            let answer = answer(held);
            if !held.is_had() {
                jobs.remove(&job);
            }
            match answer {
                Some(answer) => return answer,
                None if until <= Instant::now() => return Err(Busy::Ends),
                None => {
                    let left = until.saturating_duration_since(Instant::now());
                    let waited = self.0.freed.wait_timeout(jobs, left);
                    jobs = waited.unwrap_or_else(PoisonError::into_inner).0;
                }
            }
        }
    }

    fn edit(&self, job: JobId, change: impl FnOnce(&mut Held<S>)) {
        let mut jobs = self.jobs();
        if let Some(held) = jobs.get_mut(&job) {
            change(held);
            if !held.is_had() {
                jobs.remove(&job);
            }
        }
        drop(jobs);
        self.0.freed.notify_all();
    }

    fn jobs(&self) -> MutexGuard<'_, BTreeMap<JobId, Held<S>>> {
        // Nothing under the lock panics half-way through a change.
        self.0.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: System> Held<S> {
    fn is_had(&self) -> bool {
        self.last().is_some() || self.is_changed
    }

    /// The last run that is not over: the last that was asked for or, where that has given up, the one that it waited for.
    fn last(&self) -> Option<&JobHandle<S>> {
        self.run.as_ref().or(self.has_log.as_ref())
    }
}

impl<S: System> Drop for Change<S> {
    fn drop(&mut self) {
        self.runs.edit(self.job, |held| held.is_changed = false);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::{ZkvmScript, client::Client};

    const SOON: Duration = Duration::from_millis(50);

    #[test]
    fn a_run_that_gives_up_waiting_leaves_the_log_to_the_one_that_has_it() {
        let dir = tempfile::tempdir().unwrap();
        let client = Client::<ZkvmScript>::open(dir.path(), "a test", 1 << 20).unwrap();
        let job = JobId([7; JobId::SIZE_BYTES]);
        let run = || JobHandle::of_nothing(job, client.log.reader());
        let (runs, [first, second, third]) = (&client.runs, [run(), run(), run()]);
        assert!(matches!(runs.enter(&first), Entered::After(None)));
        runs.take_log(&first, SOON).unwrap();
        first.stop();
        let Entered::After(Some(before)) = runs.enter(&second) else { panic!() };
        assert!(before.is_same(&first));
        assert_eq!(runs.take_log(&second, SOON), Err(Busy::Ends));
        runs.leave(&second);
        assert!(runs.of(job).unwrap().is_same(&first), "it is still there");
        assert!(matches!(runs.enter(&third), Entered::After(_)));
        assert_eq!(runs.take_log(&third, SOON), Err(Busy::Ends), "its records are on their way");
        runs.leave(&first);
        runs.take_log(&third, SOON).unwrap();
        runs.leave(&third);
        assert!(runs.all().is_empty() && runs.jobs().is_empty());
        drop(runs.change(job).unwrap());
    }
}
