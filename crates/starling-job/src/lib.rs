//! What a client decides of one job, whatever proof system it belongs to.
//!
//! [`JobCore`] is told what happened ([`Event`]) and when, and answers with what to do ([`Action`]), in order. It owns the
//! job's [state](JobState), its [scheduler](starling_sched::Scheduler), the connections of its nodes, what is being
//! written to the log, where the job's tasks come from, what is lost and found again, its patience, and its end. It refuses
//! everything else: no socket, no clock, no file, no process. A shell carries the actions out and says of each how it
//! ended; a test does the same in virtual time.
//!
//! What differs between proof systems is a [`Script`]: what they log, the plan that follows, what each result must be.
//!
//! The rules:
//! - **The log comes first.** [`Action::Record`] orders what follows: the state, the plan, the scheduler and the node hear
//!   of an event at [`Event::Recorded`], never before. Several records may be under way; nothing else waits for them. A
//!   record that fails ends the job.
//! - **The same log, the same job.** A resumed job folds its log and replays it into a plan through the same calls.
//! - **Nothing is given out before it was looked at.** A job begins by hashing what it may still read; what is gone is
//!   withheld until it is made again: a result by nodes, what the source put out by the source, in the same run.
//! - **A source is compared, not believed.** One that tells another story than the log does starts the job over, once; its
//!   nodes stay.
//! - **An end is in the log before anybody hears of it**: what was delivered, or why the job has failed. Putting together what
//!   is delivered ends with the run, whatever ends that.
//! - An old connection of a node that has come back says nothing.
//! - What is done with goes: the log keeps what the plan still reads, and little more.
//! - **What counts for now may prove false.** A result that its check could not judge alone is used, and judged with others
//!   later; what proves false falls, with all that was made of it, and its maker is dismissed.
//! - A full disk is waited for: it fails no job, blames no node and loses nothing. What the job itself leaves no room for, with
//!   nothing under way that would make some, ends the run.
//! - Nobody is believed: a blamed input is looked at here at once, and a refused task when several refuse it.
//!
//! An event costs O(log n) in nodes, tasks and results; what is rare (a loss, a start, a snapshot for people) may walk all.

#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::float_arithmetic)]

mod config;
mod core;
mod event;
mod groups;
mod kept;
mod log;
mod lost;
mod nodes;
mod records;
mod results;
mod room;
mod script;
mod source;
mod state;

pub use self::core::JobCore;
pub use config::Config;
pub use event::{
    Action, ConnectionId, End, Event, Fault, GroupId, GroupMember, JudgedInput, Note, RecordId,
    Shortage, SourceRun, Verdict, Word,
};
pub use log::JobEvent;
pub use script::{InputOf, OutcomeOf, Script, Taken, Trouble};
pub use state::{JobState, Replayed};
