//! What the unit tests share: forged receipts, and damaged bytes.

#![allow(clippy::unwrap_used)]

mod damage;

use risc0_binfmt::Digestible as _;
use risc0_zkp::core::hash::sha::Impl as Sha256;
use risc0_zkvm::{
    DeserializeOwned, Digest, ExitCode, MaybePruned, ReceiptClaim, SegmentReceipt,
    SegmentReceiptVerifierParameters, SuccinctReceipt, WorkClaim,
};
use serde::Serialize;
use starling_types::{Po2, WorkLogId};

pub(crate) use self::damage::damaged;
use crate::{PovwJob, SegmentClaim, Work, WorkReceipt};

/// A claim like that of a segment in mid-execution.
pub(crate) fn split_claim() -> SegmentClaim {
    SegmentClaim {
        pre: Digest::from([1; 8]),
        post: Digest::from([2; 8]),
        exit_code: ExitCode::SystemSplit,
        input: Digest::ZERO,
        output: Digest::ZERO,
    }
}

/// A segment receipt that says what it should and proves nothing.
pub(crate) fn forged_segment_receipt(
    index: u32,
    claim: ReceiptClaim,
    seal: Vec<u32>,
) -> SegmentReceipt {
    let parameters = SegmentReceiptVerifierParameters::default().digest::<Sha256>();
    let fields = (seal, index, "poseidon2", parameters, claim);
    bincode::deserialize(&bincode::serialize(&fields).unwrap()).unwrap()
}

/// The work of a segment in mid-execution.
pub(crate) fn split_work() -> Work {
    let job = PovwJob { log_id: WorkLogId([7; 20]), job: 42 };
    Work::of_segment(job, 3, Po2::try_from(18).unwrap())
}

/// A work receipt that says what it should and proves nothing.
pub(crate) fn forged_work_receipt(
    claim: &SegmentClaim,
    work: &Work,
    seal: Vec<u32>,
) -> WorkReceipt {
    let claim = WorkClaim { claim: claim.to_receipt_claim().into(), work: work.to_stock().into() };
    forged_succinct_receipt(MaybePruned::Value(claim), seal)
}

/// A succinct receipt that says what it should and proves nothing.
pub(crate) fn forged_succinct_receipt<Claim: Serialize + DeserializeOwned>(
    claim: MaybePruned<Claim>,
    seal: Vec<u32>,
) -> SuccinctReceipt<Claim> {
    let parameters = risc0_zkvm::SuccinctReceiptVerifierParameters::default().digest::<Sha256>();
    let proof = (0_u32, Vec::<Digest>::new());
    let fields = (seal, Digest::ZERO, claim, "poseidon2", parameters, proof);
    bincode::deserialize(&bincode::serialize(&fields).unwrap()).unwrap()
}
