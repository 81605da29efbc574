//! The source of a job while it runs. The run that was asked for last counts, even if others start later.

use starling_job::SourceRun;

/// A run that is wanted, and its source once that has started.
#[derive(Debug)]
pub(super) struct Wanted<R> {
    run: Option<SourceRun>,
    source: Option<R>,
}

impl<R> Default for Wanted<R> {
    fn default() -> Self {
        Self { run: None, source: None }
    }
}

impl<R> Wanted<R> {
    /// From now on this run is wanted and no other. A source that runs stops.
    pub(super) fn want(&mut self, run: SourceRun) {
        *self = Self { run: Some(run), source: None };
    }

    /// None is.
    pub(super) fn stop(&mut self) {
        *self = Self::default();
    }

    /// The source of this run has started. One that is wanted no more is dropped, which stops it, and the one that is stays.
    pub(super) fn started(&mut self, run: SourceRun, source: R) {
        if self.run == Some(run) {
            self.source = Some(source);
        }
    }

    /// The source that runs, and which run of it.
    pub(super) fn running(&mut self) -> Option<(SourceRun, &mut R)> {
        Some((self.run?, self.source.as_mut()?))
    }

    /// It has come to its end.
    pub(super) fn ended(&mut self) {
        self.source = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: SourceRun = SourceRun(1);
    const SECOND: SourceRun = SourceRun(2);

    #[test]
    fn a_source_that_starts_late_does_not_take_the_place_of_the_one_that_is_wanted() {
        let mut wanted = Wanted::default();
        wanted.want(FIRST);
        wanted.stop();
        wanted.want(SECOND);
        wanted.started(SECOND, "second");
        wanted.started(FIRST, "first");
        assert_eq!(wanted.running(), Some((SECOND, &mut "second")));
    }

    #[test]
    fn a_source_that_starts_when_none_is_wanted_does_not_run() {
        let mut wanted = Wanted::default();
        wanted.want(FIRST);
        wanted.stop();
        wanted.started(FIRST, "first");
        assert_eq!(wanted.running(), None);
    }
}
