//! Execution: a guest runs once, and every segment leaves, encoded and with its claim, while it still runs.
//!
//! **Executing again gives the same bytes.** The guest runtime asks its host for randomness and keeps it
//! in memory, so RISC Zero's own executor never produces the same segments twice. Here that randomness
//! comes from a ChaCha20 stream under the job's secret seed: memory stays masked from those who see
//! segments, yet a client that died in mid-execution runs the guest again and finds the segments it
//! already handed out. Segments are compared by reference, never trusted to be equal.
//!
//! The circuit's executor is driven directly; system calls are forwarded to RISC Zero's own
//! implementation. What cannot be proved here yet (assumptions, the keccak accelerator) ends the
//! execution at the call, with its name.

mod failure;
mod host;
mod output;

use std::{
    io::{Read, Write},
    panic::AssertUnwindSafe,
    sync::atomic::{AtomicBool, Ordering},
};

use risc0_binfmt::{Digestible as _, ProgramBinary};
use risc0_circuit_rv32im::{
    MAX_INSN_CYCLES, MAX_INSN_CYCLES_LOWER_PO2,
    execute::{CycleLimit, Executor, Segment as CircuitSegment},
};
use risc0_zkp::core::hash::sha::Impl as Sha256;
use risc0_zkvm::{Assumptions, Digest, ExecutorEnv, ExecutorImpl, ExitCode, MaybePruned, Output};
use risc0_zkvm_platform::fileno;
use serde::Serialize;
use starling_types::Po2;

use self::{host::Host, output::Journal};
use crate::{Guest, SEGMENT_PO2_MAX, SEGMENT_PO2_MIN, SegmentClaim, codec, panic};

pub use self::{
    failure::{ExecuteError, SinkError, Unsupported},
    output::{GUEST_OUTPUT_BYTES_MAX, JOURNAL_BYTES_MAX},
};

/// From this po2 up, segments keep room for the longest instruction (a large bigint program).
const LONG_INSTRUCTION_PO2_MIN: u32 = 15;

/// What an execution needs besides the guest.
pub struct ExecuteOptions {
    /// What the guest reads from its standard input.
    pub input: Box<dyn Read + Send>,
    /// The most cycles of a segment, as a power of two: [`SEGMENT_PO2_MIN`] to [`SEGMENT_PO2_MAX`].
    pub segment_po2: Po2,
    /// Stop with [`ExecuteError::CycleLimit`] after this many user cycles.
    pub cycle_limit: Option<u64>,
    /// The job's secret: the guest's randomness. Draw it at random for a job and keep it with the job.
    pub seed: [u8; 32],
    /// Receives what the guest writes to its standard output and standard error, up to
    /// [`GUEST_OUTPUT_BYTES_MAX`]. Its failures are ignored: a closed pipe must not change an execution.
    pub guest_output: Box<dyn Write + Send>,
}

/// A segment on its way out of an execution.
pub struct SegmentOut {
    /// The position of the segment in the execution.
    pub index: u32,
    /// The size of its trace; a final segment is as small as it can be.
    pub po2: Po2,
    /// The claim that its receipt must make.
    pub claim: SegmentClaim,
    /// Cycles spent on instructions, without paging and padding.
    pub user_cycles: u32,
    /// The encoded segment ([`codec::decode_segment`] reads it).
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

/// A finished execution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Execution {
    /// How the guest ended. Another code than `Halted(0)` is provable, but no success.
    pub exit_code: ExitCode,
    /// What the guest committed; empty when it ended without an output.
    pub journal: Vec<u8>,
    /// How many segments the execution has.
    pub segment_count: u32,
    /// Cycles spent on instructions.
    pub user_cycles: u64,
    /// Cycles that a prover proves: paging and padding included.
    pub total_cycles: u64,
    /// The claim of the whole execution.
    pub claim: SegmentClaim,
}

/// A [`risc0_zkvm::Segment`] as it is serialised; the type itself cannot be constructed elsewhere.
#[derive(Serialize)]
struct SegmentFields<'a> {
    index: u32,
    inner: &'a CircuitSegment,
    output: Option<Output>,
}

/// Runs `guest` to its end and hands every segment to `on_segment` as soon as it is complete.
///
/// Blocks the calling thread: give it one of its own. `on_segment` runs on another thread; while it
/// blocks, the execution goes on for a few segments and then waits, so a slow sink holds the executor back
/// instead of filling memory. Its error, or `cancel` becoming true, stops the execution.
///
/// # Errors
/// [`ExecuteError`]; panics of the executor become errors as well.
pub fn execute(
    guest: &Guest,
    options: ExecuteOptions,
    mut on_segment: impl FnMut(SegmentOut) -> Result<(), SinkError> + Send,
    cancel: &AtomicBool,
) -> Result<Execution, ExecuteError> {
    let ExecuteOptions { input, segment_po2, cycle_limit, seed, guest_output } = options;
    let po2 = segment_po2.get();
    if !(SEGMENT_PO2_MIN..=SEGMENT_PO2_MAX).contains(&po2) {
        return Err(ExecuteError::Po2OutOfRange { po2 });
    }

    let journal = Journal::default();
    let (stdout, stderr) = output::guest_streams(guest_output);
    let env = ExecutorEnv::builder()
        .stdin(input)
        .stdout(stdout)
        .stderr(stderr)
        .write_fd(fileno::JOURNAL, journal.clone())
        .build()
        .map_err(|error| ExecuteError::Setup { reason: format!("{error:#}") })?;
    let load = || -> anyhow::Result<_> {
        let image = ProgramBinary::decode(guest.bytes())?.to_image()?;
        Ok((ExecutorImpl::from_elf(env, guest.bytes())?, image))
    };
    let (syscalls, image) =
        load().map_err(|error| ExecuteError::Setup { reason: format!("{error:#}") })?;

    let stop = AtomicBool::new(false);
    let host = Host::new(&syscalls, seed, cancel, &stop);
    let mut sink_failure: Option<ExecuteError> = None;
    let mut stream = Stream { journal: &journal, chain: None, segment_count: 0, padding_cycles: 0 };

    let run = panic::catch(AssertUnwindSafe(|| {
        let mut executor = Executor::new(image, &host, None, vec![], None);
        let max_insn_cycles = if po2 >= LONG_INSTRUCTION_PO2_MIN {
            MAX_INSN_CYCLES
        } else {
            MAX_INSN_CYCLES_LOWER_PO2
        };
        let limit = cycle_limit.map_or(CycleLimit::None, CycleLimit::Hard);
        executor.run(po2 as usize, max_insn_cycles, limit, |segment| {
            let delivered = if cancel.load(Ordering::Relaxed) {
                Err(ExecuteError::Cancelled)
            } else {
                stream
                    .prepare(segment)
                    .and_then(|segment| on_segment(segment).map_err(ExecuteError::Sink))
            };
            delivered.map_err(|error| {
                // Lets a guest that reads from its host stop at the next read, not at the next segment.
                stop.store(true, Ordering::Relaxed);
                let text = anyhow::anyhow!("{error}");
                sink_failure = Some(error);
                text
            })
        })
    }));

    let result = match run {
        Ok(Ok(result)) => result,
        _ if sink_failure.is_some() => {
            return Err(sink_failure.unwrap_or(ExecuteError::Cancelled));
        }
        _ if cancel.load(Ordering::Relaxed) => return Err(ExecuteError::Cancelled),
        Ok(Err(error)) => {
            let text = format!("{error:#}");
            return Err(failure::classify(&text, host.refused(), &journal, cycle_limit));
        }
        Err(message) => return Err(failure::classify_panic(message, segment_po2)),
    };

    let claim = stream.chain.ok_or_else(|| ExecuteError::ExecutorPanicked {
        message: "the executor ended without a segment".into(),
    })?;
    Ok(Execution {
        exit_code: claim.exit_code,
        journal: if claim.output == Digest::ZERO { Vec::new() } else { journal.take() },
        segment_count: stream.segment_count,
        user_cycles: result.user_cycles,
        total_cycles: result.total_cycles + stream.padding_cycles,
        claim,
    })
}

/// Turns the circuit's segments into what leaves, and keeps the claim of all of them so far.
struct Stream<'a> {
    journal: &'a Journal,
    chain: Option<SegmentClaim>,
    segment_count: u32,
    padding_cycles: u64,
}

impl Stream<'_> {
    fn prepare(&mut self, mut segment: CircuitSegment) -> Result<SegmentOut, ExecuteError> {
        let internal = |message: String| ExecuteError::ExecutorPanicked { message };
        let index = u32::try_from(segment.index)
            .ok()
            .filter(|index| *index == self.segment_count && *index < u32::MAX)
            .ok_or_else(|| internal(format!("segment {} is out of order", segment.index)))?;
        // A short final segment can fit into a trace that no recursion program lifts: pad it.
        if segment.po2 < SEGMENT_PO2_MIN {
            self.padding_cycles += (1 << SEGMENT_PO2_MIN) - (1 << segment.po2);
            segment.po2 = SEGMENT_PO2_MIN;
        }
        let po2 = Po2::try_from(segment.po2).map_err(|error| internal(error.to_string()))?;
        let claim = SegmentClaim::of_executed(&segment.claim)
            .map_err(|error| internal(error.to_string()))?;

        // The journal stays here: provers need its digest only, and it may be far larger than a segment.
        let output = (claim.output != Digest::ZERO).then(|| Output {
            journal: MaybePruned::Pruned(self.journal.digest()),
            assumptions: Assumptions(vec![]).into(),
        });
        if output.as_ref().is_some_and(|output| output.digest::<Sha256>() != claim.output) {
            let reason = "it ended with an output that is not that of its journal".into();
            return Err(ExecuteError::GuestFault { reason });
        }
        let user_cycles = segment.suspend_cycle;
        let fields = SegmentFields { index, inner: &segment, output };
        let bytes = codec::encode(codec::BlobKind::Segment, &fields)?;

        self.chain = Some(self.chain.map_or(claim, |chain| chain.join(&claim)));
        self.segment_count += 1;
        Ok(SegmentOut { index, po2, claim, user_cycles, bytes })
    }
}

#[cfg(test)]
mod tests;
