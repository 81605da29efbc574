//! How many clients are dialled on the word of ads alone: a store of dials that fills with time. Keys and addresses in ads are free,
//! so that anybody could have a node dial whomever he names, and keep it from dialling others.
//!
//! Who is dialled next is in turn the one that came last and any of all: a crowd that came before holds nobody up who comes after
//! it, and one that goes on coming leaves everybody else a share.

use starling_types::Millis;

use crate::limits::{HEARSAY_DIAL_PERIOD, HEARSAY_DIALS_MAX};

/// The dials that are left.
#[derive(Debug, Clone)]
pub(crate) struct Hearsay {
    left: u64,
    /// Since when the store fills.
    since: Millis,
    /// How many there were.
    count: u64,
}

impl Default for Hearsay {
    fn default() -> Self {
        Self { left: HEARSAY_DIALS_MAX, since: Millis(0), count: 0 }
    }
}

impl Hearsay {
    /// Whether a client may be dialled at `now`.
    pub(crate) fn may_dial(&self, now: Millis) -> bool {
        self.left > 0 || self.since + HEARSAY_DIAL_PERIOD <= now
    }

    /// When one may be dialled again, if none may be now.
    pub(crate) fn next_at(&self, now: Millis) -> Option<Millis> {
        (!self.may_dial(now)).then_some(self.since + HEARSAY_DIAL_PERIOD)
    }

    /// How many there were.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// Whether it is the turn of the one that came last.
    pub(crate) fn is_turn_of_newest(&self) -> bool {
        self.count % 2 == 1
    }

    /// One is dialled at `now`, as it [may be](Self::may_dial).
    pub(crate) fn dial(&mut self, now: Millis) {
        let more = now.since(self.since).0 / HEARSAY_DIAL_PERIOD.0;
        self.left = self.left.saturating_add(more).min(HEARSAY_DIALS_MAX).saturating_sub(1);
        self.since = self.since + Millis(more * HEARSAY_DIAL_PERIOD.0);
        self.count += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crowd_is_dialled_at_a_bounded_rate_and_time_brings_no_more_than_the_store_holds() {
        let mut hearsay = Hearsay::default();
        let mut dialled_until = |end: u64| {
            let mut count = 0;
            for now in (end - 60_000)..end {
                while hearsay.may_dial(Millis(now)) {
                    assert_eq!(hearsay.next_at(Millis(now)), None);
                    hearsay.dial(Millis(now));
                    count += 1;
                }
                assert!(hearsay.next_at(Millis(now)) > Some(Millis(now)));
            }
            count
        };
        let each_minute = 60_000 / HEARSAY_DIAL_PERIOD.0;
        assert_eq!(dialled_until(60_000), HEARSAY_DIALS_MAX + each_minute - 1);
        assert_eq!(dialled_until(120_000), each_minute);
        assert_eq!(dialled_until(86_400_000), HEARSAY_DIALS_MAX + each_minute - 1);
    }
}
