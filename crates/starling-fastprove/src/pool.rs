//! Buffers of words, kept mapped between proofs.
//!
//! A recursion proof fills hundreds of megabytes and then wants none of them. Fresh memory costs a page fault
//! for every 4 KiB, so a [`Pool`] keeps what is given back, as long as all that is in use and all that is kept
//! stay under its budget together; beyond it, memory goes back to the system. A budget of 0 keeps nothing.
//!
//! The pool never refuses: the budget bounds what is *kept*, not what a proof needs. Nor does it clear: a
//! [`Buffer`] from [`Pool::take`] holds whatever was last written there (every word of it is initialised).

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A kept buffer is handed out for a request of at least this share of its size, in quarters: more slack would
/// let a proof's small buffers sit in its largest ones, and raise the peak.
const FIT_QUARTERS: usize = 3;

const WORD_BYTES: usize = size_of::<u32>();

const LINE_BYTES: usize = 64;

/// What a buffer is longer than it says, so that it can begin on a border.
const LINE_WORDS: usize = LINE_BYTES / WORD_BYTES;

/// A shared stock of buffers. Clones share it.
#[derive(Clone)]
pub struct Pool(Arc<Mutex<Shelf>>);

struct Shelf {
    budget_bytes: usize,
    live_bytes: usize,
    peak_bytes: usize,
    /// Oldest first.
    idle: Vec<Vec<u32>>,
}

/// What a pool holds at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stock {
    /// Bytes of the buffers in use.
    pub live_bytes: usize,
    /// Bytes kept for the next proof.
    pub idle_bytes: usize,
    /// The most that was in use and kept together since the pool was made.
    pub peak_bytes: usize,
}

/// A slice of words, on a cache line's border, that goes back to its pool when dropped.
pub struct Buffer {
    /// As long as it was first made, and a line more; a smaller request uses its front.
    words: Vec<u32>,
    /// Where the first line begins: transforms write whole lines past the caches.
    start: usize,
    len: usize,
    pool: Pool,
}

impl Pool {
    /// A pool that keeps idle buffers while those and the buffers in use are at most `budget_bytes`.
    pub fn new(budget_bytes: usize) -> Self {
        Self(Arc::new(Mutex::new(Shelf {
            budget_bytes,
            live_bytes: 0,
            peak_bytes: 0,
            idle: Vec::new(),
        })))
    }

    /// A buffer of `len` words with unspecified contents.
    pub fn take(&self, len: usize) -> Buffer {
        let kept = self.shelf().take(len);
        // Fresh memory is asked for outside the lock, and zeroed by the system when it is first touched.
        let words = kept.unwrap_or_else(|| vec![0; len + LINE_WORDS]);
        let start = words.as_ptr().align_offset(LINE_BYTES).min(LINE_WORDS);
        Buffer { words, start, len, pool: self.clone() }
    }

    /// A buffer of `len` words, each `word`.
    pub fn take_filled(&self, len: usize, word: u32) -> Buffer {
        let mut buffer = self.take(len);
        buffer.fill(word);
        buffer
    }

    /// A buffer holding what `words` hold.
    pub fn take_copy(&self, words: &[u32]) -> Buffer {
        let mut buffer = self.take(words.len());
        buffer.copy_from_slice(words);
        buffer
    }

    /// What the pool holds now.
    pub fn stock(&self) -> Stock {
        let shelf = self.shelf();
        Stock {
            live_bytes: shelf.live_bytes,
            idle_bytes: shelf.idle_bytes(),
            peak_bytes: shelf.peak_bytes,
        }
    }

    /// Gives all that is kept back to the system.
    pub fn trim(&self) {
        let idle = std::mem::take(&mut self.shelf().idle);
        drop(idle);
    }

    /// The shelf is consistent between any two statements, so a panic elsewhere does not spoil it.
    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shelf {
    fn idle_bytes(&self) -> usize {
        self.idle.iter().map(|words| room(words) * WORD_BYTES).sum()
    }

    /// The kept buffer that fits best, if any does; what would not fit the budget beside a new one is dropped.
    fn take(&mut self, len: usize) -> Option<Vec<u32>> {
        let fits = |kept: usize| kept >= len && kept / 4 * FIT_QUARTERS <= len;
        let best = (0..self.idle.len())
            .filter(|&at| fits(room(&self.idle[at])))
            .min_by_key(|&at| room(&self.idle[at]));
        let words = best.map(|at| self.idle.remove(at));
        self.live_bytes += words.as_deref().map_or(len, room) * WORD_BYTES;
        while !self.idle.is_empty() && self.live_bytes + self.idle_bytes() > self.budget_bytes {
            self.idle.remove(0);
        }
        self.peak_bytes = self.peak_bytes.max(self.live_bytes + self.idle_bytes());
        words
    }

    fn give_back(&mut self, words: Vec<u32>) -> Option<Vec<u32>> {
        let in_use_and_kept = self.live_bytes + self.idle_bytes();
        self.live_bytes -= room(&words) * WORD_BYTES;
        if in_use_and_kept > self.budget_bytes || room(&words) == 0 {
            return Some(words);
        }
        self.idle.push(words);
        None
    }
}

/// The longest buffer that `words` can be.
fn room(words: &[u32]) -> usize {
    words.len() - LINE_WORDS
}

impl Deref for Buffer {
    type Target = [u32];

    fn deref(&self) -> &[u32] {
        &self.words[self.start..][..self.len]
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u32] {
        &mut self.words[self.start..][..self.len]
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // What the pool does not want is unmapped here, after the lock is released.
        let unwanted = self.pool.shelf().give_back(std::mem::take(&mut self.words));
        drop(unwanted);
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Buffer({} words)", self.len)
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pool({:?})", self.stock())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_given_back_is_handed_out_again() {
        let pool = Pool::new(1 << 20);
        let at = pool.take(1000).as_ptr();
        assert_eq!(pool.take(1000).as_ptr(), at);
        assert_eq!(pool.take(900).as_ptr(), at, "a little smaller still fits");
        assert_eq!(pool.stock(), Stock { live_bytes: 0, idle_bytes: 4000, peak_bytes: 4000 });
    }

    #[test]
    fn a_small_request_leaves_a_large_buffer_alone() {
        let pool = Pool::new(1 << 20);
        drop(pool.take(1000));
        let small = pool.take(100);
        assert_eq!(small.len(), 100);
        assert_eq!(pool.stock(), Stock { live_bytes: 400, idle_bytes: 4000, peak_bytes: 4400 });
    }

    #[test]
    fn idle_memory_makes_room_for_what_is_in_use() {
        let pool = Pool::new(10_000);
        drop(pool.take(1000));
        let large = pool.take(2000);
        assert_eq!(pool.stock().idle_bytes, 0);
        drop(large);
        assert_eq!(pool.stock().idle_bytes, 8000);
    }

    #[test]
    fn beyond_the_budget_nothing_is_kept() {
        let pool = Pool::new(3999);
        drop(pool.take(1000));
        assert_eq!(pool.stock(), Stock { live_bytes: 0, idle_bytes: 0, peak_bytes: 4000 });
    }

    #[test]
    fn buffers_begin_on_a_cache_lines_border() {
        let pool = Pool::new(1 << 20);
        let buffers: Vec<Buffer> = (1..50).map(|len| pool.take(7 * len)).collect();
        assert!(buffers.iter().all(|buffer| buffer.as_ptr().addr() % LINE_BYTES == 0));
    }

    #[test]
    fn filled_and_copied_buffers_hide_what_was_there() {
        let pool = Pool::new(1 << 20);
        pool.take(100).fill(7);
        assert_eq!(*pool.take_filled(80, 3), [3; 80]);
        assert_eq!(*pool.take_copy(&[1; 90]), [1; 90]);
    }
}
