//! How to tell that the system denied a process memory or a thread: by what the process said. If a thread does not start, memory
//! is short, or the user or the container may have no more threads. Another machine has more, and the task is not to blame.

/// What allocators and starters of threads say: Rust's and C++'s, and the system's words for `ENOMEM` and `EAGAIN`.
const WORDS: [&str; 4] = ["memory allocation of", "bad_alloc", "Cannot allocate memory", NO_THREAD];

/// The system's word on a thread or a process that it does not start.
const NO_THREAD: &str = "Resource temporarily unavailable";

/// Native code that is denied a thread or a buffer often says no more than this.
const NATIVE_END: &str = "terminate called";

/// The most bytes of a line that are looked at.
const LINE_BYTES_MAX: usize = 1 << 10;

/// The line of `text` that says so, with what it means.
pub(crate) fn lack_in(text: &str) -> Option<String> {
    let line = text.lines().find(|line| WORDS.iter().any(|word| line.contains(word)))?.trim();
    if line.contains(NO_THREAD) {
        return Some(format!(
            "{line} (no memory for a thread, or no more threads allowed: see `ulimit -u` and the container's pids.max)"
        ));
    }
    Some(line.into())
}

/// What the lines of a stream said of it. A backtrace behind such a line is longer than what is kept of the stream, so lines are
/// looked at as they come.
#[derive(Debug, Default)]
pub(crate) struct Signs {
    line: Vec<u8>,
    lack: Option<String>,
    native_end: Option<String>,
}

impl Signs {
    /// Some more bytes of the stream.
    pub(crate) fn see(&mut self, chunk: &[u8]) {
        for part in chunk.split_inclusive(|byte| *byte == b'\n') {
            let room = LINE_BYTES_MAX.saturating_sub(self.line.len());
            self.line.extend(&part[..part.len().min(room)]);
            if part.ends_with(b"\n") {
                self.end_line();
            }
        }
    }

    /// The stream's last line may have no end.
    pub(crate) fn end_line(&mut self) {
        let line = String::from_utf8_lossy(&std::mem::take(&mut self.line)).into_owned();
        if let Some(lack) = lack_in(&line) {
            self.lack = Some(lack);
        } else if line.contains(NATIVE_END) {
            self.native_end = Some(line.trim().into());
        }
    }

    /// The last line that said that memory or a thread was denied. Under a limit, that native code ended itself says it as
    /// well.
    pub(crate) fn lack(&self, is_limited: bool) -> Option<String> {
        self.lack.clone().or_else(|| self.native_end.clone().filter(|_| is_limited))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_was_not_started_is_a_lack_whoever_says_it() {
        let rayon = r#"IOError(Os { code: 11, kind: WouldBlock, message: "Resource temporarily unavailable" })"#;
        let native = "  what():  Resource temporarily unavailable";
        for said in [
            rayon,
            native,
            "error: cannot start 4 threads: Resource temporarily unavailable (os error 11)",
        ] {
            let lack =
                lack_in(&format!("a line before\n{said}\n   0: a frame")).unwrap_or_default();
            assert!(lack.starts_with(said.trim()) && lack.contains("pids.max"), "{lack}");
        }
        assert_eq!(lack_in("index out of bounds: the len is 3 but the index is 7"), None);
    }

    #[test]
    fn a_line_is_understood_however_it_arrives_and_however_much_follows() {
        let mut signs = Signs::default();
        for piece in
            ["warming up\nmemory alloc", "ation of 64 bytes", " failed\nstack backtrace:\n"]
        {
            signs.see(piece.as_bytes());
        }
        signs.see(&b"  12: rayon_core::registry::main_loop\n".repeat(10_000));
        assert_eq!(signs.lack(false).as_deref(), Some("memory allocation of 64 bytes failed"));
        // A line without an end is looked at where the stream ends, and no more of it is kept than is looked at.
        let mut signs = Signs::default();
        signs.see(&vec![b'x'; 1 << 20]);
        assert_eq!(signs.line.len(), LINE_BYTES_MAX);
        signs.see(b"\nstd::bad_alloc");
        signs.end_line();
        assert_eq!(signs.lack(false).as_deref(), Some("std::bad_alloc"));
    }

    #[test]
    fn native_code_that_ends_itself_lacks_memory_only_where_that_is_limited() {
        let mut signs = Signs::default();
        signs.see(b"terminate called without an active exception\n   3: a frame\n");
        assert_eq!(signs.lack(false), None);
        assert!(signs.lack(true).is_some_and(|line| line.starts_with("terminate called")));
    }
}
