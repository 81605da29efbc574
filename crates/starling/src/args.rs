//! The words of the command line. Parsing only: what they do is in `commands/`.

use std::{env::VarError, net::SocketAddr, path::PathBuf};

use bytesize::ByteSize;
use clap::{Args, Parser, Subcommand, ValueEnum};
use serde::{Deserialize, Serialize};
use starling_child::SandboxPolicy;
use starling_client::{Terms, WEIGHT_MAX, paths};
use starling_proto::{RelayUrl, Ticket, is_dialable};
use starling_types::{JobId, Po2, Profile, ReceiptKind, TaskKind, WorkLogId};
use starling_zkvm::{
    Backend, KECCAK_PO2, KECCAK_PO2_DEFAULT, SEGMENT_PO2_DEFAULT, SEGMENT_PO2_MAX, SEGMENT_PO2_MIN,
};

use crate::capacity::Capacity;

/// Prove big RISC Zero programs on networks of small machines.
///
/// One process at a time owns a data directory. If another process owns it already, a `prove`, `compress` or `job resume` hands
/// its job over to the owner, which proves it beside its own jobs and with its own nodes; Ctrl-C stops the job as usual. Options
/// about nodes, provers and the disk are then ignored with a warning, because the owner decides these.
///
/// Results go to stdout, progress and logs to stderr (RUST_LOG sets what is logged).
/// Exit codes: 0 done, 1 failed, 2 usage, 3 receipt does not verify, 4 no capacity or out of time,
/// 130 interrupted.
#[derive(Debug, Parser)]
#[command(name = "starling", version, arg_required_else_help = true, propagate_version = true)]
pub struct Cli {
    #[command(flatten)]
    pub common: Common,
    #[command(subcommand)]
    pub command: Command,
}

/// What every command understands.
#[derive(Debug, Clone, Args)]
pub struct Common {
    /// Print the result as one JSON object on stdout.
    #[arg(long, global = true)]
    pub json: bool,
    /// Where jobs, blobs and keys are kept [default: what STARLING_DATA_DIR says, else `starling` in the XDG data directory].
    #[arg(long, global = true, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Prove a guest: run it, have its segments proved by nodes, deliver one receipt.
    #[command(after_help = Capacity::help())]
    Prove(ProveArgs),
    /// Make a composite receipt succinct, by nodes.
    Compress(CompressArgs),
    /// Be a node: prove for clients until interrupted.
    #[command(after_help = Capacity::help())]
    Node(NodeArgs),
    /// Verify a receipt file.
    Verify(VerifyArgs),
    /// Say what a guest binary or a receipt file holds.
    Inspect(InspectArgs),
    /// Run a guest without proving it: its journal, cycles and segments.
    Execute(GuestArgs),
    /// The jobs of this data directory.
    #[command(subcommand)]
    Job(JobCommand),
    /// Check that this machine can prove, and how fast.
    Doctor(DoctorArgs),
    /// Measure this machine.
    #[command(subcommand)]
    Bench(BenchCommand),
    /// The prover process that a node supervises. Not for people.
    #[command(hide = true)]
    Prover {
        /// The proof system that it is for.
        system: String,
    },
}

/// A guest and all that it is given.
#[derive(Debug, Clone, Args, Serialize, Deserialize)]
pub struct GuestArgs {
    /// The guest: a program binary (R0BF), as `cargo risczero build` makes it.
    #[serde(with = "paths")]
    pub guest: PathBuf,
    /// The bytes of the guest's standard input; `-` reads them from this process's own.
    #[arg(long, value_name = "FILE")]
    #[serde(with = "paths")]
    pub input: Option<PathBuf>,
    /// A frame on the guest's standard input, after --input: the size of the file in the form that `env::read_frame` wants, then
    /// the file's bytes. May be given several times.
    #[arg(long, value_name = "FILE")]
    #[serde(with = "paths")]
    pub frame: Vec<PathBuf>,
    /// An argument of the guest; may be given several times. Other users of this machine can see it: what is secret goes into
    /// the input.
    #[arg(long = "arg", value_name = "ARG", allow_hyphen_values = true)]
    pub args: Vec<String>,
    /// An environment variable that the guest may ask for; may be given several times. Without a value, it has that of this
    /// command's own environment, which other users of the machine can't see as they can see a value here.
    #[arg(long = "env", value_name = "KEY[=VALUE]", value_parser = parse_env)]
    pub env: Vec<(String, String)>,
    /// The receipt of something that the guest verifies (`env::verify`); may be given several times.
    #[arg(long = "assumption", value_name = "FILE")]
    #[serde(with = "paths")]
    pub assumptions: Vec<PathBuf>,
    /// Segments have at most 2^N cycles, 14 to 22: smaller segments fit weaker nodes, larger ones waste less. Avoid 15, with which
    /// most of each segment is empty.
    #[arg(long, value_name = "N", default_value_t = po2(SEGMENT_PO2_DEFAULT), value_parser = parse_segment_po2)]
    pub segment_po2: Po2,
    /// Keccak proofs have 2^N cycles, 14 to 18, of which each permutation takes 200.
    #[arg(long, value_name = "N", default_value_t = po2(KECCAK_PO2_DEFAULT), value_parser = parse_keccak_po2)]
    pub keccak_po2: Po2,
    /// Give the guest up after this many user cycles.
    #[arg(long, value_name = "CYCLES", visible_alias = "session-limit")]
    pub cycle_limit: Option<u64>,
}

#[derive(Debug, Args)]
pub struct ProveArgs {
    #[command(flatten)]
    pub guest: GuestArgs,
    /// What to deliver.
    #[arg(long, value_name = "KIND", default_value = "succinct")]
    pub receipt_kind: ReceiptKindArg,
    /// Where to write the receipt [default: the guest's name with `.receipt`, here].
    #[arg(long, value_name = "OUT")]
    pub receipt: Option<PathBuf>,
    /// Also prove a guest that ends with an exit code other than zero.
    #[arg(long)]
    pub prove_guest_errors: bool,
    /// Count the job's work for this work log (an Ethereum address, PoVW), and write the work receipt too, beside the receipt,
    /// with `.work` at the end of its name.
    #[arg(long, value_name = "LOG_ID")]
    pub povw: Option<WorkLogId>,
    /// Forget what an earlier run of the same job has done, and start it anew.
    #[arg(long)]
    pub fresh: bool,
    #[command(flatten)]
    pub network: ClientNetworkArgs,
}

#[derive(Debug, Args)]
pub struct CompressArgs {
    /// A composite receipt.
    pub composite: PathBuf,
    /// What to make of it: `succinct` or `groth16`.
    #[arg(long, value_name = "KIND", default_value = "succinct")]
    pub receipt_kind: ReceiptKindArg,
    /// Where to write the receipt [default: the composite's name with `.succinct` or `.groth16`, here].
    #[arg(long, value_name = "OUT")]
    pub receipt: Option<PathBuf>,
    #[command(flatten)]
    pub network: ClientNetworkArgs,
}

/// Where a client finds its nodes.
#[derive(Debug, Clone, Args)]
pub struct ClientNetworkArgs {
    /// A ticket that a node printed; may be given several times. Nodes that it knows hear of the job too.
    #[arg(long, value_name = "TICKET")]
    pub join: Vec<Ticket>,
    /// Start N nodes on this machine [default: what its cores and memory carry, or 0 with --join or --listen].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(..=1024))]
    pub local: Option<u32>,
    #[command(flatten)]
    pub prover: ProverArgs,
    /// Print a ticket with which nodes can come to this job (`starling node --client TICKET`).
    #[arg(long)]
    pub listen: bool,
    #[command(flatten)]
    pub run: RunArgs,
    #[command(flatten)]
    pub endpoint: EndpointArgs,
}

impl ClientNetworkArgs {
    /// Whether nodes elsewhere can come, so that the user lets them see the job.
    pub fn is_reachable(&self) -> bool {
        let Self { join, listen, endpoint, .. } = self;
        let EndpointArgs { bind, external_addr, relay, .. } = endpoint;
        let says_where = bind.is_some() || !external_addr.is_empty() || relay.is_some();
        *listen || !join.is_empty() || says_where
    }
}

/// When a job gives up, and its share of the nodes.
#[derive(Debug, Clone, Args, Serialize, Deserialize)]
pub struct RunArgs {
    /// Give up after so many seconds in which no node could take what was ready, or no node worked for the job though there was
    /// work. A node that is merely connected does not count as working; one that proves for another job of the same data
    /// directory does.
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    pub node_wait: u64,
    /// Stop the job after so many seconds from the start of this command; it can be resumed. A job that another command asked for
    /// first goes on without this command.
    #[arg(long, value_name = "SECONDS")]
    pub timeout: Option<u64>,
    /// The job's share of the nodes against the shares of other jobs in the same data directory.
    #[arg(long, value_name = "N", default_value_t = Terms::WEIGHT_USUAL, value_parser = clap::value_parser!(u32).range(1..=i64::from(WEIGHT_MAX)))]
    pub weight: u32,
    /// Seconds in which the job should be done: until then it goes before other jobs in the same data directory.
    #[arg(long, value_name = "SECONDS")]
    pub deadline: Option<u64>,
}

/// How proofs are made on this machine.
#[derive(Debug, Clone, Args)]
pub struct ProverArgs {
    /// The prover: `fast` is Starling's own code; `stock`, in builds with the feature `stock`, is that of risc0-zkvm, to compare.
    #[arg(long, value_name = "PROVER", default_value = "fast", value_parser = parse_backend)]
    prover: Backend,

    /// Whether provers first give up files, network and other programs, since they work on what strangers sent: `require`
    /// refuses to prove if the system offers only a part of that, `try` takes what the system offers and says what is missing,
    /// `off` is for debugging.
    #[arg(long, value_name = "POLICY", default_value_t, value_parser = parse_sandbox)]
    pub sandbox: SandboxPolicy,
}

impl ProverArgs {
    /// The prover that was asked for.
    pub fn backend(&self) -> Backend {
        self.prover
    }
}

/// What the blobs may take unless the user says otherwise.
pub const DISK_BUDGET_DEFAULT: u64 = 20 << 30;

/// The longest time that a node waits for its client, in seconds: a year.
const PATIENCE_MAX: u64 = 365 * 24 * 3600;

/// How this machine is reached, and what it may fill.
#[derive(Debug, Clone, Args)]
pub struct EndpointArgs {
    /// The UDP address to bind [default: any free port of every interface].
    #[arg(long, value_name = "IP:PORT")]
    pub bind: Option<SocketAddr>,
    /// An address that others reach this machine at and that it does not have itself: that of a NAT which passes the port on, given
    /// to --bind. It comes first in tickets and ads; may be given several times.
    #[arg(long, value_name = "IP:PORT", value_parser = parse_external_addr)]
    pub external_addr: Vec<SocketAddr>,
    /// A relay of your own (an iroh relay's URL) for machines that can't reach each other directly.
    #[arg(long, value_name = "URL", value_parser = parse_relay)]
    pub relay: Option<String>,
    /// The most that the blobs in the data directory may take.
    #[arg(long, value_name = "SIZE", default_value = "20GiB", value_parser = parse_size)]
    pub disk_budget: u64,
}

#[derive(Debug, Args)]
pub struct NodeArgs {
    /// The ticket of another node: this node hears of the jobs that the other hears of. May be given several times.
    #[arg(long, value_name = "TICKET")]
    pub join: Vec<Ticket>,
    /// Prove for this one client (its ticket: `starling prove --listen`), and exit with its job.
    #[arg(long, value_name = "TICKET", conflicts_with = "join")]
    pub client: Option<Ticket>,
    /// Seconds for which that client is dialled again and again while it can't be reached, so that the node is there when the client
    /// comes back [default: 60].
    #[arg(long, value_name = "SECONDS", requires = "client", value_parser = clap::value_parser!(u64).range(..=PATIENCE_MAX))]
    pub patience: Option<u64>,
    /// The memory that proving may use [default: three quarters of what is free]. If a task fits a slot's share of it with
    /// everything kept, it is proved so; otherwise it is proved with less memory and takes little longer. A prover process may
    /// allocate a quarter and 256 MiB more than its task is counted for.
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub memory: Option<u64>,
    /// Tasks proved side by side; the memory and the cores are shared between them.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub slots: u32,
    /// Threads for each task [default: the cores, divided by the slots].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub threads: Option<u32>,
    /// Take no segment above 2^N cycles.
    #[arg(long, value_name = "N", default_value = "22", value_parser = parse_segment_po2)]
    pub po2_max: Po2,
    /// The kinds of tasks to take: prove, lift, join, keccak, union, resolve, unwrap, lift-receipt [default: all].
    #[arg(long, value_name = "KIND,...", value_delimiter = ',', value_parser = parse_task_kind)]
    pub kinds: Vec<TaskKind>,
    #[command(flatten)]
    pub prover: ProverArgs,
    /// Stay on the loopback interface.
    #[arg(long)]
    pub loopback: bool,
    /// Read from stdin whom to prove for, and end when it ends, as a node does that a client has started.
    #[arg(long, hide = true, conflicts_with_all = ["client", "join"])]
    pub supervised: bool,
    #[command(flatten)]
    pub endpoint: EndpointArgs,
}

#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// The receipt file; `-` reads it from this process's own standard input.
    pub receipt: PathBuf,
    /// The image id that the receipt must be of: in hex, as the eight numbers of `methods.rs`, or the guest's file.
    #[arg(long, value_name = "ID")]
    pub image_id: String,
}

#[derive(Debug, Args)]
pub struct InspectArgs {
    /// A guest binary or a receipt.
    pub file: PathBuf,
}

#[derive(Debug, Subcommand)]
pub enum JobCommand {
    /// One line for each job.
    List,
    /// Everything known of a job.
    Show {
        /// The job's id, or the first digits of it.
        job: JobArg,
    },
    /// Go on with a job that was stopped.
    Resume {
        /// The job's id, or the first digits of it.
        job: JobArg,
        /// Where to write the receipt [default: the job's id with `.receipt`, here].
        #[arg(long, value_name = "OUT")]
        receipt: Option<PathBuf>,
        #[command(flatten)]
        network: ClientNetworkArgs,
    },
    /// Give a job up and free what it holds.
    Cancel {
        /// The job's id, or the first digits of it.
        job: JobArg,
    },
    /// Forget jobs that have been done or cancelled for long, with the receipts that are kept of them here. Receipt files stay, and
    /// so do jobs that can be gone on with.
    Prune {
        /// For how many days they must have been over; 0 takes them all.
        #[arg(long, value_name = "DAYS", default_value_t = 30)]
        older: u32,
    },
    /// Write the finished receipts of a data directory to files whose job log is ruined or lost, and put that log aside, so that
    /// the directory can be used again.
    Recover {
        /// Where to write them.
        #[arg(long, value_name = "DIR", default_value = ".")]
        out: PathBuf,
    },
}

/// A job's id, whole or its first digits.
#[derive(Debug, Clone)]
pub struct JobArg(pub String);

impl std::str::FromStr for JobArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.to_ascii_lowercase();
        let hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        if digits.is_empty() || !hex || digits.len() > 2 * JobId::SIZE_BYTES {
            return Err("a job id is up to 32 hex digits: `starling job list` shows them".into());
        }
        Ok(Self(digits))
    }
}

#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Leave out the proof, which takes some seconds, or a minute on a slow machine.
    #[arg(long)]
    pub quick: bool,
}

#[derive(Debug, Subcommand)]
pub enum BenchCommand {
    /// Time and peak memory of each kind of task, po2 by po2.
    Tasks(BenchTasksArgs),
    /// A job's wall time against the least that its tasks allow.
    Job(BenchJobArgs),
    /// Proofs with each set of vectors and in each profile, in turn with proofs of another prover, several times.
    Versus(BenchVersusArgs),
}

#[derive(Debug, Args)]
pub struct BenchVersusArgs {
    /// The sizes of segments and keccak batches to prove.
    #[arg(long, value_name = "N", num_args = 1.., value_delimiter = ',', default_values = ["14", "16"], value_parser = parse_segment_po2)]
    pub po2: Vec<Po2>,
    /// What to prove.
    #[arg(long, value_name = "TASK", num_args = 1.., value_delimiter = ',', default_values = ["prove"])]
    pub only: Vec<VersusTask>,
    /// Sets of vectors of the fast prover [default: all that this machine has].
    #[arg(long, value_name = "NAME", num_args = 1.., value_delimiter = ',', value_parser = parse_vectors)]
    pub vectors: Vec<&'static str>,
    /// How often everything is proved.
    #[arg(long, value_name = "N", default_value = "5", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub rounds: u32,
    /// Threads of the prover.
    #[arg(long, value_name = "N", default_value = "1", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub threads: u32,
    /// The prover to compare with: the fast one with the widest vectors, or `stock`.
    #[command(flatten)]
    pub prover: ProverArgs,
}

/// A kind of task that provers can be compared by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum VersusTask {
    /// The proof of a segment.
    Prove,
    /// A keccak proof, lifted.
    Keccak,
}

#[derive(Debug, Args)]
pub struct BenchTasksArgs {
    /// The smallest segments to measure.
    #[arg(long, value_name = "N", default_value = "14", value_parser = parse_segment_po2)]
    pub po2_min: Po2,
    /// The largest segments to measure.
    #[arg(long, value_name = "N", default_value = "18", value_parser = parse_segment_po2)]
    pub po2_max: Po2,
    /// Measure only these tasks; keccak proofs are measured for the sizes of segments, up to 2^18 [default: all].
    #[arg(long, value_name = "TASK", num_args = 1.., value_delimiter = ',')]
    pub only: Vec<BenchTask>,
    /// How provers trade memory for time [default: both ways].
    #[arg(long, value_name = "PROFILE")]
    pub profile: Option<ProfileArg>,
    /// Say where the time of each task goes.
    #[arg(long)]
    pub phases: bool,
    /// Threads of the prover [default: every core].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub threads: Option<u32>,
    #[command(flatten)]
    pub prover: ProverArgs,
}

/// A kind of task that can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum BenchTask {
    /// A join of two receipts.
    Join,
    /// The proof of a segment.
    Prove,
    /// The same, and lifting its receipt, in one task.
    Lift,
    /// A keccak proof, lifted.
    Keccak,
}

/// [`Profile`], as words.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum ProfileArg {
    /// Everything that is needed again is kept.
    Usual,
    /// With less memory.
    Frugal,
}

impl From<ProfileArg> for Profile {
    fn from(profile: ProfileArg) -> Self {
        match profile {
            ProfileArg::Usual => Self::Usual,
            ProfileArg::Frugal => Self::Frugal,
        }
    }
}

#[derive(Debug, Args)]
pub struct BenchJobArgs {
    /// The lengths of the SHA-256 chains, a job each.
    #[arg(long, value_name = "N", num_args = 1.., default_values_t = [5, 20], value_parser = clap::value_parser!(u32).range(1..))]
    pub links: Vec<u32>,
    /// Segments have at most 2^N cycles.
    #[arg(long, value_name = "N", default_value = "16", value_parser = parse_segment_po2)]
    pub segment_po2: Po2,
    /// Nodes to start [default: as `prove` does].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub local: Option<u32>,
    #[command(flatten)]
    pub prover: ProverArgs,
}

/// `ReceiptKind`, as words.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum ReceiptKindArg {
    Composite,
    Succinct,
    Groth16,
}

impl From<ReceiptKindArg> for ReceiptKind {
    fn from(kind: ReceiptKindArg) -> Self {
        match kind {
            ReceiptKindArg::Composite => Self::Composite,
            ReceiptKindArg::Succinct => Self::Succinct,
            ReceiptKindArg::Groth16 => Self::Groth16,
        }
    }
}

fn parse_sandbox(text: &str) -> Result<SandboxPolicy, String> {
    text.parse::<SandboxPolicy>().map_err(|error| error.to_string())
}

/// A prover of this build.
fn parse_backend(text: &str) -> Result<Backend, String> {
    let known = Backend::ALL.iter().find(|backend| backend.name() == text);
    known.copied().ok_or_else(|| match text {
        "stock" => "this build is without RISC Zero's own prover, whose C++ takes half an hour to compile; build it with \
                    `cargo build --release -p starling --features stock`"
            .into(),
        _ => "there are `fast` and, in a build with the feature `stock`, `stock`".into(),
    })
}

/// A set of vectors of this machine.
fn parse_vectors(text: &str) -> Result<&'static str, String> {
    starling_zkvm::backend::vectors().find(|name| *name == text).ok_or_else(|| {
        let names: Vec<_> = starling_zkvm::backend::vectors().collect();
        format!("this machine has {}", names.join(", "))
    })
}

/// The name of a kind of task.
fn parse_task_kind(text: &str) -> Result<TaskKind, String> {
    TaskKind::ALL.into_iter().find(|kind| kind.name() == text).ok_or_else(|| {
        let names = TaskKind::ALL.map(TaskKind::name).join(", ");
        format!("the kinds are {names}")
    })
}

/// A po2 that segments can have: fewer than the circuit knows, since each is lifted too.
fn parse_segment_po2(text: &str) -> Result<Po2, String> {
    let number = text.parse::<u32>().ok();
    number
        .filter(|number| (SEGMENT_PO2_MIN..=SEGMENT_PO2_MAX).contains(number))
        .and_then(|number| Po2::try_from(number).ok())
        .ok_or_else(|| format!("a segment has a po2 of {SEGMENT_PO2_MIN} to {SEGMENT_PO2_MAX}"))
}

/// A size that keccak proofs can have.
fn parse_keccak_po2(text: &str) -> Result<Po2, String> {
    let (min, max) = (KECCAK_PO2.start(), KECCAK_PO2.end());
    let number = text.parse::<u32>().ok();
    number
        .filter(|number| KECCAK_PO2.contains(number))
        .map(po2)
        .ok_or_else(|| format!("keccak proofs have 2^{min} to 2^{max} cycles"))
}

/// `number` as a po2, which it is.
fn po2(number: u32) -> Po2 {
    number.try_into().expect("checked to be a po2")
}

/// `KEY=VALUE`, or `KEY`, with its value from the environment.
fn parse_env(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some(("", _)) => Err("write KEY=VALUE".to_owned()),
        Some((key, value)) => Ok((key.to_owned(), value.to_owned())),
        None if text.is_empty() => Err("write KEY=VALUE".to_owned()),
        None => match std::env::var(text) {
            Ok(value) => Ok((text.to_owned(), value)),
            Err(VarError::NotPresent) => Err(
                "this command's environment has no such variable: write KEY=VALUE, or set the variable"
                    .to_owned(),
            ),
            Err(VarError::NotUnicode(_)) => Err("its value in this command's environment is not UTF-8".to_owned()),
        },
    }
}

/// The URL of a relay, refused here rather than after a job has begun.
fn parse_relay(text: &str) -> Result<String, String> {
    let url = text.parse::<RelayUrl>().ok();
    url.filter(|url| matches!(url.scheme(), "http" | "https"))
        .map(|_| text.to_owned())
        .ok_or_else(|| "a relay has a URL like https://relay.example.org".to_owned())
}

/// An address that others can dial.
fn parse_external_addr(text: &str) -> Result<SocketAddr, String> {
    let addr = text.parse::<SocketAddr>().ok();
    addr.filter(is_dialable).ok_or_else(|| {
        "write the address and the UDP port that others dial, as 203.0.113.7:7000 or [2001:db8::7]:7000"
            .to_owned()
    })
}

/// A number of bytes: `1500000`, `512MiB`, `20GiB`, `1.5GB`.
fn parse_size(text: &str) -> Result<u64, String> {
    let size = text.parse::<ByteSize>().map(|size| size.as_u64());
    size.map_err(|_| {
        format!("{text:?} is not a size: write bytes, or a number with KiB, MiB, GiB or TiB")
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_segment_size_that_cannot_be_lifted_is_refused() {
        assert_eq!(parse_segment_po2("14").map(Po2::get), Ok(14));
        assert_eq!(parse_segment_po2("22").map(Po2::get), Ok(22));
        for wrong in ["13", "23", "-18", "18.5", ""] {
            assert!(parse_segment_po2(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_node_that_is_to_take_no_kind_of_task_or_to_have_no_slot_is_refused() {
        let node = |option: &str| Cli::try_parse_from(["starling", "node", option]);
        assert!(node("--kinds=join,lift").is_ok());
        for wrong in ["--kinds=", "--kinds=,", "--kinds=join,", "--slots=0", "--threads=0"] {
            assert!(node(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_external_address_is_one_that_others_can_dial() {
        for good in ["203.0.113.7:7000", "[2001:db8::7]:7000", "10.0.0.1:1"] {
            assert_eq!(parse_external_addr(good).map(|addr| addr.to_string()), Ok(good.into()));
        }
        for wrong in
            ["203.0.113.7", "example.org:7000", "203.0.113.7:0", "0.0.0.0:7000", "224.0.0.1:7"]
        {
            assert!(parse_external_addr(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_node_is_patient_with_a_client_that_it_was_given() {
        let ticket = Ticket(starling_proto::PeerAddr::new(starling_net::node_id_of(&[7; 32])));
        let ticket = ticket.to_string();
        let node = |more: &[&str]| Cli::try_parse_from([&["starling", "node"], more].concat());
        for good in ["0", "60", "86400"] {
            assert!(node(&["--client", &ticket, "--patience", good]).is_ok(), "{good}");
        }
        assert!(node(&["--patience", "60"]).is_err(), "there is no client to wait for");
        assert!(node(&["--client", &ticket, "--patience", "99999999999"]).is_err());
    }

    #[test]
    fn an_environment_variable_has_a_name() {
        assert_eq!(parse_env("A=b=c"), Ok(("A".into(), "b=c".into())));
        assert_eq!(parse_env("A="), Ok(("A".into(), String::new())));
        for wrong in ["", "=b", "STARLING_NOBODY_SETS_THIS"] {
            assert!(parse_env(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn sizes_are_read_with_their_units() {
        assert_eq!(parse_size("1024"), Ok(1024));
        assert_eq!(parse_size("20GiB"), Ok(20 << 30));
        assert_eq!(parse_size("1.5 gib"), Ok(3 << 29));
        assert_eq!(parse_size("3MB"), Ok(3_000_000));
        for wrong in ["", "GiB", "-1", "5 parsecs"] {
            assert!(parse_size(wrong).is_err(), "{wrong:?}");
        }
    }
}
