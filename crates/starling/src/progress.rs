//! A job's progress on stderr: bars on a terminal, plain timestamped lines elsewhere.

use std::{
    io::{self, IsTerminal, Write},
    sync::LazyLock,
    time::{Duration, Instant},
};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use starling_client::Progress;
use tokio::sync::watch;
use tracing_subscriber::fmt::MakeWriter;

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
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        BARS.suspend(|| io::stderr().write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

impl MakeWriter<'_> for Stderr {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        *self
    }
}

/// Prints a line to stderr, above the bars.
pub fn say(line: &str) {
    BARS.suspend(|| eprintln!("{line}"));
}

/// Whether stderr is a terminal whose user has not asked for plain text (<https://no-color.org>).
pub fn wants_colour() -> bool {
    io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Shows `progress` until its sender is gone.
pub async fn show(progress: watch::Receiver<Progress>) {
    if io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb") {
        show_bars(progress).await;
    } else {
        show_lines(progress).await;
    }
}

async fn show_bars(mut progress: watch::Receiver<Progress>) {
    // Nothing is said by colour alone, and NO_COLOR is honoured by the style's own `console` crate.
    let style = ProgressStyle::with_template("{prefix:>8} {bar:32} {pos}/{len} {msg}")
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
        let more = if now.executed { "" } else { ", running" };
        execute.set_message(format!("{} segments{more}", now.segments));
        prove.set_length(now.segments.into());
        prove.set_position(now.leaves_accepted.into());
        join.set_length(now.joins_total.into());
        join.set_position(now.joins_accepted.into());
        let counts = [
            (now.keccaks_accepted, now.keccaks_total),
            (now.resolves_accepted, now.resolves_total),
        ];
        for ((name, shown), (done, total)) in rare.iter_mut().zip(counts) {
            if total > 0 {
                let rare = shown.get_or_insert_with(|| bar(name, &style));
                rare.set_length(total.into());
                rare.set_position(done.into());
            }
        }
        nodes.set_message(status(&now));
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

async fn show_lines(mut progress: watch::Receiver<Progress>) {
    let started = Instant::now();
    let mut printed: Option<(Progress, Instant)> = None;
    loop {
        let now = progress.borrow_and_update().clone();
        let due = printed.as_ref().is_none_or(|(last, at)| {
            let age = at.elapsed();
            // The estimate alone is no news: it changes with every tick.
            let news =
                Progress { eta: None, ..now.clone() } != Progress { eta: None, ..last.clone() };
            age >= PLAIN_LINE_PERIOD || news && age >= PLAIN_LINE_GAP
        });
        if due {
            eprintln!("[{:8.1}s] {}", started.elapsed().as_secs_f64(), line(&now));
            printed = Some((now, Instant::now()));
        }
        if let Ok(Err(_)) = tokio::time::timeout(PLAIN_LINE_GAP, progress.changed()).await {
            break;
        }
    }
    // The last state may have come within the gap.
    let last = progress.borrow().clone();
    if printed.is_none_or(|(printed, _)| printed != last) {
        eprintln!("[{:8.1}s] {}", started.elapsed().as_secs_f64(), line(&last));
    }
}

fn line(now: &Progress) -> String {
    let execute = if now.executed { "executed" } else { "execute" };
    let mut counts = vec![
        ("prove", now.leaves_accepted, now.segments),
        ("join", now.joins_accepted, now.joins_total),
    ];
    // Most guests use neither.
    let rare = [
        ("keccak", now.keccaks_accepted, now.keccaks_total),
        ("resolve", now.resolves_accepted, now.resolves_total),
    ];
    counts.extend(rare.into_iter().filter(|(_, _, total)| *total > 0));
    let counts: String =
        counts.iter().map(|(what, done, total)| format!("{what} {done}/{total}, ")).collect();
    format!("{execute} {} segments, {counts}{}", now.segments, status(now))
}

fn status(now: &Progress) -> String {
    let mut text = format!("nodes {}/{} busy", now.nodes_busy, now.nodes);
    if now.delivering {
        text.push_str(", putting the receipt together");
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
    use starling_types::Millis;

    use super::*;

    #[test]
    fn a_line_says_every_count() {
        let progress = Progress {
            segments: 7,
            leaves_accepted: 3,
            joins_accepted: 1,
            joins_total: 6,
            nodes: 2,
            nodes_busy: 2,
            eta: Some(Millis(65_000)),
            ..Progress::default()
        };
        assert_eq!(
            line(&progress),
            "execute 7 segments, prove 3/7, join 1/6, nodes 2/2 busy, ETA 1:05"
        );
    }

    #[test]
    fn a_line_says_what_only_some_guests_need() {
        let progress = Progress {
            keccaks_accepted: 1,
            keccaks_total: 3,
            resolves_total: 2,
            ..Progress::default()
        };
        assert_eq!(
            line(&progress),
            "execute 0 segments, prove 0/0, join 0/0, keccak 1/3, resolve 0/2, nodes 0/0 busy"
        );
    }

    #[test]
    fn a_waiting_job_says_what_it_waits_for() {
        let progress = Progress { waiting: Some("no node yet".into()), ..Progress::default() };
        assert!(line(&progress).ends_with("waiting: no node yet"), "{}", line(&progress));
    }
}
