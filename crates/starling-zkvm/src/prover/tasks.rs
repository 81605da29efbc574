//! One task: its inputs, the proof, the receipt.
//!
//! Inputs come from strangers. What they hold is checked before it is proved: a size, an index, a count that does not
//! fit the task costs no proof.

use std::time::Instant;

use risc0_circuit_keccak::{KECCAK_CONTROL_ROOT, KECCAK_PO2_RANGE, max_keccak_inputs};
use risc0_zkvm::SegmentReceipt;
use starling_child::{Input, Phases, Proved, Refusal, StepTime, Work};
use starling_fastprove::recursion::ProveError;
use starling_types::{FailureClass, TaskId};

use super::step;
use crate::{
    AssumptionId, SEGMENT_PO2_MAX, SEGMENT_PO2_MIN,
    backend::Provers,
    codec::{self, BlobKind, CodecError},
    leaf::{KeccakRequest, keccak_claim},
    task::TaskArguments,
    twice::is_own_fault,
};

/// A segment's or a keccak proof that failed: because of what was to be proved, unless it was proved and does not
/// verify, twice.
fn proving_failed(error: &anyhow::Error) -> Refusal {
    let message = format!("proving failed: {error:#}");
    if is_own_fault(error) { Refusal::internal(message) } else { Refusal::task(message) }
}

/// A recursion proof that failed: because of its inputs, unless the prover says that it is itself to blame.
fn recursion_failed(what: &str, error: &anyhow::Error) -> Refusal {
    let message = format!("{what} failed: {error:#}");
    match error.downcast_ref() {
        _ if is_own_fault(error) => Refusal::internal(message),
        Some(ProveError::Program(_)) => Refusal::internal(message),
        _ => Refusal::input(message),
    }
}

/// The same where the input was proved here: it is the task that has no receipt.
fn after_proving(mut refusal: Refusal) -> Refusal {
    if refusal.class == FailureClass::Input {
        refusal.class = FailureClass::Task;
    }
    refusal
}

/// How long the steps of a task took, in milliseconds.
#[derive(Default)]
struct Times {
    prove_ms: u64,
    lift_ms: u64,
    join_ms: u64,
}

impl Times {
    /// Those of the steps that there were.
    fn steps(self) -> Vec<StepTime> {
        let Self { prove_ms, lift_ms, join_ms } = self;
        [(step::PROVE, prove_ms), (step::LIFT, lift_ms), (step::JOIN, join_ms)]
            .into_iter()
            .filter(|(_, elapsed_ms)| *elapsed_ms > 0)
            .map(|(name, elapsed_ms)| StepTime { name: name.into(), elapsed_ms })
            .collect()
    }
}

/// Proves `task`.
pub(super) fn prove(
    provers: &mut Provers,
    phases: &Phases,
    work: &Work<'_>,
    task: TaskId,
    arguments: TaskArguments,
) -> Result<Proved, Refusal> {
    let prepared = provers.prepare(work.profile);
    prepared.map_err(|error| Refusal::internal(format!("{error:#}")))?;
    let provers = &*provers;
    let mut times = Times::default();
    let blob = match (task, work.inputs) {
        (TaskId::Prove(index), [segment]) => {
            let receipt = prove_segment(provers, phases, arguments, segment, index, &mut times)?;
            codec::encode_segment_receipt(&receipt)
        }
        (TaskId::Lift(index), [segment]) => {
            let receipt = prove_segment(provers, phases, arguments, segment, index, &mut times)?;
            lift(provers, arguments, &receipt, &mut times).map_err(after_proving)?
        }
        (TaskId::LiftReceipt(index), [receipt]) => {
            let read = codec::decode_segment_receipt;
            let receipt = input(receipt, BlobKind::SegmentReceipt, "segment", read)?;
            if receipt.index != index {
                let found = receipt.index;
                return Err(Refusal::input(format!(
                    "the blob holds the receipt of segment {found}, not {index}"
                )));
            }
            lift(provers, arguments, &receipt, &mut times)?
        }
        (TaskId::Keccak(_), [asked]) => {
            prove_keccak(provers, phases, arguments, asked, &mut times)?
        }
        (TaskId::Join(_), [left, right]) => join(provers, arguments, [left, right], &mut times)?,
        (TaskId::Union(_), [left, right]) => {
            let (left, right) = (assumption(left, "left")?, assumption(right, "right")?);
            let united =
                timed(&mut times.join_ms, || provers.twice(|| provers.union(&left, &right)))
                    .map_err(|error| recursion_failed("uniting", &error))?;
            codec::encode_assumption_receipt(&united)
        }
        (TaskId::Resolve(_), [conditional, resolving]) => {
            resolve(provers, arguments, [conditional, resolving], &mut times)?
        }
        (TaskId::Unwrap, [receipt]) => {
            let read = codec::decode_work_receipt;
            let receipt = input(receipt, BlobKind::WorkReceipt, "work", read)?;
            let unwrapped =
                timed(&mut times.join_ms, || provers.twice(|| provers.unwrap_work(&receipt)))
                    .map_err(|error| recursion_failed("unwrapping", &error))?;
            codec::encode_succinct_receipt(&unwrapped)
        }
        (task, inputs) => {
            return Err(Refusal::task(format!("{task} does not take {} inputs", inputs.len())));
        }
    };
    let blob = blob.map_err(|error| Refusal::internal(error.to_string()))?;
    Ok(Proved { blob, steps: times.steps(), reproved: provers.reproved() })
}

/// A receipt as the blob that leaves.
type Encoded = Result<Vec<u8>, CodecError>;

fn prove_segment(
    provers: &Provers,
    phases: &Phases,
    arguments: TaskArguments,
    blob: &Input,
    index: u32,
    times: &mut Times,
) -> Result<SegmentReceipt, Refusal> {
    let po2_max = arguments.po2_max.get().min(SEGMENT_PO2_MAX);
    let blob = read_blob(blob, BlobKind::Segment, codec::segment_bytes_max(po2_max))?;
    let segment = codec::decode_segment_within(po2_max, &blob).map_err(|error| {
        let message = format!("the segment input: {error}");
        // If it is larger than it should be, it is not damaged: it is as large for everybody.
        let too_large = matches!(error, CodecError::TooLarge { .. });
        if too_large { Refusal::task(message) } else { Refusal::input(message) }
    })?;
    drop(blob);
    if segment.index != index {
        let found = segment.index;
        return Err(Refusal::input(format!("the blob holds segment {found}, not {index}")));
    }
    let po2 = segment.po2();
    if po2 > po2_max as usize || po2 < SEGMENT_PO2_MIN as usize {
        return Err(Refusal::task(format!(
            "the segment has po2 {po2}, allowed is {SEGMENT_PO2_MIN} to {po2_max} here"
        )));
    }
    let receipt = timed(&mut times.prove_ms, || provers.twice(|| provers.prove_segment(&segment)))
        .map_err(|error| proving_failed(&error))?;
    phases.proof_ended();
    Ok(receipt)
}

fn lift(
    provers: &Provers,
    arguments: TaskArguments,
    receipt: &SegmentReceipt,
    times: &mut Times,
) -> Result<Encoded, Refusal> {
    let failed = |error| recursion_failed("lifting", &error);
    Ok(if arguments.work_claims {
        let lifted = timed(&mut times.lift_ms, || provers.twice(|| provers.lift_work(receipt)))
            .map_err(failed)?;
        codec::encode_work_receipt(&lifted)
    } else {
        let lifted = timed(&mut times.lift_ms, || provers.twice(|| provers.lift(receipt)))
            .map_err(failed)?;
        codec::encode_succinct_receipt(&lifted)
    })
}

fn join(
    provers: &Provers,
    arguments: TaskArguments,
    [left, right]: [&Input; 2],
    times: &mut Times,
) -> Result<Encoded, Refusal> {
    // The recursion program checks that right begins where left ends.
    let failed = |error| recursion_failed("joining", &error);
    Ok(if arguments.work_claims {
        let read =
            |path, role| input(path, BlobKind::WorkReceipt, role, codec::decode_work_receipt);
        let (left, right) = (read(left, "left")?, read(right, "right")?);
        let joined =
            timed(&mut times.join_ms, || provers.twice(|| provers.join_work(&left, &right)));
        codec::encode_work_receipt(&joined.map_err(failed)?)
    } else {
        let (left, right) = (succinct(left, "left")?, succinct(right, "right")?);
        let joined = timed(&mut times.join_ms, || provers.twice(|| provers.join(&left, &right)));
        codec::encode_succinct_receipt(&joined.map_err(failed)?)
    })
}

fn resolve(
    provers: &Provers,
    arguments: TaskArguments,
    [conditional, resolving]: [&Input; 2],
    times: &mut Times,
) -> Result<Encoded, Refusal> {
    let failed = |error| recursion_failed("resolving", &error);
    let resolving = assumption(resolving, "assumption's")?;
    Ok(if arguments.work_claims {
        let read = codec::decode_work_receipt;
        let conditional = input(conditional, BlobKind::WorkReceipt, "conditional", read)?;
        let resolved = timed(&mut times.join_ms, || {
            provers.twice(|| provers.resolve_work(&conditional, &resolving))
        });
        codec::encode_work_receipt(&resolved.map_err(failed)?)
    } else {
        let conditional = succinct(conditional, "conditional")?;
        let resolved = timed(&mut times.join_ms, || {
            provers.twice(|| provers.resolve(&conditional, &resolving))
        });
        codec::encode_succinct_receipt(&resolved.map_err(failed)?)
    })
}

fn prove_keccak(
    provers: &Provers,
    phases: &Phases,
    arguments: TaskArguments,
    blob: &Input,
    times: &mut Times,
) -> Result<Encoded, Refusal> {
    let po2_max = arguments.po2_max.get() as usize;
    let request = input(blob, BlobKind::KeccakRequest, "keccak", codec::decode_keccak_request)?;
    let assumption = check_keccak(&request, po2_max)?;
    let attempt = || {
        let proof = timed(&mut times.prove_ms, || provers.twice(|| provers.prove_keccak(&request)))
            .map_err(KeccakFailure::Proving)?;
        phases.proof_ended();
        timed(&mut times.lift_ms, || {
            provers.twice(|| provers.lift_keccak(&request, proof.clone(), &assumption))
        })
        .map_err(KeccakFailure::Lifting)
    };
    // The program that lifts a seal is what verifies it: a seal that it does not take is made once more.
    let receipt = provers.twice_if(KeccakFailure::is_refused_seal, attempt);
    let receipt = receipt.map_err(|failed| match failed {
        KeccakFailure::Proving(error) => proving_failed(&error),
        // The permutations are such that there is a proof of them, and a lift of it.
        KeccakFailure::Lifting(error) => Refusal::internal(format!("lifting failed: {error:#}")),
    })?;
    Ok(codec::encode_assumption_receipt(&receipt))
}

/// Where a keccak task failed.
#[derive(Debug, thiserror::Error)]
enum KeccakFailure {
    #[error("{0:#}")]
    Proving(anyhow::Error),
    #[error("{0:#}")]
    Lifting(anyhow::Error),
}

impl KeccakFailure {
    /// Whether the program that lifts a seal did not take one that was made here.
    fn is_refused_seal(&self) -> bool {
        let Self::Lifting(error) = self else { return false };
        matches!(error.downcast_ref(), Some(ProveError::Refused(_)))
    }
}

/// What the receipt of `request` will prove, if there can be one that is no larger than what was leased.
fn check_keccak(request: &KeccakRequest, po2_max: usize) -> Result<AssumptionId, Refusal> {
    let KeccakRequest { claim_digest, po2, control_root, input } = request;
    let (least, most) = (*KECCAK_PO2_RANGE.start(), po2_max.min(*KECCAK_PO2_RANGE.end()));
    if *po2 < least || *po2 > most {
        return Err(Refusal::task(format!(
            "the keccak request has po2 {po2}, allowed is {least} to {most} here"
        )));
    }
    let (count, count_max) = (input.len(), max_keccak_inputs(*po2));
    if count == 0 || count > count_max {
        return Err(Refusal::task(format!(
            "the keccak request has {count} permutations, a proof of po2 {po2} has 1 to {count_max}"
        )));
    }
    if *control_root != KECCAK_CONTROL_ROOT {
        return Err(Refusal::task(format!(
            "the keccak request is for programs under {control_root}, but this prover has those under \
             {KECCAK_CONTROL_ROOT}"
        )));
    }
    let actual = keccak_claim(input);
    if actual != *claim_digest {
        return Err(Refusal::task(format!(
            "the keccak request claims {claim_digest}, its permutations are {actual}"
        )));
    }
    Ok(AssumptionId { claim: *claim_digest, control_root: *control_root })
}

fn succinct(
    blob: &Input,
    role: &str,
) -> Result<risc0_zkvm::SuccinctReceipt<risc0_zkvm::ReceiptClaim>, Refusal> {
    input(blob, BlobKind::SuccinctReceipt, role, codec::decode_succinct_receipt)
}

fn assumption(
    blob: &Input,
    role: &str,
) -> Result<risc0_zkvm::SuccinctReceipt<risc0_zkvm::Unknown>, Refusal> {
    input(blob, BlobKind::AssumptionReceipt, role, codec::decode_assumption_receipt)
}

/// An input, decoded; `role` tells it from the other one.
fn input<T>(
    blob: &Input,
    kind: BlobKind,
    role: &str,
    decode: impl FnOnce(&[u8]) -> Result<T, CodecError>,
) -> Result<T, Refusal> {
    decode(&read_blob(blob, kind, kind.content_bytes_max())?)
        .map_err(|error| Refusal::input(format!("the {role} input: {error}")))
}

fn read_blob(input: &Input, kind: BlobKind, content_bytes_max: u64) -> Result<Vec<u8>, Refusal> {
    let read = input.blob.read(codec::blob_bytes_max(content_bytes_max));
    read.map_err(|error| Refusal::input(format!("the {kind} input: {error}")))
}

/// Runs `work`; `elapsed_ms` becomes the time that it took.
fn timed<T>(elapsed_ms: &mut u64, work: impl FnOnce() -> T) -> T {
    let started = Instant::now();
    let result = work();
    *elapsed_ms = started.elapsed().as_millis().try_into().unwrap_or(u64::MAX);
    result
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use risc0_zkvm::Digest;

    use super::*;

    fn request(po2: usize, count: usize) -> KeccakRequest {
        let input = vec![[7; 25]; count];
        let claim_digest = keccak_claim(&input);
        KeccakRequest { claim_digest, po2, control_root: KECCAK_CONTROL_ROOT, input }
    }

    #[test]
    fn a_keccak_request_that_fits_names_what_its_receipt_will_prove() {
        for (po2, count) in [(14, 1), (14, 81), (18, 1310)] {
            let request = request(po2, count);
            let id = check_keccak(&request, po2).unwrap();
            assert_eq!((id.claim, id.control_root), (request.claim_digest, KECCAK_CONTROL_ROOT));
        }
    }

    #[test]
    fn a_keccak_request_without_a_proof_is_refused_before_one_is_made() {
        let good = request(14, 2);
        let other = Digest::from([1; 8]);
        let cases = [
            (request(13, 1), "has po2 13, allowed is 14 to 17 here"),
            (request(18, 1), "has po2 18, allowed is 14 to 17 here"),
            (request(usize::MAX, 1), "allowed is 14 to 17 here"),
            (request(14, 82), "has 82 permutations, a proof of po2 14 has 1 to 81"),
            (KeccakRequest { input: vec![], ..good.clone() }, "has 0 permutations"),
            (KeccakRequest { control_root: other, ..good.clone() }, "for programs under 01"),
            (KeccakRequest { claim_digest: other, ..good.clone() }, "claims 01"),
            (KeccakRequest { input: vec![[8; 25]; 2], ..good }, "its permutations are"),
        ];
        for (request, expected) in cases {
            let error = check_keccak(&request, 17).unwrap_err();
            assert_eq!(error.class, FailureClass::Task);
            assert!(error.message.contains(expected), "{}", error.message);
        }
    }
}
