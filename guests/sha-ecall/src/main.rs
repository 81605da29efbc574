//! SHA-256 applied `n` times in a row with the zkVM's SHA-256 accelerator: what `sha-chain` does in plain
//! instructions, so that the two must agree on every journal.
//!
//! - Input: `n` (`u32`, little-endian), then nothing or a seed of 32 bytes (without one: zeros).
//! - Journal: `n` (`u32`, little-endian), then the last digest, which is the seed when `n` is 0.

#![no_main]

use std::io::Read;

use input_reader::InputReader;
use risc0_zkvm::{
    guest::env,
    sha::{Digest, Impl, Sha256},
};

risc0_zkvm::guest::entry!(main);

fn main() {
    let mut bytes = Vec::new();
    env::stdin().read_to_end(&mut bytes).expect("the host serves standard input");
    let mut input = InputReader::new(&bytes);
    let n = input.u32("n");
    let mut digest = Digest::ZERO;
    if !input.is_empty() {
        digest = Digest::from(*input.array("seed"));
    }
    input.finish();

    for _ in 0..n {
        digest = *Impl::hash_bytes(digest.as_bytes());
    }

    env::commit_slice(&n.to_le_bytes());
    env::commit_slice(digest.as_bytes());
}
