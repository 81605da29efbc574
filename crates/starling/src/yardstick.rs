//! The shipped SHA-256 chain guest, inside the binary: what `doctor` and `bench` prove.

use std::io;

use anyhow::Context;
use starling_types::Po2;
use starling_zkvm::{ExecuteOptions, Guest};

use crate::exit::Exit;

/// `guests/bin/sha-chain.bin`: hashes as often as its input says.
const SHA_CHAIN: &[u8] = include_bytes!("../guests/sha-chain.bin");

/// `guests/bin/keccak.bin`: the same with the keccak accelerator.
const KECCAK: &[u8] = include_bytes!("../guests/keccak.bin");

/// Segments that hold the keccak guest whatever the size of its batches.
const KECCAK_GUEST_PO2: u32 = 20;

/// Cycles of the keccak circuit for each permutation.
const CYCLES_PER_PERMUTATION: u64 = 200;

/// User cycles of one link of the chain, about; see `guests/README.md`.
const CYCLES_PER_LINK: u64 = 3_600;

/// The guest.
pub fn guest() -> Result<Guest, Exit> {
    Ok(Guest::parse(SHA_CHAIN.to_vec()).context("the built-in guest is damaged")?)
}

/// The guest that hashes with the keccak accelerator.
pub fn keccak_guest() -> Result<Guest, Exit> {
    Ok(Guest::parse(KECCAK.to_vec()).context("the built-in keccak guest is damaged")?)
}

/// Executes it with as many permutations as fill a keccak proof of 2^`po2` cycles.
pub fn keccak_options(po2: Po2, seed: [u8; 32]) -> ExecuteOptions {
    let permutations = u32::try_from(po2.cycles() / CYCLES_PER_PERMUTATION).unwrap_or(u32::MAX);
    let segment_po2 = KECCAK_GUEST_PO2.try_into().expect("a po2 of the circuit");
    ExecuteOptions {
        input: Box::new(io::Cursor::new(input(permutations))),
        keccak_po2: po2.get(),
        ..ExecuteOptions::new(segment_po2, seed)
    }
}

/// The input for a chain of `links` hashes: the count as a little-endian `u32`.
pub fn input(links: u32) -> Vec<u8> {
    links.to_le_bytes().to_vec()
}

/// Executes a chain of `links` hashes in segments of up to 2^`po2` cycles; what the guest prints is dropped.
pub fn execute_options(links: u32, segment_po2: Po2, seed: [u8; 32]) -> ExecuteOptions {
    ExecuteOptions {
        input: Box::new(io::Cursor::new(input(links))),
        ..ExecuteOptions::new(segment_po2, seed)
    }
}

/// How many links fill `segments` segments of `po2`, and some more.
pub fn links_for(segments: u64, po2: Po2) -> u32 {
    let cycles = (segments + 1) * po2.cycles();
    u32::try_from(cycles.div_ceil(CYCLES_PER_LINK)).unwrap_or(u32::MAX)
}
