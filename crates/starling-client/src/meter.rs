//! What is counted of a client's jobs: from what their cores say, by names that stand here and nowhere else.
//!
//! It goes to whatever recorder of the `metrics` facade the process has installed; without one it costs nothing.

use starling_job::Note;
use starling_sched::Status;

/// Leases that were granted: a counter.
pub const GRANTED: &str = "starling_client_leases_total";

/// Leases that expired: a counter.
pub const EXPIRED: &str = "starling_client_leases_expired_total";

/// Results, by what became of them: a counter with the label `end`. What is accepted for now is counted once more when it is
/// confirmed or proves false.
pub const RESULTS: &str = "starling_client_results_total";

/// Blobs that were missing or damaged: a counter.
pub const LOST: &str = "starling_client_blobs_lost_total";

/// Jobs that started over, since their source told another story: a counter.
pub const RESTARTS: &str = "starling_client_jobs_started_over_total";

/// Events that the loops of jobs took: a counter.
pub const EVENTS: &str = "starling_client_events_total";

/// Events that were handed to the log by jobs that run: a counter.
pub const LOGGED: &str = "starling_client_events_logged_total";

/// Jobs that run: a gauge.
pub const JOBS: &str = "starling_client_jobs";

/// Leases that nodes work on: a gauge.
pub const LEASES_HELD: &str = "starling_client_leases_held";

/// Results that are being checked: a gauge.
pub const CHECKING: &str = "starling_client_results_checked";

/// Nodes, once for each job that knows them: a gauge.
pub const NODES: &str = "starling_client_nodes";

/// Tells the recorder of one job. What the gauges say of it goes with it.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    told: Option<Held>,
}

/// What a job has at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Held {
    jobs: f64,
    leases: f64,
    checking: f64,
    nodes: f64,
}

impl Meter {
    /// Counts one event of the loop.
    pub(crate) fn event(&self) {
        metrics::counter!(EVENTS).increment(1);
    }

    /// Counts what goes to the log.
    pub(crate) fn logged(&self, count: usize) {
        metrics::counter!(LOGGED).increment(count as u64);
    }

    /// Counts what has happened.
    pub(crate) fn count(&self, note: &Note) {
        match end_of(note) {
            Some(end) => metrics::counter!(RESULTS, "end" => end).increment(1),
            None => {
                if let Some(name) = name_of(note) {
                    metrics::counter!(name).increment(1);
                }
            }
        }
    }

    /// Tells how the job stands.
    pub(crate) fn tell(&mut self, status: &Status) {
        self.change(Held {
            jobs: 1.0,
            leases: status.lease_count as f64,
            checking: status.checking_count as f64,
            nodes: status.node_count as f64,
        });
    }

    /// Gauges are of all jobs of the process, so each adds its changes.
    fn change(&mut self, now: Held) {
        let before = self.told.replace(now).unwrap_or_default();
        let changes = [
            (JOBS, now.jobs - before.jobs),
            (LEASES_HELD, now.leases - before.leases),
            (CHECKING, now.checking - before.checking),
            (NODES, now.nodes - before.nodes),
        ];
        for (name, change) in changes {
            metrics::gauge!(name).increment(change);
        }
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        if self.told.is_some() {
            self.change(Held::default());
        }
    }
}

/// What became of a result.
fn end_of(note: &Note) -> Option<&'static str> {
    match note {
        Note::Accepted { .. } => Some("accepted"),
        Note::Confirmed { .. } => Some("confirmed"),
        Note::ProvedFalse { .. } => Some("proved false"),
        Note::Refused { .. } => Some("refused"),
        Note::Unfetchable { .. } => Some("unfetchable"),
        _ => None,
    }
}

/// The counter of what else happened, where there is one.
fn name_of(note: &Note) -> Option<&'static str> {
    match note {
        Note::Granted { .. } => Some(GRANTED),
        Note::Expired { .. } => Some(EXPIRED),
        Note::Lost { .. } => Some(LOST),
        Note::StartsOver { .. } => Some(RESTARTS),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use starling_types::{IndexRange, KindCode, NodeId, Reference, Task};

    use super::*;

    #[test]
    fn what_happens_is_counted_under_one_name_or_none() {
        let (node, blob) = (NodeId([1; 32]), Reference([2; 32]));
        let task = Task { kind: KindCode(1), range: IndexRange::single(0) };
        let reason = String::new;
        let counted = [
            (Note::Accepted { node, task }, Some("accepted"), None),
            (Note::Confirmed { node, task }, Some("confirmed"), None),
            (Note::ProvedFalse { node, task }, Some("proved false"), None),
            (Note::Refused { node, reason: reason() }, Some("refused"), None),
            (Note::Unfetchable { node, reason: reason() }, Some("unfetchable"), None),
            (Note::Lost { blob }, None, Some(LOST)),
            (Note::StartsOver { reason: reason() }, None, Some(RESTARTS)),
            (Note::Found { blob }, None, None),
        ];
        for (note, end, name) in counted {
            assert_eq!((end_of(&note), name_of(&note)), (end, name), "{note:?}");
        }
    }
}
