//! When a lease is renewed: often enough to keep it, and early when there is progress to tell of.

use starling_types::Millis;

use crate::limits::{NEWS_PERIOD, NEWS_PERMILLE, RENEWAL_PERIOD_MIN, RENEWALS_PER_TERM};

/// The renewals of one lease.
#[derive(Debug, Clone)]
pub(crate) struct Renewals {
    every: Millis,
    last_at: Millis,
    told_permille: u32,
}

impl Renewals {
    /// Of a lease that was granted `now` and ends when it is not renewed within `term`.
    pub(crate) fn new(term: Millis, now: Millis) -> Self {
        let every = Millis(term.0 / RENEWALS_PER_TERM).max(RENEWAL_PERIOD_MIN);
        Self { every, last_at: now, told_permille: 0 }
    }

    /// When the next renewal is due of a task that is so far.
    pub(crate) fn due_at(&self, done_permille: u32) -> Millis {
        let has_news = done_permille.saturating_sub(self.told_permille) >= NEWS_PERMILLE;
        self.last_at + if has_news { self.every.min(NEWS_PERIOD) } else { self.every }
    }

    /// Notes that a renewal went out `now`.
    pub(crate) fn sent(&mut self, now: Millis, done_permille: u32) {
        self.last_at = now;
        self.told_permille = done_permille;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a renewal is due at `ms`; it counts as sent then.
    fn take_due(renewals: &mut Renewals, ms: u64, permille: u32) -> bool {
        let is_due = renewals.due_at(permille) <= Millis(ms);
        if is_due {
            renewals.sent(Millis(ms), permille);
        }
        is_due
    }

    #[test]
    fn a_lease_is_renewed_four_times_in_its_term_and_early_for_news_once_a_second() {
        let mut renewals = Renewals::new(Millis(20_000), Millis(0));
        let mut due = |ms, permille| take_due(&mut renewals, ms, permille);
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
    fn a_short_term_is_kept_whatever_the_news_and_none_makes_a_flood() {
        let mut renewals = Renewals::new(Millis(2_000), Millis(0));
        assert!(take_due(&mut renewals, 500, 0));
        let mut renewals = Renewals::new(Millis(0), Millis(0));
        assert!(!take_due(&mut renewals, 249, 1000));
        assert!(take_due(&mut renewals, 250, 1000));
    }
}
