//! `starling bench tasks`: time and peak memory of each kind of task, po2 by po2. The scheduler's cost
//! model is such a table (`docs/costs.md`).

use serde_json::{Value, json};
use starling_types::Po2;
use starling_zkvm::{WorkReport, ZKVM_VERSION};

use super::measure::measure;
use crate::{
    args::{BenchTasksArgs, Common},
    exit::{CommandResult, Exit},
    machine,
    output::object,
};

pub async fn run(common: &Common, args: &BenchTasksArgs) -> CommandResult {
    let threads = args.threads.unwrap_or_else(machine::cores);
    if !common.json {
        println!("risc0-zkvm {ZKVM_VERSION}, {threads} threads, {} cores", machine::cores());
        println!("{:8} {:>4} {:>9} {:>9}", "task", "po2", "seconds", "peak MiB");
    }
    let mut rows = Vec::new();
    for po2 in args.po2_min.get()..=args.po2_max.get() {
        let po2 = Po2::try_from(po2).map_err(Exit::usage)?;
        let measured = measure(po2, threads).await?;
        row(common, &mut rows, "prove", po2, measured.prove.prove_ms, &measured.prove);
        row(common, &mut rows, "lift", po2, measured.lift.lift_ms, &measured.lift);
        row(common, &mut rows, "join", po2, measured.join.join_ms, &measured.join);
    }
    if common.json {
        println!("{}", Value::Array(rows));
    }
    Ok(())
}

fn row(
    common: &Common,
    rows: &mut Vec<Value>,
    task: &'static str,
    po2: Po2,
    elapsed_ms: u64,
    report: &WorkReport,
) {
    let seconds = elapsed_ms as f64 / 1000.0;
    let peak_mib = report.peak_memory.map(|peak| peak.0.div_ceil(1 << 20));
    if common.json {
        rows.push(object(vec![
            ("task", json!(task)),
            ("po2", json!(po2.get())),
            ("seconds", json!(seconds)),
            ("peak_memory_mib", json!(peak_mib)),
        ]));
    } else {
        let peak = peak_mib.map_or("?".to_owned(), |peak| peak.to_string());
        println!("{task:8} {po2:>4} {seconds:>9.1} {peak:>9}");
    }
}
