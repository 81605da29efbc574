//! A fake proof system: a prover that hashes, a verifier that compares. **It proves nothing.**
//!
//! It stands behind the same seams as a real one ([`starling_child::Prover`], [`System`](starling_client::shell::System),
//! plans, leases, blobs), so that whole networks over real QUIC, files and processes are tested in seconds. No program that
//! is released depends on this crate.
//!
//! - A task on one piece of raw data hashes it with the task's index: a [`Sum`] of one.
//! - A task on results adds them up: neighbours to the sum of both ranges, as joins do, however the range was split; and a
//!   result that begins where the first does is folded into that, as an assumption is resolved.
//! - A task on one result marks it finished.
//!
//! So any plan of leaves, merges, chains and rounds can be played, and a client that has the raw data knows what each result must
//! be ([`Expected`]). Kinds of tasks mean nothing here. What a prover does wrong is in its parameters ([`Manners`]).
//!
//! Three kinds of jobs are played through the real client: [`Segments`], [`Merges`], [`Rounds`]. `starling-fake-client` runs
//! one of them, `starling-fake-node` proves for it, `starling-fake-many` measures one with many nodes, and `starling-hostile` keeps
//! to no rules: a [`Scene`] is a job beside which it is at work.

mod claimant;
mod expected;
mod jobs;
mod manners;
mod node;
mod process;
mod prover;
mod scene;
mod sum;
mod trespass;

pub use claimant::Claimant;
pub use expected::{Expected, Mismatch};
pub use jobs::{
    Merges, MergesEvent, Request, Rounds, RoundsEvent, Segments, SegmentsEvent, Sums, raw,
};
pub use manners::{Manners, ParseMannersError};
pub use node::fake_prover;
pub use process::{Running, free_port, log_as_told, node};
pub use prover::Hashing;
pub use scene::{Deeds, Enemy, Played, Scene, Victim};
pub use sum::{NotASum, Sum};
pub use trespass::TRY_COUNT;

/// The system's name, and that of the next release of it, which is a system of its own and otherwise the same.
pub const SYSTEMS: [&str; 2] = ["fake/1", "fake/2"];
