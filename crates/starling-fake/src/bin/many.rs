//! Measures one job with many nodes: `starling-fake-many [--nodes N] [--segments N]`. The client is this process, the nodes
//! and their provers are processes of their own. It says how long the job takes, the most memory that the client has, and
//! the most that its blobs take on the disk beside the most that its plan needs.

use std::{
    collections::BTreeMap,
    error::Error,
    fs, io,
    path::Path,
    time::{Duration, Instant},
};

use starling_client::{
    NetworkOptions, RunOptions,
    shell::{Client, JobHandle, Service, System as _},
};
use starling_fake::{Request, Running, Segments, SegmentsEvent, node};
use starling_job::{JobEvent, JobState, Script as _};
use starling_plan::{Certainty, Plan, ZkvmPlan};

/// What the blobs may take.
const DISK_BYTES: u64 = 8 << 30;

/// How large a segment is; a result is as large.
const SIZE_BYTES: u32 = 20_000;

/// How often it is looked at the disk.
const PERIOD: Duration = Duration::from_millis(250);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (mut nodes, mut segments) = (50_u8, 10_000_u32);
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let value = arguments.next().ok_or("a flag without a value")?;
        match name.as_str() {
            "--nodes" => nodes = value.parse()?,
            "--segments" => segments = value.parse()?,
            _ => return Err(format!("{name} is none of --nodes N, --segments N").into()),
        }
    }
    let dir = tempfile::tempdir()?;
    let client_dir = dir.path().join("client");
    let client = Client::<Segments>::open(&client_dir, "a measurement", DISK_BYTES)?;
    let request = Request { count: segments, size_bytes: SIZE_BYTES };
    let job = Segments::create(&client, request)?;
    let service = Service::start(client.clone(), NetworkOptions::default()).await?;
    let running = start_nodes(nodes, &service.ticket().to_string(), dir.path())?;
    let started = Instant::now();
    let handle = service.submit(job, RunOptions::default());
    let mut disk = Disk::new(&client, handle.clone());
    let result = handle.result();
    tokio::pin!(result);
    let outcome = loop {
        tokio::select! {
            outcome = &mut result => break outcome?,
            () = tokio::time::sleep(PERIOD) => disk.look().await?,
        }
    };
    let seconds = started.elapsed().as_secs_f64();
    let log_bytes = log_bytes(&client_dir)?;
    let peak_bytes = memory_peak_bytes()?;
    let Disk { used_max, needed_max, .. } = disk;
    println!("nodes            {nodes}");
    println!("segments         {segments}, {SIZE_BYTES} bytes each, results as large");
    println!("result           {} over {}", outcome.len(), outcome[0].range);
    println!("time             {seconds:.1} s");
    println!("client's memory  {:.1} MB at its peak", peak_bytes as f64 / 1e6);
    println!("blobs            {:.1} MB at their peak", used_max as f64 / 1e6);
    println!("the plan needed  {:.1} MB at its peak", needed_max as f64 / 1e6);
    println!("ratio            {:.3}", used_max as f64 / needed_max as f64);
    println!("log              {:.1} MB", log_bytes as f64 / 1e6);
    service.close().await;
    drop(running);
    Ok(())
}

fn start_nodes(count: u8, ticket: &str, dir: &Path) -> io::Result<Vec<Running>> {
    let program = std::env::current_exe()?;
    let programs = program.parent().unwrap_or(Path::new("."));
    let manners = format!("size={SIZE_BYTES}");
    let one = |key: u8| {
        let dir = dir.join(format!("node-{key}"));
        node(programs, ticket, &dir, key, &manners)
    };
    (1..=count).map(one).collect()
}

/// What the client's blobs take, beside what its plan needs by what the log says.
struct Disk {
    client: Client<Segments>,
    handle: JobHandle<Segments>,
    seen: u64,
    state: Option<(JobState<Segments>, ZkvmPlan)>,
    used_max: u64,
    needed_max: u64,
}

impl Disk {
    fn new(client: &Client<Segments>, handle: JobHandle<Segments>) -> Self {
        Self { client: client.clone(), handle, seen: 0, state: None, used_max: 0, needed_max: 0 }
    }

    async fn look(&mut self) -> Result<(), Box<dyn Error>> {
        let used = self.client.blob_bytes();
        for (seq, event) in self.handle.events(self.seen).await? {
            self.seen = seq;
            self.follow(event)?;
        }
        let Some((state, plan)) = &self.state else { return Ok(()) };
        let live = plan.live_blobs().chain(state.kept_blobs());
        let live: BTreeMap<_, _> = live.map(|blob| (blob.reference, blob.size_bytes)).collect();
        self.used_max = self.used_max.max(used);
        self.needed_max = self.needed_max.max(live.values().sum());
        Ok(())
    }

    fn follow(&mut self, event: JobEvent<SegmentsEvent>) -> Result<(), Box<dyn Error>> {
        let Some((state, plan)) = &mut self.state else {
            let JobEvent::Own(created) = event else { return Err("a log without a job".into()) };
            let script = Segments::created(self.handle.id(), created, 0).ok_or("no job")?;
            let state = JobState::new(script);
            let plan = state.plan();
            self.state = Some((state, plan));
            return Ok(());
        };
        state.apply(&event)?;
        if let JobEvent::ResultAccepted { task, blob, .. } = event {
            Plan::accept(plan, task, blob, Certainty::Final)?;
        }
        while plan.outcome().is_none()
            && let Some(input) = state.next_input(plan)
        {
            plan.input(input)?;
        }
        Ok(())
    }
}

/// The files of the log.
fn log_bytes(dir: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with("starling.db") {
            bytes += entry.metadata()?.len();
        }
    }
    Ok(bytes)
}

/// The most memory that this process has had.
fn memory_peak_bytes() -> Result<u64, Box<dyn Error>> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")).ok_or("no VmHWM")?;
    Ok(kib.trim().parse::<u64>()? << 10)
}
