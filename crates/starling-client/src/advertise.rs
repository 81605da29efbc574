//! Telling nodes elsewhere of the jobs that run here, over gossip.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use starling_net::Net;
use starling_proto::{JobAd, PeerAddr};
use starling_types::JobId;
use tokio::sync::Notify;

use crate::{journal::unix_ms, system::Advert};

/// How often a job is advertised anew: nodes that come later hear of it, and lost ads cost seconds.
const AD_PERIOD: Duration = Duration::from_secs(5);

/// How long an ad is valid: a few periods, so that a dead client's ads die soon.
const AD_TTL_MS: u64 = 30_000;

/// How long an ad waits after a neighbour came: others that come at the same time need no ads of their own.
const AD_SPACING: Duration = Duration::from_millis(200);

/// Jobs that are advertised in one period. Nodes dial the client, not the job: any ad brings them.
const ADS_MAX: usize = 16;

/// The jobs that run here.
#[derive(Clone, Default)]
pub(crate) struct Board {
    jobs: Arc<Mutex<BTreeMap<JobId, Advert>>>,
    news: Arc<Notify>,
}

/// A job on the board, as long as this lives.
pub(crate) struct Posted {
    board: Board,
    job: JobId,
}

impl Board {
    /// Puts a job up.
    pub(crate) fn post(&self, job: JobId, advert: Advert) -> Posted {
        self.jobs().insert(job, advert);
        self.news.notify_one();
        Posted { board: self.clone(), job }
    }

    fn jobs(&self) -> MutexGuard<'_, BTreeMap<JobId, Advert>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The ads of this moment.
    fn ads(&self, net: &Net) -> Vec<JobAd> {
        let jobs = self.jobs();
        jobs.iter().take(ADS_MAX).map(|(job, advert)| ad(net, *job, advert)).collect()
    }
}

impl Drop for Posted {
    fn drop(&mut self) {
        self.board.jobs().remove(&self.job);
    }
}

/// Advertises what is on the board until it is dropped.
pub(crate) async fn advertise(net: Net, board: Board, bootstrap: Vec<PeerAddr>) {
    let ads = match net.ads(&bootstrap).await {
        Ok(ads) => ads,
        Err(error) => {
            tracing::warn!(%error, "jobs can't be advertised");
            return;
        }
    };
    let mut period = tokio::time::interval(AD_PERIOD);
    loop {
        // A neighbour that has just come heard nothing of what was sent before.
        tokio::select! {
            _ = period.tick() => {}
            () = board.news.notified() => {}
            () = ads.neighbour_came() => tokio::time::sleep(AD_SPACING).await,
        }
        for ad in board.ads(&net) {
            if let Err(error) = ads.publish(&ad).await {
                tracing::debug!(%error, "an ad was not sent");
            }
        }
    }
}

fn ad(net: &Net, job: JobId, advert: &Advert) -> JobAd {
    JobAd {
        job,
        client: net.addr(),
        systems: vec![advert.wanted.clone()],
        memory: advert.memory,
        issued_at_unix_ms: unix_ms(),
        ttl_ms: AD_TTL_MS,
    }
}
