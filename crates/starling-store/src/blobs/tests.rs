#![allow(clippy::unwrap_used)]

use std::fs;

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
        let blob = store.put(&content).unwrap();
        assert_eq!(blob, blob_of(&content));
        for store in [&store, &reopen(&dir, ROOMY)] {
            assert_eq!(store.blob(blob.reference), Some(blob));
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
    assert_eq!(store.path_of(reference), Some(path.clone()));
    assert_eq!(fs::read(path).unwrap(), b"hello world");
}

#[test]
fn a_blob_that_is_there_is_not_written_again() {
    let (_dir, store) = open(budget(11));
    let reference = store.put(b"hello world").unwrap().reference;
    let path = store.path_of(reference).unwrap();
    let written = fs::metadata(&path).unwrap().modified().unwrap();
    store.put(b"hello world").unwrap();
    assert_eq!(fs::metadata(&path).unwrap().modified().unwrap(), written);
    assert_eq!(store.used_bytes(), 11);
}

#[test]
fn a_blob_whose_file_was_taken_away_is_absent_and_can_be_put_again() {
    let (_dir, store) = open(ROOMY);
    let reference = store.put(b"hello world").unwrap().reference;
    fs::remove_file(store.path_of(reference).unwrap()).unwrap();
    store.put(b"hello world").unwrap();
    assert!(store.open_read(reference).unwrap().is_some());
    fs::remove_file(store.path_of(reference).unwrap()).unwrap();
    assert_eq!(store.get(reference, 11).unwrap(), None);
    assert_eq!((store.blob(reference), store.used_bytes()), (None, 0));
}

#[test]
fn a_file_is_stored_like_its_bytes() {
    let (dir, store) = open(ROOMY);
    let content = bytes(3, COPY_SIZE_BYTES + 4097);
    let path = dir.path().join("input");
    fs::write(&path, &content).unwrap();
    assert_eq!(store.put_file(&path).unwrap(), blob_of(&content));
    let error = store.put_file(&dir.path().join("missing")).unwrap_err().to_string();
    assert!(error.starts_with("cannot open "), "{error}");
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
    assert_eq!(writer.finish().unwrap(), blob_of(&content));
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

#[test]
fn a_corrupt_file_is_never_returned_and_is_removed() {
    let content = bytes(7, 9000);
    let flipped = [&content[..8999], &[content[8999] ^ 1]].concat();
    let longer = [&content[..], &[0]].concat();
    for damaged in [&flipped[..], &content[..8999], &longer, b""] {
        let (dir, store) = open(ROOMY);
        let reference = store.put(&content).unwrap().reference;
        let path = store.path_of(reference).unwrap();
        fs::write(&path, damaged).unwrap();
        // Whoever finds it: the store that wrote it, or the next one.
        for store in [store, reopen(&dir, ROOMY)] {
            fs::write(&path, damaged).unwrap();
            assert_eq!(store.get(reference, 9000).unwrap(), None, "{} bytes", damaged.len());
            assert_eq!((path.exists(), store.used_bytes()), (false, 0));
            assert_eq!(store.put(&content).unwrap().reference, reference);
            assert_eq!(store.get(reference, 9000).unwrap().as_ref(), Some(&content));
        }
    }
}

#[test]
fn a_blob_over_the_budget_is_refused_and_leaves_nothing_behind() {
    let (dir, store) = open(budget(10_000));
    store.put(&bytes(1, 6000)).unwrap();
    let error = store.put(&bytes(2, 4001)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "no space for a blob of 4001 bytes: 6000 of the 10000 bytes of the disk budget are used; raise \
         --disk-budget, free space or cancel a job"
    );
    let input = dir.path().join("input");
    fs::write(&input, bytes(2, 4001)).unwrap();
    assert!(matches!(store.put_file(&input), Err(StoreError::NoSpace(NoSpace::Budget { .. }))));
    fs::remove_file(&input).unwrap();
    let mut writer = store.writer().unwrap();
    writer.append(&bytes(2, 4000)).unwrap();
    let error = writer.append(&[0]).unwrap_err().to_string();
    assert!(error.starts_with("no space for a blob of 4001 bytes: 6000 of the 10000"), "{error}");
    let error = io::Write::write(&mut writer, &[0]).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    drop(writer);
    assert!(store.receive(blob_of(&bytes(2, 4001))).is_err());
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
    let mut spool = write::Spool::new(file, path, 0);
    let mut space = write::Reservation::over_written(&store.shared, 0);
    for _ in 0..2 {
        let error = spool.append(b"hello", &mut space).unwrap_err();
        assert!(matches!(error, StoreError::NoSpace(NoSpace::DiskFull { .. })), "{error}");
    }
    assert!(spool.sync().is_err());
    drop(space);
    assert_eq!(store.used_bytes(), 0);
}

#[test]
fn opening_removes_unfinished_files_and_keeps_partial_and_strange_ones() {
    let (dir, store) = open(ROOMY);
    store.put(b"hello world").unwrap();
    let blobs = dir.path().join("blobs");
    let partial = blobs.join("partial").join(reference_of(b"partial").to_string());
    fs::write(blobs.join("temp/left"), b"left").unwrap();
    fs::write(&partial, b"par").unwrap();
    fs::write(blobs.join("92/strange"), b"strange").unwrap();
    // The right name in the wrong place.
    fs::write(blobs.join("92").join(reference_of(b"x").to_string()), b"x").unwrap();
    let store = reopen(&dir, ROOMY);
    assert_eq!(store.used_bytes(), 11 + 3);
    assert_eq!(file_count(&blobs.join("temp")), 0);
    assert!(partial.exists() && blobs.join("92/strange").exists());
    assert_eq!(store.blob(reference_of(b"x")), None);
}

#[test]
fn an_interrupted_receive_is_resumed_also_by_the_next_process() {
    let (dir, store) = open(ROOMY);
    let content = bytes(9, 20_000);
    let blob = blob_of(&content);
    let mut incoming = store.receive(blob).unwrap();
    assert_eq!((incoming.offset_bytes(), store.used_bytes()), (0, 20_000));
    incoming.write(&content[..7000]).unwrap();
    drop(incoming);
    assert_eq!((store.blob(blob.reference), store.used_bytes()), (None, 7000));

    let mut incoming = store.receive(blob).unwrap();
    assert_eq!((incoming.offset_bytes(), store.used_bytes()), (7000, 20_000));
    incoming.write(&content[7000..12_000]).unwrap();
    let error = incoming.finish().unwrap_err();
    assert!(matches!(error, ReceiveError::Incomplete { received_bytes: 12_000, .. }), "{error}");

    let store = reopen(&dir, ROOMY);
    let mut incoming = store.receive(blob).unwrap();
    assert_eq!(incoming.offset_bytes(), 12_000);
    incoming.write(&content[12_000..]).unwrap();
    assert_eq!(incoming.finish().unwrap(), blob);
    assert_eq!(store.get(blob.reference, 20_000).unwrap(), Some(content));
    assert_eq!((store.used_bytes(), file_count(dir.path())), (20_000, 1));
}

#[test]
fn wrong_bytes_are_deleted_and_blamed_on_the_sender_of_all_of_them() {
    let (dir, store) = open(ROOMY);
    let content = bytes(5, 6000);
    let blob = blob_of(&content);
    let mut incoming = store.receive(blob).unwrap();
    incoming.write(&bytes(6, 6000)).unwrap();
    let error = incoming.finish().unwrap_err();
    assert!(matches!(&error, ReceiveError::WrongBytes { resumed_bytes: 0, .. }), "{error}");
    assert!(error.is_senders_fault());
    assert_eq!((store.used_bytes(), file_count(dir.path())), (0, 0));

    let mut incoming = store.receive(blob).unwrap();
    incoming.write(&bytes(6, 1000)).unwrap();
    drop(incoming);
    let mut incoming = store.receive(blob).unwrap();
    incoming.write(&content[1000..]).unwrap();
    let error = incoming.finish().unwrap_err();
    assert!(matches!(&error, ReceiveError::WrongBytes { resumed_bytes: 1000, .. }), "{error}");
    assert!(!error.is_senders_fault());
    assert_eq!((store.used_bytes(), file_count(dir.path())), (0, 0));
}

#[test]
fn a_sender_that_goes_on_after_the_announced_size_is_stopped() {
    let (_dir, store) = open(ROOMY);
    let content = bytes(5, 6000);
    let mut incoming = store.receive(blob_of(&content)).unwrap();
    incoming.write(&content[..5999]).unwrap();
    let error = incoming.write(&[content[5999], 0]).unwrap_err();
    assert!(matches!(error, ReceiveError::TooLong { .. }) && error.is_senders_fault());
    assert_eq!(incoming.offset_bytes(), 5999);
    // The right last byte still makes the blob whole.
    incoming.write(&content[5999..]).unwrap();
    incoming.finish().unwrap();
}

#[test]
fn a_wrongly_announced_size_never_passes() {
    let (_dir, store) = open(ROOMY);
    let content = bytes(5, 6000);
    for size_bytes in [5999, 0] {
        let reference = reference_of(&content);
        let mut incoming = store.receive(BlobRef { reference, size_bytes }).unwrap();
        // A partial that the first attempt left would be too long for the second.
        incoming.write(&content[..size_bytes as usize]).unwrap();
        assert!(matches!(incoming.finish(), Err(ReceiveError::WrongBytes { .. })));
    }
    let size_bytes = u64::MAX;
    assert!(store.receive(BlobRef { reference: reference_of(b"x"), size_bytes }).is_err());
    assert_eq!(store.used_bytes(), 0);
}

#[test]
fn a_partial_longer_than_the_blob_is_started_over() {
    let (dir, store) = open(ROOMY);
    let reference = reference_of(b"hello");
    drop(store);
    let path = dir.path().join("blobs/partial").join(reference.to_string());
    fs::write(path, b"hello world").unwrap();
    let store = reopen(&dir, ROOMY);
    let mut incoming = store.receive(BlobRef { reference, size_bytes: 5 }).unwrap();
    assert_eq!(incoming.offset_bytes(), 0);
    incoming.write(b"hello").unwrap();
    incoming.finish().unwrap();
    assert_eq!((store.used_bytes(), file_count(dir.path())), (5, 1));
}

#[test]
fn a_blob_is_received_by_one_at_a_time() {
    let (_dir, store) = open(ROOMY);
    let blob = blob_of(&bytes(5, 100));
    let first = store.receive(blob).unwrap();
    assert!(matches!(store.clone().receive(blob), Err(StoreError::Busy { .. })));
    // Somebody else may put it meanwhile.
    store.put(&bytes(5, 100)).unwrap();
    drop(first);
    let mut again = store.receive(blob).unwrap();
    again.write(&bytes(5, 100)).unwrap();
    again.finish().unwrap();
    assert_eq!(store.used_bytes(), 100);
}

#[test]
fn a_new_blob_displaces_partial_ones_oldest_first_but_only_if_that_helps() {
    let (dir, store) = open(budget(10_000));
    for seed in [1, 2] {
        let content = bytes(seed, 4000);
        let mut incoming = store.receive(blob_of(&content)).unwrap();
        incoming.write(&content[..3000]).unwrap();
    }
    assert_eq!(store.used_bytes(), 6000);
    assert!(store.put(&bytes(3, 10_001)).is_err());
    assert_eq!(store.used_bytes(), 6000);
    store.put(&bytes(3, 7000)).unwrap();
    assert_eq!((store.used_bytes(), file_count(dir.path())), (10_000, 2));
    // The younger one survived, and survives that there is no room to go on with it.
    assert!(store.receive(blob_of(&bytes(2, 4000))).is_err());
    assert_eq!((store.used_bytes(), file_count(dir.path())), (10_000, 2));
    store.remove(reference_of(&bytes(3, 7000))).unwrap();
    assert_eq!(store.receive(blob_of(&bytes(2, 4000))).unwrap().offset_bytes(), 3000);
}

#[test]
fn retain_removes_unwanted_blobs_and_old_partials_only() {
    let (dir, store) = open(ROOMY);
    let kept = store.put(&bytes(1, 100)).unwrap().reference;
    let dropped = store.put(&bytes(2, 200)).unwrap().reference;
    let partials = dir.path().join("blobs/partial");
    for (name, age) in
        [(b"old", PARTIAL_AGE_MAX + Duration::from_secs(60)), (b"new", Duration::ZERO)]
    {
        let path = partials.join(reference_of(name).to_string());
        fs::write(&path, b"xy").unwrap();
        let file = File::options().write(true).open(path).unwrap();
        file.set_modified(SystemTime::now() - age).unwrap();
    }
    let store = reopen(&dir, ROOMY);
    assert_eq!(store.retain(|reference| reference == kept).unwrap(), 202);
    assert_eq!((store.blob(dropped), store.used_bytes()), (None, 102));
    assert!(store.get(kept, 100).unwrap().is_some());
    assert_eq!(file_count(dir.path()), 2);
}

#[test]
fn remove_frees_the_space_of_a_blob_once() {
    let (dir, store) = open(ROOMY);
    let reference = store.put(&bytes(1, 100)).unwrap().reference;
    assert_eq!(store.remove(reference).unwrap(), 100);
    assert_eq!(store.remove(reference).unwrap(), 0);
    assert_eq!((store.used_bytes(), file_count(dir.path())), (0, 0));
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
