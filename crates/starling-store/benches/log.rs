//! Events that the log takes in a second, on the disk of the temporary directory: `cargo bench -p starling-store`.
//! `TMPDIR` chooses another disk.

#![allow(clippy::unwrap_used)]

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use starling_store::{Entry, EventLog};
use starling_types::JobId;
use tokio::task::JoinSet;

/// How long each figure is measured.
const MEASURED: Duration = Duration::from_secs(5);

/// The body of a usual event: the acceptance of a receipt has about as many bytes.
const BODY: [u8; 64] = [7; 64];

fn entry(job: u8) -> Entry {
    Entry::of_job(JobId([job; 16]), 0).event("measured", &hex(&BODY)).unwrap()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `appender_count` tasks that each wait for an append before the next.
async fn measure(appender_count: u8) {
    let dir = tempfile::tempdir().unwrap();
    let log = Arc::new(EventLog::open(&dir.path().join("starling.db")).unwrap());
    let started = Instant::now();
    let mut appenders = JoinSet::new();
    for job in 0..appender_count {
        let log = log.clone();
        appenders.spawn(async move {
            let (mut count, mut slowest) = (0_u64, Duration::ZERO);
            while started.elapsed() < MEASURED {
                let asked = Instant::now();
                log.hand_over(entry(job)).await.unwrap();
                slowest = slowest.max(asked.elapsed());
                count += 1;
            }
            (count, slowest)
        });
    }
    let measured = appenders.join_all().await;
    let elapsed = started.elapsed();
    let count: u64 = measured.iter().map(|(count, _)| count).sum();
    let slowest = measured.iter().map(|(_, slowest)| slowest).max().unwrap();
    let rate = count as f64 / elapsed.as_secs_f64();
    println!("{appender_count:>3} appends at a time: {rate:>8.0} events/s, slowest {slowest:?}");
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    for appender_count in [1, 8, 64, 250] {
        measure(appender_count).await;
    }
}
