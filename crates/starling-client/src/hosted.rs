//! Proving for host programs: `risc0_zkvm::Prover` over the network, so that a host changes one line.
//!
//! The guest runs in the host's own process, under the environment that the host made for it; its segments
//! go to nodes while it still runs. The host needs `risc0-zkvm` with its feature `client` alone: none of RISC Zero's C++.

use std::{
    collections::VecDeque,
    io,
    sync::{Mutex, MutexGuard, PoisonError},
};

use anyhow::{Context, bail, ensure};
use risc0_zkvm::{
    ExecutorEnv, InnerReceipt, ProveInfo, Prover, ProverOpts, Receipt, VerifierContext,
};
use starling_types::ReceiptKind;
use starling_zkvm::{
    Guest,
    execute::hosted::{HostedExecution, execute_hosted, prove_info},
    receipt::read_receipt,
    zkvm,
};
use tokio::{
    runtime::Runtime,
    sync::{mpsc, watch},
};
use tokio_util::sync::CancellationToken;

use crate::{
    Client, Delivery, HostRun, JobRequest, Progress, RunOptions, Source,
    execution::{Ended, ExecutionEvent, ExecutionThread, stored, stored_given},
};

/// The one hash function that receipts are proved with.
const HASHFN: &str = "poseidon2";

/// A [`Prover`] whose work is done by nodes.
///
/// It differs from `risc0_zkvm`'s local prover in this: receipts in the environment that prove assumptions
/// are succinct ([`Prover::compress`] makes them so); keccak requests of guests are proved by nodes too, whatever
/// coprocessor the environment has; and environments that trace instructions are refused. It has one job at a time;
/// threads that share it wait for one another.
///
/// ```no_run
/// use risc0_zkvm::{ExecutorEnv, Prover};
/// use starling_client::{Client, NetworkProver, RunOptions};
/// # fn host(options: RunOptions, elf: &[u8]) -> anyhow::Result<()> {
/// let client = Client::open("data".as_ref(), "my host program", 20 << 30)?;
/// let prover = NetworkProver::new(client, options)?; // was: risc0_zkvm::default_prover()
/// let env = ExecutorEnv::builder().write(&7_u32)?.build()?;
/// let receipt = prover.prove(env, elf)?.receipt;
/// # Ok(())
/// # }
/// ```
pub struct NetworkProver {
    client: Client,
    options: RunOptions,
    runtime: Runtime,
    /// Held by whoever has a job: jobs share the local nodes, and what is garbage in the store.
    job: Mutex<()>,
}

impl NetworkProver {
    /// Proves in the data directory of `client`, with the nodes that `options` name.
    ///
    /// # Errors
    /// When this process can't start threads.
    pub fn new(client: Client, options: RunOptions) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        Ok(Self { client, options, runtime, job: Mutex::default() })
    }

    /// Waits until no other thread has a job.
    fn alone(&self) -> MutexGuard<'_, ()> {
        self.job.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs the guest here, and its job on a thread beside it.
    fn prove_hosted(
        &self,
        env: ExecutorEnv<'_>,
        elf: &[u8],
        opts: &ProverOpts,
    ) -> anyhow::Result<ProveInfo> {
        let guest = Guest::parse(elf.to_vec())?;
        let (pieces, events) = ExecutionThread::channel();
        let (executed, proved) = std::thread::scope(|scope| {
            let job = scope.spawn(|| self.run_job(&guest, opts, events));
            let on_emitted =
                |emitted| Ok(pieces.blocking_send(stored(emitted, &self.client.blobs)?)?);
            let executed =
                execute_hosted(&env, &guest, rand::random(), &self.client.scratch, on_emitted);
            let (ended, stats) = match executed {
                Ok(HostedExecution { execution, keccak_count, given, stats }) => {
                    let ended = stored_given(&given, &self.client.blobs)
                        .map(|(given, pins)| Ended { execution, keccak_count, given, pins });
                    (ended, Some(stats))
                }
                Err(error) => (Err(error.into()), None),
            };
            // Where the job is over already, its own error says why.
            let _ = pieces.blocking_send(ExecutionEvent::Ended(ended));
            drop(pieces);
            (stats, job.join())
        });
        let proved = proved.map_err(|_| anyhow::anyhow!("the job's thread panicked"))??;
        let stats = executed.context("a job was proved whose execution failed")?;
        Ok(prove_info(proved.receipt, proved.work_receipt.as_deref(), stats)?)
    }

    /// Waits for the first segment, since it tells what job it is, and runs that job.
    fn run_job(
        &self,
        guest: &Guest,
        opts: &ProverOpts,
        mut events: mpsc::Receiver<ExecutionEvent>,
    ) -> anyhow::Result<Proved> {
        let mut first = VecDeque::new();
        let (segment_po2, counts_work) = loop {
            match events.blocking_recv().context("the execution died")? {
                ExecutionEvent::Ended(ended) => {
                    ended?;
                    bail!("the execution ended without a segment");
                }
                piece => first.push_back(piece),
            }
            if let Some(ExecutionEvent::Segment { po2, work, .. }) = first.back() {
                break (*po2, work.is_some());
            }
        };
        let guest_pin = self.client.blobs.put(guest.bytes())?;
        let run = HostRun {
            guest: guest_pin.blob(),
            nonce: hex::encode(rand::random::<[u8; 16]>()),
            segment_po2,
            prove_guest_errors: opts.prove_guest_errors,
            counts_work,
        };
        let request =
            JobRequest { zkvm: zkvm(), source: Source::Host(run), receipt_kind: kind_of(opts)? };
        let job = self.client.create_job(request, vec![guest_pin], guest.image_id(), false)?;
        let execution = ExecutionThread::elsewhere(first, events);
        let path = self.client.scratch.join("job.receipt");
        let options = RunOptions { receipt: path.clone(), ..self.options.clone() };
        let (progress, stop) = (watch::Sender::new(Progress::default()), CancellationToken::new());
        let running = self.client.run_of_host(job, options, execution, &progress, stop);
        let proved = self.runtime.block_on(running).map_err(Into::into).and_then(Proved::read);
        // The host has the receipt, or an error; without it, nobody can go on with the job.
        self.client.cancel(job)?;
        proved
    }
}

/// What a job delivered, in memory.
struct Proved {
    receipt: Receipt,
    work_receipt: Option<Vec<u8>>,
}

impl Proved {
    /// Reads the files of a delivery, and removes them.
    fn read(delivery: Delivery) -> anyhow::Result<Self> {
        let receipt = read_receipt(&delivery.receipt)?;
        let work_receipt = delivery.work_receipt.as_deref().map(std::fs::read).transpose()?;
        for path in [Some(&delivery.receipt), delivery.work_receipt.as_ref()].into_iter().flatten()
        {
            std::fs::remove_file(path)
                .with_context(|| format!("can't remove {}", path.display()))?;
        }
        Ok(Self { receipt, work_receipt })
    }
}

fn kind_of(opts: &ProverOpts) -> anyhow::Result<ReceiptKind> {
    Ok(match opts.receipt_kind {
        risc0_zkvm::ReceiptKind::Composite => ReceiptKind::Composite,
        risc0_zkvm::ReceiptKind::Succinct => ReceiptKind::Succinct,
        risc0_zkvm::ReceiptKind::Groth16 => ReceiptKind::Groth16,
        other => bail!("receipts of kind {other:?} are not known here"),
    })
}

fn check(opts: &ProverOpts) -> anyhow::Result<()> {
    ensure!(opts.hashfn == HASHFN, "receipts are proved with {HASHFN}, not with {}", opts.hashfn);
    ensure!(
        !opts.dev_mode(),
        "receipts of development mode prove nothing and are not made here: unset RISC0_DEV_MODE"
    );
    Ok(())
}

impl Prover for NetworkProver {
    fn get_name(&self) -> String {
        "starling".into()
    }

    fn prove_with_ctx(
        &self,
        env: ExecutorEnv<'_>,
        ctx: &VerifierContext,
        elf: &[u8],
        opts: &ProverOpts,
    ) -> anyhow::Result<ProveInfo> {
        check(opts)?;
        let _job = self.alone();
        let info = self.prove_hosted(env, elf, opts)?;
        info.receipt.verify_integrity_with_context(ctx)?;
        Ok(info)
    }

    fn compress(&self, opts: &ProverOpts, receipt: &Receipt) -> anyhow::Result<Receipt> {
        check(opts)?;
        let kind = kind_of(opts)?;
        let _job = self.alone();
        match (&receipt.inner, kind) {
            (InnerReceipt::Composite(_), ReceiptKind::Succinct | ReceiptKind::Groth16) => {
                let (progress, stop) =
                    (watch::Sender::new(Progress::default()), CancellationToken::new());
                let path = self.client.scratch.join("compressed.receipt");
                let options = RunOptions { receipt: path.clone(), ..self.options.clone() };
                let compressing =
                    self.client.compress(receipt.clone(), kind, &options, &progress, &stop);
                Ok(Proved::read(self.runtime.block_on(compressing)?)?.receipt)
            }
            (InnerReceipt::Succinct(_), ReceiptKind::Groth16) => {
                Ok(starling_zkvm::groth16::compress_groth16(receipt)?)
            }
            (InnerReceipt::Fake(_), _) => bail!("a fake receipt proves nothing"),
            // It is as small as was asked for.
            _ => Ok(receipt.clone()),
        }
    }
}
