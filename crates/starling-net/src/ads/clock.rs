//! What is said of ads that come from another time: without a word, a node whose clock is wrong would hear of no job and nobody would
//! know why. Pure.

use std::time::Duration;

use starling_proto::AdError;

use crate::limits::CLOCK_WARNING_PERIOD;

/// When it was last said that clocks differ.
#[derive(Debug, Default)]
pub(super) struct ClockWarnings {
    last: Option<Duration>,
}

impl ClockWarnings {
    /// The sentence to say at `now`, on any clock that does not go back, of an ad that was refused for `error`. Anybody can sign such
    /// ads, so that most are passed over.
    pub fn of(&mut self, error: &AdError, now: Duration) -> Option<String> {
        let AdError::NotNow { client, issued_at_unix_ms, now_unix_ms, .. } = error else {
            return None;
        };
        let is_due = self.last.is_none_or(|last| now.saturating_sub(last) >= CLOCK_WARNING_PERIOD);
        if !is_due {
            return None;
        }
        self.last = Some(now);
        let seconds = issued_at_unix_ms.abs_diff(*now_unix_ms) / 1000;
        let way = if issued_at_unix_ms > now_unix_ms { "ahead of" } else { "behind" };
        Some(format!(
            "an ad of client {client:#} is passed over: the time in it is {seconds} s {way} this machine's clock; if this goes on, one \
             of the two clocks is wrong, so set both by a time service (NTP)"
        ))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use starling_types::NodeId;

    use super::*;

    const NOW: u64 = 1_000_000_000;

    fn issued(at: u64) -> AdError {
        let client = NodeId([7; 32]);
        AdError::NotNow { client, issued_at_unix_ms: at, ttl_ms: 1000, now_unix_ms: NOW }
    }

    #[test]
    fn a_clock_that_differs_is_told_of_with_the_difference_and_no_more_than_once_a_minute() {
        let mut warnings = ClockWarnings::default();
        let said = warnings.of(&issued(NOW - 180_000), Duration::ZERO).unwrap();
        assert!(said.contains("is 180 s behind this machine's clock"), "{said}");
        let soon = CLOCK_WARNING_PERIOD - Duration::from_millis(1);
        assert_eq!(warnings.of(&issued(NOW + 500_000), soon), None);
        let said = warnings.of(&issued(NOW + 500_000), CLOCK_WARNING_PERIOD).unwrap();
        assert!(said.contains("is 500 s ahead of this machine's clock"), "{said}");
    }

    #[test]
    fn an_ad_with_another_fault_says_nothing_of_clocks() {
        let error = AdError::BadSignature { signer: NodeId([7; 32]) };
        assert_eq!(ClockWarnings::default().of(&error, Duration::ZERO), None);
    }
}
