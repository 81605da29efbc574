//! How many lines of a process's log its peers may cause: an allowance that grows with time. Lines beyond it are counted, and the
//! next line tells how many there were.

use starling_types::Millis;

/// Lines at once. A busy machine writes some hundred an hour.
const LINES_MAX: u64 = 600;

/// In so long the store fills by one: ten lines a second, of a KiB at most each.
const LINE_PERIOD: Millis = Millis(100);

/// The lines that may still be written.
#[derive(Debug)]
pub struct Quota {
    left: u64,
    /// Since when the store fills.
    since: Millis,
    /// How many lines were left out since the last.
    omitted: u64,
}

impl Default for Quota {
    fn default() -> Self {
        Self { left: LINES_MAX, since: Millis(0), omitted: 0 }
    }
}

impl Quota {
    /// Whether a line may be written at `now`, on any clock that does not go back: how many were left out before it.
    pub fn take(&mut self, now: Millis) -> Option<u64> {
        let more = now.since(self.since).0 / LINE_PERIOD.0;
        self.since = self.since + Millis(more * LINE_PERIOD.0);
        self.left = self.left.saturating_add(more).min(LINES_MAX);
        let Some(left) = self.left.checked_sub(1) else {
            self.omitted += 1;
            return None;
        };
        self.left = left;
        Some(std::mem::take(&mut self.omitted))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_written_at_a_bounded_rate_and_what_is_left_out_is_counted() {
        let mut quota = Quota::default();
        let (mut written, mut omitted) = (0, 0);
        // Ten seconds, eight lines a millisecond.
        for line in 0..80_000 {
            if let Some(before) = quota.take(Millis(line / 8)) {
                written += 1;
                omitted += before;
            }
        }
        assert_eq!(written, LINES_MAX + 99);
        let before = quota.take(Millis(20_000)).expect("it is written again");
        assert_eq!(written + omitted + before, 80_000);
    }

    #[test]
    fn a_machine_that_works_has_all_its_lines_written() {
        let mut quota = Quota::default();
        for line in 0..100_000 {
            assert_eq!(quota.take(Millis(line * 150)), Some(0));
        }
    }
}
