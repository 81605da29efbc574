//! How long there has been work for nodes that nobody does.
//!
//! That a node is connected says little: it may never ask for work, decline all that it gets, or be here for other jobs. What
//! counts is its word that it works on a lease, a result, or what it found out about the task. A lease that was granted and not heard of yet ends no idleness. Its node may be about to
//! begin, so that it is waited for; but only if it was granted in time, or nodes that take leases and say nothing would be waited
//! for one after the other.

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
    /// Since when there has been work that nobody does; `None` while somebody does some, and while there is none to be done.
    /// Work that waits for the client itself is none.
    pub fn idle_since(&self) -> Option<Millis> {
        self.idle.map(|idle| idle.since)
    }

    /// Whether a lease stands that was granted before this time and whose node may be about to begin: it has said nothing of it
    /// yet. Such a lease ends soon by itself. It walks the leases.
    pub fn may_begin(&self, granted_before: Millis) -> bool {
        self.leases.is_any_unheard_since(granted_before)
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
