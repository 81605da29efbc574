#![allow(clippy::unwrap_used)]

use std::{
    sync::{Arc, Mutex, atomic::Ordering},
    time::Instant,
};

use risc0_binfmt::Digestible as _;
use risc0_zkp::core::hash::sha::Impl as Sha256;
use risc0_zkvm::{Digest, ExitCode, Output};
use starling_types::WorkLogId;

use super::*;
use crate::{
    codec::decode_segment,
    testing::{
        guest, halting_guest,
        tiny::{End, Tiny},
    },
};

mod assumed;
mod faults;
mod published;
mod segments;
#[cfg(feature = "stock")]
mod stock;

/// Segments of Rust guests at this size: few, and quick to make.
const PO2: u32 = 16;

fn options(input: &[u8], po2: u32) -> ExecuteOptions {
    let input = Box::new(std::io::Cursor::new(input.to_vec()));
    ExecuteOptions { input, ..ExecuteOptions::new(Po2::try_from(po2).unwrap(), [1; 32]) }
}

/// What an execution emitted, in its order.
#[derive(Debug, Default)]
struct All {
    segments: Vec<SegmentOut>,
    keccaks: Vec<KeccakOut>,
}

fn run_all(guest: &Guest, options: ExecuteOptions) -> Result<(Execution, All), ExecuteError> {
    let mut all = All::default();
    let keep = |emitted| {
        match emitted {
            Emitted::Segment(segment) => all.segments.push(segment),
            Emitted::Keccak(keccak) => all.keccaks.push(keccak),
        }
        Ok(())
    };
    let execution = execute(guest, options, keep, &AtomicBool::new(false))?;
    Ok((execution, all))
}

fn run(
    guest: &Guest,
    options: ExecuteOptions,
) -> Result<(Execution, Vec<SegmentOut>), ExecuteError> {
    run_all(guest, options).map(|(execution, all)| (execution, all.segments))
}

fn sha_chain(n: u32, po2: u32) -> (Execution, Vec<SegmentOut>) {
    run(&guest("sha-chain.bin"), options(&n.to_le_bytes(), po2)).unwrap()
}

fn failure(input: &[u8]) -> ExecuteError {
    run(&guest("fail.bin"), options(input, PO2)).unwrap_err()
}

#[test]
fn the_claims_chain_from_the_image_to_the_journal() {
    let (execution, segments) = sha_chain(20, PO2);
    assert!(segments.len() > 1);
    assert_eq!(segments.len() as u32, execution.segment_count);
    for (index, pair) in segments.windows(2).enumerate() {
        assert_eq!(pair[0].index as usize, index);
        assert_eq!(pair[0].claim.post, pair[1].claim.pre);
        assert_eq!(pair[0].claim.exit_code, ExitCode::SystemSplit);
    }
    let guest = guest("sha-chain.bin");
    let expected = risc0_zkvm::ReceiptClaim::ok(guest.image_id(), execution.journal.clone());
    assert_eq!(execution.claim.digest(), expected.digest::<Sha256>());
    assert_eq!(execution.journal[..4], 20_u32.to_le_bytes());
}

#[test]
fn the_same_seed_gives_the_same_segments_and_another_seed_others() {
    let guest = guest("sha-chain.bin");
    let with_seed = |seed| {
        let options = ExecuteOptions { seed, ..options(&20_u32.to_le_bytes(), PO2) };
        run(&guest, options).unwrap()
    };
    let (first, again, other) = (with_seed([1; 32]), with_seed([1; 32]), with_seed([2; 32]));
    assert_eq!(first.0, again.0);
    for (one, two) in first.1.iter().zip(&again.1) {
        assert_eq!(one.bytes, two.bytes, "segment {}", one.index);
    }
    assert_eq!(first.0.claim, other.0.claim);
    assert!(first.1.iter().zip(&other.1).any(|(one, two)| one.bytes != two.bytes));
}

#[test]
fn a_segment_decodes_to_what_the_prover_takes() {
    let (_, segments) = sha_chain(1, PO2);
    for segment in &segments {
        let decoded = decode_segment(&segment.bytes).unwrap();
        assert_eq!(decoded.index, segment.index);
        assert_eq!(decoded.po2() as u32, segment.po2.get());
    }
}

#[test]
fn a_damaged_segment_never_panics() {
    let (_, segments) = run(&halting_guest(), options(&[], 14)).unwrap();
    for damaged in crate::testing::damaged(&segments[0].bytes, 200, 300) {
        let _ = decode_segment(&damaged);
    }
}

#[test]
fn a_short_final_segment_is_padded_to_what_can_be_lifted() {
    let (execution, segments) = run(&halting_guest(), options(&[], 20)).unwrap();
    assert_eq!(segments.len(), 1);
    assert_eq!(segments[0].po2.get(), SEGMENT_PO2_MIN);
    assert_eq!(execution.total_cycles, 1 << SEGMENT_PO2_MIN);
    assert_eq!(execution.exit_code, ExitCode::Halted(0));
    assert!(execution.journal.is_empty());
}

#[test]
fn a_panicking_guest_is_quoted() {
    let shown = failure(b"\x01no such account").to_string();
    assert!(shown.contains("the guest panicked"), "{shown}");
    assert!(shown.contains("no such account"), "{shown}");
}

#[test]
fn a_guest_that_reads_beyond_its_input_is_told_to_check_it() {
    let shown = failure(&[4]).to_string();
    assert!(shown.contains("the input ends before"), "{shown}");
}

#[test]
fn another_exit_code_is_a_result_not_an_error() {
    let (execution, _) = run(&guest("fail.bin"), options(&[2, 7], PO2)).unwrap();
    assert_eq!(execution.exit_code, ExitCode::Halted(7));
    assert!(execution.claim.with_journal(&execution.journal).is_some());
}

#[test]
fn a_guest_that_runs_forever_ends_at_its_limit() {
    let options = ExecuteOptions { cycle_limit: Some(500_000), ..options(&[3], PO2) };
    let error = run(&guest("fail.bin"), options).unwrap_err();
    assert!(matches!(error, ExecuteError::CycleLimit { limit: 500_000 }), "{error}");
}

#[test]
fn output_that_is_no_text_passes_through() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    struct Sink(Arc<Mutex<Vec<u8>>>);
    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let guest_output = Box::new(Sink(Arc::clone(&seen)));
    let options = ExecuteOptions { guest_output, ..options(&[6], PO2) };
    run(&guest("fail.bin"), options).unwrap();
    assert_eq!(*seen.lock().unwrap(), b"not UTF-8: \xff\xfe\x80\n");
}

#[test]
fn a_po2_that_cannot_be_lifted_is_refused() {
    for po2 in [13, 23, 24] {
        let error = run(&halting_guest(), options(&[], po2)).unwrap_err();
        assert!(error.to_string().contains("14 to 22 can be proved"), "{error}");
    }
}

#[test]
fn a_failing_sink_stops_the_execution() {
    let mut taken = 0;
    let sink = |_| {
        taken += 1;
        Err("the disk is full".into())
    };
    let options = options(&[3], PO2);
    let error = execute(&guest("fail.bin"), options, sink, &AtomicBool::new(false)).unwrap_err();
    assert_eq!(error.to_string(), "can't hand on a part of the execution: the disk is full");
    assert_eq!(taken, 1);
}

#[test]
fn cancelling_stops_a_guest_that_never_reads() {
    let cancel = AtomicBool::new(false);
    let sink = |_| {
        cancel.store(true, Ordering::Relaxed);
        Ok(())
    };
    let started = Instant::now();
    let error = execute(&guest("fail.bin"), options(&[3], PO2), sink, &cancel).unwrap_err();
    assert!(matches!(error, ExecuteError::Cancelled), "{error}");
    assert!(started.elapsed().as_secs() < 30);
}

#[test]
fn an_empty_journal_is_an_output_too() {
    let (execution, _) = run(&halting_guest(), options(&[], 16)).unwrap();
    assert_ne!(execution.claim.output, Digest::ZERO);
    assert!(execution.claim.with_journal(&[]).is_some());
}

fn digest(word: u32) -> Digest {
    Digest::from([word; 8])
}

fn tiny(program: Vec<u8>) -> Guest {
    Guest::parse(program).unwrap()
}

/// The output of the last segment as its prover sees it.
fn output_of(segments: &[SegmentOut]) -> Output {
    decode_segment(&segments.last().unwrap().bytes).unwrap().output.unwrap()
}

#[test]
fn a_paused_guest_has_a_claim_that_could_go_on() {
    let guest = tiny(Tiny::counting(1).end(End::Paused(3)));
    let (execution, _) = run(&guest, options(&[], 16)).unwrap();
    assert_eq!(execution.exit_code, ExitCode::Paused(3));
    assert_ne!(execution.claim.post, Digest::ZERO);
}

#[test]
fn a_guest_may_end_without_an_output() {
    let guest = tiny(Tiny::counting(1).program(End::Halted(0), Digest::ZERO));
    let (execution, _) = run(&guest, options(&[], 16)).unwrap();
    assert_eq!((execution.output.as_ref(), execution.claim.output), (None, Digest::ZERO));
    assert!(execution.journal.is_empty() && execution.assumptions().is_empty());
    assert!(execution.claim.with_journal(&[]).is_some());
    assert_eq!(execution.resolved_claim(), execution.claim);
}

#[test]
fn an_output_of_something_else_is_the_guests_fault() {
    let guest = tiny(Tiny::counting(1).program(End::Halted(0), digest(9)));
    let error = run(&guest, options(&[], 16)).unwrap_err();
    assert!(matches!(error, ExecuteError::GuestFault { .. }), "{error}");
}

#[test]
fn counted_work_is_that_of_the_job_segment_by_segment() {
    let povw = PovwJob { log_id: WorkLogId([7; 20]), job: 42 };
    let count = |povw| {
        let options = ExecuteOptions { povw, ..options(&20_u32.to_le_bytes(), PO2) };
        run(&guest("sha-chain.bin"), options).unwrap()
    };
    let (counted, plain) = (count(Some(povw)), count(None));
    assert_eq!(counted.0, plain.0, "counting changes no claim");
    let works: Vec<Work> = counted.1.iter().map(|segment| segment.work.unwrap()).collect();
    for (index, (work, segment)) in works.iter().zip(&counted.1).enumerate() {
        assert_eq!(*work, Work::of_segment(povw, index as u32, segment.po2));
    }
    let total = works.into_iter().reduce(|all, next| all.join(&next).unwrap()).unwrap();
    assert_eq!(total.value, counted.0.total_cycles);
    assert!(plain.1.iter().all(|segment| segment.work.is_none()));
}

#[test]
fn a_guest_is_given_its_arguments_and_its_environment() {
    let args = vec!["one".to_string(), "two words".to_string()];
    let env = [("NAME", "value"), ("OTHER", "")].map(|(name, value)| (name.into(), value.into()));
    let options = ExecuteOptions { args, env: env.into(), ..options(b"\x02NAME\nABSENT", PO2) };
    let (execution, _) = run(&guest("echo.bin"), options).unwrap();
    let journal = String::from_utf8(execution.journal).unwrap();
    assert_eq!(journal, "arg one\narg two words\nenv NAME=value\nenv ABSENT\n");
}

#[test]
fn a_journal_may_be_larger_than_what_a_claim_repeats() {
    let mut input = vec![0];
    input.extend((0..crate::claim::JOURNAL_OPENED_BYTES_MAX + 1).map(|at| at as u8));
    let options =
        ExecuteOptions { input: Box::new(std::io::Cursor::new(input)), ..options(&[], 20) };
    let (execution, segments) = run(&guest("echo.bin"), options).unwrap();
    assert_eq!(execution.journal.len(), crate::claim::JOURNAL_OPENED_BYTES_MAX + 1);
    assert!(segments.last().unwrap().bytes.len() < 1 << 20, "the journal is not for provers");
    let claim = execution.claim.with_journal(&execution.journal).unwrap();
    assert!(claim.output.as_value().unwrap().as_ref().unwrap().journal.as_value().is_err());
}
