//! Makes inputs of any size for the guests.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, anyhow, ensure};
use clap::{Args, Parser, Subcommand};
use guest_tools::{
    bigint::{self, Width},
    chain,
    compose::{self, Assumption, Receipt},
    ecdsa,
    echo::{self, Stream},
    evm, shipped,
};

/// Makes an input for a guest. The same parameters give the same bytes everywhere.
#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    guest: Guest,
}

#[derive(Subcommand)]
enum Guest {
    /// SHA-256 in a chain, for `sha-chain` and `sha-ecall`.
    ShaChain(Chain),
    /// Keccak-256 in a chain.
    Keccak(Chain),
    /// Squaring of a number modulo another.
    Bigint {
        /// How many squarings.
        #[arg(long)]
        n: u32,
        /// How many bits the numbers have.
        #[arg(long, default_value = "256")]
        width: Width,
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
    /// Other programs' receipts, to be verified.
    Compose {
        /// The receipt of a program that ended well; the journal in hexadecimal digits, or `@` and a file.
        #[arg(long, num_args = 2, value_names = ["IMAGE_ID", "JOURNAL"])]
        verify: Vec<String>,
        /// Any claim's digest, and the control root of who may prove it (zeros: the zkVM's own).
        #[arg(long, num_args = 2, value_names = ["CLAIM", "CONTROL_ROOT"])]
        assume: Vec<String>,
        /// Where to write the input.
        out: PathBuf,
    },
    /// What a host gives, to be committed.
    #[command(subcommand)]
    Echo(Echo),
    /// Every input that the repository holds.
    Shipped {
        /// The `image-ids.json` of the guests.
        #[arg(long)]
        image_ids: PathBuf,
        /// The folder to write them to.
        out: PathBuf,
    },
}

#[derive(Args)]
struct Chain {
    /// How many hashes.
    #[arg(long)]
    n: u32,
    /// What to start from, as 64 hexadecimal digits [default: zeros].
    #[arg(long, value_parser = parse_digest)]
    seed: Option<[u8; 32]>,
    /// Where to write the input.
    out: PathBuf,
}

#[derive(Subcommand)]
enum Echo {
    /// Bytes that the guest commits.
    All {
        /// How many bytes.
        #[arg(long)]
        size_bytes: usize,
        /// Where to write the input.
        out: PathBuf,
    },
    /// Bytes of which the guest commits size and SHA-256.
    Hash {
        /// How many bytes.
        #[arg(long)]
        size_bytes: usize,
        /// Where to write the input.
        out: PathBuf,
    },
    /// Frames of which the guest commits size and SHA-256.
    Frames {
        /// Where to write the input.
        out: PathBuf,
        /// What each frame holds, up to 255 of them.
        files: Vec<PathBuf>,
    },
    /// Arguments, and variables of the environment.
    Environment {
        /// Where to write the input.
        out: PathBuf,
        /// The variables' names.
        names: Vec<String>,
    },
}

fn main() -> Result<()> {
    match Cli::parse().guest {
        Guest::ShaChain(Chain { n, seed, out }) | Guest::Keccak(Chain { n, seed, out }) => {
            write(&out, &chain::input(n, seed))
        }
        Guest::Bigint { n, width, out } => write(&out, &bigint::input(n, width)),
        Guest::Evm { transfers, out } => write(&out, &evm::input(transfers)?),
        Guest::Ecdsa { signatures, out } => write(&out, &ecdsa::input(signatures)?),
        Guest::Compose { verify, assume, out } => {
            let receipts: Vec<Receipt> = pairs(&verify, receipt)?;
            let assumptions: Vec<Assumption> = pairs(&assume, assumption)?;
            write(&out, &compose::input(&receipts, &assumptions))
        }
        Guest::Echo(Echo::All { size_bytes, out }) => {
            write(&out, &echo::stream_input(Stream::All, size_bytes))
        }
        Guest::Echo(Echo::Hash { size_bytes, out }) => {
            write(&out, &echo::stream_input(Stream::Hash, size_bytes))
        }
        Guest::Echo(Echo::Frames { out, files }) => {
            ensure!(files.len() <= 255, "{} frames are too many, at most 255", files.len());
            let frames = files.iter().map(|file| read(file)).collect::<Result<Vec<_>>>()?;
            write(&out, &echo::frames_input(&frames))
        }
        Guest::Echo(Echo::Environment { out, names }) => {
            write(&out, &echo::environment_input(&names))
        }
        Guest::Shipped { image_ids, out } => {
            let image_ids = String::from_utf8(read(&image_ids)?)?;
            for (name, input) in shipped::inputs(&image_ids)? {
                write(&out.join(name), &input)?;
            }
            Ok(())
        }
    }
}

/// What an option with two values said each time it was given.
fn pairs<T>(values: &[String], parse: impl Fn(&str, &str) -> Result<T>) -> Result<Vec<T>> {
    let (pairs, _) = values.as_chunks();
    pairs.iter().map(|[first, second]| parse(first, second)).collect()
}

fn receipt(image_id: &str, journal: &str) -> Result<Receipt> {
    let journal = match journal.strip_prefix('@') {
        Some(path) => read(Path::new(path))?,
        None => hex::decode(journal).context("a journal is hexadecimal, or `@` and a file")?,
    };
    Ok(Receipt { image_id: parse_digest(image_id)?, journal })
}

fn assumption(claim: &str, control_root: &str) -> Result<Assumption> {
    Ok(Assumption { claim: parse_digest(claim)?, control_root: parse_digest(control_root)? })
}

fn parse_digest(digits: &str) -> Result<[u8; 32]> {
    let mut digest = [0; 32];
    hex::decode_to_slice(digits, &mut digest)
        .map_err(|error| anyhow!("{error}: expected 64 hexadecimal digits"))?;
    Ok(digest)
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

fn write(path: &Path, input: &[u8]) -> Result<()> {
    fs::write(path, input).with_context(|| format!("cannot write {}", path.display()))
}
