//! Which ads are worth passing on: news, each client's at a bounded rate. Pure.
//!
//! What was passed on is remembered for so many jobs. When a crowd of keys fills that memory, its own ads are forgotten first; what is
//! forgotten counts as news when it comes again. So nobody is kept from being heard: keys are free, and refusing newcomers would be a
//! way to silence everybody else.

use std::{cmp::Reverse, collections::BTreeMap, time::Duration};

use starling_proto::{
    JobAd, Network,
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
    /// That of the client, by its own word.
    network: Option<Network>,
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
            None if !self.makes_room_for(client, now) => return false,
            None => {}
        }
        let network = ad.client.network();
        let seen = Seen { issued_at_unix_ms: ad.issued_at_unix_ms, passed_at: now, network };
        self.seen.insert(key, seen);
        true
    }

    /// Forgets what has to go for one more job of `client`; says whether that may be heard now.
    fn makes_room_for(&mut self, client: NodeId, now: Duration) -> bool {
        self.seen.retain(|_, seen| now.saturating_sub(seen.passed_at) < FORGET_AFTER);
        let of_client = || (client, JobId([0; 16]))..=(client, JobId([0xff; 16]));
        if self.seen.range(of_client()).count() >= AD_JOB_COUNT_PER_SIGNER_MAX {
            let oldest = self.seen.range(of_client()).min_by_key(|(_, seen)| seen.passed_at);
            let is_old = |seen: &Seen| now.saturating_sub(seen.passed_at) >= AD_INTERVAL_MIN;
            let oldest = oldest.filter(|(_, seen)| is_old(seen)).map(|(key, _)| *key);
            return oldest.is_some_and(|key| self.seen.remove(&key).is_some());
        }
        if self.seen.len() >= AD_JOB_COUNT_MAX {
            let mut crowds: BTreeMap<Option<Network>, usize> = BTreeMap::new();
            for seen in self.seen.values() {
                *crowds.entry(seen.network).or_default() += 1;
            }
            let oldest_of_most = self
                .seen
                .iter()
                .max_by_key(|(_, seen)| (crowds.get(&seen.network), Reverse(seen.passed_at)));
            let key = oldest_of_most.map(|(key, _)| *key);
            key.map(|key| self.seen.remove(&key));
        }
        true
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

    /// The first ad of the client of this number, who says that it is at `ip`.
    fn ad_from(number: usize, ip: &str) -> JobAd {
        let mut ad = ad(1, 1, 10);
        ad.client.node_id.0[..8].copy_from_slice(&number.to_be_bytes());
        ad.client.direct = vec![format!("{ip}:7000").parse().unwrap()];
        ad
    }

    fn remembers(filter: &AdFilter, ad: &JobAd) -> bool {
        filter.seen.contains_key(&(ad.client.node_id, ad.job))
    }

    #[test]
    fn of_a_client_with_many_jobs_the_newest_are_remembered_and_it_is_heard_no_more_often() {
        let mut filter = AdFilter::new(ME);
        let jobs = u8::try_from(AD_JOB_COUNT_PER_SIGNER_MAX).unwrap();
        for job in 0..jobs {
            let now = Duration::from_millis(job.into());
            assert!(filter.admits(&ad(1, job, 10), now));
        }
        assert!(!filter.admits(&ad(1, jobs, 10), Duration::from_millis(jobs.into())), "too soon");
        assert!(filter.admits(&ad(2, jobs, 10), Duration::ZERO), "others are not affected");
        assert!(filter.admits(&ad(1, jobs, 10), AD_INTERVAL_MIN));
        assert!(!remembers(&filter, &ad(1, 0, 10)) && remembers(&filter, &ad(1, 1, 10)));
        // However many jobs it makes up: as many ads in a second as one with all its jobs has.
        let passed = (0..10_000_u64).filter(|nth| {
            let mut ad = ad(1, 0, 10);
            ad.job.0[8..].copy_from_slice(&(1_000_000 + nth).to_be_bytes());
            filter.admits(&ad, 2 * AD_INTERVAL_MIN + Duration::from_millis(nth / 10))
        });
        assert!(passed.count() <= 2 * AD_JOB_COUNT_PER_SIGNER_MAX);
        assert!(filter.admits(&ad(1, jobs, 11), FORGET_AFTER * 2));
        assert_eq!(filter.seen.len(), 1);
    }

    #[test]
    fn a_crowd_of_clients_fills_no_more_than_the_limit_and_keeps_nobody_from_being_heard() {
        // In one network, or each in one of its own.
        for spread in [false, true] {
            let mut filter = AdFilter::new(ME);
            let honest = ad_from(1, "203.0.113.5");
            assert!(filter.admits(&honest, Duration::ZERO));
            for number in 2..3 * AD_JOB_COUNT_MAX {
                let (high, low) = if spread { (number / 256, number % 256) } else { (0, 0) };
                let now = Duration::from_millis(number as u64);
                filter.admits(&ad_from(number, &format!("10.{high}.{low}.1")), now);
                assert!(filter.seen.len() <= AD_JOB_COUNT_MAX);
            }
            // One network forgets its own.
            assert!(spread || remembers(&filter, &honest));
            let now = Duration::from_secs(5);
            assert!(filter.admits(&ad_from(0, "198.51.100.5"), now), "a newcomer");
            let again = JobAd { issued_at_unix_ms: 11, ..honest.clone() };
            assert!(filter.admits(&again, now), "and who was heard before");
        }
    }
}
