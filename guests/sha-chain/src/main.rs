//! The yardstick: SHA-256 applied `n` times in a row, so that the size of a job is one parameter.
//!
//! It hashes with plain rv32 instructions, not with the zkVM's SHA-256 accelerator: the cycles then grow
//! evenly with `n` and every segment is alike.
//!
//! - Input: `n` (`u32`, little-endian), then nothing or a seed of 32 bytes (without one: zeros).
//! - Journal: `n` (`u32`, little-endian), then the last digest, which is the seed when `n` is 0.

#![no_main]

use std::io::Read;

use input_reader::InputReader;
use risc0_zkvm::guest::env;
use sha2::{Digest, Sha256};

risc0_zkvm::guest::entry!(main);

fn main() {
    let mut bytes = Vec::new();
    env::stdin().read_to_end(&mut bytes).expect("the host serves standard input");
    let mut input = InputReader::new(&bytes);
    let n = input.u32("n");
    let mut digest = [0; 32];
    if !input.is_empty() {
        digest = *input.array("seed");
    }
    input.finish();

    for _ in 0..n {
        digest = Sha256::digest(digest).into();
    }

    env::commit_slice(&n.to_le_bytes());
    env::commit_slice(&digest);
}
