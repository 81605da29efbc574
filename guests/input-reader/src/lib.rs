//! A cursor over a guest's input. It owns one thing: what a guest says when its input is malformed.
//!
//! Inputs are plain little-endian bytes, with no serialisation format between the host and the guest:
//! decoding is proved too, and a `serde` decoder costs more cycles than some guests' own work.
//!
//! A guest has nobody to return an error to, so every method panics on malformed input, with a
//! message that names the field, what it needs and what is there.

/// What is left of a guest's input.
#[derive(Debug, Clone)]
pub struct InputReader<'a> {
    rest: &'a [u8],
    size_bytes: usize,
}

impl<'a> InputReader<'a> {
    /// A reader at the start of `input`.
    pub fn new(input: &'a [u8]) -> Self {
        Self { rest: input, size_bytes: input.len() }
    }

    /// Whether everything has been read.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next `count` bytes, which hold `what`.
    ///
    /// # Panics
    /// When fewer are left.
    #[track_caller]
    pub fn bytes(&mut self, count: usize, what: &str) -> &'a [u8] {
        let Some((head, tail)) = self.rest.split_at_checked(count) else {
            panic!(
                "input too short: {what} needs {count} bytes, {} are left of {}",
                self.rest.len(),
                self.size_bytes
            );
        };
        self.rest = tail;
        head
    }

    /// The next `N` bytes, which hold `what`.
    ///
    /// # Panics
    /// When fewer are left.
    #[track_caller]
    pub fn array<const N: usize>(&mut self, what: &str) -> &'a [u8; N] {
        self.bytes(N, what).try_into().expect("`bytes` returns as many as asked")
    }

    /// The next four bytes as a little-endian number, `what`.
    ///
    /// # Panics
    /// When fewer than four bytes are left.
    #[track_caller]
    pub fn u32(&mut self, what: &str) -> u32 {
        u32::from_le_bytes(*self.array(what))
    }

    /// A little-endian `u32`, the number of `what` that follow.
    ///
    /// # Panics
    /// When fewer than four bytes are left, or when what is left is too short for that many items of
    /// `item_size_bytes`, so that a caller may allocate for all of them.
    #[track_caller]
    pub fn count(&mut self, item_size_bytes: usize, what: &str) -> usize {
        let count = self.u32(what) as usize;
        let needed_bytes = count.saturating_mul(item_size_bytes);
        if needed_bytes > self.rest.len() {
            panic!(
                "input too short: {count} {what} need {needed_bytes} bytes, {} are left of {}",
                self.rest.len(),
                self.size_bytes
            );
        }
        count
    }

    /// Ends the input.
    ///
    /// # Panics
    /// When something is left: an input with a forgotten tail is another input than was meant.
    #[track_caller]
    pub fn finish(self) {
        if !self.rest.is_empty() {
            panic!(
                "input too long: {} bytes are left over of {}",
                self.rest.len(),
                self.size_bytes
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{UnwindSafe, catch_unwind};

    use super::*;

    fn panic_message<T>(read: impl FnOnce() -> T + UnwindSafe) -> String {
        let panic = catch_unwind(read).err().expect("must panic");
        *panic.downcast::<String>().expect("formatted")
    }

    #[test]
    fn fields_are_read_in_order_and_little_endian() {
        let mut input = InputReader::new(&[1, 2, 0, 0, 7, 8]);
        assert_eq!(input.u32("n"), 513);
        assert_eq!(input.array("pair"), &[7, 8]);
        assert!(input.is_empty());
        input.finish();
    }

    #[test]
    fn a_field_beyond_the_end_names_itself_and_what_is_there() {
        assert_eq!(
            panic_message(|| InputReader::new(&[1, 2, 3]).u32("n")),
            "input too short: n needs 4 bytes, 3 are left of 3"
        );
    }

    #[test]
    fn a_count_beyond_the_input_is_refused_before_anything_is_allocated() {
        assert_eq!(
            panic_message(|| InputReader::new(&[255, 255, 255, 255, 0]).count(2, "slots")),
            "input too short: 4294967295 slots need 8589934590 bytes, 1 are left of 5"
        );
    }

    #[test]
    fn bytes_left_over_are_refused() {
        assert_eq!(
            panic_message(|| InputReader::new(&[0; 3]).finish()),
            "input too long: 3 bytes are left over of 3"
        );
    }
}
