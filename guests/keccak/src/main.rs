//! Keccak-256 applied `n` times in a row with RISC Zero's Keccak accelerator, so that the number of
//! keccak proofs is one parameter.
//!
//! - Input: `n` (`u32`, little-endian), then nothing or a seed of 32 bytes (without one: zeros).
//! - Journal: `n` (`u32`, little-endian), then the last digest, which is the seed when `n` is 0.
//!
//! The accelerator is another circuit: the host permutes, the guest's runtime hashes what it was told
//! into the claim of a batch and has the host prove each batch that is full. At the end it assumes that all
//! have been proved: one assumption, however many batches. A hash is one permutation here, and a
//! batch holds as many as a proof has room for: 2^po2 / 200, for a po2 of 14 to 18 that the host
//! chooses, hence 81 to 1,310 (655 at the default, 17).

#![no_main]

use std::{array, io::Read};

use input_reader::InputReader;
use risc0_zkvm::guest::env;

risc0_zkvm::guest::entry!(main);

/// 1,600 bits of state in lanes of 64, as the permutation has it.
const STATE_LANES: usize = 25;

/// The lanes that absorb input: 1,088 bits, which leaves the capacity of Keccak-256.
const RATE_LANES: usize = 17;

/// Keccak's own padding (SHA-3 has another): one bit behind the message, and one that ends the block.
const PADDING_START: u64 = 1;
const PADDING_END: u64 = 1 << 63;

unsafe extern "Rust" {
    /// Permutes the state and adds it to the batch. `risc0-zkvm` exports it to the guests' target
    /// alone: declared, as the crates that build on it do, this guest type-checks on the host, too.
    safe fn risc0_keccak_update(state: &mut [u64; STATE_LANES]);
}

/// A digest as the state holds it, in little-endian lanes.
type Digest = [u64; 4];

fn main() {
    let mut bytes = Vec::new();
    env::stdin().read_to_end(&mut bytes).expect("the host serves standard input");
    let mut input = InputReader::new(&bytes);
    let n = input.u32("n");
    let mut digest = Digest::default();
    if !input.is_empty() {
        let (lanes, _) = input.array::<32>("seed").as_chunks();
        digest = array::from_fn(|lane| u64::from_le_bytes(lanes[lane]));
    }
    input.finish();

    for _ in 0..n {
        digest = keccak256(digest);
    }

    env::commit_slice(&n.to_le_bytes());
    env::commit_slice(&digest);
}

/// Keccak-256 of 32 bytes, which fill less than a block, so this takes one permutation.
fn keccak256(message: Digest) -> Digest {
    let mut state = [0; STATE_LANES];
    state[..message.len()].copy_from_slice(&message);
    state[message.len()] = PADDING_START;
    state[RATE_LANES - 1] = PADDING_END;
    risc0_keccak_update(&mut state);
    [state[0], state[1], state[2], state[3]]
}
