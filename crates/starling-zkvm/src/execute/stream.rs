//! What leaves an execution, from both of its threads: encoded, checked, and handed on one at a time.

use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use risc0_binfmt::Digestible as _;
use risc0_circuit_keccak::KECCAK_CONTROL_ROOT;
use risc0_zkp::core::hash::sha::Impl as Sha256;
use risc0_zkvm::Digest;
use starling_types::Po2;

use super::{
    Emitted, ExecuteError, Execution, KECCAK_REQUESTS_MAX, KeccakOut, SegmentOut, SinkError,
    assumed::Assumed, output::Journal,
};
use crate::{
    AssumptionId, OutputParts, PovwJob, SEGMENT_PO2_MIN, SegmentClaim, Work, codec,
    leaf::{KeccakRequest, Segment, keccak_claim},
    machine::{CircuitSegment, ExecutorResult},
};

/// The way out. The first failure ends the execution, and nothing leaves after it.
pub(super) struct Outbox<'a, F> {
    sink: Mutex<Sink<F>>,
    cancel: &'a AtomicBool,
    /// Lets a guest that reads from its host stop at the next read, not at the next segment.
    failed: AtomicBool,
}

struct Sink<F> {
    deliver: F,
    failure: Option<ExecuteError>,
}

/// Whether an execution should go on: what its host needs to know of its [`Outbox`].
pub(super) trait Stop {
    fn is_stopped(&self) -> bool;
}

impl<F> Stop for Outbox<'_, F> {
    fn is_stopped(&self) -> bool {
        self.failed.load(Ordering::Relaxed) || self.cancel.load(Ordering::Relaxed)
    }
}

impl<'a, F> Outbox<'a, F> {
    pub(super) fn new(deliver: F, cancel: &'a AtomicBool) -> Self {
        let sink = Mutex::new(Sink { deliver, failure: None });
        Self { sink, cancel, failed: AtomicBool::new(false) }
    }

    /// Why nothing leaves any more.
    pub(super) fn take_failure(&self) -> Option<ExecuteError> {
        let failure = self.sink().failure.take();
        let cancelled = || self.cancel.load(Ordering::Relaxed).then_some(ExecuteError::Cancelled);
        failure.or_else(cancelled)
    }

    fn sink(&self) -> MutexGuard<'_, Sink<F>> {
        self.sink.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<F: FnMut(Emitted) -> Result<(), SinkError>> Outbox<'_, F> {
    /// Hands on what `prepare` makes. The error is for the executor, which only passes it on.
    pub(super) fn send(
        &self,
        prepare: impl FnOnce() -> Result<Emitted, ExecuteError>,
    ) -> anyhow::Result<()> {
        // Prepared before the way out is taken: encoding a segment takes as long as executing one.
        let prepared = if self.is_stopped() { Err(ExecuteError::Cancelled) } else { prepare() };
        let mut sink = self.sink();
        if let Some(failure) = &sink.failure {
            anyhow::bail!("{failure}");
        }
        let delivered =
            prepared.and_then(|emitted| (sink.deliver)(emitted).map_err(ExecuteError::Sink));
        delivered.map_err(|error| {
            self.failed.store(true, Ordering::Relaxed);
            let text = anyhow::anyhow!("{error}");
            sink.failure = Some(error);
            text
        })
    }
}

/// A keccak request as what leaves.
pub(super) fn prepare_keccak(
    request: &KeccakRequest,
    assumed: &Assumed,
) -> Result<Emitted, ExecuteError> {
    // No proof would be made of a false request, and a node that tried would get the blame.
    if request.input.is_empty() {
        let reason = "it asks for a keccak proof of nothing".into();
        return Err(ExecuteError::GuestFault { reason });
    }
    let proved = keccak_claim(&request.input);
    if (request.claim_digest, request.control_root) != (proved, KECCAK_CONTROL_ROOT) {
        let reason = "it asks for a keccak proof of something else than it hashed".into();
        return Err(ExecuteError::GuestFault { reason });
    }
    let assumption =
        AssumptionId { claim: request.claim_digest, control_root: request.control_root };
    let index = assumed
        .add_keccak(assumption)
        .ok_or(ExecuteError::TooMany { what: "keccak proofs", limit: KECCAK_REQUESTS_MAX })?;
    let po2 = u32::try_from(request.po2).map_err(|error| internal(error.to_string()))?;
    let po2 = Po2::try_from(po2).map_err(|error| internal(error.to_string()))?;
    let bytes = codec::encode_keccak_request(request)?;
    Ok(Emitted::Keccak(KeccakOut { index, po2, assumption, bytes }))
}

/// Turns the circuit's segments into what leaves.
pub(super) struct Segments<'a, F> {
    outbox: &'a Outbox<'a, F>,
    assumed: &'a Assumed,
    journal: &'a Journal,
    povw: Option<PovwJob>,
    chain: Chain,
}

impl<'a, F: FnMut(Emitted) -> Result<(), SinkError>> Segments<'a, F> {
    pub(super) fn new(
        outbox: &'a Outbox<'a, F>,
        assumed: &'a Assumed,
        journal: &'a Journal,
        povw: Option<PovwJob>,
    ) -> Self {
        Self { outbox, assumed, journal, povw, chain: Chain::default() }
    }

    pub(super) fn send(&mut self, segment: CircuitSegment) -> anyhow::Result<()> {
        let Self { outbox, assumed, journal, povw, chain } = self;
        outbox.send(|| {
            let output = |claim: &SegmentClaim| open_output(claim, journal, assumed);
            let mut segment = chain.prepare(segment, output)?;
            segment.work = povw.map(|job| Work::of_segment(job, segment.index, segment.po2));
            Ok(Emitted::Segment(segment))
        })
    }

    /// The execution that these segments are of.
    pub(super) fn finish(self, result: &ExecutorResult) -> Result<Execution, ExecuteError> {
        let Self { chain, journal, .. } = self;
        let journal = if chain.output.is_some() { journal.take() } else { Vec::new() };
        chain.finish(journal, result.user_cycles, result.total_cycles)
    }
}

/// What all segments so far add up to.
#[derive(Default)]
pub(super) struct Chain {
    claim: Option<SegmentClaim>,
    output: Option<OutputParts>,
    segment_count: u32,
    padding_cycles: u64,
}

impl Chain {
    /// The next segment as what leaves, its work not counted; `open_output` says what its claim's output is made
    /// of, where it has one.
    pub(super) fn prepare(
        &mut self,
        mut segment: CircuitSegment,
        open_output: impl FnOnce(&SegmentClaim) -> Result<OutputParts, ExecuteError>,
    ) -> Result<SegmentOut, ExecuteError> {
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

        if claim.output != Digest::ZERO {
            self.output = Some(open_output(&claim)?);
        }
        let (user_cycles, paging_cycles) = (segment.suspend_cycle, segment.paging_cycles);
        // The journal stays here: provers need its digest only, and it may be far larger than a segment. What was
        // assumed goes along: it must be known to be resolved.
        let output = self.output.as_ref().map(OutputParts::to_output);
        let bytes = codec::encode_segment(&Segment { index, circuit: segment, output })?;

        self.claim = Some(self.claim.map_or(claim, |chain| chain.join(&claim)));
        self.segment_count += 1;
        Ok(SegmentOut { index, po2, claim, work: None, user_cycles, paging_cycles, bytes })
    }

    /// The execution that these segments are of; the cycles are as the executor counts them.
    pub(super) fn finish(
        self,
        journal: Vec<u8>,
        user_cycles: u64,
        total_cycles: u64,
    ) -> Result<Execution, ExecuteError> {
        let Self { claim, output, segment_count, padding_cycles } = self;
        let claim = claim.ok_or_else(|| internal("the executor ended without a segment".into()))?;
        Ok(Execution {
            exit_code: claim.exit_code,
            journal,
            output,
            segment_count,
            user_cycles,
            total_cycles: total_cycles + padding_cycles,
            claim,
        })
    }
}

/// The output that the claim, that of the last segment, commits to.
fn open_output(
    claim: &SegmentClaim,
    journal: &Journal,
    assumed: &Assumed,
) -> Result<OutputParts, ExecuteError> {
    let parts = OutputParts { journal: journal.digest(), assumptions: assumed.list()? };
    if parts.to_output().digest::<Sha256>() == claim.output {
        return Ok(parts);
    }
    let reason =
        "it ended with an output that is not that of its journal and its assumptions".into();
    Err(ExecuteError::GuestFault { reason })
}

pub(super) fn internal(message: String) -> ExecuteError {
    ExecuteError::ExecutorPanicked { message }
}
