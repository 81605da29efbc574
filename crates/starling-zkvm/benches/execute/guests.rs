//! The guests: two that are shipped, and two kinds that are made here.

use std::{io::Cursor, path::Path};

use starling_zkvm::ExecuteOptions;

use crate::tiny::{End, Tiny};

/// Whether there is such a guest.
pub fn is_known(name: &str) -> bool {
    shipped(name).is_some() || made(name).is_some()
}

/// A guest's program binary.
pub fn program(name: &str) -> Vec<u8> {
    match shipped(name) {
        Some(program) => read("bin", program),
        None => made(name).unwrap().end(End::Halted(0)),
    }
}

/// How a guest is executed.
pub fn options(name: &str, po2: u32) -> ExecuteOptions {
    let input = shipped(name).map(|_| read("inputs", &format!("{name}.bin"))).unwrap_or_default();
    let po2 = po2.try_into().unwrap();
    ExecuteOptions { input: Box::new(Cursor::new(input)), ..ExecuteOptions::new(po2, [1; 32]) }
}

fn shipped(name: &str) -> Option<&'static str> {
    match name {
        "evm-1" | "evm-10" | "evm-100" => Some("evm-transfer.bin"),
        "sha-chain-1" | "sha-chain-100" | "sha-chain-1000" => Some("sha-chain.bin"),
        _ => None,
    }
}

fn made(name: &str) -> Option<Tiny> {
    let (kind, mib) = name.split_once('-')?;
    let mib: u32 = mib.parse().ok().filter(|mib| (1..=1024).contains(mib))?;
    match kind {
        "touch" => Some(Tiny::touching(mib << 10)),
        "bss" => Some(Tiny::zeroed(mib << 20)),
        _ => None,
    }
}

fn read(folder: &str, name: &str) -> Vec<u8> {
    let guests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../guests");
    std::fs::read(guests.join(folder).join(name)).unwrap()
}
