//! `starling bench versus`: the same proofs by different means, in turn, so that what else a machine does falls on
//! all of them. Ratios are of one round; a table has their median and range.

use serde_json::{Value, json};
use starling_child::WorkReport;
use starling_types::{Po2, Profile};
use starling_zkvm::{Backend, KECCAK_PO2, ZKVM_VERSION, backend};

use super::measure::{self, Setup};
use crate::{
    args::{BenchVersusArgs, Common, VersusTask},
    exit::{Code, CommandResult, Exit},
    machine,
    output::{line, object},
};

pub async fn run(common: &Common, args: &BenchVersusArgs) -> CommandResult {
    let proves_keccak = args.only.contains(&VersusTask::Keccak);
    if let Some(po2) = args.po2.iter().find(|po2| proves_keccak && !KECCAK_PO2.contains(&po2.get()))
    {
        let (min, max) = (KECCAK_PO2.start(), KECCAK_PO2.end());
        let message = format!("keccak proofs have po2 {min} to {max}, not {po2}");
        return Err(Exit::message(Code::Usage, message));
    }
    if !common.json {
        line(format_args!(
            "risc0-zkvm {ZKVM_VERSION}, {} threads of {} cores, {} rounds; CPU-seconds, median (range)",
            args.threads,
            machine::cores(),
            args.rounds
        ))?;
        line(format_args!(
            "{:8} {:>4} {:12} {:8} {:>24} {:>24} {:>9}",
            "task", "po2", "vectors", "profile", "CPU s", "times as fast", "peak MiB"
        ))?;
    }
    let mut rows = Vec::new();
    for task in &args.only {
        for po2 in &args.po2 {
            rows.extend(compare(common, args, *task, *po2).await?);
        }
    }
    if common.json {
        line(Value::Array(rows))?;
    }
    Ok(())
}

/// What is compared: the first is what the others are measured against.
fn setups(args: &BenchVersusArgs) -> Vec<Setup> {
    let threads = args.threads;
    let is_chosen = |name: &&str| args.vectors.is_empty() || args.vectors.contains(name);
    let mut vectors: Vec<_> = backend::vectors().filter(is_chosen).collect();
    // The widest first.
    vectors.reverse();
    let sandbox = args.prover.sandbox;
    let fast = |profile, name| {
        let vectors = Some(name);
        Setup { backend: Backend::Fast, profile, threads, sandbox, vectors }
    };
    let mut setups: Vec<_> = vectors.iter().map(|name| fast(Profile::Usual, *name)).collect();
    setups.extend(vectors.first().map(|widest| fast(Profile::Frugal, *widest)));
    if args.prover.backend() != Backend::Fast {
        let backend = args.prover.backend();
        let profile = Profile::Usual;
        setups.insert(0, Setup { backend, profile, threads, sandbox, vectors: None });
    }
    setups
}

async fn compare(
    common: &Common,
    args: &BenchVersusArgs,
    task: VersusTask,
    po2: Po2,
) -> Result<Vec<Value>, Exit> {
    let setups = setups(args);
    let mut measured = vec![Measured::default(); setups.len()];
    for round in 1..=args.rounds {
        let mut reference = None;
        for (setup, measured) in setups.iter().zip(&mut measured) {
            let report = match task {
                VersusTask::Prove => measure::prove(po2, *setup).await?,
                VersusTask::Keccak => measure::keccak(po2, *setup).await?,
            };
            let seconds = measured.add(&report, *reference.get_or_insert(seconds(&report)));
            tracing::info!(round, %po2, vectors = setup.vectors, %setup.profile, seconds);
        }
    }
    let name = match task {
        VersusTask::Prove => "prove",
        VersusTask::Keccak => "keccak",
    };
    let mut rows = Vec::new();
    for (setup, measured) in setups.iter().zip(measured) {
        let vectors = setup.vectors.unwrap_or(setup.backend.name());
        let Measured { mut seconds, mut ratios, peak_mib } = measured;
        let (seconds, ratios) = (Spread::of(&mut seconds), Spread::of(&mut ratios));
        if !common.json {
            let profile = setup.profile.name();
            let (seconds, ratios) = (seconds.text(), ratios.text());
            line(format_args!(
                "{name:8} {po2:>4} {vectors:12} {profile:8} {seconds:>24} {ratios:>24} {peak_mib:>9}"
            ))?;
        }
        rows.push(object(vec![
            ("task", json!(name)),
            ("po2", json!(po2.get())),
            ("vectors", json!(vectors)),
            ("profile", json!(setup.profile)),
            ("threads", json!(setup.threads)),
            ("rounds", json!(args.rounds)),
            ("cpu_seconds", seconds.json()),
            ("times_as_fast", ratios.json()),
            ("peak_memory_mib", json!(peak_mib)),
        ]));
    }
    Ok(rows)
}

/// A proof's CPU-seconds, or its wall time where the system does not tell.
fn seconds(report: &WorkReport) -> f64 {
    let wall_ms = report.all_steps_ms();
    report.cpu_ms.unwrap_or(wall_ms).max(1) as f64 / 1000.0
}

/// What one setup took in all rounds.
#[derive(Debug, Clone, Default)]
struct Measured {
    seconds: Vec<f64>,
    ratios: Vec<f64>,
    peak_mib: u64,
}

impl Measured {
    fn add(&mut self, report: &WorkReport, reference: f64) -> f64 {
        let seconds = seconds(report);
        self.seconds.push(seconds);
        self.ratios.push(reference / seconds);
        let peak = report.peak_memory.map_or(0, |peak| peak.0.div_ceil(1 << 20));
        self.peak_mib = self.peak_mib.max(peak);
        seconds
    }
}

/// A median with its range.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Spread {
    median: f64,
    least: f64,
    most: f64,
}

impl Spread {
    /// Of at least one value.
    fn of(values: &mut [f64]) -> Self {
        values.sort_by(f64::total_cmp);
        let middle = values.len() / 2;
        let median = match values.len() % 2 {
            0 => (values[middle - 1] + values[middle]) / 2.0,
            _ => values[middle],
        };
        Self { median, least: values[0], most: values[values.len() - 1] }
    }

    fn text(self) -> String {
        let Self { median, least, most } = self;
        format!("{median:.2} ({least:.2} to {most:.2})")
    }

    fn json(self) -> Value {
        let rounded = [self.median, self.least, self.most].map(|x| (x * 1000.0).round() / 1000.0);
        json!({ "median": rounded[0], "min": rounded[1], "max": rounded[2] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_is_of_sorted_values() {
        let spread = |mut values: Vec<f64>| Spread::of(&mut values).text();
        assert_eq!(spread(vec![3.0, 1.0, 2.0]), "2.00 (1.00 to 3.00)");
        assert_eq!(spread(vec![4.0, 1.0]), "2.50 (1.00 to 4.00)");
    }
}
