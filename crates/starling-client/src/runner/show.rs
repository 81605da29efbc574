//! What people and metrics are shown of a job that runs.

use std::time::Duration;

use super::Runner;
use crate::{JobProgress, system::System};

/// How often.
pub(super) const PERIOD: Duration = Duration::from_millis(500);

impl<S: System> Runner<'_, S> {
    /// Shows how the job stands at this moment.
    pub(super) fn show(&mut self) {
        let status = self.core.status();
        self.meter.tell(&status);
        // A job that has just been asked for has nothing of an earlier run.
        let looking_at = if self.core.is_looking_back() { self.looks.left_count() } else { 0 };
        self.watchers.send_replace(JobProgress {
            delivering: self.delivery.is_some(),
            lacks_room: self.core.lacks_room().map(str::to_owned),
            looking_at: looking_at as u32,
            ..status.into()
        });
    }
}
