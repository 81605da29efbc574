//! `starling bench tasks`: time and peak memory of each kind of task, po2 by po2. The scheduler's cost
//! model is such a table (`docs/costs.md`).

use serde_json::{Value, json};
use starling_types::Po2;
use starling_zkvm::{KECCAK_PO2, WorkReport, ZKVM_VERSION};

use super::measure;
use crate::{
    args::{BenchTasksArgs, Common},
    exit::{CommandResult, Exit},
    machine,
    output::{line, object},
};

pub async fn run(common: &Common, args: &BenchTasksArgs) -> CommandResult {
    if args.po2_min > args.po2_max {
        return Err(Exit::usage(anyhow::anyhow!("--po2-min is above --po2-max")));
    }
    let threads = args.threads.unwrap_or_else(machine::cores);
    let backend = args.prover.backend();
    if !common.json {
        line(format_args!(
            "risc0-zkvm {ZKVM_VERSION}, {} prover, {threads} threads, {} cores",
            backend.name(),
            machine::cores()
        ))?;
        line(format_args!("{:8} {:>4} {:>9} {:>9}", "task", "po2", "seconds", "peak MiB"))?;
    }
    let mut rows = Vec::new();
    let recursion = measure::recursion(args.po2_min, threads, backend).await?;
    row(common, &mut rows, "lift", None, recursion.lift.lift_ms, &recursion.lift)?;
    row(common, &mut rows, "join", None, recursion.join.join_ms, &recursion.join)?;
    for po2 in args.po2_min.get()..=args.po2_max.get() {
        let po2 = Po2::try_from(po2).map_err(Exit::usage)?;
        let report = measure::prove(po2, threads, backend).await?;
        row(common, &mut rows, "prove", Some(po2), report.prove_ms, &report)?;
    }
    for po2 in KECCAK_PO2.filter(|po2| *po2 <= args.po2_max.get()) {
        let po2 = Po2::try_from(po2).map_err(Exit::usage)?;
        let report = measure::keccak(po2, threads, backend).await?;
        let elapsed_ms = report.prove_ms + report.lift_ms;
        row(common, &mut rows, "keccak", Some(po2), elapsed_ms, &report)?;
    }
    if common.json {
        line(Value::Array(rows))?;
    }
    Ok(())
}

fn row(
    common: &Common,
    rows: &mut Vec<Value>,
    task: &'static str,
    po2: Option<Po2>,
    elapsed_ms: u64,
    report: &WorkReport,
) -> CommandResult {
    let seconds = elapsed_ms as f64 / 1000.0;
    let peak_mib = report.peak_memory.map(|peak| peak.0.div_ceil(1 << 20));
    if common.json {
        rows.push(object(vec![
            ("task", json!(task)),
            ("po2", json!(po2.map(Po2::get))),
            ("seconds", json!(seconds)),
            ("peak_memory_mib", json!(peak_mib)),
        ]));
    } else {
        let peak = peak_mib.map_or("?".to_owned(), |peak| peak.to_string());
        let po2 = po2.map_or("any".to_owned(), |po2| po2.to_string());
        line(format_args!("{task:8} {po2:>4} {seconds:>9.1} {peak:>9}"))?;
    }
    Ok(())
}
