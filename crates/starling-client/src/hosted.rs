//! Proving for host programs: `risc0_zkvm::Prover` over the network, so that a host changes one line.
//!
//! The guest runs in the host's own process, under the environment that the host made for it; its segments
//! go to nodes while it still runs. The host needs `risc0-zkvm` with its feature `client` alone: none of RISC Zero's C++.

use std::{
    collections::VecDeque,
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc as blocking,
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use risc0_zkvm::{
    ExecutorEnv, InnerReceipt, ProveInfo, Prover, ProverOpts, Receipt, VerifierContext,
};
use starling_job::Shortage;
use starling_types::{HostRunId, JobId, Po2, ReceiptKind};
use starling_zkvm::{
    Emitted, ExecuteError, Guest,
    execute::hosted::{HostedExecution, execute_hosted, prove_info},
    groth16::compress_groth16,
    zkvm,
};
use tokio::{runtime::Handle, sync::watch};
use tokio_util::sync::CancellationToken;

use crate::{
    Client, Delivered, HostRun, JobError, JobProgress, JobRequest, NetworkOptions, RunOptions,
    Service, Subject,
    execution::{Ended, ExecutionEvent, ExecutionThread, put, stored, stored_given},
    hooks::Hook,
    room::JobRoom,
    run::apart,
    source::{Begin, JobSource},
    zkvm::result_size_bytes,
};

/// The one hash function that receipts are proved with.
const HASHFN: &str = "poseidon2";

/// Pieces that may wait between the guest and its job. They lie on disk already; this bounds messages only.
const PIECES_WAITING_MAX: usize = 64;

/// The threads of the prover's own runtime: they carry messages, what computes has threads of its own.
const RUNTIME_THREADS: usize = 2;

/// How long what computes at the end may go on when the prover is dropped: the check of a result, at most.
const END_TIMEOUT: Duration = Duration::from_secs(5);

/// A [`Prover`] whose work is done by nodes.
///
/// It works on any thread, inside a tokio runtime or outside: it has a runtime and threads of its own, and a call waits
/// on the thread that makes it. Threads that share it prove at the same time, and the nodes are shared fairly between
/// them. When it is dropped, its nodes on this machine end.
///
/// It differs from `risc0_zkvm`'s local prover in this: receipts in the environment that prove assumptions
/// are succinct ([`Prover::compress`] makes them so); keccak requests of guests are proved by nodes too, whatever
/// coprocessor the environment has; and environments that trace instructions are refused.
///
/// ```no_run
/// use risc0_zkvm::{ExecutorEnv, Prover};
/// use starling_client::{Client, NetworkOptions, NetworkProver};
/// # fn host(network: NetworkOptions, elf: &[u8]) -> anyhow::Result<()> {
/// let client = Client::open("data".as_ref(), "my host program", 20 << 30)?;
/// let prover = NetworkProver::new(client, network)?; // was: risc0_zkvm::default_prover()
/// let env = ExecutorEnv::builder().write(&7_u32)?.build()?;
/// let receipt = prover.prove(env, elf)?.receipt;
/// # Ok(())
/// # }
/// ```
pub struct NetworkProver {
    service: Arc<Service>,
    options: RunOptions,
    on_progress: Option<Arc<Hook>>,
    runtime: Handle,
    ending: CancellationToken,
    /// Has the runtime.
    thread: Option<JoinHandle<()>>,
}

impl NetworkProver {
    /// Proves in the data directory of `client`, with the nodes that `network` names. What earlier host programs left there
    /// when they were killed is given up: nobody can go on with it.
    ///
    /// # Errors
    /// When this process can't start threads, or the endpoint can't be opened.
    pub fn new(client: Client, network: NetworkOptions) -> Result<Self, JobError> {
        client.give_up_hosted()?;
        let (started, starting) = blocking::channel();
        let ending = CancellationToken::new();
        let end = ending.clone();
        let thread = std::thread::Builder::new()
            .name("starling prover".into())
            .spawn(move || live(client, network, &started, &end));
        let died = |detail: String| JobError::Died { what: "the prover's runtime", detail };
        let thread = thread.map_err(|error| died(error.to_string()))?;
        let started = starting.recv().map_err(|error| died(error.to_string()))?;
        let (service, runtime) = started?;
        let (options, on_progress) = (RunOptions::default(), None);
        Ok(Self { service, options, on_progress, runtime, ending, thread: Some(thread) })
    }

    /// Proves with these options: how long it waits for nodes, how long a proof may take
    /// ([`Patience::timeout`](crate::Patience)), its share of the nodes.
    #[must_use]
    pub fn with_options(mut self, options: RunOptions) -> Self {
        self.options = options;
        self
    }

    /// Calls `hook` twice a second for each proof under way, on a thread of its own. One that takes longer holds nothing up, and
    /// hears the latest of each.
    #[must_use]
    pub fn on_progress(
        mut self,
        hook: impl Fn(JobId, &JobProgress) + Send + Sync + 'static,
    ) -> Self {
        match Hook::start(Box::new(hook)) {
            Ok(hook) => self.on_progress = Some(Arc::new(hook)),
            Err(error) => {
                tracing::warn!(%error, "can't start a thread for the progress hook, so nobody hears of the progress");
            }
        }
        self
    }

    /// Once it is cancelled, proofs under way end with an error, and so do those that are asked for later. Guests end within a
    /// second before their first segment, and at their next one then; one that waits for its host ends when that answers.
    pub fn stop_token(&self) -> CancellationToken {
        self.options.stop.clone()
    }

    /// Waits for `future` on this thread, whatever runs on it: a tokio runtime's `block_on` would panic inside another.
    fn wait<T: Send + 'static>(
        &self,
        future: impl Future<Output = T> + Send + 'static,
    ) -> anyhow::Result<T> {
        let (done, waiting) = blocking::channel();
        self.runtime.spawn(async move {
            // Nobody waits where the thread is gone.
            let _ = done.send(future.await);
        });
        waiting.recv().context("the prover's runtime is gone")
    }

    /// The options of one job: its progress is its own.
    fn job_options(&self) -> RunOptions {
        RunOptions { progress: watch::Sender::default(), ..self.options.clone() }
    }

    fn watch(&self, job: JobId, mut progress: watch::Receiver<JobProgress>) {
        let Some(hook) = self.on_progress.clone() else { return };
        self.runtime.spawn(async move {
            while progress.changed().await.is_ok() {
                let now = progress.borrow_and_update().clone();
                hook.tell(job, now);
            }
        });
    }

    /// Runs the guest here, and its job on a thread beside it.
    fn prove_hosted(
        &self,
        env: ExecutorEnv<'_>,
        elf: &[u8],
        opts: &ProverOpts,
    ) -> anyhow::Result<ProveInfo> {
        let guest = Guest::parse(elf.to_vec())?;
        if let Some(remark) = guest.remark() {
            tracing::warn!("{remark}");
        }
        let client = self.service.client();
        // Not tokio's channel: this thread may be one of a runtime, on which that refuses to wait.
        let (pieces, events) = blocking::sync_channel(PIECES_WAITING_MAX);
        let room = JobRoom::of_none_yet(client.blobs.clone(), result_size_bytes(kind_of(opts)?));
        let cancel = Arc::new(AtomicBool::new(false));
        let watch = self.cancel_when_stopped(cancel.clone());
        let (executed, proved) = std::thread::scope(|scope| {
            let job = scope.spawn(|| self.run_job(&guest, opts, &room, events));
            let send = |event| pieces.send(event).is_ok();
            // From the first segment on there is a job, which ends the execution when it ends itself.
            let on_emitted = |emitted| {
                if matches!(emitted, Emitted::Segment(_)) {
                    watch.abort();
                }
                stored(emitted, &room, send)
            };
            let (seed, scratch) = (rand::random(), &client.scratch);
            let executed = execute_hosted(&env, &guest, seed, scratch, on_emitted, &cancel);
            watch.abort();
            let (ended, stats) = match executed {
                Ok(HostedExecution { execution, keccak_count, given, stats }) => {
                    let ended = || {
                        let (given, pins) = stored_given(&given, &room, send)?;
                        let journal = put(&execution.journal, 0, &room, send)?;
                        Ok(Ended { execution, journal, keccak_count, given, pins })
                    };
                    (ended(), Some(stats))
                }
                Err(error) => (Err(error.into()), None),
            };
            // Where the job is over already, its own error says why.
            let _ = pieces.send(ExecutionEvent::Ended(ended));
            drop(pieces);
            (stats, job.join())
        });
        let proved = proved.map_err(|_| anyhow::anyhow!("the job's thread panicked"))??;
        let stats = executed.context("a job was proved whose execution failed")?;
        Ok(prove_info(proved.receipt.clone(), proved.work_receipt.as_deref(), stats)?)
    }

    /// Sets `cancel` when proofs are to stop, or their time is over.
    fn cancel_when_stopped(&self, cancel: Arc<AtomicBool>) -> tokio::task::AbortHandle {
        let (RunOptions { patience, stop, .. }, ending) =
            (self.options.clone(), self.ending.clone());
        let watch = self.runtime.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = ending.cancelled() => {}
                _ = over(patience.timeout) => {}
            }
            cancel.store(true, Ordering::Relaxed);
        });
        watch.abort_handle()
    }

    /// Waits for the first segment, since it tells what job it is, and runs that job.
    fn run_job(
        &self,
        guest: &Guest,
        opts: &ProverOpts,
        room: &JobRoom,
        events: blocking::Receiver<ExecutionEvent>,
    ) -> anyhow::Result<Arc<Delivered>> {
        let mut wait = RoomWait {
            limit: self.options.patience.timeout,
            stops: [self.options.stop.clone(), self.ending.clone()],
            since: None,
        };
        let First { pieces: first, segment_po2, counts_work } =
            first_of(&events, |reason| wait.goes_on(reason))?;
        let client = self.service.client();
        let mut lacks = Ok(());
        let guest_pin = room.put(guest.bytes(), 0, |shortage| {
            lacks = wait.goes_on(&shortage);
            lacks.is_ok()
        })?;
        lacks?;
        let guest_pin = guest_pin.context("nobody waits for room")?;
        let run = HostRun {
            guest: guest_pin.blob(),
            id: HostRunId(rand::random()),
            segment_po2,
            prove_guest_errors: opts.prove_guest_errors,
            counts_work,
        };
        let request =
            JobRequest { zkvm: zkvm(), source: Subject::Host(run), receipt_kind: kind_of(opts)? };
        let job = client.create_job(request, vec![guest_pin], guest.image_id(), false)?;
        room.is_for(job);
        let (forward, forwarded) = ExecutionThread::channel();
        let thread = ExecutionThread::elsewhere(first, forwarded);
        let options = self.job_options();
        let begin = Begin::Elsewhere(Some(thread));
        let begin = JobSource { begin, output: options.guest_output.clone() };
        let handle = self.service.submit_begun(job, options, begin);
        self.watch(job, handle.progress());
        for event in events {
            if forward.blocking_send(event).is_err() {
                // The job is over. Without this end of its channel, so is the execution.
                break;
            }
        }
        drop(forward);
        let service = self.service.clone();
        self.wait(async move {
            let outcome = handle.result().await;
            // The host has the receipt, or an error; without it, nobody can go on with the job.
            service.cancel(job).await?;
            Ok(outcome?)
        })?
    }
}

impl Drop for NetworkProver {
    fn drop(&mut self) {
        self.ending.cancel();
        if let Some(thread) = self.thread.take() {
            // It panics with the runtime only, which has said so.
            let _ = thread.join();
            // The directory is free for the next process.
            starling_store::wait_for_closed_logs();
        }
    }
}

/// What an execution begins with, up to its first segment: that tells what job it is.
struct First {
    pieces: VecDeque<ExecutionEvent>,
    segment_po2: Po2,
    counts_work: bool,
}

/// Waits for the first segment. Each time that there is no room for what comes before it, `lacks` says whether to go on.
fn first_of(
    events: &blocking::Receiver<ExecutionEvent>,
    mut lacks: impl FnMut(&Shortage) -> anyhow::Result<()>,
) -> anyhow::Result<First> {
    let mut pieces = VecDeque::new();
    loop {
        match events.recv().context("the execution died")? {
            ExecutionEvent::Ended(Err(JobError::Execute(ExecuteError::Cancelled))) => {
                bail!("stopped before the guest's first segment, or out of time");
            }
            ExecutionEvent::Ended(ended) => {
                ended?;
                bail!("the execution ended without a segment");
            }
            ExecutionEvent::LacksRoom(shortage) => lacks(&shortage)?,
            piece => pieces.push_back(piece),
        }
        if let Some(ExecutionEvent::Segment { po2, work, .. }) = pieces.back() {
            let (segment_po2, counts_work) = (*po2, work.is_some());
            return Ok(First { pieces, segment_po2, counts_work });
        }
    }
}

/// How long it waits where nobody else is in the way: room may still be coming from what was let go of.
const VAIN_PERIOD: Duration = Duration::from_secs(3);

/// How a proof of which there is no job yet waits for room: as a job does, until it is told to stop or its time is over.
struct RoomWait {
    limit: Option<Duration>,
    stops: [CancellationToken; 2],
    since: Option<Instant>,
}

impl RoomWait {
    /// # Errors
    /// When it is to wait no longer.
    fn goes_on(&mut self, shortage: &Shortage) -> anyhow::Result<()> {
        let Shortage { reason, is_own } = shortage;
        let since = *self.since.get_or_insert_with(|| {
            tracing::warn!(
                reason,
                "no room on the disk: the proof waits, and begins when there is some"
            );
            Instant::now()
        });
        ensure!(
            !self.stops.iter().any(CancellationToken::is_cancelled),
            "stopped while waiting for room: {reason}"
        );
        let is_in_vain = *is_own && since.elapsed() >= VAIN_PERIOD;
        ensure!(!is_in_vain, "the proof can't begin: {reason}");
        let is_late = self.limit.is_some_and(|limit| limit <= since.elapsed());
        ensure!(!is_late, "there was no room in time: {reason}");
        Ok(())
    }
}

/// Has the service on a runtime until `end`.
fn live(
    client: Client,
    network: NetworkOptions,
    started: &blocking::Sender<Result<(Arc<Service>, Handle), JobError>>,
    end: &CancellationToken,
) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(RUNTIME_THREADS)
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            let (what, detail) = ("the prover's runtime", error.to_string());
            let _ = started.send(Err(JobError::Died { what, detail }));
            return;
        }
    };
    runtime.block_on(async {
        let service = match Service::start(client, network).await {
            Ok(service) => Arc::new(service),
            Err(error) => return drop(started.send(Err(error))),
        };
        if started.send(Ok((service.clone(), Handle::current()))).is_ok() {
            end.cancelled().await;
        }
        service.close().await;
    });
    runtime.shutdown_timeout(END_TIMEOUT);
}

/// Computes on a thread of its own, which can't be interrupted and ends by itself: until it is told to stop, or its time is over.
async fn bounded<T: Send + 'static>(
    what: &'static str,
    limit: Option<Duration>,
    stops: [CancellationToken; 2],
    work: impl FnOnce() -> T + Send + 'static,
) -> anyhow::Result<T> {
    let [stop, ending] = &stops;
    tokio::select! {
        done = apart(what, work) => Ok(done?),
        () = stop.cancelled() => bail!("{what} is not made: it was stopped"),
        () = ending.cancelled() => bail!("{what} is not made, because the prover was dropped"),
        limit = over(limit) => bail!("{what} is not made after {} s", limit.as_secs()),
    }
}

/// Waits until the time is over that something may take; what it was.
async fn over(limit: Option<Duration>) -> Duration {
    match limit {
        Some(limit) => {
            tokio::time::sleep(limit).await;
            limit
        }
        None => std::future::pending().await,
    }
}

fn kind_of(opts: &ProverOpts) -> anyhow::Result<ReceiptKind> {
    Ok(match opts.receipt_kind {
        risc0_zkvm::ReceiptKind::Composite => ReceiptKind::Composite,
        risc0_zkvm::ReceiptKind::Succinct => ReceiptKind::Succinct,
        risc0_zkvm::ReceiptKind::Groth16 => ReceiptKind::Groth16,
        other => bail!("this release does not know receipts of kind {other:?}"),
    })
}

fn check(opts: &ProverOpts) -> anyhow::Result<()> {
    ensure!(opts.hashfn == HASHFN, "receipts are proved with {HASHFN}, not with {}", opts.hashfn);
    ensure!(
        !opts.dev_mode(),
        "Starling makes no receipts of development mode, because they prove nothing: unset RISC0_DEV_MODE"
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
        let info = self.prove_hosted(env, elf, opts)?;
        info.receipt.verify_integrity_with_context(ctx)?;
        Ok(info)
    }

    fn compress(&self, opts: &ProverOpts, receipt: &Receipt) -> anyhow::Result<Receipt> {
        check(opts)?;
        let kind = kind_of(opts)?;
        match (&receipt.inner, kind) {
            (InnerReceipt::Composite(_), ReceiptKind::Succinct | ReceiptKind::Groth16) => {
                let (service, options) = (self.service.clone(), self.job_options());
                let receipt = receipt.clone();
                let compressed = self.wait(async move {
                    let job = service.compress(receipt, kind, &options).await?;
                    job.result().await
                })??;
                Ok(compressed.receipt.clone())
            }
            (InnerReceipt::Succinct(_), ReceiptKind::Groth16) => {
                let (receipt, RunOptions { patience, stop, .. }) =
                    (receipt.clone(), self.options.clone());
                let made = move || compress_groth16(&receipt);
                let stops = [stop, self.ending.clone()];
                Ok(self.wait(bounded("a Groth16 receipt", patience.timeout, stops, made))???)
            }
            (InnerReceipt::Fake(_), _) => bail!("a fake receipt proves nothing"),
            // It is as small as was asked for.
            _ => Ok(receipt.clone()),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use starling_zkvm::{Digest, ExitCode, SegmentClaim};

    use super::*;

    /// What never ends by itself while the test runs.
    fn endless() {
        std::thread::sleep(Duration::from_secs(3600));
    }

    #[tokio::test]
    async fn what_a_host_waits_for_ends_when_it_is_told_to_and_in_its_time() {
        let stops = [CancellationToken::new(), CancellationToken::new()];
        assert_eq!(bounded("work", None, stops.clone(), || 7).await.unwrap(), 7);
        let limit = Some(Duration::from_millis(20));
        let late = bounded("work", limit, stops.clone(), endless).await.unwrap_err();
        assert_eq!(late.to_string(), "work is not made after 0 s");
        for (told, why) in [(0, ": it was stopped"), (1, ", because the prover was dropped")] {
            let stops = [CancellationToken::new(), CancellationToken::new()];
            let told = stops[told].clone();
            let waiting = bounded("work", None, stops.clone(), endless);
            let telling = async move { told.cancel() };
            let (stopped, ()) = tokio::join!(waiting, telling);
            assert_eq!(stopped.unwrap_err().to_string(), format!("work is not made{why}"));
        }
    }

    /// The guest that fails as its input says, and an input of a shipped name.
    fn failing(input: &str) -> (Vec<u8>, Vec<u8>) {
        let guests = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../guests");
        let read = |path: &str| std::fs::read(guests.join(path)).unwrap();
        (read("bin/fail.bin"), read(&format!("inputs/{input}.bin")))
    }

    /// What a prover to which no node comes says of an endless guest in such an environment.
    fn refused(prover: &NetworkProver, po2: u32, cycles: Option<u64>) -> anyhow::Error {
        let (elf, input) = failing("fail-endless");
        let mut env = ExecutorEnv::builder();
        env.write_slice(&input).segment_limit_po2(po2).session_limit(cycles);
        prover.prove(env.build().unwrap(), &elf).unwrap_err()
    }

    #[test]
    fn a_host_is_told_of_limits_as_the_command_line_tells_and_without_a_node() {
        let dir = tempfile::tempdir().unwrap();
        let client = Client::open(dir.path(), "a test", 1 << 30).unwrap();
        let prover = NetworkProver::new(client, NetworkOptions::default()).unwrap();
        let execute = |error: &anyhow::Error| match error.downcast_ref() {
            Some(JobError::Execute(error)) => error.to_string(),
            _ => panic!("{error:?}"),
        };
        for po2 in [10, 13, 23, 24, 32] {
            let expected = ExecuteError::Po2OutOfRange { po2 }.to_string();
            assert_eq!(execute(&refused(&prover, po2, None)), expected);
        }
        let expected = ExecuteError::CycleLimit { limit: 1000 }.to_string();
        assert_eq!(execute(&refused(&prover, 16, Some(1000))), expected);
        assert!(crate::list_jobs(dir.path()).unwrap().is_empty());

        // And stops before the first segment: here the largest there is, of a guest that never ends.
        let stop = prover.stop_token();
        let stopping = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(20));
            stop.cancel();
        });
        let stopped = refused(&prover, 22, None).to_string();
        assert!(stopped.starts_with("stopped before the guest's first segment"), "{stopped}");
        stopping.join().unwrap();
    }

    fn wait(limit: Option<Duration>) -> RoomWait {
        let stops = [CancellationToken::new(), CancellationToken::new()];
        RoomWait { limit, stops, since: None }
    }

    #[test]
    fn a_proof_that_finds_no_room_before_its_first_segment_waits_until_it_is_told_to_stop() {
        let dir = tempfile::tempdir().unwrap();
        let client = Client::open(dir.path(), "a test", 1 << 20).unwrap();
        let lacking =
            || ExecutionEvent::LacksRoom(Shortage { reason: "it is full".into(), is_own: false });
        let segment = ExecutionEvent::Segment {
            index: 0,
            po2: Po2::SMALLEST,
            blob: client.put(b"a segment").unwrap(),
            claim: SegmentClaim {
                pre: Digest::ZERO,
                post: Digest::ZERO,
                exit_code: ExitCode::Halted(0),
                input: Digest::ZERO,
                output: Digest::ZERO,
            },
            work: None,
        };
        let (pieces, events) = blocking::channel();
        let send = |event| pieces.send(event).unwrap();
        (0..3).for_each(|_| send(lacking()));
        send(segment);
        let mut patient = wait(None);
        let first = first_of(&events, |reason| patient.goes_on(reason)).unwrap();
        assert_eq!((first.pieces.len(), first.segment_po2), (1, Po2::SMALLEST));
        assert!(patient.since.is_some());
        for told in [0, 1] {
            let mut stopped = wait(None);
            stopped.stops[told].cancel();
            send(lacking());
            let error = first_of(&events, |reason| stopped.goes_on(reason)).err().unwrap();
            assert_eq!(error.to_string(), "stopped while waiting for room: it is full");
        }
        let mut late = wait(Some(Duration::ZERO));
        send(lacking());
        let error = first_of(&events, |reason| late.goes_on(reason)).err().unwrap();
        assert_eq!(error.to_string(), "there was no room in time: it is full");
        // Where nobody else is in the way, no wait helps.
        let own = Shortage { reason: "it is too small".into(), is_own: true };
        let mut vain = wait(None);
        assert!(vain.goes_on(&own).is_ok(), "what was let go of may still be on its way");
        vain.since = Instant::now().checked_sub(VAIN_PERIOD);
        let error = vain.goes_on(&own).unwrap_err();
        assert_eq!(error.to_string(), "the proof can't begin: it is too small");
    }
}
