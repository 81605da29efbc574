//! All nodes of a job, and which of them wait for which class of task.
//!
//! Every change of a node goes through [`Nodes::edit`], which then puts the node into the sets where it
//! belongs. So "the fastest waiting node that can take this task now" is one look-up, whatever the number
//! of nodes.

use std::collections::{BTreeMap, BTreeSet};

use starling_plan::Class;
use starling_types::{Capability, Epoch, MemoryBytes, Millis, NodeId};

use crate::{
    Believed, Config, WaitReason,
    class::Demands,
    node::{Node, Rank, SPEED_PERMILLE_MAX, Shown, Standing},
    recent::Recent,
};

/// Departed nodes of which something is remembered: two for each node of a network of 30,000.
const DEPARTED_NODES_MAX: usize = 65_536;

/// Dismissed nodes that are remembered. A key costs nothing, so that a node that wants to be forgotten can come under another
/// as well: this bounds memory, not lies.
const DISMISSED_NODES_MAX: usize = 65_536;

/// All nodes of a job.
#[derive(Debug, Clone)]
pub(crate) struct Nodes {
    demands: Demands,
    /// Who is taken for what it says until it has shown better.
    believed: Believed,
    speed_assumed_permille: u32,
    connected: BTreeMap<NodeId, Node>,
    departed: Recent<NodeId, Shown>,
    /// How many results of each node that has left wait for judgement; nobody's that has none.
    unjudged: BTreeMap<NodeId, u32>,
    /// Nodes that proved wrong.
    dismissed: Recent<NodeId, ()>,
    /// By class, the nodes that would take a task now, strangers before others and slow ones before fast ones.
    waiting: Vec<BTreeSet<(Rank, NodeId)>>,
    /// By class, the nodes that would take a task ahead, whose slot is free first.
    ahead: Vec<BTreeSet<(Millis, NodeId)>>,
    /// By class, how many nodes could take a task if they were idle.
    capable_count: Vec<u32>,
    /// By class, how many of these have only failed at its tasks lately.
    failing_count: Vec<u32>,
    /// By class, how many nodes take its kind, of whatever size.
    kind_count: Vec<u32>,
    /// By class, the nodes that take it if they have the memory, by memory.
    by_memory: Vec<BTreeSet<(MemoryBytes, NodeId)>>,
    /// When pauses end.
    pause_ends: BTreeSet<(Millis, NodeId)>,
    slot_count: u64,
    /// The speeds of all slots together.
    speed_permille: u64,
}

impl Nodes {
    pub(crate) fn new(demands: Demands, config: &Config) -> Self {
        let count = demands.count();
        Self {
            demands,
            believed: config.believed.clone(),
            speed_assumed_permille: config.speed_assumed_permille,
            connected: BTreeMap::new(),
            departed: Recent::new(DEPARTED_NODES_MAX),
            unjudged: BTreeMap::new(),
            dismissed: Recent::new(DISMISSED_NODES_MAX),
            waiting: vec![BTreeSet::new(); count],
            ahead: vec![BTreeSet::new(); count],
            capable_count: vec![0; count],
            failing_count: vec![0; count],
            kind_count: vec![0; count],
            by_memory: vec![BTreeSet::new(); count],
            pause_ends: BTreeSet::new(),
            slot_count: 0,
            speed_permille: 0,
        }
    }

    pub(crate) fn get(&self, id: NodeId) -> Option<&Node> {
        self.connected.get(&id)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (NodeId, &Node)> {
        self.connected.iter().map(|(id, node)| (*id, node))
    }

    pub(crate) fn is_dismissed(&self, id: NodeId) -> bool {
        self.dismissed.contains(id)
    }

    /// Adds a node, or takes a new statement of one that is there.
    pub(crate) fn join(&mut self, id: NodeId, mut capability: Capability) {
        let is_believed = self.believed.has(id);
        if !is_believed || capability.speed_permille == 0 {
            capability.speed_permille = self.speed_assumed_permille;
        }
        capability.speed_permille = capability.speed_permille.clamp(1, SPEED_PERMILLE_MAX);
        if !self.connected.contains_key(&id) {
            let shown = self.departed.remove(id).unwrap_or_default();
            let mut node = Node::new(capability, is_believed, shown, &self.demands);
            node.unjudged_count = self.unjudged.remove(&id).unwrap_or(0);
            self.pause_ends.extend(node.pause_ends().map(|until| (until, id)));
            self.connected.insert(id, node);
            self.watch_memory(id);
            self.relist(id);
        } else {
            let demands = self.demands.clone();
            self.edit(id, |node| node.restate(capability, &demands));
        }
    }

    /// Removes a node, remembering what it has shown.
    pub(crate) fn leave(&mut self, id: NodeId) -> Option<Node> {
        let node = self.connected.remove(&id)?;
        self.list(id, node.standing, Standing::default());
        for until in node.pause_ends().chain(node.memory_recovers_at()) {
            self.pause_ends.remove(&(until, id));
        }
        if node.unjudged_count > 0 {
            self.unjudged.insert(id, node.unjudged_count);
        }
        if !node.shown.is_empty() {
            self.departed.insert(id, node.shown.clone());
        }
        Some(node)
    }

    /// Removes a node for good.
    pub(crate) fn dismiss(&mut self, id: NodeId) -> Option<Node> {
        self.dismissed.insert(id, ());
        let node = self.leave(id);
        self.departed.remove(id);
        node
    }

    /// Changes a node, if it is connected, and lists it anew.
    pub(crate) fn edit<R>(&mut self, id: NodeId, change: impl FnOnce(&mut Node) -> R) -> Option<R> {
        let result = change(self.connected.get_mut(&id)?);
        self.relist(id);
        Some(result)
    }

    /// A result of a node is to be judged.
    pub(crate) fn reported(&mut self, id: NodeId) {
        self.edit_unjudged(id, |count| *count += 1);
    }

    /// A result of a node is judged, or needs no judgement any more.
    pub(crate) fn judged(&mut self, id: NodeId) {
        self.edit_unjudged(id, |count| *count = count.saturating_sub(1));
    }

    fn edit_unjudged(&mut self, id: NodeId, change: impl FnOnce(&mut u32)) {
        if self.connected.contains_key(&id) {
            self.edit(id, |node| change(&mut node.unjudged_count));
            return;
        }
        let count = self.unjudged.entry(id).or_default();
        change(count);
        if *count == 0 {
            self.unjudged.remove(&id);
        }
    }

    /// Whether one more late result of a node is judged. Of one that has left, as of one with a single slot.
    pub(crate) fn may_report(&self, id: NodeId) -> bool {
        self.get(id).map_or_else(|| !self.unjudged.contains_key(&id), Node::may_report)
    }

    /// Notes what a node has shown, be it connected or not: leaving wipes nothing out. Nothing is noted of one that was
    /// dismissed.
    fn note<R>(&mut self, id: NodeId, change: impl FnOnce(&mut Shown) -> R) -> Option<R> {
        if self.is_dismissed(id) {
            return None;
        }
        if self.connected.contains_key(&id) {
            return self.edit(id, |node| change(&mut node.shown));
        }
        let mut shown = self.departed.remove(id).unwrap_or_default();
        let result = change(&mut shown);
        self.departed.insert(id, shown);
        Some(result)
    }

    /// Gives a node nothing of `class` until the time that `until` makes of its strikes.
    pub(crate) fn pause(&mut self, id: NodeId, class: Class, until: impl FnOnce(u32) -> Millis) {
        let until = self.note(id, |shown| shown.pause(class, until));
        if let Some(until) = until.filter(|_| self.connected.contains_key(&id)) {
            self.pause_ends.insert((until, id));
        }
    }

    /// Notes that a node left with leases.
    pub(crate) fn deserted(
        &mut self,
        id: NodeId,
        leases: Vec<Epoch>,
        until: impl FnOnce(u32) -> Millis,
    ) {
        self.note(id, |shown| shown.deserted(leases, until));
    }

    /// Notes that a node has taken a lease up again.
    pub(crate) fn took_up(&mut self, id: NodeId, lease: Epoch) {
        self.note(id, |shown| shown.took_up(lease));
    }

    /// Notes that a try of a node at a task of this class has failed, after so long.
    pub(crate) fn failed(&mut self, id: NodeId, class: Class, lasted: Millis) {
        self.note(id, |shown| shown.failed(class, lasted));
    }

    /// Notes that a result of a node could not be had: how many in a row that makes.
    pub(crate) fn unfetchable(&mut self, id: NodeId) -> u32 {
        self.note(id, Shown::unfetchable).unwrap_or(0)
    }

    /// Notes that a node ran out of memory with a task of `memory`.
    pub(crate) fn ran_out_of_memory(&mut self, id: NodeId, memory: MemoryBytes, now: Millis) {
        self.edit(id, |node| node.ran_out_of_memory(memory, now));
        self.watch_memory(id);
    }

    fn watch_memory(&mut self, id: NodeId) {
        let at = self.connected.get(&id).and_then(Node::memory_recovers_at);
        self.pause_ends.extend(at.map(|at| (at, id)));
    }

    /// Ends the pauses that are over at `now`, and lets ceilings of memory rise.
    pub(crate) fn end_pauses(&mut self, now: Millis) {
        while let Some((_, id)) = self.pause_ends.first().copied().filter(|end| end.0 <= now) {
            self.pause_ends.pop_first();
            self.edit(id, |node| {
                node.end_pauses(now);
                node.recover_memory(now);
            });
            self.watch_memory(id);
        }
    }

    /// When the next pause ends.
    pub(crate) fn next_pause_end(&self) -> Option<Millis> {
        self.pause_ends.first().map(|(until, _)| *until)
    }

    /// The nodes that would take a task of `class` now: those that something speaks for before strangers, and the fastest first.
    pub(crate) fn waiting(&self, class: Class) -> impl Iterator<Item = NodeId> + '_ {
        self.waiting[usize::from(class.0)].iter().rev().map(|(_, id)| *id)
    }

    /// The nodes that would take a task of `class` ahead, who would begin first with it first.
    pub(crate) fn ahead(&self, class: Class) -> impl Iterator<Item = NodeId> + '_ {
        self.ahead[usize::from(class.0)].iter().map(|(_, id)| *id)
    }

    /// What is missing for a task of `class`; `None` when a connected node could take it, now or later.
    pub(crate) fn missing_for(&self, class: Class) -> Option<WaitReason> {
        if self.connected.is_empty() {
            return Some(WaitReason::NoNodes);
        }
        if self.capable_count[usize::from(class.0)] > 0 {
            return None;
        }
        let demand = self.demands.of(class);
        let best = self.by_memory[usize::from(class.0)].last();
        let best = best.and_then(|(memory, id)| Some((*memory, self.get(*id)?.need(class)?)));
        Some(match (best, demand.po2) {
            (Some((best, needed)), po2) => {
                WaitReason::NotEnoughMemory { kind: demand.name, po2, needed, best }
            }
            (None, Some(po2)) if self.kind_count[usize::from(class.0)] > 0 => {
                WaitReason::NoSize { kind: demand.name, po2 }
            }
            (None, _) => WaitReason::NoKind { kind: demand.name },
        })
    }

    /// How many connected nodes could take a task of `class`, now or later.
    pub(crate) fn capable_count(&self, class: Class) -> u32 {
        self.capable_count[usize::from(class.0)]
    }

    /// Whether there are nodes that could take a task of `class`, and all of them have only failed at such lately.
    pub(crate) fn all_fail_at(&self, class: Class) -> bool {
        let capable_count = self.capable_count(class);
        capable_count > 0 && self.failing_count[usize::from(class.0)] == capable_count
    }

    /// How many slots there are, and how much reference-core work they do together in a second of wall
    /// time, in milliseconds.
    pub(crate) fn total_speed(&self) -> (u64, u64) {
        (self.slot_count, self.speed_permille)
    }

    fn relist(&mut self, id: NodeId) {
        let Some(node) = self.connected.get_mut(&id) else { return };
        let new = node.standing(&self.demands);
        let old = std::mem::replace(&mut node.standing, new);
        self.list(id, old, new);
    }

    /// Moves a node from where it stood to where it stands now.
    fn list(&mut self, id: NodeId, old: Standing, new: Standing) {
        if old == new {
            return;
        }
        for class in self.demands.classes() {
            let index = usize::from(class.0);
            let (was, is) = (old.waiting.contains(class), new.waiting.contains(class));
            if was && (!is || old.rank != new.rank) {
                self.waiting[index].remove(&(old.rank, id));
            }
            if is {
                self.waiting[index].insert((new.rank, id));
            }
            let (was, is) = (old.ahead.contains(class), new.ahead.contains(class));
            if was && (!is || old.frees_at != new.frees_at) {
                self.ahead[index].remove(&(old.frees_at, id));
            }
            if is {
                self.ahead[index].insert((new.frees_at, id));
            }
            self.capable_count[index] += u32::from(new.capable.contains(class));
            self.capable_count[index] -= u32::from(old.capable.contains(class));
            self.failing_count[index] += u32::from(new.failing.contains(class));
            self.failing_count[index] -= u32::from(old.failing.contains(class));
            self.kind_count[index] += u32::from(new.kinds.contains(class));
            self.kind_count[index] -= u32::from(old.kinds.contains(class));
        }
        if (old.takes, old.memory) != (new.takes, new.memory) {
            for (class, by_memory) in self.demands.classes().zip(&mut self.by_memory) {
                if old.takes.contains(class) {
                    by_memory.remove(&(old.memory, id));
                }
                if new.takes.contains(class) {
                    by_memory.insert((new.memory, id));
                }
            }
        }
        let speed = |at: Standing| u64::from(at.slots) * u64::from(at.speed_permille);
        self.slot_count = self.slot_count + u64::from(new.slots) - u64::from(old.slots);
        self.speed_permille = self.speed_permille + speed(new) - speed(old);
    }
}
