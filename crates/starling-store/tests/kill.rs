//! A store and its roots across `kill -9`: a child process puts, roots and collects without end, and is killed at
//! any moment, again and again in one directory.

#![allow(clippy::unwrap_used)]

use std::{
    collections::BTreeSet,
    env,
    path::Path,
    process::{Command, Stdio},
    thread::sleep,
    time::Duration,
};

use starling_store::{BlobStore, DataDir, DiskBudget, Entry, EventLog, Pin, RootName};
use starling_types::{BlobRef, JobId, Reference};

/// Tells the child what it is, and which directory to work in.
const WORK_VARIABLE: &str = "STARLING_TEST_KILLED_STORE";
const KILL_COUNT: u64 = 200;
/// How long a child lives at most once it works: some twenty turns of its loop.
const LIFE_MAX: Duration = Duration::from_millis(60);
const JOBS: [JobId; 2] = [JobId([1; 16]), JobId([2; 16])];
/// A job whose root changes though it has no events.
const EVENTLESS: JobId = JobId([3; 16]);

fn open(dir: &Path) -> (EventLog, BlobStore, DataDir) {
    let data = DataDir::open(dir, "a test").unwrap();
    let log = data.log().unwrap();
    let blobs = data.blobs_of(&log, DiskBudget { max_bytes: 1 << 30, min_free_bytes: 0 }).unwrap();
    (log, blobs, data)
}

/// What a generator of some quality makes of a number.
fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed ^ (mixed >> 27)
}

/// Some of few contents, so that one that was collected is put again, and several roots name one.
fn put(blobs: &BlobStore, random: u64) -> Pin {
    let size_bytes = 1 + random % 40;
    blobs.put(&vec![7; size_bytes as usize * 1000]).unwrap()
}

/// What the child does until it is killed.
#[test]
#[ignore = "no test of its own: run by the one below, in a child process"]
fn work_when_told_to() {
    let Some(path) = env::var_os(WORK_VARIABLE) else { return };
    let (log, blobs, _data) = open(Path::new(&path));
    let mut state = u64::from(std::process::id());
    eprintln!("!");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            loop {
                blobs.collect().unwrap();
            }
        });
        loop {
            let job = JOBS[random(&mut state) as usize % JOBS.len()];
            let pin = put(&blobs, random(&mut state));
            match random(&mut state) % 8 {
                0 => {
                    let done = Entry::of_job(job, 0).event("done", &*pin).unwrap();
                    log.append_blocking(done.holding_only([]).holding([pin])).unwrap();
                }
                1 => drop(log.append_blocking(Entry::of_job(job, 0).anew()).unwrap()),
                2 => log.root(RootName::from(EVENTLESS)).replace([pin]).unwrap(),
                3 => log.root(RootName::from(EVENTLESS)).add([pin]).unwrap(),
                4 => log.root(RootName::from(EVENTLESS)).remove().unwrap(),
                _ => {
                    let stored = Entry::of_job(job, 0).event("stored", &*pin).unwrap();
                    log.append_blocking(stored.holding([pin])).unwrap();
                }
            }
        }
    });
}

/// What the events of a job say that it needs.
fn needed(log: &EventLog, job: JobId) -> BTreeSet<Reference> {
    let mut needed = BTreeSet::new();
    for event in log.read(job).unwrap() {
        if event.kind == "done" {
            needed.clear();
        }
        needed.insert(serde_json::from_str::<BlobRef>(&event.body).unwrap().reference);
    }
    needed
}

/// All blob files.
fn files(dir: &Path) -> BTreeSet<Reference> {
    let mut found = BTreeSet::new();
    for shard in std::fs::read_dir(dir.join("blobs")).unwrap() {
        for file in std::fs::read_dir(shard.unwrap().path()).unwrap() {
            found.insert(file.unwrap().file_name().to_str().unwrap().parse().unwrap());
        }
    }
    found
}

#[test]
fn no_rooted_blob_is_lost_and_no_other_stays_wherever_a_process_is_killed() {
    use std::io::Read as _;

    let dir = tempfile::tempdir().unwrap();
    let mut state = 1;
    let mut rooted_count = 0;
    for round in 0..KILL_COUNT {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--ignored", "--exact", "work_when_told_to", "--nocapture"])
            .env(WORK_VARIABLE, dir.path())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stderr.take().unwrap().read_exact(&mut [0]).unwrap();
        sleep(Duration::from_micros(random(&mut state) % LIFE_MAX.as_micros() as u64));
        assert!(child.try_wait().unwrap().is_none(), "the child failed by itself");
        child.kill().unwrap();
        child.wait().unwrap();

        let (log, blobs, _data) = open(dir.path());
        let mut rooted = log.root(RootName::from(EVENTLESS)).references();
        for job in JOBS {
            let references = log.root(job.into()).references();
            assert_eq!(references, needed(&log, job), "the root of {job}, round {round}");
            rooted.extend(references);
        }
        blobs.collect().unwrap();
        for reference in &rooted {
            let kept = blobs.pin(*reference).unwrap();
            assert!(kept.is_some(), "rooted {reference} is gone, round {round}");
        }
        assert_eq!(files(dir.path()), rooted, "blobs that no root names, round {round}");
        rooted_count += rooted.len();
    }
    assert!(rooted_count > KILL_COUNT as usize, "hardly anything was ever rooted: {rooted_count}");
}
