//! `starling job`: the jobs of a data directory.

use std::path::PathBuf;

use anyhow::anyhow;
use serde_json::{Value, json};
use starling_client::{AssumedFrom, JobPhase, JobState, list_jobs};
use starling_types::ReceiptKind;

use crate::{
    args::{Common, JobArg, JobCommand},
    commands::prove,
    control::{self, Opened},
    exit::{CommandResult, Exit},
    files, hints,
    output::{Fields, line, object, print},
};

pub async fn run(common: &Common, command: &JobCommand) -> CommandResult {
    match command {
        JobCommand::List => list(common),
        JobCommand::Show { job } => show(common, job).await,
        JobCommand::Resume { job, receipt, network } => {
            let state = find(common, job)?;
            let id = state.id;
            if state.phase == JobPhase::Cancelled {
                return Err(Exit::usage(anyhow!(
                    "job {id} was cancelled and holds nothing to go on with; ask for it anew with `starling prove`"
                )));
            }
            let receipt = receipt.clone().unwrap_or_else(|| PathBuf::from(format!("{id}.receipt")));
            prove::resume(common, &state, network, receipt).await
        }
        JobCommand::Cancel { job } => cancel(common, job).await,
    }
}

fn jobs(common: &Common) -> Result<Vec<JobState>, Exit> {
    let mut states = Vec::new();
    for job in list_jobs(&files::data_dir(common)?)? {
        match job {
            Ok(state) => states.push(state),
            Err(error) => tracing::warn!(%error, "left out"),
        }
    }
    Ok(states)
}

fn find(common: &Common, JobArg(digits): &JobArg) -> Result<JobState, Exit> {
    let mut found: Vec<JobState> = jobs(common)?
        .into_iter()
        .filter(|state| state.id.to_string().starts_with(digits.as_str()))
        .collect();
    match (found.pop(), found.len()) {
        (Some(state), 0) => Ok(state),
        (Some(_), more) => {
            Err(Exit::usage(anyhow!("{} jobs begin with {digits}: give more digits", more + 1)))
        }
        (None, _) => Err(Exit::usage(anyhow!(
            "no job begins with {digits} in this data directory: `starling job list` shows those there are"
        ))),
    }
}

fn list(common: &Common) -> CommandResult {
    let states = jobs(common)?;
    if common.json {
        let objects: Vec<Value> = states.iter().map(|state| object(fields(state))).collect();
        return line(Value::Array(objects));
    }
    for state in states {
        line(format_args!(
            "{}  {:9}  {:9}  {}/{} receipts  image {:#}…",
            state.id,
            phase(&state),
            state.request.receipt_kind,
            state.accepted.len(),
            tasks_total(&state).map_or("?".to_owned(), |total| total.to_string()),
            state.image_id,
        ))?;
    }
    Ok(())
}

async fn show(common: &Common, job: &JobArg) -> CommandResult {
    let state = find(common, job)?;
    let running = control::progress(&files::data_dir(common)?, state.id).await;
    let mut fields = fields(&state);
    fields.push(("running", json!(running.is_some())));
    let lacks_room = running.and_then(|progress| progress.lacks_room);
    let lacks_room = lacks_room.map(|lacking| hints::for_room(&lacking));
    fields.push(("lacks_room", json!(lacks_room)));
    print(common, fields)
}

async fn cancel(common: &Common, job: &JobArg) -> CommandResult {
    let id = find(common, job)?.id;
    let dir = files::data_dir(common)?;
    let ask = async |channel| control::cancel(channel, id).await;
    // Freeing space must work when the budget is used up.
    let freed = match control::open_or_ask(&dir, "starling job cancel", u64::MAX, ask).await? {
        Opened::Ours(client) => client.cancel(id)?,
        Opened::Theirs(freed) => freed,
    };
    print(common, vec![("job", json!(id.to_string())), ("freed_bytes", json!(freed))])
}

fn phase(state: &JobState) -> &'static str {
    match state.phase {
        JobPhase::Open => "open",
        JobPhase::Done { .. } => "done",
        JobPhase::Failed { .. } => "failed",
        JobPhase::Cancelled => "cancelled",
    }
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

fn fields(state: &JobState) -> Fields {
    let execution = state.execution.as_ref();
    let (receipt, seconds, message) = match &state.phase {
        JobPhase::Done { receipt, seconds, .. } => {
            (json!(receipt.reference.to_string()), json!(seconds), Value::Null)
        }
        JobPhase::Failed { message } => (Value::Null, Value::Null, json!(message)),
        JobPhase::Open | JobPhase::Cancelled => (Value::Null, Value::Null, Value::Null),
    };
    vec![
        ("job", json!(state.id.to_string())),
        ("phase", json!(phase(state))),
        ("error", message),
        ("image_id", json!(state.image_id)),
        ("receipt_kind", json!(state.request.receipt_kind)),
        ("asked", json!(state.request.source)),
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
        ("receipt_reference", receipt),
        ("seconds", seconds),
    ]
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
