//! Blobs that a store takes in a second from several threads, while another lets go of them and collects, on the disk of the
//! temporary directory: `cargo bench -p starling-store --bench blobs`. `TMPDIR` chooses another disk.

#![allow(clippy::unwrap_used)]

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use starling_store::{BlobStore, DiskBudget};

/// How long each figure is measured.
const MEASURED: Duration = Duration::from_secs(5);

/// About what a lifted receipt has.
const BLOB_SIZE_BYTES: usize = 250_000;

/// How often it is collected: what thousands of blobs a minute let go.
const COLLECT_PERIOD: Duration = Duration::from_millis(50);

/// `putter_count` threads that put blob after blob and let each go at once; the blobs in all, and the longest that a put took.
fn measure(putter_count: u64) -> (u64, Duration) {
    let dir = tempfile::tempdir().unwrap();
    let budget = DiskBudget { max_bytes: u64::MAX, min_free_bytes: 0 };
    let blobs = &BlobStore::open(&dir.path().join("blobs"), budget).unwrap();
    let (started, is_over) = (Instant::now(), &AtomicBool::new(false));
    thread::scope(|scope| {
        scope.spawn(move || {
            while !is_over.load(Ordering::Relaxed) {
                thread::sleep(COLLECT_PERIOD);
                blobs.collect().unwrap();
            }
        });
        let putters: Vec<_> = (0..putter_count)
            .map(|putter| scope.spawn(move || put(blobs, putter, started)))
            .collect();
        let measured = putters.into_iter().map(|putter| putter.join().unwrap());
        let (counts, slowest): (Vec<_>, Vec<_>) = measured.unzip();
        is_over.store(true, Ordering::Relaxed);
        (counts.iter().sum(), slowest.into_iter().max().unwrap())
    })
}

fn put(blobs: &BlobStore, putter: u64, started: Instant) -> (u64, Duration) {
    let mut content = vec![7; BLOB_SIZE_BYTES];
    let (mut count, mut slowest) = (0_u64, Duration::ZERO);
    while started.elapsed() < MEASURED {
        content[..8].copy_from_slice(&putter.to_le_bytes());
        content[8..16].copy_from_slice(&count.to_le_bytes());
        let asked = Instant::now();
        drop(blobs.put(&content).unwrap());
        slowest = slowest.max(asked.elapsed());
        count += 1;
    }
    (count, slowest)
}

fn main() {
    for putter_count in [1, 4, 16, 64] {
        let started = Instant::now();
        let (count, slowest) = measure(putter_count);
        let rate = count as f64 / started.elapsed().as_secs_f64();
        println!("{putter_count:>3} puts at a time: {rate:>6.0} blobs/s, slowest {slowest:?}");
    }
}
