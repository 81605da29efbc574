//! Which options of a command line the owner of the data directory decides, when a command hands its order over to the owner.
//!
//! Only one process can decide where nodes come from, how provers here run and what the disk may hold. One line tells which of these
//! options are ignored. If ignoring them would show a job to nodes that its user kept it from, or have it proved by provers that its
//! user ruled out, nothing is handed over.

use anyhow::anyhow;
use starling_client::SandboxPolicy;
use starling_zkvm::Backend;

use crate::{
    args::{ClientNetworkArgs, DISK_BUDGET_DEFAULT},
    control::Host,
    exit::Exit,
};

/// What a command that hands its order over has to be told, if anything.
///
/// # Errors
/// With exit code 2 when the order must not be handed over.
pub fn check(args: &ClientNetworkArgs, host: &Host) -> Result<Option<String>, Exit> {
    refuse_harm(args, host)?;
    let mut told = Vec::new();
    let ignored = ignored(args);
    if !ignored.is_empty() {
        told.push(format!("{} ignored, because that process decides this", ignored.join(", ")));
    }
    if host.is_reachable && !args.is_reachable() {
        told.push("nodes elsewhere may come to it, and prove this job too".to_owned());
    }
    let told = told.join("; ");
    Ok((!told.is_empty())
        .then(|| format!("the job goes to the process that owns this data directory: {told}")))
}

fn refuse_harm(args: &ClientNetworkArgs, host: &Host) -> Result<(), Exit> {
    let refuse = |why: String| Err(Exit::usage(anyhow!("{why}, or use another --data-dir")));
    if let Some(count) = args.local.filter(|_| host.is_reachable && !args.is_reachable()) {
        return refuse(format!(
            "--local {count} keeps the job on this machine, but the process that owns this data directory takes nodes from elsewhere: \
             leave --local out to let them see the job"
        ));
    }
    match host.sandbox {
        Some(theirs)
            if args.prover.sandbox == SandboxPolicy::Require
                && theirs != SandboxPolicy::Require =>
        {
            refuse(format!(
                "--sandbox require asks for provers in a full sandbox, but the provers of the process that owns this data directory \
                 run with --sandbox {theirs}: leave the option out"
            ))
        }
        _ => Ok(()),
    }
}

/// The options of the command line that say what the other process has decided.
fn ignored(args: &ClientNetworkArgs) -> Vec<&'static str> {
    let ClientNetworkArgs { join, local, prover, listen, run: _, endpoint } = args;
    let given = [
        ("--join", !join.is_empty()),
        ("--local", local.is_some()),
        ("--listen", *listen),
        ("--prover", prover.backend() != Backend::default()),
        ("--sandbox", prover.sandbox != SandboxPolicy::default()),
        ("--bind", endpoint.bind.is_some()),
        ("--external-addr", !endpoint.external_addr.is_empty()),
        ("--relay", endpoint.relay.is_some()),
        ("--disk-budget", endpoint.disk_budget != DISK_BUDGET_DEFAULT),
    ];
    given.into_iter().filter(|(_, is_given)| *is_given).map(|(name, _)| name).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::{
        args::{Cli, Command},
        exit::Code,
    };

    fn args(more: &[&str]) -> ClientNetworkArgs {
        let cli =
            Cli::try_parse_from([&["starling", "prove", "guest"][..], more].concat()).unwrap();
        match cli.command {
            Command::Prove(args) => args.network,
            _ => panic!("it is a prove"),
        }
    }

    fn host(is_reachable: bool, sandbox: Option<SandboxPolicy>) -> Host {
        Host { is_reachable, sandbox }
    }

    #[test]
    fn an_option_that_the_owner_decides_is_named_and_one_that_goes_with_the_job_is_not() {
        let at_home = host(false, Some(SandboxPolicy::Try));
        let run = ["--timeout", "5", "--node-wait", "7", "--weight", "3", "--deadline", "9"];
        assert_eq!(check(&args(&[]), &at_home).unwrap(), None);
        assert_eq!(check(&args(&run), &at_home).unwrap(), None);
        let all = [
            &["--local", "2", "--listen", "--sandbox", "off", "--bind", "127.0.0.1:7"][..],
            &["--relay", "https://relay.example.org", "--disk-budget", "1GiB"],
        ];
        let told = check(&args(&all.concat()), &at_home).unwrap().unwrap();
        let names = "--local, --listen, --sandbox, --bind, --relay, --disk-budget ignored";
        assert!(told.contains(names), "{told}");
    }

    #[test]
    fn a_job_that_is_kept_on_this_machine_is_not_handed_to_a_process_that_shows_it_to_others() {
        let open = host(true, None);
        let kept = check(&args(&["--local", "2"]), &open).unwrap_err();
        assert_eq!(kept.code, Code::Usage);
        assert!(
            kept.text().starts_with("--local 2 keeps the job on this machine"),
            "{}",
            kept.text()
        );
        check(&args(&["--local", "2", "--listen"]), &open).unwrap();
        let told = check(&args(&[]), &open).unwrap().unwrap();
        assert!(told.ends_with("nodes elsewhere may come to it, and prove this job too"), "{told}");
    }

    #[test]
    fn a_sandbox_that_is_required_is_required_of_the_owners_provers_too() {
        let strict = args(&["--sandbox", "require"]);
        let refused = check(&strict, &host(false, Some(SandboxPolicy::Try))).unwrap_err();
        assert_eq!(refused.code, Code::Usage);
        check(&strict, &host(false, Some(SandboxPolicy::Require))).unwrap();
        check(&strict, &host(false, None)).unwrap();
    }
}
