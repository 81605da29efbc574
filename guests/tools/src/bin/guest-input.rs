//! Makes inputs of any size for the guests.

use std::{fs, path::PathBuf};

use anyhow::{Context, Result, anyhow};
use clap::{Parser, Subcommand};
use guest_tools::{ecdsa, evm, sha_chain};

/// Makes an input for a guest. The same parameters give the same bytes everywhere.
#[derive(Parser)]
struct Args {
    #[command(subcommand)]
    guest: Guest,
}

#[derive(Subcommand)]
enum Guest {
    /// SHA-256 in a chain.
    ShaChain {
        /// How many hashes.
        #[arg(long)]
        n: u32,
        /// What to start from, as 64 hexadecimal digits [default: zeros].
        #[arg(long, value_parser = parse_seed)]
        seed: Option<[u8; 32]>,
        /// Where to write the input.
        out: PathBuf,
    },
    /// ERC-20 transfers on the EVM.
    Evm {
        /// How many transfers.
        #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
        transfers: u32,
        /// Where to write the input.
        out: PathBuf,
    },
    /// A batch of secp256k1 signatures.
    Ecdsa {
        /// How many signatures.
        #[arg(long, value_parser = clap::value_parser!(u32).range(..=1_000_000))]
        signatures: u32,
        /// Where to write the input.
        out: PathBuf,
    },
}

fn main() -> Result<()> {
    let (input, out) = match Args::parse().guest {
        Guest::ShaChain { n, seed, out } => (sha_chain::input(n, seed), out),
        Guest::Evm { transfers, out } => (evm::input(transfers)?, out),
        Guest::Ecdsa { signatures, out } => (ecdsa::input(signatures)?, out),
    };
    fs::write(&out, input).with_context(|| format!("cannot write {}", out.display()))
}

fn parse_seed(digits: &str) -> Result<[u8; 32]> {
    let mut seed = [0; 32];
    hex::decode_to_slice(digits, &mut seed)
        .map_err(|error| anyhow!("{error}: expected 64 hexadecimal digits"))?;
    Ok(seed)
}
