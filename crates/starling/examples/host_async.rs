//! A host program that lives on a tokio runtime, and has two proofs made at the same time by one prover.
//!
//! A call of the prover waits on the thread that makes it, so it goes where waiting is allowed: `spawn_blocking`. The
//! prover has a runtime of its own, so that it works on any thread; made on a worker it would merely hold that worker up.
//!
//! ```sh
//! cargo build --release --bin starling
//! cargo run --release --example host_async -- target/release/starling guests/bin/sha-ecall.bin /tmp/host-data
//! ```

use std::{path::PathBuf, sync::Arc, time::Duration};

use anyhow::Context;
use risc0_zkvm::{ExecutorEnv, ProveInfo, Prover, ProverOpts};
use starling_client::{
    Client, LocalNodes, NetworkOptions, NetworkProver, Patience, RunOptions, SandboxPolicy,
};
use starling_types::MemoryBytes;
use starling_zkvm::Backend;

/// What the guest reads: how many times to hash, a proof each.
const INPUTS: [u32; 2] = [3, 4];

/// What the blobs of the host's jobs, and of each node, may take on the disk.
const DISK_BUDGET_BYTES: u64 = 4 << 30;

/// How long a proof may take.
const TIME_LIMIT: Duration = Duration::from_secs(3600);

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let mut args = std::env::args_os().skip(1).map(PathBuf::from);
    let (Some(starling), Some(guest), Some(data)) = (args.next(), args.next(), args.next()) else {
        anyhow::bail!("usage: host_async STARLING GUEST DATA_DIR");
    };
    let elf = std::fs::read(&guest).with_context(|| format!("no guest {}", guest.display()))?;
    let image_id = risc0_zkvm::compute_image_id(&elf)?;

    let client = Client::open(&data, "example host_async", DISK_BUDGET_BYTES)?;
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
    let patience = Patience { node_wait: RunOptions::NODE_WAIT, timeout: Some(TIME_LIMIT) };
    let prover = NetworkProver::new(client, NetworkOptions::on_this_machine(nodes))?
        .with_options(RunOptions { patience, ..RunOptions::default() })
        .on_progress(|job, now| {
            if let Some(segments) = now.tasks.stages.first() {
                eprintln!("{job:#}: {} of {} segments proved", segments.accepted, segments.total);
            }
        });
    // Cancelled, it ends both proofs.
    let stop = prover.stop_token();
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            stop.cancel();
        }
    });

    let prover = Arc::new(prover);
    let proofs = INPUTS.map(|input| {
        let (prover, elf) = (prover.clone(), elf.clone());
        tokio::task::spawn_blocking(move || prove(&prover, &elf, input))
    });
    for proof in proofs {
        let info = proof.await??;
        info.receipt.verify(image_id)?;
        println!("journal: {}", hex::encode(&info.receipt.journal.bytes));
    }
    Ok(())
}

fn prove(prover: &NetworkProver, elf: &[u8], input: u32) -> anyhow::Result<ProveInfo> {
    let env = ExecutorEnv::builder().segment_limit_po2(16).write_slice(&[input]).build()?;
    prover.prove_with_opts(env, elf, &ProverOpts::succinct())
}
