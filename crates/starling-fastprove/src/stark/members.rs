//! The groups of one proof: which of them it may change, and what they share.

use std::sync::Arc;

use super::engine::Engine;
use super::group::Group;
use crate::pool::Buffer;

/// The groups that a proof has committed to, by their index.
pub(super) struct Members(Vec<Option<Member>>);

struct Member {
    group: Holder,
    /// What the group was committed with, if that is kept.
    trace: Option<Buffer>,
    /// Values that are not kept and have no place among the group's own memory.
    scratch: Option<Buffer>,
}

enum Holder {
    /// The proof's own: its columns are turned to what the proof needs next.
    Own(Group),
    /// Other proofs may read it at the same time.
    Shared(Arc<Group>),
}

impl Members {
    /// Room for `count` groups.
    pub fn new(count: usize) -> Self {
        Self((0..count).map(|_| None).collect())
    }

    /// Whether group `index` is there.
    pub fn contains(&self, index: usize) -> bool {
        self.0[index].is_some()
    }

    /// Adds a group, and what it was committed with if that is kept; where it is now.
    pub fn add_own(&mut self, index: usize, group: Group, trace: Option<Buffer>) -> &Group {
        self.add(index, Member { group: Holder::Own(group), trace, scratch: None })
    }

    /// Adds a group that other proofs may use.
    pub fn add_shared(&mut self, index: usize, group: Arc<Group>) -> &Group {
        self.add(index, Member { group: Holder::Shared(group), trace: None, scratch: None })
    }

    fn add(&mut self, index: usize, member: Member) -> &Group {
        self.0[index].insert(member).group()
    }

    /// Columns whose coefficients may still be put aside.
    pub fn spare_left(&self, engine: &Engine) -> usize {
        let taken = self.0.iter().flatten().map(Member::spare_columns).sum();
        engine.plan().spare_columns.saturating_sub(taken)
    }

    /// The trace of group `index`, if this is the proof's own and not all zero.
    pub fn trace(&mut self, engine: &Engine, index: usize) -> Option<&[u32]> {
        let spare_max = self.spare_left(engine);
        let member = self.0[index].as_mut()?;
        match (&member.trace, &mut member.group) {
            (Some(trace), _) => Some(trace),
            (None, Holder::Own(group)) => group.trace(engine, spare_max),
            (None, Holder::Shared(_)) => None,
        }
    }

    /// Gives back all memory of group `index` that opening it does not need.
    pub fn rest(&mut self, engine: &Engine, index: usize) {
        if let Some(member) = &mut self.0[index] {
            member.rest(engine);
        }
    }

    /// As [`Members::rest`], of all groups.
    pub fn rest_all(&mut self, engine: &Engine) {
        self.0.iter_mut().flatten().for_each(|member| member.rest(engine));
    }

    /// The values of each group in `coset`.
    pub fn coset(&mut self, engine: &Engine, coset: usize) -> Vec<&[u32]> {
        for index in 0..self.0.len() {
            let spare_max = self.spare_left(engine);
            if let Some(Member { group: Holder::Own(group), .. }) = &mut self.0[index] {
                group.turn(engine, coset, spare_max);
            }
        }
        let members = self.0.iter_mut().flatten();
        members.map(|member| member.coset(engine, coset)).collect()
    }

    /// The groups, in order.
    ///
    /// # Panics
    ///
    /// When one was not added.
    pub fn groups<'a>(&'a self) -> Vec<&'a Group> {
        let committed = |member: &'a Option<Member>| {
            member.as_ref().expect("every group is committed before the proof is finished")
        };
        self.0.iter().map(committed).map(Member::group).collect()
    }
}

impl Member {
    fn group(&self) -> &Group {
        match &self.group {
            Holder::Own(group) => group,
            Holder::Shared(group) => group,
        }
    }

    fn spare_columns(&self) -> usize {
        match &self.group {
            Holder::Own(group) => group.spare_columns(),
            // Made before, with other memory.
            Holder::Shared(_) => 0,
        }
    }

    fn coset(&mut self, engine: &Engine, coset: usize) -> &[u32] {
        match &self.group {
            Holder::Own(group) => group.turned(engine, coset, &mut self.scratch),
            Holder::Shared(group) => group.computed(engine, coset, &mut self.scratch),
        }
    }

    fn rest(&mut self, engine: &Engine) {
        (self.trace, self.scratch) = (None, None);
        if let Holder::Own(group) = &mut self.group {
            group.rest(engine);
        }
    }
}
