//! `starling bench`: what tasks cost on this machine, how provers compare, and how close a job comes to the best
//! that its tasks allow.

mod job;
mod measure;
mod tasks;
mod versus;

use crate::{
    args::{BenchCommand, Common},
    exit::CommandResult,
};

pub async fn run(common: &Common, command: &BenchCommand) -> CommandResult {
    match command {
        BenchCommand::Tasks(args) => tasks::run(common, args).await,
        BenchCommand::Job(args) => job::run(common, args).await,
        BenchCommand::Versus(args) => versus::run(common, args).await,
    }
}
