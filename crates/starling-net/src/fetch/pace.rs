//! How fast a sender has to be: all the time, not on the average of a whole blob, with which a slow drip would pass for long.

use std::time::Duration;

use crate::limits::{BLOB_BYTES_PER_SECOND_FLOOR, BLOB_IDLE_TIMEOUT};

/// What came since it was looked at last.
#[derive(Debug, Default)]
pub(super) struct Pace {
    waited: Duration,
    received_bytes: u64,
}

impl Pace {
    /// So many bytes came after so long a wait for them. Whether that is fast enough: the wait for this side's own disk is
    /// not counted.
    pub fn keeps_up(&mut self, waited: Duration, received_bytes: usize) -> bool {
        self.waited += waited;
        self.received_bytes += received_bytes as u64;
        if self.waited < BLOB_IDLE_TIMEOUT {
            return true;
        }
        let Self { waited, received_bytes } = std::mem::take(self);
        received_bytes >= BLOB_BYTES_PER_SECOND_FLOOR * waited.as_secs()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// For how long a sender is borne with that sends so much every `period`, up to an hour.
    fn borne(period: Duration, bytes: usize) -> Duration {
        let mut pace = Pace::default();
        let mut waited = Duration::ZERO;
        while waited < Duration::from_secs(3600) {
            waited += period;
            if !pace.keeps_up(period, bytes) {
                return waited;
            }
        }
        waited
    }

    #[test]
    fn a_byte_now_and_then_is_borne_for_no_longer_than_nothing_at_all() {
        for ms in [10, 100, 1_000, 19_000] {
            let borne = borne(Duration::from_millis(ms), 1);
            assert!(borne < 2 * BLOB_IDLE_TIMEOUT, "{ms} ms: {borne:?}");
        }
    }

    #[test]
    fn a_slow_link_is_borne_and_one_of_half_its_speed_is_not() {
        let each = BLOB_BYTES_PER_SECOND_FLOOR as usize / 10;
        assert_eq!(borne(Duration::from_millis(100), each + 1), Duration::from_secs(3600));
        assert!(borne(Duration::from_millis(200), each) < 2 * BLOB_IDLE_TIMEOUT);
    }

    #[test]
    fn a_start_in_a_rush_buys_no_drip_afterwards() {
        let mut pace = Pace::default();
        assert!(pace.keeps_up(Duration::from_secs(1), 1 << 30));
        assert!(pace.keeps_up(BLOB_IDLE_TIMEOUT, 1));
        assert!(!pace.keeps_up(BLOB_IDLE_TIMEOUT, 1));
    }
}
