//! What each command does: gathers, calls, prints.

pub mod bench;
pub mod doctor;
pub mod execute;
pub mod inspect;
pub mod job;
pub mod node;
pub mod prove;
pub mod prover;
pub mod verify;
