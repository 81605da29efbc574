//! Commits what its host gave it, in the way that the first byte of its input selects, so that it can be
//! seen from outside: see [`main`] for the table.

#![no_main]

use std::{env::VarError, io::Read};

use input_reader::InputReader;
use risc0_zkvm::{
    guest::env,
    sha::rust_crypto::{Digest, Sha256},
};

risc0_zkvm::guest::entry!(main);

/// How much of a streamed input is held at once.
const PIECE_SIZE_BYTES: usize = 4096;

/// A piece of input, aligned to words: what is not would be copied before it is hashed, into memory
/// that is never given back.
#[repr(align(4))]
struct Piece([u8; PIECE_SIZE_BYTES]);

/// | byte 0 | then | what it commits |
/// |---|---|---|
/// | 0 | anything | all of it, as it comes |
/// | 1 | 3 zeros, a count (one byte), so many frames | the count (`u32`), then size (`u32`) and SHA-256 of each |
/// | 2 | names of variables, one a line | the lines below |
/// | 3 | anything | its size (`u64`) and its SHA-256 |
///
/// Numbers are little-endian. A frame is its size (`u32`) and so many bytes, as the host's
/// `write_frame` makes it. What selects frames is a frame itself, of one byte, the count: so a host that
/// writes nothing but frames can say it, too.
///
/// The lines: `arg VALUE` for each argument; then for each name `env NAME=VALUE`, or `env NAME` where it is
/// not set. Values are written as they are, line ends and all.
fn main() {
    let [way] = read_array("the way to echo");
    match way {
        0 => for_each_piece(env::commit_slice),
        1 => commit_frames(),
        2 => commit_environment(),
        3 => commit_hash(),
        other => panic!("unknown way to echo: {other}, expected 0 to 3"),
    }
}

fn commit_frames() {
    let [size_1, size_2, size_3, count] = read_array("the count of frames");
    if [size_1, size_2, size_3] != [0; 3] {
        let size_bytes = u32::from_le_bytes([1, size_1, size_2, size_3]);
        panic!(
            "the first frame has {size_bytes} bytes, expected 1: the count of those that follow"
        );
    }
    env::commit_slice(&u32::from(count).to_le_bytes());
    for _ in 0..count {
        let frame = env::read_frame();
        env::commit_slice(&(frame.len() as u32).to_le_bytes());
        env::commit_slice(&Sha256::digest(&frame));
    }
    InputReader::new(&read_rest()).finish();
}

fn commit_environment() {
    let names = String::from_utf8(read_rest()).expect("names of variables are UTF-8");
    for argument in std::env::args() {
        commit_line(&format!("arg {argument}"));
    }
    for name in names.lines() {
        match std::env::var(name) {
            Ok(value) => commit_line(&format!("env {name}={value}")),
            Err(VarError::NotPresent) => commit_line(&format!("env {name}")),
            Err(error) => panic!("variable {name}: {error}"),
        }
    }
}

fn commit_hash() {
    let mut size_bytes = 0_u64;
    let mut hasher = Sha256::new();
    for_each_piece(|piece| {
        size_bytes += piece.len() as u64;
        hasher.update(piece);
    });
    env::commit_slice(&size_bytes.to_le_bytes());
    env::commit_slice(&hasher.finalize());
}

fn commit_line(line: &str) {
    env::commit_slice(line.as_bytes());
    env::commit_slice(b"\n");
}

/// Passes on the rest of the input, never holding more than a piece of it.
fn for_each_piece(mut consume: impl FnMut(&[u8])) {
    let mut piece = Piece([0; PIECE_SIZE_BYTES]);
    loop {
        let size_bytes = env::stdin().read(&mut piece.0).expect("the host serves standard input");
        if size_bytes == 0 {
            break;
        }
        consume(&piece.0[..size_bytes]);
    }
}

/// The next bytes of the input, and no byte more: what follows them is read in another way.
fn read_array<const N: usize>(what: &str) -> [u8; N] {
    let mut bytes = Vec::new();
    env::stdin().take(N as u64).read_to_end(&mut bytes).expect("the host serves standard input");
    *InputReader::new(&bytes).array(what)
}

fn read_rest() -> Vec<u8> {
    let mut bytes = Vec::new();
    env::stdin().read_to_end(&mut bytes).expect("the host serves standard input");
    bytes
}
