//! What the child hears of a proof in progress: the phases that the prover enters as `tracing` spans.
//!
//! The prover itself knows no clock and nobody to report to. Its spans are entered on whichever thread of its pool drives
//! the proof, so they are heard by a layer of the process's one subscriber, not by the thread that asked for the proof.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tracing::{
    Level, Metadata, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id},
};
use tracing_subscriber::{
    Layer,
    filter::{FilterFn, filter_fn},
    layer::Context,
    registry::LookupSpan,
};

use crate::{Course, PhaseTime};

/// The least time between two reports of how far a task is.
const REPORT_PERIOD: Duration = Duration::from_millis(250);

/// The name of a phase's span; its field `name` says which.
const SPAN: &str = "phase";

/// Hears of phases: add [`Phases::layer`] to the process's subscriber and give the same `Phases` to
/// [`serve`](crate::serve). Without the layer a task's progress is known by its proofs alone.
#[derive(Clone, Default)]
pub struct Phases(Arc<Mutex<Option<Watched>>>);

/// Says how far the task is, in thousandths.
type Report = Box<dyn FnMut(u32) + Send>;

/// The task in progress.
struct Watched {
    course: Course,
    times: Vec<PhaseTime>,
    /// The phases that were entered and not left, and how long those within each took.
    open: Vec<(Id, Instant, Duration)>,
    report: Report,
    reported_permille: u32,
    reported_at: Option<Instant>,
}

impl Phases {
    /// The layer that hears, for no other spans or events than those of phases.
    pub fn layer<S>(&self) -> impl Layer<S> + Send + Sync + 'static
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        Listener(self.clone()).with_filter(only_phases())
    }

    /// A task begins, of which nothing is known yet. `report` is called when it has got on, a few times a second at most,
    /// on any thread.
    pub fn begin(&self, report: impl FnMut(u32) + Send + 'static) {
        *self.lock() = Some(Watched {
            course: Course::default(),
            times: Vec::new(),
            open: Vec::new(),
            report: Box::new(report),
            reported_permille: 0,
            reported_at: None,
        });
    }

    /// What the task is made of.
    pub fn expect(&self, course: Course) {
        if let Some(watched) = self.lock().as_mut() {
            watched.course = course;
        }
    }

    /// A proof of the task is over.
    pub fn proof_ended(&self) {
        if let Some(watched) = self.lock().as_mut() {
            watched.course.proof_ended();
            watched.report(Instant::now());
        }
    }

    /// The task is over: nothing is reported any more. How long its phases took, in the order in which they first ended.
    pub fn end(&self) -> Vec<PhaseTime> {
        self.lock().take().map_or_else(Vec::new, |watched| watched.times)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Watched>> {
        // Whatever panicked, each change leaves this whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watched {
    fn exit(&mut self, id: &Id, name: &str, now: Instant) {
        // The spans of one proof are nested; one that began before the task did is not counted.
        let Some(at) = self.open.iter().rposition(|(open, ..)| open == id) else { return };
        let (_, entered, within) = self.open.swap_remove(at);
        self.open.truncate(at);
        let took = now.duration_since(entered);
        if let Some((_, _, within)) = self.open.last_mut() {
            *within += took;
        }
        let micros = took.saturating_sub(within).as_micros().try_into().unwrap_or(u64::MAX);
        let proof = self.course.proof() as u32;
        match self.times.iter_mut().find(|time| time.proof == proof && time.name == name) {
            Some(time) => time.micros = time.micros.saturating_add(micros),
            None => self.times.push(PhaseTime { proof, name: name.to_owned(), micros }),
        }
        self.course.phase_ended(name);
        self.report(now);
    }

    fn report(&mut self, now: Instant) {
        let done = self.course.done_permille();
        let is_due = self.reported_at.is_none_or(|at| now.duration_since(at) >= REPORT_PERIOD);
        if done > self.reported_permille && is_due {
            self.reported_permille = done;
            self.reported_at = Some(now);
            (self.report)(done);
        }
    }
}

fn is_phase(metadata: &Metadata<'_>) -> bool {
    metadata.is_span() && metadata.name() == SPAN
}

fn only_phases() -> FilterFn<fn(&Metadata<'_>) -> bool> {
    let is_phase: fn(&Metadata<'_>) -> bool = is_phase;
    filter_fn(is_phase).with_max_level_hint(Level::DEBUG)
}

/// The layer: a private type, so that it cannot be added without its filter.
struct Listener(Phases);

/// The name of a phase, kept with its span.
struct Name(String);

impl Visit for Name {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "name" {
            self.0 = value.to_owned();
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Listener {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if let Some(span) = context.span(id) {
            let mut name = Name(String::new());
            attributes.record(&mut name);
            span.extensions_mut().insert(name);
        }
    }

    fn on_enter(&self, id: &Id, _: Context<'_, S>) {
        if let Some(watched) = self.0.lock().as_mut() {
            watched.open.push((id.clone(), Instant::now(), Duration::ZERO));
        }
    }

    fn on_exit(&self, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        if let Some(Name(name)) = span.extensions().get::<Name>()
            && let Some(watched) = self.0.lock().as_mut()
        {
            watched.exit(id, name, Instant::now());
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::{sync::mpsc, thread};

    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;
    use crate::{Proof, phase as share};

    fn phase(name: &'static str, work: impl FnOnce()) {
        let _span = tracing::debug_span!("phase", name).entered();
        work();
    }

    #[test]
    fn phases_on_any_thread_are_heard_of_with_their_own_time_and_told_of_once_in_a_while() {
        let phases = Phases::default();
        let (sender, told) = mpsc::channel();
        phases.begin(move |permille| sender.send(permille).unwrap());
        let shares = const {
            &[share("commit data", 1, 473), share("accum", 1, 4), share("constraints", 4, 244)]
        };
        phases.expect(Course::new(vec![Proof { phases: shares, weight: 1_000 }]));
        let subscriber = tracing_subscriber::registry().with(phases.layer());
        let dispatch = tracing::Dispatch::new(subscriber);
        let work = move || {
            tracing::dispatcher::with_default(&dispatch, || {
                phase("commit data", || {});
                // Too soon after the first to be told of.
                phase("accum", || {});
                phase("commit check", || {
                    phase("constraints", || thread::sleep(REPORT_PERIOD));
                    phase("constraints", || {});
                });
                tracing::debug!("no phase");
                let _other = tracing::debug_span!("other").entered();
            });
        };
        thread::spawn(work).join().unwrap();
        let times = phases.end();
        assert_eq!(told.iter().collect::<Vec<_>>(), [473, 473 + 4 + 61]);
        let names: Vec<_> = times.iter().map(|time| time.name.as_str()).collect();
        assert_eq!(names, ["commit data", "accum", "constraints", "commit check"]);
        let (inner, outer) = (times[2].micros, times[3].micros);
        assert!(inner >= REPORT_PERIOD.as_micros() as u64 && outer < inner, "{times:?}");
    }

    #[test]
    fn the_end_of_a_proof_is_told_of_without_any_phase_and_nothing_after_the_task() {
        let phases = Phases::default();
        let (sender, told) = mpsc::channel();
        phases.begin(move |permille| sender.send(permille).unwrap());
        phases.expect(Course::new(vec![Proof { phases: &[], weight: 1_000 }; 2]));
        phases.proof_ended();
        assert!(told.try_recv().is_ok());
        assert_eq!(phases.end(), []);
        phases.proof_ended();
        assert!(told.recv().is_err(), "nobody reports any more");
    }
}
