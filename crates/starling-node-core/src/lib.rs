//! What a node decides, and nothing of what it does: which clients it serves, what it asks them for, which
//! leases it takes, when it renews, gives up, reports, and which blobs it keeps.
//!
//! [`Core::handle`] takes what happened and the time, and returns what is to be done. The shell around it owns
//! sockets, disk, clock and prover processes, and tells of each action how it ended. Nothing of that is here,
//! so that tests drive the same code in virtual time.
//!
//! - A lease belongs to a client and a job, not to a connection: it goes on while the connection is broken, and
//!   the client is told of it once the node is welcomed again (`links.rs`).
//! - One time limit covers all of a task, from the grant to the stored result (`tasks.rs`). For a lease that was granted ahead it
//!   begins when the lease has a slot.
//! - A task needs what the greeting told clients that it needs.
//! - Inputs have their own time to come, with a slot or without. A client whose inputs do not come gets no slot for a while, longer
//!   each time. A lease that was granted ahead and cannot begin goes back.
//! - A slot and its memory are taken before a lease is accepted, and given back when the lease's work has
//!   stopped, not when it was told to stop (`slots.rs`).
//! - A full disk is a state of the node, and fails no task: the node asks for nothing until there is room.
//! - Nothing grows with what strangers send: every table has a bound.
//!
//! ```
//! use starling_node_core::{Action, Config, Core, Event, Speed};
//! use starling_proto::PeerAddr;
//! use starling_types::{MemoryBytes, Millis, NodeId};
//!
//! let config = Config {
//!     systems: Vec::new(),
//!     memory: MemoryBytes::from_mib(1024),
//!     slots: 1,
//!     results_bytes_max: 1 << 30,
//!     seed: 7,
//! };
//! let mut node = Core::new(config, Speed::default());
//! let client = PeerAddr::new(NodeId([1; 32]));
//! let actions = node.handle(Millis(0), Event::Named { client: client.clone() });
//! assert!(matches!(&actions[..], [Action::Dial { client: dialled, .. }] if *dialled == client));
//! ```

mod blobs;
mod client;
mod config;
mod core;
mod event;
mod held;
pub mod limits;
mod links;
mod renewals;
mod results;
mod slots;
mod speed;
mod tasks;
mod work;

pub use self::{
    config::{Config, Figures, System},
    core::{Core, Counts},
    event::{
        Action, ClientEnd, Event, InputFailure, Note, Order, ProofFailure, ProofReport, SessionId,
        StoreFailure, WorkId,
    },
    held::Held,
    speed::Speed,
};
