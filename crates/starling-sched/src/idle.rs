//! How long there has been work for nodes that nobody does.
//!
//! A connected node may never ask for work, decline all that it gets, or be here for other jobs. So what counts is its word that it
//! works on a lease, its result, or what it found out about the task. A granted lease that was not heard of yet does not end the
//! idleness, but while it stands nobody is called idle: its node may be about to begin.

use starling_plan::Plan;
use starling_types::Millis;

use crate::{Scheduler, WaitReason};

/// Nobody is at work, though there is some.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Idle {
    /// Since when.
    since: Millis,
    /// The leases granted since. Those that come to something end the idleness.
    grants: u32,
}

impl<P: Plan> Scheduler<P> {
    /// Since when there has been work that nobody does; `None` while somebody does some, while a lease stands that its node
    /// may be about to begin, and while there is none to be done. Work that waits for the client itself does not count.
    pub fn idle_since(&self) -> Option<Millis> {
        self.idle.filter(|_| self.leases.none_has_begun()).map(|idle| idle.since)
    }

    /// Why nobody works, for people. It walks the classes.
    pub fn idle_reason(&self) -> WaitReason {
        if let Some(missing) = &self.waiting {
            return missing.clone();
        }
        match self.nodes.iter().count() {
            0 => WaitReason::NoNodes,
            nodes => {
                let grants = self.idle.map_or(0, |idle| idle.grants);
                WaitReason::NobodyWorks { nodes, grants }
            }
        }
    }

    /// Looks whether anybody works, at the end of each event.
    pub(crate) fn note_idleness(&mut self) {
        let is_ready = || self.demands.classes().any(|class| self.plan.is_ready(class));
        let is_idle = !self.is_over()
            && !self.grants_held
            && self.leases.worked_on_count() == 0
            && (self.leases.unheard_count() > 0 || is_ready());
        self.idle = match self.idle {
            _ if !is_idle => None,
            None => {
                let grants = u32::try_from(self.leases.unheard_count()).unwrap_or(u32::MAX);
                Some(Idle { since: self.now(), grants })
            }
            known => known,
        };
    }

    /// A node has shown that it was at work.
    pub(crate) fn note_work(&mut self) {
        self.idle = None;
    }

    /// A lease was granted.
    pub(crate) fn note_grant(&mut self) {
        if let Some(idle) = &mut self.idle {
            idle.grants = idle.grants.saturating_add(1);
        }
    }
}
