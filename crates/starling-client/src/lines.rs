//! The lines of the log that nodes cause: that they come, go, fail, or let leases expire. Keys cost nothing and a connection
//! takes a moment, so that all nodes together have a [`Quota`].

use std::{
    sync::{LazyLock, Mutex, PoisonError},
    time::Instant,
};

use starling_net::Quota;
use starling_types::Millis;

/// A process has one log, whatever clients are in it.
static LINES: LazyLock<(Instant, Mutex<Quota>)> =
    LazyLock::new(|| (Instant::now(), Mutex::default()));

/// Whether one more may be written. What was left out since the last is told before it.
pub(crate) fn one_more() -> bool {
    let (started, quota) = &*LINES;
    let now = Millis(started.elapsed().as_millis().try_into().unwrap_or(u64::MAX));
    // Each change is whole before anything that could panic.
    let Some(omitted) = quota.lock().unwrap_or_else(PoisonError::into_inner).take(now) else {
        return false;
    };
    if omitted > 0 {
        tracing::warn!(omitted, "nodes caused too many log lines, so some were left out");
    }
    true
}
