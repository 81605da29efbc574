//! A host program, as users of RISC Zero write them, whose proofs are made by a network of nodes.
//!
//! One line differs from a host that proves by itself: the prover. Here the nodes are started on this machine;
//! `NetworkOptions::join` names nodes elsewhere.
//!
//! ```sh
//! cargo build --release --bin starling
//! cargo run --release --example host -- target/release/starling guests/bin/sha-ecall.bin /tmp/host-data
//! ```

use std::path::PathBuf;

use anyhow::Context;
use risc0_zkvm::{ExecutorEnv, Prover, ProverOpts};
use starling_client::{Client, LocalNodes, NetworkOptions, NetworkProver, SandboxPolicy};
use starling_types::MemoryBytes;
use starling_zkvm::Backend;

/// What the guest reads: how many times to hash.
const INPUT: u32 = 3;

/// What the blobs of the host's jobs, and of each node, may take on the disk.
const DISK_BUDGET_BYTES: u64 = 4 << 30;

fn main() -> anyhow::Result<()> {
    let mut args = std::env::args_os().skip(1).map(PathBuf::from);
    let (Some(starling), Some(guest), Some(data)) = (args.next(), args.next(), args.next()) else {
        anyhow::bail!("usage: host STARLING GUEST DATA_DIR");
    };
    let elf = std::fs::read(&guest).with_context(|| format!("no guest {}", guest.display()))?;

    let client = Client::open(&data, "example host", DISK_BUDGET_BYTES)?;
    let nodes = LocalNodes {
        count: 2,
        program: starling,
        memory_each: MemoryBytes::from_mib(2048),
        threads_each: 1,
        backend: Backend::default(),
        sandbox: SandboxPolicy::default(),
        disk_budget_bytes: DISK_BUDGET_BYTES,
        loopback: true,
    };
    // The line that differs: `let prover = risc0_zkvm::default_prover();`
    let prover = NetworkProver::new(client, NetworkOptions::on_this_machine(nodes))?;

    let env = ExecutorEnv::builder()
        .segment_limit_po2(16)
        .keccak_max_po2(14)?
        .write_slice(&[INPUT])
        .build()?;
    let info = prover.prove_with_opts(env, &elf, &ProverOpts::succinct())?;
    let image_id = risc0_zkvm::compute_image_id(&elf)?;
    info.receipt.verify(image_id)?;

    let journal = &info.receipt.journal.bytes;
    println!("journal: {}", hex::encode(journal));
    println!("{} segments, {} user cycles", info.stats.segments, info.stats.user_cycles);
    Ok(())
}
