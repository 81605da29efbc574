//! Jobs of the fake system through the real client: client, nodes and provers are processes of their own, over real QUIC, with
//! logs and blobs on a disk. Each of the three plans ends as it must though a node lies and the client is killed in mid-job.

#![allow(clippy::unwrap_used)]

use std::{
    collections::BTreeSet,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc,
    time::{Duration, Instant},
};

use starling_fake::{Expected, Running, Sum, free_port, node, raw};
use starling_job::JobEvent;
use starling_store::DataDir;
use starling_types::{NodeId, Task};
use tempfile::TempDir;

/// No step takes so long, unless something hangs.
const HANGS_AFTER: Duration = Duration::from_secs(90);

/// How large the client program makes each piece of raw data.
const SIZE_BYTES: u32 = 1000;

/// The folder with the programs.
fn programs() -> PathBuf {
    Path::new(env!("CARGO_BIN_EXE_starling-fake-node")).parent().unwrap().to_owned()
}

/// A client process, and what it says.
struct Client {
    process: Running,
    said: mpsc::Receiver<String>,
    ticket: String,
}

impl Client {
    fn start(dir: &Path, port: u16, plan: &str, count: u32) -> Self {
        let _ = env!("CARGO_BIN_EXE_starling-fake-client");
        let mut child: Child = Command::new(programs().join("starling-fake-client"))
            .args([dir.as_os_str(), port.to_string().as_ref(), plan.as_ref()])
            .arg(count.to_string())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (say, said) = mpsc::channel();
        std::thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| say.send(line)));
        let mut client = Self { process: Running(child), said, ticket: String::new() };
        client.ticket = client.hear("ticket ").unwrap();
        client
    }

    /// What follows `word` in the next line that begins so; `None` when it says no more.
    fn hear(&self, word: &str) -> Option<String> {
        loop {
            match self.said.recv_timeout(HANGS_AFTER) {
                Ok(line) => {
                    if let Some(rest) = line.strip_prefix(word) {
                        return Some(rest.to_owned());
                    }
                }
                Err(mpsc::RecvTimeoutError::Disconnected) => return None,
                Err(mpsc::RecvTimeoutError::Timeout) => panic!("hangs"),
            }
        }
    }

    /// Waits until its log, which is in `dir`, says so. It tells whenever there is more in it.
    fn wait_for(&self, dir: &Path, is_so: impl Fn(&Log) -> bool) {
        loop {
            self.hear("events ").unwrap();
            if is_so(&Log::read(dir)) {
                return;
            }
        }
    }

    /// What it delivers; it has ended then, and well.
    fn delivered(mut self) -> Vec<Sum> {
        let mut delivered = Vec::new();
        while let Some(sum) = self.hear("delivered ") {
            delivered.push(Sum::try_from(sum).unwrap());
        }
        assert!(self.process.0.wait().unwrap().success());
        delivered
    }
}

type Event = JobEvent<serde_json::Value>;

/// What a log says that was read from outside.
struct Log(Vec<Event>);

impl Log {
    fn read(dir: &Path) -> Self {
        let reader = DataDir::peek(dir).unwrap().unwrap();
        let jobs: Vec<_> = reader.keys().unwrap().iter().map(|key| key.job().unwrap()).collect();
        assert_eq!(jobs.len(), 1, "one job, found again");
        let events = reader.read(jobs[0]).unwrap();
        Self(events.iter().map(|stored| serde_json::from_str(&stored.body).unwrap()).collect())
    }

    fn starts(&self) -> usize {
        self.0.iter().filter(|event| matches!(event, Event::ClientStarted { .. })).count()
    }

    /// Who made what was accepted.
    fn makers(&self) -> BTreeSet<NodeId> {
        self.accepted().map(|(_, node)| node).collect()
    }

    /// What was accepted, for now or for good, and whose it is.
    fn accepted(&self) -> impl Iterator<Item = (Task, NodeId)> {
        self.0.iter().filter_map(|event| match event {
            Event::ResultAccepted { task, node, .. } => Some((*task, *node)),
            _ => None,
        })
    }

    fn confirmed(&self) -> Vec<Task> {
        let task = |event: &Event| match event {
            Event::ResultConfirmed { task } => Some(*task),
            _ => None,
        };
        self.0.iter().filter_map(task).collect()
    }

    fn revoked(&self) -> Vec<Task> {
        let task = |event: &Event| match event {
            Event::ResultRevoked { task } => Some(*task),
            _ => None,
        };
        self.0.iter().filter_map(task).collect()
    }
}

/// A job that was played to its end.
struct Played {
    /// What its client's log said when that was killed.
    before: Log,
    /// What it said in the end.
    after: Log,
    delivered: Vec<Sum>,
}

/// How a program ends that is about to.
fn end_of(program: &mut Running) -> ExitStatus {
    let until = Instant::now() + HANGS_AFTER;
    loop {
        if let Some(status) = program.0.try_wait().unwrap() {
            return status;
        }
        assert!(Instant::now() < until, "it goes on");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// What a job is played with.
struct Cast<'a> {
    plan: &'a str,
    count: u32,
    /// How the liar behaves.
    liar: &'a str,
    /// How all nodes behave besides until the client is killed; those that do so are started anew then.
    at_first: &'a str,
}

/// Plays a job with two honest nodes and a liar, and kills its client once its log says so.
fn play(cast: &Cast<'_>, is_time: impl Fn(&Log) -> bool) -> Played {
    let Cast { plan, count, liar, at_first } = *cast;
    let dir = TempDir::new().unwrap();
    let (client_dir, port) = (dir.path().join("client"), free_port().unwrap());
    let client = Client::start(&client_dir, port, plan, count);
    let start = |key: u8, manners: &str| {
        let dir = dir.path().join(format!("node-{key}"));
        node(&programs(), &client.ticket, &dir, key, manners).unwrap()
    };
    let start_honest =
        |more: &str| [2, 3].map(|key| start(key, &format!("pace=40,salt={key}{more}")));
    let mut dishonest = start(1, &format!("{liar}{at_first}"));
    let mut honest = start_honest(at_first);
    client.wait_for(&client_dir, is_time);
    drop(client.process);
    let before = Log::read(&client_dir);
    assert!(before.accepted().count() > 2, "it had begun");
    let client = Client::start(&client_dir, port, plan, count);
    // A node that notices the death of its client last may find the job done when it is back: the liar comes at once.
    drop(dishonest);
    dishonest = start(1, liar);
    if !at_first.is_empty() {
        drop(honest);
        honest = start_honest("");
    }
    let delivered = client.delivered();
    let after = Log::read(&client_dir);
    assert_eq!((before.starts(), after.starts()), (1, 2), "it went on with what it had");
    assert!(!end_of(&mut dishonest).success(), "it was dismissed");
    for mut node in honest {
        let ended = node.0.try_wait().unwrap();
        assert!(ended.is_none_or(|ended| ended.success()), "nobody else was: {ended:?}");
    }
    Played { before, after, delivered }
}

/// Plays a job of a plan whose results are judged one by one.
fn play_judged_alone(plan: &str, count: u32, event_count: usize) -> Vec<Sum> {
    let cast = Cast { plan, count, liar: "lies", at_first: "" };
    let Played { after, delivered, .. } = play(&cast, |log| log.0.len() >= event_count);
    let tasks: BTreeSet<_> = after.accepted().map(|(task, _)| task).collect();
    assert_eq!(tasks.len(), after.accepted().count(), "nothing is accepted twice");
    let makers = after.makers();
    assert_eq!(makers.len(), 2, "both honest nodes proved, and the liar nothing: {makers:?}");
    assert_eq!((after.confirmed(), after.revoked()), (vec![], vec![]));
    delivered
}

fn sums(count: u32) -> Expected {
    let raw: Vec<_> = (0..count).map(|index| raw(index, SIZE_BYTES)).collect();
    Expected::of(raw.iter().map(Vec::as_slice))
}

#[test]
fn a_plan_like_the_zkvms_ends_though_a_node_lies_and_the_client_is_killed() {
    // 40 segments, five keccak requests, the end, and some of the results.
    let delivered = play_judged_alone("segments", 40, 2 + 46 + 20);
    let keccaks: Vec<_> = (40..45).map(|index| raw(index, SIZE_BYTES)).collect();
    let united = Expected::of(keccaks.iter().map(Vec::as_slice)).whole().unwrap();
    let resolved = sums(40).whole().unwrap().joined(united).unwrap();
    assert_eq!(delivered, [resolved]);
}

/// The liar's results look right alone, so that others merge them: only the check of a group finds them, after the client was
/// killed with some of them in its log.
#[test]
fn wide_merges_end_though_a_node_lies_unseen_at_first_and_the_client_is_killed() {
    // Of eight results each there are fewer than a group has, however fast each node is.
    let cast = Cast { plan: "merges", count: 90, liar: "pace=40,lies", at_first: ",hangs-at=9" };
    let played = play(&cast, |log| log.makers().len() == 3);
    assert_eq!(played.delivered, [sums(90).whole().unwrap().finish()]);
    let Played { before, after, .. } = played;
    assert_eq!(before.makers().len(), 3, "what the liar made was taken for now");
    assert_eq!((before.confirmed(), before.revoked()), (vec![], vec![]), "too few for a group");
    let (confirmed, revoked) = (after.confirmed(), after.revoked());
    assert!(!revoked.is_empty());
    let sound: BTreeSet<Task> = confirmed.iter().copied().collect();
    assert_eq!(sound.len(), confirmed.len(), "what counts for good is not made again");
    let last = after.accepted().map(|(task, _)| task).last().unwrap();
    assert!(sound.contains(&last), "the finish, and with it all: {last}");
    let again = revoked.iter().filter(|task| sound.contains(task)).count();
    assert!(again > 0, "what had been false was made again");
}

#[test]
fn rounds_follow_from_the_log_though_a_node_lies_and_the_client_is_killed() {
    // In the middle of the third of four rounds.
    let delivered = play_judged_alone("rounds", 20, 2 + 50);
    assert_eq!(delivered.len(), 20);
    for (index, sum) in (60..).zip(delivered) {
        assert_eq!(sum.range.start(), index);
        assert_ne!(sum, Sum::of_raw(index, &raw(index % 20, SIZE_BYTES)), "there is a challenge");
    }
}
