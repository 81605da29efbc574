#![allow(clippy::unwrap_used)]

use std::sync::{Arc, Mutex, atomic::Ordering};

use risc0_zkvm::InnerAssumptionReceipt;

use super::*;
use crate::testing::{
    guest, halting_guest,
    tiny::{End, Tiny},
};

/// What nobody cancels.
static NEVER: AtomicBool = AtomicBool::new(false);

/// Runs a guest in an environment; how many segments leave.
fn run(env: &ExecutorEnv<'_>, guest: &Guest) -> Result<(HostedExecution, usize), ExecuteError> {
    let folder = tempfile::tempdir().unwrap();
    let mut count = 0;
    let count_segments = |emitted| {
        count += usize::from(matches!(emitted, Emitted::Segment(_)));
        Ok(())
    };
    let hosted = execute_hosted(env, guest, [1; 32], folder.path(), count_segments, &NEVER)?;
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left behind");
    Ok((hosted, count))
}

#[test]
fn a_guest_reads_and_writes_in_the_hosts_environment() {
    let env = ExecutorEnv::builder()
        .stdin(std::io::Cursor::new(b"\x02NAME\nABSENT".to_vec()))
        .args(&["one".into(), "two words".into()])
        .env_var("NAME", "value")
        .segment_limit_po2(16)
        .build()
        .unwrap();
    let (hosted, segments) = run(&env, &guest("echo.bin")).unwrap();
    let journal = String::from_utf8(hosted.execution.journal).unwrap();
    assert_eq!(journal, "arg one\narg two words\nenv NAME=value\nenv ABSENT\n");
    assert_eq!((segments, hosted.stats.segments), (1, 1));
    assert!(hosted.stats.user_cycles > 0 && hosted.stats.total_cycles > hosted.stats.user_cycles);
}

#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn what_a_guest_prints_goes_where_the_host_wants_it() {
    let printed = Shared::default();
    let input = std::io::Cursor::new(vec![6]);
    let env = ExecutorEnv::builder().stdin(input).stdout(printed.clone()).build().unwrap();
    run(&env, &guest("fail.bin")).unwrap();
    assert_eq!(*printed.0.lock().unwrap(), b"not UTF-8: \xff\xfe\x80\n");
}

#[test]
fn a_guest_that_panics_is_quoted_and_a_reader_that_fails_is_named() {
    let input = std::io::Cursor::new(b"\x01no such account".to_vec());
    let env = ExecutorEnv::builder().stdin(input).build().unwrap();
    let shown = run(&env, &guest("fail.bin")).unwrap_err().to_string();
    assert!(shown.contains("the guest panicked") && shown.contains("no such account"), "{shown}");

    struct Broken;
    impl std::io::Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("the cable is cut"))
        }
    }
    let env = ExecutorEnv::builder().stdin(Broken).build().unwrap();
    let shown = run(&env, &guest("fail.bin")).unwrap_err().to_string();
    assert!(shown.contains("the cable is cut"), "{shown}");
}

#[test]
fn a_failing_sink_ends_the_execution_with_its_own_error() {
    let env = ExecutorEnv::builder().build().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let refuse = |_| Err("the disk is full".into());
    let error =
        execute_hosted(&env, &halting_guest(), [1; 32], folder.path(), refuse, &NEVER).unwrap_err();
    assert!(matches!(error, ExecuteError::Sink(_)), "{error}");
}

#[test]
fn a_guest_is_stopped_before_its_first_segment() {
    // Endless, in one segment of as many cycles as there can be.
    let mut env = ExecutorEnv::builder();
    let env = env.stdin(std::io::Cursor::new(vec![3])).segment_limit_po2(22).build().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let cancel = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(std::time::Duration::from_millis(20));
            cancel.store(true, Ordering::Relaxed);
        });
        let count = |_| Ok(());
        let ended =
            execute_hosted(&env, &guest("fail.bin"), [1; 32], folder.path(), count, &cancel);
        assert!(matches!(ended, Err(ExecuteError::Cancelled)), "{ended:?}");
    });
}

#[test]
fn sizes_of_segments_that_cannot_be_lifted_are_refused_before_the_guest_runs() {
    for (po2, is_right) in [(10, false), (13, false), (15, true), (23, false), (24, false)] {
        let mut env = ExecutorEnv::builder();
        let env = env.segment_limit_po2(po2).build().unwrap();
        let ended = run(&env, &halting_guest());
        match ended {
            Ok(_) => assert!(is_right, "{po2}"),
            Err(ExecuteError::Po2OutOfRange { po2: refused }) => assert_eq!(refused, po2),
            Err(error) => panic!("{po2}: {error}"),
        }
    }
}

#[test]
fn a_session_limit_is_the_last_count_of_user_cycles_that_passes() {
    let run_with = |limit: Option<u64>| {
        let mut env = ExecutorEnv::builder();
        env.segment_limit_po2(14).session_limit(limit);
        let program = Guest::parse(crate::testing::tiny::program(100, 0)).unwrap();
        run(&env.build().unwrap(), &program)
    };
    let (hosted, _) = run_with(None).unwrap();
    let cycles = hosted.stats.user_cycles;
    assert!(run_with(Some(cycles)).is_ok());
    for limit in [0, 1, cycles - 1] {
        let error = run_with(Some(limit)).unwrap_err();
        assert!(matches!(error, ExecuteError::CycleLimit { limit: said } if said == limit));
        let expected = format!("did not end within {limit} user cycles");
        assert!(error.to_string().contains(&expected), "{error}");
    }
}

#[test]
fn an_environment_on_a_file_system_that_cannot_be_written_is_an_error() {
    let env = ExecutorEnv::builder().build().unwrap();
    let folder = Path::new("/nonexistent");
    let error =
        execute_hosted(&env, &halting_guest(), [1; 32], folder, |_| Ok(()), &NEVER).unwrap_err();
    assert!(error.to_string().contains("cannot write to /nonexistent"), "{error}");
}

#[test]
fn keccak_requests_leave_and_work_is_counted_as_the_environment_says() {
    let input = std::io::Cursor::new(100_u32.to_le_bytes().to_vec());
    let log = risc0_binfmt::PovwLogId::from_limbs([1, 2, 3]);
    let env = ExecutorEnv::builder()
        .stdin(input)
        .segment_limit_po2(18)
        .keccak_max_po2(14)
        .unwrap()
        .povw(PovwJobId { log, job: 42 })
        .build()
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (mut keccaks, mut jobs) = (0, Vec::new());
    let keep = |emitted| {
        match emitted {
            Emitted::Keccak(_) => keccaks += 1,
            Emitted::Segment(segment) => jobs.extend(segment.work.map(|work| work.job)),
        }
        Ok(())
    };
    let hosted =
        execute_hosted(&env, &guest("keccak.bin"), [1; 32], folder.path(), keep, &NEVER).unwrap();
    assert_eq!((hosted.keccak_count, keccaks), (2, 2));
    assert!(hosted.given.is_empty(), "what keccak proves is not in the environment");
    assert!(jobs.len() == hosted.stats.segments && jobs.iter().all(|job| *job == 42), "{jobs:?}");
}

/// A succinct receipt of `claim` that proves nothing, as if of an ordinary program.
fn forged(claim: Digest) -> SuccinctReceipt<Unknown> {
    let claim = MaybePruned::<Unknown>::Pruned(claim);
    let root = risc0_zkvm::ALLOWED_CONTROL_ROOT;
    let inclusion = (0_u32, Vec::<Digest>::new());
    let fields = (vec![1_u32, 2, 3], root, claim, "poseidon2", Digest::ZERO, inclusion);
    bincode::deserialize(&bincode::serialize(&fields).unwrap()).unwrap()
}

#[test]
fn receipts_of_the_environment_are_found_and_their_seals_are_checked() {
    let claim = Digest::from([5; 8]);
    let program = Tiny::counting(1).verify(claim, Digest::ZERO).end(End::Halted(0));
    let guest = Guest::parse(program).unwrap();
    let run_with = |receipt: Option<InnerAssumptionReceipt>| {
        let mut env = ExecutorEnv::builder();
        if let Some(receipt) = receipt {
            env.add_assumption(receipt);
        }
        run(&env.build().unwrap(), &guest).unwrap_err()
    };
    assert!(matches!(run_with(None), ExecuteError::UnknownAssumption { .. }));
    // Of another claim: that one is not assumed.
    let other = InnerAssumptionReceipt::Succinct(forged(Digest::from([6; 8])));
    assert!(matches!(run_with(Some(other)), ExecuteError::UnknownAssumption { .. }));
    let found = run_with(Some(InnerAssumptionReceipt::Succinct(forged(claim))));
    assert!(found.to_string().contains("does not verify"), "{found}");
    let fake = risc0_zkvm::FakeReceipt::new(MaybePruned::<Unknown>::Pruned(claim));
    let hint = run_with(Some(InnerAssumptionReceipt::Fake(fake)));
    assert!(hint.to_string().contains("compress receipts before"), "{hint}");
}
