#![allow(clippy::unwrap_used)]

use std::{path::PathBuf, sync::Barrier, time::Instant};

use serde::Serialize;
use serde_json::json;
use starling_types::Reference;
use tempfile::TempDir;

use super::{schema::SCHEMA_VERSION, *};
use crate::{BlobStore, DiskBudget};

const JOB: JobId = JobId([1; 16]);
const OTHER: JobId = JobId([2; 16]);

fn open() -> (TempDir, PathBuf, EventLog) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("starling.db");
    let log = EventLog::open(&path).unwrap();
    (dir, path, log)
}

fn entry(job: JobId, kind: &'static str, body: &impl Serialize) -> Entry {
    Entry::of_job(job, 0).event(kind, body).unwrap()
}

fn tick(log: &EventLog, job: JobId, body: &impl Serialize) -> u64 {
    log.append_blocking(entry(job, "ticked", body)).unwrap()
}

/// A log that may grow to `page_count` pages: on a full disk.
fn on_full_disk(page_count: i64) -> (TempDir, PathBuf, EventLog) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("starling.db");
    schema::create(&path).unwrap();
    let connection = Connection::open(&path).unwrap();
    connection.pragma_update(None, "max_page_count", page_count).unwrap();
    let log = EventLog::over(connection, &path, None).unwrap();
    (dir, path, log)
}

/// The pages of an empty log, and the first two of its events.
const PAGES: i64 = 5;

fn seqs(events: &[StoredEvent]) -> Vec<u64> {
    events.iter().map(|event| event.seq).collect()
}

#[test]
fn each_job_numbers_its_events_from_one_without_gaps() {
    let (_dir, _path, log) = open();
    let ticked = |job, at_ms, body: u8| {
        log.append_blocking(Entry::of_job(job, at_ms).event("ticked", &body).unwrap()).unwrap()
    };
    for expected in 1..=3 {
        assert_eq!(ticked(JOB, 10, 0), expected);
    }
    assert_eq!(ticked(OTHER, 5, 0), 1);
    assert_eq!(ticked(JOB, 10, 4), 4);
    assert_eq!(seqs(&log.read(JOB).unwrap()), [1, 2, 3, 4]);
    assert_eq!(seqs(&log.read_from(JOB, 2).unwrap()), [3, 4]);
    assert_eq!(seqs(&log.read_from(JOB, u64::MAX).unwrap()), [0; 0]);
    assert_eq!(seqs(&log.read(OTHER).unwrap()), [1]);
    assert_eq!(log.read(JobId([3; 16])).unwrap(), []);
    // The one that began first comes first.
    assert_eq!(log.keys().unwrap(), [OTHER, JOB].map(JobKey::from));
}

#[test]
fn events_and_their_order_survive_a_reopening() {
    let (_dir, path, log) = open();
    log.append_blocking(entry(JOB, "began", &json!({"guest": "fib"}))).unwrap();
    let late = Entry::of_job(JOB, u64::MAX);
    let batch = late.event("cut", &0).unwrap().event("cut", &1).unwrap();
    assert_eq!(log.append_blocking(batch).unwrap(), 3);
    assert_eq!(log.append_blocking(Entry::of_job(JOB, 2)).unwrap(), 3);
    drop(log);
    let log = EventLog::open(&path).unwrap();
    assert_eq!(log.append_blocking(entry(JOB, "ended", &None::<u8>)).unwrap(), 4);
    let events = log.read(JOB).unwrap();
    let said: Vec<_> =
        events.iter().map(|event| (event.seq, event.kind.as_str(), event.body.as_str())).collect();
    let expected = [
        (1, "began", r#"{"guest":"fib"}"#),
        (2, "cut", "0"),
        (3, "cut", "1"),
        (4, "ended", "null"),
    ];
    assert_eq!(said, expected);
    assert_eq!(events[2].at_ms, i64::MAX as u64);
}

#[test]
fn a_forgotten_job_leaves_the_others_alone() {
    let (_dir, _path, log) = open();
    for job in [JOB, JOB, OTHER] {
        tick(&log, job, &());
    }
    for _ in 0..2 {
        assert_eq!(log.append_blocking(Entry::of_job(JOB, 0).anew()).unwrap(), 0);
        assert_eq!(log.keys().unwrap(), [OTHER].map(JobKey::from));
    }
    assert_eq!(tick(&log, JOB, &()), 1);
    assert_eq!(log.append_blocking(entry(JOB, "began", &()).anew()).unwrap(), 1);
    assert_eq!(log.read(JOB).unwrap()[0].kind, "began");
}

#[test]
fn a_reader_sees_what_the_owner_appends_and_needs_no_owner() {
    let (_dir, path, log) = open();
    let reader = LogReader::open(&path).unwrap().unwrap();
    assert_eq!(reader.keys().unwrap(), []);
    tick(&log, JOB, &());
    assert_eq!(seqs(&reader.read(JOB).unwrap()), [1]);
    drop((log, reader));
    let reader = LogReader::open(&path).unwrap().unwrap();
    assert_eq!(reader.keys().unwrap(), [JOB].map(JobKey::from));
}

#[test]
fn a_reader_finds_no_log_where_none_was_set_up() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("starling.db");
    assert!(LogReader::open(&path).unwrap().is_none());
    assert!(!path.exists());
}

#[test]
fn a_log_of_another_starling_or_of_something_else_is_refused() {
    for version in [SCHEMA_VERSION - 1, SCHEMA_VERSION + 1] {
        let (_dir, path, log) = open();
        drop(log);
        let other = Connection::open(&path).unwrap();
        other.pragma_update(None, "user_version", version).unwrap();
        for error in [EventLog::open(&path).unwrap_err(), LogReader::open(&path).unwrap_err()] {
            let said = format!(
                "has schema {version}, but this version of starling knows {SCHEMA_VERSION}"
            );
            assert!(error.to_string().contains(&said), "{error}");
        }
    }
}

/// What stands at the place of a log, and what is said of it.
fn refused(path: &Path) -> String {
    let before = std::fs::read(path).unwrap();
    let errors = [EventLog::open(path).err(), LogReader::open(path).err()];
    assert_eq!(std::fs::read(path).unwrap(), before, "it is left as it is");
    let [owner, reader] = errors.map(|error| match error {
        Some(error @ LogError::Ruined { .. }) => error.to_string(),
        other => panic!("{other:?}"),
    });
    assert_eq!(owner, reader);
    owner
}

#[test]
fn a_file_that_is_no_log_is_refused_in_plain_words_and_left_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let path = log_path(&dir);
    std::fs::write(&path, b"").unwrap();
    let error = refused(&path);
    let name = path.display();
    assert!(
        error.starts_with(&format!("{name} is not a job log that can be read: it is empty.")),
        "{error}"
    );
    assert!(error.ends_with("Put a backup in its place"), "{error}");

    std::fs::write(&path, [7; 8192]).unwrap();
    assert!(refused(&path).contains("file is not a database"));

    std::fs::remove_file(&path).unwrap();
    let foreign = Connection::open(&path).unwrap();
    foreign.execute_batch("CREATE TABLE songs (name TEXT)").unwrap();
    drop(foreign);
    assert!(refused(&path).contains("it is a database of something else"));
}

#[test]
fn a_damaged_log_is_refused_in_plain_words_wherever_the_damage_is_met() {
    let cut = |damage: &dyn Fn(&mut Vec<u8>)| {
        let (dir, path, log) = open();
        log.append_blocking(big()).unwrap();
        drop(log);
        let mut bytes = std::fs::read(&path).unwrap();
        damage(&mut bytes);
        std::fs::write(&path, bytes).unwrap();
        (dir, path)
    };
    let page = 4096;
    // The file's own description, its list of tables, and the events alone.
    let (_dir, path) = cut(&|bytes| bytes[..100].fill(0xff));
    refused(&path);
    let (_dir, path) = cut(&|bytes| bytes[100..page].fill(0xff));
    refused(&path);
    let (_dir, path) = cut(&|bytes| bytes[page..].fill(0xff));
    let error = EventLog::open(&path).and_then(|log| log.read(JOB)).unwrap_err();
    assert!(matches!(error, LogError::Ruined { .. }), "{error}");
    // Its tables are gone, and it is whole otherwise.
    let (_dir, path, log) = open();
    drop(log);
    Connection::open(&path).unwrap().execute_batch("DROP TABLE events").unwrap();
    assert!(refused(&path).contains("its tables are missing"));
}

#[test]
fn a_log_that_another_keeps_locked_is_waited_for_once_whatever_waits_and_taken_again_when_it_is_free()
 {
    let (_dir, path, log) = open();
    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let began = Instant::now();
    let waiting: Vec<_> = (0..3).map(|_| log.hand_over(big())).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    for entry in waiting {
        let error = runtime.block_on(entry).unwrap_err();
        let is_told = matches!(error, LogError::Locked { .. } | LogError::AfterFailure { .. });
        assert!(is_told, "{error}");
    }
    // The first may have been written to by itself, and the others together.
    assert!(began.elapsed() < schema::BUSY_TIMEOUT * 5 / 2, "{:?}", began.elapsed());
    other.execute_batch("ROLLBACK").unwrap();
    log.append_blocking(big()).unwrap();
}

#[cfg(unix)]
#[test]
fn what_is_not_a_file_is_refused_and_no_log_is_made_where_a_link_leads() {
    let dir = tempfile::tempdir().unwrap();
    let path = log_path(&dir);
    let refusals = || [EventLog::open(&path).err(), LogReader::open(&path).err()];
    std::fs::create_dir(&path).unwrap();
    for error in refusals() {
        assert!(error.unwrap().to_string().contains("it is not a file"));
    }
    std::fs::remove_dir(&path).unwrap();
    let elsewhere = dir.path().join("elsewhere");
    std::os::unix::fs::symlink(&elsewhere, &path).unwrap();
    for error in refusals() {
        assert!(error.unwrap().to_string().contains("it is a link that leads to no file"));
    }
    assert!(!elsewhere.exists());
}

#[cfg(unix)]
#[test]
fn a_log_that_is_moved_away_under_its_writer_takes_no_event_until_it_is_back() {
    let (dir, path, log) = open();
    tick(&log, JOB, &());
    let away = dir.path().join("away");
    let append = || log.append_blocking(big());
    for replaced in [false, true] {
        std::fs::rename(&path, &away).unwrap();
        if replaced {
            std::fs::write(&path, "another").unwrap();
        }
        let error = append().unwrap_err();
        assert!(matches!(error, LogError::Gone { .. }), "{error}");
        std::fs::rename(&away, &path).unwrap();
        append().unwrap();
    }
    drop(log);
    let events = LogReader::open(&path).unwrap().unwrap().read(JOB).unwrap();
    assert_eq!(events.len(), 1 + 2 * big().events.len(), "and nothing of the others");
}

#[test]
fn a_process_that_is_killed_before_its_log_is_made_leaves_none() {
    let dir = tempfile::tempdir().unwrap();
    let path = log_path(&dir);
    // What it leaves are files under other names.
    std::fs::write(dir.path().join(".tmpKilled"), b"").unwrap();
    assert!(LogReader::open(&path).unwrap().is_none());
    schema::create(&path).unwrap();
    // One that is there is not replaced.
    let before = std::fs::read(&path).unwrap();
    schema::create(&path).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), before);
    assert!(LogReader::open(&path).unwrap().is_some());
    assert_eq!(tick(&EventLog::open(&path).unwrap(), JOB, &()), 1);
}

#[test]
fn a_missing_event_is_reported_not_skipped() {
    let (_dir, path, log) = open();
    for _ in 0..3 {
        tick(&log, JOB, &());
    }
    let other = Connection::open(path).unwrap();
    other.execute("DELETE FROM events WHERE seq = 2", []).unwrap();
    let error = log.read(JOB).unwrap_err();
    assert!(matches!(error, LogError::Damaged { expected_seq: 2, found_seq: 3, .. }), "{error}");
    assert_eq!(seqs(&log.read_from(JOB, 2).unwrap()), [3]);
    let ends = log.reader.ends(&JOB.into()).unwrap().unwrap();
    assert_eq!((ends.first.seq, ends.last.seq, ends.event_count), (1, 3, 2));
}

/// Changes a log as only something other than Starling does.
fn tamper(path: &Path, change: &str) {
    Connection::open(path).unwrap().execute_batch(change).unwrap();
}

#[test]
fn what_came_to_harm_of_one_job_is_its_own_harm_and_can_be_removed() {
    let (dir, path, log) = open();
    let store = blobs(&dir, &log);
    for job in [JOB, OTHER] {
        let pin = store.put(job.as_bytes()).unwrap();
        log.append_blocking(entry(job, "began", &()).holding([pin])).unwrap();
    }
    tick(&log, JOB, &());
    // An event that is not text, and one of a job whose id lost a byte.
    tamper(
        &path,
        "UPDATE events SET body = CAST(x'22ff22' AS TEXT) WHERE job = x'01010101010101010101010101010101' AND seq = 2",
    );
    tamper(
        &path,
        "UPDATE events SET job = x'020202' WHERE job = x'02020202020202020202020202020202'",
    );
    // A root that is not one.
    tamper(&path, "INSERT INTO roots VALUES ('job/x', x'00')");
    drop((store, log));
    let log = EventLog::open(&path).unwrap();
    let store = blobs(&dir, &log);
    assert_eq!(log.read(JOB).unwrap()[1].body, "", "it is not JSON");
    assert_eq!(log.begun_without(&["ended"]).unwrap().len(), 1, "of the one job that is known");
    let keys = log.keys().unwrap();
    let strays: Vec<_> = keys.iter().filter(|key| key.job().is_none()).collect();
    assert_eq!((keys.len(), strays[0].to_string().as_str()), (2, "020202"));
    assert_eq!(log.rooted_jobs(), [JOB, OTHER].into(), "what the lost one had stays");
    assert_eq!(store.collect().unwrap(), 0);
    log.forget(strays[0].clone()).unwrap();
    log.root(OTHER.into()).remove().unwrap();
    assert_eq!(log.keys().unwrap(), [JobKey::from(JOB)]);
    assert_eq!(store.collect().unwrap(), 16);
}

fn big() -> Entry {
    entry(JOB, "ticked", &()).event("big", &"x".repeat(20_000)).unwrap()
}

#[test]
fn a_full_disk_is_a_clear_error_and_loses_nothing() {
    let (_dir, _path, log) = on_full_disk(PAGES);
    tick(&log, JOB, &());
    let error = log.append_blocking(big()).unwrap_err();
    assert!(matches!(error, LogError::NoSpace { .. }), "{error}");
    assert_eq!(seqs(&log.read(JOB).unwrap()), [1]);
    assert_eq!(tick(&log, JOB, &()), 2);
}

/// Appends entries so that they wait together, and come to the thread as one group or as several.
async fn append_together(log: &EventLog, entries: Vec<Entry>) -> Vec<Result<u64, LogError>> {
    let mut appends: Vec<_> =
        entries.into_iter().map(|entry| Box::pin(log.hand_over(entry))).collect();
    // All are handed over before the first answer is looked at.
    std::future::poll_fn(|context| {
        for append in &mut appends {
            assert!(append.as_mut().poll(context).is_pending(), "the disk is never that quick");
        }
        std::task::Poll::Ready(())
    })
    .await;
    let mut answers = Vec::new();
    for append in appends {
        answers.push(append.await);
    }
    answers
}

#[tokio::test]
async fn what_follows_a_failure_before_it_is_known_fails_with_it_but_other_jobs_do_not() {
    // Polled while the file is locked by somebody else, so that no answer comes too early.
    let (_dir, path, log) = on_full_disk(PAGES);
    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let entries =
        vec![entry(JOB, "ticked", &0), big(), entry(JOB, "ticked", &1), entry(OTHER, "ticked", &2)];
    let appending = append_together(&log, entries);
    let (answers, ()) = tokio::join!(appending, async {
        tokio::task::yield_now().await;
        other.execute_batch("COMMIT").unwrap();
    });
    let [first, failed, after, others] = &answers[..] else { panic!("four answers") };
    assert!(matches!((first, others), (Ok(1), Ok(1))), "{answers:?}");
    assert!(matches!(failed, Err(LogError::NoSpace { .. })), "{failed:?}");
    assert!(matches!(after, Err(LogError::AfterFailure { .. })), "{after:?}");
    // Who knows of it may go on.
    assert_eq!(log.hand_over(entry(JOB, "ticked", &3)).await.unwrap(), 2);
}

#[tokio::test]
async fn appends_that_wait_together_keep_their_order() {
    let (_dir, path, log) = open();
    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let entries = (0..50).map(|body| entry(JOB, "ticked", &body)).collect();
    let appending = append_together(&log, entries);
    let (answers, ()) = tokio::join!(appending, async {
        tokio::task::yield_now().await;
        other.execute_batch("COMMIT").unwrap();
    });
    let answers: Vec<u64> = answers.into_iter().map(Result::unwrap).collect();
    assert_eq!(answers, (1..=50).collect::<Vec<_>>());
    let bodies: Vec<u64> = log
        .read(JOB)
        .unwrap()
        .iter()
        .map(|event| serde_json::from_str(&event.body).unwrap())
        .collect();
    assert_eq!(bodies, (0..50).collect::<Vec<_>>());
}

#[test]
fn a_reader_waits_for_no_writer() {
    let (_dir, path, log) = open();
    tick(&log, JOB, &());
    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let (ready, go) = (Barrier::new(2), std::time::Instant::now());
    std::thread::scope(|scope| {
        let appending = scope.spawn(|| {
            ready.wait();
            tick(&log, JOB, &())
        });
        ready.wait();
        assert_eq!(seqs(&log.read(JOB).unwrap()), [1]);
        assert!(go.elapsed() < schema::BUSY_TIMEOUT, "the reader waited");
        other.execute_batch("COMMIT").unwrap();
        assert_eq!(appending.join().unwrap(), 2);
    });
}

#[test]
fn what_was_handed_over_is_written_before_the_log_is_closed() {
    let (_dir, path, log) = open();
    for body in 0..20 {
        // Dropped once it is handed over.
        let mut append = Box::pin(log.hand_over(entry(JOB, "ticked", &body)));
        let waker = std::task::Waker::noop();
        let _ = append.as_mut().poll(&mut std::task::Context::from_waker(waker));
    }
    drop(log);
    let reader = LogReader::open(&path).unwrap().unwrap();
    assert_eq!(reader.read(JOB).unwrap().len(), 20);
}

fn blobs(dir: &TempDir, log: &EventLog) -> BlobStore {
    let budget = DiskBudget { max_bytes: 1 << 20, min_free_bytes: 0 };
    BlobStore::open_rooted(&dir.path().join("blobs"), budget, log.roots().clone()).unwrap()
}

#[test]
fn a_rooted_blob_outlives_its_pin_and_the_process() {
    let (dir, path, log) = open();
    let store = blobs(&dir, &log);
    let name = RootName::from(JobId([7; 16]));
    let (kept, dropped) = (store.put(b"kept").unwrap(), store.put(b"dropped").unwrap());
    let (kept_name, dropped_name) = (kept.reference, dropped.reference);
    for _ in 0..2 {
        log.root(name.clone()).add([kept.clone()]).unwrap();
    }
    drop((kept, dropped));
    assert_eq!(store.collect().unwrap(), 7);
    drop((store, log));
    let log = EventLog::open(&path).unwrap();
    let store = blobs(&dir, &log);
    assert_eq!(log.root(name.clone()).references(), [kept_name].into());
    assert_eq!(store.collect().unwrap(), 0);
    assert!(store.pin(kept_name).unwrap().is_some());
    assert!(store.pin(dropped_name).unwrap().is_none());
    for _ in 0..2 {
        log.root(name.clone()).remove().unwrap();
    }
    assert_eq!(store.collect().unwrap(), 4);
}

#[test]
fn a_blob_stays_until_the_last_root_that_names_it_lets_go() {
    let (dir, _path, log) = open();
    let store = blobs(&dir, &log);
    let pin = store.put(b"shared").unwrap();
    let shared = pin.reference;
    log.append_blocking(entry(JOB, "stored", &()).holding([pin.clone()])).unwrap();
    log.append_blocking(entry(OTHER, "stored", &()).holding([pin])).unwrap();
    let done = entry(JOB, "done", &()).holding_only([]);
    log.append_blocking(done.holding([store.put(b"receipt").unwrap()])).unwrap();
    assert_eq!(store.collect().unwrap(), 0);
    log.append_blocking(Entry::of_job(OTHER, 0).anew()).unwrap();
    assert_eq!(store.collect().unwrap(), 6);
    assert!(store.pin(shared).unwrap().is_none());
}

#[test]
fn a_root_keeps_of_what_it_named_only_what_it_is_told_to() {
    let (dir, _path, log) = open();
    let store = blobs(&dir, &log);
    let pins = [b"a", b"b", b"c"].map(|bytes| store.put(bytes).unwrap());
    let [a, b, c] = pins.each_ref().map(|pin| pin.reference);
    log.append_blocking(entry(JOB, "stored", &()).holding(pins)).unwrap();
    // Naming what it did not name before takes a pin: this is not there to be kept.
    let stranger = Reference([9; 32]);
    log.append_blocking(entry(JOB, "cut", &()).holding_only([a, c, stranger])).unwrap();
    assert_eq!(log.root(JOB.into()).references(), [a, c].into());
    assert_eq!(store.collect().unwrap(), 1);
    assert!(store.pin(b).unwrap().is_none());
    let on_disk = schema::roots(&Connection::open(log_path(&dir)).unwrap(), &log_path(&dir));
    assert_eq!(on_disk.unwrap().get(&JOB.into()), [a, c].into());
}

fn log_path(dir: &TempDir) -> PathBuf {
    dir.path().join("starling.db")
}

#[test]
fn an_event_that_is_not_written_roots_nothing() {
    let (dir, _path, log) = on_full_disk(PAGES);
    let store = blobs(&dir, &log);
    log.append_blocking(big().holding([store.put(b"a result").unwrap()])).unwrap_err();
    assert_eq!(store.collect().unwrap(), 8);
}

#[test]
fn a_failed_write_counts_as_want_of_space_but_a_failed_read_does_not() {
    let says_no_space = |code| {
        let error = rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), None);
        let said: rusqlite::Result<()> = Err(error);
        matches!(said.context("read", Path::new("x")), Err(LogError::NoSpace { .. }))
    };
    use rusqlite::ffi;
    assert!(says_no_space(ffi::SQLITE_FULL) && says_no_space(ffi::SQLITE_IOERR_WRITE));
    assert!(!says_no_space(ffi::SQLITE_IOERR_READ) && !says_no_space(ffi::SQLITE_BUSY));
}

#[test]
fn an_event_too_large_for_the_log_is_refused() {
    let body = "x".repeat(BODY_SIZE_BYTES_MAX);
    let error = Entry::of_job(JOB, 0).event("big", &body).unwrap_err().to_string();
    let said = "a big event of 1048578 bytes is too large for the job log: at most 1048576; store a \
                blob and name it";
    assert_eq!(error, said);
}

#[test]
fn the_log_is_synced_on_every_append() {
    let dir = tempfile::tempdir().unwrap();
    let path = log_path(&dir);
    schema::create(&path).unwrap();
    let connection = Connection::open(&path).unwrap();
    schema::prepare(&connection, &path).unwrap();
    let mode: String =
        connection.pragma_query_value(None, "journal_mode", |row| row.get(0)).unwrap();
    // Two is FULL.
    let sync: i64 = connection.pragma_query_value(None, "synchronous", |row| row.get(0)).unwrap();
    assert_eq!((mode.as_str(), sync), ("wal", 2));
}

/// The file beside a log.
fn beside(path: &Path) -> u64 {
    let beside = PathBuf::from(format!("{}-wal", path.display()));
    std::fs::metadata(beside).map_or(0, |metadata| metadata.len())
}

#[test]
fn what_grew_beside_the_log_while_somebody_read_on_is_cut_off_once_they_have_done() {
    let (_dir, path, log) = open();
    tick(&log, JOB, &0);
    let other = Connection::open(&path).unwrap();
    let reading = || other.query_row("SELECT count(*) FROM events", [], |row| row.get::<_, i64>(0));
    other.execute_batch("BEGIN").unwrap();
    assert_eq!(reading().unwrap(), 1);
    let large = "x".repeat(BODY_SIZE_BYTES_MAX / 2);
    for _ in 0..20 {
        tick(&log, JOB, &large);
    }
    assert!(beside(&path) > 2 * schema::BESIDE_SIZE_BYTES_KEPT, "it is held up");
    other.execute_batch("COMMIT").unwrap();
    // SQLite begins the file anew with the write after the one that found nobody reading.
    for _ in 0..3 {
        tick(&log, JOB, &0);
    }
    assert!(beside(&path) <= schema::BESIDE_SIZE_BYTES_KEPT, "{}", beside(&path));
    assert_eq!(reading().unwrap(), 24);
}

#[test]
fn what_a_killed_process_left_beside_the_log_is_put_into_it_at_the_start() {
    let (_dir, path, log) = open();
    for _ in 0..3 {
        tick(&log, JOB, &"x".repeat(100_000));
    }
    // As it is at the moment of a kill.
    let copy = tempfile::tempdir().unwrap();
    let copied = copy.path().join("starling.db");
    for ending in ["", "-wal"] {
        let from = format!("{}{ending}", path.display());
        std::fs::copy(from, format!("{}{ending}", copied.display())).unwrap();
    }
    assert!(beside(&copied) > 300_000);
    let log = EventLog::open(&copied).unwrap();
    assert_eq!(beside(&copied), 0);
    assert_eq!(log.read(JOB).unwrap().len(), 3);
}

#[test]
fn threads_that_append_to_one_job_leave_no_gaps() {
    let (_dir, _path, log) = open();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..20 {
                    tick(&log, JOB, &());
                }
            });
        }
    });
    assert_eq!(seqs(&log.read(JOB).unwrap()), (1..=80).collect::<Vec<_>>());
}

#[test]
fn what_was_handed_over_is_written_before_the_log_is_settled() {
    const COUNT: u64 = 5_000;
    let (_dir, _path, log) = open();
    for number in 0..COUNT {
        drop(log.hand_over(entry(JOB, "ticked", &number)));
    }
    log.settle();
    assert_eq!(log.read(JOB).unwrap().len() as u64, COUNT);
}

/// A disk that makes the log wait, at the end of a service.
#[test]
fn a_log_that_a_task_drops_is_written_by_itself_before_others_can_have_its_directory() {
    let dir = tempfile::tempdir().unwrap();
    let data = crate::DataDir::open(dir.path(), "first").unwrap();
    let log = data.log().unwrap();
    tick(&log, JOB, &0);
    let mut other = Connection::open(dir.path().join("starling.db")).unwrap();
    let holds_it_up = schema::begin(&mut other).unwrap();
    drop(log.hand_over(entry(JOB, "ticked", &1)));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    // Would it wait here, the directory were free after it.
    runtime.block_on(async move { drop((log, data)) });
    let taken = || crate::DataDir::open(dir.path(), "next");
    assert!(matches!(taken(), Err(crate::DataDirError::InUse { .. })));
    drop(holds_it_up);
    let next = loop {
        match taken() {
            Ok(next) => break next,
            Err(crate::DataDirError::InUse { .. }) => std::thread::yield_now(),
            Err(error) => panic!("{error}"),
        }
    };
    assert_eq!(seqs(&next.log().unwrap().read(JOB).unwrap()), [1, 2]);
}
