//! What a node is, and what it offers.

use starling_proto::{Grant, Offer};
use starling_types::{MemoryBytes, Millis, Need, Needs, Po2, SystemName, Task};

use crate::speed::Speed;

/// What a node is and may use.
#[derive(Debug, Clone)]
pub struct Config {
    /// What it proves; at least one.
    pub systems: Vec<System>,
    /// What proving may use, over all slots.
    pub memory: MemoryBytes,
    /// Tasks proved at the same time; at least one.
    pub slots: u32,
    /// What results that are kept for others may take on the disk, in bytes.
    pub results_bytes_max: u64,
    /// How long a client that the user named is dialled in vain, when nothing is held for it.
    pub patience: Millis,
    /// What the spread of redials is drawn from, so that nodes cut off together do not come back together.
    pub seed: u64,
}

/// A proof system, and what of it the node does.
#[derive(Debug, Clone)]
pub struct System {
    /// Its name.
    pub name: SystemName,
    /// What its side says of this node's prover.
    pub figures: Figures,
}

/// What a system's side says of the prover that a node has for it. The node knows no other figures.
#[derive(Debug, Clone)]
pub struct Figures {
    /// What tasks need of it. What is not in it is neither offered nor taken.
    pub needs: Needs,
    /// Reads a task and its arguments: the po2 that its needs depend on, `None` within where they depend on none; `None`
    /// without for what is not a task of the system.
    pub size_of: fn(Task, &[u8]) -> Option<Option<Po2>>,
    /// What people call a task of the system.
    pub name_of: fn(Task) -> String,
    /// Which version of the system's figures for work these are: speeds that were measured by others can't be compared.
    pub revision: u32,
    /// The speed that is claimed until one is measured, in thousandths of the reference core's.
    pub speed_guess_permille: u32,
}

impl System {
    /// What of it is offered, at this speed.
    pub(crate) fn offer(&self, speed: &Speed) -> Offer {
        let Self { name, figures } = self;
        let speed = speed.permille(name, figures.revision);
        Offer {
            system: name.clone(),
            kinds: figures.needs.stated(),
            speed_permille: speed.unwrap_or(figures.speed_guess_permille),
        }
    }

    /// What a task needs here, and the po2 that this depends on; `None` for one that is not taken.
    pub(crate) fn need(&self, task: Task, arguments: &[u8]) -> Option<(Need, Option<Po2>)> {
        let po2 = (self.figures.size_of)(task, arguments)?;
        Some((self.figures.needs.of(task.kind, po2)?, po2))
    }
}

impl Config {
    /// What is proved of this system, if anything is.
    pub(crate) fn system(&self, name: &SystemName) -> Option<&System> {
        self.systems.iter().find(|ours| ours.name == *name)
    }

    /// What people call the task of a grant.
    pub(crate) fn name_of(&self, grant: &Grant) -> String {
        match self.system(&grant.system) {
            Some(system) => (system.figures.name_of)(grant.task),
            None => grant.task.to_string(),
        }
    }

    /// What the task of a grant needs here; `None` for one that is not taken.
    pub(crate) fn need(&self, grant: &Grant) -> Option<Need> {
        let (need, _) = self.system(&grant.system)?.need(grant.task, &grant.arguments)?;
        Some(need)
    }
}
