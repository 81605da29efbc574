//! How much the enemy has done so far.

use std::{
    error::Error,
    fmt,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

/// Counts of all peers of this process.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Connections that were made.
    pub(crate) connections: AtomicU64,
    /// Leases that were granted to it.
    pub(crate) leases: AtomicU64,
    /// Messages that it sent, ads included.
    pub(crate) messages: AtomicU64,
    /// Bytes that were taken of it unasked.
    pub(crate) bytes: AtomicU64,
    /// Why a try came to nothing, the last time.
    trouble: Mutex<String>,
}

impl Tally {
    pub(crate) fn add(count: &AtomicU64, more: u64) {
        count.fetch_add(more, Relaxed);
    }

    /// Notes why a try came to nothing.
    pub(crate) fn note(&self, error: &(dyn Error + Send + Sync)) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = error.to_string();
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = |count: &AtomicU64| count.load(Relaxed);
        write!(f, "connections {} leases {} ", of(&self.connections), of(&self.leases))?;
        write!(f, "messages {} bytes {}", of(&self.messages), of(&self.bytes))?;
        let trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        write!(f, " trouble {:?}", *trouble)
    }
}
