#![allow(clippy::unwrap_used)]

use starling_job::Script as _;
use starling_store::{DataDir, DiskBudget};
use starling_types::{HostRunId, ImageId, JobId, JobSeed};
use starling_zkvm::{AssumptionId, Digest, OutputParts, SegmentClaim};

use super::*;
use crate::{JobRequest, request};

fn store() -> (tempfile::TempDir, BlobStore) {
    let dir = tempfile::tempdir().unwrap();
    let data = DataDir::open(dir.path(), "a test").unwrap();
    let budget = DiskBudget { max_bytes: 1 << 30, min_free_bytes: 0 };
    let blobs = data.blobs_of(&data.log().unwrap(), budget).unwrap();
    (dir, blobs)
}

/// A job of a guest that is not a program, so that it never runs.
struct Asked {
    job: ZkvmScript,
    run: GuestRun,
    blobs: BlobStore,
    _pins: [Pin; 2],
    _dir: tempfile::TempDir,
}

impl Asked {
    fn new() -> Self {
        let (dir, blobs) = store();
        let pins = [&b"guest"[..], b"input"].map(|bytes| blobs.put(bytes).unwrap());
        let mut run = request::tests::run();
        [run.guest, run.input] = [pins[0].blob(), pins[1].blob()];
        let source = Subject::Guest(run.clone());
        let receipt_kind = ReceiptKind::Succinct;
        let request = JobRequest { zkvm: "risc0-zkvm 0.0.0".into(), source, receipt_kind };
        let (image_id, seed) = (ImageId([0xaa; 32]), JobSeed([0; 32]));
        let job = ZkvmScript::new(JobId([9; 16]), request, image_id, seed, 0);
        Self { job, run, blobs, _pins: pins, _dir: dir }
    }

    /// What is missing for the guest to run.
    fn missing(&self) -> Option<String> {
        match execute(&self.blobs, &self.job, &self.run, Box::new(std::io::sink())) {
            Err(JobError::AskedMissing { what, .. }) => Some(what),
            Err(JobError::Guest(_)) => None,
            Err(error) => panic!("{error}"),
            Ok(_) => panic!("executed what is not a program"),
        }
    }
}

/// Flips a bit of a blob where it lies.
fn damage(blobs: &BlobStore, blob: BlobRef) {
    let path = blobs.open_blob(blob.reference).unwrap().unwrap().path().to_owned();
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[2] ^= 1;
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn a_damaged_guest_or_input_is_missing_not_executed() {
    let asked = Asked::new();
    assert_eq!(asked.missing(), None);
    damage(&asked.blobs, asked.run.input);
    assert_eq!(asked.missing().as_deref(), Some("the input"));
    let asked = Asked::new();
    damage(&asked.blobs, asked.run.guest);
    assert_eq!(asked.missing().as_deref(), Some("the guest"));
    let mut asked = Asked::new();
    let told = asked.blobs.put(&Arguments::default().encode()).unwrap();
    asked.run.arguments = ArgumentsIn::Blob(told.blob());
    assert_eq!(asked.missing(), None);
    damage(&asked.blobs, told.blob());
    assert_eq!(asked.missing().as_deref(), Some("what the guest is told"));
}

#[test]
fn the_job_of_a_host_program_is_run_once_and_then_its_host_is_gone() {
    let asked = Asked::new();
    let (_pieces, events) = ExecutionThread::channel();
    let thread = ExecutionThread::elsewhere(Default::default(), events);
    let mut job = asked.job.clone();
    job.request.source = Subject::Host(crate::HostRun {
        guest: asked.run.guest,
        id: HostRunId([0xaa; 16]),
        segment_po2: asked.run.segment_po2,
        prove_guest_errors: false,
        counts_work: false,
    });
    let begin = Begin::Elsewhere(Some(thread));
    let mut source = JobSource { begin, output: crate::GuestOutput::default() };
    assert!(source.start(&job, &asked.blobs)().is_ok());
    assert!(matches!(source.start(&job, &asked.blobs)(), Err(JobError::HostGone { .. })));
}

#[test]
fn a_guest_that_failed_is_proved_only_where_that_was_asked_for() {
    let asked = Asked::new();
    let claim = SegmentClaim {
        pre: Digest::ZERO,
        post: Digest::ZERO,
        exit_code: ExitCode::Halted(1),
        input: Digest::ZERO,
        output: Digest::ZERO,
    };
    let execution = || Execution {
        exit_code: ExitCode::Halted(1),
        journal: b"journal".to_vec(),
        output: Some(OutputParts::new(b"journal", Vec::<AssumptionId>::new())),
        segment_count: 1,
        user_cycles: 1,
        total_cycles: 1,
        claim,
    };
    let end = |job: &ZkvmScript| {
        let journal = asked.blobs.put(b"journal").unwrap();
        let (execution, given, pins) = (execution(), vec![], vec![]);
        let ended_so = Ended { execution, journal, keccak_count: 0, given, pins };
        ended(job, ended_so, "its last words".into())
    };
    match end(&asked.job) {
        Err(JobError::GuestFailed { output, .. }) => assert_eq!(output, "its last words"),
        other => panic!("{other:?}"),
    }
    let mut job = asked.job.clone();
    job.request.source = Subject::Guest(GuestRun { prove_guest_errors: true, ..asked.run.clone() });
    let (piece, pins) = end(&job).unwrap();
    assert!(ZkvmScript::is_last(&piece) && pins.len() == 1, "the journal is stored");
}
