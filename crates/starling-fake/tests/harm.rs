//! Harm that comes to jobs of the fake system in a service of this process: others that are cancelled beside them, nodes that
//! report what is another job's, sources that change their story, and disks that lose what was accepted. Nodes are processes.

#![allow(clippy::unwrap_used)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use starling_client::{
    JobError, NetworkOptions, RunOptions,
    shell::{Client, JobHandle, Service, System},
};
use starling_fake::{
    Claimant, Expected, Merges, MergesEvent, Request, Running, Segments, SegmentsEvent, Sum, Sums,
    node, raw,
};
use starling_job::JobEvent;
use starling_proto::GoodbyeReason;
use starling_types::{BlobRef, JobId, Reference, Task};
use tempfile::TempDir;

/// No step takes so long, unless something hangs.
const HANGS_AFTER: Duration = Duration::from_secs(60);

/// A service, its nodes and its disk.
struct World<S: System> {
    service: Service<S>,
    nodes: Vec<Running>,
    dir: TempDir,
}

impl<S: System<Delivered = Sums>> World<S> {
    async fn new() -> Self {
        Self::on(tempfile::tempdir().unwrap()).await
    }

    /// A service on a directory that may have been another's.
    async fn on(dir: TempDir) -> Self {
        let path = dir.path().join("client");
        let began = Instant::now();
        let client = loop {
            match Client::open(&path, "a test", 1 << 30) {
                Ok(client) => break client,
                // What runs beside a service that has ended may still have it.
                Err(error) => assert!(began.elapsed() < HANGS_AFTER, "{error}"),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        let service = Service::start(client, NetworkOptions::default()).await.unwrap();
        Self { service, nodes: Vec::new(), dir }
    }

    fn add_node(&mut self, key: u8, manners: &str) {
        let _ = env!("CARGO_BIN_EXE_starling-fake-prover");
        let programs = Path::new(env!("CARGO_BIN_EXE_starling-fake-node")).parent().unwrap();
        let home = self.dir.path().join(format!("node-{key}"));
        let ticket = self.service.ticket().to_string();
        self.nodes.push(node(programs, &ticket, &home, key, manners).unwrap());
    }

    /// Orders a job, as every command does: it is made if it is not there, and runs.
    async fn order(
        &self,
        request: Request,
        create: fn(&Client<S>, Request) -> Result<JobId, JobError>,
    ) -> JobHandle<S> {
        let client = self.service.client().clone();
        let create = move || create(&client, request).unwrap();
        let job = tokio::task::spawn_blocking(create).await.unwrap();
        self.service.submit(job, RunOptions::default())
    }

    /// The file of a blob.
    fn path_of(&self, blob: Reference) -> PathBuf {
        let name = blob.to_string();
        self.dir.path().join("client/blobs").join(&name[..2]).join(&name)
    }

    /// The blobs on the disk.
    fn on_disk(&self) -> BTreeSet<String> {
        let folders = fs::read_dir(self.dir.path().join("client/blobs")).unwrap();
        let folders = folders.map(|folder| folder.unwrap().path()).filter(|path| path.is_dir());
        let files = folders.flat_map(|folder| fs::read_dir(folder).unwrap());
        files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect()
    }

    /// Ends the service, and leaves its disk.
    async fn close(self) -> TempDir {
        self.service.close().await;
        self.dir
    }
}

async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(HANGS_AFTER, future).await.expect("hangs")
}

/// What a job delivers, which it does soon.
async fn delivered<S: System<Delivered = Sums>>(run: &JobHandle<S>) -> Sums {
    soon(run.result()).await.unwrap().to_vec()
}

async fn stop<S: System<Delivered = Sums>>(run: JobHandle<S>) {
    run.stop();
    let error = soon(run.result()).await.unwrap_err();
    assert!(matches!(*error, JobError::Interrupted { .. }), "{error}");
}

async fn log_of<S: System>(run: &JobHandle<S>) -> Vec<JobEvent<S::Event>> {
    run.events(0).await.unwrap().into_iter().map(|(_, event)| event).collect()
}

/// What was accepted, in order.
fn accepted<E>(log: &[JobEvent<E>]) -> Vec<(Task, BlobRef)> {
    let result = |event: &JobEvent<E>| match event {
        JobEvent::ResultAccepted { task, blob, .. } => Some((*task, *blob)),
        _ => None,
    };
    log.iter().filter_map(result).collect()
}

/// What was accepted more than once.
fn accepted_again<E>(log: &[JobEvent<E>]) -> BTreeSet<Task> {
    let mut counts: BTreeMap<Task, u32> = BTreeMap::new();
    for (task, _) in accepted(log) {
        *counts.entry(task).or_default() += 1;
    }
    counts.into_iter().filter(|(_, count)| *count > 1).map(|(task, _)| task).collect()
}

fn lost<E>(log: &[JobEvent<E>]) -> BTreeSet<Reference> {
    let lost = |event: &JobEvent<E>| match event {
        JobEvent::ResultLost { blob } => Some(*blob),
        _ => None,
    };
    log.iter().filter_map(lost).collect()
}

async fn until_accepted<S: System>(run: &JobHandle<S>, count: usize) {
    let enough = async {
        while accepted(&log_of(run).await).len() < count {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    soon(enough).await;
}

/// The sum of so many pieces of raw data from `first` on.
fn sum(first: u32, count: u32, size_bytes: u32) -> Sum {
    let raw: Vec<_> = (first..first + count).map(|index| raw(index, size_bytes)).collect();
    Expected::of(raw.iter().map(Vec::as_slice)).whole().unwrap()
}

/// What a job of segments delivers whose raw data begins with `first`.
fn resolved(first: u32, Request { count, size_bytes }: Request) -> Sum {
    let segments = sum(first, count, size_bytes);
    match count / 8 {
        0 => segments,
        keccaks => segments.joined(sum(first + count, keccaks, size_bytes)).unwrap(),
    }
}

/// Both jobs are asked with the same raw data, and have many results in common: what one lets go of is the other's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_jobs_one_is_cancelled_while_garbage_goes_and_the_disk_keeps_what_the_other_names_and_no_more()
 {
    const KEPT: Request = Request { count: 40, size_bytes: 20_000 };
    let mut world = World::<Merges>::new().await;
    world.add_node(1, "pace=10");
    world.add_node(2, "pace=10");
    let kept = world.order(KEPT, Merges::create).await;
    let cancelled = world.order(Request { count: 30, ..KEPT }, Merges::create).await;
    let (client, is_over) = (world.service.client().clone(), Arc::new(AtomicBool::new(false)));
    let until = is_over.clone();
    let littering = tokio::task::spawn_blocking(move || {
        let mut size_bytes = 100;
        // The last time, nothing else goes on.
        loop {
            let is_last = until.load(Ordering::Relaxed);
            let litter = Merges::create(&client, Request { count: 3, size_bytes }).unwrap();
            client.cancel(litter).unwrap();
            size_bytes += 1;
            if is_last {
                return size_bytes - 100;
            }
        }
    });
    until_accepted(&kept, 5).await;
    until_accepted(&cancelled, 5).await;
    world.service.cancel(cancelled.id()).await.unwrap();
    assert_eq!(delivered(&kept).await, [sum(0, KEPT.count, KEPT.size_bytes).finish()]);
    is_over.store(true, Ordering::Relaxed);
    let rounds = littering.await.unwrap();
    assert!(rounds > 3, "garbage went {rounds} times");
    let log = log_of(&kept).await;
    assert_eq!((lost(&log), accepted_again(&log)), ([].into(), [].into()));
    let named = |event: &JobEvent<MergesEvent>| match event {
        JobEvent::Own(MergesEvent::Done { result }) => Some(result.reference.to_string()),
        _ => None,
    };
    let named: BTreeSet<String> = log.iter().filter_map(named).collect();
    assert_eq!((named.len(), world.on_disk()), (1, named));
    world.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_reports_what_is_another_jobs_is_dismissed_and_the_other_job_keeps_it_and_ends() {
    const ROBBED: Request = Request { count: 12, size_bytes: 1000 };
    const OTHER: Request = Request { count: 5, size_bytes: 900 };
    let mut world = World::<Segments>::new().await;
    world.add_node(1, "pace=60");
    let robbed = world.order(ROBBED, Segments::create).await;
    until_accepted(&robbed, 4).await;
    let log = log_of(&robbed).await;
    stop(robbed).await;
    world.nodes.clear();
    let put_out = |event: &JobEvent<SegmentsEvent>| match event {
        JobEvent::Own(SegmentsEvent::Segment { blob, .. }) => Some((false, *blob)),
        JobEvent::Own(SegmentsEvent::Ended { journal }) => Some((true, *journal)),
        _ => None,
    };
    let put_out: BTreeMap<bool, BlobRef> = log.iter().filter_map(put_out).collect();
    let receipt = accepted(&log).last().unwrap().1;
    // The last segment, the journal, and what was accepted of another task.
    let claims = [put_out[&false], put_out[&true], receipt];

    let other = world.order(OTHER, Segments::create).await;
    for (key, blob) in (10..).zip(claims) {
        let liar = Claimant::start(key, &world.service.ticket().0, move |_| blob).await.unwrap();
        assert_eq!(soon(liar.ended()).await, Some(GoodbyeReason::Dismissed), "{key}");
        assert!(world.path_of(blob.reference).exists(), "{key}");
    }
    world.add_node(2, "pace=10");
    assert_eq!(delivered(&other).await, [resolved(0, OTHER)]);
    let robbed = world.order(ROBBED, Segments::create).await;
    assert_eq!(delivered(&robbed).await, [resolved(0, ROBBED)]);
    for log in [log_of(&robbed).await, log_of(&other).await] {
        assert_eq!((lost(&log), accepted_again(&log)), ([].into(), [].into()));
        assert!(!log.iter().any(|event| matches!(event, JobEvent::Restarted { .. })));
    }
    world.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_that_tells_another_story_in_a_later_run_starts_its_job_over_once_and_keeps_its_nodes()
 {
    const REQUEST: Request = Request { count: 12, size_bytes: 1000 };
    let mut world = World::<Segments>::new().await;
    // Slow enough that most segments are still to be proved when it is stopped.
    world.add_node(1, "pace=120");
    let first = world.order(REQUEST, Segments::create_diverging).await;
    until_accepted(&first, 3).await;
    let log = log_of(&first).await;
    stop(first).await;
    // A segment that is still to be proved: the source has to put it out again.
    let segment = log.iter().rev().find_map(|event| match event {
        JobEvent::Own(SegmentsEvent::Segment { blob, .. }) => Some(*blob),
        _ => None,
    });
    fs::remove_file(world.path_of(segment.unwrap().reference)).unwrap();
    let second = world.order(REQUEST, Segments::create_diverging).await;
    assert_eq!(delivered(&second).await, [resolved(Segments::OTHER_STORY, REQUEST)]);
    assert!(world.nodes[0].0.try_wait().unwrap().is_none(), "nobody said goodbye to it");

    let log = log_of(&second).await;
    let over = log.iter().position(|event| matches!(event, JobEvent::Restarted { .. })).unwrap();
    let (before, after) = log.split_at(over);
    let starts = |log: &[JobEvent<SegmentsEvent>]| {
        log.iter().filter(|event| matches!(event, JobEvent::ClientStarted { .. })).count()
    };
    assert_eq!((starts(before), starts(after)), (2, 1));
    let restarts = after.iter().filter(|event| matches!(event, JobEvent::Restarted { .. }));
    assert_eq!(restarts.count(), 1);
    let tasks: BTreeSet<Task> = accepted(after).into_iter().map(|(task, _)| task).collect();
    // Lifts, joins, the one keccak proof, and what resolves it.
    assert_eq!((tasks.len(), accepted(after).len()), (12 + 11 + 2, 12 + 11 + 2));
    world.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn accepted_results_that_are_damaged_or_deleted_between_two_runs_are_made_again_and_no_more()
{
    const REQUEST: Request = Request { count: 12, size_bytes: 1000 };
    let mut world = World::<Segments>::new().await;
    world.add_node(1, "pace=60");
    let first = world.order(REQUEST, Segments::create).await;
    until_accepted(&first, 4).await;
    let log = log_of(&first).await;
    stop(first).await;
    let [damaged, deleted] = [accepted(&log)[1], accepted(&log)[2]];
    let path_of = [damaged, deleted].map(|(_, blob)| world.path_of(blob.reference));
    world.nodes.clear();
    let dir = world.close().await;
    let mut bytes = fs::read(&path_of[0]).unwrap();
    bytes[9] ^= 1;
    fs::write(&path_of[0], bytes).unwrap();
    fs::remove_file(&path_of[1]).unwrap();

    let mut world = World::<Segments>::on(dir).await;
    world.add_node(2, "pace=10");
    let second = world.order(REQUEST, Segments::create).await;
    assert_eq!(delivered(&second).await, [resolved(0, REQUEST)]);
    let log = log_of(&second).await;
    assert_eq!(lost(&log), BTreeSet::from([damaged, deleted].map(|(_, blob)| blob.reference)));
    assert_eq!(accepted_again(&log), BTreeSet::from([damaged, deleted].map(|(task, _)| task)));
    world.close().await;
}
