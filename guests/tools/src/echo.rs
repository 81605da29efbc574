//! Inputs of the `echo` guest.

use crate::{count_bytes, derived};

/// What the guest commits of a stream of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Every byte.
    All,
    /// The size and the SHA-256.
    Hash,
}

/// The input for a stream of `size_bytes` made-up bytes.
pub fn stream_input(stream: Stream, size_bytes: usize) -> Vec<u8> {
    let way = match stream {
        Stream::All => 0,
        Stream::Hash => 3,
    };
    let stream = (0..).flat_map(|index| derived("stream", index)).take(size_bytes);
    [way].into_iter().chain(stream).collect()
}

/// The input for `frames`: one of a single byte, their count, comes first. It starts with a 1, which
/// selects frames.
pub fn frames_input<F: AsRef<[u8]>>(frames: &[F]) -> Vec<u8> {
    let count = u8::try_from(frames.len()).expect("the count of frames is one byte");
    let mut input = Vec::new();
    let mut write_frame = |frame: &[u8]| {
        input.extend(count_bytes(frame.len()));
        input.extend(frame);
    };
    write_frame(&[count]);
    for frame in frames {
        write_frame(frame.as_ref());
    }
    input
}

/// The input to commit all arguments and the variables of these names.
pub fn environment_input<N: AsRef<str>>(names: &[N]) -> Vec<u8> {
    let mut input = vec![2];
    for name in names {
        input.extend(name.as_ref().as_bytes());
        input.push(b'\n');
    }
    input
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_has_the_size_asked_for_and_is_the_same_every_time() {
        let input = stream_input(Stream::Hash, 10_000);
        assert_eq!(input.len(), 10_001);
        assert_eq!(input, stream_input(Stream::Hash, 10_000));
        assert_eq!(input[1..], stream_input(Stream::All, 20_000)[1..10_001]);
    }

    #[test]
    fn frames_are_nothing_but_frames() {
        assert_eq!(frames_input(&["", "abc"]), *b"\x01\0\0\0\x02\0\0\0\0\x03\0\0\0abc");
    }

    #[test]
    fn variables_are_named_one_a_line() {
        assert_eq!(environment_input(&["A", "B"]), *b"\x02A\nB\n");
    }
}
