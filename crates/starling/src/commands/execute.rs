//! `starling execute`: runs a guest without proving it, to see what it would cost.

use std::{collections::BTreeMap, io, sync::atomic::AtomicBool, time::Instant};

use rand::Rng as _;
use serde_json::json;
use starling_plan::CostModel;
use starling_types::TaskKind;
use starling_zkvm::{ExecuteOptions, Guest, execute};

use crate::{
    args::{Common, ExecuteArgs},
    exit::CommandResult,
    files,
    output::print,
};

pub async fn run(common: &Common, args: &ExecuteArgs) -> CommandResult {
    let guest = files::read_guest(&args.guest)?;
    let input = files::read_input(args.input.as_deref())?;
    let mut seed = [0; 32];
    rand::rng().fill_bytes(&mut seed);
    let options = ExecuteOptions {
        input: Box::new(io::Cursor::new(input)),
        segment_po2: args.segment_po2,
        cycle_limit: args.cycle_limit,
        seed,
        guest_output: Box::new(crate::progress::Stderr),
    };
    let started = Instant::now();
    let (execution, segments) =
        tokio::task::spawn_blocking(move || run_guest(&guest, options)).await??;
    let seconds = started.elapsed().as_secs_f64();

    let work_ms: u64 = segments
        .by_po2
        .iter()
        .map(|(po2, count)| {
            let lift = CostModel::MEASURED.work_ms(TaskKind::Lift, Some(*po2)).0;
            lift * u64::from(*count)
        })
        .sum();
    let join_ms = CostModel::MEASURED.work_ms(TaskKind::Join, None).0;
    let joins = u64::from(execution.segment_count.saturating_sub(1));
    let by_po2: BTreeMap<String, u32> =
        segments.by_po2.iter().map(|(po2, count)| (po2.to_string(), *count)).collect();
    print(
        common,
        vec![
            ("exit_code", json!(format!("{:?}", execution.exit_code))),
            ("journal", json!(hex::encode(&execution.journal))),
            ("user_cycles", json!(execution.user_cycles)),
            ("total_cycles", json!(execution.total_cycles)),
            ("segments", json!(execution.segment_count)),
            ("segments_by_po2", json!(by_po2)),
            ("largest_segment_blob_bytes", json!(segments.blob_bytes_max)),
            ("segment_blobs_bytes", json!(segments.blob_bytes)),
            ("estimated_core_seconds_to_prove", json!((work_ms + joins * join_ms) / 1000)),
            ("seconds", json!(seconds)),
        ],
    )
}

#[derive(Default)]
struct Segments {
    by_po2: BTreeMap<starling_types::Po2, u32>,
    blob_bytes: usize,
    blob_bytes_max: usize,
}

fn run_guest(
    guest: &Guest,
    options: ExecuteOptions,
) -> Result<(starling_zkvm::Execution, Segments), starling_zkvm::ExecuteError> {
    let mut segments = Segments::default();
    let execution = execute(
        guest,
        options,
        |segment| {
            *segments.by_po2.entry(segment.po2).or_default() += 1;
            segments.blob_bytes += segment.bytes.len();
            segments.blob_bytes_max = segments.blob_bytes_max.max(segment.bytes.len());
            Ok(())
        },
        &AtomicBool::new(false),
    )?;
    Ok((execution, segments))
}
