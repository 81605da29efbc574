//! Execution for a host program, under the environment that it made; everything leaves as it does from
//! [`execute`](super::execute()).
//!
//! Only RISC Zero's client can look into an environment, so it does that for us (`client.rs`). One thing it does not tell: the
//! digest of an input, which guests cannot read anyway.

mod client;
#[doc(hidden)]
pub mod rules;
mod wire;

use std::{path::Path, sync::atomic::AtomicBool};

use risc0_binfmt::PovwJobId;
use risc0_zkp::core::hash::hash_suite_from_name;
use risc0_zkvm::{
    Digest, ExecutorEnv, GenericReceipt, MaybePruned, ProveInfo, Receipt, ReceiptClaim,
    SuccinctReceipt, Unknown, WorkClaim,
};
use risc0_zkvm_platform::fileno;
use starling_types::Po2;

use self::{
    client::{Remote, serve_in},
    wire::{Environment, InnerReceipt, Succinct, Words},
};
use super::{
    Emitted, ExecuteError, Execution, Limits, SinkError,
    assumed::Assumed,
    calls::{Files, Resources},
    drive,
    host::Host,
    output::Journal,
    stream::{Outbox, Segments, prepare_keccak},
};
use crate::{
    AssumptionId, Guest, PovwJob, panic,
    receipt::{GivenAssumption, ReceiptError, resolving},
};

/// The sizes of segments and of keccak proofs where an environment has none: RISC Zero's own.
const SEGMENT_PO2_UNSAID: u32 = 20;
const KECCAK_PO2_UNSAID: u32 = risc0_circuit_keccak::KECCAK_DEFAULT_PO2 as u32;

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

/// Runs `guest` in `env` and hands everything that is to be proved to `on_emitted` as soon as it is complete.
///
/// Blocks the calling thread, on which the environment's own code runs. `seed` is the guest's randomness, and `folder`
/// takes a file for as long as the guest runs. `cancel` becoming true stops the execution, as of
/// [`execute`](super::execute()). Profiles, and callbacks that trace each instruction, are RISC Zero's
/// executor's: an environment that wants the latter is refused.
///
/// # Errors
/// [`ExecuteError`]; also when the guest assumes something that nothing in `env` proves, or that only a
/// composite receipt does.
pub fn execute_hosted(
    env: &ExecutorEnv<'_>,
    guest: &Guest,
    seed: [u8; 32],
    folder: &Path,
    on_emitted: impl FnMut(Emitted) -> Result<(), SinkError> + Send,
    cancel: &AtomicBool,
) -> Result<HostedExecution, ExecuteError> {
    let serve = |environment, remote| {
        // A panic here would leave the client waiting.
        panic::catch(std::panic::AssertUnwindSafe(|| {
            execute_in(environment, &remote, guest, seed, on_emitted, cancel)
        }))
        .unwrap_or_else(|message| Err(ExecuteError::ExecutorPanicked { message }))
    };
    serve_in(env, folder, serve).map_err(|reason| setup(&format!("its environment: {reason}")))?
}

/// Runs `guest` in an environment that is known.
fn execute_in(
    environment: Environment,
    remote: &Remote,
    guest: &Guest,
    seed: [u8; 32],
    on_emitted: impl FnMut(Emitted) -> Result<(), SinkError> + Send,
    cancel: &AtomicBool,
) -> Result<HostedExecution, ExecuteError> {
    if environment.trace_events.is_some() {
        return Err(setup(&"only RISC Zero's own executor calls trace callbacks"));
    }
    if !environment.pprof_out.is_empty() {
        tracing::warn!("Starling writes no profile to {}", environment.pprof_out);
    }
    let po2 = environment.segment_limit_po2.unwrap_or(SEGMENT_PO2_UNSAID);
    let limits = Limits {
        segment_po2: Po2::try_from(po2).map_err(|_| ExecuteError::Po2OutOfRange { po2 })?,
        cycle_limit: environment.session_limit,
        povw: povw_of(&environment.povw_job_id)?,
    };
    limits.check()?;
    let (given, given_count) = (given(&environment), environment.assumptions.len());
    let only_composite = given.len() < given_count;

    let journal = Journal::default();
    let assumed = Assumed::new(given.iter().map(|(id, _)| *id).collect());
    let outbox = Outbox::new(on_emitted, cancel);
    let mut files = Files::default();
    for fd in environment.read_fds {
        files.add_reader(fd, Box::new(remote.file(fd)));
    }
    for fd in environment.write_fds {
        files.add_writer(fd, Box::new(remote.file(fd)));
    }
    files.add_writer(fileno::JOURNAL, Box::new(journal.clone()));
    let resources = Resources {
        args: environment.args,
        env: environment.env_vars.into_iter().collect(),
        files,
        keccak_po2: environment.keccak_max_po2.unwrap_or(KECCAK_PO2_UNSAID),
        on_keccak: Box::new(|request| outbox.send(|| prepare_keccak(&request, &assumed))),
        channels: environment.slice_ios,
        on_channel: Box::new(|name, sent| Ok(remote.call(name, sent)?)),
    };
    let host = Host::new(resources, seed, &outbox, &assumed, guest.memory_end());
    let mut segments = Segments::new(&outbox, &assumed, &journal, limits.povw);
    let finished =
        drive(guest, &limits, &host, &outbox, &journal, &mut segments).and_then(|result| {
            let (paging_cycles, reserved_cycles) = (result.paging_cycles, result.reserved_cycles);
            let execution = segments.finish(&result)?;
            let stats = HostedStats {
                segments: execution.segment_count as usize,
                total_cycles: result.total_cycles,
                user_cycles: result.user_cycles,
                paging_cycles,
                reserved_cycles,
            };
            Ok((execution, stats))
        });
    let (execution, stats) = match finished {
        Err(ExecuteError::UnknownAssumption { claim, .. }) if only_composite => {
            return Err(setup(&format!(
                "the guest assumes the claim {claim}, but its environment has no succinct receipt of it: compress \
                 receipts before you add them to the environment"
            )));
        }
        finished => finished?,
    };
    let mut resolved = Vec::new();
    for assumption in execution.assumptions() {
        if let Some((_, receipt)) = given.iter().find(|(id, _)| assumption.is_resolved_by(id)) {
            resolved.push(resolving(assumption, receipt).map_err(|error| setup(&error))?);
        }
    }
    Ok(HostedExecution { execution, keccak_count: assumed.keccak_count(), given: resolved, stats })
}

fn setup(reason: &dyn std::fmt::Display) -> ExecuteError {
    ExecuteError::Setup { reason: reason.to_string() }
}

/// The names that an environment has its work counted under, if it has any.
fn povw_of(bytes: &[u8]) -> Result<Option<PovwJob>, ExecuteError> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let job = PovwJobId::try_from(bytes);
    let job =
        job.map_err(|error| setup(&format!("its work can't be counted for a job: {error}")))?;
    Ok(Some(PovwJob::of_job_id(job)))
}

/// The receipts of an environment that something can be resolved with, and what they prove.
fn given(environment: &Environment) -> Vec<(AssumptionId, SuccinctReceipt<Unknown>)> {
    let assets = environment.assumptions.iter().filter_map(|assumption| {
        let bytes = assumption.proven.as_ref()?.inline.as_deref()?;
        let receipt: InnerReceipt = prost::Message::decode(bytes).ok()?;
        let receipt = receipt_of(receipt.succinct?)?;
        // The hash function panics on words that are not its digests.
        let id = panic::catch(|| id_of(&receipt)).ok().flatten()?;
        Some((id, receipt))
    });
    assets.collect()
}

/// What a receipt proves, if its seal is right.
fn id_of(receipt: &SuccinctReceipt<Unknown>) -> Option<AssumptionId> {
    let suite = hash_suite_from_name(&receipt.hashfn)?;
    let inclusion = &receipt.control_inclusion_proof;
    let control_root = inclusion.root(&receipt.control_id, suite.hashfn.as_ref());
    let MaybePruned::Pruned(claim) = receipt.claim else { return None };
    Some(AssumptionId { claim, control_root })
}

/// The receipt of a message. The type cannot be constructed elsewhere; its serialised form is these fields in this
/// order.
fn receipt_of(message: Succinct) -> Option<SuccinctReceipt<Unknown>> {
    let digest = |words: Words| Some(Digest::from(<[u32; 8]>::try_from(words.words).ok()?));
    let seal: Vec<u32> =
        message.seal.as_chunks().0.iter().map(|word| u32::from_le_bytes(*word)).collect();
    let claim = MaybePruned::<Unknown>::Pruned(digest(message.claim?.pruned?)?);
    let inclusion = message.inclusion?;
    let digests: Option<Vec<Digest>> = inclusion.digests.into_iter().map(digest).collect();
    let (control_id, parameters) =
        (digest(message.control_id?)?, digest(message.verifier_parameters?)?);
    let inclusion = (inclusion.index, digests?);
    let fields = (seal, control_id, claim, message.hashfn, parameters, inclusion);
    bincode::deserialize(&bincode::serialize(&fields).ok()?).ok()
}

/// What RISC Zero's provers return of `receipt`.
///
/// # Errors
/// When `work_receipt` is not the file of a work receipt.
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

#[cfg(test)]
mod tests;
