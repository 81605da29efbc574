//! The last bytes of a stream: what a child that died said in the end.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::{io::AsyncReadExt, process::ChildStderr};

/// The last bytes. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Tail {
    bytes: Arc<Mutex<VecDeque<u8>>>,
    limit_bytes: usize,
}

impl Tail {
    pub(crate) fn new(limit_bytes: usize) -> Self {
        Self { bytes: Arc::default(), limit_bytes }
    }

    fn push(&self, chunk: &[u8]) {
        let mut bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        bytes.extend(chunk);
        let surplus = bytes.len().saturating_sub(self.limit_bytes);
        bytes.drain(..surplus);
    }

    pub(crate) fn text(&self) -> String {
        let mut bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(bytes.make_contiguous()).trim().into()
    }

    /// Keeps the end of `stderr` until it ends.
    pub(crate) async fn keep(self, mut stderr: ChildStderr) {
        let mut chunk = [0; 4096];
        while let Ok(count @ 1..) = stderr.read(&mut chunk).await {
            self.push(&chunk[..count]);
            tracing::debug!(text = %String::from_utf8_lossy(&chunk[..count]).trim_end(), "prover stderr");
        }
    }
}
