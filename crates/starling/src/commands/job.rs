//! `starling job`: the jobs of a data directory.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::anyhow;
use serde_json::{Value, json};
use starling_client::{
    ArgumentsIn, AssumedFrom, DamagedJob, GuestRun, JobPhase, JobProgress, JobState, JobSummary,
    Pruned, Recovered, RecoveredReceipt, Subject, damaged_job, find_jobs, list_jobs, load_job,
};
use starling_store::{DataDir, JobKey};
use starling_types::ReceiptKind;

use crate::{
    args::{ClientNetworkArgs, Common, JobArg, JobCommand},
    bounds::Bounds,
    commands::prove,
    control::{self, Opened},
    exit::{CommandResult, Exit},
    files, hints,
    output::{Fields, line, object, print},
    terminal,
};

pub async fn run(common: &Common, command: &JobCommand) -> CommandResult {
    let dir = files::data_dir(common)?;
    DataDir::check(&dir)?;
    if !is_there(&dir) {
        terminal::say(&format!("there is no data directory {} yet, and so no job", dir.display()));
    }
    match command {
        JobCommand::List => list(common, &dir).await,
        JobCommand::Show { job } => show(common, &dir, job).await,
        JobCommand::Resume { job, receipt, network } => {
            resume(common, job, receipt.clone(), network).await
        }
        JobCommand::Cancel { job } => cancel(common, &dir, job).await,
        JobCommand::Prune { older } => prune(common, &dir, *older).await,
        JobCommand::Recover { out } => recover(common, &dir, out),
    }
}

/// `starling job resume`.
pub async fn resume(
    common: &Common,
    job: &JobArg,
    receipt: Option<PathBuf>,
    network: &ClientNetworkArgs,
) -> CommandResult {
    let dir = files::data_dir(common)?;
    let key = find(&dir, job)?;
    let Some(id) = key.job() else {
        return Err(Exit::usage(anyhow!(
            "the id of job {key} is damaged in the log, so nobody can tell which job it was: ask for it anew with \
             `starling prove`; `starling job cancel {key}` frees what it holds"
        )));
    };
    let state = load_job(&dir, id)?;
    if state.phase == JobPhase::Cancelled {
        return Err(Exit::usage(anyhow!(
            "job {id} was cancelled, so there is nothing to resume; ask for it anew with `starling prove`"
        )));
    }
    let receipt = receipt.unwrap_or_else(|| PathBuf::from(format!("{id}.receipt")));
    prove::resume(common, &state, network, receipt).await
}

fn find(dir: &Path, JobArg(digits): &JobArg) -> Result<JobKey, Exit> {
    match &find_jobs(dir, digits)?[..] {
        [key] => Ok(key.clone()),
        [] => Err(Exit::usage(anyhow!(
            "no job begins with {digits} in this data directory: `starling job list` shows those there are"
        ))),
        found => {
            Err(Exit::usage(anyhow!("{} jobs begin with {digits}: give more digits", found.len())))
        }
    }
}

async fn list(common: &Common, dir: &Path) -> CommandResult {
    let jobs = list_jobs(dir)?;
    let running = control::running(dir).await;
    if common.json {
        let object = |job: &Result<JobSummary, DamagedJob>| match job {
            Ok(job) => object(listed(job, running.get(&job.id))),
            Err(job) => object(of_damaged(job)),
        };
        let jobs: Vec<Value> = jobs.iter().map(object).collect();
        return line(json!({ "jobs": jobs }));
    }
    for job in jobs {
        match job {
            Ok(job) => line(in_list(&job, running.get(&job.id)))?,
            Err(DamagedJob { key, fault, .. }) => {
                line(format_args!("{:32}  {DAMAGED:9}  {fault}", key.to_string()))?;
            }
        }
    }
    Ok(())
}

/// A job in a list for people.
fn in_list(job: &JobSummary, progress: Option<&JobProgress>) -> String {
    format!(
        "{}  {:9}  {:9}  image {:#}…{}",
        job.id,
        phase(&job.phase, progress),
        job.request.receipt_kind,
        job.image_id,
        progress.map_or(String::new(), receipts_text),
    )
}

async fn show(common: &Common, dir: &Path, job: &JobArg) -> CommandResult {
    let key = find(dir, job)?;
    if let Some(damaged) = damaged_job(dir, &key)? {
        return print(common, of_damaged(&damaged));
    }
    let id = key.job().ok_or_else(|| anyhow!("another command has just given up job {key}"))?;
    let state = load_job(dir, id)?;
    print(common, fields(&state, control::running(dir).await.get(&id)))
}

async fn cancel(common: &Common, dir: &Path, job: &JobArg) -> CommandResult {
    let key = find(dir, job)?;
    let ask = async |owner| control::cancel(owner, key.clone()).await;
    // Freeing space must work when the budget is used up.
    let (purpose, bounds) = ("starling job cancel", Bounds::none());
    let freed = match control::open_or_ask(dir, purpose, u64::MAX, &bounds, ask).await? {
        Opened::Ours(client) => client.cancel(key.clone())?,
        Opened::Theirs(freed) => freed,
    };
    print(common, vec![("job", json!(key)), ("freed_bytes", json!(freed))])
}

async fn prune(common: &Common, dir: &Path, older_days: u32) -> CommandResult {
    let idle = Duration::from_secs(u64::from(older_days) * 24 * 3600);
    let pruned = match is_there(dir) {
        false => Pruned::default(),
        true => {
            let ask = async |owner| control::prune(owner, idle).await;
            let (purpose, bounds) = ("starling job prune", Bounds::none());
            match control::open_or_ask(dir, purpose, u64::MAX, &bounds, ask).await? {
                Opened::Ours(client) => client.prune(idle)?,
                Opened::Theirs(pruned) => pruned,
            }
        }
    };
    print(common, vec![("jobs", json!(pruned.jobs)), ("freed_bytes", json!(pruned.freed_bytes))])
}

/// Whether there is a directory: none is made to find nothing in it.
fn is_there(dir: &Path) -> bool {
    dir.symlink_metadata().is_ok()
}

fn recover(common: &Common, dir: &Path, out: &Path) -> CommandResult {
    if !is_there(dir) {
        return Err(Exit::usage(anyhow!("there is no data directory {}", dir.display())));
    }
    if !out.is_dir() {
        return Err(Exit::usage(anyhow!("--out {} is no directory", out.display())));
    }
    let Some(Recovered { receipts, log, blobs, blob_bytes }) = starling_client::recover(dir, out)?
    else {
        return Err(Exit::usage(anyhow!(
            "nothing is wrong with the job log of {}: `starling job list` shows its jobs, and `starling job resume JOB` delivers the \
             receipt of one that is done",
            dir.display()
        )));
    };
    let receipts: Vec<Value> = receipts
        .iter()
        .map(|RecoveredReceipt { file, kind, image_id }| {
            json!({ "file": file.display().to_string(), "kind": kind, "image_id": image_id })
        })
        .collect();
    let shown = |path: Option<PathBuf>| path.map(|path| path.display().to_string());
    print(
        common,
        vec![
            ("receipts", json!(receipts)),
            ("log", json!(shown(log))),
            ("blobs", json!(shown(blobs))),
            ("blob_bytes", json!(blob_bytes)),
        ],
    )
}

/// The word for where a job stands, with its progress if it runs.
fn phase(phase: &JobPhase, progress: Option<&JobProgress>) -> &'static str {
    match phase {
        // What is logged of a job that runs again comes a moment later.
        JobPhase::Open | JobPhase::Failed { .. } if progress.is_some() => "running",
        JobPhase::Open => "open",
        JobPhase::Done { .. } => "done",
        JobPhase::Failed { .. } => "failed",
        JobPhase::Cancelled => "cancelled",
    }
}

/// How many receipts a job that runs has, and how many it takes as far as is known.
fn receipts(JobProgress { tasks, .. }: &JobProgress) -> (u64, u64) {
    tasks.stages.iter().fold((0, 0), |(accepted, total), stage| {
        (accepted + u64::from(stage.accepted), total + u64::from(stage.total))
    })
}

/// The same for people.
fn receipts_text(progress: &JobProgress) -> String {
    let (accepted, total) = receipts(progress);
    let more = if progress.tasks.is_final { "" } else { " or more" };
    format!("  {accepted} of {total}{more} receipts, {} nodes", progress.nodes)
}

/// How many receipts the job takes, once its execution has ended.
fn tasks_total(state: &JobState) -> Option<u32> {
    let summary = state.execution.as_ref()?;
    // Keccak proofs that nothing assumes are not made.
    let keccaks = match summary.assumed.contains(&AssumedFrom::Keccak) {
        true => with_merges(summary.keccak_count),
        false => 0,
    };
    let segments = summary.segment_count;
    Some(match state.request.receipt_kind {
        ReceiptKind::Composite => segments.saturating_add(keccaks),
        ReceiptKind::Succinct | ReceiptKind::Groth16 => {
            let unwrap = u32::from(state.request.counts_work());
            let merged = with_merges(segments).saturating_add(keccaks);
            merged.saturating_add(summary.assumed.len() as u32 + unwrap)
        }
    })
}

/// So many leaves, and what it takes to merge them to one. The number comes from a file.
fn with_merges(leaves: u32) -> u32 {
    leaves.saturating_add(leaves.saturating_sub(1))
}

/// What a list has of a job.
fn listed(job: &JobSummary, progress: Option<&JobProgress>) -> Fields {
    let ends = ends(&job.phase);
    let is_final = progress.is_some_and(|progress| progress.tasks.is_final);
    let receipts = progress.map(receipts);
    let mut fields = vec![
        ("job", json!(job.id)),
        ("phase", json!(phase(&job.phase, progress))),
        ("error", ends.error),
        ("image_id", json!(job.image_id)),
        ("receipt_kind", json!(job.request.receipt_kind)),
        ("asked", asked(&job.request.source)),
        ("receipts_accepted", json!(receipts.map(|(accepted, _)| accepted))),
        ("receipts_total", json!(receipts.map(|(_, total)| total).filter(|_| is_final))),
        ("created_at_unix_ms", json!(job.created_at_ms)),
        ("changed_at_unix_ms", json!(job.changed_at_ms)),
        ("receipt_reference", ends.receipt_reference),
        ("seconds", ends.seconds),
    ];
    fields.extend(run_fields(progress));
    fields
}

/// Where a job stands whose log is damaged.
const DAMAGED: &str = "damaged";

/// What is known of a job whose log is damaged.
fn of_damaged(job: &DamagedJob) -> Fields {
    let DamagedJob { key, fault, event_count, request, image_id, .. } = job;
    let ends = job.phase.as_ref().map(ends).unwrap_or_default();
    vec![
        ("job", json!(key)),
        ("phase", json!(DAMAGED)),
        ("error", json!(format!("{fault}; {}", hints::for_damaged(key)))),
        ("image_id", json!(image_id)),
        ("receipt_kind", json!(request.as_ref().map(|request| request.receipt_kind))),
        ("asked", json!(request.as_ref().map(|request| asked(&request.source)))),
        ("events", json!(event_count)),
        ("last_phase", json!(job.phase.as_ref().map(|last| phase(last, None)))),
        ("last_error", ends.error),
        ("created_at_unix_ms", json!(job.first_at_ms)),
        ("changed_at_unix_ms", json!(job.changed_at_ms)),
        ("receipt_reference", ends.receipt_reference),
        ("seconds", ends.seconds),
    ]
}

/// What was asked for. Of the guest's environment the names alone: a value may be secret, and a list is shown to others.
fn asked(source: &Subject) -> Value {
    let mut asked = json!(source);
    let Subject::Guest(GuestRun { arguments: ArgumentsIn::Log(arguments), .. }) = source else {
        return asked;
    };
    if let Some(shown) = asked.pointer_mut("/arguments/log/env") {
        *shown = json!(arguments.env.keys().collect::<Vec<_>>());
    }
    asked
}

/// What there is to say of a job that runs.
fn run_fields(progress: Option<&JobProgress>) -> Fields {
    let lacks_room = progress.and_then(|progress| progress.lacks_room.as_ref());
    vec![
        ("nodes", json!(progress.map(|progress| progress.nodes))),
        ("nodes_busy", json!(progress.map(|progress| progress.nodes_busy))),
        ("eta_ms", json!(progress.and_then(|progress| progress.eta))),
        ("waiting", json!(progress.and_then(|progress| progress.waiting.as_ref()))),
        ("lacks_room", json!(lacks_room.map(|lacking| hints::for_room(lacking)))),
    ]
}

/// All that is known of a job.
fn fields(state: &JobState, progress: Option<&JobProgress>) -> Fields {
    let execution = state.execution.as_ref();
    let ends = ends(&state.phase);
    let mut fields = vec![
        ("job", json!(state.id)),
        ("phase", json!(phase(&state.phase, progress))),
        ("error", ends.error),
        ("image_id", json!(state.image_id)),
        ("receipt_kind", json!(state.request.receipt_kind)),
        ("asked", asked(&state.request.source)),
        ("segments", json!(state.segments.len())),
        ("keccaks", json!(state.keccaks.len())),
        ("assumptions", json!(execution.map(|summary| summary.assumed.len()))),
        ("exit_code", json!(execution.map(|summary| format!("{:?}", summary.exit_code)))),
        ("executed", json!(execution.is_some())),
        ("user_cycles", json!(execution.map(|summary| summary.user_cycles))),
        ("total_cycles", json!(execution.map(|summary| summary.total_cycles))),
        ("receipts_accepted", json!(state.accepted.len())),
        ("receipts_total", json!(tasks_total(state))),
        ("receipts_by_node", json!(state.receipts_by_node)),
        ("runs", json!(state.incarnation)),
        ("created_at_unix_ms", json!(state.created_at_ms)),
        ("receipt_reference", ends.receipt_reference),
        ("seconds", ends.seconds),
    ];
    fields.extend(run_fields(progress));
    fields
}

/// What there is to say of a job's end.
#[derive(Default)]
struct EndFields {
    error: Value,
    receipt_reference: Value,
    seconds: Value,
}

fn ends(phase: &JobPhase) -> EndFields {
    match phase {
        JobPhase::Done { receipt, seconds, .. } => EndFields {
            receipt_reference: json!(receipt.reference),
            seconds: json!(seconds),
            ..EndFields::default()
        },
        JobPhase::Failed { message } => EndFields { error: json!(message), ..EndFields::default() },
        JobPhase::Open | JobPhase::Cancelled => EndFields::default(),
    }
}

#[cfg(test)]
mod tests {
    use starling_types::JobId;

    use super::*;

    #[test]
    fn a_log_may_name_any_number_of_leaves() {
        let counts = [0, 1, 5, u32::MAX].map(with_merges);
        assert_eq!(counts, [0, 1, 9, u32::MAX]);
    }

    #[test]
    fn a_job_id_round_trips_through_its_argument() {
        let id = JobId([7; 16]);
        let JobArg(digits) = id.to_string().parse().expect("an id is an argument");
        assert!(id.to_string().starts_with(&digits));
    }
}
