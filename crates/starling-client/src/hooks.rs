//! A host's progress hook, on a thread of its own: however long it takes, nothing waits for it but the next call of it.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
};

use starling_types::JobId;

use crate::JobProgress;

/// What is called with how far a job is.
pub(crate) type ProgressHook = dyn Fn(JobId, &JobProgress) + Send + Sync;

/// The thread of a hook. It ends when this is dropped, after the call that it is in.
#[derive(Debug)]
pub(crate) struct Hook {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    told: Condvar,
}

/// What the hook has not heard yet: of each job the latest, so that it is bounded by the jobs that run.
#[derive(Debug, Default)]
struct Waiting {
    latest: BTreeMap<JobId, JobProgress>,
    /// Whose turn it is: who waits longest comes first.
    order: VecDeque<JobId>,
    is_over: bool,
}

impl Hook {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system has no thread left.
    pub(crate) fn start(hook: Box<ProgressHook>) -> std::io::Result<Self> {
        let shared = Arc::<Shared>::default();
        let theirs = shared.clone();
        std::thread::Builder::new().name("progress".into()).spawn(move || {
            while let Some((job, progress)) = theirs.next() {
                hook(job, &progress);
            }
        })?;
        Ok(Self { shared })
    }

    /// Has the hook told how far a job is. What it has not heard by then of the same job, it does not hear any more.
    pub(crate) fn tell(&self, job: JobId, progress: JobProgress) {
        let mut waiting = self.shared.waiting();
        if waiting.latest.insert(job, progress).is_none() {
            waiting.order.push_back(job);
        }
        drop(waiting);
        self.shared.told.notify_one();
    }
}

impl Shared {
    /// What is to be told next; `None` when nobody is any more.
    fn next(&self) -> Option<(JobId, JobProgress)> {
        let mut waiting = self.waiting();
        loop {
            if waiting.is_over {
                return None;
            }
            if let Some(job) = waiting.order.pop_front() {
                return waiting.latest.remove(&job).map(|progress| (job, progress));
            }
            waiting = self.told.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        // The hook runs outside of the lock.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Hook {
    fn drop(&mut self) {
        self.shared.waiting().is_over = true;
        self.shared.told.notify_one();
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn a_slow_hook_holds_nobody_up_and_hears_the_latest_of_each_job() {
        let job = |byte| JobId([byte; JobId::SIZE_BYTES]);
        let at = |looking_at| JobProgress { looking_at, ..JobProgress::default() };
        let ((calls, called), (go_on, goes_on)) = (mpsc::channel(), mpsc::channel::<()>());
        let goes_on = Mutex::new(goes_on);
        let hook = Hook::start(Box::new(move |job, progress: &JobProgress| {
            let _ = calls.send((job, progress.looking_at));
            let _ = goes_on.lock().unwrap().recv();
        }));
        let hook = hook.unwrap();
        hook.tell(job(1), at(1));
        assert_eq!(called.recv().unwrap(), (job(1), 1));
        // It is busy: nobody waits for it.
        for number in 2..1_000 {
            hook.tell(job(2), at(number));
            hook.tell(job(1), at(number));
        }
        assert_eq!(hook.shared.waiting().latest.len(), 2);
        go_on.send(()).unwrap();
        assert_eq!(called.recv().unwrap(), (job(2), 999), "who waits longest comes first");
        go_on.send(()).unwrap();
        assert_eq!(called.recv().unwrap(), (job(1), 999));
        hook.tell(job(1), at(1_000));
        drop(hook);
        go_on.send(()).unwrap();
        assert!(called.recv().is_err(), "nothing is told any more");
    }
}
