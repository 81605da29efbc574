#![allow(clippy::unwrap_used)]

use std::{
    sync::{Arc, Mutex},
    time::Instant,
};

use risc0_binfmt::Digestible as _;

use super::*;
use crate::{
    codec::decode_segment,
    testing::{guest, halting_guest},
};

/// Segments of Rust guests at this size: few, and quick to make.
const PO2: u32 = 16;

fn options(input: &[u8], po2: u32) -> ExecuteOptions {
    ExecuteOptions {
        input: Box::new(std::io::Cursor::new(input.to_vec())),
        segment_po2: Po2::try_from(po2).unwrap(),
        cycle_limit: None,
        seed: [1; 32],
        guest_output: Box::new(std::io::sink()),
    }
}

fn run(
    guest: &Guest,
    options: ExecuteOptions,
) -> Result<(Execution, Vec<SegmentOut>), ExecuteError> {
    let mut segments = Vec::new();
    let keep = |segment| {
        segments.push(segment);
        Ok(())
    };
    let execution = execute(guest, options, keep, &AtomicBool::new(false))?;
    Ok((execution, segments))
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
fn the_session_is_the_one_that_the_stock_executor_runs() {
    let (execution, segments) = sha_chain(20, PO2);
    let guest = guest("sha-chain.bin");
    let input = 20_u32.to_le_bytes();
    let env = ExecutorEnv::builder().stdin(&input[..]).segment_limit_po2(PO2).build().unwrap();
    let session = ExecutorImpl::from_elf(env, guest.bytes()).unwrap().run().unwrap();
    assert_eq!(session.claim().unwrap().digest::<Sha256>(), execution.claim.digest());
    assert_eq!(session.segments.len(), segments.len());
    assert_eq!(session.user_cycles, execution.user_cycles);
    assert_eq!(session.total_cycles, execution.total_cycles);
    assert_eq!(session.journal.unwrap().bytes, execution.journal);
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
    let guest = halting_guest();
    let env = ExecutorEnv::builder().build().unwrap();
    let stock = ExecutorImpl::from_elf(env, guest.bytes()).unwrap().run().unwrap();
    assert_eq!(
        stock.segments[0].resolve().unwrap().po2(),
        13,
        "the stock segment cannot be lifted"
    );
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
    assert!(shown.contains("check --input"), "{shown}");
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
    assert_eq!(error.to_string(), "a segment could not be handed on: the disk is full");
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
