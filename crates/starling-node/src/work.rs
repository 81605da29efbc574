//! One lease: fetch its inputs, prove, keep the result where the client can fetch it.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use starling_cost::{CostModel, Costs};
use starling_net::{FetchError, JobHandle, Net, Source};
use starling_proto::{Grant, PeerAddr};
use starling_store::{BlobStore, StoreError};
use starling_types::{BlobRef, FailureClass, MemoryBytes, Po2, Profile, TaskKind};
use starling_zkvm::TaskWork;

use crate::{
    holdings::{Holding, Holdings},
    slots::{Slot, Slots},
    speed::Speed,
};

/// A slot is given to one lease for no longer than this, whatever the client says.
const DEADLINE_MAX: Duration = Duration::from_secs(24 * 3600);

/// What the work on a lease needs of the node.
pub(crate) struct Workshop {
    pub(crate) net: Net,
    pub(crate) blobs: BlobStore,
    pub(crate) holdings: Holdings,
    pub(crate) speed: Speed,
    pub(crate) costs: Costs,
    /// A slot's share of the memory: what fits into it is proved with everything kept.
    pub(crate) memory_each: MemoryBytes,
    /// Where results lie between the prover process and the blob store.
    pub(crate) scratch: PathBuf,
}

/// A lease that a slot was taken for.
pub(crate) struct Lease {
    pub(crate) grant: Grant,
    pub(crate) profile: Profile,
    pub(crate) client: JobHandle,
    pub(crate) client_addr: PeerAddr,
    /// How far the task is, in thousandths: to be kept up to date.
    pub(crate) done_permille: Arc<AtomicU32>,
}

/// A result to report.
pub(crate) struct Proved {
    pub(crate) result: BlobRef,
    pub(crate) elapsed: Duration,
    pub(crate) peak_memory: MemoryBytes,
}

/// A failure to report.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) class: FailureClass,
    pub(crate) message: String,
}

impl Failed {
    fn node(error: impl std::fmt::Display) -> Self {
        Self { class: FailureClass::Node, message: error.to_string() }
    }

    fn store(error: &StoreError) -> Self {
        let is_full = matches!(error, StoreError::NoSpace(_));
        let class = if is_full { FailureClass::Disk } else { FailureClass::Node };
        Self { class, message: error.to_string() }
    }

    fn input(error: impl std::fmt::Display) -> Self {
        Self { class: FailureClass::Input, message: error.to_string() }
    }

    /// The work on a lease died: a defect of ours, and no fault of the task.
    pub(crate) fn panicked(error: &tokio::task::JoinError) -> Self {
        Self::node(error)
    }
}

impl Workshop {
    /// A slot for a task, with the memory that it takes, and how it is to be proved: with everything kept if that fits a
    /// slot's share and is free, with the least memory otherwise.
    pub(crate) fn slot_for(
        &self,
        slots: &Slots,
        kind: TaskKind,
        po2: Po2,
    ) -> Option<(Slot, Profile)> {
        let preferred = self.costs.profile_for(self.memory_each, kind, Some(po2));
        [preferred, Profile::Frugal].into_iter().find_map(|profile| {
            let memory = self.costs.in_profile(profile).memory(kind, Some(po2));
            Some((slots.try_take(memory)?, profile))
        })
    }

    /// Works on a lease. Dropping the future stops the work.
    pub(crate) async fn prove(
        self: Arc<Self>,
        mut slot: Slot,
        lease: Lease,
        holding: Arc<Holding>,
    ) -> Result<Proved, Failed> {
        let Lease { grant, profile, client, client_addr, done_permille } = lease;
        // Inputs go with the lease: others fetch results from here, never inputs.
        let inputs = self.holdings.session();
        let mut input_paths = Vec::with_capacity(grant.inputs.len());
        for input in &grant.inputs {
            // The other holders first: the client has every blob, and every node asks it.
            let mut sources: Vec<Source> = input
                .holders
                .iter()
                .filter(|holder| holder.node_id != self.net.id())
                .map(|holder| Source::peer(holder.clone()))
                .collect();
            sources.push(Source::via(client_addr.clone(), client.clone()));
            inputs.hold(input.blob.reference);
            self.net.fetch(input.blob, &sources).await.map_err(|error| match error {
                FetchError::Store(error) => Failed::store(&error),
                error => Failed::input(error),
            })?;
            let path = self.blobs.path_of(input.blob.reference).ok_or_else(|| {
                Failed::node(format!("input {:#} vanished from the store", input.blob.reference))
            })?;
            input_paths.push(path);
        }

        let output = Scratch(self.scratch.join(format!("{}-{}", client_addr.node_id, grant.epoch)));
        let work = TaskWork {
            task: grant.task,
            inputs: input_paths,
            output: output.0.clone(),
            po2_max: grant.po2,
            work_claims: grant.work_claims,
            profile,
        };
        let started = Instant::now();
        let report = slot
            .prover()
            .run_watched(
                &work,
                Duration::from_millis(grant.deadline.0).min(DEADLINE_MAX),
                |permille| done_permille.store(permille, Ordering::Relaxed),
            )
            .await
            .map_err(|failure| Failed { class: failure.class(), message: failure.to_string() })?;
        let elapsed = started.elapsed();
        // In what clients count, whatever prover and profile it was done with.
        let work = CostModel::ADMISSION.work_ms(grant.task.kind(), Some(grant.po2));
        self.speed.observe(work, elapsed);
        if report.reproved > 0 {
            tracing::warn!(task = %grant.task, times = report.reproved, "a proof did not verify and was made once more");
        }

        let blobs = self.blobs.clone();
        let path = output.0.clone();
        let result = tokio::task::spawn_blocking(move || blobs.put_file(&path))
            .await
            .map_err(Failed::node)?
            .map_err(|error| Failed::store(&error))?;
        holding.hold(result.reference);
        drop(output);
        Ok(Proved { result, elapsed, peak_memory: report.peak_memory.unwrap_or_default() })
    }
}

/// A file that is removed when it is no longer needed, however the work ends.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        // Nothing is there when the prover failed before it wrote.
        let _ = std::fs::remove_file(&self.0);
    }
}
