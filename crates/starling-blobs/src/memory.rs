//! Blobs in memory, under a budget of bytes: for a node with no disk, and for tests.
//!
//! Nothing outlives the process, and nothing is durable. What is here was hashed when it came and cannot change, so it is
//! not hashed again.

use std::{
    collections::BTreeMap,
    io::{self, Cursor, Read},
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use starling_types::{BlobRef, Reference};

use crate::{Blobs, NoSpace, Pin, Pins, ReadBlob, Sink, StoreError};

/// Blobs in memory. Clones share one store.
#[derive(Debug, Clone)]
pub struct MemoryBlobs {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    books: Mutex<Books>,
    pins: Pins,
}

/// What there is. Every byte is counted once: as stored, or as reserved.
#[derive(Debug)]
struct Books {
    blobs: BTreeMap<Reference, Bytes>,
    used_bytes: u64,
    max_bytes: u64,
}

impl MemoryBlobs {
    /// A store for blobs of `max_bytes` in all. While one grows, its buffer can be up to twice as large as what has come
    /// of it.
    pub fn new(max_bytes: u64) -> Self {
        let books = Mutex::new(Books { blobs: BTreeMap::new(), used_bytes: 0, max_bytes });
        Self { shared: Arc::new(Shared { books, pins: Pins::default() }) }
    }

    /// What counts against the budget, in bytes: blobs, and the space taken by blobs on their way.
    pub fn used_bytes(&self) -> u64 {
        self.shared.books().used_bytes
    }
}

impl Blobs for MemoryBlobs {
    fn sink(&self) -> Result<Box<dyn Sink>, StoreError> {
        let shared = self.shared.clone();
        Ok(Box::new(Growing { shared, bytes: Vec::new(), reserved_bytes: 0 }))
    }

    fn open(&self, reference: Reference) -> Result<Option<Box<dyn ReadBlob>>, StoreError> {
        let books = self.shared.books();
        let Some(bytes) = books.blobs.get(&reference).cloned() else { return Ok(None) };
        let blob = BlobRef { reference, size_bytes: bytes.len() as u64 };
        // Within the lock, as `collect` asks for pins within it.
        let pin = self.shared.pins.pin(blob);
        Ok(Some(Box::new(InMemory { bytes: Cursor::new(bytes), pin })))
    }

    fn collect(&self) -> Result<u64, StoreError> {
        let mut books = self.shared.books();
        // Whatever is here had a pin when it came, so that all that nothing holds was let go.
        let let_go = self.shared.pins.take_let_go().into_iter();
        let garbage = let_go.filter(|reference| !self.shared.pins.hold(*reference));
        let gone = garbage.filter_map(|reference| books.blobs.remove(&reference));
        let freed_bytes: u64 = gone.map(|bytes| bytes.len() as u64).sum();
        books.used_bytes -= freed_bytes;
        Ok(freed_bytes)
    }
}

impl Shared {
    fn books(&self) -> MutexGuard<'_, Books> {
        // Nothing under the lock panics half-way through a change.
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A blob on its way.
#[derive(Debug)]
struct Growing {
    shared: Arc<Shared>,
    bytes: Vec<u8>,
    /// What is promised to it: given back on drop, unless it became a blob.
    reserved_bytes: u64,
}

impl Sink for Growing {
    fn reserve(&mut self, size_bytes: u64) -> Result<(), StoreError> {
        let extra_bytes = size_bytes.saturating_sub(self.reserved_bytes);
        let mut books = self.shared.books();
        let Books { used_bytes, max_bytes, .. } = *books;
        if extra_bytes > max_bytes.saturating_sub(used_bytes) {
            // What the blob itself has reserved so far is not used by another blob.
            let used_bytes = used_bytes - self.reserved_bytes;
            return Err(NoSpace::Memory { needed_bytes: size_bytes, used_bytes, max_bytes }.into());
        }
        books.used_bytes += extra_bytes;
        self.reserved_bytes += extra_bytes;
        Ok(())
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.reserve(self.bytes.len() as u64 + bytes.len() as u64)?;
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    fn store_as(mut self: Box<Self>, blob: BlobRef) -> Result<Pin, StoreError> {
        debug_assert_eq!(blob.size_bytes, self.bytes.len() as u64, "the name is of these bytes");
        let mut bytes = mem::take(&mut self.bytes);
        bytes.shrink_to_fit();
        let shared = self.shared.clone();
        let mut books = shared.books();
        let pin = shared.pins.pin(blob);
        books.used_bytes -= mem::take(&mut self.reserved_bytes);
        if !books.blobs.contains_key(&blob.reference) {
            books.used_bytes += blob.size_bytes;
            books.blobs.insert(blob.reference, bytes.into());
        }
        Ok(pin)
    }
}

impl Drop for Growing {
    fn drop(&mut self) {
        // The lock may be held by `store_as`, which leaves nothing to give back.
        if self.reserved_bytes > 0 {
            self.shared.books().used_bytes -= self.reserved_bytes;
        }
    }
}

/// A blob being read.
#[derive(Debug)]
struct InMemory {
    bytes: Cursor<Bytes>,
    pin: Pin,
}

impl Read for InMemory {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.bytes.read(buffer)
    }
}

impl ReadBlob for InMemory {
    fn pin(&self) -> &Pin {
        &self.pin
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use starling_swarm::reference_of;

    use super::*;

    fn bytes(seed: u8, size_bytes: usize) -> Vec<u8> {
        (0..size_bytes).map(|i| seed ^ (i % 251) as u8).collect()
    }

    fn read(blobs: &MemoryBlobs, reference: Reference) -> Option<Vec<u8>> {
        let mut read = Vec::new();
        blobs.open(reference).unwrap()?.read_to_end(&mut read).unwrap();
        Some(read)
    }

    #[test]
    fn a_blob_comes_back_by_its_name_whichever_way_it_came() {
        for size_bytes in [0, 1, 4096, 100_000] {
            let blobs = MemoryBlobs::new(100_000);
            let content = bytes(1, size_bytes);
            let blob = BlobRef { reference: reference_of(&content), size_bytes: size_bytes as u64 };
            let put = blobs.put(&content).unwrap();
            let mut writer = blobs.writer().unwrap();
            let mut incoming = blobs.receive(blob).unwrap();
            assert_eq!((put.blob(), read(&blobs, blob.reference)), (blob, Some(content.clone())));
            // Those that come later find it stored, and take no space for it in the end.
            drop(put);
            assert_eq!(blobs.collect().unwrap(), blob.size_bytes);
            writer.append(&content).unwrap();
            let written = writer.finish().unwrap();
            assert_eq!(
                (written.blob(), read(&blobs, blob.reference)),
                (blob, Some(content.clone()))
            );
            drop(written);
            assert_eq!(blobs.collect().unwrap(), blob.size_bytes);
            incoming.write(&content).unwrap();
            let received = incoming.finish().unwrap();
            assert_eq!((received.blob(), read(&blobs, blob.reference)), (blob, Some(content)));
            assert_eq!(blobs.used_bytes(), blob.size_bytes);
        }
        assert_eq!(read(&MemoryBlobs::new(1), Reference([0; 32])), None);
    }

    #[test]
    fn the_same_blob_twice_takes_its_space_once() {
        let blobs = MemoryBlobs::new(2000);
        let content = bytes(1, 1000);
        let mut late = blobs.writer().unwrap();
        late.append(&content).unwrap();
        let first = blobs.put(&content).unwrap();
        assert_eq!(blobs.used_bytes(), 2000);
        let second = late.finish().unwrap();
        assert_eq!((&first, blobs.used_bytes()), (&second, 1000));
        assert_eq!(blobs.put(&content).unwrap(), first);
    }

    #[test]
    fn a_blob_over_the_budget_is_refused_and_leaves_nothing_behind() {
        let blobs = MemoryBlobs::new(10_000);
        let _kept = blobs.put(&bytes(1, 6000)).unwrap();
        let error = blobs.put(&bytes(2, 4001)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "no space for a blob of 4001 bytes: 6000 of the 10000 bytes that blobs may take in memory are used"
        );
        let mut writer = blobs.writer().unwrap();
        writer.append(&bytes(2, 4000)).unwrap();
        let error = writer.append(&[0]).unwrap_err().to_string();
        assert!(
            error.starts_with("no space for a blob of 4001 bytes: 6000 of the 10000"),
            "{error}"
        );
        drop(writer);
        assert_eq!(blobs.used_bytes(), 6000);
        let error = blobs.writer().unwrap().reserve(u64::MAX).unwrap_err();
        assert!(matches!(error, StoreError::NoSpace(NoSpace::Memory { .. })), "{error}");
        // What fits exactly is taken.
        blobs.put(&bytes(3, 4000)).unwrap();
    }

    #[test]
    fn space_is_taken_for_what_arrives_not_for_what_is_announced() {
        let blobs = MemoryBlobs::new(10_000);
        let announced = BlobRef { reference: reference_of(b"x"), size_bytes: u64::MAX };
        let mut incoming = blobs.receive(announced).unwrap();
        assert_eq!(blobs.used_bytes(), 0);
        incoming.write(&[0; 6000]).unwrap();
        assert_eq!(blobs.used_bytes(), 6000);
        drop(incoming);
        assert_eq!(blobs.used_bytes(), 0);
        // What was reserved beyond the blob is free once it is stored.
        let mut writer = blobs.writer().unwrap();
        writer.reserve(9000).unwrap();
        writer.append(&[0; 10]).unwrap();
        assert_eq!(blobs.used_bytes(), 9000);
        let _kept = writer.finish().unwrap();
        assert_eq!(blobs.used_bytes(), 10);
    }

    #[test]
    fn collecting_removes_what_no_pin_holds_and_nothing_else() {
        let blobs = MemoryBlobs::new(1000);
        let kept = blobs.put(&bytes(1, 100)).unwrap();
        let dropped = blobs.put(&bytes(2, 200)).unwrap().reference;
        assert_eq!(blobs.collect().unwrap(), 200);
        assert_eq!((blobs.pin(dropped).unwrap(), blobs.used_bytes()), (None, 100));
        // Each pin counts, and so does a reader.
        let clone = kept.clone();
        drop(kept);
        assert_eq!(blobs.collect().unwrap(), 0);
        let reader = blobs.open(clone.reference).unwrap().unwrap();
        drop(clone);
        assert_eq!(blobs.collect().unwrap(), 0);
        drop(reader);
        assert_eq!(blobs.collect().unwrap(), 100);
        assert_eq!((blobs.collect().unwrap(), blobs.used_bytes()), (0, 0));
    }

    #[test]
    fn threads_that_collect_take_nothing_from_those_that_put() {
        let blobs = MemoryBlobs::new(1 << 20);
        std::thread::scope(|scope| {
            for thread in 0..4_u8 {
                let blobs = blobs.clone();
                scope.spawn(move || {
                    for round in 0..1000_u32 {
                        // The same few blobs in all threads: each pins what another lets go.
                        let content = bytes(round as u8 % 3, 500);
                        let pin = blobs.put(&content).unwrap();
                        if round % 4 == u32::from(thread) {
                            blobs.collect().unwrap();
                        }
                        assert_eq!(
                            read(&blobs, pin.reference),
                            Some(content),
                            "a pinned blob is gone"
                        );
                    }
                });
            }
        });
        blobs.collect().unwrap();
        assert_eq!(blobs.used_bytes(), 0);
    }
}
