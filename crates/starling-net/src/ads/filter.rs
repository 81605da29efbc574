//! Which ads are worth passing on: news, at a bounded rate, from a bounded number of clients. Pure.

use std::{collections::BTreeMap, time::Duration};

use starling_proto::{
    JobAd,
    limits::{AD_TTL_MS_MAX, CLOCK_SKEW_MS_MAX},
};
use starling_types::{JobId, NodeId};

use crate::limits::{AD_INTERVAL_MIN, AD_JOB_COUNT_MAX, AD_JOB_COUNT_PER_SIGNER_MAX};

/// After so long every ad of a job has ended, whatever the clocks say.
const FORGET_AFTER: Duration = Duration::from_millis(AD_TTL_MS_MAX + 2 * CLOCK_SKEW_MS_MAX);

/// Remembers what was passed on.
#[derive(Debug)]
pub(super) struct AdFilter {
    me: NodeId,
    /// By client, so that the jobs of one are together.
    seen: BTreeMap<(NodeId, JobId), Seen>,
}

#[derive(Debug, Clone, Copy)]
struct Seen {
    issued_at_unix_ms: u64,
    /// On this process's own clock, which nobody else sets.
    passed_at: Duration,
}

impl AdFilter {
    /// A filter that refuses what `me` has signed.
    pub fn new(me: NodeId) -> Self {
        Self { me, seen: BTreeMap::new() }
    }

    /// Whether the verified `ad`, heard at `now`, is to be passed on.
    pub fn admits(&mut self, ad: &JobAd, now: Duration) -> bool {
        let client = ad.client.node_id;
        let key = (client, ad.job);
        if client == self.me {
            return false;
        }
        match self.seen.get(&key).copied() {
            Some(seen) => {
                let is_news = ad.issued_at_unix_ms > seen.issued_at_unix_ms;
                if !is_news || now.saturating_sub(seen.passed_at) < AD_INTERVAL_MIN {
                    return false;
                }
            }
            None if !self.has_room_for(client, now) => return false,
            None => {}
        }
        let seen = Seen { issued_at_unix_ms: ad.issued_at_unix_ms, passed_at: now };
        self.seen.insert(key, seen);
        true
    }

    fn has_room_for(&mut self, client: NodeId, now: Duration) -> bool {
        self.seen.retain(|_, seen| now.saturating_sub(seen.passed_at) < FORGET_AFTER);
        let of_client = (client, JobId([0; 16]))..=(client, JobId([0xff; 16]));
        self.seen.len() < AD_JOB_COUNT_MAX
            && self.seen.range(of_client).count() < AD_JOB_COUNT_PER_SIGNER_MAX
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use starling_proto::PeerAddr;
    use starling_types::MemoryBytes;

    use super::*;

    const ME: NodeId = NodeId([0; 32]);

    fn ad(client: u8, job: u8, issued_at_unix_ms: u64) -> JobAd {
        JobAd {
            job: JobId([job; 16]),
            client: PeerAddr::new(NodeId([client; 32])),
            systems: vec![],
            memory: MemoryBytes(0),
            issued_at_unix_ms,
            ttl_ms: 1000,
        }
    }

    #[test]
    fn an_ad_passes_once_and_its_renewal_not_before_the_interval() {
        let mut filter = AdFilter::new(ME);
        let start = Duration::from_secs(100);
        assert!(filter.admits(&ad(1, 1, 10), start));
        assert!(!filter.admits(&ad(1, 1, 11), start), "too soon");
        let later = start + AD_INTERVAL_MIN;
        assert!(!filter.admits(&ad(1, 1, 10), later), "the same again");
        assert!(!filter.admits(&ad(1, 1, 9), later), "an older one, late");
        assert!(filter.admits(&ad(1, 1, 11), later));
        assert!(filter.admits(&ad(1, 2, 10), later), "another job of the client");
        assert!(filter.admits(&ad(2, 1, 10), later), "another client");
    }

    #[test]
    fn a_process_does_not_hear_itself() {
        assert!(!AdFilter::new(ME).admits(&ad(0, 1, 10), Duration::ZERO));
    }

    #[test]
    fn a_client_with_too_many_jobs_is_heard_for_no_more_until_some_are_forgotten() {
        let mut filter = AdFilter::new(ME);
        let jobs = u8::try_from(AD_JOB_COUNT_PER_SIGNER_MAX).unwrap();
        for job in 0..jobs {
            assert!(filter.admits(&ad(1, job, 10), Duration::ZERO));
        }
        assert!(!filter.admits(&ad(1, jobs, 10), Duration::ZERO));
        assert!(filter.admits(&ad(2, jobs, 10), Duration::ZERO), "others are not affected");
        assert!(filter.admits(&ad(1, jobs, 10), FORGET_AFTER));
        assert_eq!(filter.seen.len(), 1);
    }

    #[test]
    fn a_crowd_of_clients_fills_no_more_than_the_limit() {
        let mut filter = AdFilter::new(ME);
        let admitted = (1..=AD_JOB_COUNT_MAX + 10).filter(|index| {
            let mut ad = ad(1, 1, 10);
            ad.client.node_id.0[..8].copy_from_slice(&index.to_be_bytes());
            filter.admits(&ad, Duration::ZERO)
        });
        assert_eq!(admitted.count(), AD_JOB_COUNT_MAX);
    }
}
