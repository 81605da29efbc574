#![allow(clippy::unwrap_used)]

use starling_store::Pin;
use starling_types::{NodeId, Po2, ReceiptKind};
use starling_zkvm::{AssumptionId, Digest, ExitCode, OutputParts, SegmentClaim};

use super::*;
use crate::{ExecutionSummary, JobRequest, request, runner::replay};

const DISK_BUDGET_BYTES: u64 = 1 << 30;

/// A job of one segment whose one receipt is there.
struct Proved {
    _dir: tempfile::TempDir,
    client: Client,
    state: JobState,
}

impl Proved {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let client = Client::open(dir.path(), "a test", DISK_BUDGET_BYTES).unwrap();
        let put = |bytes: &[u8]| client.blobs.put(bytes).unwrap();
        let (guest, input) = (put(b"guest"), put(b"input"));
        let mut run = request::tests::run();
        (run.guest, run.input) = (guest.blob(), input.blob());
        let source = Source::Guest(run);
        let request = JobRequest { zkvm: zkvm(), source, receipt_kind: ReceiptKind::Succinct };
        let job = client.create_job(request, vec![guest, input], Digest::ZERO, false).unwrap();
        let mut journal = JobJournal::open(client.log.clone(), job).unwrap();
        let [segment, output, receipt] = [&b"segment"[..], b"journal", b"receipt"].map(put);
        let events: [(JobEvent, Pin); 3] = [
            (segment_stored(segment.blob()), segment),
            (ended(output.blob()), output),
            (JobEvent::accepted("lift/0".parse().unwrap(), receipt.blob(), NODE), receipt),
        ];
        for (event, pin) in events {
            journal.record(event, [pin]).unwrap();
        }
        let state = journal.state().clone();
        Self { _dir: dir, client, state }
    }

    /// Flips a bit of a blob where it lies.
    fn damage(&self, blob: BlobRef) {
        let path = self.client.blobs.open_blob(blob.reference).unwrap().unwrap().path().to_owned();
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[2] ^= 1;
        std::fs::write(path, bytes).unwrap();
    }

    fn run(&self) -> &GuestRun {
        let Source::Guest(run) = &self.state.request.source else { panic!("a guest's job") };
        run
    }

    /// What is missing for the guest to run; it is no program, so that it never does.
    fn missing_to_execute(&self) -> Option<String> {
        match self.client.execute(&self.state, self.run(), Box::new(io::sink())) {
            Err(JobError::BlobMissing { what, .. }) => Some(what),
            Err(JobError::Guest(_)) => None,
            Err(error) => panic!("{error}"),
            Ok(_) => panic!("executed what is no program"),
        }
    }
}

const NODE: NodeId = NodeId([7; 32]);

fn segment_stored(blob: BlobRef) -> JobEvent {
    let claim = SegmentClaim {
        pre: Digest::ZERO,
        post: Digest::ZERO,
        exit_code: ExitCode::Halted(0),
        input: Digest::ZERO,
        output: Digest::ZERO,
    };
    JobEvent::SegmentStored { index: 0, po2: Po2::SMALLEST, blob, claim, work: None }
}

fn ended(journal: BlobRef) -> JobEvent {
    let assumptions: Vec<AssumptionId> = Vec::new();
    JobEvent::ExecutionEnded(ExecutionSummary {
        exit_code: ExitCode::Halted(0),
        segment_count: 1,
        keccak_count: 0,
        journal,
        output: Some(OutputParts { journal: Digest::ZERO, assumptions }),
        assumed: Vec::new(),
        user_cycles: 1,
        total_cycles: 1,
    })
}

#[test]
fn a_damaged_guest_or_input_is_missing_not_executed() {
    let job = Proved::new();
    assert_eq!(job.missing_to_execute(), None);
    job.damage(job.run().input);
    assert_eq!(job.missing_to_execute().as_deref(), Some("the input"));
    let job = Proved::new();
    job.damage(job.run().guest);
    assert_eq!(job.missing_to_execute().as_deref(), Some("the guest"));
}

#[test]
fn a_damaged_segment_or_journal_has_the_guest_run_again() {
    let job = Proved::new();
    assert!(!job.client.needs_execution(&job.state).unwrap());
    job.damage(job.state.segments[0].blob);
    assert!(job.client.needs_execution(&job.state).unwrap());
    let job = Proved::new();
    job.damage(job.state.execution.as_ref().unwrap().journal);
    assert!(job.client.needs_execution(&job.state).unwrap());
}

#[test]
fn a_damaged_receipt_is_proved_again() {
    let job = Proved::new();
    let is_proved = || replay(&job.state, &job.client.blobs).unwrap().outcome().is_some();
    assert!(is_proved());
    job.damage(job.state.accepted[0].1);
    assert!(!is_proved());
}
