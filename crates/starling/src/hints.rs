//! What to do about an error, in the words of this command line. Libraries say what is wrong, with values, but they do not know
//! how anything is typed here.

use std::{error::Error, fmt::Display, path::Path, sync::Arc};

use starling_client::{JobError, StateError};
use starling_store::{DataDirError, LogError, NoSpace, StoreError};
use starling_zkvm::{ExecuteError, groth16::Groth16Error};

/// What to do about the first cause of `error` that is known here.
pub fn of(error: &anyhow::Error) -> Option<String> {
    error.chain().find_map(of_cause)
}

fn of_cause(cause: &(dyn Error + 'static)) -> Option<String> {
    if let Some(job) = cause.downcast_ref::<JobError>() {
        return of_job(job);
    }
    if let Some(job) = cause.downcast_ref::<Arc<JobError>>() {
        return of_job(job);
    }
    if let Some(execute) = cause.downcast_ref() {
        return of_execution(execute);
    }
    if let Some(dir) = cause.downcast_ref() {
        return of_dir(dir);
    }
    let of_store = cause.downcast_ref().and_then(of_store);
    let of_log = cause.downcast_ref().and_then(of_log);
    let of_groth16 = cause.downcast_ref().and_then(of_groth16);
    of_store.or(of_log).or(of_groth16).map(str::to_owned)
}

/// What is lost with a part of a job's log, and what to do.
pub fn for_damaged(job: impl Display) -> String {
    format!(
        "its log no longer says what was proved: put a backup of the log in its place, or begin the job anew with the same \
         `starling prove` and --fresh; `starling job show {job}` shows what is known, `starling job cancel {job}` frees what \
         the job holds"
    )
}

/// What to do about the error of a job.
pub fn of_job(error: &JobError) -> Option<String> {
    if let Some(job) = error.damaged_job() {
        return Some(for_damaged(job));
    }
    let hint = match error {
        JobError::DataDir(error) => return of_dir(error),
        JobError::Log(error) => of_log(error)?,
        JobError::Store(error) => of_store(error)?,
        JobError::Execute(error) => return of_execution(error),
        JobError::Groth16(error) => of_groth16(error)?,
        JobError::State(StateError::Unknown { .. }) => "`starling job list` shows those there are",
        JobError::GuestFailed { .. } => "--prove-guest-errors also proves executions that fail",
        JobError::PausedNotComposite { .. } => "ask for --receipt-kind composite",
        JobError::NoCapacity { .. } => {
            "start nodes that can take it (`starling node`, --local) and give the same command again, or start over with a \
             smaller --segment-po2"
        }
        JobError::NoRoom { .. } => {
            "give the same command again with a larger --disk-budget or, if the disk is full, with a data directory on a larger disk"
        }
        JobError::OutOfTime { job, .. } => {
            return Some(format!(
                "its --timeout is over; continue with the same command, or with `starling job resume {job}`"
            ));
        }
        JobError::Interrupted { job } => {
            return Some(format!(
                "continue with the same command, or with `starling job resume {job}`"
            ));
        }
        JobError::Cancelled { .. } => "`starling prove` asks for it anew",
        JobError::BlobMissing { job, .. } => {
            return Some(format!(
                "`starling job resume {job}` makes it again if possible; otherwise start over with --fresh"
            ));
        }
        JobError::AskedMissing { .. } => {
            "the same `starling prove` or `compress`, with the same files, puts it back and goes on with the job"
        }
        JobError::Diverged { .. } => "start over with --fresh",
        _ => return None,
    };
    Some(hint.to_owned())
}

fn of_execution(error: &ExecuteError) -> Option<String> {
    let hint = match error {
        ExecuteError::SegmentLimitTooSmall { roomy: Some(po2), .. } => {
            return Some(format!("raise --segment-po2 to {po2} or more"));
        }
        ExecuteError::GuestPanicked { suspects_input: true, .. } => "check --input",
        ExecuteError::CycleLimit { .. } => "raise --cycle-limit if it should run longer",
        ExecuteError::UnknownAssumption { .. } => "give it with --assumption FILE",
        _ => return None,
    };
    Some(hint.to_owned())
}

/// What a job waits for that has no room on the disk, and how to make some.
pub fn for_room(lacking: &str) -> String {
    format!("{lacking}; free space, cancel a job or raise --disk-budget")
}

fn of_store(error: &StoreError) -> Option<&'static str> {
    let StoreError::NoSpace(error) = error else { return None };
    Some(match error {
        NoSpace::Budget { .. } => "raise --disk-budget, free space or cancel a job",
        NoSpace::NoInodes => "remove files from that disk, cancel a job or use another --data-dir",
        NoSpace::MinFree { .. } | NoSpace::DiskFull { .. } | NoSpace::Quota { .. } => {
            "free space, cancel a job or use another --data-dir"
        }
        NoSpace::Memory { .. } => return None,
    })
}

fn of_log(error: &LogError) -> Option<&'static str> {
    Some(match error {
        LogError::NoSpace { .. } => {
            "free space, or move the data directory to another disk with --data-dir"
        }
        LogError::OtherSchema { .. } => "use the starling that wrote it, or another --data-dir",
        LogError::Locked { .. } => "close that program, and go on with the same command",
        LogError::Gone { .. } => {
            "put it back, or end the process; `starling job recover` writes the finished receipts among the blobs to files"
        }
        LogError::Ruined { .. } => {
            "`starling job recover` writes the finished receipts to files and puts the ruined log and the blobs aside; or begin in another \
             --data-dir"
        }
        _ => return None,
    })
}

fn of_dir(error: &DataDirError) -> Option<String> {
    let hint = match error {
        DataDirError::InUse { .. } => "wait for it to end, stop it, or use another --data-dir",
        DataDirError::Foreign { .. } => "use another --data-dir: a new or an empty one",
        DataDirError::NotOne { .. } => {
            "look for it elsewhere, with --data-dir or STARLING_DATA_DIR"
        }
        DataDirError::Io { path, cause, .. } => {
            let is_denied = cause.kind() == std::io::ErrorKind::PermissionDenied;
            return Some(of_denied(is_denied.then(|| other_user(path)).flatten()));
        }
        DataDirError::KeySize { .. } => return None,
    };
    Some(hint.to_owned())
}

/// What to do about a path that can't be used, of this user that it belongs to.
fn of_denied(owner: Option<u32>) -> String {
    owner.map_or_else(
        || "check the path and its permissions, or use another --data-dir".to_owned(),
        |owner| {
            format!(
                "it belongs to another user (id {owner}): run the command as that user, or use another --data-dir"
            )
        },
    )
}

/// The user that a path belongs to, or what of it can be seen, if that is not this one.
#[cfg(unix)]
fn other_user(path: &Path) -> Option<u32> {
    use std::os::unix::fs::MetadataExt as _;
    let seen = path.ancestors().find_map(|path| path.metadata().ok())?;
    Some(seen.uid()).filter(|owner| *owner != rustix::process::geteuid().as_raw())
}

#[cfg(not(unix))]
fn other_user(_: &Path) -> Option<u32> {
    None
}

fn of_groth16(error: &Groth16Error) -> Option<&'static str> {
    Some(match error {
        Groth16Error::Unavailable { .. } => {
            "ask for --receipt-kind succinct, or run this step on another machine"
        }
        Groth16Error::Failed { .. } => {
            "correct that: the job keeps its succinct receipt, and the same command, or `starling job resume`, repeats only this step"
        }
    })
}

#[cfg(test)]
mod tests {
    use starling_types::JobId;

    use super::*;
    use crate::exit::Exit;

    const JOB: JobId = JobId([7; 16]);

    #[test]
    fn an_error_says_what_is_wrong_and_then_how_it_is_mended_here_however_deep_it_is() {
        let full = || NoSpace::Budget { needed_bytes: 2, used_bytes: 9, max_bytes: 10 };
        let errors = [
            Exit::from(JobError::Store(StoreError::NoSpace(full()))),
            Exit::from(StoreError::NoSpace(full())),
            Exit::from(Arc::new(JobError::Store(full().into()))),
            Exit::from(anyhow::Error::from(StoreError::NoSpace(full())).context("the node")),
        ];
        for exit in errors {
            let text = exit.text();
            let (what, hint) = text.rsplit_once("; ").unwrap_or_default();
            assert!(what.ends_with("9 of the 10 bytes of the disk budget are used"), "{text}");
            assert_eq!(hint, "raise --disk-budget, free space or cancel a job");
        }
    }

    #[test]
    fn a_hint_names_the_job_that_it_is_about() {
        let text = Exit::from(JobError::Interrupted { job: JOB }).text();
        assert!(text.starts_with("stopped; "), "{text}");
        assert!(text.ends_with(&format!("`starling job resume {JOB}`")), "{text}");
    }

    #[cfg(unix)]
    #[test]
    fn a_directory_of_another_user_is_told_from_one_of_this_user_that_is_closed() {
        assert!(of_denied(Some(1000)).starts_with("it belongs to another user (id 1000): run"));
        assert!(of_denied(None).starts_with("check the path and its permissions"));
        let dir = tempfile::tempdir().expect("a directory");
        assert_eq!(other_user(&dir.path().join("not/there")), None, "what can be seen is ours");
    }

    #[test]
    fn of_a_job_whose_log_is_damaged_one_is_told_what_is_lost_and_what_to_do() {
        let gap = StateError::Incomplete { job: JOB, event_count: 5, missing_count: 2 };
        let text = Exit::from(JobError::from(gap)).text();
        for word in ["2 of its 5 events are missing", "no longer says what was proved", "--fresh"] {
            assert!(text.contains(word), "no {word:?} in: {text}");
        }
        assert!(text.contains(&format!("`starling job cancel {JOB}`")), "{text}");
    }

    #[test]
    fn an_error_that_nothing_here_mends_is_left_as_it_is() {
        let died = JobError::Died { what: "a thread", detail: "why".into() };
        assert_eq!(of_job(&died), None);
        assert_eq!(Exit::from(died).text(), "a thread died unexpectedly: why");
    }
}
