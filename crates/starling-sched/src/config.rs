//! A scheduler's limits and patience, each with its reason.

use std::collections::BTreeSet;

use starling_types::{Millis, NodeId};

/// What a scheduler may be told to do otherwise. The defaults suit nodes on the open internet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// A lease expires when its node does not renew it for this long. Nodes renew every 5 s, so 20 s let
    /// three renewals in a row be lost.
    pub renew_within: Millis,
    /// No lease ends earlier than this, whatever the cost model says: fetching inputs, starting a process
    /// and a first page-in of the prover take their time on small tasks. Five minutes.
    pub deadline_min: Millis,
    /// A lease ends after this many times its expected time. Four: a laptop that is throttled, or shared
    /// with its owner, is often two times slower than it measured, seldom four.
    pub deadline_factor: u32,
    /// The speed taken for a node that does not know its own, until its first result shows it. A quarter
    /// of the reference core: too slow costs a longer deadline, too fast costs a lost task.
    pub speed_assumed_permille: u32,
    /// The nodes that are taken to be as fast as they say until their results show it.
    pub believed: Believed,
    /// Whether a node that works gets a lease ahead for each of its slots, where nobody else could begin with it now: it
    /// fetches the inputs while it proves, and need not wait for them afterwards.
    pub leases_ahead: bool,
    /// Leases that one task has at once, at most: the first and one backup. The second copy removes most of
    /// what a straggler costs, a third little more. Those of strangers are counted apart, and as many.
    pub copies_max: u32,
    /// An idle node may back a task up that has run for this part of its expected time, in permille. Half:
    /// early enough to save something where the holder is slow, late enough that most tasks end unaided.
    pub backup_after_permille: u32,
    /// The shell is asked to look at a task itself when nodes of this weight refuse it: one for each, two for one that has
    /// proved something in this job. Three: one node may lie and one may have faulty memory. Where nobody else is left to do
    /// the task, it is asked whatever their weight.
    pub task_refusals_max: u32,
    /// How long a node gets no task like the one it failed, the first time; each further time in a row
    /// doubles it. A second is enough for a connection to come back.
    pub backoff_min: Millis,
    /// The longest such pause. A minute: a lone node with a passing trouble goes on soon after.
    pub backoff_max: Millis,
    /// The longest that a node gets no work at all whose results cannot be had. Six hours: a connection that is mended
    /// overnight is worth a try in the morning, and another try costs one task's time.
    pub shut_out_max: Millis,
    /// Expired leases remembered, so that a late result still counts. 65,536 are a few megabytes, and
    /// two for each node of a network of 30,000.
    pub expired_leases_max: usize,
    /// Nodes remembered as holders of one blob. Four names keep a lease below a kilobyte.
    pub holders_max: usize,
}

/// Whose word on its own speed is taken: only that of one's own. A stranger that says it is fast would get what matters most.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Believed {
    /// That of all.
    All,
    /// That of these.
    Only(BTreeSet<NodeId>),
}

impl Believed {
    pub(crate) fn has(&self, node: NodeId) -> bool {
        match self {
            Self::All => true,
            Self::Only(nodes) => nodes.contains(&node),
        }
    }
}

impl Default for Believed {
    /// Nobody's.
    fn default() -> Self {
        Self::Only(BTreeSet::new())
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            renew_within: Millis(20_000),
            deadline_min: Millis(300_000),
            deadline_factor: 4,
            speed_assumed_permille: 250,
            believed: Believed::default(),
            leases_ahead: true,
            copies_max: 2,
            backup_after_permille: 500,
            task_refusals_max: 3,
            backoff_min: Millis(1000),
            backoff_max: Millis(60_000),
            shut_out_max: Millis(6 * 3_600_000),
            expired_leases_max: 65_536,
            holders_max: 4,
        }
    }
}
