//! What is counted of a node: from its core's own counts, by names that stand here and nowhere else.
//!
//! They go to whatever recorder of the `metrics` facade the process has installed; without one they cost nothing.

use starling_node_core::{Counts, Held};

/// Ends of leases, each lease once: a counter with the label `end`.
pub const LEASES: &str = "starling_node_leases_total";

/// Proofs that did not verify and were made once more: a counter.
pub const REPROVED: &str = "starling_node_proofs_made_again_total";

/// Provers that were killed from outside: a counter.
pub const KILLED: &str = "starling_node_provers_killed_total";

/// Leases that are worked on, or wait for a slot: a gauge.
pub const LEASES_HELD: &str = "starling_node_leases_held";

/// The memory that is kept for them, in bytes: a gauge.
pub const MEMORY_HELD: &str = "starling_node_memory_held_bytes";

/// Results that are kept for others: a gauge.
pub const RESULTS_KEPT: &str = "starling_node_results_kept";

/// Connections to clients, and attempts at them: a gauge.
pub const LINKS: &str = "starling_node_links";

/// Tells the recorder what has become of a node.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    told: Counts,
}

impl Meter {
    /// Counts what happened since it was told last.
    pub(crate) fn tell(&mut self, counts: Counts, held: Held) {
        for (end, count) in ends(counts, self.told) {
            metrics::counter!(LEASES, "end" => end).increment(count);
        }
        metrics::counter!(REPROVED).increment(counts.reproved - self.told.reproved);
        metrics::counter!(KILLED).increment(counts.killed - self.told.killed);
        metrics::gauge!(LEASES_HELD).set(held.live as f64);
        metrics::gauge!(MEMORY_HELD).set(held.memory.0 as f64);
        metrics::gauge!(RESULTS_KEPT).set(held.results as f64);
        metrics::gauge!(LINKS).set(held.links as f64);
        self.told = counts;
    }
}

/// How many leases ended how, from `before` to `now`.
fn ends(now: Counts, before: Counts) -> impl Iterator<Item = (&'static str, u64)> {
    let ends = [
        ("refused", now.refused, before.refused),
        ("done", now.done, before.done),
        ("failed", now.failed, before.failed),
        ("returned", now.returned, before.returned),
        ("dropped", now.dropped, before.dropped),
    ];
    ends.into_iter().map(|(end, now, before)| (end, now - before)).filter(|(_, count)| *count > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_end_of_a_lease_is_counted_once() {
        let first = Counts { accepted: 3, done: 1, failed: 1, ..Counts::default() };
        let second = Counts { accepted: 9, done: 4, dropped: 1, refused: 2, ..first };
        assert_eq!(
            ends(first, Counts::default()).collect::<Vec<_>>(),
            [("done", 1), ("failed", 1)]
        );
        let news: Vec<_> = ends(second, first).collect();
        assert_eq!(news, [("refused", 2), ("done", 3), ("dropped", 1)]);
        assert_eq!(ends(second, second).count(), 0);
    }
}
