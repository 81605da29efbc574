#![allow(clippy::unwrap_used)]

use std::{
    fs::{self, File},
    io,
};

use starling_blobs::{NoSpace, ReceiveError};
use starling_swarm::reference_of;
use tempfile::TempDir;

use super::*;

const ROOMY: DiskBudget = DiskBudget { max_bytes: 1 << 30, min_free_bytes: 0 };

fn budget(max_bytes: u64) -> DiskBudget {
    DiskBudget { max_bytes, min_free_bytes: 0 }
}

fn open(budget: DiskBudget) -> (TempDir, BlobStore) {
    let dir = tempfile::tempdir().unwrap();
    let store = BlobStore::open(&dir.path().join("blobs"), budget).unwrap();
    (dir, store)
}

/// The store as the next process finds it.
fn reopen(dir: &TempDir, budget: DiskBudget) -> BlobStore {
    BlobStore::open(&dir.path().join("blobs"), budget).unwrap()
}

fn bytes(seed: u8, size_bytes: usize) -> Vec<u8> {
    (0..size_bytes).map(|i| seed ^ (i % 251) as u8).collect()
}

fn blob_of(bytes: &[u8]) -> BlobRef {
    BlobRef { reference: reference_of(bytes), size_bytes: bytes.len() as u64 }
}

fn path_of(dir: &TempDir, reference: Reference) -> std::path::PathBuf {
    let name = reference.to_string();
    dir.path().join("blobs").join(&name[..2]).join(name)
}

/// All plain files of the store.
fn file_count(dir: &Path) -> usize {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| if path.is_dir() { file_count(&path) } else { 1 }).sum()
}

#[test]
fn a_blob_comes_back_by_its_name_also_after_reopening() {
    let (dir, store) = open(ROOMY);
    for size_bytes in [0, 1, 4096, 100_000] {
        let content = bytes(1, size_bytes);
        let blob = store.put(&content).unwrap().blob();
        assert_eq!(blob, blob_of(&content));
        for store in [&store, &reopen(&dir, ROOMY)] {
            assert_eq!(store.pin(blob.reference).unwrap().unwrap().blob(), blob);
            assert_eq!(store.get(blob.reference, 100_000).unwrap(), Some(content.clone()));
        }
    }
    assert_eq!(store.get(Reference([0; 32]), 1).unwrap(), None);
    assert_eq!(reopen(&dir, ROOMY).used_bytes(), store.used_bytes());
}

#[test]
fn a_blob_lies_under_the_first_two_digits_of_its_name() {
    let (dir, store) = open(ROOMY);
    let reference = store.put(b"hello world").unwrap().reference;
    let path = dir.path().join("blobs").join("92").join(reference.to_string());
    assert_eq!(store.open_blob(reference).unwrap().unwrap().path(), path);
    assert_eq!(fs::read(&path).unwrap(), b"hello world");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}

#[test]
fn a_blob_that_is_there_is_not_written_again() {
    let (dir, store) = open(budget(11));
    let path = path_of(&dir, store.put(b"hello world").unwrap().reference);
    let written = fs::metadata(&path).unwrap().modified().unwrap();
    store.put(b"hello world").unwrap();
    assert_eq!(fs::metadata(&path).unwrap().modified().unwrap(), written);
    assert_eq!(store.used_bytes(), 11);
}

#[test]
fn a_blob_whose_file_was_taken_away_is_absent_and_can_be_put_again() {
    let (dir, store) = open(ROOMY);
    let reference = store.put(b"hello world").unwrap().reference;
    fs::remove_file(path_of(&dir, reference)).unwrap();
    store.put(b"hello world").unwrap();
    assert!(store.open_blob(reference).unwrap().is_some());
    fs::remove_file(path_of(&dir, reference)).unwrap();
    assert_eq!(store.get(reference, 11).unwrap(), None);
    assert_eq!((store.pin(reference).unwrap(), store.used_bytes()), (None, 0));
}

#[test]
fn a_writer_stores_what_was_written_and_a_dropped_one_nothing() {
    let (dir, store) = open(ROOMY);
    let content = bytes(4, 10_000);
    let mut writer = store.writer().unwrap();
    io::copy(&mut &content[..], &mut writer).unwrap();
    assert_eq!(store.used_bytes(), 10_000);
    drop(writer);
    assert_eq!((store.used_bytes(), file_count(dir.path())), (0, 0));
    let mut writer = store.writer().unwrap();
    io::copy(&mut &content[..], &mut writer).unwrap();
    assert_eq!(writer.finish().unwrap().blob(), blob_of(&content));
    assert_eq!((store.used_bytes(), file_count(dir.path())), (10_000, 1));
}

#[test]
fn a_reader_states_the_largest_blob_it_accepts() {
    let (_dir, store) = open(ROOMY);
    let reference = store.put(&bytes(0, 5000)).unwrap().reference;
    let error = store.get(reference, 4999).unwrap_err();
    assert!(matches!(error, StoreError::TooLarge { size_bytes: 5000, size_bytes_max: 4999, .. }));
    assert_eq!(store.get(reference, 5000).unwrap().unwrap().len(), 5000);
}

/// What asks for a blob, and whether it got it.
type Ask = fn(&BlobStore, Reference) -> bool;

const ASKS: [(&str, Ask); 3] = [
    ("get", |store, reference| store.get(reference, 9000).unwrap().is_some()),
    ("get, too large", |store, reference| !matches!(store.get(reference, 5), Ok(None))),
    ("open", |store, reference| store.open_blob(reference).unwrap().is_some()),
];

#[test]
fn a_damaged_file_is_given_to_nobody_and_is_dropped() {
    let content = bytes(7, 9000);
    let flipped = [&content[..8999], &[content[8999] ^ 1]].concat();
    let longer = [&content[..], &[0]].concat();
    for damaged in [&flipped[..], &content[..8999], &longer, b""] {
        for (what, ask) in ASKS {
            let (dir, store) = open(ROOMY);
            let reference = store.put(&content).unwrap().reference;
            assert!(ask(&store, reference), "{what}");
            let path = path_of(&dir, reference);
            // Found by the store that wrote it, and by the next one.
            for reopened in [false, true] {
                fs::write(&path, damaged).unwrap();
                let store = if reopened { reopen(&dir, ROOMY) } else { store.clone() };
                assert!(!ask(&store, reference), "{what}, {} bytes", damaged.len());
                assert_eq!((path.exists(), store.used_bytes()), (false, 0), "{what}");
                // It is missing now, and can be put again.
                assert_eq!(store.put(&content).unwrap().reference, reference);
                assert_eq!(store.get(reference, 9000).unwrap().as_ref(), Some(&content));
            }
        }
    }
}

#[test]
fn a_damaged_file_is_written_anew_by_whoever_has_the_bytes() {
    let content = bytes(7, 9000);
    let puts: [fn(&BlobStore, &[u8]); 3] = [
        |store, content| drop(store.put(content).unwrap()),
        |store, content| {
            let mut writer = store.writer().unwrap();
            writer.append(content).unwrap();
            writer.finish().unwrap();
        },
        |store, content| {
            let mut incoming = store.receive(blob_of(content)).unwrap();
            incoming.write(content).unwrap();
            incoming.finish().unwrap();
        },
    ];
    for put in puts {
        let (dir, store) = open(ROOMY);
        let path = path_of(&dir, store.put(&content).unwrap().reference);
        fs::write(&path, [&content[..8999], &[!content[8999]]].concat()).unwrap();
        put(&store, &content);
        assert_eq!(fs::read(path).unwrap(), content);
        assert_eq!(store.used_bytes(), 9000);
    }
}

#[test]
fn a_file_is_hashed_once_and_again_only_when_it_has_changed() {
    let (dir, store) = open(ROOMY);
    let content = bytes(7, 9000);
    let reference = store.put(&content).unwrap().reference;
    let path = path_of(&dir, reference);
    let hour_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(3600);
    let age = || File::options().write(true).open(&path).unwrap().set_modified(hour_ago).unwrap();
    let is_remembered = || store.shared.ledger().checked(reference).is_some();
    // Fresh from the writer: a change in the same instant would not show.
    assert!(store.open_blob(reference).unwrap().is_some() && !is_remembered());
    age();
    assert!(store.open_blob(reference).unwrap().is_some() && is_remembered());
    // A change shows, also one that sets the time of the change back.
    fs::write(&path, bytes(8, 9000)).unwrap();
    age();
    assert!(store.open_blob(reference).unwrap().is_none());
}

#[test]
fn a_blob_over_the_budget_is_refused_and_leaves_nothing_behind() {
    let (dir, store) = open(budget(10_000));
    store.put(&bytes(1, 6000)).unwrap();
    let error = store.put(&bytes(2, 4001)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "no space for a blob of 4001 bytes: 6000 of the 10000 bytes of the disk budget are used"
    );
    let error = store.writer().unwrap().reserve(4001).unwrap_err();
    assert!(matches!(error, StoreError::NoSpace(NoSpace::Budget { .. })), "{error}");
    let mut writer = store.writer().unwrap();
    writer.append(&bytes(2, 4000)).unwrap();
    let error = writer.append(&[0]).unwrap_err().to_string();
    assert!(error.starts_with("no space for a blob of 4001 bytes: 6000 of the 10000"), "{error}");
    let error = io::Write::write(&mut writer, &[0]).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    drop(writer);
    assert_eq!((store.used_bytes(), file_count(dir.path())), (6000, 1));
    // What fits exactly is taken.
    store.put(&bytes(3, 4000)).unwrap();
}

#[test]
fn a_disk_that_would_get_too_full_is_refused() {
    let (dir, store) = open(DiskBudget { max_bytes: u64::MAX, min_free_bytes: u64::MAX });
    let error = store.put(b"hello world").unwrap_err();
    assert!(matches!(error, StoreError::NoSpace(NoSpace::MinFree { needed_bytes: 11, .. })));
    assert_eq!(file_count(dir.path()), 0);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_told_from_other_failures_and_the_file_takes_no_more() {
    let (_dir, store) = open(ROOMY);
    let path = Path::new("/dev/full");
    let file = File::options().write(true).open(path).unwrap();
    let mut spool = write::Spool::new(file, path);
    let mut space = write::Reservation::new(&store.shared);
    for _ in 0..2 {
        let error = spool.append(b"hello", &mut space).unwrap_err();
        assert!(matches!(error, StoreError::NoSpace(NoSpace::DiskFull { .. })), "{error}");
    }
    assert!(spool.sync().is_err());
    drop(space);
    assert_eq!(store.used_bytes(), 0);
}

#[cfg(unix)]
#[test]
fn what_was_set_aside_for_a_blob_counts_once_and_no_more_of_it_is_kept_than_the_blob_takes() {
    let (dir, store) = open(ROOMY);
    let mut writer = store.writer().unwrap();
    writer.reserve(8 << 20).unwrap();
    assert_eq!(store.used_bytes(), 8 << 20);
    let content = bytes(7, 10_000);
    writer.append(&content).unwrap();
    let blob = writer.finish().unwrap();
    assert_eq!(store.used_bytes(), 10_000);
    assert_eq!(store.get(blob.reference, 10_000).unwrap(), Some(content));
    let metadata = fs::metadata(path_of(&dir, blob.reference)).unwrap();
    let on_disk = std::os::unix::fs::MetadataExt::blocks(&metadata) * 512;
    assert!(on_disk < 1 << 20, "{on_disk}");
}

#[test]
fn opening_removes_unfinished_files_and_keeps_strange_ones() {
    let (dir, store) = open(ROOMY);
    store.put(b"hello world").unwrap();
    let blobs = dir.path().join("blobs");
    fs::write(blobs.join("temp/left"), b"left").unwrap();
    fs::write(blobs.join("92/strange"), b"strange").unwrap();
    // The right name in the wrong place.
    fs::write(blobs.join("92").join(reference_of(b"x").to_string()), b"x").unwrap();
    let store = reopen(&dir, ROOMY);
    assert_eq!(store.used_bytes(), 11);
    assert_eq!(file_count(&blobs.join("temp")), 0);
    assert!(blobs.join("92/strange").exists());
    assert_eq!(store.pin(reference_of(b"x")).unwrap(), None);
}

#[test]
fn a_receive_that_ends_early_leaves_nothing_behind() {
    let (dir, store) = open(ROOMY);
    let content = bytes(9, 20_000);
    let mut incoming = store.receive(blob_of(&content)).unwrap();
    incoming.write(&content[..7000]).unwrap();
    let error = incoming.finish().unwrap_err();
    assert!(matches!(error, ReceiveError::Incomplete { received_bytes: 7000, .. }), "{error}");
    let mut incoming = store.receive(blob_of(&content)).unwrap();
    incoming.write(&content[..7000]).unwrap();
    drop(incoming);
    assert_eq!((store.used_bytes(), file_count(dir.path())), (0, 0));
}

#[test]
fn space_is_taken_for_what_arrives_not_for_what_is_announced() {
    let (_dir, store) = open(budget(10_000));
    let announced = BlobRef { reference: reference_of(b"x"), size_bytes: u64::MAX };
    let mut incoming = store.receive(announced).unwrap();
    assert_eq!(store.used_bytes(), 0);
    incoming.write(&[0; 6000]).unwrap();
    assert_eq!(store.used_bytes(), 6000);
    store.put(&bytes(1, 4000)).unwrap();
    let error = incoming.write(&[0; 1]).unwrap_err();
    assert!(matches!(error, ReceiveError::Store(StoreError::NoSpace(_))), "{error}");
}

#[test]
fn wrong_bytes_are_deleted_and_blamed_on_their_sender() {
    let (dir, store) = open(ROOMY);
    let content = bytes(5, 6000);
    let mut incoming = store.receive(blob_of(&content)).unwrap();
    incoming.write(&content[..5999]).unwrap();
    incoming.write(&[!content[5999]]).unwrap();
    let error = incoming.finish().unwrap_err();
    assert!(matches!(&error, ReceiveError::WrongBytes { .. }), "{error}");
    assert_eq!((store.used_bytes(), file_count(dir.path())), (0, 0));
}

#[test]
fn collecting_removes_what_no_pin_holds_and_nothing_else() {
    let (dir, store) = open(ROOMY);
    let kept = store.put(&bytes(1, 100)).unwrap();
    let dropped = store.put(&bytes(2, 200)).unwrap().reference;
    assert_eq!(store.collect().unwrap(), 200);
    assert_eq!((store.pin(dropped).unwrap(), store.used_bytes()), (None, 100));
    assert!(store.get(kept.reference, 100).unwrap().is_some());
    // Each pin counts, and so does a reader.
    let clone = kept.clone();
    drop(kept);
    assert_eq!(store.collect().unwrap(), 0);
    let reader = store.open_blob(clone.reference).unwrap().unwrap();
    drop(clone);
    assert_eq!(store.collect().unwrap(), 0);
    drop(reader);
    assert_eq!(store.collect().unwrap(), 100);
    assert_eq!((store.collect().unwrap(), file_count(dir.path())), (0, 0));
}

#[test]
fn what_a_writer_or_a_sender_has_not_finished_is_not_collected() {
    let (_dir, store) = open(ROOMY);
    let content = bytes(1, 9000);
    let mut writer = store.writer().unwrap();
    let mut incoming = store.receive(blob_of(&content)).unwrap();
    for half in content.chunks(4500) {
        writer.append(half).unwrap();
        incoming.write(half).unwrap();
        assert_eq!(store.collect().unwrap(), 0);
    }
    let (written, received) = (writer.finish().unwrap(), incoming.finish().unwrap());
    assert_eq!(store.collect().unwrap(), 0);
    assert_eq!(written, received);
    assert_eq!(store.get(written.reference, 9000).unwrap(), Some(content));
}

#[test]
fn threads_that_collect_take_nothing_from_those_that_put() {
    let (_dir, store) = open(ROOMY);
    std::thread::scope(|scope| {
        for thread in 0..4_u8 {
            let store = store.clone();
            scope.spawn(move || {
                for round in 0..100_u32 {
                    // The same few blobs in all threads: each pins what another lets go.
                    let content = bytes(round as u8 % 3, 500);
                    let pin = store.put(&content).unwrap();
                    if round % 4 == u32::from(thread) {
                        store.collect().unwrap();
                    }
                    let read = store.get(pin.reference, 500).unwrap();
                    assert_eq!(read, Some(content), "a pinned blob is gone");
                }
            });
        }
    });
    store.collect().unwrap();
    assert_eq!(store.used_bytes(), 0);
}

#[test]
fn whoever_changes_a_file_has_it_alone_and_others_do_not_wait() {
    let (_dir, store) = open(ROOMY);
    let (content, other) = (bytes(1, 500), bytes(2, 500));
    // A disk that takes its time: somebody changes this file, and goes on with it.
    let claim = store.shared.claim(reference_of(&content));
    std::thread::scope(|scope| {
        let (store, content) = (&store, &content);
        let waiting = scope.spawn(move || store.put(content).unwrap());
        // What concerns other files goes on meanwhile, and nobody sees what is not there yet.
        drop(store.put(&other).unwrap());
        assert_eq!(store.collect().unwrap(), 500);
        assert_eq!(store.pin(reference_of(content)).unwrap(), None);
        assert!(!waiting.is_finished());
        drop(claim);
        let pin = waiting.join().unwrap();
        assert_eq!(store.get(pin.reference, 500).unwrap().as_ref(), Some(content));
    });
}

#[test]
fn a_blob_that_was_let_go_is_collected_once_also_when_it_cannot_be_removed_the_first_time() {
    let (dir, store) = open(ROOMY);
    let reference = store.put(b"hello world").unwrap().reference;
    // Where a file should be is something that is not a file.
    let path = path_of(&dir, reference);
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    store.collect().unwrap_err();
    assert_eq!(store.used_bytes(), 11, "it still counts");
    fs::remove_dir(&path).unwrap();
    fs::write(&path, b"hello world").unwrap();
    assert_eq!((store.collect().unwrap(), store.collect().unwrap()), (11, 0));
    assert_eq!((store.used_bytes(), path.exists()), (0, false));
}

#[test]
fn what_the_used_bytes_are_used_for_adds_up_to_them() {
    let (_dir, store) = open(ROOMY);
    let _pinned = store.put(&bytes(1, 300)).unwrap();
    drop(store.put(&bytes(2, 20)).unwrap());
    let mut writer = store.writer().unwrap();
    writer.append(&[0; 4]).unwrap();
    let usage = store.usage();
    let Usage { rooted_bytes, pinned_bytes, garbage_bytes, changing_bytes } = usage;
    assert_eq!((rooted_bytes, pinned_bytes, garbage_bytes, changing_bytes), (0, 300, 20, 4));
    assert_eq!(usage.total_bytes(), store.used_bytes());
}

#[test]
fn threads_that_put_the_same_and_other_blobs_agree_on_the_space_used() {
    let (dir, store) = open(ROOMY);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let store = store.clone();
            scope.spawn(move || {
                for seed in 0..8 {
                    store.put(&bytes(seed, 1000)).unwrap();
                    store.put(&bytes(100 + 10 * thread + seed, 500)).unwrap();
                }
            });
        }
    });
    let expected = reopen(&dir, ROOMY).used_bytes();
    assert_eq!(store.used_bytes(), expected);
}

#[test]
fn a_file_that_cannot_be_removed_keeps_no_other_and_goes_when_it_can() {
    let (dir, store) = open(ROOMY);
    let mut all: Vec<Reference> =
        (0..9).map(|seed| store.put(&bytes(seed, 100)).unwrap().reference).collect();
    all.sort_unstable();
    let stuck = path_of(&dir, all[0]);
    fs::remove_file(&stuck).unwrap();
    fs::create_dir(&stuck).unwrap();
    let error = store.collect().unwrap_err();
    assert!(matches!(&error, StoreError::Io { path, .. } if *path == stuck), "{error}");
    assert_eq!(store.used_bytes(), 100, "all others are gone, though it came before them");
    assert!(all[1..].iter().all(|reference| !path_of(&dir, *reference).exists()));
    store.collect().unwrap_err();
    fs::remove_dir(&stuck).unwrap();
    fs::write(&stuck, bytes(0, 100)).unwrap();
    assert_eq!(store.collect().unwrap(), 100);
    assert_eq!(store.used_bytes(), 0);
}

/// As a disk that reads back something else than was written: no time stamp tells of it.
#[test]
fn a_blob_that_has_rotted_unseen_is_found_by_whoever_has_it_hashed_and_is_dropped() {
    let (dir, store) = open(ROOMY);
    let [rotten, sound] = [1, 2].map(|seed| store.put(&bytes(seed, 10_000)).unwrap());
    let path = path_of(&dir, rotten.reference);
    let mut content = fs::read(&path).unwrap();
    content[5_000] ^= 1;
    fs::write(&path, content).unwrap();
    store.shared.ledger().set_checked(rotten.reference, read::Stamp::at(&path).unwrap());
    assert!(store.pin(rotten.reference).unwrap().is_some(), "nothing tells of it");
    assert_eq!(store.recheck(sound.reference).unwrap(), Some(sound));
    assert_eq!(store.recheck(rotten.reference).unwrap(), None);
    assert_eq!(store.pin(rotten.reference).unwrap(), None, "it is missing from now on");
    assert!(!path.exists());
}
