//! Verifies the receipts of other programs, any number of them, and of itself in an earlier run.
//!
//! Input, counts and sizes as little-endian `u32`:
//! - the number of receipts, then each as image id (32 bytes), size of its journal, and the journal;
//! - nothing, or the number of assumptions, then each as digest of its claim and control root (32 + 32
//!   bytes; a control root of zeros stands for the zkVM's own).
//!
//! Journal (36 bytes): the number of receipts and assumptions (`u32`, little-endian); the SHA-256 of the
//! input, which names everything that was verified.
//!
//! Receipts go through `env::verify`, in their order, then assumptions through
//! `env::verify_assumption`. The same one may come twice: it is then assumed twice. What the host does not
//! have fails the execution in the host, not in here.

#![no_main]

use std::io::Read;

use input_reader::InputReader;
use risc0_zkvm::{
    guest::env,
    sha::{Digest, Impl, Sha256},
};

risc0_zkvm::guest::entry!(main);

const DIGEST_SIZE_BYTES: usize = 32;

/// An image id and the size of a journal, without the journal.
const RECEIPT_SIZE_BYTES_MIN: usize = DIGEST_SIZE_BYTES + 4;

/// The digest of a claim and a control root.
const ASSUMPTION_SIZE_BYTES: usize = 2 * DIGEST_SIZE_BYTES;

fn main() {
    let mut bytes = Vec::new();
    env::stdin().read_to_end(&mut bytes).expect("the host serves standard input");
    let mut input = InputReader::new(&bytes);

    let mut count = input.count(RECEIPT_SIZE_BYTES_MIN, "receipts");
    for _ in 0..count {
        let image_id = digest(&mut input, "image id");
        let journal_size_bytes = input.u32("journal size") as usize;
        let journal = input.bytes(journal_size_bytes, "journal");
        let Ok(()) = env::verify(image_id, journal);
    }

    if !input.is_empty() {
        let assumption_count = input.count(ASSUMPTION_SIZE_BYTES, "assumptions");
        for _ in 0..assumption_count {
            let claim = digest(&mut input, "claim digest");
            let control_root = digest(&mut input, "control root");
            let Ok(()) = env::verify_assumption(claim, control_root);
        }
        count += assumption_count;
    }
    input.finish();

    env::commit_slice(&(count as u32).to_le_bytes());
    env::commit_slice(Impl::hash_bytes(&bytes).as_bytes());
}

fn digest(input: &mut InputReader, what: &str) -> Digest {
    Digest::from(*input.array::<DIGEST_SIZE_BYTES>(what))
}
