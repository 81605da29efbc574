#![allow(clippy::unwrap_used)]

use serde_json::json;
use tempfile::TempDir;

use super::*;

const JOB: JobId = JobId([1; 16]);
const OTHER: JobId = JobId([2; 16]);

fn open() -> (TempDir, PathBuf, EventLog) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("starling.db");
    let log = EventLog::open(&path).unwrap();
    (dir, path, log)
}

fn seqs(events: &[StoredEvent]) -> Vec<u64> {
    events.iter().map(|event| event.seq).collect()
}

#[test]
fn each_job_numbers_its_events_from_one_without_gaps() {
    let (_dir, _path, log) = open();
    for expected in 1..=3 {
        assert_eq!(log.append(JOB, "ticked", &expected, 10).unwrap(), expected);
    }
    assert_eq!(log.append(OTHER, "ticked", &0, 5).unwrap(), 1);
    assert_eq!(log.append(JOB, "ticked", &4, 10).unwrap(), 4);
    assert_eq!(seqs(&log.read(JOB).unwrap()), [1, 2, 3, 4]);
    assert_eq!(seqs(&log.read_from(JOB, 2).unwrap()), [3, 4]);
    assert_eq!(seqs(&log.read_from(JOB, u64::MAX).unwrap()), [0; 0]);
    assert_eq!(seqs(&log.read(OTHER).unwrap()), [1]);
    assert_eq!(log.read(JobId([3; 16])).unwrap(), []);
    // The one that began first comes first.
    assert_eq!(log.jobs().unwrap(), [OTHER, JOB]);
}

#[test]
fn events_and_their_order_survive_a_reopening() {
    let (_dir, path, log) = open();
    log.append(JOB, "began", &json!({"guest": "fib"}), 1).unwrap();
    let batch = [NewEvent::new("cut", &0).unwrap(), NewEvent::new("cut", &1).unwrap()];
    assert_eq!(log.append_all(JOB, &batch, u64::MAX).unwrap(), 3);
    assert_eq!(log.append_all(JOB, &[], 2).unwrap(), 3);
    drop(log);
    let log = EventLog::open(&path).unwrap();
    assert_eq!(log.append(JOB, "ended", &None::<u8>, 3).unwrap(), 4);
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
    assert_eq!(events[1].decode::<u32>().unwrap(), 0);
    let error = events[0].decode::<u32>().unwrap_err().to_string();
    assert!(error.starts_with("cannot read event 1, a began event: invalid type: map"), "{error}");
}

#[test]
fn a_forgotten_job_leaves_the_others_alone() {
    let (_dir, _path, log) = open();
    for job in [JOB, JOB, OTHER] {
        log.append(job, "ticked", &(), 0).unwrap();
    }
    assert_eq!(log.forget(JOB).unwrap(), 2);
    assert_eq!(log.forget(JOB).unwrap(), 0);
    assert_eq!(log.jobs().unwrap(), [OTHER]);
    assert_eq!(log.append(JOB, "ticked", &(), 0).unwrap(), 1);
}

#[test]
fn a_reader_sees_what_the_owner_appends_and_needs_no_owner() {
    let (_dir, path, log) = open();
    let reader = LogReader::open(&path).unwrap().unwrap();
    assert_eq!(reader.jobs().unwrap(), []);
    log.append(JOB, "ticked", &(), 0).unwrap();
    assert_eq!(seqs(&reader.read(JOB).unwrap()), [1]);
    drop((log, reader));
    let reader = LogReader::open(&path).unwrap().unwrap();
    assert_eq!(reader.jobs().unwrap(), [JOB]);
}

#[test]
fn a_reader_finds_no_log_where_none_was_set_up() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("starling.db");
    assert!(LogReader::open(&path).unwrap().is_none());
    assert!(!path.exists());
    std::fs::write(&path, b"").unwrap();
    assert!(LogReader::open(&path).unwrap().is_none());
}

#[test]
fn a_log_of_a_newer_starling_or_of_something_else_is_refused() {
    let (dir, path, log) = open();
    log.reader.connection().pragma_update(None, "user_version", 2).unwrap();
    drop(log);
    for error in [EventLog::open(&path).unwrap_err(), LogReader::open(&path).unwrap_err()] {
        let error = error.to_string();
        assert!(error.contains("has schema 2, this version of starling knows up to 1"), "{error}");
    }
    let path = dir.path().join("other");
    std::fs::write(&path, [7; 8192]).unwrap();
    let error = EventLog::open(&path).unwrap_err().to_string();
    assert!(error.contains("file is not a database"), "{error}");
}

#[test]
fn a_missing_event_is_reported_not_skipped() {
    let (_dir, _path, log) = open();
    for _ in 0..3 {
        log.append(JOB, "ticked", &(), 0).unwrap();
    }
    log.reader.connection().execute("DELETE FROM events WHERE seq = 2", []).unwrap();
    let error = log.read(JOB).unwrap_err();
    assert!(matches!(error, LogError::Damaged { expected_seq: 2, found_seq: 3, .. }), "{error}");
    assert_eq!(seqs(&log.read_from(JOB, 2).unwrap()), [3]);
}

#[test]
fn a_full_disk_is_a_clear_error_and_loses_nothing() {
    let (_dir, _path, log) = open();
    log.append(JOB, "ticked", &(), 0).unwrap();
    log.reader.connection().pragma_update(None, "max_page_count", 4).unwrap();
    let big = NewEvent::new("big", &"x".repeat(10_000)).unwrap();
    let batch = [NewEvent::new("ticked", &()).unwrap(), big];
    let error = log.append_all(JOB, &batch, 0).unwrap_err();
    assert!(matches!(error, LogError::NoSpace { .. }), "{error}");
    assert_eq!(seqs(&log.read(JOB).unwrap()), [1]);
    assert_eq!(log.append(JOB, "ticked", &(), 0).unwrap(), 2);
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
    let error = NewEvent::new("big", &"x".repeat(BODY_SIZE_BYTES_MAX)).unwrap_err().to_string();
    let said = "a big event of 1048578 bytes is too large for the job log: at most 1048576; store a \
                blob and name it";
    assert_eq!(error, said);
}

#[test]
fn the_log_is_synced_on_every_append() {
    let (_dir, _path, log) = open();
    let connection = log.reader.connection();
    let mode: String =
        connection.pragma_query_value(None, "journal_mode", |row| row.get(0)).unwrap();
    // Two is FULL.
    let sync: i64 = connection.pragma_query_value(None, "synchronous", |row| row.get(0)).unwrap();
    assert_eq!((mode.as_str(), sync), ("wal", 2));
}

#[test]
fn threads_that_append_to_one_job_leave_no_gaps() {
    let (_dir, _path, log) = open();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..20 {
                    log.append(JOB, "ticked", &(), 0).unwrap();
                }
            });
        }
    });
    assert_eq!(seqs(&log.read(JOB).unwrap()), (1..=80).collect::<Vec<_>>());
}
