//! A job of the fake system with an enemy beside it: the client, an honest node and the enemy are processes, over real QUIC.
//!
//! Played once with and once without the enemy, it says what the enemy costs. Whoever is attacked is watched: how much memory it
//! takes at most, and how much it logs.

use std::{
    fs, io,
    io::{BufRead as _, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use crate::{Running, Sum, free_port, node};

/// No job takes so long, unless somebody keeps it from its end.
const HANGS_AFTER: Duration = Duration::from_secs(100);

/// How often it is looked at the memory of who is attacked.
const PERIOD: Duration = Duration::from_millis(50);

/// How long the enemy is alone with who is attacked once it has connected, before an honest peer comes.
const HEAD_START: Duration = Duration::from_millis(500);

/// What is logged by who is attacked: what `starling` logs unless it is told otherwise.
const LOG: &str = "warn,starling=info,starling_client=info,starling_node=info,starling_net=info";

/// Who is attacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Victim {
    /// The client; the honest node beside the enemy dials it.
    Client,
    /// A node that hears of clients by gossip; the honest client joins there.
    Node,
}

/// Who attacks.
#[derive(Debug, Clone, Copy)]
pub struct Enemy<'a> {
    /// A behaviour of `starling-hostile`.
    pub behaviour: &'a str,
    /// How many peers behave so at once.
    pub count: u64,
    /// How many keys they have together.
    pub keys: u64,
}

/// A job, and who is there.
#[derive(Debug, Clone, Copy)]
pub struct Scene<'a> {
    /// The folder with the programs of this crate.
    pub programs: &'a Path,
    /// Whom the enemy attacks, if there is one.
    pub victim: Victim,
    /// Who attacks.
    pub enemy: Option<Enemy<'a>>,
    /// How many segments the job has.
    pub segments: u32,
    /// How large each is.
    pub size_bytes: u32,
    /// How long a task takes the honest node.
    pub pace: Duration,
}

/// What the enemy says that it has done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Deeds {
    /// Connections that it made.
    pub connections: u64,
    /// Leases that it was granted.
    pub leases: u64,
    /// Messages that it sent.
    pub messages: u64,
    /// Bytes that were taken of it unasked.
    pub bytes: u64,
}

/// How it went.
#[derive(Debug, Clone)]
pub struct Played {
    /// From the coming of the honest peer to the end of the job.
    pub took: Duration,
    /// The most memory that who was attacked had.
    pub memory_peak_bytes: u64,
    /// The lines that it logged.
    pub log_line_count: usize,
    /// How long it was there.
    pub watched: Duration,
    /// What was delivered.
    pub delivered: Vec<Sum>,
    /// What the enemy did.
    pub deeds: Deeds,
}

impl Scene<'_> {
    /// Plays the job to its end.
    ///
    /// # Errors
    /// When a program can't be started, or the job does not end.
    pub fn play(&self) -> io::Result<Played> {
        let dir = tempfile::tempdir()?;
        match self.victim {
            Victim::Client => {
                let mut client = Watched::start(self.client(dir.path(), None)?)?;
                let ticket = client.hear("ticket ")?;
                let enemy = self.attack(&ticket, &mut client)?;
                let manners = format!("pace={}", self.pace.as_millis());
                let honest = node(self.programs, &ticket, &dir.path().join("node"), 1, &manners)?;
                let began = Instant::now();
                let delivered = delivered(&mut client, None)?;
                let played = client.played(began.elapsed(), delivered, enemy);
                drop(honest);
                Ok(played)
            }
            Victim::Node => {
                let mut victim = Watched::start(self.node(dir.path())?)?;
                let ticket = victim.hear("ticket ")?;
                let enemy = self.attack(&ticket, &mut victim)?;
                let began = Instant::now();
                let mut client = Watched::start(self.client(dir.path(), Some(&ticket))?)?;
                let delivered = delivered(&mut client, Some(&mut victim))?;
                Ok(victim.played(began.elapsed(), delivered, enemy))
            }
        }
    }

    fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.programs.join(name));
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        command
    }

    fn client(&self, dir: &Path, join: Option<&str>) -> io::Result<Command> {
        let mut command = self.program("starling-fake-client");
        command.arg(dir.join("client")).arg(free_port()?.to_string()).arg("segments");
        command.arg(self.segments.to_string()).arg(self.size_bytes.to_string()).args(join);
        Ok(command)
    }

    /// A node that hears of clients by gossip.
    fn node(&self, dir: &Path) -> io::Result<Command> {
        let mut command = self.program("starling-fake-node");
        let home: PathBuf = dir.join("node");
        command.arg("-").arg(home).arg("1").arg(format!("pace={}", self.pace.as_millis()));
        Ok(command)
    }

    /// Lets the enemy loose, if there is one, and waits until it has come near.
    fn attack(&self, ticket: &str, victim: &mut Watched) -> io::Result<Option<Watched>> {
        let Some(Enemy { behaviour, count, keys }) = self.enemy else { return Ok(None) };
        let mut command = self.program("starling-hostile");
        command.args([behaviour, "--ticket", ticket, "--count", &count.to_string()]);
        command.args(["--keys", &keys.to_string()]);
        let mut enemy = Watched::start(command)?;
        let until = Instant::now() + HANGS_AFTER;
        while enemy.deeds.connections + enemy.deeds.messages == 0 {
            if Instant::now() > until {
                return Err(io::Error::other(format!("{behaviour} does nothing")));
            }
            enemy.look()?;
        }
        let until = Instant::now() + HEAD_START;
        while Instant::now() < until {
            victim.look()?;
        }
        Ok(Some(enemy))
    }
}

/// What the client delivers, while another process is watched as well.
fn delivered(client: &mut Watched, mut other: Option<&mut Watched>) -> io::Result<Vec<Sum>> {
    let until = Instant::now() + HANGS_AFTER;
    while client.delivered.is_empty() {
        if Instant::now() > until {
            return Err(io::Error::other(format!(
                "the job does not end:\n{}",
                client.last_words()
            )));
        }
        client.look()?;
        if let Some(other) = &mut other {
            other.look()?;
        }
    }
    Ok(client.delivered.clone())
}

/// A process that is watched. It is killed when this is dropped.
struct Watched {
    process: Running,
    began: Instant,
    lines: mpsc::Receiver<String>,
    said: Vec<String>,
    logged: Arc<AtomicUsize>,
    log: mpsc::Receiver<String>,
    memory_peak_bytes: u64,
    delivered: Vec<Sum>,
    deeds: Deeds,
}

impl Watched {
    fn start(mut command: Command) -> io::Result<Self> {
        let mut child: Child = command.stderr(Stdio::piped()).env("RUST_LOG", LOG).spawn()?;
        let pipe = || io::Error::other("a pipe that was asked for");
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let lines = lines_of(stdout.ok_or_else(pipe)?, Arc::default());
        let logged = Arc::new(AtomicUsize::new(0));
        let log = lines_of(stderr.ok_or_else(pipe)?, logged.clone());
        Ok(Self {
            process: Running(child),
            began: Instant::now(),
            lines,
            said: Vec::new(),
            logged,
            log,
            memory_peak_bytes: 0,
            delivered: Vec::new(),
            deeds: Deeds::default(),
        })
    }

    /// Listens for a moment, and looks at its memory.
    fn look(&mut self) -> io::Result<()> {
        match self.lines.recv_timeout(PERIOD) {
            Ok(line) => self.take(line),
            Err(mpsc::RecvTimeoutError::Timeout) => {}
            Err(mpsc::RecvTimeoutError::Disconnected) if self.delivered.is_empty() => {
                return Err(io::Error::other(format!("it has ended:\n{}", self.last_words())));
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => {}
        }
        while let Ok(line) = self.lines.try_recv() {
            self.take(line);
        }
        // There is none to see of one that is about to end.
        let peak = memory_peak_bytes(self.process.0.id()).unwrap_or_default();
        self.memory_peak_bytes = self.memory_peak_bytes.max(peak);
        Ok(())
    }

    fn take(&mut self, line: String) {
        if let Some(sum) = line.strip_prefix("delivered ") {
            self.delivered.extend(Sum::try_from(sum.to_owned()).ok());
        } else if let Some(deeds) = deeds(&line) {
            self.deeds = deeds;
        } else {
            self.said.push(line);
        }
    }

    /// What follows `word` in the first line that begins so.
    fn hear(&mut self, word: &str) -> io::Result<String> {
        let until = Instant::now() + HANGS_AFTER;
        loop {
            if let Some(rest) = self.said.iter().find_map(|line| line.strip_prefix(word)) {
                return Ok(rest.to_owned());
            }
            if Instant::now() > until {
                return Err(io::Error::other(format!("it never says {word:?}")));
            }
            self.look()?;
        }
    }

    /// The end of its log.
    fn last_words(&self) -> String {
        let lines: Vec<String> = self.log.try_iter().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    fn played(&self, took: Duration, delivered: Vec<Sum>, enemy: Option<Self>) -> Played {
        let deeds = enemy.map_or_else(Deeds::default, |mut enemy| {
            // The latest; it may have been thrown out by now.
            let _ = enemy.look();
            enemy.deeds
        });
        Played {
            took,
            memory_peak_bytes: self.memory_peak_bytes,
            log_line_count: self.logged.load(Ordering::Relaxed),
            watched: self.began.elapsed(),
            delivered,
            deeds,
        }
    }
}

/// The lines of a pipe as they come, counted.
fn lines_of(pipe: impl Read + Send + 'static, count: Arc<AtomicUsize>) -> mpsc::Receiver<String> {
    let (say, said) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(pipe).split(b'\n').map_while(Result::ok) {
            count.fetch_add(1, Ordering::Relaxed);
            // Counted on when nobody listens.
            let _ = say.send(String::from_utf8_lossy(&line).into_owned());
        }
    });
    said
}

/// What the enemy says of itself.
fn deeds(line: &str) -> Option<Deeds> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let of = |name: &str| {
        let at = words.iter().position(|word| *word == name)?;
        words.get(at + 1)?.parse().ok()
    };
    Some(Deeds {
        connections: of("connections")?,
        leases: of("leases")?,
        messages: of("messages")?,
        bytes: of("bytes")?,
    })
}

/// The most memory that a process has had.
fn memory_peak_bytes(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()? << 10)
}
