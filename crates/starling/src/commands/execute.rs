//! `starling execute`: runs a guest without proving it, to see what it would cost.

use std::{collections::BTreeMap, sync::atomic::AtomicBool, time::Instant};

use rand::Rng as _;
use serde_json::json;
use starling_cost::Costs;
use starling_types::{Po2, TaskKind};
use starling_zkvm::{
    AssumptionId, Emitted, ExecuteError, ExecuteOptions, Execution, ExitCode, Guest, Receipt,
    execute,
    receipt::{ReceiptError, receipt_info},
};

use crate::{
    args::{Common, GuestArgs},
    commands::prove::warn_of_small_segments,
    exit::{CommandResult, Exit},
    files,
    output::{journal, print},
    terminal::GuestText,
};

pub async fn run(common: &Common, args: GuestArgs) -> CommandResult {
    warn_of_small_segments(args.segment_po2);
    let (guest, options) = prepare(args)?;
    let started = Instant::now();
    let (execution, segments) =
        tokio::task::spawn_blocking(move || run_guest(&guest, options)).await??;
    let seconds = started.elapsed().as_secs_f64();

    warn_of_paging(execution.user_cycles, segments.paging_cycles);
    warn_of_exit(execution.exit_code);
    let assumptions = execution.assumptions().len();
    let cost = Costs::FAST.usual;
    let leaves = |kind, by_po2: &BTreeMap<Po2, u32>| -> u64 {
        by_po2.iter().map(|(po2, count)| cost.work_ms(kind, Some(*po2)).0 * u64::from(*count)).sum()
    };
    let join_ms = cost.work_ms(TaskKind::Join, None).0;
    let joins = u64::from(execution.segment_count.saturating_sub(1))
        + u64::from(segments.keccak_count().saturating_sub(1));
    let work_ms = leaves(TaskKind::Lift, &segments.by_po2)
        + leaves(TaskKind::Keccak, &segments.keccaks_by_po2)
        + joins * join_ms
        + assumptions as u64 * cost.work_ms(TaskKind::Resolve, None).0;
    let by_po2: BTreeMap<String, u32> =
        segments.by_po2.iter().map(|(po2, count)| (po2.to_string(), *count)).collect();
    let mut fields = vec![("exit_code", json!(format!("{:?}", execution.exit_code)))];
    fields.extend(journal(&execution.journal));
    fields.extend([
        ("user_cycles", json!(execution.user_cycles)),
        ("paging_cycles", json!(segments.paging_cycles)),
        ("total_cycles", json!(execution.total_cycles)),
        ("segments", json!(execution.segment_count)),
        ("segments_by_po2", json!(by_po2)),
        ("keccaks", json!(segments.keccak_count())),
        ("assumptions", json!(assumptions)),
        ("largest_segment_blob_bytes", json!(segments.blob_bytes_max)),
        ("segment_blobs_bytes", json!(segments.blob_bytes)),
        ("estimated_core_seconds_to_prove", json!(work_ms / 1000)),
        ("seconds", json!(seconds)),
    ]);
    print(common, fields)
}

/// The guest, and what it is given.
fn prepare(args: GuestArgs) -> Result<(Guest, ExecuteOptions), Exit> {
    let guest = files::read_guest_aloud(&args.guest)?;
    let assumptions = files::read_receipts(&args.assumptions)?;
    let mut seed = [0; 32];
    rand::rng().fill_bytes(&mut seed);
    let options = ExecuteOptions {
        input: files::guest_input(args.input.as_deref(), &args.frame)?,
        args: args.args,
        env: args.env.into_iter().collect(),
        assumptions: assumptions.iter().map(proved).collect::<Result<_, _>>()?,
        segment_po2: args.segment_po2,
        keccak_po2: args.keccak_po2.get(),
        cycle_limit: args.cycle_limit,
        seed,
        povw: None,
        guest_output: Box::new(GuestText::to_stderr()),
    };
    Ok((guest, options))
}

/// Says so when the guest did not end well: to execute it is no failure, but `prove` takes it for one.
fn warn_of_exit(exit_code: ExitCode) {
    let is_paused = matches!(exit_code, ExitCode::Paused(_));
    match exit_code {
        ExitCode::Halted(0) => {}
        ExitCode::Paused(0) => {
            tracing::warn!(
                "the guest paused: `prove` proves that only with --receipt-kind composite"
            );
        }
        _ => tracing::warn!(
            "the guest ended with {exit_code:?}: `prove` needs --prove-guest-errors to prove that{}",
            if is_paused { ", and with --receipt-kind composite" } else { "" }
        ),
    }
}

/// Says so when most cycles bring memory in and put it back.
fn warn_of_paging(user_cycles: u64, paging_cycles: u64) {
    if paging_cycles > user_cycles {
        let percent = paging_cycles * 100 / (user_cycles + paging_cycles);
        tracing::warn!(
            "paging takes {percent} % of the cycles, because the guest touches many pages of memory (1 KiB each) and does \
             little work on each: use larger segments, or keep data close together that is used together"
        );
    }
}

#[derive(Default)]
struct Segments {
    by_po2: BTreeMap<Po2, u32>,
    keccaks_by_po2: BTreeMap<Po2, u32>,
    blob_bytes: usize,
    blob_bytes_max: usize,
    paging_cycles: u64,
}

impl Segments {
    fn keccak_count(&self) -> u32 {
        self.keccaks_by_po2.values().sum()
    }
}

/// What a receipt would prove as an assumption. It is not verified: nothing is proved from it here.
fn proved(receipt: &Receipt) -> Result<AssumptionId, ReceiptError> {
    Ok(AssumptionId::of_receipt(receipt_info(receipt)?.claim_digest))
}

fn run_guest(
    guest: &Guest,
    options: ExecuteOptions,
) -> Result<(Execution, Segments), ExecuteError> {
    let mut segments = Segments::default();
    let count = |emitted| {
        match emitted {
            Emitted::Segment(segment) => {
                *segments.by_po2.entry(segment.po2).or_default() += 1;
                segments.paging_cycles += u64::from(segment.paging_cycles);
                segments.blob_bytes += segment.bytes.len();
                segments.blob_bytes_max = segments.blob_bytes_max.max(segment.bytes.len());
            }
            Emitted::Keccak(keccak) => {
                *segments.keccaks_by_po2.entry(keccak.po2).or_default() += 1;
            }
        }
        Ok(())
    };
    let execution = execute(guest, options, count, &AtomicBool::new(false))?;
    Ok((execution, segments))
}
