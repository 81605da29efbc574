//! The real client with too little room on its disk: it waits, and goes on when there is some; where there is none ever, it says
//! so.

use std::{path::Path, time::Duration};

use starling_client::{
    JobError, JobProgress, NetworkOptions, RunOptions,
    shell::{Client, JobHandle, Service},
};
use starling_fake::{Request, Running, Segments, node};
use starling_job::JobEvent;
use starling_store::{Pin, StoreError};
use tempfile::TempDir;

use crate::soon;

/// How large segments and results are.
const SIZE_BYTES: u32 = 10_000;

struct Network {
    client: Client<Segments>,
    service: Service<Segments>,
    job: JobHandle<Segments>,
    _nodes: Vec<Running>,
    _dir: TempDir,
}

impl Network {
    /// A job of so many segments, a client whose blobs may take so much, and two nodes.
    async fn start(count: u32, disk_budget_bytes: u64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("client");
        let client = Client::<Segments>::open(&path, "a test", disk_budget_bytes).unwrap();
        let request = Request { count, size_bytes: SIZE_BYTES };
        let job = Segments::create(&client, request).unwrap();
        let service = Service::start(client.clone(), NetworkOptions::default()).await.unwrap();
        let job = service.submit(job, RunOptions::default());
        let programs = Path::new(env!("CARGO_BIN_EXE_starling-fake-node")).parent().unwrap();
        let ticket = service.ticket().to_string();
        let start = |key: u8| {
            let dir = dir.path().join(format!("node-{key}"));
            node(programs, &ticket, &dir, key, &format!("pace=10,size={SIZE_BYTES}")).unwrap()
        };
        let nodes = [1, 2].map(start).into();
        Self { client, service, job, _nodes: nodes, _dir: dir }
    }

    /// How many results are accepted.
    async fn accepted_count(&self) -> usize {
        let events = self.job.events(0).await.unwrap();
        let is_one = |event: &JobEvent<_>| matches!(event, JobEvent::ResultAccepted { .. });
        events.iter().filter(|(_, event)| is_one(event)).count()
    }

    /// Waits until the job says so of itself.
    async fn until(&self, is_so: impl Fn(&JobProgress) -> bool) -> JobProgress {
        let mut progress = self.job.progress();
        soon(progress.wait_for(|now| is_so(now))).await.unwrap().clone()
    }

    /// Waits for the end, which must be a good one.
    async fn ends_well(self, count: u32) {
        let delivered = soon(self.job.result()).await.unwrap();
        assert_eq!((delivered[0].range.start(), delivered[0].range.end()), (0, count));
        assert_eq!(self.accepted_count().await, results(count), "nothing is proved twice");
        let events = self.job.events(0).await.unwrap();
        let is_start = |event: &JobEvent<_>| matches!(event, JobEvent::ClientStarted { .. });
        assert_eq!(events.iter().filter(|(_, event)| is_start(event)).count(), 1);
        self.service.close().await;
    }
}

/// The results of a job of so many segments: lifts and joins, the same of the keccak requests, and the one resolve.
fn results(count: u32) -> usize {
    let (segments, keccaks) = (count as usize, count as usize / 8);
    2 * segments - 1 + 2 * keccaks - 1 + 1
}

/// Takes all the room that there is, but for what holds no result. `pins` are of what was taken so far.
fn fill(client: &Client<Segments>, pins: &mut Vec<Pin>) {
    let mut size_bytes = 1 << 20;
    while size_bytes > 1000 {
        let content = (pins.len() as u64).to_le_bytes().repeat(size_bytes / 8);
        match client.put(&content) {
            Ok(pin) => pins.push(pin),
            Err(JobError::Store(StoreError::NoSpace(_))) => size_bytes /= 2,
            Err(error) => panic!("{error}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_of_more_than_its_disk_takes_is_executed_as_results_make_room() {
    const COUNT: u32 = 80;
    let network = Network::start(COUNT, 20 * u64::from(SIZE_BYTES)).await;
    let progress = network.until(|now| now.lacks_room.is_some()).await;
    let said = progress.lacks_room.unwrap();
    let dir = network._dir.path().join("client/blobs").display().to_string();
    for word in ["200000 bytes of the disk budget", &dir] {
        assert!(said.contains(word), "{said}");
    }
    network.ends_well(COUNT).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn results_that_find_no_room_wait_with_their_nodes_until_there_is_some() {
    const COUNT: u32 = 120;
    let network = Network::start(COUNT, 200 * u64::from(SIZE_BYTES)).await;
    while network.accepted_count().await < 5 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // What is on its way makes room once it is accepted: that is taken as well, until nothing goes on for a while.
    let stands_still = |now: &JobProgress| now.lacks_room.is_some() && now.nodes_busy == 0;
    let mut ballast = Vec::new();
    let filled = async {
        let mut since = tokio::time::Instant::now();
        while since.elapsed() < Duration::from_secs(1) {
            let (client, mut taken) = (network.client.clone(), std::mem::take(&mut ballast));
            let filling = tokio::task::spawn_blocking(move || {
                fill(&client, &mut taken);
                taken
            });
            ballast = filling.await.unwrap();
            if !stands_still(&network.job.progress().borrow()) {
                since = tokio::time::Instant::now();
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        network.job.progress().borrow().clone()
    };
    let progress = soon(filled).await;
    assert!(progress.waiting.is_none(), "{:?}", progress.waiting);
    let accepted = network.accepted_count().await;
    assert!(accepted < results(COUNT), "{accepted}: there is something left to do");
    drop(ballast);
    network.until(|now| now.lacks_room.is_none()).await;
    network.ends_well(COUNT).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_of_little_is_done_under_a_budget_of_little_more() {
    // Two segments, their results and the join of these are never there at once.
    let network = Network::start(2, 4 * u64::from(SIZE_BYTES)).await;
    soon(network.job.result()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_a_budget_can_never_hold_ends_with_what_it_needs_though_nodes_are_there() {
    const COUNT: u32 = 40;
    // A segment and no result beside it.
    let size_bytes = u64::from(SIZE_BYTES);
    let network = Network::start(COUNT, 2 * size_bytes - 1).await;
    let began = std::time::Instant::now();
    let error = soon(network.job.result()).await.unwrap_err();
    let JobError::NoRoom { reason } = &*error else { panic!("{error}") };
    for word in ["no space for 10000 bytes and 10000 for results", "of the 19999 bytes"] {
        assert!(reason.contains(word), "{reason}");
    }
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}
