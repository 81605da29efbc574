//! How long the phases of a proof take: a subscriber of the spans that the prover enters.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// Adds up the time in each phase, without the phases inside of it.
#[derive(Clone, Default)]
pub struct Phases(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    next: u64,
    names: HashMap<u64, &'static str>,
    /// The phases that were entered and not yet left: which, when, and how long phases inside of them took.
    open: Vec<(u64, Instant, Duration)>,
    totals: Vec<(&'static str, Duration)>,
}

impl Phases {
    /// What the phases took since the last call, in the order in which they first ended.
    pub fn take(&self) -> Vec<(&'static str, Duration)> {
        std::mem::take(&mut self.0.lock().unwrap().totals)
    }
}

/// The name of a phase. Its field has one of a few values, so it can be kept for ever.
struct Name(&'static str);

impl Visit for Name {
    fn record_str(&mut self, _: &Field, value: &str) {
        self.0 = value.to_owned().leak();
    }

    fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}
}

impl Subscriber for Phases {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_span() && metadata.name() == "phase"
    }

    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        let mut name = Name("");
        attributes.record(&mut name);
        let mut state = self.0.lock().unwrap();
        state.next += 1;
        let id = state.next;
        state.names.insert(id, name.0);
        Id::from_u64(id)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &Event<'_>) {}

    fn enter(&self, id: &Id) {
        self.0.lock().unwrap().open.push((id.into_u64(), Instant::now(), Duration::ZERO));
    }

    fn exit(&self, id: &Id) {
        let mut state = self.0.lock().unwrap();
        let (open, entered, inside) = state.open.pop().unwrap();
        assert_eq!(open, id.into_u64(), "phases are nested, on one thread");
        let took = entered.elapsed();
        if let Some((_, _, inside)) = state.open.last_mut() {
            *inside += took;
        }
        let name = state.names[&open];
        match state.totals.iter_mut().find(|(known, _)| *known == name) {
            Some((_, total)) => *total += took - inside,
            None => state.totals.push((name, took - inside)),
        }
    }
}
