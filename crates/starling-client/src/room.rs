//! Room for what a job puts on this disk.
//!
//! Of the two that fill it, results come first: an accepted one lets go of what it was made of, and so makes room. So a
//! source leaves some room to them, and where there is no more than that it waits, on its own thread, until results have made
//! some, or people have. Nothing is lost by that: it goes on where it stopped.

use std::{thread::sleep, time::Duration};

use starling_store::{BlobStore, NoSpace, Pin, StoreError};

/// What a source leaves to results: this part of the budget,
const SPARE_PART: u64 = 8;

/// and no more than this. It is room for a thousand results, far more than are on their way at a time.
const SPARE_BYTES_MAX: u64 = 256 << 20;

/// How long until it is looked again whether there is room.
const TRY_PERIOD: Duration = Duration::from_millis(250);

/// Puts what a source puts out into the store, as soon as there is room for it besides some for results. Each time that there
/// is none, `tell` hears why, in words; when it says that nobody waits for the blob any more, it is `None`. Blocks.
///
/// # Errors
/// When the store fails, or the blob is larger than all that blobs may take.
pub fn put_when_there_is_room(
    blobs: &BlobStore,
    bytes: &[u8],
    mut tell: impl FnMut(String) -> bool,
) -> Result<Option<Pin>, StoreError> {
    let size_bytes = bytes.len() as u64;
    let beside_bytes = blobs.max_bytes().saturating_sub(size_bytes);
    let spare_bytes = (blobs.max_bytes() / SPARE_PART).min(SPARE_BYTES_MAX).min(beside_bytes);
    loop {
        let lacking = match find_room(blobs, size_bytes, spare_bytes)? {
            None => match blobs.put(bytes) {
                Err(StoreError::NoSpace(lacking)) if size_bytes <= blobs.max_bytes() => lacking,
                put => return put.map(Some),
            },
            // No wait will help it.
            Some(lacking) if size_bytes > blobs.max_bytes() => return Err(lacking.into()),
            Some(lacking) => lacking,
        };
        let reason = in_words(blobs, &lacking);
        if !tell(format!("{reason}; {spare_bytes} bytes are left to results")) {
            return Ok(None);
        }
        sleep(TRY_PERIOD);
    }
}

/// Why a blob of `size_bytes` finds no room, with `spare_bytes` left for others, though all garbage is gone that goes; `None` when it
/// finds some. Blocks.
pub(crate) fn find_room(
    blobs: &BlobStore,
    size_bytes: u64,
    spare_bytes: u64,
) -> Result<Option<NoSpace>, StoreError> {
    if blobs.no_room_for(size_bytes, spare_bytes)?.is_none() {
        return Ok(None);
    }
    // What can't be removed takes room, and all else is gone: the look says what is left.
    if let Err(error) = blobs.collect() {
        tracing::debug!(%error, "garbage stays");
    }
    blobs.no_room_for(size_bytes, spare_bytes)
}

/// What people are told: what is full, where, and what helps.
pub(crate) fn in_words(blobs: &BlobStore, lacking: &NoSpace) -> String {
    format!("{lacking} (blobs lie in {})", blobs.dir().display())
}
