//! Execution for a host program: under the environment that it made, by RISC Zero's own executor, and
//! everything leaves as it does from [`execute`](super::execute()).
//!
//! An environment cannot be looked into. So the guest's randomness is its own here, and the execution cannot be
//! repeated; and keccak requests are seen only where the environment hands them to a [`KeccakQueue`].

use std::{
    collections::VecDeque,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, PoisonError, atomic::AtomicBool},
};

use risc0_zkvm::{
    AssumptionReceipt, CoprocessorCallback, ExecutorEnv, ExecutorImpl, GenericReceipt,
    InnerAssumptionReceipt, Output, ProveInfo, ProveKeccakRequest, Receipt, ReceiptClaim, Segment,
    SegmentRef, Session, WorkClaim,
};
use serde::Deserialize;

use super::{
    Emitted, ExecuteError, Execution, SegmentOut, SinkError,
    assumed::Assumed,
    failure,
    output::Journal,
    stream::{Chain, Outbox, internal, prepare_keccak},
};
use crate::{
    AssumptionId, OutputParts, Work,
    machine::CircuitSegment,
    panic,
    receipt::{GivenAssumption, ReceiptError, resolving},
};

/// The keccak requests of guests, on their way from an environment to whoever proves them: a clone of it is what
/// `ExecutorEnvBuilder::coprocessor_callback` takes.
#[derive(Debug, Clone, Default)]
pub struct KeccakQueue(Arc<Mutex<Requests>>);

#[derive(Default)]
struct Requests(VecDeque<ProveKeccakRequest>);

impl std::fmt::Debug for Requests {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} requests", self.0.len())
    }
}

impl KeccakQueue {
    fn take(&self) -> VecDeque<ProveKeccakRequest> {
        // A panic elsewhere leaves a queue as it is.
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner).0)
    }
}

impl CoprocessorCallback for KeccakQueue {
    fn prove_keccak(&mut self, request: ProveKeccakRequest) -> anyhow::Result<()> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0.push_back(request);
        Ok(())
    }
}

/// A finished execution under the environment of a host program.
#[derive(Debug)]
pub struct HostedExecution {
    /// What was executed.
    pub execution: Execution,
    /// How many keccak requests there were.
    pub keccak_count: u32,
    /// The receipts in the environment that prove what the guest assumed.
    pub given: Vec<GivenAssumption>,
    /// The session's counts.
    pub stats: HostedStats,
}

/// The counts of a session that `ProveInfo` carries.
#[derive(Debug, Clone, Copy)]
pub struct HostedStats {
    segments: usize,
    total_cycles: u64,
    user_cycles: u64,
    paging_cycles: u64,
    reserved_cycles: u64,
}

/// A [`risc0_zkvm::Segment`] as it is serialised: the type itself cannot be looked into.
#[derive(Deserialize)]
struct SegmentFields {
    /// The same as the circuit's segment says.
    _index: u32,
    inner: CircuitSegment,
    output: Option<Output>,
}

/// Runs the program binary `elf` in `env` and hands everything that is to be proved to `on_emitted` as soon as it
/// is complete.
///
/// Blocks the calling thread. Keccak requests, which `keccaks` took from `env`, leave before the segment that
/// follows them.
///
/// # Errors
/// [`ExecuteError`]; also when the guest assumes something that nothing in `env` proves, or that only a
/// composite receipt does.
pub fn execute_hosted(
    env: ExecutorEnv<'_>,
    elf: &[u8],
    keccaks: &KeccakQueue,
    on_emitted: impl FnMut(Emitted) -> Result<(), SinkError> + Send,
) -> Result<HostedExecution, ExecuteError> {
    // Requests of an earlier execution that failed are none of this one.
    keccaks.take();
    let never = AtomicBool::new(false);
    let outbox = Outbox::new(on_emitted, &never);
    let assumed = Assumed::new(Vec::new());
    let mut chain = Chain::default();
    let send_keccaks = || -> anyhow::Result<()> {
        for request in keccaks.take() {
            outbox.send(|| prepare_keccak(&request, &assumed))?;
        }
        Ok(())
    };
    let run = panic::catch(AssertUnwindSafe(|| {
        let mut executor = ExecutorImpl::from_elf(env, elf)?;
        executor.run_with_callback(|segment| {
            send_keccaks()?;
            outbox.send(|| prepare(&mut chain, &segment).map(Emitted::Segment))?;
            Ok(Box::new(Sent))
        })
    }));
    let session = match (outbox.take_failure(), run) {
        (Some(failure), _) => return Err(failure),
        (None, Ok(Ok(session))) => session,
        (None, Ok(Err(error))) => {
            let text = format!("{error:#}");
            return Err(failure::classify(&text, None, &Journal::default(), None));
        }
        (None, Err(message)) => return Err(ExecuteError::ExecutorPanicked { message }),
    };
    if let Err(error) = send_keccaks() {
        return Err(outbox.take_failure().unwrap_or_else(|| internal(error.to_string())));
    }
    let keccak_count = assumed.keccak_count();
    let given = given(&session, assumed.keccak_root())?;
    let stats = HostedStats {
        segments: session.segments.len(),
        total_cycles: session.total_cycles,
        user_cycles: session.user_cycles,
        paging_cycles: session.paging_cycles,
        reserved_cycles: session.reserved_cycles,
    };
    let journal = session.journal.map(|journal| journal.bytes).unwrap_or_default();
    let execution = chain.finish(journal, session.user_cycles, session.total_cycles)?;
    Ok(HostedExecution { execution, keccak_count, given, stats })
}

/// The receipts of what the guest assumed.
fn given(
    session: &Session,
    keccak_root: Option<AssumptionId>,
) -> Result<Vec<GivenAssumption>, ExecuteError> {
    let mut given = Vec::new();
    for (assumption, receipt) in &session.assumptions {
        let id = AssumptionId::from(assumption);
        match receipt {
            AssumptionReceipt::Proven(InnerAssumptionReceipt::Succinct(receipt)) => {
                let receipt = resolving(&id, receipt).map_err(setup)?;
                given.push(receipt);
            }
            AssumptionReceipt::Proven(_) => {
                return Err(ExecuteError::Setup {
                    reason: format!(
                        "the receipt of the assumed claim {} is not succinct: compress it before it is added to the \
                         environment",
                        id.claim
                    ),
                });
            }
            AssumptionReceipt::Unresolved(_) if keccak_root == Some(id) => {}
            AssumptionReceipt::Unresolved(_) if keccak_root.is_none() => {
                return Err(ExecuteError::Setup {
                    reason: "the guest assumes what nothing in its environment proves; if it uses the keccak \
                             accelerator, add the prover's coprocessor to the environment"
                        .into(),
                });
            }
            AssumptionReceipt::Unresolved(_) => {
                let AssumptionId { claim, control_root } = id;
                return Err(ExecuteError::UnknownAssumption {
                    claim,
                    control_root,
                    image_id: None,
                });
            }
        }
    }
    Ok(given)
}

fn setup(error: ReceiptError) -> ExecuteError {
    ExecuteError::Setup { reason: error.to_string() }
}

/// What a segment of RISC Zero's executor leaves as.
fn prepare(chain: &mut Chain, segment: &Segment) -> Result<SegmentOut, ExecuteError> {
    let bytes = bincode::serialize(segment).map_err(|error| internal(error.to_string()))?;
    let SegmentFields { inner, output, .. } =
        bincode::deserialize(&bytes).map_err(|error| internal(error.to_string()))?;
    drop(bytes);
    let nonce = inner.povw_nonce;
    let mut segment = chain.prepare(inner, |_| {
        let parts = output.as_ref().and_then(OutputParts::of);
        parts.ok_or_else(|| internal("an output is pruned".into()))
    })?;
    segment.work = nonce.as_ref().and_then(|nonce| Work::of_nonce(nonce, segment.po2));
    Ok(segment)
}

/// A segment that has left.
struct Sent;

impl SegmentRef for Sent {
    fn resolve(&self) -> anyhow::Result<Segment> {
        anyhow::bail!("the segment has left to be proved")
    }
}

/// What RISC Zero's provers return of `receipt`.
///
/// # Errors
/// When `work_receipt` is no work receipt's file.
pub fn prove_info(
    receipt: Receipt,
    work_receipt: Option<&[u8]>,
    stats: HostedStats,
) -> Result<ProveInfo, ReceiptError> {
    let wrong = |error: bincode::Error| ReceiptError::Assemble { reason: error.to_string() };
    let work: Option<GenericReceipt<WorkClaim<ReceiptClaim>>> =
        work_receipt.map(bincode::deserialize).transpose().map_err(wrong)?;
    let HostedStats { segments, total_cycles, user_cycles, paging_cycles, reserved_cycles } = stats;
    let stats = (segments, total_cycles, user_cycles, paging_cycles, reserved_cycles);
    // The type cannot be constructed elsewhere; its serialised form is these fields in this order.
    let bytes = bincode::serialize(&(receipt, stats, work)).map_err(wrong)?;
    bincode::deserialize(&bytes).map_err(wrong)
}
