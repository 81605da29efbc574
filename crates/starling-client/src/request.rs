//! What a user asks for, and the job id that follows from it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use starling_swarm::reference_of;
use starling_types::{
    BlobRef, HostRunId, JobId, Po2, ReceiptKind, Reference, SystemName, WorkLogId,
};
use starling_zkvm::AssumptionId;

/// Everything that decides what a job's receipt claims, and how its work is cut.
///
/// Guests, inputs and receipts are named by their blobs in the client's store, so that a job can be
/// resumed when the files it came from have changed or gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobRequest {
    /// The proof system and version: segments and receipts of one release do not fit another.
    pub zkvm: SystemName,
    /// What is proved.
    pub source: Subject,
    /// What to deliver.
    pub receipt_kind: ReceiptKind,
}

/// Where a job's tasks come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "from", rename_all = "snake_case")]
pub enum Subject {
    /// A guest that the client runs.
    Guest(GuestRun),
    /// A guest that a host program runs, which hands over what comes of it: the client can't run it again.
    Host(HostRun),
    /// A composite receipt, to be made succinct.
    Receipt {
        /// The receipt file's bytes.
        receipt: BlobRef,
    },
}

/// A guest and all that its host gives it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuestRun {
    /// The guest: an R0BF program binary.
    pub guest: BlobRef,
    /// The bytes of the guest's standard input.
    pub input: BlobRef,
    /// The guest's arguments and environment.
    pub arguments: ArgumentsIn,
    /// Receipts of what the guest may assume. In the log they stand in events of their own.
    #[serde(skip)]
    pub assumptions: Vec<Given>,
    /// Segments have at most 2^po2 cycles.
    pub segment_po2: Po2,
    /// Keccak proofs have 2^po2 cycles.
    pub keccak_po2: Po2,
    /// User cycles after which the execution is given up; `None` lets the guest run as long as it does.
    pub cycle_limit: Option<u64>,
    /// Whether an execution that ended with another exit code than zero is proved too.
    #[serde(default)]
    pub prove_guest_errors: bool,
    /// The work log that the job's work is counted for.
    #[serde(default)]
    pub work_log: Option<WorkLogId>,
}

/// What a guest is told beside its input.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arguments {
    /// The guest's arguments.
    pub args: Vec<String>,
    /// The environment variables that the guest may ask for.
    pub env: BTreeMap<String, String>,
}

/// Where the [`Arguments`] of a guest are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ArgumentsIn {
    /// Here, in the log.
    Log(Arguments),
    /// In a blob, as JSON: they have more than [`ARGUMENTS_SIZE_BYTES_MAX`].
    Blob(BlobRef),
}

/// The most bytes of arguments and environment, as JSON, that stand in an event of the log. A command line seldom has a
/// hundredth of it, and an event takes sixteen times as much.
pub const ARGUMENTS_SIZE_BYTES_MAX: usize = 64 << 10;

impl Arguments {
    /// As a blob holds them.
    pub(crate) fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("arguments have string keys only")
    }

    /// What [`Self::encode`] made; `None` of anything else.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }
}

/// A guest that is run elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostRun {
    /// The guest: an R0BF program binary.
    pub guest: BlobRef,
    /// Which run of it.
    pub id: HostRunId,
    /// Segments are expected to have at most 2^po2 cycles.
    pub segment_po2: Po2,
    /// Whether an execution that ended with another exit code than zero is proved too.
    pub prove_guest_errors: bool,
    /// Whether the job's work is counted.
    pub counts_work: bool,
}

/// A receipt that proves an assumption.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Given {
    /// What it proves.
    pub id: AssumptionId,
    /// The encoded receipt.
    pub blob: BlobRef,
}

/// Separates job ids from every other hash of the project.
const JOB_ID_DOMAIN: &str = "starling job v3";

impl JobRequest {
    /// The job's id: the same request has the same id, so asking again finds the job again.
    pub fn job_id(&self) -> JobId {
        // Field order is that of the types, and maps are sorted: the same request is the same text.
        let request = serde_json::to_string(self).expect("a request has string keys only");
        let given = serde_json::to_string(self.given()).expect("a list has no keys");
        let text = format!("{JOB_ID_DOMAIN}\n{request}\n{given}");
        let Reference(digest) = reference_of(text.as_bytes());
        let mut id = [0; JobId::SIZE_BYTES];
        id.copy_from_slice(&digest[..JobId::SIZE_BYTES]);
        JobId(id)
    }

    /// The receipts that were given of what the guest may assume.
    pub fn given(&self) -> &[Given] {
        match &self.source {
            Subject::Guest(run) => &run.assumptions,
            Subject::Host(_) | Subject::Receipt { .. } => &[],
        }
    }

    /// The size of the segments, where there are some to prove.
    pub fn segment_po2(&self) -> Option<Po2> {
        match &self.source {
            Subject::Guest(run) => Some(run.segment_po2),
            Subject::Host(run) => Some(run.segment_po2),
            Subject::Receipt { .. } => None,
        }
    }

    /// Whether the job's work is counted.
    pub fn counts_work(&self) -> bool {
        match &self.source {
            Subject::Guest(run) => run.work_log.is_some(),
            Subject::Host(run) => run.counts_work,
            Subject::Receipt { .. } => false,
        }
    }

    /// Whether an execution that ended with another exit code than zero is proved too.
    pub fn proves_guest_errors(&self) -> bool {
        match &self.source {
            Subject::Guest(run) => run.prove_guest_errors,
            Subject::Host(run) => run.prove_guest_errors,
            // It has been proved already.
            Subject::Receipt { .. } => true,
        }
    }

    /// The blobs that the request names.
    pub fn blobs(&self) -> Vec<BlobRef> {
        match &self.source {
            Subject::Guest(run) => {
                let arguments = match &run.arguments {
                    ArgumentsIn::Log(_) => None,
                    ArgumentsIn::Blob(blob) => Some(*blob),
                };
                let given = run.assumptions.iter().map(|given| given.blob);
                [run.guest, run.input].into_iter().chain(arguments).chain(given).collect()
            }
            Subject::Host(run) => vec![run.guest],
            Subject::Receipt { receipt } => vec![*receipt],
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use starling_zkvm::Digest;

    use super::*;

    fn blob(byte: u8) -> BlobRef {
        BlobRef { reference: Reference([byte; 32]), size_bytes: 10 }
    }

    /// The run of a guest `1` on an input `2`.
    pub(crate) fn run() -> GuestRun {
        GuestRun {
            guest: blob(1),
            input: blob(2),
            arguments: ArgumentsIn::Log(Arguments::default()),
            assumptions: vec![],
            segment_po2: Po2::try_from(18).expect("in range"),
            keccak_po2: Po2::try_from(15).expect("in range"),
            cycle_limit: None,
            prove_guest_errors: false,
            work_log: None,
        }
    }

    /// What asks for a succinct receipt of a run.
    pub(crate) fn request(run: GuestRun) -> JobRequest {
        JobRequest {
            zkvm: "risc0-zkvm 0.0.0".into(),
            source: Subject::Guest(run),
            receipt_kind: ReceiptKind::Succinct,
        }
    }

    #[test]
    fn the_same_request_is_the_same_job() {
        assert_eq!(request(run()).job_id(), request(run()).job_id());
    }

    #[test]
    fn whatever_changes_the_receipt_changes_the_job() {
        let id = request(run()).job_id();
        let other = |change: fn(&mut GuestRun)| {
            let mut run = run();
            change(&mut run);
            request(run).job_id()
        };
        assert_ne!(id, other(|run| run.guest = blob(9)));
        assert_ne!(id, other(|run| run.input = blob(9)));
        let told = |arguments| ArgumentsIn::Log(arguments);
        let args = |args| told(Arguments { args, ..Arguments::default() });
        let env = |env| told(Arguments { env, ..Arguments::default() });
        let arguments = [
            args(vec!["--verbose".into()]),
            env([("A".into(), "1".into())].into()),
            ArgumentsIn::Blob(blob(8)),
        ];
        for arguments in arguments {
            assert_ne!(id, request(GuestRun { arguments, ..run() }).job_id());
        }
        let given = |byte| Given {
            id: AssumptionId { claim: Digest::from([byte; 8]), control_root: Digest::ZERO },
            blob: blob(7),
        };
        let assuming = |assumptions| request(GuestRun { assumptions, ..run() }).job_id();
        let [one, other_one, both] =
            [vec![given(1)], vec![given(2)], vec![given(1), given(2)]].map(assuming);
        assert!(one != id && one != other_one && one != both);
        assert_ne!(id, other(|run| run.segment_po2 = Po2::try_from(17).expect("in range")));
        assert_ne!(id, other(|run| run.keccak_po2 = Po2::try_from(14).expect("in range")));
        assert_ne!(id, other(|run| run.cycle_limit = Some(5)));
        assert_ne!(id, other(|run| run.prove_guest_errors = true));
        assert_ne!(id, other(|run| run.work_log = Some(WorkLogId([1; 20]))));
        let of_receipt = |kind| JobRequest {
            zkvm: "risc0-zkvm 0.0.0".into(),
            source: Subject::Receipt { receipt: blob(1) },
            receipt_kind: kind,
        };
        assert_ne!(
            of_receipt(ReceiptKind::Succinct).job_id(),
            of_receipt(ReceiptKind::Groth16).job_id()
        );
        assert_ne!(id, of_receipt(ReceiptKind::Succinct).job_id());
    }
}
