//! Inputs for the guests, byte for byte in the formats that their sources document.
//!
//! Everything is derived from the parameters alone, so that an input can be made again anywhere and
//! compared with one in the repository. Accounts, keys and messages are made up: they are hashes of
//! a label and an index.

pub mod bigint;
pub mod chain;
pub mod compose;
pub mod ecdsa;
pub mod echo;
pub mod evm;
pub mod shipped;

use sha3::{Digest, Keccak256};

/// Thirty-two bytes that stand for the `index`-th `label`, the same on every run.
fn derived(label: &str, index: u32) -> [u8; 32] {
    Keccak256::new().chain_update(label).chain_update(index.to_le_bytes()).finalize().into()
}

/// The input size of a guest, or of a part of it, as the format's four bytes.
fn count_bytes(count: usize) -> [u8; 4] {
    u32::try_from(count).expect("inputs are made from `u32` counts").to_le_bytes()
}
