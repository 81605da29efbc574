#![allow(clippy::unwrap_used)]

use starling_types::{NodeId, ReceiptKind, Reference};
use starling_zkvm::{Digest, ExitCode};

use super::*;

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
    let request = JobRequest {
        zkvm: "risc0-zkvm 0.0.0".into(),
        guest: blob(1),
        input: blob(2),
        segment_po2: Po2::try_from(16).unwrap(),
        receipt_kind: ReceiptKind::Succinct,
        cycle_limit: None,
    };
    JobEvent::Created { request, image_id: "aa".into(), seed: "bb".into() }
}

fn segment(index: u32) -> JobEvent {
    JobEvent::SegmentStored {
        index,
        po2: Po2::try_from(16).unwrap(),
        blob: blob(10 + index as u8),
        claim: claim(index, index + 1),
    }
}

fn ended(segment_count: u32) -> JobEvent {
    JobEvent::ExecutionEnded(ExecutionSummary {
        segment_count,
        journal: blob(3),
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
    let range = SegmentRange::new(0, 3).unwrap();
    let expected = state.expected_claim(range).unwrap();
    assert_eq!(expected.pre, claim(0, 1).pre);
    assert_eq!(expected.post, claim(2, 3).post);
    assert_eq!(state.expected_claim(SegmentRange::new(1, 4).unwrap()), None);
}

#[test]
fn events_that_cannot_follow_are_refused() {
    let bad: [&[JobEvent]; 7] = [
        &[segment(0)],
        &[created(), created()],
        &[created(), segment(1)],
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

#[test]
fn a_job_keeps_the_blobs_that_its_phase_needs() {
    let open = [created(), segment(0), ended(1), accepted("lift/0")];
    let references = |events: &[JobEvent]| -> Vec<u8> {
        replay(events).unwrap().blobs().map(|blob| blob.reference.0[0]).collect()
    };
    assert_eq!(references(&open), [1, 2, 10, 3, 20]);
    let done = JobEvent::Done { receipt: blob(30), seconds: 1.0 };
    assert_eq!(references(&[&open[..], &[done]].concat()), [30]);
    assert_eq!(references(&[&open[..], &[JobEvent::Cancelled]].concat()), Vec::<u8>::new());
}
