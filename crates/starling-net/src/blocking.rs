//! Work on blobs, which may wait for a disk: on a thread that may wait, and nowhere else.
//!
//! This is the one place that asks the runtime for such a thread. A browser has none to give, and its blobs are in memory:
//! there the work is to be done where it stands.

use std::io;

use tokio::task::spawn_blocking;

/// What `work` returns; an error when it panicked.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<T> {
    spawn_blocking(work).await.map_err(io::Error::other)
}
