//! What people and metrics are shown of a job that runs.

use std::time::Duration;

use starling_job::Event;
use starling_types::Millis;

use super::Runner;
use crate::{JobProgress, system::System, translate::millis};

/// How long nobody has worked when people are told so: a node that has done one task asks for the next at once.
const IDLE_SHOWN_AFTER: Millis = Millis(5_000);

/// How often.
pub(super) const PERIOD: Duration = Duration::from_millis(500);

impl<S: System> Runner<'_, S> {
    /// Tells the core whether nodes are busy with other jobs, and shows how the job stands.
    pub(super) fn tick(&mut self) {
        if self.peers.serve_others() {
            self.tell(Event::OthersServed);
        }
        self.show();
    }

    /// Shows how the job stands at this moment.
    pub(super) fn show(&mut self) {
        let status = self.core.status();
        self.meter.tell(&status);
        // A job that has just been asked for has nothing of an earlier run.
        let looking_at = if self.core.is_looking_back() { self.looks.left_count() } else { 0 };
        let waits = self.core.waits(millis(self.started.elapsed()));
        let waited = waits.as_ref().map(|(waited, _)| *waited);
        let idle = waits.filter(|(waited, _)| *waited >= IDLE_SHOWN_AFTER);
        let waiting = status.waiting.as_ref().map(ToString::to_string);
        self.watchers.send_replace(JobProgress {
            waiting: waiting.or(idle.map(|(_, reason)| reason.to_string())),
            waited,
            delivering: self.delivery.is_some(),
            lacks_room: self.core.lacks_room().map(str::to_owned),
            looking_at: looking_at as u32,
            ..status.into()
        });
    }
}
