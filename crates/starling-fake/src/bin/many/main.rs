//! Measures one job with many nodes: `starling-fake-many [--nodes N] [--segments N]`. The client is this process, the nodes
//! and their provers are processes of their own. It says how long the job takes, how many events its loop takes in a second,
//! the most memory that the client has, and the most that its blobs take on the disk beside the most that its plan needs. It
//! fails when memory or disk is more than the goals allow.

mod counted;
mod disk;

use std::{
    error::Error,
    fs, io,
    path::Path,
    time::{Duration, Instant},
};

use starling_client::{
    NetworkOptions, RunOptions, meter,
    shell::{Client, Service},
};
use starling_fake::{Request, Running, Segments, node};

use self::{counted::Counted, disk::Disk};

/// What the blobs may take.
const DISK_BYTES: u64 = 8 << 30;

/// How large a segment is; a result is as large.
const SIZE_BYTES: u32 = 20_000;

/// The goals: the client's memory, whatever the job's length; and of a long job its blobs, in hundredths of what the plan
/// needs. In a short one what is on its way outweighs the rest.
const MEMORY_BYTES_MAX: u64 = 200_000_000;
const DISK_PERCENT_MAX: u64 = 120;
const SEGMENTS_OF_A_LONG_JOB: u32 = 10_000;

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
    let counted = Counted::install()?;
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
    let Disk { used_max, total_max, needed_max, .. } = disk;
    let per_second = |name: &str| counted.count(name) as f64 / seconds;
    let megabytes = |bytes: u64| bytes as f64 / 1e6;
    println!("nodes            {nodes}");
    println!("segments         {segments}, {SIZE_BYTES} bytes each, results as large");
    println!("result           {} over {}", outcome.len(), outcome[0].range);
    println!("time             {seconds:.1} s");
    println!("events           {:.0} a second", per_second(meter::EVENTS));
    println!("logged           {:.0} a second", per_second(meter::LOGGED));
    println!("client's memory  {:.1} MB at its peak", megabytes(peak_bytes));
    println!("blobs            {:.1} MB at their peak", megabytes(total_max));
    println!("  of a root      {:.1} MB at most", megabytes(used_max.rooted_bytes));
    println!("  pinned         {:.1} MB at most", megabytes(used_max.pinned_bytes));
    println!("  garbage        {:.1} MB at most", megabytes(used_max.garbage_bytes));
    println!("  coming, going  {:.1} MB at most", megabytes(used_max.changing_bytes));
    println!("the plan needed  {:.1} MB at its peak", megabytes(needed_max));
    println!("ratio            {:.3}", total_max as f64 / needed_max as f64);
    println!("log              {:.1} MB", megabytes(log_bytes));
    service.close().await;
    drop(running);
    if peak_bytes > MEMORY_BYTES_MAX {
        return Err("the client took more memory than the goal allows".into());
    }
    let is_long = segments >= SEGMENTS_OF_A_LONG_JOB;
    if is_long && total_max * 100 > needed_max * DISK_PERCENT_MAX {
        return Err("the blobs took more of the disk than the goal allows".into());
    }
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
