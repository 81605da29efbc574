//! The command line of Starling: parses, prints, exits. What it does is in the crates it calls.

mod args;
mod bounds;
mod capacity;
mod class;
mod commands;
mod control;
mod exit;
mod files;
mod handover;
mod hints;
mod image_id;
mod machine;
mod order;
mod output;
mod progress;
mod signals;
mod terminal;
mod threads;
mod yardstick;

use std::{
    io::{self, Write as _},
    panic::{self, AssertUnwindSafe},
    process::ExitCode,
};

use clap::{Parser, error::ErrorKind};
use starling_child::Phases;
use tracing_subscriber::{
    EnvFilter, Layer as _, layer::SubscriberExt as _, util::SubscriberInitExt as _,
};

use crate::{
    args::{Cli, Command, Common, JobCommand, NodeArgs},
    class::Class,
    exit::{Code, CommandResult, Exit},
};

/// What is logged unless `RUST_LOG` says otherwise: what a person running a job or a node must know. Of iroh's crates the errors alone:
/// peers can cause their warnings.
const DEFAULT_LOG: &str = "warn,iroh=error,iroh_base=error,iroh_dns=error,iroh_gossip=error,iroh_relay=error,\
    n0_dns_resolver=error,n0_watcher=error,netdev=error,netwatch=error,noq=error,noq_proto=error,noq_udp=error,\
    starling=info,starling_client=info,starling_node=info,starling_net=info";

fn main() -> ExitCode {
    terminal::take_panics();
    // Before the words are understood: that they are not is an answer as well.
    exit::answer_in_json(std::env::args_os().any(|word| word == "--json"));
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(shown) => return show(&shown),
    };
    // It may have been a word for the guest.
    exit::answer_in_json(cli.common.json);
    let log = tracing_subscriber::fmt::layer()
        .with_writer(progress::Stderr)
        .fmt_fields(terminal::log_fields())
        .with_target(false)
        .with_ansi(progress::wants_colour())
        .with_filter(log_filter());
    let phases = Phases::default();
    // The prover process alone listens to its proofs.
    let heard = matches!(cli.command, Command::Prover { .. }).then(|| phases.layer());
    tracing_subscriber::registry().with(log).with(heard).init();
    let is_prover = matches!(cli.command, Command::Prover { .. });
    match panic::catch_unwind(AssertUnwindSafe(|| run(cli, phases))) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(exit)) => exit.report(),
        // Its parent knows a panic by its exit code.
        Err(panic) if is_prover => panic::resume_unwind(panic),
        // Where, and with which words, is said already.
        Err(_) => Exit::message(Code::Failed, "the program panicked: that is a bug in Starling")
            .classed(Class::Internal)
            .hinted("please report it, with the lines above")
            .report(),
    }
}

/// Shows what the parser has to say: of help and versions, whether it could be shown.
fn show(shown: &clap::Error) -> ExitCode {
    let printed = shown.print().and_then(|()| io::stdout().flush());
    match printed {
        // A reader that has seen enough is not an error.
        Err(error) if !shown.use_stderr() && error.kind() != io::ErrorKind::BrokenPipe => {
            let what = anyhow::Error::from(error).context("can't write to stdout");
            Exit::from(what).report()
        }
        _ if !shown.use_stderr() => ExitCode::SUCCESS,
        // The parser has shown the help instead of an error.
        _ if shown.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            Exit::message(Code::Usage, "a command is missing: choose one of those above").report()
        }
        _ => {
            let text = shown.render().to_string();
            let first = text.split("\n\n").next().unwrap_or_default();
            let message = first.trim_start_matches("error: ").trim_end();
            Exit::message(Code::Usage, message).answer();
            ExitCode::from(u8::try_from(shown.exit_code()).unwrap_or(Code::Usage as u8))
        }
    }
}

/// Runs a command that leaves nothing to be put in order when it is ended.
async fn at_once(common: Common, command: Command) -> CommandResult {
    match command {
        Command::Verify(args) => commands::verify::run(&common, &args),
        Command::Inspect(args) => commands::inspect::run(&common, &args),
        Command::Execute(args) => commands::execute::run(&common, args).await,
        Command::Job(command) => commands::job::run(&common, &command).await,
        Command::Doctor(args) => commands::doctor::run(&common, &args).await,
        Command::Bench(command) => commands::bench::run(&common, &command).await,
        Command::Prove(_) | Command::Compress(_) | Command::Node(_) | Command::Prover { .. } => {
            unreachable!("handled before")
        }
    }
}

fn log_filter() -> EnvFilter {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(DEFAULT_LOG));
    // At `debug` the zkVM decodes what guests print as UTF-8, and fails those that print anything else:
    // a general `RUST_LOG=debug` must not change what a guest does.
    match "risc0_zkvm=info".parse() {
        Ok(directive) => filter.add_directive(directive),
        Err(_) => filter,
    }
}

fn run(cli: Cli, phases: Phases) -> CommandResult {
    // Who asks for other vectors compares: with a wrong name, it would be the wrong figures.
    starling_zkvm::backend::check_vectors().map_err(|error| Exit::message(Code::Usage, error))?;
    // The prover process is native code with a memory limit: it has no use for an async runtime.
    if let Command::Prover { system } = &cli.command {
        return commands::prover::run(system, phases);
    }
    // A node computes next to nothing itself: its client shares the machine out among several.
    let wanted = match &cli.command {
        Command::Node(NodeArgs { supervised: true, threads: Some(threads), .. }) => *threads,
        _ => machine::cores(),
    };
    let runtime = threads::runtime(wanted as usize)?;
    let Cli { common, command } = cli;
    let result = runtime.block_on(async {
        match command {
            // These end in order.
            Command::Prove(args) => commands::prove::run(&common, &args).await,
            Command::Compress(args) => commands::prove::compress(&common, &args).await,
            Command::Job(JobCommand::Resume { job, receipt, network }) => {
                commands::job::resume(&common, &job, receipt, &network).await
            }
            Command::Node(args) => commands::node::run(&common, &args).await,
            command => signals::or_interrupted(move || at_once(common, command)).await,
        }
    });
    // A blocking thread may sit in the executor or in a read of stdin: the result does not wait for it.
    runtime.shutdown_background();
    starling_store::wait_for_closed_logs();
    result
}
