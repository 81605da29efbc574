//! What ends a command early: Ctrl-C, and its `--timeout`, which counts from its beginning. Both end every wait.

use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use crate::{
    class::Class,
    exit::{Code, Exit},
};

/// The bounds of one command. Clones share them.
#[derive(Debug, Clone)]
pub struct Bounds {
    stop: CancellationToken,
    began: Instant,
    timeout: Option<Duration>,
}

/// Why a command ends before its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cut {
    /// Its user told it to.
    Stopped,
    /// Its time is over.
    OutOfTime {
        /// The time it had.
        limit: Duration,
    },
    /// It has waited long enough for nodes, with a job that somebody else asked for first.
    NoNodes {
        /// How long.
        waited: Duration,
        /// What is missing.
        reason: String,
    },
}

impl Bounds {
    /// Those of a command that begins now.
    pub fn new(stop: CancellationToken, timeout: Option<Duration>) -> Self {
        Self { stop, began: Instant::now(), timeout }
    }

    /// Those of a command that is ended as any program is, and waits for no job.
    pub fn none() -> Self {
        Self::new(CancellationToken::new(), None)
    }

    /// What is cancelled when its user tells it to stop.
    pub fn stop(&self) -> &CancellationToken {
        &self.stop
    }

    /// How long the command has been there.
    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// What is left of its time.
    pub fn left(&self) -> Option<Duration> {
        Some(self.timeout?.saturating_sub(self.elapsed()))
    }

    /// Waits until the command is to end.
    pub async fn over(&self) -> Cut {
        let out_of_time = async {
            match (self.left(), self.timeout) {
                (Some(left), Some(limit)) => {
                    tokio::time::sleep(left).await;
                    Cut::OutOfTime { limit }
                }
                _ => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Cut::Stopped,
            cut = out_of_time => cut,
        }
    }

    /// What comes of `work`, which is dropped when the command is to end before, and not begun when it is to end already.
    pub async fn within<T>(&self, work: impl Future<Output = T>) -> Result<T, Cut> {
        tokio::select! {
            biased;
            cut = self.over() => Err(cut),
            done = work => Ok(done),
        }
    }

    /// As [`Self::within`], for work that blocks: a thread that hangs in it is left behind.
    ///
    /// # Errors
    /// When it panics, besides.
    pub async fn within_blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<Result<T, tokio::task::JoinError>, Cut> {
        self.within(async { tokio::task::spawn_blocking(work).await }).await
    }
}

impl Cut {
    /// The end of the command. `fate` says what became of the job.
    pub fn exit(&self, fate: &str) -> Exit {
        let code = match self {
            Self::Stopped => Code::Interrupted,
            Self::OutOfTime { .. } | Self::NoNodes { .. } => Code::NoCapacity,
        };
        let text = match self {
            Self::Stopped => "stopped".to_owned(),
            Self::OutOfTime { limit } => {
                format!(
                    "the job is not done after {} s, the --timeout of this command",
                    limit.as_secs()
                )
            }
            Self::NoNodes { waited, reason } => {
                format!("no node could take the work for {} s: {reason}", waited.as_secs())
            }
        };
        let exit = Exit::message(code, text).hinted(fate);
        if matches!(self, Self::OutOfTime { .. }) { exit.classed(Class::OutOfTime) } else { exit }
    }
}

/// The fate of a job that was not begun.
pub const NOT_BEGUN: &str = "the job was not begun";

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_a_command_waits_for_ends_with_its_time_or_its_users_word_whichever_is_first() {
        let stop = CancellationToken::new();
        let limit = Duration::from_millis(30);
        let bounds = Bounds::new(stop.clone(), Some(limit));
        assert_eq!(bounds.within(async { 7 }).await, Ok(7));
        let endless = std::future::pending::<()>();
        assert_eq!(bounds.within(endless).await, Err(Cut::OutOfTime { limit }));
        assert_eq!(bounds.left(), Some(Duration::ZERO));
        stop.cancel();
        assert_eq!(bounds.within(std::future::pending::<()>()).await, Err(Cut::Stopped));
    }

    #[tokio::test]
    async fn nothing_is_begun_by_a_command_that_was_told_to_stop() {
        let bounds = Bounds::new(CancellationToken::new(), None);
        bounds.stop().cancel();
        let begun = bounds.within(async { panic!("it was begun") }).await;
        assert_eq!(begun, Err::<(), _>(Cut::Stopped));
    }

    #[tokio::test]
    async fn a_command_does_not_wait_for_a_thread_that_hangs() {
        let bounds = Bounds::new(CancellationToken::new(), Some(Duration::from_millis(30)));
        let (_keep, never) = std::sync::mpsc::channel::<()>();
        let cut = bounds.within_blocking(move || never.recv()).await;
        assert!(matches!(cut, Err(Cut::OutOfTime { .. })));
    }

    #[test]
    fn the_end_of_a_command_says_why_it_ended_and_what_became_of_its_job() {
        let limit = Duration::from_secs(5);
        let exit = Cut::OutOfTime { limit }.exit("it goes on");
        assert_eq!(exit.code, Code::NoCapacity);
        let text = "the job is not done after 5 s, the --timeout of this command; it goes on";
        assert_eq!(exit.text(), text);
        assert_eq!(Cut::Stopped.exit(NOT_BEGUN).code, Code::Interrupted);
    }
}
