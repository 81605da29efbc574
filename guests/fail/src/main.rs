//! Fails on purpose, in the way that the first byte of its input selects, so that every bad day of a
//! guest can be rehearsed: see [`main`] for the table.

#![no_main]

use std::{
    hint::black_box,
    io::{Read, Write},
};

use input_reader::InputReader;
use risc0_zkvm::guest::env;

risc0_zkvm::guest::entry!(main);

/// What a well-behaved run commits.
const JOURNAL: &[u8] = b"ok";

/// The exit code of way 2 unless the input names another.
const EXIT_CODE: u8 = 1;

/// What way 7 commits when a host runs it on after the pause.
const JOURNAL_AFTER_PAUSE: &[u8] = b"resumed";

/// The exit code of way 7 unless the input names another.
const PAUSE_EXIT_CODE: u8 = 0;

/// The journal of way 5 unless the input names another size: just over the 100 MiB that RISC Zero's
/// executor accepts.
const JOURNAL_SIZE_KIB: u32 = 101 * 1024;

/// | byte 0 | then | what happens |
/// |---|---|---|
/// | 0 | | commits `ok` |
/// | 1 | a message (UTF-8) or nothing | panics with the message |
/// | 2 | an exit code (one byte) or nothing (1) | commits `ok`, exits with the code |
/// | 3 | | runs for ever |
/// | 4 | | reads beyond the end of its input |
/// | 5 | a size in KiB (`u32`, little-endian) or nothing (over the executor's limit) | commits so many zeros |
/// | 6 | | writes bytes that are not UTF-8 to standard output, commits `ok` |
/// | 7 | an exit code (one byte) or nothing (0) | commits `ok`, pauses; resumed, commits `resumed` |
///
/// A pause ends the session: its claim has the exit code `Paused`, the journal so far, and a post-state
/// that is not zero. A host that runs the same executor again gets a second session, which starts at
/// that state with an empty journal of its own.
fn main() {
    let mut bytes = Vec::new();
    env::stdin().read_to_end(&mut bytes).expect("the host serves standard input");
    let mut input = InputReader::new(&bytes);
    let [way] = *input.array("the way to fail");
    match way {
        0 => env::commit_slice(JOURNAL),
        1 => {
            let message = String::from_utf8_lossy(&bytes[1..]);
            if message.is_empty() {
                panic!("failing on purpose, as the input asks");
            }
            panic!("{message}");
        }
        2 => {
            let exit_code =
                if input.is_empty() { EXIT_CODE } else { input.array::<1>("exit code")[0] };
            input.finish();
            env::commit_slice(JOURNAL);
            env::exit(exit_code);
        }
        3 => {
            let mut turns = 0_u32;
            loop {
                turns = black_box(turns.wrapping_add(1));
            }
        }
        4 => {
            // The stock way to read, since its message is the one that users meet.
            let beyond_the_end: u32 = env::read();
            panic!("read {beyond_the_end} beyond the end of the input");
        }
        5 => {
            let size_kib =
                if input.is_empty() { JOURNAL_SIZE_KIB } else { input.u32("journal size") };
            input.finish();
            for _ in 0..size_kib {
                env::commit_slice(&[0_u8; 1024]);
            }
        }
        6 => {
            env::stdout().write_all(b"not UTF-8: \xff\xfe\x80\n").expect("the host takes output");
            env::commit_slice(JOURNAL);
        }
        7 => {
            let exit_code =
                if input.is_empty() { PAUSE_EXIT_CODE } else { input.array::<1>("exit code")[0] };
            input.finish();
            env::commit_slice(JOURNAL);
            env::pause(exit_code);
            env::commit_slice(JOURNAL_AFTER_PAUSE);
        }
        other => panic!("unknown way to fail: {other}, expected 0 to 7"),
    }
}
