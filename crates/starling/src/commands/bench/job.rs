//! `starling bench job`: the wall time of a whole job against the least that its tasks allow.
//!
//! The bound is the larger of the critical path (one leaf, then the joins above it) and all the work
//! divided by the cores, with every task's work measured alone on one thread just before. A job that
//! meets it has wasted nothing on messages, waiting or bad order.

use std::{collections::BTreeSet, process::Stdio, sync::atomic::AtomicBool};

use anyhow::{Context, anyhow};
use serde_json::{Value, json};
use starling_cost::{CostModel, TaskCost, Workload};
use starling_plan::PlanShape;
use starling_types::{Millis, Po2, Profile};
use starling_zkvm::{Emitted, execute, prover::step};

use super::measure::{self, Setup};
use crate::{
    args::{BenchJobArgs, Common, ProverArgs},
    exit::{CommandResult, Exit},
    machine,
    output::print,
    yardstick,
};

pub async fn run(common: &Common, args: &BenchJobArgs) -> CommandResult {
    let (links, po2) = (args.links.clone(), args.segment_po2);
    let executed = move || {
        let chains = links.iter().map(|links| Ok((*links, leaves(po2, *links)?)));
        chains.collect::<Result<Vec<_>, Exit>>()
    };
    let chains = tokio::task::spawn_blocking(executed).await.context("the chains died")??;
    let backend = args.prover.backend();
    let costs = measured_costs(chains.iter().flat_map(|(_, leaves)| leaves), &args.prover).await?;
    let cores = machine::cores();
    for (links, leaves) in chains {
        let load = Workload { leaves, ..Workload::default() };
        let bound = costs.lower_bound(PlanShape::Succinct, &load, cores);
        let seconds = prove(args, links).await?;
        let bound_seconds = bound.0 as f64 / 1000.0;
        print(
            common,
            vec![
                ("links", json!(links)),
                ("segment_po2", json!(args.segment_po2.get())),
                ("segments", json!(load.leaves.len())),
                ("prover", json!(backend.name())),
                ("local_nodes", json!(args.local)),
                ("cores", json!(cores)),
                ("bound_seconds", json!(bound_seconds)),
                ("job_seconds", json!(seconds)),
                ("ratio", json!((seconds / bound_seconds * 1000.0).round() / 1000.0)),
            ],
        )?;
    }
    Ok(())
}

/// The po2 of every segment.
fn leaves(segment_po2: Po2, links: u32) -> Result<Vec<Po2>, Exit> {
    let options = yardstick::execute_options(links, segment_po2, [0; 32]);
    let mut leaves = Vec::new();
    let collect = |emitted| {
        if let Emitted::Segment(segment) = emitted {
            leaves.push(segment.po2);
        }
        Ok(())
    };
    execute(&yardstick::guest()?, options, collect, &AtomicBool::new(false))?;
    Ok(leaves)
}

/// A cost model with this machine's work for each po2 that occurs, on one thread.
async fn measured_costs(
    leaves: impl Iterator<Item = &Po2>,
    prover: &ProverArgs,
) -> Result<CostModel, Exit> {
    let po2s: BTreeSet<Po2> = leaves.copied().collect();
    let mut costs = CostModel::default();
    let cost = |work_ms| TaskCost { memory: Default::default(), work: Millis(work_ms) };
    let (backend, sandbox) = (prover.backend(), prover.sandbox);
    let setup = Setup { backend, profile: Profile::Usual, threads: 1, sandbox, vectors: None };
    if let Some(smallest) = po2s.first() {
        let recursion = measure::recursion(*smallest, setup).await?;
        costs.lift_receipt = cost(recursion.lift.step_ms(step::LIFT));
        costs.join = cost(recursion.join.step_ms(step::JOIN));
        let (lift, join) = (costs.lift_receipt.work, costs.join.work);
        tracing::info!(%lift, %join, "measured on one thread");
    }
    for po2 in po2s {
        let prove = cost(measure::prove(po2, setup).await?.step_ms(step::PROVE));
        tracing::info!(%po2, prove = %prove.work, "measured on one thread");
        let index = (po2.get() - Po2::MIN) as usize;
        costs.prove[index] = prove;
        costs.lift[index] = cost(prove.work.0 + costs.lift_receipt.work.0);
    }
    Ok(costs)
}

/// Runs the job as a user would, in a data directory of its own; its wall time in seconds.
async fn prove(args: &BenchJobArgs, links: u32) -> Result<f64, Exit> {
    let dir = tempfile::tempdir().context("can't make a temporary folder")?;
    let (guest, input) = (dir.path().join("sha-chain.bin"), dir.path().join("input"));
    std::fs::write(&guest, yardstick::guest()?.bytes())?;
    std::fs::write(&input, yardstick::input(links))?;
    let mut command = tokio::process::Command::new(std::env::current_exe()?);
    command
        .arg("prove")
        .arg(&guest)
        .arg("--input")
        .arg(&input)
        .args(["--segment-po2", &args.segment_po2.to_string()])
        .arg("--receipt")
        .arg(dir.path().join("receipt"))
        .arg("--data-dir")
        .arg(dir.path().join("data"))
        .args(["--prover", args.prover.backend().name()])
        .args(["--sandbox", args.prover.sandbox.name()])
        .arg("--json")
        .stderr(Stdio::inherit())
        .kill_on_drop(true);
    if let Some(local) = args.local {
        command.args(["--local", &local.to_string()]);
    }
    let output = command.output().await.context("can't start the job")?;
    if !output.status.success() {
        return Err(anyhow!("the job ended with {}", output.status).into());
    }
    let result: Value = serde_json::from_slice(&output.stdout).context("the job's result")?;
    result["seconds"].as_f64().ok_or_else(|| anyhow!("the job's result has no seconds").into())
}
