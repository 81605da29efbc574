//! What holds of any text in the place of a job's log, and of any bytes on a control socket. Fuzzing and the test of its seeds
//! ask for it.

use serde::{Serialize, de::DeserializeOwned};
use starling_store::{Ends, StoredEvent};
use starling_types::{
    BlobRef, ImageId, JobId, JobSeed, Po2, ReceiptKind, Reference, TaskId, WorkLogId,
};
use tokio_util::{bytes::BytesMut, codec::Decoder as _};

use crate::{
    Arguments, ArgumentsIn, GuestRun, JobEvent, JobProgress, JobRequest, JobState, JobSummary,
    StateError, Subject, Written, ZkvmEvent, ZkvmScript, control, state,
};

/// The job whose log is read.
const JOB: JobId = JobId([1; JobId::SIZE_BYTES]);

/// Reads `bytes` as the bodies of a job's events, one on each line, and folds them: as they are, and behind the event that makes
/// a job, of one that counts its work too.
///
/// # Panics
/// When a rule is broken: an event that is read is written so that it is read again, the events before one that does not follow
/// make a job, and what they add up to can be asked for whatever is asked of a job.
pub fn job_log(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    check_log(text);
    for work_log in [None, Some(WorkLogId([9; 20]))] {
        let created = serde_json::to_string(&created(work_log));
        let created = created.expect("events have string keys only");
        check_log(&format!("{created}\n{text}"));
    }
}

/// The event that a job begins with.
pub fn created(work_log: Option<WorkLogId>) -> JobEvent {
    let blob = |byte| BlobRef { reference: Reference([byte; 32]), size_bytes: 10 };
    let run = GuestRun {
        guest: blob(1),
        input: blob(2),
        arguments: ArgumentsIn::Log(Arguments::default()),
        assumptions: Vec::new(),
        segment_po2: Po2::SMALLEST,
        keccak_po2: Po2::SMALLEST,
        cycle_limit: None,
        prove_guest_errors: false,
        work_log,
    };
    let (source, receipt_kind) = (Subject::Guest(run), ReceiptKind::Succinct);
    let request = JobRequest { zkvm: "risc0/0/0".into(), source, receipt_kind };
    let (image_id, seed) = (ImageId([3; 32]), JobSeed([4; 32]));
    ZkvmEvent::Created { request, image_id, seed }.into()
}

fn check_log(text: &str) {
    let numbered = text.lines().zip(1..);
    let events: Vec<_> = numbered
        .map(|(body, seq)| StoredEvent { seq, kind: "event".into(), body: body.into(), at_ms: 0 })
        .collect();
    for StoredEvent { body, .. } in &events {
        check_written::<JobEvent>(body);
    }
    if let (Some(first), Some(last)) = (events.first(), events.last()) {
        let (first, last) = (first.clone(), last.clone());
        let event_count = events.len() as u64;
        // Either is fine: it is a job, or an error.
        let _ = JobSummary::of(JOB, &Ends { first, last, event_count });
    }
    let state: JobState = match state::load::<ZkvmScript>(&events, JOB) {
        Ok(state) => state,
        Err(StateError::Unreadable { seq: 1, .. } | StateError::Unknown { .. }) => return,
        Err(StateError::Unreadable { seq, .. }) => {
            let before = &events[..seq as usize - 1];
            state::load(before, JOB).expect("the events before follow from each other")
        }
        Err(error @ StateError::Incomplete { .. }) => panic!("no event is missing: {error}"),
    };
    check_state(&state);
}

/// Asks a job for all that others ask it for.
fn check_state(state: &JobState) {
    let _ = state.request.job_id();
    let _ = (state.conditional_claim(), state.final_claim(), state.total_work());
    let _ = state.keccak_root();
    for task in state.accepted.keys() {
        if let Ok(task) = TaskId::try_from(*task) {
            let _ = state.expected_of(task);
        }
    }
    // A plan that is told what contradicts itself says so.
    let _ = state.replay();
}

/// Reads `bytes` as the lines of a control socket, and each as what a client says of a job there.
///
/// # Panics
/// When a rule is broken: what is read is written so that it is read again, on one line.
pub fn control_lines(bytes: &[u8]) {
    let (mut codec, mut buffer) = (control::codec(), BytesMut::from(bytes));
    while let Ok(Some(line)) = codec.decode_eof(&mut buffer) {
        check_written::<JobProgress>(&line);
        check_written::<Written>(&line);
    }
}

/// What is read must be written so that it is read again. It need not be the same to the last bit of a fraction.
fn check_written<T: Serialize + DeserializeOwned>(line: &str) {
    let Ok(read) = serde_json::from_str::<T>(line) else { return };
    let written = serde_json::to_string(&read).expect("messages have string keys only");
    assert!(!written.contains('\n'), "it takes more than a line: {written}");
    if let Err(error) = serde_json::from_str::<T>(&written) {
        panic!("what was read can't be read once it is written: {error}: {written}");
    }
}
