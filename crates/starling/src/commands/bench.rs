//! `starling bench`: what tasks cost on this machine. The scheduler's cost model is such a table.

use std::{io, path::PathBuf, sync::atomic::AtomicBool, time::Duration};

use anyhow::{Context, anyhow};
use serde_json::{Value, json};
use starling_types::{Po2, SegmentRange, TaskId};
use starling_zkvm::{ExecuteOptions, Guest, ProverProcess, Work, WorkReport, ZKVM_VERSION, execute};
use tempfile::TempDir;

use crate::{
    args::{BenchCommand, Common},
    commands::node::prover_config,
    exit::{CommandResult, Exit},
    machine,
    output::{Fields, object},
    yardstick,
};

/// No measured task takes longer: po2 22 on one slow core.
const TASK_DEADLINE: Duration = Duration::from_secs(4 * 3600);

pub async fn run(common: &Common, command: &BenchCommand) -> CommandResult {
    let BenchCommand::Tasks { po2_min, po2_max, threads } = command;
    let threads = threads.unwrap_or_else(machine::cores);
    if !common.json {
        println!("risc0-zkvm {ZKVM_VERSION}, {threads} threads, {} cores", machine::cores());
        println!("{:10} {:>4} {:>10} {:>10}", "task", "po2", "seconds", "peak MiB");
    }
    let mut rows = Vec::new();
    for po2 in po2_min.get()..=po2_max.get() {
        let po2 = Po2::try_from(po2).map_err(Exit::usage)?;
        measure(common, po2, threads, &mut rows).await?;
    }
    if common.json {
        println!("{}", Value::Array(rows));
    }
    Ok(())
}

/// Measures each task of segments of `po2`, every one in a process of its own.
async fn measure(common: &Common, po2: Po2, threads: u32, rows: &mut Vec<Value>) -> CommandResult {
    let dir = tempfile::tempdir().context("can't make a temporary folder")?;
    let segments = tokio::task::block_in_place(|| two_segments(&dir, po2))?;

    let prove = prove_one(threads, TaskId::Prove(0), vec![segments[0].clone()], &dir, po2).await?;
    row(common, rows, "prove", Some(po2), prove.prove_ms, &prove);
    let mut lifted = Vec::new();
    for (index, segment) in (0..).zip(segments) {
        let task = TaskId::Lift(index);
        let report = prove_one(threads, task, vec![segment], &dir, po2).await?;
        if index == 0 {
            row(common, rows, "lift", Some(po2), report.lift_ms, &report);
        }
        lifted.push(output(&dir, task));
    }
    let range = SegmentRange::new(0, 2).ok_or_else(|| anyhow!("0..2 is a range"))?;
    let join = prove_one(threads, TaskId::Join(range), lifted, &dir, po2).await?;
    row(common, rows, "join", Some(po2), join.join_ms, &join);
    Ok(())
}

/// The first two segments of a chain that fills more than two, so that both are of full size.
fn two_segments(dir: &TempDir, po2: Po2) -> Result<Vec<PathBuf>, Exit> {
    let options = ExecuteOptions {
        input: Box::new(io::Cursor::new(yardstick::input(yardstick::links_for(2, po2)))),
        segment_po2: po2,
        cycle_limit: None,
        seed: [0; 32],
        guest_output: Box::new(io::sink()),
    };
    let guest: Guest = yardstick::guest()?;
    let mut paths = Vec::new();
    execute(
        &guest,
        options,
        |segment| {
            if segment.index < 2 {
                let path = dir.path().join(format!("segment-{}", segment.index));
                std::fs::write(&path, &segment.bytes)?;
                paths.push(path);
            }
            Ok(())
        },
        &AtomicBool::new(false),
    )?;
    if paths.len() < 2 {
        return Err(anyhow!("the built-in guest fills only {} segment of po2 {po2}", paths.len()).into());
    }
    Ok(paths)
}

fn output(dir: &TempDir, task: TaskId) -> PathBuf {
    dir.path().join(task.to_string().replace('/', "-"))
}

async fn prove_one(
    threads: u32,
    task: TaskId,
    inputs: Vec<PathBuf>,
    dir: &TempDir,
    po2: Po2,
) -> Result<WorkReport, Exit> {
    let mut prover = ProverProcess::new(prover_config(Some(threads))?);
    let work = Work { task, inputs, output: output(dir, task), po2_max: po2 };
    Ok(prover.run(&work, TASK_DEADLINE).await?)
}

fn row(
    common: &Common,
    rows: &mut Vec<Value>,
    task: &'static str,
    po2: Option<Po2>,
    elapsed_ms: u64,
    report: &WorkReport,
) {
    let seconds = elapsed_ms as f64 / 1000.0;
    let peak_mib = report.peak_memory.map(|peak| peak.0.div_ceil(1 << 20));
    let po2 = po2.map(Po2::get);
    if common.json {
        let fields: Fields = vec![
            ("task", json!(task)),
            ("po2", json!(po2)),
            ("seconds", json!(seconds)),
            ("peak_memory_mib", json!(peak_mib)),
        ];
        rows.push(object(fields));
    } else {
        let shown = |number: Option<u64>| number.map_or("?".into(), |number| number.to_string());
        println!("{task:10} {:>4} {seconds:>10.1} {:>10}", shown(po2.map(u64::from)), shown(peak_mib));
    }
}
