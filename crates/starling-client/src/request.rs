//! What a user asks for, and the job id that follows from it.

use serde::{Deserialize, Serialize};
use starling_store::reference_of;
use starling_types::{BlobRef, JobId, Po2, ReceiptKind, Reference};

/// Everything that decides what a job's receipt claims, and how its work is cut.
///
/// The guest and its input are named by their blobs in the client's store, so that a job can be
/// resumed when the files it came from have changed or gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobRequest {
    /// The proof system and version: segments and receipts of one release are none of another.
    pub zkvm: String,
    /// The guest: an R0BF program binary.
    pub guest: BlobRef,
    /// The bytes of the guest's standard input.
    pub input: BlobRef,
    /// Segments have at most 2^po2 cycles.
    pub segment_po2: Po2,
    /// What to deliver.
    pub receipt_kind: ReceiptKind,
    /// User cycles after which the execution is given up; `None` lets the guest run as long as it does.
    pub cycle_limit: Option<u64>,
}

/// Separates job ids from every other hash of the project.
const JOB_ID_DOMAIN: &str = "starling job v1";

impl JobRequest {
    /// The job's id: the same request has the same id, so asking again finds the job again.
    pub fn job_id(&self) -> JobId {
        let text = format!(
            "{JOB_ID_DOMAIN}\nzkvm {}\nguest {}\ninput {}\npo2 {}\nkind {}\ncycles {}\n",
            self.zkvm,
            self.guest.reference,
            self.input.reference,
            self.segment_po2,
            self.receipt_kind,
            self.cycle_limit.map_or("any".to_owned(), |limit| limit.to_string()),
        );
        let Reference(digest) = reference_of(text.as_bytes());
        let mut id = [0; JobId::SIZE_BYTES];
        id.copy_from_slice(&digest[..JobId::SIZE_BYTES]);
        JobId(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> JobRequest {
        let blob = |byte| BlobRef { reference: Reference([byte; 32]), size_bytes: 10 };
        JobRequest {
            zkvm: "risc0-zkvm 0.0.0".into(),
            guest: blob(1),
            input: blob(2),
            segment_po2: Po2::try_from(18).expect("in range"),
            receipt_kind: ReceiptKind::Succinct,
            cycle_limit: None,
        }
    }

    #[test]
    fn the_same_request_is_the_same_job() {
        assert_eq!(request().job_id(), request().job_id());
    }

    #[test]
    fn whatever_changes_the_receipt_changes_the_job() {
        let id = request().job_id();
        let other = |change: fn(&mut JobRequest)| {
            let mut request = request();
            change(&mut request);
            request.job_id()
        };
        assert_ne!(id, other(|r| r.zkvm = "risc0-zkvm 0.0.1".into()));
        assert_ne!(id, other(|r| r.guest.reference = Reference([9; 32])));
        assert_ne!(id, other(|r| r.input.reference = Reference([9; 32])));
        assert_ne!(id, other(|r| r.segment_po2 = Po2::try_from(17).expect("in range")));
        assert_ne!(id, other(|r| r.receipt_kind = ReceiptKind::Composite));
        assert_ne!(id, other(|r| r.cycle_limit = Some(5)));
    }
}
