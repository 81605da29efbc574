//! How much a peer may say: an allowance of messages that grows with time. A peer that says more is not read for a while, so it
//! waits on its own side; nothing that it says is lost.

use std::time::Duration;

use crate::limits::{MESSAGE_BURST_MAX, MESSAGES_PER_SECOND_MAX};

/// What one peer may still say.
#[derive(Debug)]
pub(crate) struct Allowance {
    left: u64,
    /// Since when the store fills.
    since: Duration,
}

impl Allowance {
    /// A full store, at a time on any clock that does not go back.
    pub fn new(now: Duration) -> Self {
        Self { left: MESSAGE_BURST_MAX, since: now }
    }

    /// How long to wait before this is asked again, since the store is empty; `None` when a message may be read.
    pub fn wait(&mut self, now: Duration) -> Option<Duration> {
        let each = Duration::from_secs(1) / MESSAGES_PER_SECOND_MAX;
        let passed = now.saturating_sub(self.since);
        let more = (passed.as_nanos() / each.as_nanos()).min(MESSAGE_BURST_MAX.into()) as u64;
        self.left = self.left.saturating_add(more).min(MESSAGE_BURST_MAX);
        // What is left over counts for the next, unless the store is full.
        self.since =
            if self.left == MESSAGE_BURST_MAX { now } else { self.since + each * more as u32 };
        (self.left == 0).then(|| (self.since + each).saturating_sub(now))
    }

    /// A message was read.
    pub fn spend(&mut self) {
        self.left = self.left.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many messages are read in `seconds` of a peer that never stops.
    fn read_in(seconds: u64) -> u64 {
        let mut allowance = Allowance::new(Duration::ZERO);
        let (mut now, mut count) = (Duration::ZERO, 0);
        while now < Duration::from_secs(seconds) {
            while let Some(wait) = allowance.wait(now) {
                now += wait;
            }
            allowance.spend();
            count += 1;
        }
        count
    }

    #[test]
    fn a_flood_is_read_at_the_rate_that_is_allowed_and_no_faster() {
        let rate = u64::from(MESSAGES_PER_SECOND_MAX);
        for seconds in [1, 10, 60] {
            let most = MESSAGE_BURST_MAX + rate * seconds;
            let count = read_in(seconds);
            assert!((most - rate / 10..=most + 1).contains(&count), "{count} in {seconds} s");
        }
    }

    #[test]
    fn a_node_with_all_slots_that_there_can_be_never_waits() {
        let mut allowance = Allowance::new(Duration::ZERO);
        // Each slot renews once a second, since it gets on, and all of them at the same moment.
        for second in 0..100 {
            let now = Duration::from_secs(second);
            for _ in 0..starling_proto::limits::SLOT_COUNT_MAX {
                assert_eq!(allowance.wait(now), None, "after {second} s");
                allowance.spend();
            }
        }
    }

    #[test]
    fn silence_earns_no_more_than_the_burst() {
        let mut allowance = Allowance::new(Duration::ZERO);
        let later = Duration::from_secs(1 << 40);
        for _ in 0..MESSAGE_BURST_MAX {
            assert_eq!(allowance.wait(later), None);
            allowance.spend();
        }
        assert!(allowance.wait(later).is_some());
    }
}
