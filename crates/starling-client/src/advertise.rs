//! Telling nodes elsewhere of a job, over gossip.

use std::time::Duration;

use starling_cost::CostModel;
use starling_net::Net;
use starling_proto::{JobAd, PeerAddr};
use starling_types::{Po2, TaskKind};
use starling_zkvm::zkvm;

use crate::{JobState, journal::unix_ms, script::plan_shape};

/// How often a job is advertised anew: nodes that come later hear of it, and lost ads cost seconds.
const AD_PERIOD: Duration = Duration::from_secs(5);

/// How long an ad is valid: a few periods, so that a dead client's ads die soon.
const AD_TTL_MS: u64 = 30_000;

/// How long an ad waits after a neighbour came: others that come at the same time need no ads of their own.
const AD_SPACING: Duration = Duration::from_millis(200);

/// Advertises the job until the task is aborted.
pub(crate) async fn advertise(net: Net, state: JobState, bootstrap: Vec<PeerAddr>) {
    let ads = match net.ads(&bootstrap).await {
        Ok(ads) => ads,
        Err(error) => {
            tracing::warn!(%error, "the job can't be advertised");
            return;
        }
    };
    let leaf_kind = plan_shape(&state.request).leaf_kind();
    // A node that can only join is of use to a job with large segments.
    let po2 = state.request.segment_po2();
    let leaf = CostModel::ADMISSION.memory(leaf_kind, po2);
    let memory = match leaf_kind {
        TaskKind::Prove => leaf,
        _ => leaf.min(CostModel::ADMISSION.memory(TaskKind::Join, None)),
    };
    let mut period = tokio::time::interval(AD_PERIOD);
    loop {
        // A neighbour that has just come heard nothing of what was sent before.
        tokio::select! {
            _ = period.tick() => {}
            () = ads.neighbour_came() => tokio::time::sleep(AD_SPACING).await,
        }
        let ad = JobAd {
            job: state.id,
            client: net.addr(),
            zkvm: zkvm(),
            kinds: TaskKind::ALL.into_iter().collect(),
            po2_max: po2.unwrap_or(Po2::SMALLEST),
            memory,
            issued_at_unix_ms: unix_ms(),
            ttl_ms: AD_TTL_MS,
        };
        if let Err(error) = ads.publish(&ad).await {
            tracing::debug!(%error, "an ad was not sent");
        }
    }
}
