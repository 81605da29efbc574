//! Execution: a guest runs once, and every segment and every keccak request leaves, encoded and with what its
//! receipt must claim, while it still runs.
//!
//! **Executing again gives the same bytes.** The guest runtime asks its host for randomness and keeps it
//! in memory, so RISC Zero's own executor never produces the same segments twice. Here that randomness
//! comes from a ChaCha20 stream under the job's secret seed: memory stays masked from those who see
//! segments, yet a client that died in mid-execution runs the guest again and finds the segments it
//! already handed out. Segments are compared by reference, never trusted to be equal.
//!
//! The circuit's executor is driven directly; what a guest asks its host for is answered here (`calls.rs`), what it
//! assumes from the claims that the caller can prove (`host.rs`).

mod assumed;
mod calls;
mod failure;
mod fault;
mod host;
pub mod hosted;
mod image;
mod output;
mod stream;

use std::{
    collections::BTreeMap,
    io::{self, Read, Write},
    panic::{AssertUnwindSafe, resume_unwind},
    sync::{atomic::AtomicBool, mpsc::sync_channel},
    thread,
};

use anyhow::Context as _;
use risc0_zkvm_platform::fileno;
use starling_types::Po2;

use self::{
    assumed::Assumed,
    calls::{Files, Resources},
    host::Host,
    output::Journal,
    stream::{Outbox, Segments, prepare_keccak},
};
use crate::{
    AssumptionId, Execution, Guest, KECCAK_PO2, KECCAK_PO2_DEFAULT, PovwJob, SEGMENT_PO2_MAX,
    SEGMENT_PO2_MIN, SegmentClaim, Work,
    machine::{
        CycleLimit, Executor, ExecutorResult, MAX_INSN_CYCLES, MAX_INSN_CYCLES_LOWER_PO2,
        ProgramError,
    },
    panic,
};

pub use self::{
    assumed::{ASSUMPTIONS_MAX, KECCAK_REQUESTS_MAX},
    failure::{ExecuteError, SinkError},
    fault::GuestFault,
    output::{GUEST_OUTPUT_BYTES_MAX, JOURNAL_BYTES_MAX},
};

/// From this po2 up, segments keep room for the longest instruction (a large bigint program).
const LONG_INSTRUCTION_PO2_MIN: u32 = 15;

/// How many segments wait to be encoded, besides those that the executor has waiting to be hashed.
const ENCODED_LATER_MAX: usize = 1;

/// What an execution needs besides the guest. [`ExecuteOptions::new`] has the usual values.
pub struct ExecuteOptions {
    /// What the guest reads from its standard input. It is read as the guest asks for it, never kept.
    pub input: Box<dyn Read + Send>,
    /// The guest's arguments.
    pub args: Vec<String>,
    /// The guest's environment variables.
    pub env: BTreeMap<String, String>,
    /// The most cycles of a segment, as a power of two: [`SEGMENT_PO2_MIN`] to [`SEGMENT_PO2_MAX`].
    pub segment_po2: Po2,
    /// The most cycles of a keccak proof, as a power of two: [`KECCAK_PO2`].
    pub keccak_po2: u32,
    /// What the guest may assume: the claims of receipts that are at hand.
    pub assumptions: Vec<AssumptionId>,
    /// Under which names the work is counted, if it is.
    pub povw: Option<PovwJob>,
    /// Stop with [`ExecuteError::CycleLimit`] when more user cycles are needed than these.
    pub cycle_limit: Option<u64>,
    /// The job's secret: the guest's randomness. Draw it at random for a job and keep it with the job.
    pub seed: [u8; 32],
    /// Receives what the guest writes to its standard output and standard error, up to
    /// [`GUEST_OUTPUT_BYTES_MAX`]. Its failures are ignored: a closed pipe must not change an execution.
    pub guest_output: Box<dyn Write + Send>,
}

impl ExecuteOptions {
    /// Without input, arguments, assumptions and limits; what the guest prints is dropped.
    pub fn new(segment_po2: Po2, seed: [u8; 32]) -> Self {
        Self {
            input: Box::new(io::empty()),
            args: Vec::new(),
            env: BTreeMap::new(),
            segment_po2,
            keccak_po2: KECCAK_PO2_DEFAULT,
            assumptions: Vec::new(),
            povw: None,
            cycle_limit: None,
            seed,
            guest_output: Box::new(io::sink()),
        }
    }
}

/// What leaves an execution to be proved.
#[derive(Debug)]
pub enum Emitted {
    /// A part of the execution.
    Segment(SegmentOut),
    /// Keccak permutations that the guest takes the results of from its host.
    Keccak(KeccakOut),
}

/// A segment on its way out of an execution.
pub struct SegmentOut {
    /// The position of the segment in the execution.
    pub index: u32,
    /// The size of its trace; a final segment is as small as it can be.
    pub po2: Po2,
    /// The claim that its receipt must make.
    pub claim: SegmentClaim,
    /// The work that its receipt must count, if work is counted.
    pub work: Option<Work>,
    /// Cycles spent on instructions, without paging and padding.
    pub user_cycles: u32,
    /// Cycles spent on memory that is brought in and put back, page by page.
    pub paging_cycles: u32,
    /// The encoded segment ([`codec::decode_segment`](crate::codec::decode_segment) reads it).
    pub bytes: Vec<u8>,
}

impl std::fmt::Debug for SegmentOut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SegmentOut")
            .field("index", &self.index)
            .field("po2", &self.po2)
            .field("bytes", &self.bytes.len())
            .finish_non_exhaustive()
    }
}

/// A keccak request on its way out of an execution.
pub struct KeccakOut {
    /// The position of the request among those of the execution.
    pub index: u32,
    /// The size of its proof.
    pub po2: Po2,
    /// What its receipt must prove.
    pub assumption: AssumptionId,
    /// The encoded request ([`codec::decode_keccak_request`](crate::codec::decode_keccak_request) reads it).
    pub bytes: Vec<u8>,
}

impl std::fmt::Debug for KeccakOut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeccakOut")
            .field("index", &self.index)
            .field("po2", &self.po2)
            .field("bytes", &self.bytes.len())
            .finish_non_exhaustive()
    }
}

/// Runs `guest` to its end and hands everything that is to be proved to `on_emitted` as soon as it is complete:
/// segments in their order, and keccak requests in theirs.
///
/// Blocks the calling thread: give it one of its own. `on_emitted` runs on this thread for keccak requests and on
/// another for segments, one at a time; while it blocks, the execution goes on for a few segments and then waits,
/// so a slow sink holds the executor back instead of filling memory. Its error, or `cancel` becoming true, stops
/// the execution.
///
/// A guest that panics has no execution, as in RISC Zero's executor: there is nothing to prove.
///
/// # Errors
/// [`ExecuteError`]; panics of the executor become errors as well.
pub fn execute(
    guest: &Guest,
    options: ExecuteOptions,
    on_emitted: impl FnMut(Emitted) -> Result<(), SinkError> + Send,
    cancel: &AtomicBool,
) -> Result<Execution, ExecuteError> {
    let ExecuteOptions { segment_po2, cycle_limit, povw, seed, keccak_po2, .. } = options;
    let limits = Limits { segment_po2, cycle_limit, povw };
    limits.check()?;
    if !KECCAK_PO2.contains(&keccak_po2) {
        let (least, most) = (KECCAK_PO2.start(), KECCAK_PO2.end());
        let reason = format!("keccak proofs have po2 {least} to {most}, not {keccak_po2}");
        return Err(ExecuteError::Setup { reason });
    }

    let journal = Journal::default();
    let assumed = Assumed::new(options.assumptions);
    let outbox = Outbox::new(on_emitted, cancel);
    let (stdout, stderr) = output::guest_streams(options.guest_output);
    let mut files = Files::default();
    files.add_reader(fileno::STDIN, options.input);
    files.add_writer(fileno::STDOUT, Box::new(stdout));
    files.add_writer(fileno::STDERR, Box::new(stderr));
    files.add_writer(fileno::JOURNAL, Box::new(journal.clone()));
    let resources = Resources {
        args: options.args,
        env: options.env,
        files,
        keccak_po2,
        on_keccak: Box::new(|request| outbox.send(|| prepare_keccak(&request, &assumed))),
        channels: Vec::new(),
        on_channel: Box::new(|name, _| anyhow::bail!("nobody answers {name}")),
    };
    let host = Host::new(resources, seed, &outbox, &assumed, guest.memory_end());
    let mut segments = Segments::new(&outbox, &assumed, &journal, povw);
    let result = drive(guest, &limits, &host, &outbox, &journal, &mut segments)?;
    segments.finish(&result)
}

/// How large the segments of an execution are, how long it may run, and for whom its work is counted.
struct Limits {
    segment_po2: Po2,
    cycle_limit: Option<u64>,
    povw: Option<PovwJob>,
}

impl Limits {
    /// Refuses segments that cannot be lifted.
    fn check(&self) -> Result<(), ExecuteError> {
        let po2 = self.segment_po2.get();
        let provable = (SEGMENT_PO2_MIN..=SEGMENT_PO2_MAX).contains(&po2);
        if provable { Ok(()) } else { Err(ExecuteError::Po2OutOfRange { po2 }) }
    }
}

/// Runs `guest` to its end, its segments into `segments`.
fn drive<F: FnMut(Emitted) -> Result<(), SinkError> + Send>(
    guest: &Guest,
    limits: &Limits,
    host: &Host<'_>,
    outbox: &Outbox<'_, F>,
    journal: &Journal,
    segments: &mut Segments<'_, F>,
) -> Result<ExecutorResult, ExecuteError> {
    let Limits { segment_po2, cycle_limit, povw } = *limits;
    let run = panic::catch(AssertUnwindSafe(|| {
        let povw = povw.map(PovwJob::to_job_id);
        let po2 = segment_po2.get();
        let mut executor = Executor::new(guest.image(), host, None, vec![], povw);
        let max_insn_cycles = if po2 >= LONG_INSTRUCTION_PO2_MIN {
            MAX_INSN_CYCLES
        } else {
            MAX_INSN_CYCLES_LOWER_PO2
        };
        let limit = cycle_limit.map_or(CycleLimit::None, CycleLimit::Hard);
        // Interpreted here, hashed on a thread of the executor's, encoded on another, each a segment ahead of the next.
        thread::scope(|scope| {
            let (sender, receiver) = sync_channel(ENCODED_LATER_MAX);
            let encoder =
                scope.spawn(move || receiver.into_iter().try_for_each(|next| segments.send(next)));
            let send = move |segment| sender.send(segment).context("segments are not taken");
            let result = executor.run(po2 as usize, max_insn_cycles, limit, send);
            encoder.join().unwrap_or_else(|panic| resume_unwind(panic))?;
            result
        })
    }));

    match (outbox.take_failure(), run) {
        // What was told to stop ends with some other error, or with none.
        (Some(failure), _) => Err(failure),
        // The executor looks before each instruction: the last may have gone beyond.
        (None, Ok(Ok(result))) => match cycle_limit {
            Some(limit) if result.user_cycles > limit => Err(ExecuteError::CycleLimit { limit }),
            _ => Ok(result),
        },
        (None, Ok(Err(error))) => {
            if let Some(ProgramError::Rows { .. }) = error.downcast_ref() {
                return Err(failure::too_small(segment_po2));
            }
            let function_at = |address| guest.function_at(address);
            Err(failure::classify(&error, host.take_refused(), journal, function_at))
        }
        (None, Err(message)) => Err(failure::classify_panic(message, segment_po2)),
    }
}

#[cfg(test)]
mod tests;
