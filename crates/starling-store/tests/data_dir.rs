//! A data directory between processes: the second opener is this test, run again as a child.

#![allow(clippy::unwrap_used)]

use std::{
    env, fs,
    io::Read,
    path::Path,
    process::{Child, Command, Stdio},
    sync::Mutex,
};

use starling_store::{DataDir, DataDirError, Entry};
use starling_types::JobId;

/// Tells the test below that it is the child, and which directory to hold.
const HOLD_VARIABLE: &str = "STARLING_TEST_HOLD_DATA_DIR";
const JOB: JobId = JobId([1; 16]);

/// A child that is being started has the locks of this process for a moment: nobody opens one anew meanwhile.
static STARTING: Mutex<()> = Mutex::new(());

/// What the child process does: it appends an event and holds on until killed.
#[test]
#[ignore = "no test of its own: run by the one below, in a child process"]
fn hold_when_told_to() {
    let Some(path) = env::var_os(HOLD_VARIABLE) else { return };
    let data = DataDir::open(Path::new(&path), "holding").unwrap();
    data.log().unwrap().append_blocking(held()).unwrap();
    eprintln!("!");
    std::thread::sleep(std::time::Duration::from_secs(600));
}

fn held() -> Entry {
    Entry::of_job(JOB, 1).event("held", &()).unwrap()
}

fn start_holder(path: &Path) -> Child {
    let starting = STARTING.lock().unwrap();
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--ignored", "--exact", "hold_when_told_to", "--nocapture"])
        .env(HOLD_VARIABLE, path)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(starting);
    child.stderr.take().unwrap().read_exact(&mut [0]).unwrap();
    child
}

#[test]
fn a_directory_held_by_another_process_can_be_read_and_is_free_once_that_is_killed() {
    let dir = tempfile::tempdir().unwrap();
    let mut holder = start_holder(dir.path());
    match DataDir::open(dir.path(), "waiting") {
        Err(DataDirError::InUse { pid, purpose, .. }) => {
            assert_eq!((pid, purpose.as_str()), (Some(holder.id()), "holding"));
        }
        other => panic!("opened twice: {other:?}"),
    }
    let peek = || DataDir::peek(dir.path()).unwrap().unwrap().read(JOB).unwrap().len();
    assert_eq!(peek(), 1);
    holder.kill().unwrap();
    holder.wait().unwrap();
    // What was appended before the kill is there, for the onlooker and for the next owner.
    assert_eq!(peek(), 1);
    let data = DataDir::open(dir.path(), "next").unwrap();
    assert_eq!(data.log().unwrap().append_blocking(held()).unwrap(), 2);
}

#[test]
fn a_directory_that_was_never_used_has_nothing_to_peek_at_and_is_not_created() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("data");
    assert!(DataDir::peek(&path).unwrap().is_none());
    assert!(!path.exists());
}

#[test]
fn what_others_made_under_the_names_of_a_data_directory_is_refused_and_left_as_it_is() {
    for name in ["scratch", "blobs"] {
        let dir = tempfile::tempdir().unwrap();
        let thesis = dir.path().join(name).join("thesis");
        fs::create_dir(dir.path().join(name)).unwrap();
        fs::write(&thesis, "precious").unwrap();
        let refused = DataDir::open(dir.path(), "a test").unwrap_err();
        assert!(matches!(&refused, DataDirError::Foreign { name: found, .. } if *found == name));
        assert_eq!(fs::read_to_string(&thesis).unwrap(), "precious");
        assert!(!dir.path().join("lock").exists());
    }
    for text in ["locked by me", "12345", "7 locks\non doors"] {
        let dir = tempfile::tempdir().unwrap();
        let lock = dir.path().join("lock");
        fs::write(&lock, text).unwrap();
        let refused = DataDir::open(dir.path(), "a test").unwrap_err();
        assert!(matches!(&refused, DataDirError::Foreign { name: "lock", .. }), "{refused}");
        assert_eq!(fs::read_to_string(&lock).unwrap(), text);
    }
}

#[test]
fn a_data_directory_is_known_by_its_lock_or_its_log_however_its_process_ended() {
    let _nobody_starts = STARTING.lock().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path();
    drop(DataDir::open(path, "a test").unwrap().scratch().unwrap());
    // Left by a process that was killed, by one that was killed when it had just begun, and lost on the way.
    fs::write(path.join("lock"), "4194304 starling prove").unwrap();
    DataDir::open(path, "a test").unwrap().log().unwrap();
    fs::write(path.join("lock"), "").unwrap();
    DataDir::open(path, "a test").unwrap();
    fs::remove_file(path.join("lock")).unwrap();
    DataDir::open(path, "a test").unwrap();
}

#[test]
fn the_lock_of_a_killed_process_is_known_whatever_the_file_is_called_that_it_worked_on() {
    let (dir, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let _held = DataDir::open(dir.path(), "proving a\nfile").unwrap();
    fs::copy(dir.path().join("lock"), copy.path().join("lock")).unwrap();
    fs::create_dir(copy.path().join("scratch")).unwrap();
    DataDir::open(copy.path(), "a test").unwrap();
}
