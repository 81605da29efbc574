#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use starling_job::Script as _;
use starling_store::Ends;
use starling_types::{ImageId, Incarnation, JobSeed, NodeId, ReceiptKind, Reference, WorkLogId};
use starling_zkvm::{Digest, ExitCode, OutputParts};

use super::*;
use crate::{AssumedFrom, GuestRun, JobSummary, Subject, request};

const NODE: NodeId = NodeId([7; 32]);

/// What a task by this name must claim.
fn expected(state: &JobState, task: &str) -> Option<Expected> {
    state.expected_of(task.parse().unwrap())
}

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
    created_of(Subject::Guest(request::tests::run()))
}

fn created_of(source: Subject) -> JobEvent {
    let (zkvm, receipt_kind) = ("risc0-zkvm 0.0.0".into(), ReceiptKind::Succinct);
    let request = JobRequest { zkvm, source, receipt_kind };
    ZkvmEvent::Created { request, image_id: ImageId([0xaa; 32]), seed: JobSeed([0xbb; 32]) }.into()
}

fn segment(index: u32) -> JobEvent {
    stored(index, None)
}

fn stored(index: u32, work: Option<Work>) -> JobEvent {
    let po2 = Po2::try_from(16).unwrap();
    let (blob, claim) = (blob(10 + index as u8), claim(index, index + 1));
    ZkvmEvent::SegmentStored { index, po2, blob, claim, work }.into()
}

fn keccak(index: u32) -> JobEvent {
    let po2 = Po2::try_from(15).unwrap();
    let (blob, assumption) = (blob(40 + index as u8), assumption(index));
    ZkvmEvent::KeccakStored { index, po2, blob, assumption }.into()
}

fn assumption(number: u32) -> AssumptionId {
    AssumptionId { claim: Digest::from([100 + number; 8]), control_root: Digest::from([1; 8]) }
}

fn ended(segment_count: u32) -> JobEvent {
    ended_with(segment_count, 0)
}

fn ended_with(segment_count: u32, keccak_count: u32) -> JobEvent {
    ZkvmEvent::ExecutionEnded(ExecutionSummary {
        exit_code: ExitCode::Halted(0),
        segment_count,
        keccak_count,
        journal: blob(3),
        output: Some(OutputParts { journal: Digest::from([9; 8]), assumptions: vec![] }),
        assumed: vec![],
        user_cycles: 5,
        total_cycles: 8,
    })
    .into()
}

fn assumed(assumptions: &[(AssumptionId, AssumedFrom)]) -> JobEvent {
    ZkvmEvent::Assumed { assumptions: assumptions.to_vec() }.into()
}

fn accepted(task: &str) -> JobEvent {
    let task: TaskId = task.parse().unwrap();
    JobEvent::ResultAccepted {
        task: task.into(),
        blob: blob(20),
        node: NODE,
        is_provisional: false,
    }
}

/// These events as a log has them.
fn stored_events(events: &[JobEvent]) -> Vec<StoredEvent> {
    let stored = |(seq, event): (u64, &JobEvent)| StoredEvent {
        seq,
        kind: event.kind(ZkvmEvent::kind).into(),
        body: serde_json::to_string(event).unwrap(),
        at_ms: 1000 + seq,
    };
    (1..).zip(events).map(stored).collect()
}

/// What a log of these events, written and read back, adds up to.
fn replay(events: &[JobEvent]) -> Result<JobState, StateError> {
    load(&stored_events(events), JobId([9; 16]))
}

#[test]
fn a_log_adds_up_to_the_job_it_was_written_by() {
    let state = replay(&[
        created(),
        JobEvent::ClientStarted { incarnation: Incarnation(1) },
        segment(0),
        segment(1),
        accepted("lift/1"),
        ended(2),
        JobEvent::ClientStarted { incarnation: Incarnation(2) },
        accepted("lift/0"),
    ])
    .unwrap();
    assert_eq!(state.incarnation, Incarnation(2));
    assert_eq!(state.segments.len(), 2);
    assert_eq!(state.accepted.len(), 2);
    assert_eq!(state.receipts_by_node, BTreeMap::from([(NODE, 2)]));
    assert_eq!(state.phase, JobPhase::Open);
    assert_eq!(state.created_at_ms, 1001);
}

#[test]
fn the_claim_of_a_range_goes_from_its_first_segment_to_its_last() {
    let state = replay(&[created(), segment(0), segment(1), segment(2)]).unwrap();
    let Some(Expected::Claim(joined)) = expected(&state, "join/0..3") else { panic!() };
    assert_eq!(joined.pre, claim(0, 1).pre);
    assert_eq!(joined.post, claim(2, 3).post);
    assert_eq!(expected(&state, "join/1..4"), None);
    assert_eq!(expected(&state, "resolve/0"), None, "the execution has not ended");
}

#[test]
fn each_resolve_takes_the_first_assumption_off_the_output() {
    let list = [
        (assumption(7), AssumedFrom::Given(blob(50))),
        (assumption(8), AssumedFrom::Given(blob(51))),
    ];
    let state =
        replay(&[created(), segment(0), assumed(&list[..1]), assumed(&list[1..]), ended(1)]);
    let state = state.unwrap();
    assert_eq!(state.execution.as_ref().unwrap().assumed, list.map(|(_, from)| from));
    let output = state.execution.as_ref().unwrap().output.clone().unwrap();
    for resolved in [1, 2] {
        let task = TaskId::Resolve(resolved - 1);
        let Some(Expected::Claim(left)) = state.expected_of(task) else { panic!("{task}") };
        assert_eq!(left.output, output.digest_after(resolved as usize));
        assert_eq!(left.pre, claim(0, 1).pre);
    }
    assert_eq!(state.expected_of(TaskId::Resolve(2)), None, "nothing is left to resolve");
    assert_eq!(state.final_claim().unwrap().output, output.digest_after(2));
}

#[test]
fn keccak_proofs_are_expected_to_unite_to_what_their_range_says() {
    let log = [created(), keccak(0), keccak(1), segment(0)];
    let state = replay(&log).unwrap();
    assert_eq!(expected(&state, "keccak/1"), Some(Expected::Assumption(assumption(1))));
    let united = AssumptionId::of_union(&[assumption(0), assumption(1)]);
    assert_eq!(expected(&state, "union/0..2"), Some(Expected::Assumption(united)));
    assert_eq!(expected(&state, "union/1..3"), None);
    assert!(replay(&[&log[..], &[ended_with(1, 3)]].concat()).is_err());
}

#[test]
fn a_job_that_counts_its_work_expects_the_sum_until_it_is_unwrapped() {
    let work =
        |index| Work { log_id: WorkLogId([1; 20]), job: 5, first: index, last: index, value: 10 };
    let counted = |index| stored(index, Some(work(index)));
    let run = GuestRun { work_log: Some(WorkLogId([1; 20])), ..request::tests::run() };
    let log = [created_of(Subject::Guest(run)), counted(0), counted(1), ended(2)];
    let state = replay(&log).unwrap();
    let Some(Expected::Work { work: sum, .. }) = expected(&state, "join/0..2") else { panic!() };
    assert_eq!(sum, Work { last: 1, value: 20, ..work(0) });
    let Some(Expected::Work { work: second, .. }) = expected(&state, "lift/1") else { panic!() };
    assert_eq!(second, work(1));
    assert!(replay(&[log[0].clone(), counted(0), segment(1)]).is_err(), "it alone counts none");
    assert!(replay(&[log[0].clone(), counted(1), stored(1, Some(work(0)))]).is_err());
    assert!(matches!(state.expected_of(TaskId::Unwrap), Some(Expected::Claim(_))));
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
            JobEvent::ClientStarted { incarnation: Incarnation(1) },
            JobEvent::ClientStarted { incarnation: Incarnation(1) },
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
    let resumed =
        [&failed[..], &[JobEvent::ClientStarted { incarnation: Incarnation(1) }]].concat();
    assert_eq!(replay(&resumed).unwrap().phase, JobPhase::Open);
}

#[test]
fn the_last_event_says_where_a_job_stands_as_the_whole_log_does() {
    let started = |number| JobEvent::ClientStarted { incarnation: Incarnation(number) };
    let done = ZkvmEvent::Done { receipt: blob(4), work_receipt: None, seconds: 1.5 };
    let log = [
        created(),
        started(1),
        segment(0),
        JobEvent::Restarted { reason: "segment 0 differs".into() },
        started(2),
        segment(0),
        ended(1),
        JobEvent::Failed { message: "no".into() },
        started(3),
        accepted("lift/0"),
        JobEvent::ResultLost { blob: blob(20).reference },
        accepted("lift/0"),
        done.into(),
        JobEvent::Cancelled,
    ];
    for count in 1..=log.len() {
        let whole = replay(&log[..count]).unwrap();
        let events = stored_events(&log[..count]);
        let (first, last) = (events[0].clone(), events[count - 1].clone());
        let ends = Ends { first, last, event_count: count as u64 };
        let summary = JobSummary::of(whole.id, &ends).unwrap();
        assert_eq!(summary.phase, whole.phase, "after {count} events");
        assert_eq!((summary.request, summary.image_id), (whole.request.clone(), whole.image_id));
        assert_eq!(summary.created_at_ms, whole.created_at_ms);
    }
}

#[test]
fn a_restarted_job_keeps_nothing_of_the_execution_that_did_not_repeat() {
    let restarted = JobEvent::Restarted { reason: "segment 0 differs".into() };
    let state =
        replay(&[created(), segment(0), accepted("lift/0"), restarted, segment(0)]).unwrap();
    assert_eq!(state.segments.len(), 1);
    assert!(state.accepted.is_empty());
}

#[test]
fn every_union_of_the_guests_tree_is_known_and_no_other() {
    for count in 1..40 {
        let mut log = vec![created()];
        log.extend((0..count).map(keccak));
        log.push(segment(0));
        let running = replay(&log).unwrap();
        let leaves: Vec<_> = (0..count).map(assumption).collect();
        let all = IndexRange::new(0, count).unwrap();
        assert_eq!(running.keccak_root(), Some(AssumptionId::of_union(&leaves)));
        let mut plan = running.replay().unwrap().plan;
        log.push(assumed(&[(AssumptionId::of_union(&leaves), AssumedFrom::Keccak)]));
        log.push(ended_with(1, count));
        let state = replay(&log).unwrap();
        plan = state.replay().map(|replayed| replayed.plan).unwrap_or(plan);
        // The plan's own tree asks for each union once.
        let mut unions = 0;
        while let Some(task) = plan.next_task(|_| true) {
            plan.start(task.id).unwrap();
            plan.accept(task.id, blob(60)).unwrap();
            if let TaskId::Union(range) = task.id {
                let part = &leaves[range.start() as usize..range.end() as usize];
                assert_eq!(state.united(range), Some(AssumptionId::of_union(part)), "{range}");
                unions += 1;
            }
        }
        assert_eq!(unions, count - 1);
        assert_eq!(state.united(all), Some(AssumptionId::of_union(&leaves)));
    }
}

#[test]
fn more_assumptions_than_one_event_takes_are_logged_and_read_back() {
    let count = 3 * crate::event::ASSUMPTIONS_PER_EVENT_MAX as u32 / 2;
    let given = |index: u32| crate::Given { id: assumption(index), blob: blob(50) };
    let mut state = replay(&[created(), segment(0)]).unwrap();
    let list: Vec<_> = (0..count).map(assumption).collect();
    let JobEvent::Own(ZkvmEvent::ExecutionEnded(mut summary)) = ended(1) else { panic!() };
    summary.output.as_mut().unwrap().assumptions = list.clone();
    let given = (0..count).map(given).collect();
    let piece = crate::ZkvmPiece::Ended { summary, given };
    let Ok(starling_job::Taken::New(events)) = state.take(piece) else { panic!() };
    assert_eq!(events.len(), 3);
    for event in events {
        let body = serde_json::to_string(&event).unwrap();
        assert!(body.len() < starling_store::BODY_SIZE_BYTES_MAX / 2, "{} bytes", body.len());
        state.apply(&serde_json::from_str(&body).unwrap()).unwrap();
    }
    let ended = state.execution.as_ref().unwrap();
    assert_eq!(ended.output.as_ref().unwrap().assumptions, list);
    assert_eq!(ended.assumed.len(), count as usize);
    assert!(state.expected_of(TaskId::Resolve(count - 1)).is_some());
}

/// As many as a guest may assume at most, through a log on a disk.
#[test]
fn as_much_as_a_guest_may_assume_is_logged_and_read_back() {
    const COUNT: u32 = 16_384;
    let dir = tempfile::tempdir().unwrap();
    let log = starling_store::DataDir::open(dir.path(), "a test").unwrap().log().unwrap();
    let job = JobId([5; 16]);
    let append = |state: Option<&JobState>, events: &[JobEvent]| {
        let entry = match state {
            Some(state) => crate::journal::entry_of::<ZkvmScript>(state, events).unwrap(),
            None => starling_store::Entry::of_job(job, 0).event("created", &events[0]).unwrap(),
        };
        log.append_blocking(entry).unwrap();
    };
    append(None, &[created()]);
    let read = || load::<ZkvmScript>(&log.read(job).unwrap(), job).unwrap();
    append(Some(&read()), &[segment(0)]);
    let state = read();
    let list: Vec<_> = (0..COUNT).map(assumption).collect();
    let JobEvent::Own(ZkvmEvent::ExecutionEnded(mut summary)) = ended(1) else { panic!() };
    summary.output.as_mut().unwrap().assumptions = list.clone();
    let given = |id| crate::Given { id, blob: blob(50) };
    let given = list.iter().copied().map(given).collect();
    let piece = crate::ZkvmPiece::Ended { summary, given };
    let Ok(starling_job::Taken::New(events)) = state.take(piece) else { panic!() };
    let events: Vec<_> = events.into_iter().map(JobEvent::Own).collect();
    append(Some(&state), &events);
    let state = read();
    let ended = state.execution.as_ref().unwrap();
    assert_eq!(ended.output.as_ref().unwrap().assumptions, list);
    assert_eq!(ended.assumed.len(), COUNT as usize);
    assert!(state.expected_of(TaskId::Resolve(COUNT - 1)).is_some());
    assert!(state.assumes(blob(50).reference) && !state.assumes(blob(51).reference));
}
