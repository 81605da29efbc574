//! The thread that writes the log: what waits for it goes into one transaction, and so costs one sync.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    thread::{self, JoinHandle},
};

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::{
    beside::Beside,
    entry::Entry,
    error::{LogError, SqliteContext},
    schema,
};
use crate::{
    data_dir::Lock,
    roots::{RootName, RootSets},
};

/// The most entries in one transaction. The sync is the cost of a small one; a thousand entries share it well
/// enough, and keep what an appender waits for in the milliseconds.
const GROUP_COUNT_MAX: usize = 1024;

type Answer = Result<u64, LogError>;

/// The handle of the thread. It ends, with all written, when this is dropped, which waits for that where a thread may wait.
#[derive(Debug)]
pub(super) struct Writer {
    /// None once it is being dropped.
    requests: Option<mpsc::Sender<Asked>>,
    thread: Option<JoinHandle<()>>,
    failure_count: Arc<AtomicU64>,
    path: PathBuf,
}

/// What the thread is asked for.
enum Asked {
    Write(Request),
    /// To say so when all that was handed over before is written, or has failed.
    Settle(mpsc::SyncSender<()>),
}

/// An entry on its way.
struct Request {
    entry: Entry,
    /// How many failures its appender could know of.
    failures_known: u64,
    answer: Answering,
}

/// Where an answer goes.
enum Answering {
    Task(oneshot::Sender<Answer>),
    Thread(mpsc::SyncSender<Answer>),
}

impl Request {
    /// Answers, once the pins of the entry are gone: what follows may rely on that.
    fn answer(self, answer: Answer) {
        let Self { entry, answer: answering, .. } = self;
        drop(entry);
        // An appender that is gone has no use for the answer.
        match answering {
            Answering::Task(sender) => drop(sender.send(answer)),
            Answering::Thread(sender) => drop(sender.send(answer)),
        }
    }
}

impl Writer {
    pub fn start(
        connection: Connection,
        path: &Path,
        roots: Arc<RootSets>,
        lock: Option<Arc<Lock>>,
    ) -> Result<Self, LogError> {
        let (requests, received) = mpsc::channel();
        let failure_count = Arc::<AtomicU64>::default();
        let mut worker = Worker {
            connection,
            path: path.to_owned(),
            beside: Beside::of(path),
            file: FileId::of(path),
            roots,
            failure_count: failure_count.clone(),
            failures: BTreeMap::new(),
        };
        let write = move || {
            worker.run(&received);
            schema::fold(&worker.connection);
            // The file is closed before others may have it.
            drop(worker);
            drop(lock);
        };
        let thread = thread::Builder::new().name("log".into()).spawn(write);
        let thread = thread.map_err(|cause| LogError::NoThread { path: path.to_owned(), cause })?;
        Ok(Self {
            requests: Some(requests),
            thread: Some(thread),
            failure_count,
            path: path.to_owned(),
        })
    }

    pub fn hand_over(&self, entry: Entry) -> impl Future<Output = Answer> + Send + use<> {
        let (answer, answered) = oneshot::channel();
        self.submit(entry, Answering::Task(answer));
        let path = self.path.clone();
        async move { answered.await.unwrap_or_else(|_| Err(LogError::Stopped { path })) }
    }

    pub fn append_blocking(&self, entry: Entry) -> Answer {
        let (answer, answered) = mpsc::sync_channel(1);
        self.submit(entry, Answering::Thread(answer));
        answered.recv().unwrap_or_else(|_| Err(LogError::Stopped { path: self.path.clone() }))
    }

    fn submit(&self, entry: Entry, answer: Answering) {
        let failures_known = self.failure_count.load(Ordering::SeqCst);
        if let Some(requests) = &self.requests {
            // Where the thread is gone the request is dropped, and the appender sees its answer's sender go.
            let _ = requests.send(Asked::Write(Request { entry, failures_known, answer }));
        }
    }

    pub fn settle(&self) {
        let (settled, settles) = mpsc::sync_channel(1);
        if let Some(requests) = &self.requests
            && requests.send(Asked::Settle(settled)).is_ok()
        {
            // Where the thread is gone, nothing is written any more.
            let _ = settles.recv();
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.requests = None;
        let Some(thread) = self.thread.take() else { return };
        // The last holder of the log may be a task, on a thread that others wait for as well: there the writer ends by itself.
        if tokio::runtime::Handle::try_current().is_ok() {
            ending().push(thread);
        } else {
            // One that panicked has told its appenders.
            let _ = thread.join();
        }
    }
}

/// The writers of logs that tasks held last, as far as nobody has waited for their end.
static ENDING: Mutex<Vec<JoinHandle<()>>> = Mutex::new(Vec::new());

fn ending() -> MutexGuard<'static, Vec<JoinHandle<()>>> {
    ENDING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits until all logs that nobody holds any more are closed: then all is in the log's own file, and its directory is free. Blocks:
/// a process does it before it ends.
pub fn wait_for_closed_logs() {
    let threads = std::mem::take(&mut *ending());
    for thread in threads {
        let _ = thread.join();
    }
}

/// What the thread has.
struct Worker {
    connection: Connection,
    path: PathBuf,
    beside: Beside,
    /// The file that was opened, where the system can tell.
    file: Option<FileId>,
    roots: Arc<RootSets>,
    failure_count: Arc<AtomicU64>,
    /// The number of the last failure under each name. There are as many as jobs that met a failing disk.
    failures: BTreeMap<RootName, u64>,
}

impl Worker {
    fn run(&mut self, received: &mpsc::Receiver<Asked>) {
        while let Ok(first) = received.recv() {
            let others = received.try_iter().take(GROUP_COUNT_MAX - 1);
            let (mut group, mut settling) = (Vec::new(), Vec::new());
            for asked in std::iter::once(first).chain(others) {
                match asked {
                    Asked::Write(request) => group.push(request),
                    Asked::Settle(settled) => settling.push(settled),
                }
            }
            if !group.is_empty() {
                self.write_group(group);
                self.beside.look();
            }
            for settled in settling {
                // The asker may have stopped waiting.
                let _ = settled.send(());
            }
        }
    }

    fn write_group(&mut self, group: Vec<Request>) {
        let (group, late): (Vec<_>, Vec<_>) =
            group.into_iter().partition(|request| self.may_write(request));
        for request in late {
            self.refuse(request);
        }
        match self.commit(group.iter().map(|request| &request.entry)) {
            Ok(seqs) => {
                for (request, seq) in group.into_iter().zip(seqs) {
                    self.finish(request, seq);
                }
            }
            // It would be waited for again with each.
            Err(LogError::Locked { action, path, holders }) => {
                for request in group {
                    let (path, holders) = (path.clone(), holders.clone());
                    self.fail(request, LogError::Locked { action, path, holders });
                }
            }
            // One of them may be too much for the disk, and the others not: each gets its own answer.
            Err(_) => group.into_iter().for_each(|request| self.write_alone(request)),
        }
    }

    fn write_alone(&mut self, request: Request) {
        if !self.may_write(&request) {
            return self.refuse(request);
        }
        match self.commit(std::iter::once(&request.entry)) {
            Ok(seqs) => self.finish(request, seqs.first().copied().unwrap_or(0)),
            Err(error) => self.fail(request, error),
        }
    }

    fn fail(&mut self, request: Request, error: LogError) {
        let number = self.failure_count.fetch_add(1, Ordering::SeqCst) + 1;
        self.failures.insert(request.entry.root.clone(), number);
        request.answer(Err(error));
    }

    /// Writes entries in one transaction.
    fn commit<'a>(
        &mut self,
        entries: impl Iterator<Item = &'a Entry>,
    ) -> Result<Vec<u64>, LogError> {
        // SQLite would go on writing to a file that nobody will find again.
        if self.file.is_some() && FileId::of(&self.path) != self.file {
            return Err(LogError::Gone { path: self.path.clone() });
        }
        let write = || {
            let transaction = schema::begin(&mut self.connection)?;
            let seqs = entries
                .map(|entry| schema::write(&transaction, entry))
                .collect::<rusqlite::Result<Vec<_>>>()?;
            transaction.commit()?;
            Ok(seqs)
        };
        write().context("append to", &self.path)
    }

    /// Whether the appender knew of the last failure under this name when it handed the entry over.
    fn may_write(&self, request: &Request) -> bool {
        let failed = self.failures.get(&request.entry.root);
        failed.is_none_or(|number| *number <= request.failures_known)
    }

    fn refuse(&self, request: Request) {
        let (path, name) = (self.path.clone(), request.entry.root.clone());
        request.answer(Err(LogError::AfterFailure { path, name }));
    }

    fn finish(&self, request: Request, seq: u64) {
        // Named in memory before the pins go with the entry.
        self.roots.apply(&request.entry.root, &request.entry.change);
        request.answer(Ok(seq));
    }
}

/// Which file it is, whatever it is called.
#[derive(Debug, PartialEq, Eq)]
struct FileId {
    device: u64,
    inode: u64,
}

impl FileId {
    /// That of the file at `path`; none where there is none, or where files have no numbers.
    #[cfg(unix)]
    fn of(path: &Path) -> Option<Self> {
        use std::os::unix::fs::MetadataExt as _;
        let metadata = std::fs::metadata(path).ok()?;
        Some(Self { device: metadata.dev(), inode: metadata.ino() })
    }

    #[cfg(not(unix))]
    fn of(_: &Path) -> Option<Self> {
        None
    }
}
