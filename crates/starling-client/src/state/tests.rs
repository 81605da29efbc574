#![allow(clippy::unwrap_used)]

use starling_types::{NodeId, ReceiptKind, Reference, WorkLogId};
use starling_zkvm::{Digest, ExitCode};

use super::*;
use crate::{AssumedFrom, GuestRun, Source, request};

fn blob(byte: u8) -> BlobRef {
    BlobRef { reference: Reference([byte; 32]), size_bytes: 1 }
}

fn claim(from: u32, to: u32) -> SegmentClaim {
    let digest = |n: u32| Digest::from([n; 8]);
    SegmentClaim {
        pre: digest(from),
        post: digest(to),
        exit_code: ExitCode::SystemSplit,
        input: Digest::ZERO,
        output: Digest::ZERO,
    }
}

fn created() -> JobEvent {
    created_of(Source::Guest(request::tests::run()))
}

fn created_of(source: Source) -> JobEvent {
    let (zkvm, receipt_kind) = ("risc0-zkvm 0.0.0".into(), ReceiptKind::Succinct);
    let request = JobRequest { zkvm, source, receipt_kind };
    JobEvent::Created { request, image_id: "aa".into(), seed: "bb".into() }
}

fn segment(index: u32) -> JobEvent {
    JobEvent::SegmentStored {
        index,
        po2: Po2::try_from(16).unwrap(),
        blob: blob(10 + index as u8),
        claim: claim(index, index + 1),
        work: None,
    }
}

fn keccak(index: u32) -> JobEvent {
    JobEvent::KeccakStored {
        index,
        po2: Po2::try_from(15).unwrap(),
        blob: blob(40 + index as u8),
        assumption: assumption(index),
    }
}

fn assumption(number: u32) -> AssumptionId {
    AssumptionId { claim: Digest::from([100 + number; 8]), control_root: Digest::from([1; 8]) }
}

fn ended(segment_count: u32) -> JobEvent {
    ended_assuming(segment_count, 0, &[])
}

fn ended_assuming(
    segment_count: u32,
    keccak_count: u32,
    assumed: &[(AssumptionId, AssumedFrom)],
) -> JobEvent {
    let assumptions = assumed.iter().map(|(id, _)| *id).collect();
    JobEvent::ExecutionEnded(ExecutionSummary {
        exit_code: ExitCode::Halted(0),
        segment_count,
        keccak_count,
        journal: blob(3),
        output: Some(OutputParts { journal: Digest::from([9; 8]), assumptions }),
        assumed: assumed.iter().map(|(_, from)| *from).collect(),
        user_cycles: 5,
        total_cycles: 8,
    })
}

fn accepted(task: &str) -> JobEvent {
    JobEvent::accepted(task.parse().unwrap(), blob(20), NodeId([7; 32]))
}

/// What a log of these events, written and read back, adds up to.
fn replay(events: &[JobEvent]) -> Result<JobState, StateError> {
    let stored: Vec<StoredEvent> = (1..)
        .zip(events)
        .map(|(seq, event)| StoredEvent {
            seq,
            kind: event.kind().into(),
            body: serde_json::to_string(event).unwrap(),
            at_ms: 1000 + seq,
        })
        .collect();
    JobState::load(&stored, JobId([9; 16]))
}

#[test]
fn a_log_adds_up_to_the_job_it_was_written_by() {
    let state = replay(&[
        created(),
        JobEvent::ClientStarted { incarnation: 1 },
        segment(0),
        segment(1),
        accepted("lift/1"),
        ended(2),
        JobEvent::ClientStarted { incarnation: 2 },
        accepted("lift/0"),
    ])
    .unwrap();
    assert_eq!(state.incarnation, 2);
    assert_eq!(state.segments.len(), 2);
    assert_eq!(state.accepted.len(), 2);
    assert_eq!(state.receipts_by_node.values().copied().collect::<Vec<_>>(), [2]);
    assert_eq!(state.phase, JobPhase::Open);
    assert_eq!(state.created_at_ms, 1001);
}

#[test]
fn the_claim_of_a_range_goes_from_its_first_segment_to_its_last() {
    let state = replay(&[created(), segment(0), segment(1), segment(2)]).unwrap();
    let expected = |task: &str| state.expected(task.parse().unwrap());
    let Some(Expected::Claim(joined)) = expected("join/0..3") else { panic!() };
    assert_eq!(joined.pre, claim(0, 1).pre);
    assert_eq!(joined.post, claim(2, 3).post);
    assert_eq!(expected("join/1..4"), None);
    assert_eq!(expected("resolve/0"), None, "the execution has not ended");
}

#[test]
fn each_resolve_takes_the_first_assumption_off_the_output() {
    let assumed = [
        (assumption(7), AssumedFrom::Given(blob(50))),
        (assumption(8), AssumedFrom::Given(blob(51))),
    ];
    let state = replay(&[created(), segment(0), ended_assuming(1, 0, &assumed)]).unwrap();
    let output = state.execution.as_ref().unwrap().output.clone().unwrap();
    for resolved in [1, 2] {
        let task = TaskId::Resolve(resolved - 1);
        let Some(Expected::Claim(left)) = state.expected(task) else { panic!("{task}") };
        assert_eq!(left.output, output.digest_after(resolved as usize));
        assert_eq!(left.pre, claim(0, 1).pre);
    }
    assert_eq!(state.expected(TaskId::Resolve(2)), None, "nothing is left to resolve");
    assert_eq!(state.final_claim().unwrap().output, output.digest_after(2));
}

#[test]
fn keccak_proofs_are_expected_to_unite_to_what_their_range_says() {
    let log = [created(), keccak(0), keccak(1), segment(0)];
    let state = replay(&log).unwrap();
    let expected = |task: &str| state.expected(task.parse().unwrap());
    assert_eq!(expected("keccak/1"), Some(Expected::Assumption(assumption(1))));
    let united = AssumptionId::of_union(&[assumption(0), assumption(1)]);
    assert_eq!(expected("union/0..2"), Some(Expected::Assumption(united)));
    assert_eq!(expected("union/1..3"), None);
    assert!(replay(&[&log[..], &[ended_assuming(1, 3, &[])]].concat()).is_err());
}

#[test]
fn a_job_that_counts_its_work_expects_the_sum_until_it_is_unwrapped() {
    let work =
        |index| Work { log_id: WorkLogId([1; 20]), job: 5, first: index, last: index, value: 10 };
    let counted = |index| match segment(index) {
        JobEvent::SegmentStored { index, po2, blob, claim, .. } => {
            JobEvent::SegmentStored { index, po2, blob, claim, work: Some(work(index)) }
        }
        other => other,
    };
    let run = GuestRun { work_log: Some(WorkLogId([1; 20])), ..request::tests::run() };
    let log = [created_of(Source::Guest(run)), counted(0), counted(1), ended(2)];
    let state = replay(&log).unwrap();
    let Some(Expected::Work { work: sum, .. }) = state.expected("join/0..2".parse().unwrap())
    else {
        panic!()
    };
    assert_eq!(sum, Work { last: 1, value: 20, ..work(0) });
    assert!(matches!(state.expected(TaskId::Unwrap), Some(Expected::Claim(_))));
}

#[test]
fn events_that_cannot_follow_are_refused() {
    let bad: [&[JobEvent]; 8] = [
        &[segment(0)],
        &[created(), created()],
        &[created(), segment(1)],
        &[created(), keccak(1)],
        &[created(), segment(0), ended(2)],
        &[created(), accepted("lift/0")],
        &[created(), segment(0), accepted("join/0..2")],
        &[
            created(),
            JobEvent::ClientStarted { incarnation: 1 },
            JobEvent::ClientStarted { incarnation: 1 },
        ],
    ];
    for events in bad {
        assert!(matches!(replay(events), Err(StateError::Unreadable { .. })), "{events:?}");
    }
    assert!(matches!(replay(&[]), Err(StateError::Unknown { .. })));
}

#[test]
fn a_failed_job_is_open_again_once_it_is_taken_up() {
    let failed = [created(), JobEvent::Failed { message: "no".into() }];
    assert!(matches!(replay(&failed).unwrap().phase, JobPhase::Failed { .. }));
    let resumed = [&failed[..], &[JobEvent::ClientStarted { incarnation: 1 }]].concat();
    assert_eq!(replay(&resumed).unwrap().phase, JobPhase::Open);
}

#[test]
fn a_restarted_job_keeps_nothing_of_the_execution_that_did_not_repeat() {
    let restarted = JobEvent::Restarted { reason: "segment 0 differs".into() };
    let state =
        replay(&[created(), segment(0), accepted("lift/0"), restarted, segment(0)]).unwrap();
    assert_eq!(state.segments.len(), 1);
    assert_eq!(state.accepted, []);
}
