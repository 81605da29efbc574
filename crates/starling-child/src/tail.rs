//! What a child says on stderr: the last bytes, and the line that says that memory was short.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{io::AsyncReadExt, process::ChildStderr};

use crate::lack::Signs;

/// The last bytes. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Tail {
    heard: Arc<Mutex<Heard>>,
    limit_bytes: usize,
}

#[derive(Debug, Default)]
struct Heard {
    bytes: VecDeque<u8>,
    signs: Signs,
}

impl Tail {
    pub(crate) fn new(limit_bytes: usize) -> Self {
        Self { heard: Arc::default(), limit_bytes }
    }

    fn push(&self, chunk: &[u8]) {
        let mut heard = self.lock();
        heard.signs.see(chunk);
        heard.bytes.extend(chunk);
        let surplus = heard.bytes.len().saturating_sub(self.limit_bytes);
        heard.bytes.drain(..surplus);
    }

    /// A task begins: what the child survived before is not what it dies of.
    pub(crate) fn begin(&self) {
        self.lock().signs = Signs::default();
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(self.lock().bytes.make_contiguous()).trim().into()
    }

    /// The line that says that memory or a thread was denied, if one does; see [`Signs::lack`].
    pub(crate) fn lack(&self, is_limited: bool) -> Option<String> {
        self.lock().signs.lack(is_limited)
    }

    /// Keeps the end of `stderr` until it ends.
    pub(crate) async fn keep(self, mut stderr: ChildStderr) {
        let mut chunk = [0; 4096];
        while let Ok(count @ 1..) = stderr.read(&mut chunk).await {
            self.push(&chunk[..count]);
            tracing::debug!(text = %String::from_utf8_lossy(&chunk[..count]).trim_end(), "prover stderr");
        }
        self.lock().signs.end_line();
    }

    fn lock(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
