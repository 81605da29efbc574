//! `starling bench tasks`: time and peak memory of each kind of task, po2 by po2, and where the time goes. The
//! scheduler's cost model is such a table (`docs/costs.md`).

use serde_json::{Value, json};
use starling_child::WorkReport;
use starling_types::{Po2, Profile};
use starling_zkvm::{Backend, KECCAK_PO2, ZKVM_VERSION, prover::step};

use super::measure::{self, Setup};
use crate::{
    args::{BenchTask, BenchTasksArgs, Common},
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
    let mut table = Table { json: common.json, phases: args.phases, rows: Vec::new() };
    if !common.json {
        line(format_args!(
            "risc0-zkvm {ZKVM_VERSION}, {} prover, {threads} threads, {} cores",
            backend.name(),
            machine::cores()
        ))?;
        table.head()?;
    }
    for profile in profiles(args, backend) {
        let sandbox = args.prover.sandbox;
        let setup = Setup { backend, profile, threads, sandbox, vectors: None };
        measure_all(args, setup, &mut table).await?;
    }
    if common.json {
        line(Value::Array(table.rows))?;
    }
    Ok(())
}

/// The profiles to measure: the stock prover has but one.
fn profiles(args: &BenchTasksArgs, backend: Backend) -> Vec<Profile> {
    match args.profile {
        Some(profile) => vec![profile.into()],
        None if backend == Backend::Fast => Profile::ALL.to_vec(),
        None => vec![Profile::Usual],
    }
}

async fn measure_all(args: &BenchTasksArgs, setup: Setup, table: &mut Table) -> CommandResult {
    let is_wanted = |task| args.only.is_empty() || args.only.contains(&task);
    if is_wanted(BenchTask::Join) {
        let recursion = measure::recursion(args.po2_min, setup).await?;
        table.row("join", None, setup, &recursion.join)?;
    }
    for po2 in args.po2_min.get()..=args.po2_max.get() {
        let po2 = Po2::try_from(po2).map_err(Exit::usage)?;
        if is_wanted(BenchTask::Prove) {
            table.row("prove", Some(po2), setup, &measure::prove(po2, setup).await?)?;
        }
        if is_wanted(BenchTask::Lift) {
            table.row("lift", Some(po2), setup, &measure::lift(po2, setup).await?)?;
        }
    }
    for po2 in KECCAK_PO2.filter(|po2| *po2 <= args.po2_max.get()) {
        let po2 = Po2::try_from(po2).map_err(Exit::usage)?;
        if is_wanted(BenchTask::Keccak) {
            table.row("keccak", Some(po2), setup, &measure::keccak(po2, setup).await?)?;
        }
    }
    Ok(())
}

/// The table, as it grows: lines at once, or JSON at the end.
struct Table {
    json: bool,
    phases: bool,
    rows: Vec<Value>,
}

impl Table {
    fn head(&self) -> CommandResult {
        line(format_args!(
            "{:8} {:>4} {:8} {:>9} {:>9} {:>9} {:>9} {:>9}",
            "task", "po2", "profile", "seconds", "proving", "lifting", "CPU s", "peak MiB"
        ))?;
        Ok(())
    }

    fn row(
        &mut self,
        task: &'static str,
        po2: Option<Po2>,
        setup: Setup,
        report: &WorkReport,
    ) -> CommandResult {
        let seconds = |ms: u64| ms as f64 / 1000.0;
        let all = seconds(report.all_steps_ms());
        let (proving, lifting) =
            (seconds(report.step_ms(step::PROVE)), seconds(report.step_ms(step::LIFT)));
        let cpu = report.cpu_ms.map(seconds);
        let peak_mib = report.peak_memory.map(|peak| peak.0.div_ceil(1 << 20));
        let phases = report.phases.iter().filter(|_| self.phases);
        if self.json {
            let phases = phases.map(|phase| {
                json!({
                    "proof": phase.proof,
                    "phase": phase.name,
                    "seconds": seconds_of_micros(phase.micros),
                })
            });
            self.rows.push(object(vec![
                ("task", json!(task)),
                ("po2", json!(po2.map(Po2::get))),
                ("prover", json!(setup.backend.name())),
                ("profile", json!(setup.profile)),
                ("threads", json!(setup.threads)),
                ("seconds", json!(all)),
                ("prove_seconds", json!(proving)),
                ("lift_seconds", json!(lifting)),
                ("cpu_seconds", json!(cpu)),
                ("peak_memory_mib", json!(peak_mib)),
                ("reproved", json!(report.reproved)),
                ("phases", json!(phases.collect::<Vec<_>>())),
            ]));
            return Ok(());
        }
        let unknown = || "?".to_owned();
        let cpu = cpu.map_or_else(unknown, |cpu| format!("{cpu:.2}"));
        let peak = peak_mib.map_or_else(unknown, |peak| peak.to_string());
        let po2 = po2.map_or("any".to_owned(), |po2| po2.to_string());
        line(format_args!(
            "{task:8} {po2:>4} {:8} {all:>9.2} {proving:>9.2} {lifting:>9.2} {cpu:>9} {peak:>9}",
            setup.profile.name()
        ))?;
        for phase in phases {
            let (proof, name) = (phase.proof + 1, &phase.name);
            let share = 100.0 * seconds_of_micros(phase.micros) / all.max(f64::EPSILON);
            let seconds = seconds_of_micros(phase.micros);
            line(format_args!("    proof {proof}: {name:24} {seconds:>9.3} s {share:>5.1} %"))?;
        }
        Ok(())
    }
}

fn seconds_of_micros(micros: u64) -> f64 {
    micros as f64 / 1e6
}
