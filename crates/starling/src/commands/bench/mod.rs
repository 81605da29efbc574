//! `starling bench`: what tasks cost on this machine, and how close a job comes to the best that its
//! tasks allow.

mod job;
mod measure;
mod tasks;

use crate::{
    args::{BenchCommand, Common},
    exit::CommandResult,
};

pub async fn run(common: &Common, command: &BenchCommand) -> CommandResult {
    match command {
        BenchCommand::Tasks(args) => tasks::run(common, args).await,
        BenchCommand::Job(args) => job::run(common, args).await,
    }
}
