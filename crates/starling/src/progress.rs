//! A job's progress on stderr: bars on a terminal, plain timestamped lines elsewhere.

use std::{
    fmt,
    io::{self, IsTerminal, Write},
    sync::LazyLock,
    time::{Duration, Instant},
};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use starling_client::JobProgress;
use starling_types::TaskKind;
use tokio::sync::watch;
use tracing_subscriber::fmt::MakeWriter;

use crate::{
    hints,
    terminal::{entry, say},
};

/// The bars of this process. Whatever else goes to stderr goes through here, so as not to tear them.
static BARS: LazyLock<MultiProgress> = LazyLock::new(MultiProgress::new);

/// How often a plain line repeats that a long task is still under way.
const PLAIN_LINE_PERIOD: Duration = Duration::from_secs(15);

/// The least time between two plain lines, so that a log of thousands of segments stays readable.
const PLAIN_LINE_GAP: Duration = Duration::from_secs(1);

/// A stderr that log lines share with the progress bars.
#[derive(Debug, Clone, Copy)]
pub struct Stderr;

impl Write for Stderr {
    /// What can't be written is lost: a log on a full disk, or a pipe that nobody reads, ends no job.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = BARS.suspend(|| io::stderr().write_all(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let _ = io::stderr().flush();
        Ok(())
    }
}

impl MakeWriter<'_> for Stderr {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        *self
    }
}

/// Whether stderr is a terminal whose user has not asked for plain text (<https://no-color.org>).
pub fn wants_colour() -> bool {
    io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Shows `progress` until its sender is gone.
pub async fn show(progress: watch::Receiver<JobProgress>) {
    if io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb") {
        show_bars(progress).await;
    } else {
        show_lines(progress).await;
    }
}

async fn show_bars(mut progress: watch::Receiver<JobProgress>) {
    // Nothing is said by colour alone, and NO_COLOR is honoured by the style's own `console` crate.
    let style = ProgressStyle::with_template("{prefix:>8} {bar:32} {msg}")
        .expect("the template is valid")
        .progress_chars("=> ");
    let status_style =
        ProgressStyle::with_template("{prefix:>8} {msg}").expect("the template is valid");
    let bar = |prefix: &'static str, style: &ProgressStyle| {
        BARS.add(ProgressBar::new(0).with_style(style.clone()).with_prefix(prefix))
    };
    let execute = bar("execute", &status_style);
    let prove = bar("prove", &style);
    let join = bar("join", &style);
    // Its message begins with the word.
    let nodes = bar("", &status_style);
    // Shown once there is something to show: most guests use neither.
    let mut rare = [("keccak", None), ("resolve", None)];
    loop {
        let now = progress.borrow_and_update().clone();
        let more = if now.tasks.is_final { "" } else { ", running" };
        execute.set_message(format!("{} segments{more}", segments(&now)));
        let [leaves, joins, keccaks, resolves] = Count::all(&now);
        leaves.show(&prove);
        joins.show(&join);
        for ((name, shown), count) in rare.iter_mut().zip([keccaks, resolves]) {
            if count.total > 0 {
                count.show(shown.get_or_insert_with(|| bar(name, &style)));
            }
        }
        nodes.set_message(entry(&status(&now)));
        if progress.changed().await.is_err() {
            break;
        }
    }
    let rare = rare.into_iter().filter_map(|(_, bar)| bar);
    for bar in [execute, prove, join, nodes].into_iter().chain(rare) {
        bar.finish_and_clear();
        BARS.remove(&bar);
    }
}

async fn show_lines(mut progress: watch::Receiver<JobProgress>) {
    let started = Instant::now();
    let mut printed: Option<(JobProgress, Instant)> = None;
    loop {
        let now = progress.borrow_and_update().clone();
        let due = printed.as_ref().is_none_or(|(last, at)| {
            let age = at.elapsed();
            let news = without_ticks(&now) != without_ticks(last);
            age >= PLAIN_LINE_PERIOD || news && age >= PLAIN_LINE_GAP
        });
        if due {
            say(&timed(started, &now));
            printed = Some((now, Instant::now()));
        }
        if let Ok(Err(_)) = tokio::time::timeout(PLAIN_LINE_GAP, progress.changed()).await {
            break;
        }
    }
    // The last state may have come within the gap.
    let last = progress.borrow().clone();
    if printed.is_none_or(|(printed, _)| printed != last) {
        say(&timed(started, &last));
    }
}

fn timed(started: Instant, now: &JobProgress) -> String {
    format!("[{:8.1}s] {}", started.elapsed().as_secs_f64(), line(now))
}

/// What is left of the progress without what changes with every tick and is no news by itself.
fn without_ticks(progress: &JobProgress) -> JobProgress {
    let mut news = JobProgress { eta: None, waited: None, ..progress.clone() };
    news.looking_at = news.looking_at.min(1);
    news.tasks.stages.iter_mut().for_each(|stage| stage.partly_permille = 0);
    news
}

/// How many segments there are so far: each begins with a task of its own.
fn segments(now: &JobProgress) -> u32 {
    now.tasks.stages.first().map_or(0, |leaves| leaves.total)
}

/// How many tasks of a kind there are, and how far they are.
#[derive(Default)]
struct Count {
    done: u32,
    total: u32,
    /// What is done of others, by their nodes' word, in thousandths of one.
    partly_permille: u64,
}

impl Count {
    /// Of leaves, joins, keccak proofs and resolves.
    fn all(now: &JobProgress) -> [Self; 4] {
        let stage = |kind: TaskKind| now.tasks.stage(kind.code());
        let inner = [TaskKind::Join, TaskKind::Keccak, TaskKind::Resolve].map(stage);
        let [joins, keccaks, resolves] = inner;
        [now.tasks.stages.first(), joins, keccaks, resolves].map(|stage| {
            stage.map_or(Self::default(), |stage| Self {
                done: stage.accepted,
                total: stage.total,
                partly_permille: stage.partly_permille,
            })
        })
    }

    fn show(&self, bar: &ProgressBar) {
        // Of nothing that is known yet, nothing is done: a bar without a length would be full.
        let length = u64::from(self.total).max(1) * 1000;
        bar.set_length(length);
        bar.set_position((u64::from(self.done) * 1000 + self.partly_permille).min(length));
        bar.set_message(self.to_string());
    }
}

/// `3/7`; `3.4/7` where others are under way.
impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tenths = self.partly_permille / 100;
        let (done, total) = (u64::from(self.done) + tenths / 10, self.total);
        match tenths {
            0 => write!(f, "{done}/{total}"),
            _ => write!(f, "{done}.{}/{total}", tenths % 10),
        }
    }
}

fn line(now: &JobProgress) -> String {
    let execute = if now.tasks.is_final { "executed" } else { "execute" };
    let [leaves, joins, keccaks, resolves] = Count::all(now);
    let mut counts = vec![("prove", leaves), ("join", joins)];
    // Most guests use neither.
    let rare = [("keccak", keccaks), ("resolve", resolves)];
    counts.extend(rare.into_iter().filter(|(_, count)| count.total > 0));
    let counts: String = counts.iter().map(|(what, count)| format!("{what} {count}, ")).collect();
    format!("{execute} {} segments, {counts}{}", segments(now), status(now))
}

fn status(now: &JobProgress) -> String {
    let mut text = format!("nodes {}/{} busy", now.nodes_busy, now.nodes);
    if now.looking_at > 0 {
        text.push_str(&format!(", looking at {} blobs of an earlier run", now.looking_at));
    } else if now.delivering {
        text.push_str(", assembling the receipt");
    } else if let Some(lacking) = &now.lacks_room {
        text.push_str(", waiting: ");
        text.push_str(&hints::for_room(lacking));
    } else if let Some(waiting) = &now.waiting {
        text.push_str(", waiting: ");
        text.push_str(waiting);
    } else if let Some(eta) = now.eta {
        text.push_str(&format!(", ETA {}", clock(eta.0 / 1000)));
    }
    text
}

/// Seconds as `1:02:03` or `2:03`.
fn clock(seconds: u64) -> String {
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 {
        format!("{hours}:{minutes:02}:{seconds:02}")
    } else {
        format!("{minutes}:{seconds:02}")
    }
}

#[cfg(test)]
mod tests {
    use starling_types::{Millis, Stage};

    use super::*;

    /// So many done of so many, and so much of others.
    fn stage(kind: TaskKind, accepted: u32, total: u32, partly_permille: u64) -> Stage {
        Stage { kind: kind.code(), name: kind.name().into(), accepted, total, partly_permille }
    }

    fn progress(stages: &[Stage]) -> JobProgress {
        let tasks = starling_types::Progress { stages: stages.to_vec(), ..Default::default() };
        JobProgress { tasks, ..JobProgress::default() }
    }

    #[test]
    fn a_line_says_every_count() {
        let stages = [stage(TaskKind::Lift, 3, 7, 0), stage(TaskKind::Join, 1, 6, 0)];
        let eta = Some(Millis(65_000));
        let progress = JobProgress { nodes: 2, nodes_busy: 2, eta, ..progress(&stages) };
        assert_eq!(
            line(&progress),
            "execute 7 segments, prove 3/7, join 1/6, nodes 2/2 busy, ETA 1:05"
        );
    }

    #[test]
    fn what_is_under_way_shows_in_tenths_and_is_no_news_by_itself() {
        let at = |accepted, partly| {
            let joins = stage(TaskKind::Join, 0, 6, 99);
            progress(&[stage(TaskKind::Lift, accepted, 7, partly), joins])
        };
        let now = at(3, 1420);
        assert_eq!(line(&now), "execute 7 segments, prove 4.4/7, join 0/6, nodes 0/0 busy");
        assert_eq!(without_ticks(&at(3, 1900)), without_ticks(&now));
        assert_ne!(without_ticks(&at(4, 1420)), without_ticks(&now));
    }

    #[test]
    fn a_bar_moves_within_a_task_and_never_past_its_end() {
        let bar = ProgressBar::hidden();
        Count { done: 3, total: 4, partly_permille: 500 }.show(&bar);
        assert_eq!((bar.position(), bar.length()), (3500, Some(4000)));
        Count { done: 3, total: 4, partly_permille: 2000 }.show(&bar);
        assert_eq!(bar.position(), 4000);
    }

    #[test]
    fn a_bar_of_which_nothing_is_known_is_empty() {
        let bar = ProgressBar::hidden();
        Count::default().show(&bar);
        assert_eq!((bar.position(), bar.length()), (0, Some(1000)));
        assert_eq!(Count::default().to_string(), "0/0");
    }

    #[test]
    fn a_line_says_what_only_some_guests_need() {
        let stages = [
            stage(TaskKind::Lift, 0, 0, 0),
            stage(TaskKind::Keccak, 1, 3, 0),
            stage(TaskKind::Resolve, 0, 2, 0),
        ];
        let progress = progress(&stages);
        assert_eq!(
            line(&progress),
            "execute 0 segments, prove 0/0, join 0/0, keccak 1/3, resolve 0/2, nodes 0/0 busy"
        );
    }

    #[test]
    fn a_job_that_looks_at_what_an_earlier_run_left_says_so() {
        let progress = JobProgress { looking_at: 7, ..JobProgress::default() };
        let line = line(&progress);
        assert!(line.ends_with("busy, looking at 7 blobs of an earlier run"), "{line}");
        let fewer = JobProgress { looking_at: 6, ..progress.clone() };
        assert_eq!(without_ticks(&fewer), without_ticks(&progress), "no line for each blob");
        assert_ne!(without_ticks(&JobProgress::default()), without_ticks(&progress));
    }

    #[test]
    fn a_waiting_job_says_what_it_waits_for() {
        let progress =
            JobProgress { waiting: Some("no node yet".into()), ..JobProgress::default() };
        assert!(line(&progress).ends_with("waiting: no node yet"), "{}", line(&progress));
        let progress = JobProgress { lacks_room: Some("the disk is full".into()), ..progress };
        let line = line(&progress);
        assert!(line.contains("waiting: the disk is full; "), "{line}");
        assert!(line.ends_with("--disk-budget"), "{line}");
    }
}
