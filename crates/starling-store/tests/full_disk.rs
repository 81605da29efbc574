//! A disk that takes no more files: a small one is mounted for this test, run again as a child, where the system allows that.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

use std::{env, path::PathBuf, process::Command};

use starling_store::{BlobStore, DiskBudget, NoSpace, Pin, StoreError};

/// Tells the child where its disk is.
const DISK_VARIABLE: &str = "STARLING_TEST_DISK";

/// What is said before the child begins.
const MOUNTED: &str = "the disk is mounted";

#[test]
#[ignore = "no test of its own: run by the one below, in a child process"]
fn fill_the_disk_when_told_to() {
    let Some(disk) = env::var_os(DISK_VARIABLE) else { return };
    let budget = DiskBudget { max_bytes: 1 << 30, min_free_bytes: 0 };
    let store = BlobStore::open(&PathBuf::from(disk).join("blobs"), budget).unwrap();
    let put = |number: u32| store.put(&number.to_le_bytes());
    let is_lack = |error: &StoreError| matches!(error, StoreError::NoSpace(NoSpace::NoInodes));
    let mut pins: Vec<Pin> = Vec::new();
    let lacking = loop {
        match put(u32::try_from(pins.len()).unwrap()) {
            Ok(pin) => pins.push(pin),
            Err(error) => break error,
        }
        assert!(pins.len() < 100, "it takes any number of files");
    };
    assert!(is_lack(&lacking), "{lacking}");
    assert!(lacking.to_string().contains("no inodes are left"), "{lacking}");
    // So does a look at the room, before anything is asked for.
    let looked = store.writer().and_then(|mut writer| writer.reserve(1)).unwrap_err();
    assert!(is_lack(&looked), "{looked}");
    // What is let go makes room.
    pins.clear();
    store.collect().unwrap();
    put(1000).unwrap();
}

#[test]
fn a_disk_that_takes_no_more_files_is_named_and_used_again_once_there_is_room() {
    let disk = tempfile::tempdir().unwrap();
    let script = format!(
        "mount -t tmpfs -o size=16m,nr_inodes=40 tmpfs \"$0\" && echo {MOUNTED} && exec \"$1\" --ignored --exact \
         fill_the_disk_when_told_to"
    );
    let ran = Command::new("unshare")
        .args(["-rm", "sh", "-c", &script])
        .arg(disk.path())
        .arg(env::current_exe().unwrap())
        .env(DISK_VARIABLE, disk.path())
        .output();
    let Ok(ran) = ran else { return eprintln!("skipped: there is no `unshare` here") };
    let said = String::from_utf8_lossy(&ran.stdout);
    if !said.contains(MOUNTED) {
        return eprintln!("skipped: nothing may be mounted here");
    }
    assert!(said.contains("1 passed"), "{said}{}", String::from_utf8_lossy(&ran.stderr));
}
