//! Jobs of the fake system in a service of this process, stopped, cancelled and ordered again at bad moments. Nodes are processes.

#![allow(clippy::unwrap_used)]

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use starling_client::{
    JobError, NetworkOptions, Patience, RunOptions,
    shell::{Client, JobHandle, Outcome, Service},
};
use starling_fake::{Claimant, Expected, Merges, MergesEvent, Request, Running, node, raw};
use starling_job::JobEvent;
use tempfile::TempDir;

/// No step takes so long, unless something hangs.
const HANGS_AFTER: Duration = Duration::from_secs(60);

/// A run that is told to end has ended after this long: a second, and what a machine that builds and tests adds.
const ENDS_WITHIN: Duration = Duration::from_millis(2_500);

/// How long it takes to put together what is delivered, and nothing interrupts it.
const DELIVERY: Duration = Duration::from_secs(6);

const REQUEST: Request = Request { count: 12, size_bytes: 1000 };

struct World {
    service: Service<Merges>,
    _node: Running,
    _dir: TempDir,
}

impl World {
    async fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let client = Client::open(&dir.path().join("client"), "a test", 1 << 30).unwrap();
        let service = Service::start(client, NetworkOptions::default()).await.unwrap();
        let ticket = service.ticket().to_string();
        let home = dir.path().join("node");
        let node = node(&programs(), &ticket, &home, 1, "pace=20").unwrap();
        Self { service, _node: node, _dir: dir }
    }

    /// Orders the job, as every command does: it is made if it is not there, and runs.
    async fn order(&self, delivery: Duration, options: RunOptions) -> JobHandle<Merges> {
        let client = self.service.client().clone();
        let create = move || Merges::create_slow(&client, REQUEST, delivery).unwrap();
        let job = tokio::task::spawn_blocking(create).await.unwrap();
        self.service.submit(job, options)
    }
}

/// The folder with the programs.
fn programs() -> PathBuf {
    let _ = env!("CARGO_BIN_EXE_starling-fake-prover");
    Path::new(env!("CARGO_BIN_EXE_starling-fake-node")).parent().unwrap().to_owned()
}

/// How the run ends, which it does soon; and after how long.
async fn end_of(run: &JobHandle<Merges>) -> (Outcome<Merges>, Duration) {
    let began = Instant::now();
    let ended = tokio::time::timeout(HANGS_AFTER, run.result()).await;
    (ended.expect("hangs"), began.elapsed())
}

fn is_right(outcome: &Outcome<Merges>) {
    let raw: Vec<_> = (0..REQUEST.count).map(|index| raw(index, REQUEST.size_bytes)).collect();
    let sum = Expected::of(raw.iter().map(Vec::as_slice)).whole().unwrap().finish();
    assert_eq!(**outcome.as_ref().unwrap(), [sum]);
}

/// Waits until so many events are in the log.
async fn until_logged(run: &JobHandle<Merges>, event_count: usize) {
    while run.events(0).await.unwrap().len() < event_count {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn until_delivering(run: &JobHandle<Merges>) {
    let mut progress = run.progress();
    let waited = tokio::time::timeout(HANGS_AFTER, progress.wait_for(|now| now.delivering)).await;
    drop(waited.expect("hangs").unwrap());
}

async fn log_of(run: &JobHandle<Merges>) -> Vec<JobEvent<MergesEvent>> {
    run.events(0).await.unwrap().into_iter().map(|(_, event)| event).collect()
}

fn is_done(event: &JobEvent<MergesEvent>) -> bool {
    matches!(event, JobEvent::Own(MergesEvent::Done { .. }))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_is_ordered_again_right_after_it_was_cancelled_waits_for_its_end_and_begins_anew()
 {
    let world = World::new().await;
    for _ in 0..3 {
        let first = world.order(Duration::ZERO, RunOptions::default()).await;
        until_logged(&first, 6).await;
        first.cancel();
        let second = world.order(Duration::ZERO, RunOptions::default()).await;
        let (cancelled, _) = end_of(&first).await;
        assert!(matches!(&*cancelled.unwrap_err(), JobError::Cancelled { .. }));
        until_logged(&second, 3).await;
        let log = log_of(&second).await;
        let starts = log.iter().filter(|event| matches!(event, JobEvent::ClientStarted { .. }));
        assert_eq!(starts.count(), 1, "it was begun anew: {log:?}");
        second.cancel();
        let (cancelled, _) = end_of(&second).await;
        assert!(matches!(&*cancelled.unwrap_err(), JobError::Cancelled { .. }));
    }
    let last = world.order(Duration::ZERO, RunOptions::default()).await;
    is_right(&end_of(&last).await.0);
    world.service.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_is_ordered_again_right_after_it_was_stopped_goes_on_where_it_stood() {
    let world = World::new().await;
    let mut runs: Vec<JobHandle<Merges>> = Vec::new();
    for event_count in [4, 8, 12] {
        let run = world.order(Duration::ZERO, RunOptions::default()).await;
        until_logged(&run, event_count).await;
        run.stop();
        runs.push(run);
    }
    let last = world.order(Duration::ZERO, RunOptions::default()).await;
    for run in runs {
        let (stopped, _) = end_of(&run).await;
        assert!(matches!(&*stopped.unwrap_err(), JobError::Interrupted { .. }));
    }
    is_right(&end_of(&last).await.0);
    let log = log_of(&last).await;
    let created = |event: &&_| matches!(event, JobEvent::Own(MergesEvent::Created { .. }));
    assert_eq!(log.iter().filter(created).count(), 1, "it was never begun anew");
    world.service.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_equal_orders_at_the_same_time_one_has_the_run_and_knows_it() {
    let world = World::new().await;
    let orders = [RunOptions::default(), RunOptions::default(), RunOptions::default()];
    let told = orders.clone().map(|options| options.progress);
    let ordered = orders.map(|options| world.order(Duration::ZERO, options));
    let [first, second, third] = ordered;
    let (first, second, third) = tokio::join!(first, second, third);
    let runs = [first, second, third];
    let owners = runs.iter().zip(&told).filter(|(run, told)| run.is_told_by(told)).count();
    assert_eq!(owners, 1);
    for run in &runs {
        is_right(&end_of(run).await.0);
    }
    world.service.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delivery_ends_with_its_run_and_the_job_goes_on_from_there() {
    let world = World::new().await;
    let first = world.order(DELIVERY, RunOptions::default()).await;
    until_delivering(&first).await;
    first.stop();
    let (stopped, took) = end_of(&first).await;
    assert!(matches!(&*stopped.unwrap_err(), JobError::Interrupted { .. }));
    assert!(took < ENDS_WITHIN, "{took:?}");
    // All is proved: what takes time is the delivery.
    let timeout = Some(Duration::from_secs(1));
    let patience = Patience { timeout, ..RunOptions::default().patience };
    let limited = RunOptions { patience, ..RunOptions::default() };
    let second = world.order(DELIVERY, limited).await;
    let (late, took) = end_of(&second).await;
    assert!(matches!(&*late.unwrap_err(), JobError::OutOfTime { .. }));
    assert!(took < Duration::from_secs(1) + ENDS_WITHIN, "{took:?}");
    let log = log_of(&second).await;
    assert!(!log.iter().any(is_done), "nothing was delivered: {log:?}");
    assert!(!log.iter().any(|event| matches!(event, JobEvent::Failed { .. })));
    let third = world.order(DELIVERY, RunOptions::default()).await;
    let (delivered, took) = end_of(&third).await;
    is_right(&delivered);
    assert!(took >= DELIVERY, "it was put together from its beginning: {took:?}");
    assert!(log_of(&third).await.iter().any(is_done));
    world.service.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_is_cancelled_while_it_is_put_together_leaves_nothing_behind() {
    let world = World::new().await;
    let run = world.order(DELIVERY, RunOptions::default()).await;
    until_delivering(&run).await;
    let began = Instant::now();
    world.service.cancel(run.id()).await.unwrap();
    assert!(began.elapsed() < ENDS_WITHIN, "{:?}", began.elapsed());
    let (cancelled, _) = end_of(&run).await;
    assert!(matches!(&*cancelled.unwrap_err(), JobError::Cancelled { .. }));
    // What was on its way to be put together is let go of at the latest when that ends.
    while world.service.client().blob_bytes() > 0 {
        assert!(
            began.elapsed() < HANGS_AFTER,
            "{} bytes stay",
            world.service.client().blob_bytes()
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    world.service.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_ends_though_a_delivery_goes_on() {
    let world = World::new().await;
    let run = world.order(Duration::from_secs(3_600), RunOptions::default()).await;
    until_delivering(&run).await;
    let began = Instant::now();
    world.service.close().await;
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    let (stopped, _) = end_of(&run).await;
    assert!(matches!(&*stopped.unwrap_err(), JobError::Interrupted { .. }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_connected_and_never_asks_for_work_does_not_keep_a_job_waiting() {
    const NODE_WAIT: Duration = Duration::from_secs(6);
    let dir = TempDir::new().unwrap();
    let client = Client::open(&dir.path().join("client"), "a test", 1 << 30).unwrap();
    let service = Service::<Merges>::start(client, NetworkOptions::default()).await.unwrap();
    let _silent = Claimant::start_silent(9, &service.ticket().0).await.unwrap();
    let client = service.client().clone();
    let create = move || Merges::create_slow(&client, REQUEST, Duration::ZERO).unwrap();
    let job = tokio::task::spawn_blocking(create).await.unwrap();
    let patience = Patience { node_wait: NODE_WAIT, timeout: None };
    let run = service.submit(job, RunOptions { patience, ..RunOptions::default() });
    let mut progress = run.progress();
    let told = progress.wait_for(|now| now.waiting.is_some() && now.nodes == 1);
    let told = tokio::time::timeout(HANGS_AFTER, told).await.expect("hangs").unwrap().clone();
    assert_eq!(told.waiting.unwrap(), "one node is connected, and does not ask for work");
    let (ended, took) = end_of(&run).await;
    let error = ended.unwrap_err();
    let JobError::NoCapacity { waited, reason } = &*error else { panic!("{error}") };
    assert!(*waited >= NODE_WAIT && took < NODE_WAIT + ENDS_WITHIN, "{waited:?}, {took:?}");
    assert_eq!(reason, "one node is connected, and does not ask for work");
    service.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_damaged_before_it_is_put_together_is_made_again_by_the_same_nodes() {
    let world = World::new().await;
    // Time enough to do harm to what is read at its end.
    let run = world.order(Duration::from_secs(2), RunOptions::default()).await;
    until_delivering(&run).await;
    let result = |event: &JobEvent<MergesEvent>| match event {
        JobEvent::ResultAccepted { blob, .. } => Some(blob.reference),
        _ => None,
    };
    let last = log_of(&run).await.iter().rev().find_map(result).unwrap();
    let name = last.to_string();
    let path = world.service.data_dir().join("blobs").join(&name[..2]).join(&name);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[5] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    is_right(&end_of(&run).await.0);
    let log = log_of(&run).await;
    assert!(log.contains(&JobEvent::ResultLost { blob: last }), "{log:?}");
    assert!(!log.iter().any(|event| matches!(event, JobEvent::Failed { .. })));
    let starts = log.iter().filter(|event| matches!(event, JobEvent::ClientStarted { .. }));
    assert_eq!(starts.count(), 1, "it was one run");
    world.service.close().await;
}
