//! What the client's blobs take on the disk, beside what its plan needs by what the log says.

use std::{collections::BTreeMap, error::Error};

use starling_client::shell::{Client, JobHandle, System as _};
use starling_fake::{Segments, SegmentsEvent};
use starling_job::{JobEvent, JobState, Script as _};
use starling_plan::{Certainty, Plan, ZkvmPlan};
use starling_store::Usage;

/// What was seen of the disk, and the job as its log tells it.
pub(crate) struct Disk {
    client: Client<Segments>,
    handle: JobHandle<Segments>,
    seen: u64,
    state: Option<(JobState<Segments>, ZkvmPlan)>,
    /// Of each figure the most that was seen, not all of it at the same time.
    pub(crate) used_max: Usage,
    pub(crate) total_max: u64,
    pub(crate) needed_max: u64,
}

impl Disk {
    pub(crate) fn new(client: &Client<Segments>, handle: JobHandle<Segments>) -> Self {
        Self {
            client: client.clone(),
            handle,
            seen: 0,
            state: None,
            used_max: Usage::default(),
            total_max: 0,
            needed_max: 0,
        }
    }

    /// Looks at both at this moment. That the log is read after the disk makes little difference: peaks are compared.
    pub(crate) async fn look(&mut self) -> Result<(), Box<dyn Error>> {
        let used = self.client.blob_usage();
        for (seq, event) in self.handle.events(self.seen).await? {
            self.seen = seq;
            self.follow(event)?;
        }
        let Some((state, plan)) = &self.state else { return Ok(()) };
        let live = plan.live_blobs().chain(state.kept_blobs());
        let live: BTreeMap<_, _> = live.map(|blob| (blob.reference, blob.size_bytes)).collect();
        self.needed_max = self.needed_max.max(live.values().sum());
        self.total_max = self.total_max.max(used.total_bytes());
        let most = &mut self.used_max;
        most.rooted_bytes = most.rooted_bytes.max(used.rooted_bytes);
        most.pinned_bytes = most.pinned_bytes.max(used.pinned_bytes);
        most.garbage_bytes = most.garbage_bytes.max(used.garbage_bytes);
        most.changing_bytes = most.changing_bytes.max(used.changing_bytes);
        Ok(())
    }

    fn follow(&mut self, event: JobEvent<SegmentsEvent>) -> Result<(), Box<dyn Error>> {
        let Some((state, plan)) = &mut self.state else {
            let JobEvent::Own(created) = event else { return Err("a log without a job".into()) };
            let script = Segments::created(self.handle.id(), created, 0).ok_or("no job")?;
            let state = JobState::new(script);
            let plan = state.plan();
            self.state = Some((state, plan));
            return Ok(());
        };
        state.apply(&event)?;
        if let JobEvent::ResultAccepted { task, blob, .. } = event {
            Plan::accept(plan, task, blob, Certainty::Final)?;
        }
        while plan.outcome().is_none()
            && let Some(input) = state.next_input(plan)
        {
            plan.input(input)?;
        }
        Ok(())
    }
}
