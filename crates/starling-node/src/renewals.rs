//! When a lease is renewed: often enough to keep it, and early when there is progress to tell of.

use std::time::Duration;

use tokio::time::Instant;

/// A lease is renewed this many times within the time that it must be renewed in, so that a lost or
/// late renewal or two cost nothing.
const RENEWALS_PER_TERM: u32 = 4;

/// A renewal goes early when the task has got on by so much since the last: twenty more for a whole task.
const NEWS_PERMILLE: u32 = 50;

/// But not before this has passed since the last.
const NEWS_PERIOD: Duration = Duration::from_secs(1);

/// The renewals of one lease.
pub(crate) struct Renewals {
    every: Duration,
    last_at: Instant,
    told_permille: u32,
}

impl Renewals {
    /// Of a lease that was granted `now` and ends when it is not renewed within `term`.
    pub(crate) fn new(term: Duration, now: Instant) -> Self {
        Self { every: term / RENEWALS_PER_TERM, last_at: now, told_permille: 0 }
    }

    /// Whether a renewal is due `now` that the task is so far; it counts as sent then.
    pub(crate) fn take_due(&mut self, now: Instant, done_permille: u32) -> bool {
        let age = now.duration_since(self.last_at);
        let news = done_permille.saturating_sub(self.told_permille) >= NEWS_PERMILLE;
        let is_due = age >= self.every || news && age >= NEWS_PERIOD;
        if is_due {
            self.last_at = now;
            self.told_permille = done_permille;
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_is_renewed_four_times_in_its_term_and_early_for_news_once_a_second() {
        let start = Instant::now();
        let mut renewals = Renewals::new(Duration::from_secs(20), start);
        let mut due = |ms, permille| renewals.take_due(start + Duration::from_millis(ms), permille);
        assert!(!due(4_900, 0));
        assert!(due(5_000, 0));
        assert!(!due(5_900, 500), "too soon after the last");
        assert!(due(6_000, 500));
        assert!(!due(8_000, 549), "too little to tell of");
        assert!(due(8_000, 550));
        assert!(!due(12_900, 550));
        assert!(due(13_000, 550), "no news, but its time");
    }

    #[test]
    fn a_short_term_is_kept_whatever_the_news() {
        let start = Instant::now();
        let mut renewals = Renewals::new(Duration::from_secs(2), start);
        assert!(renewals.take_due(start + Duration::from_millis(500), 0));
    }
}
