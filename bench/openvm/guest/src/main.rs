//! A chain of SHA-256 hashes from 32 zeros, in plain instructions, without the accelerator: `x = sha256(x)` as often as the
//! input says (`u32`, little-endian). It reveals the last one.

#![no_main]
#![no_std]

use sha2::{Digest, Sha256};

openvm::entry!(main);

fn main() {
    let input = openvm::io::read_vec();
    let links = u32::from_le_bytes(input.try_into().expect("a count of four bytes"));
    let last = (0..links).fold([0; 32], |hash: [u8; 32], _| Sha256::digest(hash).into());
    openvm::io::reveal_bytes32(last);
}
