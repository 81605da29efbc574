//! One task of a prover child: inputs from their files, the proof, the receipt into its file.
//!
//! Inputs come from strangers. What they hold is checked before it is proved: a size, an index, a count that does not
//! fit the task costs no proof.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    time::Instant,
};

use risc0_circuit_keccak::{KECCAK_CONTROL_ROOT, KECCAK_PO2_RANGE, max_keccak_inputs};
use risc0_zkvm::SegmentReceipt;
use starling_fastprove::recursion::ProveError;
use starling_files::{Existing, Readers, write_whole};
use starling_types::{FailureClass, Task, TaskId};

use super::{peak_memory, phases::Phases};
use crate::{
    AssumptionId, SEGMENT_PO2_MAX, SEGMENT_PO2_MIN, TaskArguments,
    backend::Provers,
    codec::{self, BlobKind, CodecError},
    leaf::{KeccakRequest, keccak_claim},
    protocol::{Proved, Request},
    twice::is_own_fault,
};

/// A task that failed.
#[derive(Debug)]
pub(super) struct TaskError {
    pub(super) class: FailureClass,
    pub(super) message: String,
}

impl TaskError {
    fn input(message: impl Into<String>) -> Self {
        Self { class: FailureClass::Input, message: message.into() }
    }

    pub(super) fn task(message: impl Into<String>) -> Self {
        Self { class: FailureClass::Task, message: message.into() }
    }

    pub(super) fn internal(message: impl Into<String>) -> Self {
        Self { class: FailureClass::Node, message: message.into() }
    }

    /// A segment's or a keccak proof that failed: because of what was to be proved, unless it was proved and does not
    /// verify, twice.
    fn proving(error: &anyhow::Error) -> Self {
        let message = format!("proving failed: {error:#}");
        if is_own_fault(error) { Self::internal(message) } else { Self::task(message) }
    }

    /// A recursion proof that failed: because of its inputs, unless the prover says that it is itself to blame.
    fn recursion(what: &str, error: &anyhow::Error) -> Self {
        let message = format!("{what} failed: {error:#}");
        match error.downcast_ref() {
            _ if is_own_fault(error) => Self::internal(message),
            Some(ProveError::Program(_)) => Self::internal(message),
            _ => Self::input(message),
        }
    }

    /// The same where the input was proved here: it is the task that has no receipt.
    fn after_proving(mut self) -> Self {
        if self.class == FailureClass::Input {
            self.class = FailureClass::Task;
        }
        self
    }
}

/// The task as the zkVM calls it.
pub(super) fn named(task: Task) -> Result<TaskId, TaskError> {
    TaskId::try_from(task).map_err(|task| TaskError::task(format!("there is no {task} here")))
}

/// Proves the task of `request` and writes its receipt.
pub(super) fn prove(
    provers: &mut Provers,
    phases: &Phases,
    request: &Request,
) -> Result<Proved, TaskError> {
    let prepared = provers.prepare(request.profile);
    prepared.map_err(|error| TaskError::internal(format!("{error:#}")))?;
    let provers = &*provers;
    let task = named(request.task)?;
    let arguments = TaskArguments::decode(&request.arguments)
        .map_err(|error| TaskError::task(error.to_string()))?;
    let mut proved = Proved::default();
    let blob = match (task, request.inputs.as_slice()) {
        (TaskId::Prove(index), [segment]) => {
            let receipt = prove_segment(provers, phases, arguments, segment, index, &mut proved)?;
            codec::encode_segment_receipt(&receipt)
        }
        (TaskId::Lift(index), [segment]) => {
            let receipt = prove_segment(provers, phases, arguments, segment, index, &mut proved)?;
            lift(provers, arguments, &receipt, &mut proved).map_err(TaskError::after_proving)?
        }
        (TaskId::LiftReceipt(index), [receipt]) => {
            let read = codec::decode_segment_receipt;
            let receipt = input(receipt, BlobKind::SegmentReceipt, "segment", read)?;
            if receipt.index != index {
                let found = receipt.index;
                return Err(TaskError::input(format!(
                    "the blob holds the receipt of segment {found}, not {index}"
                )));
            }
            lift(provers, arguments, &receipt, &mut proved)?
        }
        (TaskId::Keccak(_), [asked]) => {
            prove_keccak(provers, phases, arguments, asked, &mut proved)?
        }
        (TaskId::Join(_), [left, right]) => join(provers, arguments, [left, right], &mut proved)?,
        (TaskId::Union(_), [left, right]) => {
            let (left, right) = (assumption(left, "left")?, assumption(right, "right")?);
            let united =
                timed(&mut proved.join_ms, || provers.twice(|| provers.union(&left, &right)))
                    .map_err(|error| TaskError::recursion("uniting", &error))?;
            codec::encode_assumption_receipt(&united)
        }
        (TaskId::Resolve(_), [conditional, resolving]) => {
            resolve(provers, arguments, [conditional, resolving], &mut proved)?
        }
        (TaskId::Unwrap, [receipt]) => {
            let read = codec::decode_work_receipt;
            let receipt = input(receipt, BlobKind::WorkReceipt, "work", read)?;
            let unwrapped =
                timed(&mut proved.join_ms, || provers.twice(|| provers.unwrap_work(&receipt)))
                    .map_err(|error| TaskError::recursion("unwrapping", &error))?;
            codec::encode_succinct_receipt(&unwrapped)
        }
        (task, inputs) => {
            return Err(TaskError::task(format!("{task} does not take {} inputs", inputs.len())));
        }
    };
    let blob = blob.map_err(|error| TaskError::internal(error.to_string()))?;
    write_blob(&request.output, &blob)?;
    proved.peak_memory = peak_memory();
    proved.reproved = provers.reproved();
    Ok(proved)
}

/// A receipt as the blob that leaves.
type Encoded = Result<Vec<u8>, CodecError>;

fn prove_segment(
    provers: &Provers,
    phases: &Phases,
    arguments: TaskArguments,
    path: &Path,
    index: u32,
    proved: &mut Proved,
) -> Result<SegmentReceipt, TaskError> {
    let po2_max = arguments.po2_max.get().min(SEGMENT_PO2_MAX);
    let blob = read_blob(path, BlobKind::Segment, codec::segment_bytes_max(po2_max))?;
    let segment = codec::decode_segment_within(po2_max, &blob).map_err(|error| {
        let message = format!("the segment input: {error}");
        // One that is larger than it should be is no damaged one: it is as large for everybody.
        let too_large = matches!(error, CodecError::TooLarge { .. });
        if too_large { TaskError::task(message) } else { TaskError::input(message) }
    })?;
    drop(blob);
    if segment.index != index {
        let found = segment.index;
        return Err(TaskError::input(format!("the blob holds segment {found}, not {index}")));
    }
    let po2 = segment.po2();
    if po2 > po2_max as usize || po2 < SEGMENT_PO2_MIN as usize {
        return Err(TaskError::task(format!(
            "the segment has po2 {po2}, allowed is {SEGMENT_PO2_MIN} to {po2_max} here"
        )));
    }
    let receipt = timed(&mut proved.prove_ms, || provers.twice(|| provers.prove_segment(&segment)))
        .map_err(|error| TaskError::proving(&error))?;
    phases.proof_ended();
    Ok(receipt)
}

fn lift(
    provers: &Provers,
    arguments: TaskArguments,
    receipt: &SegmentReceipt,
    proved: &mut Proved,
) -> Result<Encoded, TaskError> {
    let failed = |error| TaskError::recursion("lifting", &error);
    Ok(if arguments.work_claims {
        let lifted = timed(&mut proved.lift_ms, || provers.twice(|| provers.lift_work(receipt)))
            .map_err(failed)?;
        codec::encode_work_receipt(&lifted)
    } else {
        let lifted = timed(&mut proved.lift_ms, || provers.twice(|| provers.lift(receipt)))
            .map_err(failed)?;
        codec::encode_succinct_receipt(&lifted)
    })
}

fn join(
    provers: &Provers,
    arguments: TaskArguments,
    [left, right]: [&PathBuf; 2],
    proved: &mut Proved,
) -> Result<Encoded, TaskError> {
    // The recursion program checks that right begins where left ends.
    let failed = |error| TaskError::recursion("joining", &error);
    Ok(if arguments.work_claims {
        let read =
            |path, role| input(path, BlobKind::WorkReceipt, role, codec::decode_work_receipt);
        let (left, right) = (read(left, "left")?, read(right, "right")?);
        let joined =
            timed(&mut proved.join_ms, || provers.twice(|| provers.join_work(&left, &right)));
        codec::encode_work_receipt(&joined.map_err(failed)?)
    } else {
        let (left, right) = (succinct(left, "left")?, succinct(right, "right")?);
        let joined = timed(&mut proved.join_ms, || provers.twice(|| provers.join(&left, &right)));
        codec::encode_succinct_receipt(&joined.map_err(failed)?)
    })
}

fn resolve(
    provers: &Provers,
    arguments: TaskArguments,
    [conditional, resolving]: [&PathBuf; 2],
    proved: &mut Proved,
) -> Result<Encoded, TaskError> {
    let failed = |error| TaskError::recursion("resolving", &error);
    let resolving = assumption(resolving, "assumption's")?;
    Ok(if arguments.work_claims {
        let read = codec::decode_work_receipt;
        let conditional = input(conditional, BlobKind::WorkReceipt, "conditional", read)?;
        let resolved = timed(&mut proved.join_ms, || {
            provers.twice(|| provers.resolve_work(&conditional, &resolving))
        });
        codec::encode_work_receipt(&resolved.map_err(failed)?)
    } else {
        let conditional = succinct(conditional, "conditional")?;
        let resolved = timed(&mut proved.join_ms, || {
            provers.twice(|| provers.resolve(&conditional, &resolving))
        });
        codec::encode_succinct_receipt(&resolved.map_err(failed)?)
    })
}

fn prove_keccak(
    provers: &Provers,
    phases: &Phases,
    arguments: TaskArguments,
    path: &Path,
    proved: &mut Proved,
) -> Result<Encoded, TaskError> {
    let po2_max = arguments.po2_max.get() as usize;
    let request = input(path, BlobKind::KeccakRequest, "keccak", codec::decode_keccak_request)?;
    let assumption = check_keccak(&request, po2_max)?;
    let attempt = || {
        let proof =
            timed(&mut proved.prove_ms, || provers.twice(|| provers.prove_keccak(&request)))
                .map_err(KeccakFailure::Proving)?;
        phases.proof_ended();
        timed(&mut proved.lift_ms, || {
            provers.twice(|| provers.lift_keccak(&request, proof.clone(), &assumption))
        })
        .map_err(KeccakFailure::Lifting)
    };
    // The program that lifts a seal is what verifies it: a seal that it does not take is made once more.
    let receipt = provers.twice_if(KeccakFailure::is_refused_seal, attempt);
    let receipt = receipt.map_err(|failed| match failed {
        KeccakFailure::Proving(error) => TaskError::proving(&error),
        // The permutations are such that there is a proof of them, and a lift of it.
        KeccakFailure::Lifting(error) => TaskError::internal(format!("lifting failed: {error:#}")),
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
fn check_keccak(request: &KeccakRequest, po2_max: usize) -> Result<AssumptionId, TaskError> {
    let KeccakRequest { claim_digest, po2, control_root, input } = request;
    let (least, most) = (*KECCAK_PO2_RANGE.start(), po2_max.min(*KECCAK_PO2_RANGE.end()));
    if *po2 < least || *po2 > most {
        return Err(TaskError::task(format!(
            "the keccak request has po2 {po2}, allowed is {least} to {most} here"
        )));
    }
    let (count, count_max) = (input.len(), max_keccak_inputs(*po2));
    if count == 0 || count > count_max {
        return Err(TaskError::task(format!(
            "the keccak request has {count} permutations, a proof of po2 {po2} has 1 to {count_max}"
        )));
    }
    if *control_root != KECCAK_CONTROL_ROOT {
        return Err(TaskError::task(format!(
            "the keccak request is for programs under {control_root}, there are those under \
             {KECCAK_CONTROL_ROOT}"
        )));
    }
    let actual = keccak_claim(input);
    if actual != *claim_digest {
        return Err(TaskError::task(format!(
            "the keccak request claims {claim_digest}, its permutations are {actual}"
        )));
    }
    Ok(AssumptionId { claim: *claim_digest, control_root: *control_root })
}

fn succinct(
    path: &Path,
    role: &str,
) -> Result<risc0_zkvm::SuccinctReceipt<risc0_zkvm::ReceiptClaim>, TaskError> {
    input(path, BlobKind::SuccinctReceipt, role, codec::decode_succinct_receipt)
}

fn assumption(
    path: &Path,
    role: &str,
) -> Result<risc0_zkvm::SuccinctReceipt<risc0_zkvm::Unknown>, TaskError> {
    input(path, BlobKind::AssumptionReceipt, role, codec::decode_assumption_receipt)
}

/// An input, decoded; `role` tells it from the other one.
fn input<T>(
    path: &Path,
    kind: BlobKind,
    role: &str,
    decode: impl FnOnce(&[u8]) -> Result<T, CodecError>,
) -> Result<T, TaskError> {
    decode(&read_blob(path, kind, kind.content_bytes_max())?)
        .map_err(|error| TaskError::input(format!("the {role} input: {error}")))
}

fn read_blob(path: &Path, kind: BlobKind, content_bytes_max: u64) -> Result<Vec<u8>, TaskError> {
    let unreadable = |error| TaskError::input(format!("cannot read {}: {error}", path.display()));
    let size_bytes = fs::metadata(path).map_err(unreadable)?.len();
    let limit_bytes = codec::blob_bytes_max(content_bytes_max);
    if size_bytes > limit_bytes {
        return Err(TaskError::input(format!(
            "{} has {size_bytes} bytes, a blob with a {kind} has at most {limit_bytes}",
            path.display()
        )));
    }
    fs::read(path).map_err(unreadable)
}

/// Writes a blob whole: a reader never sees half of one.
fn write_blob(path: &Path, blob: &[u8]) -> Result<(), TaskError> {
    write_whole(path, Readers::Owner, Existing::Replace, |file| file.write_all(blob))
        .map_err(|error| TaskError::internal(format!("cannot write {}: {error}", path.display())))
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

    #[test]
    fn a_blob_appears_whole_under_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        assert!(write_blob(&path, b"receipt").is_ok());
        assert_eq!(fs::read(&path).unwrap(), b"receipt");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

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
