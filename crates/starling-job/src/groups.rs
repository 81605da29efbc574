//! Results that count for now: checked later, many at once, and taken back if they prove false.
//!
//! A group is the oldest of them. The inputs of a result are older than the result, so they are judged before it. So the maker
//! of the first false result is a liar. What other nodes made of that result in good faith falls with it, and blames nobody.

use std::{collections::BTreeSet, sync::Arc};

use starling_plan::Plan as _;
use starling_sched::Event as Scheduled;
use starling_types::{NodeId, Reference, Task};

use crate::{
    Action, GroupId, GroupMember, JobCore, JobEvent, Note, Script, records::Then,
    state::Provisional,
};

/// The group that is checked: one at a time, so that what a system reads for it is bounded.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    last: u64,
    under_way: Option<Group>,
}

#[derive(Debug)]
struct Group {
    id: GroupId,
    /// Oldest first.
    members: Vec<Provisional>,
    /// Whether the verdict is there: it may be on its way to the log.
    is_judged: bool,
}

/// What a group's check found of results that stood as they had been when it began.
#[derive(Debug, Default)]
pub(crate) struct GroupVerdict {
    /// What proved false, and who made it: oldest first.
    false_ones: Vec<(Task, NodeId)>,
    /// What could not be looked at, since it is gone.
    lost: Option<Reference>,
    sound: Vec<Provisional>,
}

impl Groups {
    /// Whether none is checked.
    pub(crate) fn is_idle(&self) -> bool {
        self.under_way.is_none()
    }

    /// Forgets the group: another job begins.
    pub(crate) fn clear(&mut self) {
        self.under_way = None;
    }
}

impl<S: Script> JobCore<S> {
    /// Has the oldest of what counts for now checked, when it is enough for a group or nothing else is left to be done.
    pub(crate) fn check_group(&mut self) {
        if !self.is_working() || self.groups.under_way.is_some() {
            return;
        }
        let count = self.state.provisional_count();
        if count == 0 || (count < S::GROUP_RESULTS_MAX && !self.scheduler.is_idle()) {
            return;
        }
        let plan = self.scheduler.plan();
        let state = Arc::make_mut(&mut self.state);
        let members = state.oldest_provisional(plan, S::GROUP_RESULTS_MAX);
        if members.is_empty() {
            return;
        }
        let mut results = Vec::with_capacity(members.len());
        for Provisional { task, blob, .. } in members.iter().copied() {
            let Some(expected) = self.state.expected(task) else { return self.contradict(task) };
            results.push(GroupMember { task, blob, expected });
        }
        self.groups.last += 1;
        let id = GroupId(self.groups.last);
        self.groups.under_way = Some(Group { id, members, is_judged: false });
        self.act(Action::CheckGroup { group: id, results });
    }

    /// The first `judged` of the group were judged, and these of them are false; the next is `lost`, if anything is.
    pub(crate) fn group_checked(
        &mut self,
        id: GroupId,
        judged: usize,
        false_ones: &BTreeSet<Task>,
        lost: Option<Reference>,
    ) {
        if !self.is_working() {
            return;
        }
        let Some(group) = self.groups.under_way.as_mut().filter(|group| group.id == id) else {
            return;
        };
        if std::mem::replace(&mut group.is_judged, true) {
            return;
        }
        let mut verdict = GroupVerdict { lost, ..GroupVerdict::default() };
        // Results may have been lost meanwhile, and made again.
        let standing = group.members.iter().take(judged).filter(|member| self.state.has(member));
        for member in standing {
            match false_ones.contains(&member.task) {
                true => verdict.false_ones.push((member.task, member.node)),
                false => verdict.sound.push(*member),
            }
        }
        let false_ones = verdict.false_ones.iter();
        let revoked = false_ones.map(|(task, _)| JobEvent::ResultRevoked { task: *task });
        let lost = lost.map(|blob| JobEvent::ResultLost { blob });
        let sound = verdict.sound.iter();
        let confirmed = sound.map(|member| JobEvent::ResultConfirmed { task: member.task });
        let events: Vec<_> = revoked.chain(lost).chain(confirmed).collect();
        match events.is_empty() {
            true => self.groups.clear(),
            false => self.record(events, Vec::new(), Then::GroupChecked(verdict)),
        }
    }

    /// What became of a group is in the log.
    pub(crate) fn group_recorded(&mut self, verdict: GroupVerdict) {
        self.groups.clear();
        for (task, node) in verdict.false_ones {
            // What was made of a false result is false, through no fault of its maker: it is gone already.
            if self.scheduler.plan().is_accepted(task) {
                self.say(Note::ProvedFalse { node, task });
                self.schedule(Scheduled::ResultProvedFalse { task, node });
            }
        }
        if let Some(blob) = verdict.lost {
            self.lose_result(blob);
        }
        for Provisional { task, node, blob, .. } in verdict.sound {
            self.kept.done_with([&blob]);
            self.say(Note::Confirmed { node, task });
            self.schedule(Scheduled::ResultConfirmed { task, node });
        }
    }
}
