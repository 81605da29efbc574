//! The three plans to their ends.

use std::sync::{Arc, Mutex};

use starling_fake::{Expected, Sum};
use starling_plan::{
    Assumed, Class, Demand, Order, Outcome, PlanShape, RoundTask, RoundsInput, RoundsPlan,
    ZkvmInput, ZkvmPlan,
};
use starling_sched::Event;
use starling_types::{BlobRef, IndexRange, KindCode, Po2, Task, TaskId};

use crate::{
    COST,
    client::{Checks, Client},
    merging,
    node::Setup,
    raw, soon,
};

fn range(start: u32, end: u32) -> IndexRange {
    IndexRange::new(start, end).unwrap()
}

#[tokio::test]
async fn wide_merges_end_in_one_result_of_all_leaves() {
    let raw = raw(24, 1000);
    let mut client = merging(1, &raw).await;
    let nodes = [2, 3].map(|key| Setup::new(key, "pace=10"));
    let mut running = Vec::new();
    for node in nodes {
        running.push(node.serve(client.addr()).await);
    }
    let outcome = client.finish().await;
    let all = Expected::of(raw.iter().map(Vec::as_slice)).sum(range(0, 24)).unwrap();
    assert_eq!(all.finish().compare(&client.read(outcome)), Ok(()));
    // 24 leaves, merges of up to four, and the finish.
    assert!(client.seen.accepted.len() > 24 + 8, "{:?}", client.seen.accepted);
    assert_eq!((client.seen.failures.len(), client.seen.dismissed.len()), (0, 0));
    for node in running {
        assert_eq!(soon(node.ended()).await, Ok(()));
    }
}

#[tokio::test]
async fn a_node_with_its_blobs_in_memory_proves_like_any_other() {
    let raw = raw(9, 1000);
    let mut client = merging(60, &raw).await;
    let node = Setup { in_memory: true, ..Setup::new(61, "pace=10") };
    let node = node.serve(client.addr()).await;
    let outcome = client.finish().await;
    let all = Expected::of(raw.iter().map(Vec::as_slice)).sum(range(0, 9)).unwrap();
    assert_eq!(all.finish().compare(&client.read(outcome)), Ok(()));
    assert_eq!((client.seen.failures.len(), client.seen.dismissed.len()), (0, 0));
    assert_eq!(soon(node.ended()).await, Ok(()));
}

/// Segments that come while others are proved, keccak requests, and what they are united to resolved at the end.
#[tokio::test]
async fn a_plan_like_the_zkvms_ends_in_a_resolved_result() {
    let (segment_count, keccak_count) = (7, 3);
    let pieces = raw(segment_count + keccak_count, 500);
    let (segments, keccaks) = pieces.split_at(segment_count as usize);
    let sums = |raw: &[Vec<u8>]| Expected::of(raw.iter().map(Vec::as_slice));
    let (segment_sums, keccak_sums) = (sums(segments), sums(keccaks));
    let resolved = segment_sums
        .sum(range(0, segment_count))
        .unwrap()
        .joined(keccak_sums.sum(range(0, keccak_count)).unwrap());
    let checks = Checks::new(move |task| match TaskId::try_from(task).ok()? {
        TaskId::Keccak(_) | TaskId::Union(_) => keccak_sums.sum(task.range),
        TaskId::Resolve(0) => resolved,
        _ => segment_sums.sum(task.range),
    });
    let mut blobs = Vec::new();
    let plan = |inputs: &[BlobRef]| {
        blobs = inputs.to_vec();
        ZkvmPlan::new(PlanShape::Succinct, |_, _| COST)
    };
    let mut client = Client::new(4, &pieces, checks, plan).await;
    let po2: Po2 = "18".parse().unwrap();
    let _nodes = [
        Setup::new(5, "pace=10").serve(client.addr()).await,
        Setup::new(6, "pace=10").serve(client.addr()).await,
    ];
    for index in 0..segment_count {
        let blob = blobs[index as usize];
        client.tell(Event::Input(ZkvmInput::Segment { index, po2, blob })).await;
        client.run_until(|client| client.seen.accepted.len() as u32 + 2 > index).await;
    }
    for index in 0..keccak_count {
        let blob = blobs[(segment_count + index) as usize];
        client.tell(Event::Input(ZkvmInput::Keccak { index, po2, blob })).await;
    }
    client.tell(Event::Input(ZkvmInput::End { assumed: vec![Assumed::Keccak] })).await;
    let Outcome::Succinct { receipt, work: None } = client.finish().await else {
        panic!("one receipt, and no count of work")
    };
    assert_eq!(resolved.unwrap().compare(&client.read(receipt)), Ok(()));
    assert_eq!(client.seen.failures, []);
}

/// The piece of raw data that all tasks of the next round read: it follows from the results of the one before.
fn challenge(results: &[Vec<u8>]) -> Vec<u8> {
    let all = results.concat();
    format!("challenge of {:?}", Sum::of_raw(0, &all)).into_bytes()
}

#[tokio::test]
async fn rounds_follow_from_the_results_of_those_before() {
    const KIND: KindCode = KindCode(4);
    const ROUND_TASKS: u32 = 5;
    const ROUNDS: u32 = 3;
    let first = raw(1, 300);
    // By round, what its tasks read: known once the round before is complete.
    let challenges = Arc::new(Mutex::new(first.clone()));
    let known = challenges.clone();
    let checks = Checks::new(move |task| {
        let index = task.range.start();
        let challenges = known.lock().unwrap();
        Some(Sum::of_raw(index, challenges.get((index / ROUND_TASKS) as usize)?))
    });
    let demand = Demand {
        kind: KIND,
        name: "column",
        cost: COST,
        po2: None,
        reads_results: false,
        order: Order::Leaves(0),
    };
    let mut inputs = Vec::new();
    let plan = |blobs: &[BlobRef]| {
        inputs = blobs.to_vec();
        RoundsPlan::new(vec![demand])
    };
    let mut client = Client::new(7, &first, checks, plan).await;
    let _nodes = [
        Setup::new(8, "pace=10").serve(client.addr()).await,
        // It dies of its third task, each time.
        Setup::new(9, "pace=10,dies-of=3").serve(client.addr()).await,
    ];
    let mut input = inputs[0];
    for round in 1..=ROUNDS {
        let task = RoundTask { class: Class(0), inputs: vec![input] };
        let tasks = vec![task; ROUND_TASKS as usize];
        client.tell(Event::Input(RoundsInput::Round(tasks))).await;
        client.run_until(|client| client.scheduler.plan().complete_round().is_some()).await;
        assert_eq!(client.seen.accepted.len() as u32, round * ROUND_TASKS);
        let results = client.scheduler.plan().complete_round().unwrap();
        let results: Vec<_> = results.into_iter().map(|blob| client.read(blob)).collect();
        let next = challenge(&results);
        let pin = client.blobs.put(&next).unwrap();
        challenges.lock().unwrap().push(next);
        input = pin.blob();
        client.keep(pin);
    }
    client.tell(Event::Input(RoundsInput::End)).await;
    let outcome = client.finish().await;
    let last = (ROUNDS - 1) * ROUND_TASKS;
    let challenges = challenges.lock().unwrap();
    for (index, blob) in (last..).zip(outcome) {
        let must_be = Sum::of_raw(index, &challenges[ROUNDS as usize - 1]);
        assert_eq!(must_be.compare(&client.read(blob)), Ok(()));
    }
    let task = |index| Task { kind: KIND, range: IndexRange::single(index) };
    assert!((0..ROUNDS * ROUND_TASKS).all(|index| client.grants_of(task(index)) > 0));
}
